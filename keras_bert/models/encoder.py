"""Encoder: token ids -> hidden states, of any family (Devlin et al. 2018, section 3; modeling.py, BertModel).

B batch, S sequence, P positions, H hidden, E embedding, A heads.
"""

import contextlib
import contextvars
import json
import types

import keras
from keras import ops

from keras_bert.checkpoints.parts import check_memory
from keras_bert.config import Config
from keras_bert.models.base import PretrainedModel
from keras_bert.models.encoder_layers import Layers
from keras_bert.models.inputs import complete_inputs, token_inputs
from keras_bert.models.walk import mark_depths, marked_depth

# {id of an encoder: what computes it instead}, of the calls of one thread: others go on as they are.
_computed_by = contextvars.ContextVar("computed_by", default=types.MappingProxyType({}))


@keras.saving.register_keras_serializable(package="keras_bert")
class Encoder(PretrainedModel):
    """The encoder that every model stands on.

    Inputs are a dict of int tensors (B, S): `input_ids`, `input_mask` (1 real, 0 padding) and
    `segment_ids`, of which the last two may be left out (then all tokens but [PAD] are real and in segment 0), by these
    names or Hugging Face's, `attention_mask` and `token_type_ids`; what else the dict holds is left alone, as
    segments are by a family that has none. Outputs are a dict: `sequence_output` float (B, S, H), `pooled_output`
    float (B, H) of a family with a pooler, and on request

        `embedding_output`, float (B, S, E), and `encoder_outputs`, a list of one float (B, S, H) a block run;
        `attention_scores`, a list of one float32 (B, A, S, S) a block: how much a head's every position
        (the third axis) takes from every other (the last, which sums to 1), before dropout.

    Rows of a packed batch hold several texts, of which none sees another. Such an encoder takes `sequence_ids`, int
    (B, S), in the place of `input_mask`: 1 for the tokens of the first text, 2 for the second's and so on, 0 for
    padding; and `sequence_starts`, int (B, N): where each text begins, 0 past them. `pooled_output` is (B, N, H) then.
    Longformer takes `global_attention_mask` too, int (B, S), 1 for tokens that see all; left out, there are none.

    Args:
        config: a Config.
        return_all_layers: whether the embeddings' and each block's output are returned too.
        return_attention_scores: whether each block's attention probabilities are returned too.
        packed: whether rows hold several texts, see above.
        sentence_vectors: how `keras_bert.embed` makes a text's vector, as the checkpoint says; None where it does not.
        embeddings_of: an Encoder whose embeddings it has, as ELECTRA's generator has its discriminator's; a copy has
            embeddings of its own.
        dtype: a Keras dtype policy or its name; the global one if None.

    Example:
        >>> encoder = Encoder(Config.from_name("tiny", vocab_size=100))
        >>> sorted(encoder.output)
        ['pooled_output', 'sequence_output']
    """

    def __init__(
        self,
        config,
        *,
        return_all_layers=False,
        return_attention_scores=False,
        sentence_vectors=None,
        packed=False,
        embeddings_of=None,
        dtype=None,
        name="bert_encoder",
        **kwargs,
    ):
        if not isinstance(config, Config):
            raise TypeError(f'config must be a Config, such as Config.from_name("tiny"). Received: {config!r}.')
        policy = keras.dtype_policies.get(dtype)
        if keras.distribution.distribution() is None:  # else each device may hold a part of them
            check_memory(config, itemsize=2 if policy.variable_dtype.endswith("16") else 4)

        # Layers
        layers = Layers.of(config, policy, embeddings_of=embeddings_of)

        # Functional model
        inputs = token_inputs(config, packed=packed)
        outputs = layers.encode(inputs, config, return_scores=return_attention_scores)
        if not return_all_layers:
            outputs = {n: x for n, x in outputs.items() if n not in ("embedding_output", "encoder_outputs")}
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)

        # Config
        self.bert_config = config
        self.packed = packed
        self.return_all_layers = return_all_layers
        self.return_attention_scores = return_attention_scores
        self._sentence_vectors = json.dumps(sentence_vectors)  # as text: Keras tracks a dict, and saves it
        self.policy = policy
        layers.keep_in(self)
        mark_depths(self)

    @property
    def variables(self):
        """As Keras has it; whoever takes them from any model finds their depths on them, see models/walk.py."""
        return self._marked(super().variables)

    @property
    def weights(self):
        """As Keras has it; likewise."""
        return self._marked(super().weights)

    def _marked(self, found):
        if hasattr(self, "pooler") and any(each.trainable and marked_depth(each) is None for each in found):
            mark_depths(self)  # LoRA has added some since the encoder was made
        return found

    @property
    def sentence_vectors(self):
        """How `keras_bert.embed` makes a text's vector, a dict that the checkpoint's files say, or None."""
        return json.loads(self._sentence_vectors)

    @classmethod
    def build_from(cls, config, task, **options):
        """Makes the encoder with fresh weights; task.json says how sentence vectors are made."""
        return cls(config, **{"sentence_vectors": task.get("sentence_vectors"), **options})

    def task(self):
        """Returns what task.json says of a bare encoder: how sentence vectors are made, if anything."""
        return {"sentence_vectors": self.sentence_vectors} if self.sentence_vectors else {}

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "config": self.bert_config.to_dict(),
            "return_all_layers": self.return_all_layers,
            "return_attention_scores": self.return_attention_scores,
            **({"packed": True} if self.packed else {}),
            **self.task(),
            "dtype": keras.dtype_policies.serialize(self.policy),
        }

    def call(self, inputs, training=None, mask=None, positions=None):
        """Encodes a batch.

        Args:
            inputs: the dict of inputs.
            training: whether dropout is on.
            positions: int (B, P); then the outputs are `sequence_output` (B, P, H), the hidden states at these
                positions, and `pooled_output`, and the last block computes no other position: of 128, with 20 to
                predict, it saves five sixths of that block.
        """
        inputs = complete_inputs(self, inputs)
        instead = _computed_by.get().get(id(self))
        if instead is not None:
            return instead(inputs, positions)
        if positions is None:
            return super().call(inputs, training=training, mask=mask)
        layers = Layers.of_encoder(self)
        outputs = layers.encode(inputs, self.bert_config, positions=positions, training=training)
        return {name: outputs[name] for name in self.output if name in ("sequence_output", "pooled_output")}

    @contextlib.contextmanager
    def computed_by(self, function):
        """Has another function compute this thread's calls inside, as graphs for inference are made.

        Args:
            function: (inputs, positions) -> outputs, as in `call`.
        """
        token = _computed_by.set({**_computed_by.get(), id(self): function})
        try:
            yield
        finally:
            _computed_by.reset(token)

    def token_inputs(self, shape=(None,)):
        """Returns symbolic inputs like the encoder's own, int32 (B, *shape), for a model that stands on it."""
        return token_inputs(self.bert_config, shape, packed=self.packed)

    def pooled_output(self, inputs):
        """Returns `pooled_output`, float (B, H), alone: the last block computes [CLS] and no other position.

        Of packed rows it is (B, N, H), of the [CLS] of each text.
        """
        with keras.RematScope(mode=None):  # Keras 3.15 cannot compute a slice again
            none = inputs["input_ids"][:, :0]  # (B, 0)
        return self(inputs, positions=none)["pooled_output"]

    def first_output(self, inputs, *, of_real=False):
        """Returns the hidden state of the first token, or of the first real one, float (B, 1, H), alone.

        Of packed rows it is (B, N, H), of the first token of each text.
        """
        if self.packed:
            return self(inputs, positions=inputs["sequence_starts"])["sequence_output"]
        with keras.RematScope(mode=None):
            first = ops.zeros_like(inputs["input_ids"][:, :1])  # (B, 1)
            if of_real:
                first = ops.expand_dims(ops.argmax(ops.cast(inputs["input_mask"], "int32"), axis=1), 1)
        return self(inputs, positions=first)["sequence_output"]

    def compute_output_spec(self, inputs, training=None, mask=None, positions=None):
        """Gives the outputs' shapes without running `call`."""
        outputs = super().compute_output_spec(inputs, training=training, mask=mask)
        if positions is None:
            return outputs
        hidden = outputs["sequence_output"]
        shape = (*positions.shape, self.bert_config.hidden_size)
        chosen = {"sequence_output": keras.KerasTensor(shape, dtype=hidden.dtype)}
        return chosen | ({"pooled_output": outputs["pooled_output"]} if self.pooler else {})

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Rebuilds the encoder from `get_config`."""
        return super().from_config({**config, "config": Config.from_dict(config["config"])})
