"""Questions about texts -> a model that answers by a part of the text, and its figures: SQuAD's and KorQuAD's files.

    keras-bert answer --train_file=train-v1.1.json --predict_file=dev-v1.1.json --init_checkpoint=model --output_dir=qa
    keras-bert answer --predict_file=dev-v1.1.json --init_checkpoint=qa --output_dir=answers

Flags and defaults are run_squad.py's of google-research/bert, but that it does what the files allow without --do_train
and --do_predict. Files may be packed as .gz or .xz. It writes predictions.json, nbest_predictions.json, with
--version_2_with_negative null_odds.json, eval_results.json where the answers are known, and the model directory. The
threshold over which SQuAD 2.0's questions have no answer is the best one on --predict_file, and is kept with the model.
"""

import functools
from typing import ClassVar

from keras_bert.errors import UserError
from keras_bert.tasks.flag import Flag
from keras_bert.tasks.job import Job

SHOWN_LOST = 5  # of the answers that were not found; --verbose_logging shows all
LENGTHS = ("max_seq_length", "doc_stride", "max_query_length")


class Answering(Job):
    """A run of `keras-bert answer`. Its texts are Examples; --predict_file has those that are measured, "eval"."""

    word = "answer"
    flags = (
        Flag("train_file", "SQuAD JSON to train on, such as train-v1.1.json"),
        Flag("predict_file", "SQuAD JSON to answer, and to measure on if it has answers"),
        Flag(
            "doc_stride",
            "tokens from one window of a long context to the next",
            group="training",
            kind=int,
            least=1,
            default=128,
            reading=True,
        ),
        Flag(
            "max_query_length",
            "longer questions are cut to so many tokens",
            group="training",
            kind=int,
            least=1,
            default=64,
            reading=True,
        ),
        Flag(
            "n_best_size",
            "positions to look at, and answers in nbest_predictions.json",
            group="answers",
            kind=int,
            least=1,
            default=20,
        ),
        Flag("max_answer_length", "tokens of the longest answer", group="answers", kind=int, least=1, default=30),
        Flag(
            "version_2_with_negative",
            "some questions have no answer, as in SQuAD 2.0",
            group="answers",
            kind=bool,
            default=False,
        ),
        Flag(
            "null_score_diff_threshold",
            "no answer if its score is so far over the best answer's (default: the best in training, then the "
            "model's, or 0.0)",
            group="answers",
            kind=float,
        ),
        Flag(
            "verbose_logging",
            "list all answers that are not where the file says",
            kind=bool,
            default=False,
            rare=True,
        ),
    )
    main = ("train_file", "predict_file", "init_checkpoint", "output_dir", "version_2_with_negative")
    main += ("num_train_epochs",)
    training: ClassVar = {"max_seq_length": 384}
    doing: ClassVar = {"eval": "measure on --predict_file, where it has answers"}
    needs_word = False  # Google's checkpoints have none
    outputs = ("predictions.json", "nbest_predictions.json", "null_odds.json")
    pair = True

    def settle(self):
        args = self.args
        one_is_on = any(getattr(args, f"do_{kind}") for kind in ("train", "eval", "predict"))  # then the others are off
        for action, name in (("do_train", "train_file"), ("do_predict", "predict_file")):
            given = getattr(args, name) is not None
            if getattr(args, action) and not given:
                raise UserError(f"--{action} needs --{name}, a SQuAD file.")
            if getattr(args, action) is None:
                setattr(args, action, given and not one_is_on)
        args.do_eval = args.do_eval is not False
        self.trains = args.do_train
        self.asks = args.predict_file is not None and (args.do_predict or args.do_eval)
        if not self.trains and not self.asks:
            raise UserError("Nothing to do: give --train_file to train, --predict_file to answer questions, or both.")

    @property
    def metric(self):
        """F1 where there is something to measure on."""
        return "f1" if self.is_measured else "loss"

    @property
    def is_measured(self):
        """Whether there are questions of which all that is right is known."""
        return self.asks and self.args.do_eval and all(map(self._is_labelled, self.parts["eval"]))

    def read(self, checkpoint):
        from keras_bert.tasks.answer.examples import read_examples
        from keras_bert.tasks.answer.features import check_lengths

        args = self.args
        check_lengths(*(getattr(args, name) for name in LENGTHS), layout=self.tokenizer.layout)
        kind = {"version_2_with_negative": args.version_2_with_negative}
        self.parts = {
            "train": read_examples(args.train_file, training=True, **kind) if self.trains else None,
            "eval": read_examples(args.predict_file, **kind) if self.asks else None,
        }
        if not self.trains and not args.do_predict and not self.is_measured:
            raise UserError(f"Nothing to do without --do_predict: {self._why_not_measured()}.")
        return self.parts

    def describe(self):
        for part, examples in self.parts.items():
            yield from self._describe(part, examples)
        if self.asks and self.args.do_eval and not self.is_measured:
            yield f"not measured: {self._why_not_measured()}"

    def _why_not_measured(self):
        """Returns why questions cannot be measured, and what may help."""
        lacking = any(example.answers is None for example in self.parts["eval"])
        remedy = "" if lacking else "; if they rightly have none, add --version_2_with_negative"
        return f"{self.args.predict_file} does not say what is right for all of its questions{remedy}"

    def head(self, encoder):
        from keras_bert.models import SpanLabeler

        return SpanLabeler(encoder)

    def train(self, make_model, options, **watching):
        from keras_bert.tasks.answer.features import make_features
        from keras_bert.tasks.answer.training import train

        examples = self.parts["train"]
        lengths = {name: getattr(self.args, name) for name in LENGTHS}
        features = make_features(examples, self.tokenizer, training=True, **lengths)
        asked = f", {len(self.questions.features):,} to answer" if self.asks else ""
        print(f"windows: {len(features):,} to train on{asked}", flush=True)
        best = train(
            make_model,
            self.tokenizer,
            features,
            self.questions if self.is_measured else None,
            options,
            max_seq_length=self.args.max_seq_length,
            **watching,
        )
        if self.args.version_2_with_negative and best.model.null_score_diff_threshold is None:
            best.model.null_score_diff_threshold = self.args.null_score_diff_threshold or 0.0
        best.results |= {"train_examples": len(examples), "train_features": len(features)}
        return best

    @functools.cached_property
    def questions(self):
        """The questions of --predict_file with their windows."""
        from keras_bert.tasks.answer.training import Questions

        args = self.args
        return Questions(
            self.parts["eval"],
            self.tokenizer,
            **{name: getattr(args, name) for name in (*LENGTHS, "n_best_size", "max_answer_length")},
            version_2_with_negative=args.version_2_with_negative,
            threshold=args.null_score_diff_threshold,
            batch_size=args.predict_batch_size,
            log=self.progress.say if args.verbose_logging else None,
            progress=self.progress,
        )

    def ask(self, model, part, batch_size):
        if not self.trains:
            print(f"windows: {len(self.questions.features):,} to answer", flush=True)
            if self.questions.threshold is None:
                self.questions.threshold = model.null_score_diff_threshold or 0.0
        return self.questions.predict(model)

    def measure(self, model, part, answers):
        return self.questions.measure(answers) if self.is_measured else {}

    def write(self, model, part, answers, folder):
        from keras_bert.tasks.answer.answers import write_predictions

        if not self.args.do_predict:
            return []
        threshold = model.null_score_diff_threshold if self.trains else self.questions.threshold
        return [folder / name for name in write_predictions(folder, answers, threshold=threshold or 0.0)]

    def report(self, results):
        if "f1" not in results:
            return
        total = f"({results['total']:,} questions)"
        yield f"held out: exact match {results['exact_match']:.2f}, F1 {results['f1']:.2f} {total}"
        for part, what in (("HasAns", "with an answer"), ("NoAns", "without one")):
            if f"{part}_f1" in results:
                yield f"  {what}: F1 {results[f'{part}_f1']:.2f} ({results[f'{part}_total']:,} questions)"
        if "best_f1" in results:
            yield (
                f"  threshold: {results['null_score_diff_threshold']:.4f}; best F1 {results['best_f1']:.2f} at "
                f"{results['best_f1_thresh']:.4f}, best exact match {results['best_exact']:.2f} at "
                f"{results['best_exact_thresh']:.4f}"
            )

    def next_step(self, saved):
        return (
            f"python -c \"import keras_bert as kb; print(kb.squad.Answerer.from_pretrained('{saved}')(\n"
            "    'Who came?', 'Rollo came to Normandy in 911.'))\""
        )

    def _is_labelled(self, example):
        """Says whether it is known of a question what is right: an answer, or that there is none."""
        return example.answers is not None and bool(example.answers or self.args.version_2_with_negative)

    def _describe(self, part, examples):
        """Yields what is in a file, and which of its answers are lost."""
        path = self.args.train_file if part == "train" else self.args.predict_file
        contexts = len({id(example.context) for example in examples})
        impossible = sum(example.is_impossible for example in examples)
        yield (
            f"{'training' if part == 'train' else 'questions'}: {path}, {len(examples):,} questions about "
            f"{contexts:,} contexts"
            + (f", {impossible:,} of them without an answer" if impossible else "")
            + (f"; {examples.several:,} have several answers, of which the first is learnt" if examples.several else "")
        )
        if examples.lost:
            yield f"left out: {len(examples.lost):,} questions whose answer does not stand where the file says"
            shown = examples.lost if self.args.verbose_logging else examples.lost[:SHOWN_LOST]
            yield from (f"  {lost}" for lost in shown)
            if len(shown) < len(examples.lost):
                yield f"  and {len(examples.lost) - len(shown):,} more, which --verbose_logging lists"


JOB = Answering
