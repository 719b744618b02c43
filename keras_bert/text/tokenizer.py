"""The tokenizer in Python: text to ids and back by google-research/bert's rules (tokenization.py, FullTokenizer).

    text -> split_words -> (cache: word -> ids) -> ids        normalize.py, wordpiece.py

What follows the split looks at one word alone, so each distinct word is worked out once and then looked up.
"""

import json
from itertools import chain
from pathlib import Path

import numpy as np

from keras_bert.errors import UserError
from keras_bert.outputs import atomic_path
from keras_bert.text.added import KeptTokens
from keras_bert.text.alignment import aligned_tokens, placed_words
from keras_bert.text.given import as_ids, as_str, as_texts, check_length, received
from keras_bert.text.layout import truncated
from keras_bert.text.normalize import basic_tokens, split_words
from keras_bert.text.rules import FLAGS, TokenizerRules, as_added_tokens, rules_for
from keras_bert.text.tokenizer_files import CONFIG_NAME, STALE, VOCAB_NAME, config_fields, read_tokenizer
from keras_bert.text.vocabulary import UNK, Vocabulary
from keras_bert.text.wordpiece import WordPiece

CACHE_WORDS = 200_000  # about 50 MB; a million words of Wikipedia have about 100,000 distinct ones


class WordCache(dict):
    """Words and their ids, worked out by `compute` on first sight; starts afresh when full."""

    def __init__(self, compute):
        super().__init__()
        self.compute = compute

    def __missing__(self, word):
        ids = self.compute(word)
        if len(word) <= 100:  # what is longer hardly comes again
            if len(self) >= CACHE_WORDS:
                self.clear()
            self[word] = ids
        return ids

    def __reduce__(self):
        return WordCache, (self.compute,)  # a copy or a pickle starts empty


class Tokenizer:
    """Google's tokenizer: the same ids on every string.

    Args:
        vocab_file: path of a vocab.txt, or a `Vocabulary`.
        do_lower_case: lower-case the text and drop its accents.
        strip_accents: drop accents apart from that; None follows `do_lower_case`, as in Google's code.
        tokenize_chinese_chars: make each CJK ideograph a word of its own, as in Google's code.
        added_tokens: tokens to keep whole where they occur in a text, as transformers' added and special tokens
            are: their contents, such as `["[SUBJ]", "[OBJ]"]`, or AddedTokens. Those that are no rows of the
            vocabulary get ids after it.
        keep: tokens of the vocabulary to keep whole as well, which are not saved, such as `("[MASK]",)`; [CLS],
            [MASK] and the like are otherwise taken literally ("[", "mask", "]"), as in Google's code.

    Example:
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS
        >>> tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "un", "##aff", "##able", "!"]))
        >>> tokenizer.tokenize("Unaffable!")
        ['un', '##aff', '##able', '!']
        >>> tokenizer.encode("Unaffable!", max_seq_length=8)["input_ids"]
        array([2, 5, 6, 7, 8, 3, 0, 0], dtype=int32)

    Raises:
        UserError: the vocabulary cannot be read or is not a BERT vocabulary (see `Vocabulary`).
    """

    def __init__(
        self,
        vocab_file,
        do_lower_case=True,
        *,
        strip_accents=None,
        tokenize_chinese_chars=True,
        added_tokens=(),
        keep=(),
    ):
        is_vocabulary = isinstance(vocab_file, Vocabulary)
        vocabulary = vocab_file if is_vocabulary else Vocabulary.from_file(vocab_file, what="vocab_file")
        self.vocabulary = vocabulary.with_added(added_tokens)
        rules = TokenizerRules(do_lower_case, strip_accents, tokenize_chinese_chars, self.vocabulary.added)
        self.rules = rules
        for name in FLAGS:
            setattr(self, name, getattr(rules, name))
        self.keep = (keep,) if isinstance(keep, str) else tuple(keep)
        self.kept = KeptTokens(as_added_tokens([*rules.added_tokens, *self.keep]), rules)
        self._kept_ids = {token.content: self.vocabulary.id(token.content) for token in self.kept.tokens}
        self._wordpiece = WordPiece({token: (index,) for token, index in self.vocabulary.pieces.items()}, unknown=UNK)
        self._cache = WordCache(self._word_ids)
        self._aligned_cache = WordCache(self._word_ids_with_offsets)

    @classmethod
    def from_rules(cls, vocabulary, rules, *, keep=()):
        """Makes a Tokenizer of a vocabulary (or its path) and TokenizerRules."""
        return cls(vocabulary, **{name: getattr(rules, name) for name in (*FLAGS, "added_tokens")}, keep=keep)

    def keeping(self, tokens):
        """Returns a Tokenizer that keeps some tokens of the vocabulary whole as well, or this one if it does."""
        missing = [token for token in tokens if token not in self._kept_ids]
        return Tokenizer.from_rules(self.vocabulary, self.rules, keep=(*self.keep, *missing)) if missing else self

    def __call__(self, text, pair=None, max_seq_length=None):
        """Makes the padded inputs of a batch, ready for `fit` and `predict`.

        Args:
            text: a str, or a list of them.
            pair: a second str, or a list of as many; None for single texts.
            max_seq_length: the length S to pad and cut to, see `encode`; None pads to the longest of the batch.

        Returns:
            A dict of int32 arrays (B, S): "input_ids", "input_mask" and "segment_ids". One text is a batch of one.

        Raises:
            UserError: `text` or `pair` is something else, they differ in number, or see `encode`.

        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS
        >>> tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "good", "film"]))
        >>> tokenizer(["a good film", "good"], max_seq_length=6)["input_ids"].tolist()
        [[2, 1, 5, 6, 3, 0], [2, 5, 3, 0, 0, 0]]
        >>> tokenizer("good", "film")["segment_ids"].tolist()
        [[0, 0, 0, 1, 1]]
        """
        texts = as_texts(text, what="text")
        pairs = [None] * len(texts) if pair is None else as_texts(pair, what="pair")
        if len(pairs) != len(texts):
            raise UserError(f"pair must be as many as text. Received: {len(pairs)} and {len(texts)}.")
        rows = [self.encode(*both, max_seq_length) for both in zip(texts, pairs, strict=True)]
        if not rows:
            raise UserError("text must have at least one string. Received an empty list.")
        length = max(len(row["input_ids"]) for row in rows)
        batch = {name: np.zeros((len(rows), length), np.int32) for name in rows[0]}
        batch["input_ids"] += self.pad_id
        for number, row in enumerate(rows):
            for name, values in row.items():
                batch[name][number, : len(values)] = values
        return batch

    def __len__(self):
        return len(self.vocabulary)

    def __repr__(self):
        return f"Tokenizer({len(self):,} tokens, {self.rules.described})"

    def token_ids(self, text):
        """Returns the ids of a text as a list, without [CLS] and [SEP].

        Args:
            text: a str, or UTF-8 bytes, of which what is not UTF-8 is dropped, as in Google's code.
        """
        text = as_str(text)
        if not self.kept:
            return self._plain_ids(text)
        return list(
            chain.from_iterable(
                [self._kept_ids[token.content]] if token else self._plain_ids(text[start:end])
                for start, end, token in self.kept.split(text)
            )
        )

    def tokenize(self, text):
        """Returns the tokens of a text as a list of str, without [CLS] and [SEP]."""
        tokens = self.vocabulary.tokens
        return [tokens[index] for index in self.token_ids(text)]

    def basic_tokens(self, text):
        """Returns the words and punctuation marks of a text, normalized, before WordPiece; kept tokens aside."""
        words = split_words(as_str(text), tokenize_chinese_chars=self.tokenize_chinese_chars)
        return [token for word in words for token in self._basic_tokens(word)]

    def token_ids_with_offsets(self, text):
        """Returns the ids of a text and where each piece stands in it.

        An offset counts characters of the text as it was given, whatever lower-casing, accents and dropped
        characters did to it; `text[start:end]` is what the piece was made of, with the combining marks that
        follow. The pieces of one character ("한" as three letters, say) share its place.

        Args:
            text: a str.

        Returns:
            ids, a list of int, and offsets, a list of as many (start, end).
        """
        if not isinstance(text, str):
            raise UserError(f"text must be a string. Received: {received(text)}.")
        ids, offsets = [], []
        for position, end, token in self.kept.split(text) if self.kept else [(0, len(text), None)]:
            if token:
                ids.append(self._kept_ids[token.content])
                offsets.append((position, end))
                continue
            part = text[position:end]
            for start, word in placed_words(part, tokenize_chinese_chars=self.tokenize_chinese_chars):
                for index, first, last in self._aligned_cache[word]:
                    ids.append(index)
                    offsets.append((position + start + first, position + start + last))
        return ids, offsets

    def encode(self, text, pair=None, max_seq_length=None, *, return_offsets=False):
        """Makes a model's inputs of one text or two: with BERT's layout [CLS] text [SEP], [CLS] text [SEP] pair [SEP].

        Args:
            text: a str.
            pair: a second str, or None.
            max_seq_length: the length S to pad or cut to; None leaves the length as it is. Of two texts
                the longer one loses its last token until both fit, as in Google's _truncate_seq_pair.
            return_offsets: also return "offsets", int32 (S, 2): start and end of each piece in its own
                text; (0, 0) for special tokens and padding.

        Returns:
            A dict of int32 arrays (S,): "input_ids", "input_mask" (1 on tokens, 0 on padding) and
            "segment_ids" (1 on the pair and its [SEP], if the layout has segments).

        Raises:
            UserError: `max_seq_length` has no room for the special tokens.
        """
        texts = [text] if pair is None else [text, pair]
        check_length(max_seq_length, self.layout, texts=len(texts))
        places = []
        if return_offsets:
            parts, places = zip(*map(self.token_ids_with_offsets, texts), strict=True)
        else:
            parts = [self.token_ids(each) for each in texts]
        if max_seq_length is not None:
            parts = truncated(parts, self.layout.room(max_seq_length, texts=len(texts)))
        ids, segments = self.layout.assemble(parts, self.layout.gaps(self, texts=len(texts)))
        used, length = len(ids), max_seq_length or len(ids)
        inputs = {"input_ids": np.full(length, self.pad_id, np.int32)}
        inputs |= {name: np.zeros(length, np.int32) for name in ("input_mask", "segment_ids")}
        for name, values in (("input_ids", ids), ("input_mask", 1), ("segment_ids", segments)):
            inputs[name][:used] = values
        if return_offsets:
            inputs["offsets"] = np.zeros((length, 2), np.int32)
            for start, part, offsets in zip(self.layout.starts(len(parts[0])), parts, places, strict=False):
                inputs["offsets"][start : start + len(part)] = np.reshape(offsets[: len(part)], (-1, 2))
        return inputs

    def decode(self, ids, *, skip_special_tokens=True):
        """Joins ids to text: pieces to words, words by spaces.

        Args:
            ids: a list or array of ids.
            skip_special_tokens: leave out padding, the layout's special tokens ([CLS], [SEP]) and added tokens that are
                special; [MASK] and [UNK] stay, they stand for words.

        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS
        >>> tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "un", "##aff", "##able", "!"]))
        >>> tokenizer.decode([2, 5, 6, 7, 8, 3])
        'unaffable !'
        """
        added = {token.content: token.special for token in self.vocabulary.added}
        special = {self.vocabulary.tokens[index] for index in self.layout.special_ids(self)}
        skipped = special.union(token for token in added if added[token]) if skip_special_tokens else ()
        words = []
        for token in map(self.vocabulary.token, as_ids(ids)):
            if token in skipped or not token:
                continue
            if token.startswith("##") and words and token not in added:
                words[-1].append(token[2:])
            else:
                words.append([token])
        return " ".join(map("".join, words))

    def ids(self, tokens):
        """Returns the ids of tokens, as a list; a token that is not in the vocabulary is a UserError."""
        if isinstance(tokens, (str, bytes)) or not hasattr(tokens, "__iter__"):
            raise UserError(f"tokens must be a list of tokens. Received: {received(tokens)}.")
        return [self.vocabulary.id(token) for token in tokens]

    @classmethod
    def from_pretrained(cls, path, *, do_lower_case=None, added_tokens=(), keep=()):
        """Reads the tokenizer of a model directory: ours, Google's or Hugging Face's.

        Its added and special tokens are kept whole, as transformers does. Settings of its tokenizer_config.json and
        tokenizer.json that mean other ids than BERT's WordPiece are refused.

        Args:
            path: a directory with vocab.txt or transformers' tokenizer.json, or the prefix of a checkpoint next to
                one ("dir/bert_model.ckpt").
            do_lower_case: overrules tokenizer_config.json, which overrules tokenizer.json. Where none of them says,
                a vocabulary without any upper-case letter is a lower-cased one.
            added_tokens: more tokens to keep whole, see `Tokenizer`.
            keep: see `Tokenizer`.

        Raises:
            UserError: the directory or its tokenizer is missing, a file cannot be read, or it is another kind of
                tokenizer.
        """
        vocabulary, stated = read_tokenizer(path)
        asked = {} if do_lower_case is None else {"do_lower_case": do_lower_case}
        return cls.from_rules(vocabulary.with_added(added_tokens), rules_for(vocabulary, asked, stated), keep=keep)

    def save_pretrained(self, directory):
        """Writes vocab.txt and tokenizer_config.json into a directory, in place of another tokenizer's files."""
        self.vocabulary.save(Path(directory) / VOCAB_NAME)
        with atomic_path(Path(directory) / CONFIG_NAME) as temporary:
            temporary.write_text(json.dumps(config_fields(self), indent=2) + "\n", encoding="utf-8")
        for name in STALE:
            (Path(directory) / name).unlink(missing_ok=True)

    def graph_layer(self, *, keep=None, **kwargs):
        """Returns the Keras layer from strings (B,) to ragged int32 ids (B, None): the same ids, in the graph.

        Args:
            keep: tokens of the vocabulary to keep whole besides the added ones; None takes this tokenizer's own.
            **kwargs: what any Keras layer takes, such as `name`.
        """
        from keras_bert.text.graph import GraphTokenizer  # needs tensorflow_text

        keep = self.keep if keep is None else keep
        return GraphTokenizer.from_tokenizer(self, keep=keep, **kwargs)

    @property
    def drops_accents(self):
        """Whether combining marks are dropped, after NFD."""
        return self.rules.drops_accents

    @property
    def layout(self):
        """The Layout (text/layout.py) of sequences, which all that makes inputs of texts follows; the vocabulary's."""
        return self.vocabulary.layout

    @layout.setter
    def layout(self, layout):
        self.vocabulary = self.vocabulary.with_layout(layout)

    @property
    def vocab_size(self):
        """The number of tokens."""
        return len(self.vocabulary)

    @property
    def pad_id(self):
        """The id of [PAD]."""
        return self.vocabulary.pad_id

    @property
    def unk_id(self):
        """The id of [UNK]."""
        return self.vocabulary.unk_id

    @property
    def cls_id(self):
        """The id of [CLS]."""
        return self.vocabulary.cls_id

    @property
    def sep_id(self):
        """The id of [SEP]."""
        return self.vocabulary.sep_id

    @property
    def mask_id(self):
        """The id of [MASK]."""
        return self.vocabulary.mask_id

    def _plain_ids(self, text):
        words = split_words(text, tokenize_chinese_chars=self.tokenize_chinese_chars)
        return list(chain.from_iterable(map(self._cache.__getitem__, words)))

    def _word_ids(self, word):
        return tuple(chain.from_iterable(map(self._wordpiece, self._basic_tokens(word))))

    def _basic_tokens(self, word):
        return basic_tokens(word, do_lower_case=self.do_lower_case, strip_accents=self.strip_accents)

    def _word_ids_with_offsets(self, word):
        """Returns (id, start, end) of each piece of one word, counted from the word's start."""
        placed = []
        for token in aligned_tokens(word, do_lower_case=self.do_lower_case, strip_accents=self.strip_accents):
            ids = self._wordpiece(token.text)
            spans = token.spans([self.vocabulary.tokens[index] for index in ids])
            placed += [(index, *span) for index, span in zip(ids, spans, strict=True)]
        return tuple(placed)
