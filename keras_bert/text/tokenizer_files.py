"""The tokenizer's files in a model directory: vocab.txt or tokenizer.json, and tokenizer_config.json.

tokenizer.json holds vocabulary and rules in one, as Hugging Face's tokenizers library writes them; transformers 5 saves
no vocab.txt beside it. Where both are there vocab.txt is read.
"""

import json
from pathlib import Path

from keras_bert.errors import UserError
from keras_bert.files import read_json
from keras_bert.text.vocabulary import UNK, Vocabulary

VOCAB_NAME, JSON_NAME, CONFIG_NAME = "vocab.txt", "tokenizer.json", "tokenizer_config.json"
MODULES = "modules.json"  # of sentence-transformers, which may keep the model in a folder below
KIND = "WordPiece"
# What tokenizer.json must say; other values mean other ids.
EXPECTED = (
    ("model", "type", (KIND,)),
    ("model", "unk_token", (UNK,)),
    ("model", "continuing_subword_prefix", ("##",)),
    ("model", "max_input_chars_per_word", (100, 200)),  # transformers' and Google's; here it is 200
    ("normalizer", "type", ("BertNormalizer",)),
    ("normalizer", "clean_text", (True,)),
    ("pre_tokenizer", "type", ("BertPreTokenizer",)),
)
# The rules that a Tokenizer has arguments for: their names in tokenizer_config.json and in tokenizer.json's normalizer.
RULES = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}


def transformer_folder(folder):
    """Returns the folder in which a directory's model and vocabulary lie: itself, or what its modules.json names first.

    sentence-transformers 1 and 2 kept them in 0_Transformer.
    """
    folder = Path(folder)
    if (folder / "config.json").is_file() or not (folder / MODULES).is_file():
        return folder
    try:
        name = json.loads((folder / MODULES).read_text(encoding="utf-8"))[0]["path"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return folder  # it is refused where its settings are read
    is_below = isinstance(name, str) and Path(name).name == name
    return folder / name if is_below and (folder / name).is_dir() else folder


def find_vocabulary(folder):
    """Returns the path of the file in a directory that holds its vocabulary, or None."""
    return next((folder / name for name in (VOCAB_NAME, JSON_NAME) if (folder / name).is_file()), None)


def count_entries(path):
    """Returns how many entries a file of `find_vocabulary` has; None if it is of another kind than BERT's.

    Raises:
        UserError: it is damaged.
    """
    if path.name == VOCAB_NAME:
        return len(Vocabulary.from_file(path, what="The model's vocabulary"))
    fields = _read(path)
    return len(_tokens(fields, path)) if fields["model"].get("type") == KIND else None


def read_tokenizer(folder):
    """Reads the vocabulary and the rules of a directory.

    Returns:
        A Vocabulary, and a dict of those RULES that the files state; tokenizer_config.json goes before tokenizer.json.

    Raises:
        UserError: there is no vocabulary, a file is damaged, or tokenizer.json is of another kind than BERT's.
    """
    path = find_vocabulary(folder)
    if path is None:
        raise UserError(
            f"There is no {VOCAB_NAME} and no {JSON_NAME} in {folder}; give a model directory, or a checkpoint with "
            "one of them beside it."
        )
    if path.name == VOCAB_NAME:
        vocabulary, rules = Vocabulary.from_file(path, what="from_pretrained"), {}
    else:
        fields = _read(path)
        _check_kind(fields, path)
        vocabulary = Vocabulary(_tokens(fields, path), source=path)
        rules = {ours: fields["normalizer"][theirs] for ours, theirs in RULES.items() if theirs in fields["normalizer"]}
    place = folder / CONFIG_NAME
    config = read_json(place, what="The tokenizer's configuration") if place.is_file() else {}
    return vocabulary, rules | {name: config[name] for name in RULES if name in config}


def _read(path):
    """Returns a tokenizer.json whose parts are all there, if only as empty objects."""
    fields = read_json(path, what="The tokenizer")
    fields |= {part: fields[part] if isinstance(fields.get(part), dict) else {} for part, _, _ in EXPECTED}
    added = fields["added_tokens"] = fields.get("added_tokens") or []
    if not isinstance(added, list) or not all(isinstance(_content(token), str) for token in added):
        raise UserError(f"{path} is damaged: its added_tokens must be a list of tokens with content; save it again.")
    if "max_input_chars_per_word" in fields["model"]:  # which no other kind has
        fields["model"].setdefault("type", KIND)  # older files leave it out
    return fields


def _content(token):
    return token.get("content") if isinstance(token, dict) else None


def _check_kind(fields, path):
    """Raises a UserError if a tokenizer.json gives other ids than a Tokenizer can."""
    for part, field, expected in EXPECTED:
        value = fields[part].get(field)
        if value not in expected:
            raise UserError(
                f"{path} is no BERT tokenizer: its {part}'s {field} is {value!r}, and "
                f"{' or '.join(map(repr, expected))} was expected."
            )
    plain = next((token for token in fields["added_tokens"] if not token.get("special")), None)
    if plain is not None:
        raise UserError(
            f"{path} looks for its added token {plain['content']!r} inside of words too, which BERT's tokenizer does "
            f"not; put a {VOCAB_NAME} beside it, in which it is an entry like the others."
        )


def _tokens(fields, path):
    """Returns the tokens of a tokenizer.json in the order of their ids, without white space as in a vocab.txt."""
    entries = fields["model"].get("vocab")
    if not isinstance(entries, dict):
        raise UserError(f"{path} is damaged: its model has no vocab from tokens to ids; save the tokenizer again.")
    entries = entries | {token["content"]: token.get("id") for token in fields["added_tokens"]}
    tokens = {index: token.strip() for token, index in entries.items() if type(index) is int}
    missing = next((index for index in range(len(entries)) if index not in tokens), None)
    if missing is not None:
        raise UserError(
            f"{path}: the ids of its {len(entries)} tokens must be 0 to {len(entries) - 1}, and no token has the id "
            f"{missing}; save the tokenizer again."
        )
    return [tokens[index] for index in range(len(entries))]
