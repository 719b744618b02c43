"""Multiple choice in Python: rows of questions, batches, training, asking and measuring.

N questions, C choices, B batch, S sequence.
"""

import numpy as np
from scipy.special import log_softmax, softmax

from keras_bert.data.batches import padded_batches
from keras_bert.data.texts import text_rows
from keras_bert.tasks.choose.files import Questions
from keras_bert.tasks.inputs import check_labelled

LONGEST = 128  # pieces of a row, where nobody says


def encode_choices(questions, tokenizer, *, max_seq_length=LONGEST):
    """Returns the rows of all questions, N * C of them: the context and, as the second text, start and choice.

    Without a start the second text is the choice as it is, white space included, as for a served model.

    Args:
        questions: Questions.
        tokenizer: a Tokenizer.
        max_seq_length: where both do not fit, the longer one loses its end.

    Returns:
        {"input_ids", "segment_ids"}: lists of N * C int32 arrays, the choices of a question following one another.
    """
    parts = zip(questions.contexts, questions.starts, questions.choices, strict=True)
    texts = [
        (context, " ".join(filter(None, (start, choice)))) for context, start, choices in parts for choice in choices
    ]
    return text_rows(texts, tokenizer, max_seq_length=max_seq_length)


def dataset(questions, tokenizer, *, max_seq_length=LONGEST, batch_size=16, shuffle=None, seed=0, **options):
    """Makes batches for `fit`, `evaluate` or `predict`.

    Args:
        questions: Questions, with labels or without.
        tokenizer: a Tokenizer.
        max_seq_length: longer rows are cut.
        batch_size: B.
        shuffle: a new order each pass; None shuffles where there are labels.
        seed: of that order.
        **options: further ones of `padded_batches`.

    Returns:
        A tf.data.Dataset of ({"input_ids", "input_mask", "segment_ids": int32 (B, C, S)}, labels int32 (B,)), or of the
        first alone.
    """
    rows = encode_choices(questions, tokenizer, max_seq_length=max_seq_length)
    options |= {"max_seq_length": max_seq_length, "batch_size": batch_size, "shuffle": shuffle, "seed": seed}
    shape = {"num_choices": questions.num_choices, "pad_id": tokenizer.pad_id}
    return padded_batches(rows, questions.labels, **shape, **options)


def choice_metrics(labels, logits):
    """Measures logits against labels.

    Args:
        labels: int (N,).
        logits: float (N, C).

    Returns:
        {"accuracy", "loss"}: the share of right answers, and the mean cross-entropy in nats.

    >>> choice_metrics([0, 1], np.zeros((2, 2)))
    {'accuracy': 0.5, 'loss': 0.6931471805599453}
    """
    labels, logits = np.asarray(labels), np.asarray(logits, np.float64)
    right = logits.argmax(axis=1) == labels
    losses = -log_softmax(logits, axis=1)[np.arange(len(labels)), labels]
    return {"accuracy": float(right.mean()), "loss": float(losses.mean())}


def train(model, tokenizer, training, held_out, options=None, *, max_seq_length=LONGEST, eval_batch_size=8, **given):
    """Fine-tunes a MultipleChoice once for each seed and keeps the best on the held-out questions, by accuracy.

    Args:
        model: callable() -> MultipleChoice before training, such as `model_maker` gives; or the path of a checkpoint.
        tokenizer: the Tokenizer of its vocabulary.
        training, held_out: Questions with labels.
        options: a FineTuning; None for its defaults.
        max_seq_length: longer rows are cut.
        eval_batch_size: held-out questions at a time.
        **given: see `best_of_runs`.

    Returns:
        A BestRun, whose outputs are the logits (N, C) of the held-out questions.
    """
    from keras_bert.models import MultipleChoice
    from keras_bert.tasks.runs import Learnable, best_of_runs, maker_of

    check_labelled(training, Questions, what="training")
    check_labelled(held_out, Questions, what="held_out")
    rows, asked = (encode_choices(each, tokenizer, max_seq_length=max_seq_length) for each in (training, held_out))
    sizes = {"max_seq_length": max_seq_length, "pad_id": tokenizer.pad_id}

    def make_dataset(seed, batch_size):
        options = {"num_choices": training.num_choices, "batch_size": batch_size, "seed": seed}
        return padded_batches(rows, training.labels, **options, **sizes)

    def predict(model):
        return _logits(model, asked, num_choices=held_out.num_choices, batch_size=eval_batch_size, **sizes)

    def measure(logits):
        return choice_metrics(held_out.labels, logits)

    learnable = Learnable(make_dataset=make_dataset, predict=predict, measure=measure, metric="accuracy")
    make_model = maker_of(model, MultipleChoice, tokenizer, max_seq_length=max_seq_length)
    return best_of_runs(make_model, learnable, options, **given)


def choice_logits(model, tokenizer, questions, *, max_seq_length=LONGEST, batch_size=32, progress=None):
    """Asks a model.

    Args:
        model: a MultipleChoice.
        tokenizer: its Tokenizer.
        questions: Questions.
        max_seq_length: longer rows are cut.
        batch_size: questions at a time.
        progress: called as progress(stage, done, total, "example") after each batch.

    Returns:
        Logits, float32 (N, C).
    """
    rows = encode_choices(questions, tokenizer, max_seq_length=max_seq_length)
    sizes = {"max_seq_length": max_seq_length, "batch_size": batch_size, "pad_id": tokenizer.pad_id}
    return _logits(model, rows, num_choices=questions.num_choices, progress=progress, **sizes)


def predict_choices(model, tokenizer, questions, **options):
    """Returns the probability of each choice, float64 (N, C). See `choice_logits`."""
    return softmax(choice_logits(model, tokenizer, questions, **options).astype(np.float64), axis=1)


def evaluate(model, tokenizer, questions, **options):
    """Measures a model on questions with labels. See `choice_logits`; returns the figures of `choice_metrics`."""
    return choice_metrics(questions.labels, choice_logits(model, tokenizer, questions, **options))


def _logits(model, rows, **options):
    """Returns the logits of rows, float32 (N, C)."""
    from keras_bert.tasks.predicting import predict_rows

    return predict_rows(model, rows, stage="answer", **options)
