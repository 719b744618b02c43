"""Strings to ids as a Keras layer, for the kinds of tokenizers that an engine in the graph computes.

    strings -> added tokens, and stretches between them -> the engine's ids of each -> put in order again

B strings, T ids of a string, N stretches and added tokens of all strings, M of them added tokens.
"""

import keras
import tensorflow as tf

from keras_bert.text.added import KeptTokens
from keras_bert.text.engines import engine_from_config
from keras_bert.text.graph_added import GraphKept, interleave
from keras_bert.text.graph_strings import drop_invalid
from keras_bert.text.rules import AddedToken


@keras.saving.register_keras_serializable(package="keras_bert")
class GraphPieces(keras.layers.Layer):
    """Strings to ids, for SavedModels that answer raw strings. `Tokenizer.graph_layer()` makes one.

    The whole tokenizer is part of the layer's configuration and of the graph; no file needs to lie beside a SavedModel.

    Args:
        engine: what `Engine.get_config` gives.
        added_tokens: list of the fields of an AddedToken and its "id".
        **kwargs: what any Keras layer takes.

    Attributes:
        graph: the engine inside the graph, a tf.Module.
    """

    def __init__(self, engine, *, added_tokens=(), **kwargs):
        super().__init__(**kwargs)
        self.supports_jit = False
        self.engine_config, self.added_tokens = dict(engine), [dict(token) for token in added_tokens]
        self.engine = engine_from_config(self.engine_config)
        ids = {token["content"]: token["id"] for token in self.added_tokens}
        tokens = [AddedToken(**{k: v for k, v in token.items() if k != "id"}) for token in self.added_tokens]
        self._kept = GraphKept(KeptTokens(tokens, *self.engine.normalizers), ids)
        self.graph = self.engine.graph()
        self.built = True

    @classmethod
    def from_tokenizer(cls, tokenizer, *, keep=(), **kwargs):
        """Makes the layer that gives the ids of a Tokenizer, which keeps the tokens of `keep` whole as well."""
        tokenizer = tokenizer.keeping(keep)
        added = [{**token.to_dict(), "id": tokenizer.vocabulary.id(token.content)} for token in tokenizer.kept.tokens]
        return cls(tokenizer.engine.get_config(), added_tokens=added, **kwargs)

    def __call__(self, inputs, **kwargs):
        """Calls the layer; a list of str is as welcome as a tensor."""
        symbolic = isinstance(inputs, keras.KerasTensor)
        return super().__call__(inputs if symbolic else tf.convert_to_tensor(inputs, tf.string), **kwargs)

    @property
    def ties_differ(self):
        """Why spellings of equal scores may be told apart in another way than in Python, in words; None if not."""
        why = getattr(self.graph, "why_slow", None)
        return why if why and self.engine.model.model.kind == "unigram" else None

    def call(self, inputs):
        """Tokenizes.

        Args:
            inputs: string (B,), UTF-8; what is not UTF-8 is dropped.

        Returns:
            Ragged int32 (B, None) ids, without special tokens.
        """
        texts = drop_invalid(tf.convert_to_tensor(inputs, tf.string))
        if not self._kept:
            return self.graph(texts)
        parts, kept_ids = self._kept.split(texts, self.graph.normalized)
        is_kept = kept_ids >= 0
        ids = self.graph(tf.where(is_kept, "", parts.values))
        kept = tf.RaggedTensor.from_uniform_row_length(tf.boolean_mask(kept_ids, is_kept), 1)
        return interleave(parts, is_kept, ids, kept)

    def pieces(self, inputs):
        """Tokenizes, and says where each piece stands.

        Args:
            inputs: string (B,), UTF-8.

        Returns:
            ids, starts, ends: ragged int32 (B, None), the ids of `call`, and the characters of the text from which on
            and before which each stands, white space apart.
        """
        texts = drop_invalid(tf.convert_to_tensor(inputs, tf.string))
        if not self._kept:
            return self.graph.pieces(texts)
        parts, kept_ids = self._kept.split(texts, self.graph.normalized)
        is_kept = kept_ids >= 0
        sizes = tf.strings.length(parts.values, unit="UTF8_CHAR")
        upto = tf.cumsum(sizes)
        row_first = tf.gather(tf.concat([[0], upto], 0), parts.row_starts())
        begins = upto - sizes - tf.gather(row_first, parts.value_rowids())  # (N,), in its string
        found = self.graph.pieces(tf.where(is_kept, "", parts.values))
        of_kept = tf.boolean_mask(begins, is_kept)
        kept = tf.boolean_mask(kept_ids, is_kept), of_kept, of_kept + tf.boolean_mask(sizes, is_kept)
        begins = tf.gather(begins, found[0].value_rowids())
        found = found[0], found[1].with_values(found[1].values + begins), found[2].with_values(found[2].values + begins)
        return tuple(
            interleave(parts, is_kept, each, tf.RaggedTensor.from_uniform_row_length(one, 1))
            for each, one in zip(found, kept, strict=True)
        )

    def of_words(self, words):
        """Tokenizes words as they stand inside a text: string (W,) -> ragged int32 (W, None)."""
        return self(tf.strings.join([self.engine.word_start, words]))

    def pieces_of_words(self, words):
        """Does what `pieces` does, of words as they stand inside a text, string (W,)."""
        ids, *places = self.pieces(tf.strings.join([self.engine.word_start, words]))
        before = len(self.engine.word_start)
        return ids, *(each.with_values(tf.maximum(0, each.values - before)) for each in places)

    def get_config(self):
        """Returns what makes the layer again, the whole tokenizer included."""
        return super().get_config() | {"engine": self.engine_config, "added_tokens": self.added_tokens}
