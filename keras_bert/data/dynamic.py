"""Masking while training: unmasked records get fresh masks whenever they are read (RoBERTa, Liu et al. 2019, 4.1).

The masks are drawn by the data tool's own `mask_tokens`, a batch at a time, in the process that reads the records:
such a dataset cannot be sent to another one, as to tf.data's service.
Legend: B batch, S sequence, P predictions.
"""

import dataclasses
import math

from keras_bert.data.draws import RecordDraws
from keras_bert.data.manifests import agreed, records_vocabulary
from keras_bert.data.masking import MASKINGS, mask_tokens
from keras_bert.errors import UserError
from keras_bert.text.vocabulary import Vocabulary

# Each setting's name in the manifest and among the flags, and Google's default where no manifest tells it.
SETTINGS = {
    "masking": ("masking", "token"),
    "masked_lm_prob": ("masked_lm_prob", 0.15),
    "max_predictions": ("max_predictions_per_seq", None),
}


@dataclasses.dataclass(frozen=True)
class Ramp:
    """A share that goes on a line from one value to another, batch by batch, and stays there.

    Attributes:
        first, last: the values.
        batches: over which it goes.
        offset: batches before the first one that is read here.

    Example:
        >>> ramp = Ramp(0.3, 0.15, batches=4)
        >>> [round(ramp.at(batch), 2) for batch in range(6)]
        [0.3, 0.25, 0.2, 0.15, 0.15, 0.15]
    """

    first: float
    last: float
    batches: int
    offset: int = 0

    def at(self, batch):
        """Returns the value for a batch, counted from 0."""
        share = min(1.0, (self.offset + batch) / max(1, self.batches - 1))
        return self.first + (self.last - self.first) * share

    def __format__(self, spec):
        return f"{self.first:{spec}} to {self.last:{spec}}"


@dataclasses.dataclass(frozen=True)
class DynamicMasking:
    """How unmasked records are masked.

    Attributes:
        vocabulary: the records' Vocabulary.
        masking: a row of `keras_bert.data.masking.MASKINGS`.
        masked_lm_prob: share of the tokens to predict, or a Ramp of it.
        max_predictions: P, the most tokens to predict an example.
    """

    vocabulary: Vocabulary
    masking: str
    masked_lm_prob: float | Ramp
    max_predictions: int

    def __str__(self):
        return f"{self.masking}, {self.masked_lm_prob:.3g} of the tokens, at most {self.max_predictions} an example"

    def features(self, ids, numbers, batch, *, seed):
        """Masks a batch in the graph.

        Args:
            ids: int32 (B, S), unmasked tokens.
            numbers: int64 (B,), one for each record and each time it is read. The same record, number and seed give
                the same masks, whatever else is in the batch.
            batch: int64 (), the number of the batch, by which a Ramp goes; 0 without one.
            seed: int.

        Returns:
            The four features that masked records have beyond unmasked ones or otherwise: "input_ids" (B, S),
            "masked_lm_positions", "masked_lm_ids" and "masked_lm_weights" (B, P).
        """
        import tensorflow as tf

        options, share = {"max_predictions": self.max_predictions, "masking": self.masking}, self.masked_lm_prob

        def mask(ids, numbers, batch):
            rate = share.at(int(batch)) if isinstance(share, Ramp) else share
            masked = mask_tokens(ids, self.vocabulary, rng=RecordDraws(numbers, seed=seed), rate=rate, **options)
            return masked.input_ids, masked.positions, masked.ids, masked.weights

        columns = tf.numpy_function(mask, [ids, numbers, batch], [tf.int32, tf.int32, tf.int32, tf.float32])
        predictions = (ids.shape[0], self.max_predictions)
        for column, shape in zip(columns, (ids.shape, predictions, predictions, predictions), strict=True):
            column.set_shape(shape)
        names = ("input_ids", "masked_lm_positions", "masked_lm_ids", "masked_lm_weights")
        return dict(zip(names, columns, strict=True))


def dynamic_masking(files, *, max_seq_length, vocabulary=None, masking=None, masked_lm_prob=None, max_predictions=None):
    """Returns the DynamicMasking of unmasked records; what is None is read off the manifest or vocabulary beside them.

    Args:
        files: paths of TFRecord files.
        max_seq_length: their S. A share that is given and needs more predictions than the manifest says gets them.
        vocabulary: a Vocabulary, a Tokenizer or the path of a vocab.txt.
        masking, masked_lm_prob, max_predictions: see DynamicMasking.

    Raises:
        UserError: nothing says the vocabulary or the number of predictions, manifests contradict each other, or
            settings with which nothing can be masked.
    """
    settings = {"masking": masking, "masked_lm_prob": masked_lm_prob, "max_predictions": max_predictions}
    for name, (key, default) in SETTINGS.items():
        if settings[name] is None:
            settings[name] = agreed(files, key, default=default, remedy=f"choose one with {name} (--{key})")
    vocabulary = records_vocabulary(files, vocabulary)
    for value, name, flag in (
        (vocabulary, "vocabulary", "vocab_file"),
        (settings["max_predictions"], "max_predictions", "max_predictions_per_seq"),
    ):
        if value is None:
            raise UserError(
                f"{files[0]} holds unmasked records, and nothing beside them tells the {name} to mask them with; "
                f"give {name} (--{flag})."
            )
    _check(vocabulary, **settings)
    if max_predictions is None and masked_lm_prob is not None:
        needed = math.ceil(max(_ends(masked_lm_prob)) * max_seq_length)
        settings["max_predictions"] = max(settings["max_predictions"], needed)
    return DynamicMasking(vocabulary, **settings)


def _ends(share):
    """Returns the values between which a share goes."""
    return (share.first, share.last) if isinstance(share, Ramp) else (share,)


def _check(vocabulary, *, masking, masked_lm_prob, max_predictions):
    """Raises a UserError for settings with which nothing can be masked."""
    if masking not in MASKINGS:
        raise UserError(f"masking must be one of {', '.join(MASKINGS)}. Received: {masking!r}.")
    for share in _ends(masked_lm_prob):
        if not isinstance(share, (int, float)) or not 0 < share <= 1:
            raise UserError(f"masked_lm_prob must lie above 0 and not above 1. Received: {share!r}.")
    if not isinstance(max_predictions, int) or max_predictions < 1:
        raise UserError(f"max_predictions must be at least 1. Received: {max_predictions!r}.")
    if not len(vocabulary.replacement_ids):
        raise UserError("The vocabulary has special tokens only; learn one with keras-bert train_vocab.")
