"""A tokenizer.json of type Unigram as a SentencePiece model: its pieces, its scores, its normalization.

transformers 5 saves no .model beside it. Its normalizer and pre-tokenizer must be those that transformers writes for
the family, which mean SentencePiece's own; anything else would mean other ids.
"""

import base64
import json
from collections import Counter

from keras_bert.errors import UserError
from keras_bert.files import read_json
from keras_bert.text.sentence_piece.model import CONTROL, NORMAL, UNKNOWN, USER_DEFINED, write_model

_FIELDS = {"type", "vocab", "unk_id", "byte_fallback"}
_QUOTES = [{"type": "Replace", "pattern": {"String": quotes}, "content": '"'} for quotes in ("``", "''")]
# What SentencePiece does anyway, and what stands for its own table.
_SPACES = [{"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": content} for content in (" ", "▁")]
_PRECOMPILED = {"type": "Precompiled"}
_LARGEST = 3.4e38  # a score is a float32


def model_of_json(path, rules):
    """Makes the bytes of a SentencePiece model of a tokenizer.json.

    Args:
        path: the file.
        rules: the SentencePieceRules of the family.

    Raises:
        UserError: it is damaged, of another type, or its normalizer or pre-tokenizer are not the family's.
    """
    fields = read_json(path, what="The tokenizer")
    vocabulary, unknown = _vocabulary(fields.get("model"), path, rules)
    charsmap = _charsmap(fields.get("normalizer"), path, rules)
    _check_pre_tokenizer(fields.get("pre_tokenizer"), path)
    vocabulary = _without_family_rows(vocabulary, path, rules)
    special = {token["content"] for token in fields.get("added_tokens") or [] if _is_special(token)}
    special |= {*rules.before, *rules.after, *dict(rules.special).values()}
    pieces, scores = zip(*vocabulary, strict=True)
    types = [CONTROL if piece in special else USER_DEFINED if score == 0 else NORMAL for piece, score in vocabulary]
    types[pieces.index(unknown)] = UNKNOWN
    return write_model(pieces, scores, types, unk_id=pieces.index(unknown), charsmap=charsmap)


def _vocabulary(model, path, rules):
    """Returns the [piece, score] of a model, and its unknown piece."""
    model = model if isinstance(model, dict) else {}
    if model.get("type", "Unigram" if isinstance(model.get("vocab"), list) else None) != "Unigram":
        raise UserError(f"{path}: its model's type is {model.get('type')!r:.40}, and 'Unigram' was expected.")
    if model.get("byte_fallback"):
        raise UserError(f"{path}: its model's byte_fallback is true, which is not supported.")
    other = next((name for name in model if name not in _FIELDS and model[name] is not None), None)
    if other is not None:
        raise UserError(f"{path}: its model has a field {other!r:.60}, which is not supported; it may change ids.")
    vocabulary, unk_id, expected = model.get("vocab"), model.get("unk_id"), dict(rules.special)["unk"]
    if not isinstance(vocabulary, list) or not all(_is_entry(entry) for entry in vocabulary) or not vocabulary:
        raise UserError(
            f"{path} is damaged: its model's vocab must be a list of [piece, score], no piece empty and each score a "
            "finite number; save it again."
        )
    if type(unk_id) is not int or not 0 <= unk_id < len(vocabulary):
        raise UserError(f"{path} is damaged: its model's unk_id is {unk_id!r:.40}, no id of its vocab; save it again.")
    counts = Counter(piece for piece, _ in vocabulary)
    ((piece, most),) = counts.most_common(1)
    if most > 1:
        raise UserError(f"{path} is damaged: its model's vocab has the piece {piece!r:.60} twice; save it again.")
    unknown = vocabulary[unk_id][0]
    if unknown != expected:
        raise UserError(
            f"{path}: its model's unk_id is the id of {unknown!r:.60}, and that of {expected!r:.60} was expected, the "
            f"unknown token of {rules.family}; correct it."
        )
    return vocabulary, unknown


def check_template(path, layout, special):
    """Raises a UserError if a tokenizer.json puts other tokens around its texts than a Layout.

    Args:
        path: the file.
        layout: the Layout.
        special: {role: token}.
    """
    post = read_json(path, what="The tokenizer").get("post_processor")
    gaps = (layout.before, layout.between, layout.after)
    before, between, after = ([(special[role], 0) for role in roles] for roles in gaps)
    second = 1 if layout.segments else 0
    expected = {
        "single": [*before, ("A", 0), *after],
        "pair": [*before, ("A", 0), *between, ("B", second), *((token, second) for token, _ in after)],
    }
    if {name: _template(post, name) for name in expected} != expected:
        raise UserError(
            f"{path}: its post_processor does not put the special tokens around a text and a pair as the tokenizers of "
            "the model's family do; take the tokenizer that the model was trained with."
        )


def _template(post, name):
    """Returns one template of a TemplateProcessing as [(token or text, segment)], or None if it is something else."""
    try:
        return [(piece["id"], piece["type_id"]) for part in post[name] for piece in part.values()]
    except (AttributeError, TypeError, KeyError):
        return None


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
    is_pair = isinstance(entry, list) and list(map(type, entry)) in ([str, float], [str, int])
    return is_pair and entry[0] != "" and abs(entry[1]) < _LARGEST


def _is_special(token):
    return isinstance(token, dict) and token.get("special") and isinstance(token.get("content"), str)


def _parts(value, name, path):
    """Returns the parts of a Sequence, or the one there is; [] of nothing."""
    if not isinstance(value, dict):
        return []
    parts = value.get(name) or [] if value.get("type") == "Sequence" else [value]
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise UserError(f"{path} is damaged: its {name} must be a list of objects, not {parts!r:.80}; save it again.")
    return parts


def _charsmap(normalizer, path, rules):
    """Returns the table of the Precompiled part; the others must be the family's cleaning."""
    table, found, expected = b"", [], _cleaning(rules)
    for part in _parts(normalizer, "normalizers", path):
        if part.get("type") == "Precompiled":
            try:
                table = base64.b64decode(part["precompiled_charsmap"], validate=True)
            except (KeyError, ValueError, TypeError) as error:
                raise UserError(f"{path} is damaged: its normalizer's precompiled_charsmap; save it again.") from error
            found.append(_PRECOMPILED)
        elif part.get("type") != "Strip" and part not in _SPACES:
            if part not in expected:
                raise UserError(
                    f"{path}: its normalizer has the part {json.dumps(part, ensure_ascii=False)[:90]}, which the "
                    f"tokenizers of {rules.family} do not have, or not with what tokenizer_config.json says; texts "
                    "would get other ids than the model was trained with."
                )
            found.append(part)
    missing = next((part for part in expected if part not in found), None)
    if missing == _PRECOMPILED or not table:
        raise UserError(f"{path}: its normalizer has no precompiled_charsmap, which SentencePiece models have.")
    if found != expected:
        wrong = f"lacks {json.dumps(missing)}" if missing else "has its parts in another order, or twice"
        raise UserError(
            f"{path}: its normalizer {wrong}, against what tokenizer_config.json or the family says; make them agree."
        )
    return table


def _cleaning(rules):
    """Returns the parts that a family's normalizer must have, in order."""
    accents = [] if rules.keeps_accents else [{"type": "NFKD"}, {"type": "StripAccents"}]
    lower = [{"type": "Lowercase"}] if rules.do_lower_case else []
    return [*(_QUOTES if rules.replaces_quotes else []), *accents, *lower, _PRECOMPILED]


def _check_pre_tokenizer(pre_tokenizer, path):
    parts = _parts(pre_tokenizer, "pretokenizers", path)
    for part in parts:
        kind = part.get("type")
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
