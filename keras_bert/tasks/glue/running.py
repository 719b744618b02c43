"""A GLUE task's models: their head, their training, and what they say of whole splits.

N examples, C classes.
"""

import dataclasses

from keras_bert.data.batches import padded_batches
from keras_bert.data.texts import text_rows
from keras_bert.models import Classifier
from keras_bert.tasks.glue.figures import metrics
from keras_bert.tasks.glue.rows import suffix
from keras_bert.tasks.predicting import predict_rows
from keras_bert.tasks.runs import Learnable, best_of_runs, maker_of


def make_head(task):
    """Returns a function from an Encoder to the task's model, as `model_maker` takes it."""
    labels = list(task.labels) or None

    def head(encoder):
        return Classifier(encoder, task.num_classes, labels=labels, pair=task.pair)

    return head


class Splits:
    """Some splits of a task, tokenised once, to run models on and to measure them.

    Args:
        task: a GlueTask.
        examples: {split: Examples}.
        tokenizer: a Tokenizer.
        max_seq_length: longer texts are cut to it.
        batch_size: examples at a time.
        columns: which columns of the logits are the task's labels; None for all as they are.
        progress: called as progress("predict dev", done, total, "example"), with the split's name.
    """

    def __init__(self, task, examples, tokenizer, *, max_seq_length, batch_size, columns=None, progress=None):
        self.task, self.examples, self.columns, self.progress = task, examples, columns, progress
        self.sizes = {"max_seq_length": max_seq_length, "batch_size": batch_size, "pad_id": tokenizer.pad_id}
        self.rows = {
            split: text_rows(each.texts, tokenizer, pairs=each.pairs, max_seq_length=max_seq_length)
            for split, each in examples.items()
        }

    def predict(self, model):
        """Returns {split: logits float32 (N, C)}."""
        logits = {
            split: predict_rows(model, rows, progress=self.progress, stage=f"predict {split}", **self.sizes)
            for split, rows in self.rows.items()
        }
        return logits if self.columns is None else {split: each[:, self.columns] for split, each in logits.items()}

    def counts(self):
        """Returns the number of examples of the first split."""
        return len(next(iter(self.examples.values())))

    def measure(self, logits):
        """Returns {name: figure}; those of a mismatched split end in "_mismatched"."""
        return {
            name + suffix(split): figure
            for split, each in logits.items()
            for name, figure in metrics(self.task, self.examples[split].labels, each).items()
        }


def train(task, model, tokenizer, training, held_out, options=None, *, max_seq_length, **given):
    """Fine-tunes on a task, as often as its options say.

    Args:
        task: a GlueTask.
        model: callable() -> the model before training, such as `model_maker` gives; or the path of a checkpoint.
        tokenizer: the Tokenizer of the model.
        training: Examples with labels.
        held_out: the Splits to measure on; None for none, and then one run, kept as it ends.
        options: a FineTuning; None for its defaults.
        max_seq_length: longer texts are cut to it.
        **given: see `best_of_runs`.

    Returns:
        A BestRun, whose outputs are {split: logits} of the held-out splits.

    Raises:
        UserError: several runs with nothing to choose by, and what `best_of_runs` raises.
    """
    rows = text_rows(training.texts, tokenizer, pairs=training.pairs, max_seq_length=max_seq_length)

    def make_dataset(seed, batch_size):
        sizes = {"batch_size": batch_size, "max_seq_length": max_seq_length}
        return padded_batches(rows, training.labels, pad_id=tokenizer.pad_id, seed=seed, **sizes)

    measured = {}
    if held_out is not None:
        measured = {"predict": held_out.predict, "measure": held_out.measure, "metric": task.metrics[0]}
    learnable = Learnable(make_dataset=make_dataset, **measured)
    make_model = maker_of(model, Classifier, tokenizer, max_seq_length=max_seq_length, head=make_head(task))
    best = best_of_runs(make_model, learnable, options, **given)
    counts = {"train_examples": len(training)} | ({"eval_examples": held_out.counts()} if measured else {})
    return dataclasses.replace(best, results={"task": task.name, **best.results, **counts})
