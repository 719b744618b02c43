"""The SentencePiece engine of a Tokenizer: pieces.py, with its files in a model directory."""

import base64
import dataclasses
import functools
import hashlib
import json
import re
from pathlib import Path

from keras_bert.text.characters import regex_class
from keras_bert.text.engine import Engine
from keras_bert.text.layout import BERT, ROBERTA
from keras_bert.text.sentence_piece.files import config_fields, read_sentence_piece, save_sentence_piece
from keras_bert.text.sentence_piece.pieces import SentencePiece
from keras_bert.text.sentence_piece.rules import SentencePieceRules
from keras_bert.text.sentence_piece.tokenizer_json import check_template
from keras_bert.text.spelling import ROLES, Spelling
from keras_bert.text.tokenizer_config import JSON_NAME, is_generic, write_config
from keras_bert.text.units import unit_pattern, widened
from keras_bert.text.vocabulary import Vocabulary

LAYOUTS = dict.fromkeys(("xlm_roberta", "camembert"), ROBERTA)  # by family; the others' is BERT's


class SentencePieceEngine(Engine):
    """A SentencePiece model with its family's rules, without added tokens.

    Args:
        model: the SentencePiece.
    """

    kind = "sentencepiece"
    separator = " "

    def __init__(self, model):
        self.model = model
        self.spelling = Spelling(tuple(model.special[role] for role in ROLES), None, "▁")
        self.ids, self.bulk, self.text = model.ids, model.bulk, model.text
        self.lower_cases = model.rules.do_lower_case

    def ids_with_offsets(self, text):
        """Returns ids, and (start, end) of each in characters of the text, without white space.

        The pieces of a character and of the marks after it, which the model may join, share the place of all of these.
        """
        ids, offsets = self.model.ids_with_offsets(text)
        if text.isascii() and not self.model.rules.replaces_quotes:
            return ids, offsets
        stretches = [match.span() for match in self._units.finditer(text) if match.end() - match.start() > 1]
        return ids, [widened(*offset, stretches) for offset in offsets] if stretches else offsets

    @functools.cached_property
    def _units(self):
        return re.compile(unit_pattern(regex_class, quotes=self.model.rules.replaces_quotes))

    def __reduce__(self):
        return SentencePieceEngine, (self.model,)

    @property
    def described(self):
        """The rules in words."""
        rules = self.model.rules
        words = [f"SentencePiece as {rules.family} has it", "lower-cased" if rules.do_lower_case else "cased"]
        return ", ".join(words + ([] if rules.keeps_accents else ["without accents"]))

    @property
    def identity(self):
        """The model and the rules, as bytes."""
        rules = json.dumps(dataclasses.asdict(self.model.rules))
        return hashlib.sha256(self.model.model.data).digest() + rules.encode()

    def get_config(self):
        """Returns what `engine_from_config` makes the engine of."""
        data = base64.b64encode(self.model.model.data).decode()
        return {"kind": self.kind, "model": data, "rules": dataclasses.asdict(self.model.rules)}

    @classmethod
    def from_config(cls, config):
        """Makes the engine of what `get_config` gave."""
        rules = {name: _as_tuple(value) for name, value in config["rules"].items()}
        return cls(SentencePiece(base64.b64decode(config["model"]), SentencePieceRules(**rules)))

    def graph(self):
        """Returns the same inside the graph."""
        from keras_bert.text.sentence_piece.graph import GraphSentencePiece

        return GraphSentencePiece(self.model)

    def save(self, folder, vocabulary):
        """Writes the model under the name that its family gives it, with what numbers its pieces, and the rules."""
        names = save_sentence_piece(self.model, folder)
        write_config(Path(folder), vocabulary, config_fields(self.model), keep=names)


def _as_tuple(value):
    """Returns the lists in a value of JSON as tuples."""
    return tuple(map(_as_tuple, value)) if isinstance(value, (list, tuple)) else value


def read_sentence_pieces(folder):
    """Reads the SentencePiece tokenizer of a directory.

    Args:
        folder: a Path.

    Returns:
        A SentencePieceEngine, its Vocabulary with the added tokens and the Layout, and a list of (AddedToken, id).

    Raises:
        UserError: a file is missing or damaged, or asks for what is not supported.
    """
    read = read_sentence_piece(folder)
    engine = SentencePieceEngine(read.engine)
    vocabulary = Vocabulary(read.engine.tokens, source=str(read.path), spelling=engine.spelling).with_added(read.kept)
    layout, path = LAYOUTS.get(read.engine.rules.family, BERT), folder / JSON_NAME
    if is_generic(folder) and path.is_file():  # the family's own class puts its tokens whatever the file says
        check_template(path, layout, read.engine.special)
    return engine, vocabulary.with_layout(layout), [(token, read.ids[token.content]) for token in read.kept]
