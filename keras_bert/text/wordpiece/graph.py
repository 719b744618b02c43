"""The tokenizer inside the graph: strings to ids by the rules of normalize.py and pieces.py, the same ids.

tensorflow-text's own BERT tokenizers fold more than Google's and have other limits, so this one is built of
primitives: RE2 substitutions over the character classes of characters.py, ICU's lower-casing and NFD (which do not
look at characters that Unicode 14 does not know), and WordPiece on words cut already. All of that is for the words with
other characters than printable ASCII's; for what stands between them one pass of tensorflow-text's gives the same ids.

    strings -> parts (plain, other, plain, ...) -> ids of the plain ones, ids of the others -> put in order again

Shapes: B strings; T ids of a string. tensorflow_text is imported when a layer is made.
"""

import re

import keras
import tensorflow as tf

from keras_bert.errors import UserError
from keras_bert.text import characters
from keras_bert.text.added import KeptTokens, normalizers
from keras_bert.text.characters import re2_class
from keras_bert.text.graph_added import GraphKept, interleave
from keras_bert.text.graph_strings import any_has, drop_invalid, lower_sigmas, lower_texts, split_around
from keras_bert.text.normalize import LONG_RUN
from keras_bert.text.rules import FLAGS, AddedToken, TokenizerRules, as_added_tokens, as_tokens
from keras_bert.text.vocabulary import UNK, Vocabulary
from keras_bert.text.wordpiece.pieces import MAX_CHARS_PER_WORD

# No control character comes through the cleaning, so they are free to stand for an unspeakable word and a word's end.
_UNSPELLABLE, _END = "\x01", "\x02"
_NOT_PLAIN = r"[^\t\n\r ]*[^\t\n\r -~][^\t\n\r ]*"  # a word with a character that is not printable ASCII
_BYTES_PER_CHAR = 4
_MAX_TOKEN_BYTES = 256  # tensorflow-text's, "##" apart


def _class(*ranges):
    """Returns a character class for RE2, for example r"[\\x{41}-\\x{5A}]"."""
    return f"[{re2_class(*ranges)}]"


_NEVER_IN_A_WORD = re.compile(rf"[\s{characters.regex_class(characters.CONTROL + characters.SPACES)}]")
_DROPPED = _class(characters.CONTROL, [(0xFFFD, 0xFFFD)])
_WIDE_SPACE = _class(characters.SPACES[1:], characters.LINE_SEPARATORS)  # tf.strings.split knows ASCII's
_CJK = _class(characters.CJK)
_MARKS = _class(characters.MARKS)
_SORTED_MARKS, _SORTED_LETTERS = _class(characters.SORTED_MARKS), _class(characters.SORTED_LETTERS)
_PUNCTUATION = _class(characters.PUNCTUATION)
_UNASSIGNED = _class(characters.UNASSIGNED)


@keras.saving.register_keras_serializable(package="keras_bert")
class GraphTokenizer(keras.layers.Layer):
    """Strings to ids as a Keras layer, for SavedModels that answer raw strings.

    `Tokenizer.graph_layer()` makes one. The vocabulary is part of the layer's configuration and of the graph;
    no file needs to lie beside a SavedModel.

    Args:
        vocabulary: the rows' tokens in the order of their ids.
        do_lower_case, strip_accents, tokenize_chinese_chars, keep: see `keras_bert.text.tokenizer.Tokenizer`.
        added_tokens: list of the fields of an AddedToken and its "id".
        **kwargs: what any Keras layer takes.

    Example:
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS
        >>> layer = GraphTokenizer([*SPECIAL_TOKENS, "un", "##aff", "##able", "!"])
        >>> layer(tf.constant(["Unaffable!", ""])).to_list()
        [[5, 6, 7, 8], []]

    Raises:
        UserError: a vocabulary or a token of `keep` that `Vocabulary` refuses, or a token of over 256 bytes.
    """

    def __init__(
        self,
        vocabulary,
        *,
        do_lower_case=True,
        strip_accents=None,
        tokenize_chinese_chars=True,
        keep=(),
        added_tokens=(),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_jit = False
        self.vocabulary = list(vocabulary)
        rules = TokenizerRules(do_lower_case, strip_accents, tokenize_chinese_chars)
        for name in FLAGS:
            setattr(self, name, getattr(rules, name))
        self.keep, self.added_tokens = as_tokens(keep), [dict(token) for token in added_tokens]
        checked = Vocabulary(self.vocabulary)
        ids = {token["content"]: token["id"] for token in self.added_tokens}
        tokens = [AddedToken(**{k: v for k, v in token.items() if k != "id"}) for token in self.added_tokens]
        more = [token for token in as_added_tokens(self.keep) if token.content not in ids]
        kept = tokens + more
        ids |= {token.content: checked.id(token.content) for token in more}
        self._kept = GraphKept(KeptTokens(kept, *normalizers(rules)), ids)
        self._unk_id = checked.unk_id
        self._wordpiece = _wordpiece_tokenizer(checked, split=False)
        self._split_and_wordpiece = _wordpiece_tokenizer(checked, split=True)
        self.built = True

    @classmethod
    def from_tokenizer(cls, tokenizer, *, keep=(), **kwargs):
        """Makes the layer that gives the ids of a Tokenizer."""
        vocabulary, flags = tokenizer.vocabulary, {name: getattr(tokenizer.rules, name) for name in FLAGS}
        added = [{**token.to_dict(), "id": vocabulary.id(token.content)} for token in vocabulary.added]
        rows = vocabulary.tokens[: vocabulary.num_rows]
        return cls(rows, **flags, keep=keep, added_tokens=added, **kwargs)

    def __call__(self, inputs, **kwargs):
        """Calls the layer; a list of str is as welcome as a tensor."""
        symbolic = isinstance(inputs, keras.KerasTensor)
        return super().__call__(inputs if symbolic else tf.convert_to_tensor(inputs, tf.string), **kwargs)

    def call(self, inputs):
        """Tokenizes.

        Args:
            inputs: string (B,), UTF-8; what is not UTF-8 is dropped.

        Returns:
            Ragged int32 (B, None) ids, without [CLS] and [SEP].
        """
        texts = drop_invalid(tf.convert_to_tensor(inputs, tf.string))
        if not self._kept:
            return self._ids(texts)
        parts, kept_ids = self._kept.split(texts, self._normal_texts)
        is_kept = kept_ids >= 0
        ids = self._ids(tf.where(is_kept, "", parts.values))
        return interleave(parts, is_kept, ids, _one_by_one(tf.boolean_mask(kept_ids, is_kept)))

    def of_words(self, words):
        """Tokenizes words as they stand inside a text: string (W,) -> ragged int32 (W, None)."""
        return self(words)

    def pieces(self, inputs):
        """Tokenizes, and says how long each piece is.

        Args:
            inputs: string (B,), UTF-8.

        Returns:
            ids, lengths: ragged int32 (B, None), the ids of `call` and of how many characters of the normalized text
            each piece was made, which `normalized_lengths` counts too.
        """
        texts = drop_invalid(inputs)
        if not self._kept:
            return self._plain_pieces(texts)
        parts, kept_ids = self._kept.split(texts, self._normal_texts)
        is_kept = kept_ids >= 0
        ids, lengths = self._plain_pieces(tf.where(is_kept, "", parts.values))
        kept_lengths = self.normalized_lengths(tf.boolean_mask(parts.values, is_kept))
        return (
            interleave(parts, is_kept, ids, _one_by_one(tf.boolean_mask(kept_ids, is_kept))),
            interleave(parts, is_kept, lengths, _one_by_one(kept_lengths)),
        )

    def _plain_pieces(self, texts):
        tokens = self.basic_tokens(texts)
        ids = self._pieces_of(tokens)  # (B, None, None)
        words = ids.values  # (tokens, None)
        of_vocabulary = tf.constant([len(token.removeprefix("##")) for token in self.vocabulary])
        whole = tf.repeat(tf.strings.length(tokens.values, unit="UTF8_CHAR"), words.row_lengths())
        lengths = tf.where(words.values == self._unk_id, whole, tf.gather(of_vocabulary, words.values))
        ids = ids.merge_dims(1, 2)
        return ids, ids.with_values(lengths)

    def normalized_lengths(self, inputs):
        """Returns how many characters each string has once it is normalized, int32 (B,), without white space.

        For a text that is the sum over its characters.
        """
        normalized = tf.strings.split(self._normalized(inputs), _END).values[: tf.size(inputs)]
        return tf.strings.length(tf.strings.regex_replace(normalized, " +", ""), unit="UTF8_CHAR")

    def get_config(self):
        """Returns what makes the layer again, vocabulary included."""
        return super().get_config() | {
            "vocabulary": self.vocabulary,
            "do_lower_case": self.do_lower_case,
            "strip_accents": self.strip_accents,
            "tokenize_chinese_chars": self.tokenize_chinese_chars,
            "keep": [token.to_dict() if isinstance(token, AddedToken) else token for token in self.keep],
            "added_tokens": self.added_tokens,
        }

    def _ids(self, texts):
        """Sends each part of a string down its road: valid UTF-8 (B,) -> ragged int32 (B, None)."""
        parts, is_other = split_around(texts, _NOT_PLAIN)
        plain = self._ids_of_ascii(tf.where(is_other, "", parts.values))

        def both():
            other = self._ids_of_words(tf.boolean_mask(parts.values, is_other))
            return interleave(parts, is_other, plain, other)

        return tf.cond(tf.reduce_any(is_other), both, lambda: plain)

    def _ids_of_ascii(self, texts):
        """The ids of strings in printable ASCII."""
        return self._split_and_wordpiece.tokenize(tf.strings.lower(texts) if self.do_lower_case else texts)

    def _ids_of_words(self, words):
        """The ids of any strings: (M,) -> ragged int32 (M, None)."""
        return self._pieces_of(self.basic_tokens(words)).merge_dims(1, 2)

    def basic_tokens(self, words):
        """Cuts any strings to basic tokens: (M,) -> ragged string (M, None)."""
        normalized = tf.strings.split(self._normalized(words), _END).values
        return tf.strings.split(normalized[: tf.size(words)])  # of no strings at all there is an empty one

    def _pieces_of(self, tokens):
        """Spells basic tokens: ragged string (M, None) -> ragged int32 (M, None, None)."""
        too_long = tf.strings.length(tokens.values, unit="UTF8_CHAR") > MAX_CHARS_PER_WORD
        tokens = tokens.with_values(tf.where(too_long, _UNSPELLABLE, tokens.values))
        return self._wordpiece.tokenize(tokens)

    def _normalized(self, words):
        """Normalizes strings, with spaces between basic tokens: (M,) -> (1,), all of them with _END between."""
        return tf.strings.regex_replace(self._joined_normal(words), _PUNCTUATION, r" \0 ")

    def _normal_texts(self, texts):
        """Normalizes strings (M,) as `normalized_text` does."""
        return tf.strings.split(self._joined_normal(texts), _END).values[: tf.size(texts)]

    def _joined_normal(self, words):
        """Normalizes strings as `normalized_text` does: (M,) -> (1,), all of them with _END between."""
        words = tf.strings.regex_replace(words, f"{_DROPPED}+", "")
        # Most steps find nothing to do, and one long string takes far less of their time than many short ones.
        text = tf.strings.reduce_join(words, separator=_END, keepdims=True)  # (1,)
        text = tf.strings.regex_replace(text, f"{_WIDE_SPACE}|[\\t\\n\\r]", " ")
        if self.tokenize_chinese_chars:
            text = tf.strings.regex_replace(text, _CJK, r" \0 ")
        if self.do_lower_case:
            text = _between_unassigned(lower_texts, lower_sigmas(text))
        if self.do_lower_case if self.strip_accents is None else self.strip_accents:
            is_long = tf.reduce_any(tf.strings.length(words) > LONG_RUN)
            text = tf.cond(is_long, lambda: _shorten_runs(text), lambda: text)
            text = tf.strings.regex_replace(_between_unassigned(_decompose, text), f"{_MARKS}+", "")
        return text


def _one_by_one(values):
    """Makes rows of one value each: (M,) -> ragged (M, 1)."""
    return tf.RaggedTensor.from_uniform_row_length(values, 1)


def _wordpiece_tokenizer(vocabulary, *, split):
    """Returns tensorflow-text's WordPiece, for words cut already or, with `split`, for ASCII text.

    Rows that are never found (blank ones, tokens that stand in a later row too, tokens with white space or control
    characters, which no word has) would lead it astray; others take their places.
    """
    for token in vocabulary.tokens:
        if len(token.removeprefix("##").encode()) > _MAX_TOKEN_BYTES:
            raise UserError(
                f"The graph tokenizer takes tokens of at most {_MAX_TOKEN_BYTES} bytes; the vocabulary has {token!r}."
            )
    import tensorflow_text as tf_text

    return tf_text.FastWordpieceTokenizer(
        [
            f"{_UNSPELLABLE}{i}" if vocabulary.pieces.get(token) != i or _NEVER_IN_A_WORD.search(token) else token
            for i, token in enumerate(vocabulary.tokens)
        ],
        max_bytes_per_word=MAX_CHARS_PER_WORD * (1 if split else _BYTES_PER_CHAR),
        token_out_type=tf.int32,
        unknown_token=UNK,
        no_pretokenization=not split,
    )


def _shorten_runs(texts):
    """Leaves out what would make NFD slow and makes no difference: see `normalize.drop_accents`."""
    texts = tf.strings.regex_replace(texts, f"{_SORTED_MARKS}+", "")
    return tf.strings.regex_replace(texts, f"({_SORTED_LETTERS}{{{LONG_RUN}}}){_SORTED_LETTERS}+", r"\1")


def _decompose(texts):
    """NFD."""
    import tensorflow_text as tf_text

    return tf_text.normalize_utf8(texts, "NFD")


def _between_unassigned(function, texts):
    """Applies `function` to the stretches between characters that Unicode 14 does not know, as in normalize.py."""

    def in_parts():
        parts, is_unassigned = split_around(texts, f"{_UNASSIGNED}+")
        changed = tf.where(is_unassigned, parts.values, function(parts.values))
        return tf.strings.reduce_join(parts.with_values(changed), axis=1)

    return tf.cond(any_has(texts, _UNASSIGNED), in_parts, lambda: function(texts))
