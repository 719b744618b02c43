"""What heads of some families read off a text's separators: its question, its segments, its global tokens.

Sources: transformers, modeling_longformer.py (_compute_global_attention_mask) and modeling_big_bird.py
(BigBirdForQuestionAnswering). B batch, S sequence.
"""

import typing

import keras
from keras import ops

from keras_bert.layers.common import ConfigLayer
from keras_bert.layers.embeddings import counted_before, places_in_texts

IN_QUESTION = 1e6  # what transformers' BigBird takes off the scores of the question
LAYOUT = 3  # separators of a pair of texts of RoBERTa's: <s> A </s></s> B </s>


class Separators(typing.NamedTuple):
    """Where the separators of each text are. All are int32 (..., S), or (..., 1) where a row is one text.

    Attributes:
        place: the place of each token in its text.
        here: 1 for separators.
        before: how many there are before each token.
        total: how many there are in its text.
        first: the place of the first one; 0 where there is none.
    """

    place: object
    here: object
    before: object
    total: object
    first: object

    @classmethod
    def of(cls, config, ids, sequence_ids=None):
        """Finds them in a batch.

        Args:
            config: a Config; without a sep_token_id there are none.
            ids: int (..., S).
            sequence_ids: int (B, S), the texts of packed rows, or None.
        """
        ids = ops.cast(ids, "int32")
        here = ops.zeros_like(ids)
        if config.sep_token_id is not None:
            here = ops.cast(ops.equal(ids, config.sep_token_id), "int32")
        if sequence_ids is None:
            place, before = (ops.cumsum(x, axis=-1) - x for x in (ops.ones_like(ids), here))
        else:
            place, before = places_in_texts(sequence_ids), counted_before(here, sequence_ids)

        def summed(x):  # over the tokens of a text
            if sequence_ids is None:
                return ops.sum(x, axis=-1, keepdims=True)
            same = ops.equal(ops.expand_dims(sequence_ids, 2), ops.expand_dims(sequence_ids, 1))
            return ops.sum(ops.where(same, ops.expand_dims(x, 1), 0), axis=-1)

        first = summed(place * here * ops.cast(ops.equal(before, 0), "int32"))
        return cls(place, here, before, summed(here), first)


def question_mask(config, ids, sequence_ids=None):
    """Returns float32 (..., S), 1 in the question, from the second token up to the first separator.

    >>> from keras_bert.config import Config
    >>> found = question_mask(Config(sep_token_id=3), ops.convert_to_tensor([[2, 7, 8, 3, 7, 3], [2, 7, 7, 7, 7, 7]]))
    >>> ops.convert_to_numpy(found).tolist()
    [[0.0, 1.0, 1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]
    """
    found = Separators.of(config, ids, sequence_ids)
    return ops.cast(ops.logical_and(found.place <= found.first, found.place > 0), "float32")


def question_segments(config, ids, sequence_ids=None):
    """Returns int32 (..., S): 0 up to the first separator, 1 after it.

    >>> from keras_bert.config import Config
    >>> found = question_segments(Config(sep_token_id=3), ops.convert_to_tensor([[2, 7, 8, 3, 7, 3]]))
    >>> ops.convert_to_numpy(found).tolist()
    [[0, 0, 0, 0, 1, 1]]
    """
    found = Separators.of(config, ids, sequence_ids)
    return ops.cast(found.place > found.first, "int32")


def global_tokens(config, task, ids, input_mask, sequence_ids=None):
    """Returns which tokens see all where nobody says: int32 (..., S), 1 for those.

    Of a text to classify it is the first token; of a question with its context the tokens before the first separator;
    of a choice those after the separators that follow the question. A text without any separator has its first token
    alone. There are at most `max_global_tokens` of a text, the first ones; of other tasks there are none.

    Args:
        config: a Config.
        task: whose head it is for, as task.json calls it; None for an encoder alone.
        ids, input_mask: int (..., S).
        sequence_ids: int (B, S), the texts of packed rows, or None.

    >>> from keras_bert.config import Config
    >>> ids = ops.convert_to_tensor([[0, 7, 2, 2, 8, 9, 2, 1]])
    >>> config, mask = Config(sep_token_id=2), ops.not_equal(ids, 1)
    >>> for task in ("classify", "answer", "choose"):
    ...     ops.convert_to_numpy(global_tokens(config, task, ids, mask)).tolist()
    [[1, 0, 0, 0, 0, 0, 0, 0]]
    [[1, 1, 0, 0, 0, 0, 0, 0]]
    [[0, 0, 0, 0, 1, 1, 1, 0]]
    """
    if task not in ("classify", "answer", "choose"):
        return ops.zeros_like(ids, dtype="int32")
    found = Separators.of(config, ids, sequence_ids)
    is_first, has_some = ops.equal(found.place, 0), found.total > 0
    if task == "classify":
        chosen = is_first
    elif task == "answer":
        is_question = ops.logical_and(has_some, ops.equal(found.before + found.here, 0))
        chosen = ops.logical_or(is_first, is_question)
    else:
        is_second = ops.logical_or(ops.equal(found.total, LAYOUT), found.here > 0)
        is_second = ops.logical_and(is_second, ops.equal(found.place, found.first + 1))
        chosen = ops.logical_and(found.before > 0, ops.logical_not(is_second))
        chosen = ops.where(has_some, chosen, is_first)
    chosen = ops.cast(chosen, "int32") * ops.cast(ops.not_equal(input_mask, 0), "int32")
    if sequence_ids is not None:
        return chosen
    return ops.where(ops.cumsum(chosen, axis=-1) <= config.max_global_tokens, chosen, 0)


@keras.saving.register_keras_serializable(package="keras_bert")
class OutsideQuestion(ConfigLayer):
    """Takes a million off the scores of the question, so that answers lie in the context or at [CLS].

    Args:
        sep_token_id: the id that ends the question; None for none.
    """

    FIELDS = ("sep_token_id",)

    def __init__(self, sep_token_id, **kwargs):
        super().__init__(**kwargs)
        self.set_fields(sep_token_id=sep_token_id)

    def call(self, inputs, ids, sequence_ids=None):
        """Returns float (B, S, 2) from the same, int ids (B, S), and the texts of packed rows or None."""
        mask = ops.expand_dims(question_mask(self, ids, sequence_ids), -1)
        return inputs - IN_QUESTION * ops.cast(mask, inputs.dtype)

    def compute_output_spec(self, inputs, ids, sequence_ids=None):
        """Gives the shape without running `call`, for which the length may be unknown."""
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)
