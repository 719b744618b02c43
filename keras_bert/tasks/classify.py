"""A classifier of texts or pairs: examples in, a model directory with its figures and pictures out.

N examples, C classes.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
from scipy.special import softmax

from keras_bert.data.texts import text_dataset
from keras_bert.files import atomic_path
from keras_bert.models import BertClassifier, BertEncoder
from keras_bert.models.weights import assign_arrays
from keras_bert.tasks.metrics import classification_metrics, mean_and_sd
from keras_bert.tasks.plots import draw_confusion
from keras_bert.tasks.table import write_tsv
from keras_bert.training.finetune import finetune_runs
from keras_bert.training.logs import draw_curves

CURVES = {
    "loss": {"training": "loss", "held-out": "val_loss"},
    "accuracy": {"training": "accuracy", "held-out": "val_accuracy"},
}


class Predictor:
    """Gives any model's logits on the same examples, which are tokenised once.

    They go through the model in order of length, so that little of a batch is padding.

    Args:
        examples: Examples (tasks/examples.py).
        tokenizer: a Tokenizer.
        max_seq_length: longer texts are cut to it.
        batch_size: examples at a time.
    """

    def __init__(self, examples, tokenizer, *, max_seq_length, batch_size):
        pairs = examples.pairs or [None] * len(examples)
        lengths = [len(text) + len(pair or "") for text, pair in zip(examples.texts, pairs, strict=True)]
        self.order = np.argsort(lengths, kind="stable")
        both = [(examples.texts[i], pairs[i]) for i in self.order]
        self.dataset = text_dataset(both, None, tokenizer, max_seq_length=max_seq_length, batch_size=batch_size)

    def logits(self, model):
        """Returns float32 (N, C), in the order of the examples."""
        ordered = model.predict(self.dataset, verbose=0)
        logits = np.empty_like(ordered)
        logits[self.order] = ordered
        return logits


def classifier_maker(config, classes, *, pair=False, checkpoint=None, dtype=None):
    """Returns a function that makes the classifier as it is before fine-tuning.

    Args:
        config: the BertConfig, with the rates of dropout to train with.
        classes: the classes' names.
        pair: whether it reads two texts.
        checkpoint: an opened Checkpoint to load the encoder from; fresh weights if None. A head that it has
            for the very same classes is loaded too, any other is left out.
        dtype: a Keras dtype policy or its name.

    Returns:
        callable() -> BertClassifier, with `load_report` where there is a checkpoint.
    """
    if checkpoint is not None and checkpoint.task.get("labels") != list(classes):
        encoder = {name: shape for name, shape in checkpoint.shapes.items() if not name.startswith("output_")}
        checkpoint = dataclasses.replace(checkpoint, shapes=encoder)

    def make():
        model = BertClassifier(BertEncoder(config, dtype=dtype), len(classes), labels=list(classes), pair=pair)
        if checkpoint is not None:
            model.load_report = assign_arrays(model, checkpoint)
        return model

    return make


@dataclasses.dataclass
class BestRun:
    """What is kept of several runs: the one of highest accuracy (of equal ones the first), and every accuracy."""

    accuracies: list[float] = dataclasses.field(default_factory=list)
    seed: int | None = None
    model: BertClassifier | None = None
    weights: list | None = None
    history: dict | None = None
    logits: np.ndarray | None = None

    def add(self, seed, model, history, logits):
        """Adds a run, and keeps its history, its logits and a copy of its weights if it is the best so far."""
        accuracy = history["val_accuracy"][-1]
        if not self.accuracies or accuracy > max(self.accuracies):
            self.seed, self.model, self.weights = seed, model, model.get_weights()
            self.history, self.logits = history, logits
        self.accuracies.append(accuracy)


def train_classifier(
    make_model,
    tokenizer,
    train,
    evaluation,
    *,
    seeds,
    max_seq_length=128,
    train_batch_size=32,
    eval_batch_size=8,
    on_start=None,
    **options,
):
    """Fine-tunes a classifier once for each seed and keeps the best on the held-out examples.

    Args:
        make_model: callable() -> BertClassifier before training, such as `classifier_maker` gives.
        tokenizer: the Tokenizer of its vocabulary.
        train, evaluation: Examples with labels.
        seeds: a list of int; each draws the new weights, dropout and the order of the batches.
        max_seq_length: longer texts are cut to it.
        train_batch_size, eval_batch_size: examples a batch.
        on_start: callable(model), called once when the first model stands and before it is trained.
        **options: those of `finetune`.

    Returns:
        model, results, logits: the best run's BertClassifier; a dict of its figures and of all accuracies,
        their mean and standard deviation; its logits float32 (N, C) on `evaluation`. `results["history"]` has the
        best run's figures after each epoch.

    Raises:
        UserError: a length that the model cannot read, and what `finetune` raises.
    """
    held_out = Predictor(evaluation, tokenizer, max_seq_length=max_seq_length, batch_size=eval_batch_size)

    def make():
        nonlocal on_start
        model = make_model()
        if on_start is not None:
            on_start(model)
            on_start = None
        return model

    def make_dataset(seed):
        sizes = {"max_seq_length": max_seq_length, "batch_size": train_batch_size}
        return text_dataset(train.texts, train.labels, tokenizer, pairs=train.pairs, seed=seed, **sizes)

    def evaluate(model):
        nonlocal logits
        logits = held_out.logits(model)
        return classification_metrics(evaluation.labels, logits)

    best, logits = BestRun(), None
    for seed, model, history in finetune_runs(make, make_dataset, seeds, evaluate=evaluate, **options):
        best.add(seed, model, history.history, logits)
    best.model.set_weights(best.weights)
    mean, sd = mean_and_sd(best.accuracies)
    results = {
        **classification_metrics(evaluation.labels, best.logits),
        "accuracies": best.accuracies,
        "accuracy_mean": mean,
        "accuracy_sd": sd,
        "seed": best.seed,
        "seeds": list(seeds),
        "global_step": best.history["step"][-1],
        "train_examples": len(train),
        "eval_examples": len(evaluation),
        "classes": list(best.model.labels),
        "history": best.history,
    }
    return best.model, results, best.logits


def write_predictions(path, examples, logits, classes):
    """Writes a TSV: the text (and its pair), the label, its probability, and each class's in a column of its own."""
    probabilities = softmax(np.asarray(logits, np.float64), axis=1)  # (N, C)
    answers = probabilities.argmax(axis=1)
    columns = {"text": examples.texts, **({} if examples.pairs is None else {"pair": examples.pairs})}
    columns["label"] = [classes[answer] for answer in answers]
    columns["probability"] = [f"{p:.6f}" for p in probabilities.max(axis=1)]
    for name, column in zip(classes, probabilities.T, strict=True):
        columns[f"probability of {name}"] = [f"{p:.6f}" for p in column]
    write_tsv(path, columns)


def write_output(output_dir, model, tokenizer, results, evaluation, logits, *, title):
    """Writes eval_results.json, confusion.png, curves.png and, last of all, the model directory.

    Args:
        output_dir: a Path; made if need be.
        model, results, logits: what `train_classifier` returned.
        tokenizer: the model's Tokenizer.
        evaluation: the held-out Examples.
        title: the heading of the pictures.
    """
    output_dir = Path(output_dir)
    with atomic_path(output_dir / "eval_results.json") as temporary:
        temporary.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    draw_confusion(evaluation.labels, logits.argmax(axis=1), model.labels, output_dir / "confusion.png", title=title)
    history = results["history"]
    # The figures of the held-out examples may be there for the last epoch alone: all lists end together.
    rows = [
        {name: values[-back] for name, values in history.items() if back <= len(values)}
        for back in range(len(history["step"]), 0, -1)
    ]
    draw_curves(rows, output_dir / "curves.png", curves=CURVES, title=title)
    model.save_pretrained(output_dir, tokenizer=tokenizer)
