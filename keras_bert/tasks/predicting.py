"""What a model says of rows of ids: in order of length, so that little is padding, and given back in the rows' order.

Legend: C choices, S sequence, N examples, R rows (N, or N * C).
"""

import keras
import numpy as np

from keras_bert.data.batches import padded_batches

LENGTH_MULTIPLE = 8  # what batches are padded to


def predict_rows(
    model,
    rows,
    *,
    batch_size,
    max_seq_length,
    num_choices=None,
    per_token=False,
    progress=None,
    stage="predict",
):
    """Runs a model on rows of ids.

    Args:
        model: a BertClassifier, BertTokenClassifier, BertSpanLabeler or BertMultipleChoice.
        rows: {"input_ids": list of R int sequences, "segment_ids": list of R, each as long as its ids}.
        batch_size: examples at a time.
        max_seq_length: no row may be longer.
        num_choices: C; then C rows that follow one another are one example.
        per_token: whether the outputs have an axis of tokens, (N, S, ...).
        progress: called as progress(stage, done, total, "example") after each batch.
        stage: its first argument.

    Returns:
        The outputs in the model's structure, an array or a dict of arrays: float32 (N, ...); with `per_token` a list
        of N arrays (S_i, ...) instead, each as long as its row.

    Raises:
        UserError: see `padded_batches`.
    """
    each = num_choices or 1
    lengths = np.array([len(row) for row in rows["input_ids"]])
    longest = lengths[: len(lengths) // each * each].reshape(-1, each).max(axis=1)  # (N,)
    order = np.argsort(longest, kind="stable")
    # Outputs of different lengths cannot be joined: then each length is a run of its own, of the same traced graph.
    padded = -(-longest[order] // LENGTH_MULTIPLE)
    groups = np.split(order, np.flatnonzero(np.diff(padded)) + 1) if per_token else [order]
    watch = _Watch(progress, stage, len(order), batch_size)
    outputs = []
    for group in groups:
        picked = (group[:, None] * each + np.arange(each)).ravel()
        batches = padded_batches(
            {name: [rows[name][i] for i in picked] for name in ("input_ids", "segment_ids")},
            batch_size=batch_size,
            max_seq_length=max_seq_length,
            num_choices=num_choices,
            pad_to_multiple=LENGTH_MULTIPLE,
        )
        watch.begin(len(group))
        outputs.append(model.predict(batches, verbose=0, callbacks=[watch]))
    join = _join_tokens if per_token else _join
    return keras.tree.map_structure(lambda *arrays: join(arrays, groups, longest), *outputs)


def _join(arrays, groups, lengths):
    """Returns float32 (N, ...) from the outputs of one group, in the rows' order."""
    (array,), (order,) = arrays, groups
    joined = np.empty(array.shape, np.float32)
    joined[order] = array
    return joined


def _join_tokens(arrays, groups, lengths):
    """Returns a list of N float32 arrays (S_i, ...) from the outputs of each group."""
    joined = [None] * len(lengths)
    for array, group in zip(arrays, groups, strict=True):
        for row, number in zip(array, group, strict=True):
            joined[number] = np.array(row[: lengths[number]], np.float32)  # a copy, so that the padding can go
    return joined


class _Watch(keras.callbacks.Callback):
    """Tells how many examples are done, over several calls of `predict`."""

    def __init__(self, progress, stage, total, batch_size):
        super().__init__()
        self.progress, self.stage, self.total, self.batch_size = progress, stage, total, batch_size
        self.before = self.ahead = 0

    def begin(self, count):
        """Notes that a call with `count` examples follows."""
        self.before, self.ahead = self.before + self.ahead, count

    def on_predict_batch_end(self, batch, logs=None):
        if self.progress is not None:
            done = self.before + min((batch + 1) * self.batch_size, self.ahead)
            self.progress(self.stage, done, self.total, "example")
