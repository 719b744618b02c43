"""The tokenizer in Python: text to ids and back, whatever its kind.

    text -> added tokens, and stretches between them -> ids of each       added.py, an engine

An engine is what a kind of tokenizer is: it knows nothing of added tokens, of layouts and of padding.

    wordpiece/ by google-research/bert's rules, bpe/ (byte-level), sentence_piece/ (Unigram and BPE)
"""

import hashlib
import json
from itertools import chain

import numpy as np

from keras_bert.errors import UserError
from keras_bert.text.added import KeptTokens
from keras_bert.text.engines import read_engine
from keras_bert.text.given import as_ids, as_str, as_texts, check_length, check_str, received
from keras_bert.text.kinds import WORDPIECE
from keras_bert.text.layout import padded, truncated
from keras_bert.text.rules import FLAGS, TokenizerRules, as_added_tokens, as_tokens
from keras_bert.text.stretches import BulkStretches
from keras_bert.text.vocabulary import Vocabulary
from keras_bert.text.wordpiece.bulk import BulkTokenizer
from keras_bert.text.wordpiece.engine import WordPieces
from keras_bert.text.wordpiece.files import as_directory


class Tokenizer:
    """Google's tokenizer, the same ids on every string; or, from `from_pretrained`, one of another kind.

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

    Attributes:
        kind: "wordpiece", "bpe" or "sentencepiece".

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
        self._hold(WordPieces(self.vocabulary, rules), self.vocabulary, keep)

    def _hold(self, engine, vocabulary, keep):
        self.engine, self.kind, self.vocabulary = engine, engine.kind, vocabulary
        self.keep = as_tokens(keep)
        self.kept = KeptTokens(as_added_tokens([*vocabulary.added, *self.keep]), *engine.normalizers)
        self._special_tokens = {*vocabulary.spelling.special, *(token.content for token in vocabulary.added)}
        self._kept_ids = {token.content: vocabulary.id(token.content) for token in self.kept.tokens}

    @classmethod
    def of_engine(cls, engine, vocabulary, *, keep=()):
        """Makes a Tokenizer of an engine and of the Vocabulary of its tokens, with those that were added."""
        tokenizer = cls.__new__(cls)
        tokenizer._hold(engine, vocabulary, keep)
        return tokenizer

    @classmethod
    def from_rules(cls, vocabulary, rules, *, keep=()):
        """Makes a Tokenizer of a vocabulary (or its path) and TokenizerRules."""
        return cls(vocabulary, **{name: getattr(rules, name) for name in (*FLAGS, "added_tokens")}, keep=keep)

    def keeping(self, tokens):
        """Returns a Tokenizer that keeps some tokens of the vocabulary whole as well, or this one if it does."""
        missing = [token for token in as_added_tokens(tokens) if token.content not in self._kept_ids]
        if not missing:
            return self
        return Tokenizer.of_engine(self.engine, self.vocabulary, keep=(*self.keep, *missing))

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
        return padded(rows, self.pad_id)

    def __len__(self):
        return len(self.vocabulary)

    def __repr__(self):
        return f"Tokenizer({len(self):,} tokens, {self.described})"

    def token_ids(self, text):
        """Returns the ids of a text as a list, without [CLS] and [SEP].

        Args:
            text: a str, or UTF-8 bytes, of which what is not UTF-8 is dropped, as in Google's code.
        """
        text = as_str(text)
        if not self.kept:
            return self.engine.ids(text)
        return list(
            chain.from_iterable(
                [self._kept_ids[token.content]] if token else self.engine.ids(text[start:end])
                for start, end, token in self.kept.split(text)
            )
        )

    def tokenize(self, text):
        """Returns the tokens of a text as a list of str, without [CLS] and [SEP]."""
        tokens = self.vocabulary.tokens
        return [tokens[index] for index in self.token_ids(text)]

    def basic_tokens(self, text):
        """Returns the words and punctuation marks of a text, normalized, before WordPiece; kept tokens aside."""
        if self.kind != WORDPIECE:
            raise UserError(f"basic_tokens is WordPiece's, and this tokenizer is {self.described}.")
        return self.engine.basic_tokens(as_str(text))

    def token_ids_with_offsets(self, text):
        """Returns the ids of a text and the offsets of each piece in it.

        An offset counts characters of the text as it was given, whatever lower-casing, accents and dropped
        characters did to it; `text[start:end]` is what the piece was made of, with the combining marks that
        follow. The pieces of one character ("한" as three letters, say) share its place.

        Args:
            text: a str.

        Returns:
            ids, a list of int, and offsets, a list of as many (start, end).
        """
        check_str(text)
        ids, offsets = [], []
        for position, end, token in self.kept.split(text) if self.kept else [(0, len(text), None)]:
            if token:
                ids.append(self._kept_ids[token.content])
                offsets.append((position, end))
                continue
            found, places = self.engine.ids_with_offsets(text[position:end])
            ids += found
            offsets += [(position + start, position + stop) for start, stop in places]
        return ids, offsets

    def word_ids(self, word):
        """Returns the ids of a word as it stands inside a text, where white space comes before it."""
        return self.token_ids(self.engine.word_start + as_str(word))

    def word_ids_with_offsets(self, word):
        """Returns the ids of `word_ids`, and (start, end) of each in the word."""
        check_str(word)
        before = len(self.engine.word_start)
        ids, offsets = self.token_ids_with_offsets(self.engine.word_start + word)
        return ids, [(max(0, start - before), max(0, end - before)) for start, end in offsets]

    def shown(self, index):
        """Returns a token as a person reads it: "##able", " able" with a space before it, or "[MASK]"."""
        token = self.vocabulary.token(index)
        return token if token in self._special_tokens else self.engine.text([index])

    def bulk(self):
        """Returns what gives thousands of texts their ids at once: `.token_ids(texts)` -> ids (N,) and lengths."""
        return BulkTokenizer(self) if self.kind == WORDPIECE else BulkStretches(self)

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
        vocabulary, ids = self.vocabulary, as_ids(ids)
        tokens = list(map(vocabulary.token, ids))
        added = {vocabulary.id(token.content): token for token in vocabulary.added}
        special = {*self.layout.special_ids(self), *(index for index, token in added.items() if token.special)}
        skipped = special - {self.unk_id, self.mask_id} if skip_special_tokens else ()
        parts, run = [], []
        for index, token in zip(ids, tokens, strict=True):
            if index in skipped:
                continue
            if index in added:
                parts += [self.engine.text(run)] * bool(run) + [token]
                run = []
            else:
                run.append(index)
        parts += [self.engine.text(run)] * bool(run)
        return self.engine.separator.join(parts)

    def ids(self, tokens):
        """Returns the ids of tokens, as a list; a token that is not in the vocabulary is a UserError."""
        if isinstance(tokens, (str, bytes)) or not hasattr(tokens, "__iter__"):
            raise UserError(f"tokens must be a list of tokens. Received: {received(tokens)}.")
        return [self.vocabulary.id(token) for token in tokens]

    @classmethod
    def from_pretrained(cls, path, *, do_lower_case=None, added_tokens=(), keep=()):
        """Reads the tokenizer of a model directory: ours, Google's or Hugging Face's, of any of the three kinds.

        Its added and special tokens are kept whole, as transformers does. Settings of its tokenizer_config.json and
        tokenizer.json that mean other ids than are computed here are refused.

        Args:
            path: a directory with vocab.txt, vocab.json and merges.txt, a SentencePiece model, or transformers'
                tokenizer.json; one of these files; or the prefix of a checkpoint next to them ("dir/bert_model.ckpt").
            do_lower_case: of WordPiece; overrules tokenizer_config.json, which overrules tokenizer.json. Where none of
                them says, a vocabulary without any upper-case letter is a lower-cased one.
            added_tokens: more tokens to keep whole, see `Tokenizer`.
            keep: see `Tokenizer`.

        Raises:
            UserError: the directory or its tokenizer is missing, a file cannot be read, or it is another kind of
                tokenizer.
        """
        engine, vocabulary = read_engine(path, do_lower_case=do_lower_case, added_tokens=added_tokens)
        return cls.of_engine(engine, vocabulary, keep=keep)

    def save_pretrained(self, directory):
        """Writes its own files (vocab.txt, say) and tokenizer_config.json, in place of another tokenizer's."""
        self.engine.save(as_directory(directory), self.vocabulary)

    def graph_layer(self, *, keep=None, **kwargs):
        """Returns the Keras layer from strings (B,) to ragged int32 ids (B, None): the same ids, in the graph.

        Args:
            keep: tokens of the vocabulary to keep whole besides the added ones; None takes this tokenizer's own.
            **kwargs: what any Keras layer takes, such as `name`.
        """
        keep = self.keep if keep is None else keep
        if self.kind == WORDPIECE:
            from keras_bert.text.wordpiece.graph import GraphTokenizer  # needs tensorflow_text

            return GraphTokenizer.from_tokenizer(self, keep=keep, **kwargs)
        from keras_bert.text.graph_pieces import GraphPieces

        return GraphPieces.from_tokenizer(self, keep=keep, **kwargs)

    @property
    def described(self):
        """Its rules in words: casing, added tokens."""
        return self.engine.described

    @property
    def fingerprint(self):
        """SHA-256, in hex, of all that decides its ids."""
        added = [{**token.to_dict(), "id": self.vocabulary.id(token.content)} for token in self.vocabulary.added]
        says = json.dumps([self.kind, self.vocabulary.fingerprint, added]).encode()
        return hashlib.sha256(says + self.engine.identity).hexdigest()

    @property
    def rules(self):
        """The TokenizerRules of a WordPiece tokenizer; None of another kind."""
        return getattr(self.engine, "rules", None)

    @property
    def do_lower_case(self):
        """Whether text is lower-cased."""
        return self.engine.lower_cases

    @property
    def strip_accents(self):
        """The rule of that name of a WordPiece tokenizer; None of another kind."""
        return self.rules and self.rules.strip_accents

    @property
    def tokenize_chinese_chars(self):
        """The rule of that name of a WordPiece tokenizer; None of another kind."""
        return self.rules and self.rules.tokenize_chinese_chars

    @property
    def layout(self):
        """The Layout (text/layout.py) of sequences, which all that makes inputs of texts follows; the vocabulary's."""
        return self.vocabulary.layout

    @layout.setter
    def layout(self, layout):
        self.vocabulary = self.vocabulary.with_layout(layout)

    @property
    def mask_token(self):
        """The token that stands where a word is to be guessed: "[MASK]" or "<mask>"."""
        return self.vocabulary.token(self.mask_id)

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
