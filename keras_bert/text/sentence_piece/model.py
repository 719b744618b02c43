"""SentencePiece's model files (sentencepiece_model.proto, ModelProto): read, checked, and written in other forms.

Read by hand: the messages that sentencepiece brings want a newer protobuf than TensorFlow allows.
"""

import dataclasses
import struct

import numpy as np

from keras_bert.errors import UserError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)  # ModelProto.SentencePiece.Type
KINDS = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}  # TrainerSpec.ModelType
_PIECE, _TRAINER, _NORMALIZER = 1, 2, 3  # fields of ModelProto
_TEXT, _SCORE, _TYPE = 1, 2, 3  # fields of a piece
_MODEL_TYPE, _TREAT_AS_SUFFIX, _UNK_ID, _BYTE_FALLBACK = 3, 24, 40, 35  # fields of TrainerSpec
_CHARSMAP, _DUMMY_PREFIX, _EXTRA_SPACES, _ESCAPE = 2, 3, 4, 5  # fields of NormalizerSpec
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
MOST_PIECES = 1 << 22


@dataclasses.dataclass(frozen=True)
class PieceModel:
    """What a model file says.

    Attributes:
        data: the file's bytes.
        pieces: tuple of str, by id.
        scores: float32 (P,).
        types: uint8 (P,), NORMAL and so on.
        kind: "unigram" or "bpe".
        unk_id: the id of the unknown piece.
        charsmap: bytes, the normalization's table; empty for none.
        add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces: bool, the normalizer's.
    """

    data: bytes = dataclasses.field(repr=False)
    pieces: tuple = dataclasses.field(repr=False)
    scores: np.ndarray = dataclasses.field(repr=False, compare=False)
    types: np.ndarray = dataclasses.field(repr=False, compare=False)
    kind: str = "unigram"
    unk_id: int = 0
    charsmap: bytes = dataclasses.field(default=b"", repr=False)
    add_dummy_prefix: bool = True
    remove_extra_whitespaces: bool = True
    escape_whitespaces: bool = True


def read_model(data, *, source="The SentencePiece model"):
    """Reads the bytes of a model file.

    Args:
        data: bytes.
        source: how errors name the file.

    Returns:
        A PieceModel.

    Raises:
        UserError: they are damaged or no SentencePiece model, or of a kind that is not supported.
    """
    try:
        pieces, scores, types, trainer, normalizer = _parse(bytes(data))
        pieces = tuple(piece.decode() for piece in pieces)
    except (IndexError, ValueError, TypeError, struct.error) as error:  # TypeError: a number where bytes belong
        raise UserError(f"{source} is damaged or no SentencePiece model ({error}); fetch it again.") from error
    if not pieces:
        raise UserError(f"{source} is damaged or no SentencePiece model: it has no pieces; fetch it again.")
    if trainer is None:
        raise UserError(f"{source} is damaged: it has no trainer_spec, which says its kind; fetch it again.")
    kind = KINDS.get(trainer.get(_MODEL_TYPE, 1))
    if kind not in ("unigram", "bpe"):
        raise UserError(
            f"{source} has a model_type that is not supported, {kind or trainer[_MODEL_TYPE]!r}; unigram and bpe are."
        )
    types = np.array(types, np.uint8)
    unknown = np.flatnonzero(types == UNKNOWN)
    if len(unknown) != 1:
        raise UserError(f"{source} must have one piece of type UNKNOWN. Found: {len(unknown)}; fetch it again.")
    if trainer.get(_BYTE_FALLBACK) or (types == BYTE).any():
        raise UserError(f"{source} spells unknown characters in bytes (byte_fallback), which is not supported.")
    if trainer.get(_TREAT_AS_SUFFIX):
        raise UserError(f"{source} puts spaces after words (treat_whitespace_as_suffix), which is not supported.")
    flags = {name: bool(normalizer.get(field, 1)) for name, field in _NORMALIZER_FLAGS.items()}
    scores = np.array(scores, np.float32)
    charsmap = normalizer.get(_CHARSMAP, b"")
    if not _is_charsmap(charsmap):
        raise UserError(f"{source} is damaged: its normalizer_spec's precompiled_charsmap; fetch it again.")
    return PieceModel(bytes(data), pieces, scores, types, kind, int(unknown[0]), charsmap, **flags)


def _is_charsmap(data):
    """Says whether a charsmap is empty, or a trie, its size before it, with UTF-8 texts after it."""
    if not isinstance(data, bytes) or 0 < len(data) < 4:
        return False
    try:
        data[4 + int.from_bytes(data[:4], "little") :].decode()
    except UnicodeDecodeError:
        return False
    return True


_NORMALIZER_FLAGS = {
    "add_dummy_prefix": _DUMMY_PREFIX,
    "remove_extra_whitespaces": _EXTRA_SPACES,
    "escape_whitespaces": _ESCAPE,
}


def write_model(pieces, scores, types, *, kind="unigram", unk_id=0, charsmap=b"", **flags):
    """Makes the bytes of a model file.

    Args:
        pieces: list of str or bytes.
        scores, types: as many floats and types (NORMAL and so on).
        kind: "unigram" or "bpe".
        unk_id: the id of the unknown piece.
        charsmap: the normalization's table.
        **flags: `add_dummy_prefix` and the like of a PieceModel.

    >>> data = write_model(["<unk>", "▁a"], [0, -1], [UNKNOWN, NORMAL])
    >>> read_model(data).pieces
    ('<unk>', '▁a')
    """
    number = next(index for index, name in KINDS.items() if name == kind)
    trainer = _number(_MODEL_TYPE, number) + _number(_UNK_ID, unk_id)
    normalizer = _string(1, b"custom") + _string(_CHARSMAP, charsmap)
    for name, field in _NORMALIZER_FLAGS.items():
        normalizer += _number(field, int(flags.pop(name, True)))
    if flags:
        raise TypeError(f"unknown flags: {', '.join(flags)}")
    parts = []
    for piece, score, type_ in zip(pieces, scores, types, strict=True):
        text = piece.encode() if isinstance(piece, str) else piece
        fields = _string(_TEXT, text) + b"\x15" + struct.pack("<f", score)
        parts.append(_string(_PIECE, fields + (_number(_TYPE, int(type_)) if type_ != NORMAL else b"")))
    return b"".join([*parts, _string(_TRAINER, trainer), _string(_NORMALIZER, normalizer)])


def _parse(data):
    """Returns the pieces, scores, types, and the fields of trainer and normalizer (None and {} where missing)."""
    pieces, scores, types, trainer, normalizer = [], [], [], None, {}
    for field, _, value in _fields(data):
        if field == _PIECE:
            text, score, type_ = _piece(value)
            pieces.append(text)
            scores.append(score)
            types.append(type_)
            if len(pieces) > MOST_PIECES:
                raise ValueError(f"more than {MOST_PIECES:,} pieces")
        elif field == _TRAINER:
            trainer = {number: value for number, _, value in _fields(value)}
        elif field == _NORMALIZER:
            normalizer = {number: value for number, _, value in _fields(value)}
    return pieces, scores, types, trainer, normalizer


def _piece(value):
    """Returns text, score and type of a piece."""
    size = value[1] if value[:1] == b"\n" else 128
    if size < 128 and len(value) == size + 7 and value[size + 2] == 0x15:  # as sentencepiece writes a normal piece
        return value[2 : size + 2], struct.unpack_from("<f", value, size + 3)[0], NORMAL
    fields = {number: each for number, _, each in _fields(value)}
    text, score, type_ = fields.get(_TEXT, b""), fields.get(_SCORE, 0.0), fields.get(_TYPE, NORMAL)
    if not isinstance(text, bytes) or not isinstance(score, float) or type_ not in range(NORMAL, BYTE + 1):
        raise ValueError("a piece of another form")
    return text, score, type_


def _fields(data):
    """Yields (field number, wire type, value) of a message."""
    place, size = 0, len(data)
    while place < size:
        key = data[place]
        if key < 128:
            place += 1
        else:
            key, place = _varint(data, place)
        wire = key & 7
        if wire == _BYTES:
            length, place = _varint(data, place)
            value, place = data[place : place + length], place + length
            if place > size:
                raise ValueError("cut off")
        elif wire == _VARINT:
            value, place = _varint(data, place)
        elif wire == _FIXED32:
            value, place = struct.unpack_from("<f", data, place)[0], place + 4
        elif wire == _FIXED64:
            value, place = data[place : place + 8], place + 8
        else:
            raise ValueError(f"wire type {wire}")
        yield key >> 3, wire, value


def _varint(data, place):
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("a number of over 64 bits")


def _number(field, value):
    return _as_varint(field << 3) + _as_varint(value)


def _string(field, value):
    return _as_varint(field << 3 | _BYTES) + _as_varint(len(value)) + value


def _as_varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
