"""The byte-level BPE engine of a Tokenizer, and its files: vocab.json with merges.txt, or tokenizer.json."""

import json
import unicodedata
from pathlib import Path

from keras_bert.errors import UserError
from keras_bert.outputs import atomic_path
from keras_bert.text.bpe.byte_pairs import BytePairs, without_surrogates
from keras_bert.text.bpe.files import (
    MERGES,
    VOCAB_JSON,
    read_tokenizer_json,
    read_vocab_and_merges,
    write_vocab_and_merges,
)
from keras_bert.text.engine import Engine, as_it_is, with_places
from keras_bert.text.layout import BERT, ROBERTA
from keras_bert.text.rules import AddedToken
from keras_bert.text.spelling import ANGLED, ROLES, SPECIAL_TOKENS, Spelling
from keras_bert.text.tokenizer_config import (
    CONFIG_NAME,
    JSON_NAME,
    is_generic,
    read_config_fields,
    read_special,
    write_config,
)
from keras_bert.text.units import widened
from keras_bert.text.vocabulary import Vocabulary

SPECIAL = {role: AddedToken(token, lstrip=role == "mask") for role, token in zip(ROLES, ANGLED, strict=True)}
BRACKETED = {role: AddedToken(token) for role, token in zip(ROLES, SPECIAL_TOKENS, strict=True)}
CLASSES = {ROBERTA: "RobertaTokenizer", BERT: "DebertaTokenizer"}  # transformers', by layout
LAYOUTS = {  # what a template makes of a pair, in roles: its layout
    (("cls", 0), ("A", 0), ("sep", 0), ("B", 1), ("sep", 1)): BERT,
    (("cls", 0), ("A", 0), ("sep", 0), ("B", 0), ("sep", 0)): BERT.without_segments(),
    (("cls", 0), ("A", 0), ("sep", 0), ("sep", 0), ("B", 0), ("sep", 0)): ROBERTA,
}
_INSIDE = ("Mn", "Mc", "Me", "Cs")  # marks, and lone surrogates, which are dropped from between a letter and its marks
_HANGUL = ((0x1161, 0x1175), (0x11A8, 0x11C2))  # vowels and final consonants


class BytePairEngine(Engine):
    """Byte-level BPE, without added tokens.

    Args:
        model: the BytePairs.
        special: its special tokens, in the order of ROLES.
    """

    kind = "bpe"
    word_start = " "

    def __init__(self, model, special):
        self.model = model
        self.spelling = Spelling(tuple(special), None, "Ġ")
        self.ids, self.bulk, self.text = model.ids, model.bulk, model.text
        self.normalizers = (as_it_is, with_places) if model.normalizer is None else (nfc, nfc_with_places)

    def ids_with_offsets(self, text):
        """Returns ids, and (start, end) of each in characters of the text, without spaces.

        Tokens of characters that NFC composes or sorts share the place of all of these.
        """
        ids, offsets = self.model.ids_with_offsets(text)
        if self.model.normalizer is None or nfc(text) == without_surrogates(text):
            return ids, offsets
        parts = [(start, end, text[start:end]) for start, end in clusters(text)]
        changed = [(start, end) for start, end, part in parts if nfc(part) != without_surrogates(part)]
        return ids, [widened(*offset, changed) for offset in offsets]

    def __reduce__(self):
        return BytePairEngine, (self.model, self.spelling.special)

    @property
    def described(self):
        """The rules in words."""
        return "byte-level BPE" + (f", {self.model.normalizer}" if self.model.normalizer else "")

    @property
    def identity(self):
        """The merges and the rules, as bytes."""
        return json.dumps([self.model.merges, self.model.normalizer, self.model.add_prefix_space]).encode()

    def get_config(self):
        """Returns what `engine_from_config` makes the engine of."""
        return {
            "kind": self.kind,
            "tokens": list(self.model.tokens),
            "merges": [" ".join(merge) for merge in self.model.merges],
            "normalizer": self.model.normalizer,
            "add_prefix_space": self.model.add_prefix_space,
            "special": list(self.spelling.special),
        }

    @classmethod
    def from_config(cls, config):
        """Makes the engine of what `get_config` gave."""
        options = {name: config[name] for name in ("normalizer", "add_prefix_space")}
        merges = [tuple(merge.split(" ")) for merge in config["merges"]]
        return cls(BytePairs(config["tokens"], merges, **options), config["special"])

    def graph(self):
        """Returns the same inside the graph."""
        from keras_bert.text.bpe.graph import GraphBytePairEngine

        return GraphBytePairEngine(self.model)

    def save(self, folder, vocabulary):
        """Writes vocab.json, merges.txt and tokenizer_config.json, or tokenizer.json where those cannot say it."""
        folder = Path(folder)
        if self.model.normalizer is None and vocabulary.layout in CLASSES:
            write_vocab_and_merges(self.model, folder)
            fields = {"tokenizer_class": CLASSES[vocabulary.layout], "add_prefix_space": self.model.add_prefix_space}
            keep = (VOCAB_JSON, MERGES)
        else:
            write_tokenizer_json(self.model, vocabulary, folder / JSON_NAME)
            fields = {"tokenizer_class": "PreTrainedTokenizerFast"}  # a class without special tokens of its own
            keep = (JSON_NAME,)
        fields |= {f"{role}_token": token for role, token in zip(ROLES, self.spelling.special, strict=True)}
        write_config(folder, vocabulary, fields, keep=keep)


def read_byte_pairs(folder):
    """Reads the byte-level BPE of a directory.

    Args:
        folder: a Path.

    Returns:
        A BytePairEngine, and its Vocabulary with the added tokens and the Layout.

    Raises:
        UserError: a file is missing or damaged, or asks for what is not supported.
    """
    fields = read_config_fields(folder)
    name = str(fields.get("tokenizer_class")).removesuffix("Fast")
    defaults, layout = (BRACKETED, BERT) if name == "DebertaTokenizer" else (SPECIAL, ROBERTA)
    special, added = read_special(folder, defaults)
    if (folder / VOCAB_JSON).is_file() and not (is_generic(folder) and (folder / JSON_NAME).is_file()):
        prefix = fields.get("add_prefix_space", False)
        if not isinstance(prefix, bool):
            raise UserError(f"{folder / CONFIG_NAME}: add_prefix_space must be true or false. Found: {prefix!r:.80}.")
        model, source = read_vocab_and_merges(folder, add_prefix_space=prefix), folder / VOCAB_JSON
    else:
        read, source = read_tokenizer_json(folder / JSON_NAME), folder / JSON_NAME
        model = read.engine
        if read.template is not None:
            layout = _layout(read.template, special, source)
    engine = BytePairEngine(model, [special[role] for role in ROLES])
    vocabulary = Vocabulary(model.tokens, source=source, spelling=engine.spelling)
    return engine, vocabulary.with_added([token for token, _ in added]).with_layout(layout), added


def write_tokenizer_json(model, vocabulary, path):
    """Writes a BytePairs, the tokens added to its Vocabulary and the latter's Layout as a tokenizer.json."""
    fields = json.loads(model.library.to_str())
    fields["added_tokens"] = [
        {"id": vocabulary.id(token.content), **token.to_dict()}
        for token in sorted(vocabulary.added, key=lambda token: vocabulary.id(token.content))
    ]
    pair = next(pair for pair, layout in LAYOUTS.items() if layout == vocabulary.layout)
    names = dict(zip(ROLES, vocabulary.spelling.special, strict=True))
    parts = {"single": (("cls", 0), ("A", 0), ("sep", 0)), "pair": pair}
    fields["post_processor"] = {"type": "TemplateProcessing"} | {
        name: [
            {"Sequence" if part in ("A", "B") else "SpecialToken": {"id": names.get(part, part), "type_id": segment}}
            for part, segment in template
        ]
        for name, template in parts.items()
    }
    fields["post_processor"]["special_tokens"] = {
        names[role]: {"id": names[role], "ids": [vocabulary.id(names[role])], "tokens": [names[role]]}
        for role in ("cls", "sep")
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(fields, ensure_ascii=False), encoding="utf-8")


def _layout(template, special, source):
    """Returns the Layout that a Template of tokenizer.json means."""
    role = {token: role for role, token in special.items()}
    single, pair = (
        tuple((part if part in ("A", "B") else role.get(part), segment) for part, segment in parts)
        for parts in (template.single, template.pair)
    )
    if single != (("cls", 0), ("A", 0), ("sep", 0)) or pair not in LAYOUTS:
        raise UserError(
            f"{source}: its post_processor does not put {special['cls']} before a text and {special['sep']} after it, "
            "as the encoders here read texts; take the tokenizer that the model was trained with."
        )
    return LAYOUTS[pair]


def nfc(text):
    """Normalizes a text to NFC, as the tokenizers library does; lone surrogates, which are not UTF-8, are dropped."""
    import tokenizers

    return text if text.isascii() else tokenizers.normalizers.NFC().normalize_str(without_surrogates(text))


def nfc_with_places(text):
    """Normalizes a text to NFC, and says which characters each one came from.

    >>> nfc_with_places("e\\u0301a")
    ('éa', [(0, 2), (2, 3)])
    """
    normal = nfc(text)
    if normal == text:
        return with_places(text)
    return normal, [place for place in clusters(text) for _ in nfc(text[place[0] : place[1]])]


def clusters(text):
    """Returns the places of the stretches of a text that are normalized by themselves: a character and its marks.

    >>> clusters("e\u0301a")
    [(0, 2), (2, 3)]
    """
    inside = [
        unicodedata.category(char) in _INSIDE or any(first <= ord(char) <= last for first, last in _HANGUL)
        for char in text
    ]
    starts = [place for place, is_inside in enumerate(inside) if not is_inside or place == 0]
    return list(zip(starts, [*starts[1:], len(text)], strict=True))
