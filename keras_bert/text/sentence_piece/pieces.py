"""Text to ids by a SentencePiece model (Kudo and Richardson 2018) and its family's rules.

    text -> cleaning.py -> sentencepiece -> the family's ids         rules.py

Truth: transformers' slow tokenizers of 4.57, which are sentencepiece and these rules; its fast ones give other ids.
"""

import functools
import itertools
import re
import unicodedata

import numpy as np

from keras_bert.errors import UserError
from keras_bert.text.characters import WHITE_SPACE
from keras_bert.text.sentence_piece.cleaning import clean, clean_with_places
from keras_bert.text.sentence_piece.cleaning_bulk import BulkCleaner
from keras_bert.text.sentence_piece.model import CONTROL, UNKNOWN, read_model

SPACE = "▁"  # what SentencePiece writes for a space, U+2581
SPACES = f"{SPACE} "  # of which a model that does not escape spaces writes the second
BATCH = 4096  # texts to encode at once
_SURROGATES = re.compile("[\ud800-\udfff]")


class SentencePiece:
    """A SentencePiece model with a family's rules.

    Args:
        data: the bytes of the model file.
        rules: the SentencePieceRules, for example one of `FAMILIES`.
        source: how errors name the file.

    Attributes:
        model: the PieceModel.
        processor: sentencepiece's own SentencePieceProcessor.
        tokens: tuple of str, by id as the family numbers them.
        special: {role: token} of pad, unk, cls, sep, mask.
        added: AddedTokens that transformers' class keeps whole in a text; the caller splits a text at them.
        table: int32 (P,), from a piece's id to the family's.
        prefix: what the model puts before a text, "▁", " " or nothing.
        unk_id: the id that an unknown piece gets.
        is_continuation: bool (V,), whether a token does not begin a word and is not special.
        commas: {id: ids of the pieces that take its place}.
        dtype: of the ids that `bulk` returns, uint16 or int32.

    Raises:
        UserError: the model is damaged or not supported, or lacks a special token that the family needs.
    """

    def __init__(self, data, rules, *, source="The SentencePiece model"):
        import sentencepiece

        self.model, self.rules, self.source = read_model(data, source=source), rules, source
        try:
            self.processor = sentencepiece.SentencePieceProcessor(model_proto=self.model.data)
        except (RuntimeError, OSError) as error:
            raise UserError(f"{source} is damaged: sentencepiece cannot load it; fetch it again.") from error
        self.special = dict(rules.special)
        self.tokens, self.table = _numbered(self.model, rules)
        rows = {token: index for index, token in enumerate(self.tokens)}
        for role, token in self.special.items():
            if token not in rows:
                raise UserError(
                    f"{source} lacks {token!r}, which is the {role} token of its family, {rules.family}; give the "
                    "model's own tokenizer files, with tokenizer_config.json."
                )
        self.added = rules.added_tokens()
        self.unk_id = int(self.table[self.model.unk_id])
        self.dtype = np.dtype(np.uint16 if len(self.tokens) <= 1 << 16 else np.int32)
        not_pieces = {*self.special.values(), *rules.kept, *rules.before, *rules.after}
        not_pieces |= {self.model.pieces[index] for index in np.flatnonzero(np.isin(self.model.types, _NOT_TEXT))}
        starts = np.array([token.startswith(SPACE) or token in not_pieces for token in self.tokens])
        self._not_pieces, self.is_continuation = frozenset(not_pieces), ~starts
        self.commas = self._comma_table() if rules.splits_commas else {}
        self._has_comma = np.isin(np.arange(len(self.tokens)), list(self.commas))
        self._blank = _Blanks(self)
        self._encode_all = _batch_encoder(self.processor)
        self.prefix = self.processor.normalize("a").removesuffix("a")
        self._same_ids = np.array_equal(self.table, np.arange(len(self.table)))
        joins = self.model.remove_extra_whitespaces and self.model.escape_whitespaces
        try:
            odd = self.odd_spaces() if joins else None
            self._cleaner = BulkCleaner(rules, odd_spaces=odd, composes=self.composes_hangul)
        except UnicodeDecodeError as error:  # its table points into the middle of characters
            raise UserError(
                f"{source} is damaged: its normalizer makes text that is not UTF-8; fetch it again."
            ) from error

    def __reduce__(self):
        return _restore, (self.model.data, self.rules, self.source)

    def __len__(self):
        return len(self.tokens)

    def __repr__(self):
        return f"SentencePiece({len(self):,} tokens, {self.identity})"

    @property
    def identity(self):
        """The kind of model and the family, in words."""
        return f"{self.model.kind}, {self.rules.family}"

    def ids(self, text):
        """Returns the ids of a text as a list; the special tokens in it are read as text."""
        return self._family_ids(self.processor.encode(clean(_valid(text), self.rules)))

    def ids_with_offsets(self, text):
        """Returns the ids of a text and the offsets of each piece in it.

        An offset counts characters of the text as it was given; `text[start:end]` is the piece itself, without the
        white space before it. A piece of white space alone is empty, at the place where the next one begins; the
        pieces of one character ("½" as three) share its place.

        Returns:
            ids, a list of int, and offsets, a list of as many (start, end).
        """
        text = _valid(text)
        if self.rules.cleans:
            cleaned, places = clean_with_places(text, self.rules)
        else:
            cleaned, places = text, None
        found = self.processor.encode(cleaned, return_type="offset_mapping")
        spans = self._spans(text, found["pieces"], found["offsets"], places)
        ids, offsets = [], []
        for index, span in zip(self.table[found["ids"]].tolist() if found["ids"] else [], spans, strict=True):
            parts = self.commas.get(index)
            ids += parts or [index]
            offsets += self._comma_spans(parts, span) if parts else [span]
        return ids, offsets

    def bulk(self, texts):
        """Returns the ids of many texts, one after the other, and how many each text has.

        Args:
            texts: a list of str.

        Returns:
            ids, uint16 (N,), or int32 with over 65,536 tokens, and lengths, int64 (len(texts),), whose sum is N.
        """
        if not texts:
            return np.zeros(0, self.dtype), np.zeros(0, np.int64)
        parts = [self._batch(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
        ids, lengths = zip(*parts, strict=True)
        return np.concatenate(ids), np.concatenate(lengths)

    def text(self, ids):
        """Returns the text that ids spell, as the model has it; special tokens are words of their own."""
        words = []
        for token in (self.tokens[index] for index in ids):
            words.append(f" {token} " if token in self._not_pieces else token.replace(SPACE, " "))
        return re.sub(" +", " ", "".join(words)).strip()

    def normalize(self, text):
        """Returns a text as the model's own normalization leaves it, with ▁ for spaces."""
        return self.processor.normalize(text)

    @functools.cached_property
    def composes_hangul(self):
        """Whether the model makes the same of a Hangul syllable and of its letters."""
        syllables = "a".join(map(chr, range(0xAC00, 0xD7A4)))
        return self.processor.normalize(unicodedata.normalize("NFD", syllables)) == self.prefix + syllables

    def odd_spaces(self):
        """Returns the characters of Python's white space of which the model does not make a space."""
        spaces = [chr(code) for first, last in WHITE_SPACE for code in range(first, last + 1)]
        return [space for space in spaces if self.processor.normalize(f"a{space}a") != f"{self.prefix}a{SPACE}a"]

    def blanks(self):
        """Returns the code points, in order, of the characters of which white space or nothing becomes."""
        codes = {ord(SPACE), *(code for first, last in WHITE_SPACE for code in range(first, last + 1))}
        for page in range(0, 0x110000, 64):
            if 0xD800 <= page < 0xE000:
                continue
            text = "a".join(map(chr, range(page, page + 64)))
            if self.processor.normalize(f"a{text}a") != f"{self.prefix}a{text}a":  # in one call: most stay as they are
                codes.update(range(page, page + 64))
        return sorted(code for code in codes if self._blank[chr(code)])

    def _batch(self, texts):
        try:
            ids, lengths = self._encode_all(self._cleaner(texts) if self.rules.cleans else texts)
        except (UnicodeEncodeError, RuntimeError, TypeError):  # a lone surrogate, in Python's and sentencepiece's words
            texts = list(map(_valid, texts))
            ids, lengths = self._encode_all(self._cleaner(texts) if self.rules.cleans else texts)
        ids = ids if self._same_ids else self.table.take(ids)
        if self.commas:
            ids, lengths = self._split_commas(ids, lengths)
        return ids.astype(self.dtype, copy=False), lengths

    def _split_commas(self, ids, lengths):
        places = np.flatnonzero(self._has_comma[ids])
        if not len(places):
            return ids, lengths
        parts = [self.commas[index] for index in ids[places].tolist()]
        more = np.fromiter(map(len, parts), np.int64, len(parts)) - 1
        ids, lengths = ids.copy(), lengths.copy()
        ids[places] = [part[0] for part in parts]
        np.add.at(lengths, np.searchsorted(np.cumsum(lengths), places, side="right"), more)
        rest = list(itertools.chain.from_iterable(part[1:] for part in parts))
        return np.insert(ids, np.repeat(places + 1, more), rest), lengths

    def _family_ids(self, ids):
        if not ids:
            return []
        ids = self.table[ids].tolist()
        if not self.commas or self.commas.keys().isdisjoint(ids):
            return ids
        return [each for index in ids for each in self.commas.get(index, (index,))]

    def _comma_table(self):
        """Makes {id: ids}: how a piece that ends in a digit and a comma is spelt without the comma, and the comma."""
        table = {}
        for number, piece in enumerate(self.model.pieces):
            if len(piece) < 2 or piece[-1] != "," or not piece[-2].isdigit() or self.model.types[number] in _NOT_TEXT:
                continue
            pieces = self.processor.encode(piece[:-1].replace(SPACE, ""), return_type=str)
            if piece[0] != SPACE and pieces[0][0] == SPACE:
                pieces = pieces[1:] if len(pieces[0]) == 1 else [pieces[0][1:], *pieces[1:]]
            numbers = self.processor.piece_to_id([*pieces, ","])
            table[int(self.table[number])] = self.table[numbers].tolist()
        return table

    def _comma_spans(self, parts, span):
        """Returns the spans of the pieces that take the place of one: each its letters, where the text has those."""
        sizes = [len(self.tokens[index].replace(SPACE, "")) for index in parts]
        if sum(sizes) != span[1] - span[0]:
            return [span] * len(parts)
        ends = list(itertools.accumulate(sizes, initial=span[0]))
        return list(itertools.pairwise(ends))

    def _spans(self, text, pieces, offsets, places):
        """Returns spans in the text as it was given of pieces whose offsets count the cleaned one's characters."""
        spans = []
        for piece, (start, end) in zip(pieces, offsets, strict=True):
            if places is not None:
                first = places[start][0] if start < len(places) else len(text)
                start, end = first, places[end - 1][1] if end > start else first
            while start < end and self._blank[text[start]]:
                start += 1
            while start < end and self._blank[text[end - 1]]:
                end -= 1
            if start == end and piece.strip(SPACES) and start < len(text):
                end = start + 1  # one of the first pieces of a character that becomes several
            spans.append((start, end))
        return spans


_NOT_TEXT = (UNKNOWN, CONTROL)


class _Blanks(dict):
    """{character: whether white space or nothing becomes of it}."""

    def __init__(self, engine):
        super().__init__()
        self._engine = engine

    def __missing__(self, char):
        engine = self._engine
        spelt = engine.normalize(f"a{char}a").removeprefix(engine.prefix)
        self[char] = blank = spelt in ("aa", f"a{SPACE}a", "a a") or (engine.rules.joins_spaces and char.isspace())
        return blank


def _batch_encoder(processor):
    """Returns a function from a list of UTF-8 to int32 (N,), all ids, and int64, how many each has.

    sentencepiece makes an array of each text, which takes a tenth of the time for short ones; what it makes them of is
    had without, unless a release has changed it.
    """

    def by_arrays(texts):
        rows = processor.encode(texts, num_threads=1, return_type="numpy")
        return np.concatenate(rows), np.fromiter(map(len, rows), np.int64, len(rows))

    def by_buffers(texts):
        buffers = processor._processor._EncodeAsBufferBatch(texts, 1, None, False, -1, 0.1, False, False, False)
        views = list(map(memoryview, buffers))
        return np.frombuffer(b"".join(views), np.int32), np.fromiter(map(len, views), np.int64, len(views))

    probe = [b"a b", b"", "é ab".encode()]
    try:
        same = all(map(np.array_equal, by_arrays(probe), by_buffers(probe)))
    except (AttributeError, TypeError, ValueError):
        same = False
    return by_buffers if same else by_arrays


def _restore(data, rules, source):
    return SentencePiece(data, rules, source=source)


def _valid(text):
    """Replaces lone surrogates, which UTF-8 does not have."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def _numbered(model, rules):
    """Returns the tokens by the family's ids, and int32 (P,) from a piece's id to the family's."""
    pieces, shift = model.pieces, rules.shift
    if rules.rows is not None:
        rows = {token: index for index, token in enumerate(rules.rows)}
        unknown = rows.get(dict(rules.special)["unk"], 0)
        table = [rows.get(piece, unknown) for piece in pieces]
        tokens = [*rules.rows]
    else:
        before = {token: index for index, token in enumerate(rules.before)}
        table = [before.get(piece, number + shift) for number, piece in enumerate(pieces)]
        if rules.unknown is not None:
            table[model.unk_id] = before[rules.unknown]
        tokens = [*rules.before, *pieces[len(rules.before) - shift :]]
    present = set(tokens)
    return (*tokens, *(token for token in rules.after if token not in present)), np.array(table, np.int32)
