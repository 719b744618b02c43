"""tokenizer_config.json and the files next to it that name added tokens, as transformers reads them.

What changes ids and is not done here is refused by name. The five tokens [PAD] [UNK] [CLS] [SEP] [MASK] are read
literally in a text, as google-research/bert does; transformers keeps them whole (see `keep` of `Tokenizer`).
"""

import dataclasses
import json

from keras_bert.errors import UserError
from keras_bert.files import read_json
from keras_bert.outputs import atomic_path
from keras_bert.text.rules import FLAGS, AddedToken
from keras_bert.text.spelling import CLS, MASK, PAD, ROLES, SEP, SPECIAL_TOKENS, UNK

CONFIG_NAME, JSON_NAME = "tokenizer_config.json", "tokenizer.json"
ADDED_NAME, SPECIAL_NAME, MODEL_CONFIG = "added_tokens.json", "special_tokens_map.json", "config.json"
# transformers' names of Google's tokenizer, "Fast" left out, and of whatever tokenizer.json describes.
GENERIC = ("PreTrainedTokenizer", "TokenizersBackend")
CLASSES = {
    *("BertTokenizer", "BertTokenizerLegacy", "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer"),
    "ConvBertTokenizer",
    *("LayoutLMTokenizer", "LxmertTokenizer", "RetriBertTokenizer", "SqueezeBertTokenizer", "RealmTokenizer"),
    *("DPRContextEncoderTokenizer", "DPRQuestionEncoderTokenizer", "DPRReaderTokenizer"),
    *GENERIC,
}
SIDES = {"padding_side": ("right", None), "truncation_side": ("right", None)}
# What tokenizer_config.json must say where it says anything; other values mean other ids.
EXPECTED = {
    "do_basic_tokenize": (True, None),
    "do_split_on_punc": (True, None),
    "do_word_tokenize": (True, None),
    "do_subword_tokenize": (True, None),
    "clean_text": (True, None),
    "word_tokenizer_type": ("basic", None),
    "subword_tokenizer_type": ("wordpiece", None),
    "wordpieces_prefix": ("##", None),
    "max_input_chars_per_word": (100, 200, None),  # transformers' and Google's; here it is 200
    **SIDES,
    "add_bos_token": (False, None),
    "add_eos_token": (False, None),
}
VOCAB_NAME = "vocab.txt"
# The files of tokenizers, by the kind that they are of; and those that a tokenizer which is saved takes the place of.
FILES = {
    "vocab.txt": "wordpiece",
    "vocab.json": "bpe",
    "merges.txt": "bpe",
    "*.model": "sentencepiece",
    "*.spiece": "sentencepiece",
    "bpe.codes": "BPE",
}
OWN_FILES = (VOCAB_NAME, "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "spm.model")
OWN_FILES += (JSON_NAME, ADDED_NAME, SPECIAL_NAME)
MOST_DIGITS = 18  # of an id, which is an int64
TOKEN_FLAGS = ("special", "single_word", "lstrip", "rstrip", "normalized")
FIRST = ("bos_token", "eos_token")  # get ids before the others
NAMED = {"pad_token": PAD, "unk_token": UNK, "cls_token": CLS, "sep_token": SEP, "mask_token": MASK}


def read_config(folder):
    """Reads what the files of a directory say of its tokenizer besides the vocabulary.

    Returns:
        {rule: value} of those rules that tokenizer_config.json states, and a list of (AddedToken, id or None), in the
        order in which ids are given.

    Raises:
        UserError: a file is damaged, or asks for what is not supported here.
    """
    place, fields = folder / CONFIG_NAME, read_config_fields(folder)
    _check_class(folder, fields)
    for name, values in EXPECTED.items():
        if name in fields and fields[name] not in values:
            raise _refusal(place, name, fields[name], " or ".join(repr(v) for v in values if v is not None))
    stated = {name: fields[name] for name in FLAGS if name in fields}
    for name, value in stated.items():
        if not isinstance(value, bool) and not (value is None and name == "strip_accents"):
            raise UserError(f"{place}: {name} must be true or false, without quotes. Found: {value!r:.80}; correct it.")
    added = _added_tokens(folder, fields)
    special = {*SPECIAL_TOKENS, *(token.content for token, _ in added if token.special)}
    never_split = [token for token in _listed(fields, "never_split", place) if token not in [*special]]
    if never_split:
        raise UserError(
            f"{place} asks never to split {never_split[0]!r}, which is not done here; list it under "
            "additional_special_tokens if it is to be kept whole."
        )
    if fields.get("split_special_tokens") and any(token.special for token, _ in added):
        raise _refusal(place, "split_special_tokens", True, "False")
    return stated, added


def read_special(folder, defaults):
    """Reads which tokens of a byte-level BPE have the roles of ROLES, and all that it keeps whole.

    Args:
        folder: the directory.
        defaults: {role: AddedToken} of its class, for what no file names.

    Returns:
        What `special_tokens` returns.

    Raises:
        UserError: a file is damaged, or says what is not supported here.
    """
    fields = read_config_fields(folder)
    _check_code(folder, fields)
    for name, values in SIDES.items():
        if name in fields and fields[name] not in values:
            raise _refusal(folder / CONFIG_NAME, name, fields[name], repr(values[0]))
    return special_tokens(folder, fields, defaults)


def special_tokens(folder, fields, defaults):
    """Finds which tokens of a tokenizer that is not WordPiece have the roles of ROLES, and all that it keeps whole.

    Args:
        folder: the directory.
        fields: those of its tokenizer_config.json.
        defaults: {role: AddedToken} of its class, for what no file names.

    Returns:
        {role: token}, and a list of (AddedToken, id or None), in the order in which ids are given; the special ones are
        among them.

    Raises:
        UserError: a file is damaged.
    """
    said = _said(_sources(folder, fields))
    given = {role: said[f"{role}_token"] for role in ROLES if f"{role}_token" in said}
    named = {role: _token(value, path, special=True) for role, (value, path) in given.items() if value}
    named = {role: token for role, token in named.items() if token is not None}
    special = {role: named[role].content if role in named else token.content for role, token in defaults.items()}
    found = dict(_all_added(folder, fields, named={}))
    # A class's own flags, such as that a mask takes the space before it, hold unless a file writes a token out.
    written = {content for content, (_, index) in found.items() if index is not None}
    written |= {named[role].content for role in named if isinstance(given[role][0], dict)}
    for role, token in defaults.items():
        if special[role] not in written:
            index = found.get(special[role], (None, None))[1]
            found[special[role]] = dataclasses.replace(token, content=special[role]), index
    return special, [found.pop(token) for token in dict.fromkeys(special.values())] + list(found.values())


def read_config_fields(folder):
    """Returns the fields of a directory's tokenizer_config.json, or {} if it has no such file."""
    return _read(folder / CONFIG_NAME, "The tokenizer's configuration")


def is_generic(folder):
    """Says whether tokenizer_config.json leaves all to tokenizer.json."""
    name = read_config_fields(folder).get("tokenizer_class")
    return str(name).removesuffix("Fast") in GENERIC


def tokenizer_class(folder):
    """Returns the class that a directory's files name for its tokenizer, or None."""
    names = (_read(folder / place, "The configuration").get("tokenizer_class") for place in (CONFIG_NAME, MODEL_CONFIG))
    return next((str(name) for name in names if name is not None), None)


def _read(path, what):
    return read_json(path, what=what) if path.is_file() else {}


def _refusal(path, name, value, expected):
    return UserError(
        f"{path} is not for this tokenizer: its {name} is {value!r:.80}, and {expected} was expected; "
        "texts would get other ids than the model was trained with."
    )


def _check_class(folder, fields):
    """Raises a UserError if the directory's tokenizer is of another class than BERT's."""
    place, name = folder / CONFIG_NAME, fields.get("tokenizer_class")
    if name is None:  # then transformers looks here
        place = folder / MODEL_CONFIG
        name = _read(place, "The model's configuration").get("tokenizer_class")
    if name is not None and str(name).removesuffix("Fast") not in CLASSES:
        how = fields.get("word_tokenizer_type")
        segmented = f" ({how}, {fields.get('subword_tokenizer_type', 'wordpiece')})" if how else ""
        raise UserError(
            f"{place} says tokenizer_class {name}{segmented}, and BertTokenizer was expected; that splits words in "
            "another way, and texts would get other ids than the model was trained with."
        )
    _check_code(folder, fields)


def _check_code(folder, fields):
    """Raises a UserError if the tokenizer has code of its own."""
    code = fields.get("auto_map")
    if isinstance(code, list) or (isinstance(code, dict) and "AutoTokenizer" in code):
        raise UserError(
            f"{folder / CONFIG_NAME} says by auto_map that the tokenizer has code of its own, which is not run; "
            "texts would get other ids than the model was trained with."
        )


def _added_tokens(folder, fields):
    """Returns [(AddedToken, id or None)], each content once, but for the five special tokens."""
    return [pair for content, pair in _all_added(folder, fields, named=NAMED) if content not in SPECIAL_TOKENS]


def _all_added(folder, fields, *, named):
    """Returns [(content, (AddedToken, id or None))], each content once; see `_named`."""
    names = _named(_sources(folder, fields), named)
    if "added_tokens_decoder" in fields:
        found = _numbered(fields["added_tokens_decoder"], folder / CONFIG_NAME)
    else:
        found = _in_added_json(folder / ADDED_NAME, names) | _in_tokenizer_json(folder / JSON_NAME)
    tokens = dict(sorted(found.items(), key=lambda item: item[1][1]))
    for content, token in names.items():
        tokens.setdefault(content, (token, None))
    return list(tokens.items())


def _sources(folder, fields):
    """Returns [(fields, path)] of the files that name special tokens; what a later one says counts more.

    Like transformers, which writes special_tokens_map.json for older releases and reads it where there is no
    added_tokens_decoder.
    """
    sources = [(fields, folder / CONFIG_NAME)]
    if "added_tokens_decoder" not in fields:
        sources.append((_read(folder / SPECIAL_NAME, "The special tokens"), folder / SPECIAL_NAME))
    return sources


def _said(sources):
    """Returns {field: (value, path)} of what `_sources` gave."""
    return {name: (fields[name], path) for fields, path in sources for name in fields if fields[name] is not None}


def _named(sources, named):
    """Returns {content: AddedToken} of the special tokens that files name or list, in transformers' order.

    Args:
        sources: what `_sources` gave.
        named: {field: the one content that it may have}.
    """
    found, said = {}, _said(sources)
    for name in sorted(said, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST)):
        value, path = said[name]
        if name.endswith("_token") and isinstance(value, (str, dict)):
            content = _put(found, value, path)
            if content != named.get(name, content):
                raise _refusal(path, name, content, repr(named[name]))
    for name in ("extra_special_tokens", "additional_special_tokens"):
        for fields, path in sources:
            for value in _listed(fields, name, path):
                _put(found, value, path)
    return found


def _listed(fields, name, path):
    """Returns the list of a field, of an object its values; [] where it is missing."""
    value = fields.get(name) or []
    value = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(value, list):
        raise UserError(f"{path}: {name} must be a list of tokens. Found: {value!r:.80}; correct it.")
    return value


def _put(found, value, path):
    """Puts the special token that a value stands for at the end of {content: AddedToken}. Returns its content."""
    token = _token(value, path, special=True)
    if token is None:
        return ""
    found[token.content] = found.pop(token.content, token)
    return token.content


def _numbered(fields, path):
    """Returns {content: (AddedToken, id)} of an added_tokens_decoder, {id: fields}."""
    if not isinstance(fields, dict) or not all(index.isdecimal() and len(index) <= MOST_DIGITS for index in fields):
        raise UserError(f"{path}: added_tokens_decoder must be an object from ids to tokens; correct it.")
    tokens = [(_token(value, path), int(index)) for index, value in fields.items()]
    return {token.content: (token, index) for token, index in tokens if token is not None}


def _in_added_json(path, special):
    """Returns {content: (AddedToken, id)} of an added_tokens.json, {content: id}."""
    fields = _read(path, "The added tokens")
    if not all(type(index) is int and index >= 0 for index in fields.values()):
        raise UserError(f"{path} must be an object from tokens to ids; correct it.")
    fields.pop("", None)  # an empty token is never found
    return {content: (AddedToken(content, special=content in special), index) for content, index in fields.items()}


def _in_tokenizer_json(path):
    """Returns {content: (AddedToken, id)} of the added_tokens of a tokenizer.json."""
    listed = _listed(_read(path, "The tokenizer"), "added_tokens", path)
    tokens = [(_token(value, path), value.get("id") if isinstance(value, dict) else None) for value in listed]
    for token, index in tokens:
        if token is not None and (type(index) is not int or index < 0):
            raise UserError(f"{path} is damaged: its added token {token.content!r} has no id; save it again.")
    return {token.content: (token, index) for token, index in tokens if token is not None}


def _token(value, path, *, special=False):
    """Returns the AddedToken that a string or an object stands for; None for an empty one, which is never found."""
    fields = {"content": value} if isinstance(value, str) else value
    if not isinstance(fields, dict) or not isinstance(fields.get("content"), str):
        raise UserError(
            f"{path} is damaged: a token must be a string or an object with content, not {value!r:.80}; save it again."
        )
    if not fields["content"]:
        return None
    given = {name: fields[name] for name in TOKEN_FLAGS if fields.get(name) is not None}
    try:
        return AddedToken(fields["content"], **{**given, "special": special or given.get("special", False)})
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def write_config(folder, vocabulary, fields, *, keep):
    """Writes tokenizer_config.json into a directory, and removes the files of other tokenizers there.

    Args:
        folder: a Path.
        vocabulary: the Vocabulary, with all that was added.
        fields: what the file says of the rules.
        keep: names of this tokenizer's other files.
    """
    fields = fields | config_fields(vocabulary)
    if vocabulary.spelling.special != SPECIAL_TOKENS:
        fields |= {f"{role}_token": token for role, token in zip(ROLES, vocabulary.spelling.special, strict=True)}
    with atomic_path(folder / CONFIG_NAME) as temporary:
        temporary.write_text(json.dumps(fields, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    for name in OWN_FILES:
        if name not in keep:
            (folder / name).unlink(missing_ok=True)


def config_fields(vocabulary):
    """Returns what tokenizer_config.json says of the tokens added to a Vocabulary."""
    fields, added = {}, vocabulary.added
    if added:
        fields["added_tokens_decoder"] = {str(vocabulary.id(token.content)): token.to_dict() for token in added}
        special = [token.content for token in added if token.special]
        fields |= {"additional_special_tokens": special} if special else {}
    return fields
