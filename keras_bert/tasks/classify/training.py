"""A classifier of texts or pairs, or a regression: examples in, a model directory with its figures and pictures out.

N examples, C classes (1 for a number), R rows: an example has several where a long text is read in windows.
"""

import dataclasses

import numpy as np

from keras_bert.data.batches import padded_batches
from keras_bert.errors import UserError
from keras_bert.models import Classifier
from keras_bert.tasks.classify.examples import Examples
from keras_bert.tasks.classify.kinds import KINDS
from keras_bert.tasks.inputs import check_labelled
from keras_bert.tasks.metrics import SMALLER_IS_BETTER
from keras_bert.tasks.predicting import predict_rows
from keras_bert.tasks.runs import BestRun, Learnable, best_of_runs, maker_of, model_maker
from keras_bert.tasks.table import write_table
from keras_bert.tasks.windows import encode_texts
from keras_bert.training.finetune_options import FineTuning


def classifier_maker(config, classes, *, pair=False, multi_label=False, checkpoint=None, **options):
    """Returns a function that makes the classifier as it is before fine-tuning.

    Args:
        config: the Config, with the rates of dropout to train with.
        classes: the classes' names; none for a regression.
        pair: whether it reads two texts.
        multi_label: whether a text may have several of the classes, or none.
        checkpoint: an opened Checkpoint to load the encoder from; fresh weights if None. A head that it has
            for the very same classes is loaded too, any other is left out.
        **options: those of `model_maker`.

    Returns:
        callable() -> Classifier, with `load_report` where there is a checkpoint.
    """

    head = head_maker(classes, pair=pair, multi_label=multi_label)
    return model_maker(config, head, checkpoint=checkpoint, **options)


def head_maker(classes, *, pair=False, multi_label=False):
    """Returns a function from an Encoder to the classifier; see `classifier_maker`."""

    def head(encoder):
        names = list(classes) or None
        return Classifier(encoder, len(classes) or 1, labels=names, pair=pair, multi_label=multi_label)

    return head


def predict_logits(
    model,
    examples,
    tokenizer,
    *,
    batch_size=8,
    max_seq_length=128,
    long_texts="cut",
    doc_stride=None,
    progress=None,
):
    """Gives each example's logits.

    Args:
        model: a Classifier.
        examples: Examples (tasks/classify/examples.py).
        tokenizer: its Tokenizer.
        batch_size: rows at a time.
        max_seq_length, long_texts, doc_stride: what becomes of a text that is longer, see `encode_texts`.
        progress: called as progress("predict", done, total, "example").

    Returns:
        float32 (N, C), in the order of the examples. Of a text in windows those of the mean of the windows'
        probabilities, or the mean of their numbers.

    Raises:
        UserError: pairs are missing where the model was trained on such, or see `encode_texts`.
    """
    if model.pair and examples.pairs is None:
        raise UserError(
            "The model was trained on pairs of texts; give a table, and the name of its column of second texts "
            "(pair_column)."
        )
    reading = {"max_seq_length": max_seq_length, "long_texts": long_texts, "doc_stride": doc_stride}
    rows, counts = encode_texts(examples.texts, examples.pairs, tokenizer, **reading)
    sizes = {"batch_size": batch_size, "max_seq_length": max_seq_length, "pad_id": tokenizer.pad_id}
    return _join_windows(model, predict_rows(model, rows, **sizes, progress=progress), counts)


def _join_windows(model, logits, counts):
    """Returns float32 (N, C) from the logits of the windows (R, C) and how many each example has (N,)."""
    if len(logits) == len(counts):
        return logits
    starts = np.cumsum(counts) - counts
    return KINDS[model.kind].join(np.asarray(logits, np.float64), starts, counts).astype(np.float32)


def train(
    model,
    tokenizer,
    training,
    held_out,
    options=None,
    *,
    classes=None,
    max_seq_length=128,
    long_texts="cut",
    doc_stride=None,
    eval_batch_size=8,
    metric=None,
    on_start=None,
    progress=None,
    **given,
):
    """Fine-tunes a classifier once for each seed and keeps the best on the held-out examples.

    A regression is trained on numbers with mean 0 and standard deviation 1, whatever the labels' scale; the model that
    comes back gives numbers on that scale.

    Args:
        model: callable() -> Classifier before training, such as `classifier_maker` gives; or the path of a checkpoint.
        tokenizer: the Tokenizer of its vocabulary.
        training, held_out: Examples with labels; `training.weights` says what each counts in the loss.
        options: a FineTuning; None for its defaults.
        classes: with a path: the classes' names, as `read_examples` gives them; none for a regression.
        max_seq_length, long_texts, doc_stride: what becomes of a text that is longer, see `encode_texts`. Each window
            is trained on with the text's label.
        eval_batch_size: examples a batch.
        metric: the figure that chooses the best run; None takes accuracy, micro F1 of several labels, or Pearson's
            correlation of numbers.
        on_start, progress, **given: see `best_of_runs`.

    Returns:
        A BestRun, whose outputs are the logits float32 (N, C) on `held_out`.

    Raises:
        UserError: a metric of another kind, a length that the model cannot read, and what `finetune` raises.
    """
    check_labelled(training, Examples, what="training")
    check_labelled(held_out, Examples, what="held_out")
    if held_out.kind != training.kind:
        raise UserError(f"The labels of training are {training.kind}, but those of held_out {held_out.kind}.")
    options, kind = FineTuning.of(options, **given), KINDS[training.kind]
    metric = kind.choose_metric(metric)
    reading = {"max_seq_length": max_seq_length, "long_texts": long_texts, "doc_stride": doc_stride}
    rows, counts = encode_texts(training.texts, training.pairs, tokenizer, **reading)
    held_rows, held_counts = encode_texts(held_out.texts, held_out.pairs, tokenizer, **reading)
    scale = _Scale.of(training.labels) if training.kind == "regression" else _Scale()
    labels = np.repeat(scale.standardise(training.labels), counts, axis=0)
    weights = None if training.weights is None else np.repeat(training.weights, counts, axis=0)
    head = head_maker(classes or [], pair=training.pairs is not None, multi_label=training.kind == "multi_label")
    make_model = maker_of(model, Classifier, tokenizer, max_seq_length=max_seq_length, head=head)

    sizes = {"max_seq_length": max_seq_length, "pad_id": tokenizer.pad_id}

    def make_dataset(seed, batch_size):
        return padded_batches(rows, labels, sample_weights=weights, seed=seed, batch_size=batch_size, **sizes)

    def predict(model):
        logits = predict_rows(model, held_rows, batch_size=eval_batch_size, **sizes)
        return scale.restore(_join_windows(model, logits, held_counts))

    learnable = Learnable(
        make_dataset=make_dataset,
        predict=predict,
        measure=lambda logits: kind.measure(held_out.labels, logits),
        metric=metric,
        larger_is_better=metric not in SMALLER_IS_BETTER,
    )

    def make():
        made = make_model()
        if made.kind != training.kind:
            raise UserError(
                f"The labels of training are {training.kind}, but the model answers with {made.kind}; give the classes "
                "that read_examples returns."
            )
        return scale.unfold(made)

    best = best_of_runs(make, learnable, options, on_start=on_start, progress=progress)
    counts = {"train_examples": len(training), "train_windows": len(labels), "eval_examples": len(held_out)}
    results = {
        **best.results,
        "metric": metric,
        **counts,
        "classes": [] if best.model.kind == "regression" else list(best.model.labels),
    }
    return BestRun(scale.fold(best.model), best.outputs, results)


@dataclasses.dataclass(frozen=True)
class _Scale:
    """What a regression's labels are on: `mean` and `sd` of the training set. Of classes nothing."""

    mean: float = 0.0
    sd: float = 1.0

    @classmethod
    def of(cls, numbers):
        return cls(float(numbers.mean()), float(numbers.std()) or 1.0)

    def standardise(self, labels):
        return labels if self == _Scale() else ((labels - self.mean) / self.sd).astype(np.float32)

    def restore(self, numbers):
        return numbers if self == _Scale() else (numbers * self.sd + self.mean).astype(np.float32)

    def fold(self, model):
        """Makes a model that gives standardised numbers give those of the labels' scale. Returns it."""
        return _scale_head(model, self.sd, self.mean)

    def unfold(self, model):
        """Undoes that where the head comes from a checkpoint. Returns the model."""
        report = getattr(model, "load_report", None)
        from_checkpoint = report is not None and {weight.name for weight in model.head_weights()} <= set(report.loaded)
        return _scale_head(model, 1 / self.sd, -self.mean / self.sd) if from_checkpoint else model


def _scale_head(model, factor, offset):
    """Multiplies what a model's dense layer gives and adds to it, in its weights."""
    if (factor, offset) != (1.0, 0.0):
        model.head.kernel.assign(model.head.kernel * factor)
        model.head.bias.assign(model.head.bias * factor + offset)
    return model


def prediction_columns(examples, logits, classes, *, kind="classes"):
    """Returns {column: list}, as `write_table` takes them: what was read, the answer, and all probabilities.

    Args:
        examples: the Examples.
        logits: float (N, C).
        classes: the C classes' names.
        kind: what the answers are, a key of KINDS.
    """
    read = {"id": examples.ids, "text": examples.texts, "pair": examples.pairs}
    read = {name: column for name, column in read.items() if column is not None}
    return {**read, **KINDS[kind].answers(logits, classes)}


def write_predictions(path, examples, logits, classes, *, kind="classes", label_separator=","):
    """Writes predictions as .tsv or .jsonl: `prediction_columns`, with a column for each class's probability in TSV."""
    write_table(path, prediction_columns(examples, logits, classes, kind=kind), separator=label_separator)
