"""The files of a byte-level BPE: vocab.json with merges.txt, and tokenizer.json, as transformers writes them.

What changes ids and is not done here is refused by the names of its file and field.
"""

import dataclasses
import json

from keras_bert.errors import UserError
from keras_bert.files import read_json, read_lines
from keras_bert.outputs import atomic_path
from keras_bert.text.bpe.byte_pairs import BytePairs
from keras_bert.text.rules import AddedToken

VOCAB_JSON, MERGES, TOKENIZER_JSON = "vocab.json", "merges.txt", "tokenizer.json"
_HEADER = "#version: 0.2"
_WHAT = "The byte-level BPE"
# Fields of tokenizer.json's model: what they may say. Where all bytes have a token, nothing is unknown, so that
# unk_token, fuse_unk and byte_fallback change no ids.
_MODEL = {
    "type": ("BPE", None),
    "dropout": (None, 0),
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
    "ignore_merges": (False, None),
}
_HARMLESS = {"vocab", "merges", "unk_token", "fuse_unk", "byte_fallback"}
_TOKEN_FIELDS = {field.name for field in dataclasses.fields(AddedToken)} | {"id"}


@dataclasses.dataclass(frozen=True)
class Template:
    """What is put around one text and around two: tuples of (special token, or "A" or "B" for a text; segment)."""

    single: tuple[tuple[str, int], ...]
    pair: tuple[tuple[str, int], ...]


@dataclasses.dataclass(frozen=True)
class BytePairFile:
    """What a tokenizer.json says.

    Attributes:
        engine: the BytePairs, whose tokens are all rows, added tokens included.
        added: a list of (AddedToken, id), in the order of their ids.
        template: a Template; None where the file has no post_processor.
    """

    engine: BytePairs
    added: list[tuple[AddedToken, int]]
    template: Template | None


def read_vocab_and_merges(folder, *, normalizer=None, add_prefix_space=False):
    """Reads vocab.json and merges.txt of a directory.

    Args:
        folder: the directory, a Path.
        normalizer, add_prefix_space: see `BytePairs`; these files do not say.

    Returns:
        A BytePairs.

    Raises:
        UserError: a file is missing or damaged, ids are not 0 to V - 1, or the merges do not fit the vocabulary.
    """
    place = folder / VOCAB_JSON
    tokens = _in_order(_checked_ids(read_json(place, what=_WHAT), place, "vocab"), place)
    merges = _read_merges(folder / MERGES)
    return _engine(tokens, merges, folder / MERGES, normalizer=normalizer, add_prefix_space=add_prefix_space)


def write_vocab_and_merges(engine, folder):
    """Writes a BytePairs as vocab.json and merges.txt into a directory, a Path, in place of what is there."""
    with atomic_path(folder / VOCAB_JSON) as path:
        path.write_text(json.dumps(engine.token_ids, ensure_ascii=False), encoding="utf-8")
    lines = [_HEADER, *map(" ".join, engine.merges), ""]
    with atomic_path(folder / MERGES) as path:
        path.write_bytes("\n".join(lines).encode())


def read_tokenizer_json(path):
    """Reads a tokenizer.json.

    Args:
        path: the file, a Path.

    Returns:
        A BytePairFile.

    Raises:
        UserError: the file is missing or damaged, is of another kind than byte-level BPE, or asks for what is not
            supported; file and field are named.
    """
    fields = read_json(path, what=_WHAT)
    model = _object(fields, "model", path)
    for name, value in model.items():
        if name in _MODEL and not any(value == right and type(value) in (type(right), float) for right in _MODEL[name]):
            raise _refusal(path, f"model's {name}", value, " or ".join(map(json.dumps, _MODEL[name])))
        if name not in _MODEL and name not in _HARMLESS:
            raise UserError(f"{path}: its model has a field {name!r:.60}, which is not supported; it may change ids.")
    ids = _checked_ids(model.get("vocab"), path, "model's vocab")
    merges = model.get("merges")
    if not isinstance(merges, list):
        raise _damaged(path, "model's merges", merges, "a list")
    merges = [_merge(merge, path, f"entry {number} of its model's merges") for number, merge in enumerate(merges)]
    normalizer, add_prefix_space = _normalizer(fields, path), _prefix_space(fields, path)
    added = _added(fields, ids, path)
    tokens = _in_order(ids | {token.content: index for token, index in added}, path)
    engine = _engine(tokens, merges, path, normalizer=normalizer, add_prefix_space=add_prefix_space)
    return BytePairFile(engine, added, _template(fields.get("post_processor"), engine.token_ids, path))


def _engine(tokens, merges, path, **options):
    try:
        return BytePairs(tokens, merges, **options)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _checked_ids(ids, path, name):
    if not isinstance(ids, dict) or not ids:
        raise _damaged(path, name, ids, "an object from tokens to ids")
    wrong = next((token for token, index in ids.items() if type(index) is not int or index < 0), None)
    if wrong is not None:
        raise UserError(
            f"{path} is damaged: its {name} gives {wrong!r:.60} the id {ids[wrong]!r:.60}, and a whole number from 0 "
            "was expected; fetch the file again."
        )
    return ids


def _in_order(ids, path):
    """Returns the tokens of {token: id} by their ids, which must be 0 to V - 1."""
    tokens = {}
    for token, index in ids.items():
        if index in tokens:
            raise UserError(
                f"{path} is damaged: {tokens[index]!r:.60} and {token!r:.60} both have the id {index}; fetch it again."
            )
        tokens[index] = token
    missing = next((index for index in range(len(ids)) if index not in tokens), None)
    if missing is not None:
        raise UserError(
            f"{path}: the ids of its {len(ids)} tokens must be 0 to {len(ids) - 1}, and no token has the id {missing}; "
            "fetch or save the tokenizer again."
        )
    return [tokens[index] for index in range(len(ids))]


def _read_merges(path):
    if not path.is_file():
        raise UserError(f"{_WHAT}: {path} does not exist; {VOCAB_JSON} needs the merges of the same model beside it.")
    lines = list(read_lines(path))
    first = 1 if lines and lines[0].startswith("#version") else 0
    return [_merge(line, path, f"line {number}") for number, line in enumerate(lines[first:], first + 1) if line]


def _merge(value, path, place):
    """Returns a merge, "a b" or ["a", "b"], as a tuple."""
    parts = value.split(" ") if isinstance(value, str) else value
    if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(part, str) and part for part in parts):
        raise UserError(
            f"{path} is damaged: {place} must be two tokens with a space between them. Found: {value!r:.80}; fetch "
            "the file again."
        )
    return tuple(parts)


def _object(fields, name, path):
    if not isinstance(fields.get(name), dict):
        raise _damaged(path, name, fields.get(name), "an object of fields")
    return fields[name]


def _steps(fields, name, part, path):
    """Returns the steps of a normalizer or the like as a list of objects: [] for null, those of a Sequence."""
    value = fields.get(name)
    if value is None:
        return []
    if not isinstance(value, dict):
        raise _damaged(path, name, value, "an object of fields, or null")
    steps = value.get(part) if value.get("type") == "Sequence" else [value]
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise _damaged(path, f"{name}'s {part}", steps, "a list of objects")
    return steps


def _normalizer(fields, path):
    steps = [step.get("type") for step in _steps(fields, "normalizer", "normalizers", path)]
    wrong = next((step for step in steps if step != "NFC"), None)
    if steps and wrong is not None:
        raise _refusal(path, "normalizer's type", wrong, '"NFC" or no normalizer')
    return "NFC" if steps else None


def _prefix_space(fields, path):
    steps = _steps(fields, "pre_tokenizer", "pretokenizers", path)
    if [step.get("type") for step in steps] != ["ByteLevel"]:
        found = " and ".join(str(step.get("type")) for step in steps) or None
        raise _refusal(path, "pre_tokenizer's type", found, '"ByteLevel"')
    if steps[0].get("use_regex", True) is not True:
        raise _refusal(path, "pre_tokenizer's use_regex", steps[0]["use_regex"], "true")
    value = steps[0].get("add_prefix_space", True)
    if not isinstance(value, bool):
        raise _damaged(path, "pre_tokenizer's add_prefix_space", value, "true or false")
    return value


def _added(fields, ids, path):
    """Returns [(AddedToken, id)] of the added_tokens, each content and each id once."""
    entries = fields.get("added_tokens")
    entries = [] if entries is None else entries
    if not isinstance(entries, list):
        raise _damaged(path, "added_tokens", entries, "a list of tokens")
    added = {}
    for entry in entries:
        content, index = (entry.get("content"), entry.get("id")) if isinstance(entry, dict) else (None, None)
        if not isinstance(content, str) or not content or type(index) is not int or index < 0:
            raise _damaged(path, "added_tokens", entry, "tokens with content and id")
        if index != ids.get(content, index) or content in added:
            raise UserError(f"{path} is damaged: its added token {content!r:.60} has two ids; fetch the file again.")
        unknown = next((name for name in entry if name not in _TOKEN_FIELDS), None)
        if unknown is not None:
            raise UserError(
                f"{path}: its added token {content!r:.60} has a field {unknown!r:.60}, which is not supported."
            )
        try:
            added[content] = (AddedToken(**{name: value for name, value in entry.items() if name != "id"}), index)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
    return sorted(added.values(), key=lambda pair: pair[1])


def _template(post, ids, path):
    """Returns the Template of a post_processor."""
    steps = _steps({"post_processor": post}, "post_processor", "processors", path)
    steps = [step for step in steps if step.get("type") != "ByteLevel"]  # it trims offsets
    if not steps:
        return None if post is None else Template((("A", 0),), (("A", 0), ("B", 1)))
    kind = steps[0].get("type")
    if len(steps) > 1 or kind not in ("RobertaProcessing", "BertProcessing", "TemplateProcessing"):
        kinds = " and ".join(str(step.get("type")) for step in steps)
        raise _refusal(path, "post_processor's type", kinds, "RobertaProcessing, BertProcessing or TemplateProcessing")
    if kind == "TemplateProcessing":
        return _written_template(steps[0], ids, path)
    first, last = (_special(steps[0].get(name), ids, path, name) for name in ("cls", "sep"))
    single = ((first, 0), ("A", 0), (last, 0))
    if kind == "RobertaProcessing":
        return Template(single, (*single, (last, 0), ("B", 0), (last, 0)))
    return Template(single, (*single, ("B", 1), (last, 1)))


def _special(value, ids, path, name):
    """Returns the token of a pair [token, id]."""
    if not isinstance(value, list) or len(value) != 2 or not isinstance(value[0], str):
        raise _damaged(path, f"post_processor's {name}", value, "a token and its id")
    if ids.get(value[0]) != value[1]:
        raise UserError(
            f"{path}: its post_processor's {name} says that {value[0]!r:.60} has the id {value[1]!r:.60}, but in its "
            f"vocabulary it is {ids.get(value[0])}; fetch or save the tokenizer again."
        )
    return value[0]


def _written_template(post, ids, path):
    try:
        parts = {
            name: [(kind, piece["id"], piece["type_id"]) for part in post[name] for kind, piece in part.items()]
            for name in ("single", "pair")
        }
        named = {name: (special["tokens"], special["ids"]) for name, special in post["special_tokens"].items()}
        texts = {name: [text for kind, text, _ in parts[name] if kind == "Sequence"] for name in parts}
        used = {token for part in parts.values() for kind, token, _ in part if kind == "SpecialToken"}
        sound = texts == {"single": ["A"], "pair": ["A", "B"]} and used.isdisjoint({"A", "B"})
        sound = sound and all(type(segment) is int for part in parts.values() for *_, segment in part)
        sound = sound and all(named[token][0] == [token] for token in used)
        sound = sound and all(isinstance(named[token][1], list) and len(named[token][1]) == 1 for token in used)
    except (AttributeError, TypeError, KeyError):
        sound = False
    if not sound:
        raise _damaged(path, "post_processor", post, "templates of special tokens around text A, and around A and B")
    for token in used:
        _special([token, named[token][1][0]], ids, path, "special_tokens")
    return Template(*(tuple((token, segment) for _, token, segment in parts[name]) for name in ("single", "pair")))


def _refusal(path, name, value, expected):
    return UserError(
        f"{path} is not for this byte-level BPE: its {name} is {json.dumps(value)[:80]}, and {expected} was expected; "
        "texts would get other ids than the model was trained with."
    )


def _damaged(path, name, value, expected):
    return UserError(
        f"{path} is damaged: its {name} must be {expected}. Found: {value!r:.80}; fetch or save the tokenizer again."
    )
