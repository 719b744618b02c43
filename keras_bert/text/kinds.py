"""Which kind of tokenizer a directory holds, by the class that its files name, or else by the files themselves.

wordpiece       vocab.txt
bpe             vocab.json and merges.txt
sentencepiece   spiece.model, sentencepiece.bpe.model, spm.model or another .model
any of them     tokenizer.json, which says it in its model's type
"""

import contextlib
from pathlib import Path

from keras_bert.errors import UserError
from keras_bert.files import read_json
from keras_bert.text.tokenizer_config import CLASSES as WORDPIECE_CLASSES
from keras_bert.text.tokenizer_config import FILES, GENERIC, JSON_NAME, tokenizer_class

WORDPIECE, BPE, SENTENCEPIECE = "wordpiece", "bpe", "sentencepiece"
NAMES = {WORDPIECE: "WordPiece", BPE: "byte-level BPE", SENTENCEPIECE: "SentencePiece"}
# transformers' classes, "Fast" left out.
CLASSES = {
    **dict.fromkeys(WORDPIECE_CLASSES - set(GENERIC), WORDPIECE),
    **dict.fromkeys(("RobertaTokenizer", "LongformerTokenizer", "DebertaTokenizer", "GPT2Tokenizer"), BPE),
    **dict.fromkeys(
        (
            *("AlbertTokenizer", "XLMRobertaTokenizer", "XLMRobertaXLTokenizer", "CamembertTokenizer"),
            *("DebertaV2Tokenizer", "BigBirdTokenizer", "XLNetTokenizer", "KoBertTokenizer", "KoBERTTokenizer"),
        ),
        SENTENCEPIECE,
    ),
}
TYPES = {"WordPiece": WORDPIECE, "BPE": BPE, "Unigram": SENTENCEPIECE}  # what tokenizer.json calls them


def kind_of(folder):
    """Returns the kind of a directory's tokenizer; None if there is none.

    Returns:
        "wordpiece", "bpe", "sentencepiece", or the name of another kind or class, which cannot be read.

    Raises:
        UserError: files of two kinds, of which no class says which to read.
    """
    folder = Path(folder)
    given = tokenizer_class(folder)
    name = None if given is None else given.removesuffix("Fast")
    if name is not None and name not in GENERIC and name not in CLASSES:
        return given
    found = {kind: path for pattern, kind in FILES.items() for path in sorted(folder.glob(pattern))}
    if (folder / JSON_NAME).is_file() and (name in GENERIC or not found):
        return _type_of(folder / JSON_NAME)
    if found and name is not None and name not in GENERIC:
        is_there = CLASSES[name] in found or (folder / JSON_NAME).is_file()
        return CLASSES[name] if is_there else next(iter(found))  # whose reader says that the class is another
    if len(found) > 1:
        (one, path), (other, beside) = list(found.items())[:2]
        raise UserError(
            f"{folder} has files of two kinds of tokenizers, {path.name} of {NAMES.get(one, one)} and {beside.name} of "
            f"{NAMES.get(other, other)}, and no tokenizer_config.json says which is the model's; remove the other, or "
            "name its class there by tokenizer_class."
        )
    return next(iter(found), None)


def kind_at(path, *, what="vocab_file"):
    """Returns the kind of the tokenizer at a path: a directory, or one of the files of a tokenizer.

    Args:
        path: of the directory or file; a file that no rule names is taken for a vocab.txt.
        what: the flag or argument to name in an error.

    Raises:
        UserError: a directory without a tokenizer, or a kind that cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        kind = kind_of(path)
        if kind not in NAMES:
            has = "no tokenizer" if kind is None else f"a tokenizer of a kind that cannot be read, {kind}"
            raise UserError(f"{what}: {path} has {has}; give a vocab.txt, or a directory with a tokenizer's files.")
        return kind
    if path.name == JSON_NAME:
        return _type_of(path) or WORDPIECE
    return next((kind for pattern, kind in FILES.items() if path.match(pattern) and kind in NAMES), WORDPIECE)


def _type_of(path):
    """Returns the kind that a tokenizer.json says, or None; a damaged file is left to whoever reads it."""
    with contextlib.suppress(UserError, LookupError, TypeError, AttributeError):
        model = read_json(path, what="The tokenizer")["model"]
        kind = model.get("type", "WordPiece" if "max_input_chars_per_word" in model else None)
        return TYPES.get(kind, kind)
    return None
