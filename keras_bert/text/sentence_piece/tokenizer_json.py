"""A tokenizer.json of type Unigram as a SentencePiece model: its pieces, its scores, its normalization.

transformers 5 saves no .model beside it. Its normalizer and pre-tokenizer must be those that transformers writes for
the family, which mean SentencePiece's own; anything else would mean other ids.
"""

import base64
import json

from keras_bert.errors import UserError
from keras_bert.files import read_json
from keras_bert.text.sentence_piece.model import CONTROL, NORMAL, UNKNOWN, USER_DEFINED, write_model

_CLEANING = ("Replace", "NFKD", "StripAccents", "Lowercase", "Strip")


def model_of_json(path, rules):
    """Makes the bytes of a SentencePiece model of a tokenizer.json.

    Args:
        path: the file.
        rules: the SentencePieceRules of the family.

    Raises:
        UserError: it is damaged, of another type, or its normalizer or pre-tokenizer are not the family's.
    """
    fields = read_json(path, what="The tokenizer")
    model = fields.get("model") if isinstance(fields.get("model"), dict) else {}
    if model.get("type", "Unigram" if isinstance(model.get("vocab"), list) else None) != "Unigram":
        raise UserError(f"{path}: its model's type is {model.get('type')!r:.40}, and 'Unigram' was expected.")
    if model.get("byte_fallback"):
        raise UserError(f"{path}: its model's byte_fallback is true, which is not supported.")
    vocabulary, unk_id = model.get("vocab"), model.get("unk_id")
    if not isinstance(vocabulary, list) or not all(_is_entry(entry) for entry in vocabulary) or not vocabulary:
        raise UserError(f"{path} is damaged: its model's vocab must be a list of [piece, score]; save it again.")
    if type(unk_id) is not int or not 0 <= unk_id < len(vocabulary):
        raise UserError(f"{path} is damaged: its model's unk_id is {unk_id!r:.40}, no id of its vocab; save it again.")
    charsmap = _charsmap(fields.get("normalizer"), path, rules)
    _check_pre_tokenizer(fields.get("pre_tokenizer"), path)
    unknown = vocabulary[unk_id][0]
    vocabulary = _without_family_rows(vocabulary, path, rules)
    special = {token["content"] for token in fields.get("added_tokens") or [] if _is_special(token)}
    special |= {*rules.before, *rules.after, *dict(rules.special).values()}
    pieces, scores = zip(*vocabulary, strict=True)
    types = [CONTROL if piece in special else USER_DEFINED if score == 0 else NORMAL for piece, score in vocabulary]
    types[pieces.index(unknown)] = UNKNOWN
    return write_model(pieces, scores, types, unk_id=pieces.index(unknown), charsmap=charsmap)


def _without_family_rows(vocabulary, path, rules):
    """Returns the entries of the family's model: without the tokens that the family's class puts around them."""
    if rules.before:
        found = tuple(piece for piece, _ in vocabulary[: len(rules.before)])
        if found != rules.before:
            raise UserError(
                f"{path}: its model's vocab must begin with {', '.join(rules.before)} as that of {rules.family} does. "
                f"Found: {', '.join(found)}."
            )
        own = [["<unk>", 0.0], ["<s>", 0.0], ["</s>", 0.0]][: len(rules.before) - rules.shift]
        vocabulary = own + vocabulary[len(rules.before) :]
    while len(vocabulary) > 1 and vocabulary[-1][0] in rules.after:
        vocabulary = vocabulary[:-1]
    return vocabulary


def _is_entry(entry):
    return isinstance(entry, list) and list(map(type, entry)) in ([str, float], [str, int])


def _is_special(token):
    return isinstance(token, dict) and token.get("special") and isinstance(token.get("content"), str)


def _parts(value, name):
    """Returns the parts of a Sequence, or the one there is; [] of nothing."""
    if not isinstance(value, dict):
        return []
    return value.get(name) or [] if value.get("type") == "Sequence" else [value]


def _charsmap(normalizer, path, rules):
    """Returns the table of the Precompiled part; the others must be the family's cleaning."""
    parts, table = _parts(normalizer, "normalizers"), b""
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "Precompiled":
            try:
                table = base64.b64decode(part["precompiled_charsmap"], validate=True)
            except (KeyError, ValueError, TypeError) as error:
                raise UserError(f"{path} is damaged: its normalizer's precompiled_charsmap; save it again.") from error
        elif kind not in _CLEANING or (kind != "Strip" and kind != "Replace" and not rules.cleans):
            raise UserError(
                f"{path}: its normalizer has a part of type {kind!r:.40}, which the tokenizers of {rules.family} do "
                "not have; texts would get other ids than the model was trained with."
            )
    kinds = {part.get("type") for part in parts}
    for kind, is_there in (("NFKD", not rules.keeps_accents), ("Lowercase", rules.do_lower_case)):
        if (kind in kinds) != is_there:
            raise UserError(
                f"{path}: its normalizer {'has' if kind in kinds else 'lacks'} {kind}, against what tokenizer_config."
                "json or the family says; make them agree."
            )
    if not table:
        raise UserError(f"{path}: its normalizer has no precompiled_charsmap, which SentencePiece models have.")
    return table


def _check_pre_tokenizer(pre_tokenizer, path):
    parts = _parts(pre_tokenizer, "pretokenizers")
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        is_usual = kind == "WhitespaceSplit" or (
            kind == "Metaspace"
            and part.get("replacement", "▁") == "▁"
            and part.get("prepend_scheme", "always") in ("always", "first")
            and part.get("add_prefix_space", True)
        )
        if not is_usual:
            raise UserError(
                f"{path}: its pre_tokenizer has {json.dumps(part)[:80]}, and Metaspace with '▁' before each text was "
                "expected; texts would get other ids than the model was trained with."
            )
    if not any(part.get("type") == "Metaspace" for part in parts):
        raise UserError(f"{path}: its pre_tokenizer has no Metaspace, which SentencePiece models have.")
