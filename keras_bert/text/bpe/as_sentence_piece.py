"""A byte-level BPE model as a SentencePiece BPE model, which tensorflow-text runs inside a graph.

SentencePiece merges the neighbours whose result has the best score, not the pair of the best rank. Both do the same: a
token spelled by itself is always made by the same last merge, whatever is around it, so that its score is minus the
rank of that merge; a token that its own letters do not lead to is never made, so that it is no piece.
"""

import struct
from itertools import pairwise

from keras_bert.text.bpe.byte_pairs import ALPHABET, NEVER_IN_UTF8

_NORMAL, _UNKNOWN, _CONTROL = 1, 2, 3  # SentencePiece.Type in sentencepiece_model.proto
_BPE = 2  # TrainerSpec.ModelType


def token_ranks(engine):
    """Returns {token: rank of the merge that makes it} of the tokens that text can give, -1 for letters of bytes.

    Args:
        engine: a BytePairs.

    >>> from keras_bert.text.bpe.byte_pairs import BytePairs
    >>> engine = BytePairs([*ALPHABET, "ab", "bc", "abc", "no"], [("b", "c"), ("a", "b"), ("ab", "c"), ("a", "bc")])
    >>> {token: rank for token, rank in token_ranks(engine).items() if rank >= 0}
    {'bc': 0, 'ab': 1, 'abc': 3}
    """
    never = {ALPHABET[byte] for byte in NEVER_IN_UTF8}
    pairs = {pair: rank for rank, pair in enumerate(engine.merges)}  # of a pair that comes twice the later rank counts
    merges = {}
    for pair, rank in pairs.items():
        merges.setdefault("".join(pair), []).append(rank)
    ranks = {letter: -1 for letter in ALPHABET if letter not in never}
    for token, of_token in merges.items():
        if never.isdisjoint(token) and engine.spell(token) == [engine.token_ids[token]]:
            ranks[token] = of_token[0] if len(of_token) == 1 else pairs[_last_pair(token, pairs)]
    return ranks


def _last_pair(token, pairs):
    """Returns the two parts that a token, spelled by itself, is made of in the end."""
    parts = list(token)
    while len(parts) > 2:
        _, place = min((pairs.get(pair, len(pairs)), place) for place, pair in enumerate(pairwise(parts)))
        parts[place : place + 2] = ["".join(parts[place : place + 2])]
    return tuple(parts)


def sentencepiece_model(tokens, ranks):
    """Returns the bytes of a SentencePiece model whose piece i is token i, in the letters of the alphabet.

    Args:
        tokens: the tokens in the order of their ids.
        ranks: what `token_ranks` says of them.
    """
    pieces = [
        _piece(token, -ranks[token], _NORMAL) if token in ranks else _piece(f"\1{index}", 0, _CONTROL)
        for index, token in enumerate(tokens)
    ]
    pieces.append(_piece("\1", 0, _UNKNOWN))  # a model must have one
    trainer = _field(3, _BPE)
    normalizer = _field(1, b"identity") + _field(3, 0) + _field(4, 0) + _field(5, 0)  # no prefix, no white space rules
    return b"".join([*(_field(1, piece) for piece in pieces), _field(2, trainer), _field(3, normalizer)])


def _piece(text, score, kind):
    return _field(1, text.encode()) + b"\x15" + struct.pack("<f", score) + _field(3, kind)


def _field(number, value):
    """A field of a protocol buffer: bytes, or a whole number."""
    if isinstance(value, bytes):
        return _varint(number << 3 | 2) + _varint(len(value)) + value
    return _varint(number << 3) + _varint(value)


def _varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])
