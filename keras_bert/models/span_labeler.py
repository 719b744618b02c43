"""SpanLabeler: where an answer starts and ends in a passage (run_squad.py, create_model).

B batch, S sequence.
"""

import numbers

import keras
from keras import ops

from keras_bert.layers import SpanBlock
from keras_bert.layers.attention import MASKED
from keras_bert.layers.common import dense, dropout_layer
from keras_bert.models.headed import HeadedModel, token_hidden
from keras_bert.models.losses import SparseCrossEntropy
from keras_bert.models.packed import text_logits
from keras_bert.models.separators import OutsideQuestion


@keras.saving.register_keras_serializable(package="keras_bert")
class SpanLabeler(HeadedModel):
    """A dense layer that scores every token as an answer's start and as its end.

    Outputs are logits over the positions, float32: `start_logits` (B, S) and `end_logits` (B, S), padding among
    them, as in Google's code; BigBird's are a million lower in the question, but for [CLS], which stands for no answer.
    Its own loss takes the positions, `{"start_logits": int (B,), "end_logits": int (B,)}`, and is the mean of both
    cross-entropies. Of packed rows the logits are (B, N, S), those of a text -10,000 outside of it, and the
    positions count from the beginning of the row, int (B, N).

    Args:
        encoder: an Encoder.
        null_score_diff_threshold: of a model trained on questions without an answer as well (SQuAD 2.0), which are
            labelled 0 and 0: how far the score of no answer may lie over that of the best answer before there is
            none. None where each question has an answer. It is kept in task.json, and may be set on the model.
        name: the model's name.

    Raises:
        ValueError: a threshold that is not a number.

    Example:
        >>> from keras_bert.config import Config
        >>> from keras_bert.models import Encoder
        >>> sorted(SpanLabeler(Encoder(Config.from_name("tiny", vocab_size=100))).output)
        ['end_logits', 'start_logits']
    """

    TASK = "answer"
    BY_TEXT = True
    FIELDS = ("null_score_diff_threshold",)

    def __init__(self, encoder, *, null_score_diff_threshold=None, name="bert_span_labeler", **kwargs):
        if not isinstance(null_score_diff_threshold, numbers.Real | None):
            raise ValueError(f"null_score_diff_threshold must be a number. Received: {null_score_diff_threshold!r}.")
        # Layers
        config = encoder.bert_config
        labeler = dense(2, config.initializer_range, name="span_labeler", dtype=encoder.policy)
        block = None
        if config.span_block:
            block = SpanBlock(
                config.intermediate_size,
                activation=config.hidden_act,
                dropout=config.hidden_dropout_prob,
                initializer_range=config.initializer_range,
                layer_norm_eps=config.layer_norm_eps,
                name="span_block",
                dtype=encoder.policy,
            )

        # Functional model
        inputs = encoder.token_inputs()
        hidden, layer = encoder(inputs)["sequence_output"], token_hidden(encoder)
        hidden = hidden if layer is None else layer(hidden)
        if config.span_dropout_prob is not None:
            hidden = dropout_layer(config.span_dropout_prob, name="span_dropout", dtype=encoder.policy)(hidden)
        hidden = hidden if block is None else block(hidden)
        logits = ops.cast(labeler(hidden), "float32")  # (B, S, 2)
        if config.span_masks_question:
            logits = OutsideQuestion(config.sep_token_id, name="outside_question", dtype="float32")(
                logits, inputs["input_ids"], inputs.get("sequence_ids")
            )
        start, end = ops.unstack(logits, num=2, axis=-1)
        if encoder.packed:
            rows = (inputs["sequence_ids"], inputs["sequence_starts"])
            start, end = (text_logits(each, *rows, masked=MASKED) for each in (start, end))  # (B, N, S)
        super().__init__(inputs=inputs, outputs={"start_logits": start, "end_logits": end}, name=name, **kwargs)

        # Config
        self.span_block = block
        self.set_head(encoder, labeler, null_score_diff_threshold=null_score_diff_threshold)
        self.keep_hidden(layer)

    def task(self):
        """Returns the head's kind, and the threshold if it has one."""
        return {name: value for name, value in super().task().items() if value is not None}

    def default_loss(self):
        """Cross-entropy over the positions, of the start and of the end."""
        return {"start_logits": SparseCrossEntropy(), "end_logits": SparseCrossEntropy()}

    def default_loss_weights(self):
        """Half of each, as in run_squad.py."""
        return {"start_logits": 0.5, "end_logits": 0.5}
