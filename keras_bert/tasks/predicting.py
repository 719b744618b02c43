"""What a model says of rows of ids: in order of length, so that little is padding, and given back in the rows' order.

Legend: C choices, S sequence, N examples, R rows (N, or N * C).
"""

import keras
import numpy as np

from keras_bert.data.batches import check_rows

LENGTH_MULTIPLE = 8  # what batches are padded to


def predict_rows(
    model,
    rows,
    *,
    batch_size,
    max_seq_length,
    pad_id,
    num_choices=None,
    per_token=False,
    progress=None,
    stage="predict",
):
    """Runs a model on rows of ids.

    Args:
        model: a Classifier, TokenClassifier, SpanLabeler or MultipleChoice.
        rows: {"input_ids": list of R int sequences, "segment_ids": list of R, each as long as its ids}.
        batch_size: examples at a time.
        max_seq_length: no row may be longer.
        pad_id: the id of padding, the tokenizer's `pad_id`.
        num_choices: C; then C rows that follow one another are one example.
        per_token: whether the outputs have an axis of tokens, (N, S, ...).
        progress: called as progress(stage, done, total, "example") after each batch.
        stage: its first argument.

    Returns:
        The outputs in the model's structure, an array or a dict of arrays: float32 (N, ...); with `per_token` a list
        of N arrays (S_i, ...) instead, each as long as its row.

    Raises:
        UserError: see `check_rows`.
    """
    each = num_choices or 1
    longest = check_rows(rows, max_seq_length, num_choices, batch_size).reshape(-1, each).max(axis=1)  # (N,)
    order = np.argsort(longest, kind="stable")
    found, done = [None] * len(order), 0
    while done < len(order):  # not tf.data, each of whose pipelines costs a trace and some memory that stays
        chosen = order[done : done + batch_size]
        width = min(-(-longest[chosen].max() // LENGTH_MULTIPLE) * LENGTH_MULTIPLE, max_seq_length)
        outputs = model.predict_on_batch(_inputs(rows, chosen, width, num_choices, pad_id))
        for row, number in enumerate(chosen):
            found[number] = _of_row(outputs, row, longest[number] if per_token else None)
        done += len(chosen)
        if progress is not None:
            progress(stage, done, len(order), "example")
    join = list if per_token else np.stack
    return keras.tree.map_structure(lambda *arrays: join(arrays), *found)


def _inputs(rows, chosen, width, num_choices, pad_id):
    """Returns the model's inputs of some examples, {name: int32 (B, S), or (B, C, S)}."""
    each = num_choices or 1
    picked = (chosen[:, None] * each + np.arange(each)).ravel()
    lengths = np.array([len(rows["input_ids"][row]) for row in picked])
    is_token = np.arange(width) < lengths[:, None]
    inputs = {"input_mask": is_token.astype(np.int32)}
    for name, padding in (("input_ids", pad_id), ("segment_ids", 0)):
        inputs[name] = np.full(is_token.shape, padding, np.int32)
        inputs[name][is_token] = np.concatenate([rows[name][row] for row in picked])
    shape = (-1, width) if num_choices is None else (-1, num_choices, width)
    return {name: array.reshape(shape) for name, array in inputs.items()}


def _of_row(outputs, row, length):
    """Returns the outputs of one row of a batch, cut to a length; copies, so that the padding can go."""
    return keras.tree.map_structure(lambda array: np.array(array[row][:length], np.float32), outputs)
