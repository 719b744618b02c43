"""Your own table -> fine-tuned classifier: TSV, CSV or JSONL with a column of texts and a column of classes.

    keras-bert classify --train_file=train.tsv --eval_file=dev.tsv --init_checkpoint=model --output_dir=classifier

Columns are named by the first line (or the keys of JSONL). With --multi_label a row may have several labels, with
--regression they are numbers. Without --eval_file a tenth of the training table is held out. Flags and defaults are
run_classifier.py's of google-research/bert, where it has them. --num_runs trains several seeds and saves the best;
quote their mean.
"""

import argparse
import shlex
import time
from pathlib import Path

from keras_bert.cli.finetune_flags import add_model_flags, add_old_flags, add_output_flags, add_training_flags
from keras_bert.cli.flags import Group, add_bool, positive_int
from keras_bert.cli.startup import start_tensorflow

PREDICTIONS = "predictions.tsv"
MAIN = ("train_file", "eval_file", "text_column", "label_column", "init_checkpoint", "output_dir")


def add_arguments(parser):
    """Adds run_classifier.py's flags, and ours."""
    _add_tables(parser)
    add_model_flags(parser)
    add_training_flags(parser)
    add_old_flags(parser)
    training = Group(parser, "training")
    training.add_argument(
        "--long_texts",
        choices=("cut", "windows"),
        default="cut",
        help="longer texts than --max_seq_length are cut, or read in overlapping windows",
    )
    Group(parser, "training", rare=True).add_argument(
        "--doc_stride", type=positive_int, help="tokens from one window to the next (default: half a window)"
    )
    training.add_argument(
        "--class_weights",
        type=parse_class_weights,
        metavar="WEIGHTS",
        help="weights of the classes in training: none, balanced, or 'a=1,b=3' (default: none)",
    )
    Group(parser, "runs").add_argument(
        "--metric",
        help="metric that chooses the best run (default: accuracy; f1_micro of several labels, pearson of numbers)",
    )
    add_output_flags(parser)


def _add_tables(parser):
    data, rare = Group(parser, "data"), Group(parser, "data", rare=True)
    data.add_argument("--train_file", required=True, help="table to train on: .tsv (unquoted), .csv or .jsonl")
    data.add_argument("--eval_file", help="table for validation (default: --eval_share of --train_file)")
    rare.add_argument(
        "--eval_share", type=float, default=0.1, help="without --eval_file: share of each class for validation"
    )
    data.add_argument("--predict_file", help="table to label, without a label column; or one text a line")
    rare.add_argument(
        "--predictions_file", help="where its labels go: .tsv or .jsonl (default: predictions.tsv in --output_dir)"
    )
    data.add_argument("--text_column", default="text", help="column of the text")
    data.add_argument("--pair_column", help="column of a second text, for pairs of texts")
    data.add_argument(
        "--label_column", default="label", help="column of the label; with --multi_label also 0/1 columns, as a,b,c"
    )
    rare.add_argument("--id_column", help="column of --predict_file to copy next to the predictions")
    add_bool(data, "multi_label", default=False, help="a row may have several labels, or none")
    rare.add_argument("--label_separator", default=",", help="text between several labels; JSON lists need none")
    add_bool(data, "regression", default=False, help="the labels are numbers")


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


def run(args):
    """Runs the command: prints what it resolved, trains, measures, and says what it wrote and what comes next."""
    from keras_bert.cli.finetune_flags import find_model, print_runs
    from keras_bert.tasks.classify.examples import read_examples
    from keras_bert.tasks.classify.kinds import KINDS

    begin = time.monotonic()
    output_dir = Path(args.output_dir)
    predictions = _check_flags(args, output_dir)
    kind = _kind(args)
    KINDS[kind].choose_metric(args.metric)
    tokenizer, config, checkpoint = find_model(args, pair=args.pair_column is not None)
    named = ("text_column", "pair_column", "label_column", "id_column", "label_separator", "class_weights")
    classes, train, evaluation, prediction = read_examples(
        args.train_file,
        args.eval_file,
        args.predict_file,
        kind=kind,
        eval_share=args.eval_share,
        seed=args.seed,
        **{name: getattr(args, name) for name in named},
    )

    start_tensorflow()
    from keras_bert.cli.progress import clock

    _print_data(args, tokenizer, classes, train, evaluation, prediction)
    model, results, logits = _train(args, tokenizer, config, checkpoint, classes, train, evaluation)
    written = _write(args, output_dir, predictions, model, tokenizer, results, evaluation, logits, prediction)
    _print_results(kind, results)
    print_runs(results, results["metric"])
    print(
        f"wrote in {clock(time.monotonic() - begin)}: {output_dir}, a model directory, and in it {', '.join(written)}"
    )
    served = shlex.quote(f"serving/{output_dir.resolve().name}/1")
    print(f"next: keras-bert export --model_dir {shlex.quote(str(output_dir))} --output_dir {served}")
    return results


def _check_flags(args, output_dir):
    """Returns the path of the predictions; raises a UserError where flags contradict or outputs have no place."""
    from keras_bert.checkpoints import check_place
    from keras_bert.cli.finetune_flags import check_output
    from keras_bert.errors import UserError
    from keras_bert.outputs import refuse_existing
    from keras_bert.tasks.table import check_writable

    check_output(args)
    if args.multi_label and args.regression:
        raise UserError("--multi_label and --regression are two kinds of labels; leave one of them out.")
    if args.predictions_file is None:
        return output_dir / PREDICTIONS
    if args.predict_file is None:
        raise UserError("--predictions_file without --predict_file has nothing to hold; name the texts to label too.")
    check_writable(args.predictions_file, what="--predictions_file")
    check_place(Path(args.predictions_file).parent)
    if not args.force:
        refuse_existing(args.predictions_file, what="--predictions_file", remedy="add --force to replace it")
    return Path(args.predictions_file)


def _kind(args):
    return "multi_label" if args.multi_label else "regression" if args.regression else "classes"


def _reading(args):
    return {name: getattr(args, name) for name in ("max_seq_length", "long_texts", "doc_stride")}


def _train(args, tokenizer, config, checkpoint, classes, train, evaluation):
    """Trains as the flags say. Returns the model, its results and its logits on the held-out examples."""
    from keras_bert.cli.finetune_flags import maker_options, print_model, training_options
    from keras_bert.cli.progress import Progress
    from keras_bert.tasks.classify.training import classifier_maker, train_classifier

    pair = args.pair_column is not None
    made = {"pair": pair, "multi_label": args.multi_label, "checkpoint": checkpoint, **maker_options(args)}
    with Progress() as progress:
        return train_classifier(
            classifier_maker(config, classes, **made),
            tokenizer,
            train,
            evaluation,
            **_reading(args),
            eval_batch_size=args.eval_batch_size,
            metric=args.metric,
            on_start=lambda model: print_model(args, model),
            progress=progress,
            options=training_options(args),
        )


def _write(args, output_dir, predictions, model, tokenizer, results, evaluation, logits, prediction):
    """Writes all there is to write, the model last, and returns the names of the files beside it."""
    from keras_bert.cli.progress import Progress
    from keras_bert.tasks.classify.training import predict_logits, write_output, write_predictions

    if prediction is not None:
        with Progress() as progress:
            options = {"batch_size": args.predict_batch_size, "progress": progress, **_reading(args)}
            predicted = predict_logits(model, prediction, tokenizer, **options)
        kind = {"kind": model.kind, "label_separator": args.label_separator}
        write_predictions(predictions, prediction, predicted, model.labels, **kind)
    if args.force and (prediction is None or predictions.parent != output_dir):
        (output_dir / PREDICTIONS).unlink(missing_ok=True)  # of the model that is replaced
    columns = ("text_column", "pair_column", "label_column", "label_separator")
    reading = {**{name: getattr(args, name) for name in columns}, **_reading(args)}
    title = output_dir.resolve().name
    picture = write_output(output_dir, model, tokenizer, results, evaluation, logits, title=title, reading=reading)
    return ["eval_results.json", picture, "curves.png", *([str(predictions.name)] if prediction is not None else [])]


def _print_data(args, tokenizer, classes, train, evaluation, prediction):
    import numpy as np

    from keras_bert.cli.finetune_flags import print_device, print_shared, print_vocabulary
    from keras_bert.tasks.table import shorten

    print_device(args)
    print_vocabulary(tokenizer)
    if args.regression:
        low, high, mean = train.labels.min(), train.labels.max(), train.labels.mean()
        shown = f"with numbers from {low:g} to {high:g}, mean {mean:g}"
    else:
        counts = train.labels.sum(axis=0) if args.multi_label else np.bincount(train.labels, minlength=len(classes))
        each = shorten([f"{name} ({int(count)})" for name, count in zip(classes, counts, strict=True)])
        what = "with {} labels" if args.multi_label else "in {} classes"
        shown = f"{what.format(len(classes))}: {each}"
    print(f"training: {len(train):,} {'texts' if train.pairs is None else 'pairs'} {shown}")
    split = "" if args.eval_file else f", a share of {args.eval_share:g} of --train_file by seed {args.seed}"
    labelled = f"; to label: {len(prediction):,}" if prediction is not None else ""
    print(f"held out: {len(evaluation):,}{split}{labelled}")
    print_shared(*(list(zip(each.texts, each.pairs or each.texts, strict=True)) for each in (train, evaluation)))


def _print_results(kind, results):
    from keras_bert.tasks.classify.kinds import KINDS

    print(f"held out: {KINDS[kind].describe(results)}")
    if results["train_windows"] > results["train_examples"]:
        print(f"long texts: {results['train_windows']:,} windows of {results['train_examples']:,} training texts")
