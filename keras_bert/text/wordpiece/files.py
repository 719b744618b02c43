"""WordPiece's files in a model directory: vocab.txt or tokenizer.json, and what tokenizer_config.py reads.

tokenizer.json holds vocabulary and rules in one, as Hugging Face's tokenizers library writes them; transformers 5 saves
no vocab.txt beside it. Where both are there vocab.txt is read.
"""

import glob
import os
from pathlib import Path

from keras_bert.errors import UserError
from keras_bert.files import missing_directory_message, parse_json, read_json
from keras_bert.text.kinds import NAMES, kind_of
from keras_bert.text.tokenizer_config import (
    ADDED_NAME,
    CONFIG_NAME,
    FILES,
    JSON_NAME,
    SPECIAL_NAME,
    VOCAB_NAME,
    is_generic,
    read_config,
)
from keras_bert.text.vocabulary import CLS, SEP, UNK, Vocabulary

__all__ = ["CONFIG_NAME", "JSON_NAME", "VOCAB_NAME", "find_vocabulary", "read_wordpiece"]

MODULES = "modules.json"  # of sentence-transformers, which may keep the model in a folder below
OF_TOKENIZERS = (*FILES, JSON_NAME, CONFIG_NAME, ADDED_NAME, SPECIAL_NAME, "dict.txt", "tokenization_*.py")
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
# What a post_processor must make of one text and of two, as (token or text, segment).
TEMPLATES = {"single": [(CLS, 0), ("A", 0), (SEP, 0)]}
TEMPLATES["pair"] = [*TEMPLATES["single"], ("B", 1), (SEP, 1)]
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
        name = parse_json((folder / MODULES).read_bytes())[0]["path"]
    except (ValueError, TypeError, LookupError):
        return folder  # it is refused where its settings are read
    is_below = isinstance(name, str) and Path(name).name == name
    return folder / name if is_below and (folder / name).is_dir() else folder


def find_vocabulary(folder):
    """Returns the path of the file in a directory that holds its vocabulary, or None."""
    return next((folder / name for name in (VOCAB_NAME, JSON_NAME) if (folder / name).is_file()), None)


def foreign_kind(folder):
    """Returns the kind of a directory's tokenizer if it is one that cannot be read, in words; else None."""
    kind = kind_of(folder)
    return None if kind in NAMES else kind


def unread_files(folder):
    """Returns the paths of a tokenizer's files in a directory, whatever its kind, in the order of their names."""
    return sorted({path for pattern in OF_TOKENIZERS for path in Path(folder).glob(pattern) if path.is_file()})


def cannot_read(folder, kind):
    """Returns the UserError on a tokenizer of a kind that cannot be read yet."""
    config = (CONFIG_NAME, ADDED_NAME, SPECIAL_NAME)
    files = ", ".join(path.name for path in unread_files(folder) if path.name not in config)
    return UserError(
        f"The tokenizer in {folder} is of a kind that cannot be read, {kind}{f' ({files})' if files else ''}; "
        f"{', '.join(NAMES.values())} can. The model itself loads, and takes token ids."
    )


def count_entries(path):
    """Returns how many entries a file of `find_vocabulary` has.

    Raises:
        UserError: it is damaged.
    """
    if path.name == VOCAB_NAME:
        return len(Vocabulary.from_file(path, what="The model's vocabulary"))
    return len(_tokens(_read(path), path))


def as_directory(path):
    """Returns what names a model's directory as a Path, or raises a UserError if it names nothing: "", None or 5."""
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise UserError(f"The path of a model directory was expected. Received: {path!r:.80}.")
    return Path(path)


def tokenizer_folder(path):
    """Returns the directory that a path means: itself, or that of a checkpoint's prefix ("dir/bert_model.ckpt").

    Raises:
        UserError: it is neither.
    """
    given, path = path, as_directory(path)
    if path.is_dir():
        return path
    is_there = path.is_file() or any(path.parent.glob(f"{glob.escape(path.name)}.*"))
    if not is_there and not (".ckpt" in path.name and find_vocabulary(path.parent)):
        raise UserError(missing_directory_message(given))
    return path.parent


def read_wordpiece(folder):
    """Reads the vocabulary and the rules of a directory.

    Args:
        folder: a Path.

    Returns:
        A Vocabulary with the added tokens, and {rule: value} of the other rules that the files state;
        tokenizer_config.json goes before tokenizer.json.

    Raises:
        UserError: there is no such directory or no vocabulary in it, a file is damaged, or it is another kind of
            tokenizer than BERT's.
    """
    path, generic = find_vocabulary(folder), is_generic(folder)
    if path is not None and generic and (folder / JSON_NAME).is_file():
        path = folder / JSON_NAME  # the rules of such a tokenizer stand there alone
    if path is None:
        raise UserError(
            f"There is no {VOCAB_NAME} and no {JSON_NAME} in {folder}; give a model directory, or a checkpoint "
            "with one of them beside it."
        )
    if path.name == VOCAB_NAME:
        vocabulary, rules = Vocabulary.from_file(path, what="from_pretrained"), {}
    else:
        fields = _read(path)
        _check_kind(fields, path)
        if generic:  # BERT's own class puts [CLS] and [SEP] whatever the file says
            _check_template(fields.get("post_processor"), path)
        vocabulary = _vocabulary(fields, path)
        rules = _rules(fields["normalizer"], path)
    stated, added = read_config(folder)
    vocabulary = vocabulary.with_added([token for token, _ in added])
    check_added_ids(vocabulary, added, folder, by=path.name)
    return vocabulary, rules | stated


def check_added_ids(vocabulary, added, folder, *, by):
    """Raises a UserError if an added token, (AddedToken, id or None), has another id in the vocabulary.

    Args:
        vocabulary: the Vocabulary, with these tokens.
        added: a list of the pairs.
        folder: the directory whose files say the ids.
        by: which file gives the other ids.
    """
    for token, index in added:
        given = vocabulary.id(token.content)
        if index not in (None, given):
            raise UserError(
                f"{folder} says that the added token {token.content!r} has the id {index}, but by {by} it is "
                f"{given}, which transformers takes; correct the id, or put the token into the vocabulary there."
            )


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
                f"{path} is not a BERT tokenizer: its {part}'s {field} is {value!r}, and "
                f"{' or '.join(map(repr, expected))} was expected."
            )


def _rules(normalizer, path):
    """Returns {rule: value} of what the normalizer of a tokenizer.json states."""
    for ours, theirs in RULES.items():
        value = normalizer.get(theirs, True)
        if not isinstance(value, bool) and not (value is None and ours == "strip_accents"):
            raise UserError(
                f"{path}: its normalizer's {theirs} must be true or false. Found: {value!r:.80}; correct it."
            )
    return {ours: normalizer[theirs] for ours, theirs in RULES.items() if theirs in normalizer}


def _check_template(post, path):
    """Raises a UserError if a tokenizer.json puts other tokens around its texts than [CLS] and [SEP]."""
    post = post if isinstance(post, dict) else {}
    templates = {name: _template(post.get(name)) for name in TEMPLATES}
    if post.get("type") != "BertProcessing" and templates != TEMPLATES:
        raise UserError(
            f"{path} is not a BERT tokenizer: its post_processor does not make [CLS] text [SEP] of a text and "
            "[CLS] text [SEP] pair [SEP] of a pair; texts would get other ids than the model was trained with."
        )


def _template(parts):
    """Returns one template of a TemplateProcessing as [(token or text, segment)], or None if it is something else."""
    try:
        return [(piece["id"], piece["type_id"]) for part in parts for piece in part.values()]
    except (AttributeError, TypeError, KeyError):
        return None


def _vocabulary(fields, path):
    """Returns the Vocabulary of a tokenizer.json. Added tokens with ids past those of its model are left out."""
    tokens = _tokens(fields, path)
    entries = fields["model"]["vocab"]
    size = 1 + max((index for index in entries.values() if type(index) is int), default=-1)
    return Vocabulary(tokens[:size], source=path)


def _tokens(fields, path):
    """Returns the tokens of a tokenizer.json in the order of their ids, without white space as in a vocab.txt."""
    entries = fields["model"].get("vocab")
    if not isinstance(entries, dict):
        raise UserError(f"{path} is damaged: its model has no vocab from tokens to ids; save the tokenizer again.")
    entries = entries | {token["content"]: token.get("id") for token in fields["added_tokens"]}
    # Text has no words with white space; one that is another entry without it must not take its place.
    stripped = {token: "" if token != token.strip() in entries else token.strip() for token in entries}
    tokens = {index: stripped[token] for token, index in entries.items() if type(index) is int}
    missing = next((index for index in range(len(entries)) if index not in tokens), None)
    if missing is not None:
        raise UserError(
            f"{path}: the ids of its {len(entries)} tokens must be 0 to {len(entries) - 1}, and no token has the id "
            f"{missing}; save the tokenizer again."
        )
    return [tokens[index] for index in range(len(entries))]
