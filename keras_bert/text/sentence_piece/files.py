"""The files of a SentencePiece tokenizer in a model directory, as transformers' slow classes read them.

Which model, which family's rules (by tokenizer_config.json's class, else by config.json's model_type), which tokens are
kept whole, and what is refused by name.
"""

import dataclasses
import os
from pathlib import Path

from keras_bert.errors import UserError
from keras_bert.files import read_json, read_lines
from keras_bert.outputs import atomic_path
from keras_bert.text.rules import AddedToken
from keras_bert.text.sentence_piece.pieces import SentencePiece
from keras_bert.text.sentence_piece.rules import FAMILIES
from keras_bert.text.sentence_piece.tokenizer_json import model_of_json
from keras_bert.text.tokenizer_config import (
    CONFIG_NAME,
    GENERIC,
    JSON_NAME,
    MODEL_CONFIG,
    VOCAB_NAME,
    read_config_fields,
    special_tokens,
)

# What transformers calls the model's file, by family.
NAMES = dict.fromkeys(FAMILIES, "spiece.model") | {
    "camembert": "sentencepiece.bpe.model",
    "xlm_roberta": "sentencepiece.bpe.model",
    "deberta_v2": "spm.model",
}
PATTERNS = ("*.model", "*.spiece")
MAX_BYTES = 1 << 27
CLASSES = {
    "AlbertTokenizer": "albert",
    "BigBirdTokenizer": "big_bird",
    "CamembertTokenizer": "camembert",
    "DebertaV2Tokenizer": "deberta_v2",
    "KoBERTTokenizer": "kobert",
    "KoBertTokenizer": "kobert",
    "XLMRobertaTokenizer": "xlm_roberta",
    "XLNetTokenizer": "xlnet",
}
MODEL_TYPES = {
    "albert": "albert",
    "bert": "kobert",  # no other BERT has a SentencePiece model
    "big_bird": "big_bird",
    "camembert": "camembert",
    "deberta-v2": "deberta_v2",
    "distilbert": "kobert",
    "xlm-roberta": "xlm_roberta",
    "xlm-roberta-xl": "xlm_roberta",
    "xlnet": "xlnet",
}
# What tokenizer_config.json must say where it says anything; other values mean other ids.
EXPECTED = {
    "split_by_punct": (False, None),
    "vocab_type": ("spm", None),
    "legacy": (True, False, None),
    "add_prefix_space": (True, None),
    "split_special_tokens": (False, None),
    "padding_side": ("right", None),
    "truncation_side": ("right", None),
    "add_bos_token": (False, None),
    "add_eos_token": (False, None),
}
SAMPLING = {"enable_sampling": (False, None), "nbest_size": (0, 1, None), "alpha": None, "num_threads": None}
SAMPLING |= {"add_bos": (False, None), "add_eos": (False, None), "reverse": (False, None)}
FLAGS = {"do_lower_case": "do_lower_case", "keep_accents": "keeps_accents", "remove_space": "joins_spaces"}


@dataclasses.dataclass(frozen=True)
class SentencePieceFiles:
    """What a directory says of its tokenizer.

    Attributes:
        engine: the SentencePiece.
        kept: AddedTokens to keep whole in a text, those of the family's class among them.
        ids: {content: id} of them; those past the engine's tokens follow each other.
        path: the file that the model was read from.
    """

    engine: SentencePiece
    kept: tuple[AddedToken, ...]
    ids: dict
    path: Path


def find_model(folder):
    """Returns the path of a directory's SentencePiece model, or None.

    Raises:
        UserError: there are two that differ.
    """
    folder = Path(folder)
    found = sorted({path for pattern in PATTERNS for path in folder.glob(pattern) if path.is_file()})
    known = [path for path in found if path.name in NAMES.values()]
    chosen = known or found
    for other in chosen[1:]:
        if other.stat().st_size != chosen[0].stat().st_size or other.read_bytes() != chosen[0].read_bytes():
            raise UserError(
                f"{folder} has two SentencePiece models that differ, {chosen[0].name} and {other.name}; remove the one "
                "that is not the model's."
            )
    return chosen[0] if chosen else None


def read_sentence_piece(folder):
    """Reads a directory's SentencePiece tokenizer.

    Args:
        folder: the directory, with a *.model, or with a tokenizer.json of type Unigram alone.

    Returns:
        SentencePieceFiles.

    Raises:
        UserError: there is no model, it is damaged or lacks a special token, the family is not known, or a file asks
            for what is not done here.
    """
    folder = Path(folder)
    fields = read_config_fields(folder)
    rules = _rules(folder, fields)
    special, added = special_tokens(folder, fields, rules.special_tokens())
    rules, path = rules.with_special(special), find_model(folder)
    if path is None:
        path = folder / JSON_NAME
        if not path.is_file():
            raise UserError(f"There is no SentencePiece model (*.model) and no {JSON_NAME} in {folder}; add one.")
        data = model_of_json(path, rules)
    elif os.path.getsize(path) > MAX_BYTES:
        raise UserError(f"{path} has more than {MAX_BYTES >> 20} MiB, too much for a SentencePiece model; check it.")
    else:
        data = path.read_bytes()
    engine = SentencePiece(data, rules, source=str(path))
    return SentencePieceFiles(engine, *_kept(folder, added, engine), path)


def save_sentence_piece(engine, folder):
    """Writes a SentencePiece's model into a directory, by the name that transformers looks for.

    A vocab.txt that numbers the pieces of KoBERT's model is written beside it.

    Returns:
        The names of the files.
    """
    files = {NAMES[engine.rules.family]: engine.model.data}
    if engine.rules.rows is not None:
        files[VOCAB_NAME] = "".join(f"{row}\n" for row in engine.rules.rows).encode()
    for name, data in files.items():
        with atomic_path(Path(folder) / name) as temporary:
            temporary.write_bytes(data)
    return tuple(files)


def config_fields(engine):
    """Returns what tokenizer_config.json says of a SentencePiece, added tokens aside."""
    rules, name = engine.rules, next(name for name, family in CLASSES.items() if family == engine.rules.family)
    fields = {"tokenizer_class": name} | {f"{role}_token": token for role, token in engine.special.items()}
    if FAMILIES[rules.family].joins_spaces:
        fields |= {theirs: getattr(rules, ours) for theirs, ours in FLAGS.items()}
    elif rules.do_lower_case:
        fields["do_lower_case"] = True
    return fields


def family_of(folder):
    """Returns the family of a directory's tokenizer in `FAMILIES`, or None if its files name another or none."""
    name, path = read_config_fields(Path(folder)).get("tokenizer_class"), Path(folder) / MODEL_CONFIG
    config = read_json(path, what="The model's configuration") if path.is_file() else {}
    name = config.get("tokenizer_class") if name is None else name
    name = None if name is None else str(name).removesuffix("Fast")
    by_model = MODEL_TYPES.get(str(config.get("model_type")))
    if name is None or name in GENERIC or name == "BertTokenizer":
        return by_model
    # A BERT that names XLNet's class is KoBERT, whose own code puts [CLS] first again.
    return by_model if CLASSES.get(name) == "xlnet" and by_model == "kobert" else CLASSES.get(name)


def _rules(folder, fields):
    """Returns the SentencePieceRules of a directory."""
    place, family = folder / CONFIG_NAME, family_of(folder)
    if family is None:
        raise UserError(
            f"{place} does not say which family's SentencePiece tokenizer this is: tokenizer_class is "
            f"{fields.get('tokenizer_class')!r:.80}, and one of {', '.join(sorted(CLASSES))} was expected; correct it."
        )
    rules = FAMILIES[family]
    for name, values in EXPECTED.items():
        if family == "xlnet" and name == "padding_side":
            continue
        if fields.get(name) not in values:
            raise _refusal(place, name, fields[name], values)
    kwargs = fields.get("sp_model_kwargs") or {}
    if not isinstance(kwargs, dict):
        raise UserError(f"{place}: sp_model_kwargs must be an object of fields. Found: {kwargs!r:.80}; correct it.")
    for name, value in kwargs.items():
        if name not in SAMPLING or (SAMPLING[name] is not None and value not in SAMPLING[name]):
            raise _refusal(place, f"sp_model_kwargs.{name}", value, SAMPLING.get(name) or (None,))
    stated = {}
    for theirs, ours in FLAGS.items():
        value = fields.get(theirs)
        if value is None:
            continue
        if not isinstance(value, bool):
            raise UserError(f"{place}: {theirs} must be true or false, without quotes. Found: {value!r:.80}.")
        stated[ours] = value
    if not rules.joins_spaces:  # such a class has no accents to keep and joins nothing
        lower = stated.pop("do_lower_case", False)
        if lower and family != "deberta_v2":
            raise _refusal(place, "do_lower_case", True, (False,))
        stated = {"do_lower_case": lower}
    rules = rules.replaced(**stated)
    if family == "kobert" and (folder / VOCAB_NAME).is_file():
        rules = rules.replaced(rows=tuple(read_lines(folder / VOCAB_NAME)))
    return rules


def _refusal(path, name, value, expected):
    said = " or ".join(repr(each) for each in expected if each is not None) or "none"
    return UserError(
        f"{path}: {name} is {value!r:.80}, and {said} was expected; that is not done here, and texts would get other "
        "ids than the model was trained with."
    )


def _kept(folder, added, engine):
    """Returns the AddedTokens of a directory, of which its files name those of `added`, and their ids."""
    rows = {token: index for index, token in enumerate(engine.tokens)}
    tokens = {token.content: token for token in engine.added if token.content in rows}
    ids = {content: rows[content] for content in tokens}
    for token, index in sorted(added, key=lambda pair: (pair[1] is None, pair[1] or 0)):
        given = ids.get(token.content, rows.get(token.content))
        if given is None:
            given = max([len(rows) - 1, *ids.values()]) + 1
        if index not in (None, given):
            raise UserError(
                f"{folder} says that the added token {token.content!r} has the id {index}, but by its SentencePiece "
                f"model it is {given}, which transformers takes; correct the id."
            )
        tokens[token.content], ids[token.content] = token, given
    return tuple(tokens.values()), ids
