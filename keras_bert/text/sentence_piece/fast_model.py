"""A Unigram model in the form in which tensorflow-text's FastSentencepieceTokenizer gives sentencepiece's own ids.

tensorflow-text has two ops. SentencepieceTokenizer is sentencepiece 0.1.96, which compares sums in double precision
with sums that it rounded to single: of two ways to spell a text with equal scores it takes now the first, now the
second. sentencepiece 0.2.3 compares in single precision throughout, as FastSentencepieceTokenizer does, which is also
twice as fast and keeps no resource, so that several models may share a SavedModel. It differs in three points, which
the model makes up for:
- It charges the penalty for an unknown character once for each of its bytes. Here each byte that does not begin a
  character is a piece that costs nothing.
- It knows no pieces that are not used, which here are of a type that no text has, and no bonus for those that the user
  defined, which here is their score.
- Spaces are "\\t", "\\n" and "\\r" too, and a piece that the user defined is normalized. `unfit` says where that
  matters.
"""

import dataclasses

import numpy as np

from keras_bert.text.sentence_piece.model import CONTROL, NORMAL, UNKNOWN, USER_DEFINED, write_model

PENALTY = 10  # kUnkPenalty: what an unknown character scores below the worst piece
BONUS = 0.1  # for each byte after the first of a piece that the user defined, whatever its own score: seen, not read
_LEADS = [bytes([byte]) for byte in range(0xC2, 0xF5)]  # which begin a character in UTF-8
_CONTINUATIONS = [bytes([byte]) for byte in range(0x80, 0xC0)]


@dataclasses.dataclass(frozen=True)
class FastModel:
    """The model.

    Attributes:
        data: bytes, a ModelProto.
        size: the number of ids, those of the added pieces at the end.
        first_continuation: ids from there on stand for bytes that do not begin a character.
    """

    data: bytes
    size: int
    first_continuation: int


def fast_model(model, *, apart=False):
    """Makes the FastModel of a PieceModel.

    Args:
        model: the PieceModel.
        apart: whether each unknown character gets an id; else a run of those in ASCII gets one. For it the bytes that
            begin a character are pieces with the penalty, and then U+0000 costs more than in sentencepiece.
    """
    unknown = model.scores[model.types == NORMAL].min() - np.float32(PENALTY)
    present = set(model.pieces)
    leads = [bytes([byte]) for byte in range(1, 128) if chr(byte) not in present] + _LEADS if apart else []
    types = [NORMAL if kind in (NORMAL, USER_DEFINED) else CONTROL for kind in model.types.tolist()]
    types[model.unk_id] = UNKNOWN
    scores = [
        BONUS * (len(piece.encode()) - 1) if kind == USER_DEFINED else score
        for piece, score, kind in zip(model.pieces, model.scores.tolist(), model.types.tolist(), strict=True)
    ]
    flags = ("add_dummy_prefix", "remove_extra_whitespaces", "escape_whitespaces")
    data = write_model(
        [*model.pieces, *leads, *_CONTINUATIONS],
        [*scores, *[unknown] * len(leads), *[0.0] * len(_CONTINUATIONS)],
        types + [NORMAL] * (len(leads) + len(_CONTINUATIONS)),
        unk_id=model.unk_id,
        charsmap=model.charsmap,
        **{name: getattr(model, name) for name in flags},
    )
    first = len(model.pieces) + len(leads)
    return FastModel(data, first + len(_CONTINUATIONS), first)


def unfit(model, normalize):
    """Says why a model's ids cannot be had from the fast op, in words; None if they can.

    Args:
        model: the PieceModel.
        normalize: the model's normalization, a function from str to str.
    """
    if model.kind != "unigram":
        return f"its model_type is {model.kind}"
    if not model.charsmap:
        return "it does not normalize"
    if not model.escape_whitespaces:
        return "it keeps spaces as they are"
    if normalize("a\tb\nc\rd") != normalize("a b c d"):
        return "it keeps tabs or line ends"
    if normalize("a▁") == normalize("a") + "▁" or normalize("a▁") != normalize("a "):
        return "it tells ▁ from a space"
    if _begins(model.charsmap, b" "):
        return "it changes what follows a space"
    if not (model.scores[model.types == NORMAL] < 0).all():
        return "a piece has no negative score"
    defined = [piece for piece, kind in zip(model.pieces, model.types.tolist(), strict=True) if kind == USER_DEFINED]
    for piece in defined:
        text = piece.replace("▁", " ")
        if normalize(f"a{text}a") != f"{normalize('a')}{piece}a" or _begins(model.charsmap, text.encode()):
            return f"it would change {piece!r}, which is user-defined"
    return None


def _begins(charsmap, text):
    """Says whether a key of a normalization table (a double array of darts-clone) begins with a text."""
    size = int.from_bytes(charsmap[:4], "little") // 4
    units, node = np.frombuffer(charsmap, "<u4", size, offset=4).astype(np.int64), 0
    for byte in text:
        unit = int(units[node])
        node ^= (unit >> 10) << ((unit & 1 << 9) >> 6) ^ byte
        if node >= size or units[node] & 0x800000FF != byte:
            return False
    return True
