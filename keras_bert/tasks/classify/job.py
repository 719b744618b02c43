"""Your own table -> fine-tuned classifier: TSV, CSV or JSONL with a column of texts and a column of classes.

    keras-bert classify --train_file=train.tsv --eval_file=dev.tsv --init_checkpoint=model --output_dir=classifier

Columns are named by the first line (or the keys of JSONL). With --multi_label a row may have several labels, with
--regression they are numbers. Without --eval_file a tenth of the training table is held out. Flags and defaults are
run_classifier.py's of google-research/bert, where it has them. --num_runs trains several seeds and saves the best;
quote their mean.
"""

import argparse
from pathlib import Path

from keras_bert.errors import UserError
from keras_bert.tasks.flag import Flag
from keras_bert.tasks.job import Job, export_command
from keras_bert.tasks.split_files import file_flags

PREDICTIONS, TEST = "predictions.tsv", "test_predictions.tsv"
READING = ("max_seq_length", "long_texts", "doc_stride")
KINDS_TAUGHT = {"classes": "one class a row", "multi_label": "several labels a row", "regression": "numbers"}


def parse_class_weights(text):
    """An argparse type: None, "balanced", or a dict of weights.

    >>> parse_class_weights("none"), parse_class_weights("balanced"), parse_class_weights("a=1, b=2.5")
    (None, 'balanced', {'a': 1.0, 'b': 2.5})
    """
    if text in ("none", "balanced"):
        return None if text == "none" else text
    weights = {}
    for part in text.split(","):
        name, _, weight = (piece.strip() for piece in part.rpartition("="))
        try:
            weights[name] = float(weight)
        except ValueError:
            name = ""
        if not name:
            raise argparse.ArgumentTypeError(f"expected none, balanced, or weights such as a=1,b=3; received {part!r}")
    return weights


class Classifying(Job):
    """A run of `keras-bert classify`. Its texts are Examples."""

    word = "classify"
    flags = (
        *file_flags("table (.tsv unquoted, .csv or .jsonl)", "table to label, without labels; or one text a line"),
        Flag(
            "predictions_file",
            "where its labels go: .tsv or .jsonl (default: predictions.tsv in --output_dir)",
            rare=True,
        ),
        Flag("text_column", "column of the text", default="text", reading=True),
        Flag("pair_column", "column of a second text, for pairs of texts", reading=True),
        Flag(
            "label_column",
            "column of the label; with --multi_label also 0/1 columns, as a,b,c",
            default="label",
            reading=True,
        ),
        Flag("id_column", "column of --predict_file to copy next to the predictions", rare=True),
        Flag("multi_label", "a row may have several labels, or none", kind=bool, default=False),
        Flag(
            "label_separator",
            "text between several labels; JSON lists need none",
            default=",",
            rare=True,
            reading=True,
        ),
        Flag("regression", "the labels are numbers", kind=bool, default=False),
        Flag(
            "long_texts",
            "longer texts than --max_seq_length are cut, or read in overlapping windows",
            group="training",
            choices=("cut", "windows"),
            default="cut",
            reading=True,
        ),
        Flag(
            "doc_stride",
            "tokens from one window to the next (default: half a window)",
            group="training",
            kind=int,
            least=1,
            rare=True,
            reading=True,
        ),
        Flag(
            "class_weights",
            "weights of the classes in training: none, balanced, or 'a=1,b=3' (default: none)",
            group="training",
            kind=parse_class_weights,
            rare=True,
            metavar="WEIGHTS",
        ),
        Flag(
            "metric",
            "metric that chooses the best run (default: accuracy; f1_micro of several labels, pearson of numbers)",
            group="runs",
        ),
    )
    main = ("train_file", "eval_file", "text_column", "label_column", "init_checkpoint", "output_dir")
    outputs = (PREDICTIONS, TEST, "confusion.png", "labels.png", "scatter.png")

    def settle(self):
        from keras_bert.checkpoints import check_place
        from keras_bert.outputs import refuse_existing
        from keras_bert.tasks.table import check_writable

        args = self.args
        if args.multi_label and args.regression:
            raise UserError("--multi_label and --regression are two kinds of labels; leave one of them out.")
        super().settle()
        self.kind = "multi_label" if args.multi_label else "regression" if args.regression else "classes"
        if self.trains:
            self.row.choose_metric(args.metric)
        self.predictions = Path(args.output_dir) / PREDICTIONS
        if args.predictions_file is None:
            return
        if self.files["predict_file"] is None:
            raise UserError(
                "--predictions_file without --predict_file has nothing to hold; name the texts to label too."
            )
        self.predictions = Path(args.predictions_file)
        if self.files["test_file"] and self.predictions.resolve() == (Path(args.output_dir) / TEST).resolve():
            raise UserError(
                f"--predictions_file: the answers on --test_file go to {self.predictions}; choose another name."
            )
        check_writable(self.predictions, what="--predictions_file")
        check_place(self.predictions.parent)
        if not args.force:
            refuse_existing(self.predictions, what="--predictions_file", remedy="add --force to replace it")

    @property
    def row(self):
        """What the labels are, a Kind."""
        from keras_bert.tasks.classify.kinds import KINDS

        return KINDS[self.kind]

    @property
    def pair(self):
        """Whether each row has two texts."""
        return self.args.pair_column is not None

    @property
    def metric(self):
        """The figure that chooses among runs."""
        return self.row.choose_metric(self.args.metric)

    def check_saved(self, checkpoint):
        super().check_saved(checkpoint)
        several = checkpoint.task.get("multi_label")
        self.kind = "multi_label" if several else "regression" if checkpoint.task["num_classes"] == 1 else "classes"
        for flag in ("multi_label", "regression"):
            if getattr(self.args, flag) and self.kind != flag:
                raise UserError(
                    f"--{flag}: {self.args.init_checkpoint} was taught {KINDS_TAUGHT[self.kind]}; leave the flag out, "
                    "or give --train_file to teach another model."
                )
        self.row.choose_metric(self.args.metric)
        if checkpoint.task.get("pair") and not self.pair:
            raise UserError(
                f"{self.args.init_checkpoint} was trained on pairs of texts; name the column of the second texts by "
                "--pair_column."
            )

    def read(self, checkpoint):
        from keras_bert.tasks.classify.examples import read_examples, read_inputs

        columns = {name: getattr(self.args, name) for name in ("text_column", "pair_column")}
        labelled = {
            "label_column": self.args.label_column,
            "label_separator": self.args.label_separator,
            "kind": self.kind,
        }
        parts, files = {}, self.files
        if self.trains:
            more = {name: getattr(self.args, name) for name in ("class_weights", "eval_share", "seed")}
            both = (files["train_file"], files["eval_file"])
            self.classes, parts["train"], parts["eval"], _ = read_examples(*both, **columns, **labelled, **more)
        else:
            numbered = [str(number) for number in range(checkpoint.task.get("num_classes") or 0)]
            self.classes = [] if self.kind == "regression" else checkpoint.task.get("labels") or numbered
        for part in ("eval", "test"):
            if part not in parts and files[f"{part}_file"]:
                parts[part] = read_inputs(files[f"{part}_file"], **columns, **labelled, classes=self.classes)
        if files["predict_file"]:
            parts["predict"] = read_inputs(files["predict_file"], **columns, id_column=self.args.id_column)
        return parts

    def describe(self):
        import numpy as np

        from keras_bert.tasks.table import shorten

        train = self.parts.get("train")
        if train is not None and self.kind == "regression":
            low, high, mean = train.labels.min(), train.labels.max(), train.labels.mean()
            shown = f"with numbers from {low:g} to {high:g}, mean {mean:g}"
        elif train is not None:
            several = self.kind == "multi_label"
            counts = train.labels.sum(axis=0) if several else np.bincount(train.labels, minlength=len(self.classes))
            each = shorten([f"{name} ({int(count)})" for name, count in zip(self.classes, counts, strict=True)])
            what = "with {} labels" if several else "in {} classes"
            shown = f"{what.format(len(self.classes))}: {each}"
        if train is not None:
            yield f"training: {len(train):,} {'texts' if train.pairs is None else 'pairs'} {shown}"
        share = f", a share of {self.args.eval_share:g} of --train_file by seed {self.args.seed}"
        split = share if self.trains and not self.files["eval_file"] else ""
        names = {"eval": f"held out: {{:,}}{split}", "test": "test: {:,}", "predict": "to label: {:,}"}
        if counts := [names[part].format(len(self.parts[part])) for part in names if part in self.parts]:
            yield "; ".join(counts)

    def texts(self, part):
        examples = self.parts[part]
        return list(zip(examples.texts, examples.pairs or examples.texts, strict=True))

    def head(self, encoder):
        from keras_bert.tasks.classify.training import head_maker

        return head_maker(self.classes, pair=self.pair, multi_label=self.kind == "multi_label")(encoder)

    def train(self, make_model, options, **watching):
        from keras_bert.tasks.classify.training import train

        return train(
            make_model,
            self.tokenizer,
            self.parts["train"],
            self.parts["eval"],
            options,
            eval_batch_size=self.args.eval_batch_size,
            metric=self.args.metric,
            **self._lengths(),
            **watching,
        )

    def ask(self, model, part, batch_size):
        from keras_bert.tasks.classify.training import predict_logits

        options = {"batch_size": batch_size, "progress": self.progress, **self._lengths()}
        return predict_logits(model, self.parts[part], self.tokenizer, **options)

    def measure(self, model, part, answers):
        labels = self.parts[part].labels
        return {} if labels is None else self.row.measure(labels, answers)

    def write(self, model, part, answers, folder):
        from keras_bert.tasks.classify.training import write_predictions

        examples = self.parts[part]
        if part == "eval":
            path = folder / self.row.picture
            self.row.draw(examples.labels, answers, model.labels, path, self.title())
            return [path]
        path = self.predictions if part == "predict" else folder / TEST
        kind = {"kind": self.kind, "label_separator": self.args.label_separator}
        write_predictions(path, examples, answers, model.labels, **kind)
        return [path]

    def report(self, results):
        for part, figures in (("held out", results), ("test", results.get("test", {}))):
            if self.row.metrics[0] in figures:
                yield f"{part}: {self.row.describe(figures)}"
        if results.get("train_windows", 0) > results.get("train_examples", 0):
            yield f"long texts: {results['train_windows']:,} windows of {results['train_examples']:,} training texts"

    def next_step(self, saved):
        return export_command(saved)

    def _lengths(self):
        return {name: getattr(self.args, name) for name in READING}


JOB = Classifying
