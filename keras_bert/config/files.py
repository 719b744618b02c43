"""Configurations as files say them: Google's and Hugging Face's fields <-> those of Config, by families/."""

import dataclasses
import difflib
import re
from pathlib import Path

from keras_bert.config.harmless import HARMLESS, HUGGINGFACE_FIELDS
from keras_bert.config.values import COUNTS, OWN_ACTIVATIONS, RATES
from keras_bert.errors import UserError
from keras_bert.families import ACTIVATIONS as HUGGINGFACE_ACTIVATIONS
from keras_bert.families import FAMILIES, SIZES, WRITTEN, find_family
from keras_bert.families.bert import sized
from keras_bert.files import read_json

MINIATURE = re.compile(r"(?:uncased_)?L-(\d+)_H-(\d+)(?:_A-(\d+))?")

# "gelu" is the tanh approximation in Google's BERT and the exact erf in Hugging Face's: in memory it says which.
GOOGLE_ACTIVATIONS = FAMILIES["bert"].google_activations
# What a field means that a Google file leaves out, where it is not what Config() says: the constructor of the code that
# would have read the file. It needs the vocab_size.
GOOGLE_DEFAULTS = {"hidden_act": "gelu", "type_vocab_size": 16}
OLDER = {"classifier_dropout": "classifier_dropout_prob"}  # in directories of version 0.1, as transformers calls it
SHOWN_FIELDS = 8
# What config.json holds in every family, under the family's name for it, unless the family fixes it.
SAID = (
    *COUNTS,
    *("hidden_act", *RATES, "initializer_range", "layer_norm_eps", "pad_token_id", "tie_word_embeddings"),
    "classifier_dropout_prob",
)


class FromFiles:
    """What Config reads from names and files, and what it writes."""

    @classmethod
    def from_name(cls, name, **overrides):
        """Returns a published size: "tiny" ... "large", "roberta-base", ..., or a miniature such as "L-4_H-256".

        Example:
            >>> from keras_bert.config import Config
            >>> Config.from_name("roberta-base").max_length
            512
        """
        miniature = MINIATURE.fullmatch(name)
        if miniature and name not in SIZES:
            layers, hidden = int(miniature[1]), int(miniature[2])
            overrides.pop("sep_token_id", None)
            shape = sized(layers, hidden, **({"num_attention_heads": int(miniature[3])} if miniature[3] else {}))
            return cls(**{**shape, **overrides})
        for family in FAMILIES.values():
            if name in family.sizes:
                if "sep_token_id" not in family.also:  # which its config.json would not say
                    overrides.pop("sep_token_id", None)
                return cls.of_family(family.name, **{**family.sizes[name], **overrides})
        raise UserError(
            f"No size is called {name!r:.80}; choose one of {', '.join(_size_names())}, or L-4_H-256 and the like."
        )

    @classmethod
    def of_family(cls, family, **fields):
        """Returns the configuration of a family's model: what is not given is as the family's own code has it.

        Raises:
            UserError: a family that is not known, or a value that cannot work.

        Example:
            >>> from keras_bert.config import Config
            >>> Config.of_family("roberta", num_hidden_layers=4).positions_from_ids
            True
        """
        if family == "bert":  # Google's
            return cls(**fields)
        row = find_family(family)
        own = _with_activations({**row.defaults, **row.fixed}, HUGGINGFACE_ACTIVATIONS)
        return cls(**{**own, **fields}, family=family)

    @classmethod
    def from_dict(cls, fields, *, activations=GOOGLE_ACTIVATIONS):
        """Reads the fields of a bert_config.json, or those of `to_dict`.

        A field that is left out means what it means to the code that would have read the file.

        Raises:
            UserError: a value that cannot work, or Google's without vocab_size, which its code needs.
        """
        known = {f.name for f in dataclasses.fields(cls)} - {"extra"}
        fields = {OLDER.get(k, k): v for k, v in fields.items()}
        extra = {k: v for k, v in fields.items() if k not in known}
        defaults = {**GOOGLE_DEFAULTS, **({} if activations is GOOGLE_ACTIVATIONS else {"type_vocab_size": 2})}
        fields = {**defaults, **{k: v for k, v in fields.items() if k in known}}
        if fields.get("pad_token_id", 0) is None:
            del fields["pad_token_id"]
        if "vocab_size" not in fields:
            raise UserError("A bert_config.json must have a vocab_size; it has none.")
        return cls(**_with_activations(fields, activations), extra=extra)

    @classmethod
    def from_google(cls, fields, family):
        """Reads the configuration beside a checkpoint of Google's, of a family that has one.

        Raises:
            UserError: a value that cannot work, or no vocab_size, which its code needs.
        """
        if family == "bert":
            return cls.from_dict(fields)
        row = find_family(family)
        if "vocab_size" not in fields:
            raise UserError(f"{row.google_config or 'A configuration'} must have a vocab_size; it has none.")
        known, extra = _said(row, fields)
        given = {**row.defaults, "hidden_act": "gelu", **known}
        given = {**_with_activations(given, {**HUGGINGFACE_ACTIVATIONS, **row.google_activations}), **row.fixed}
        return cls(**{**given, "trains_padding": True}, family=family, extra=extra)

    @classmethod
    def from_huggingface(cls, fields):
        """Reads the fields of a Hugging Face config.json; what it says of the file or the head is left out.

        Raises:
            UserError: a value that cannot work, a family that is not known, or one that is not computed as asked.
        """
        row = find_family(_model_type(fields))
        for name, expected in row.expected.items():
            is_null = fields.get(name, expected) is None and expected is not True  # null turns nothing on
            if fields.get(name, expected) != expected and not is_null:
                raise UserError(
                    f"{name} is {fields[name]!r:.80}, which is not implemented for {row.title}; {expected!r} is."
                )
        fields = {name: value for name, value in fields.items() if name not in HUGGINGFACE_FIELDS}
        fields = {name: value for name, value in fields.items() if value is not None or name not in row.expected}
        renamed = {row.aliases[name]: fields[name] for name in row.aliases if name in fields}  # these go before
        fields = {name: value for name, value in fields.items() if name not in row.aliases} | renamed
        known, extra = _said(row, fields)
        for name in ("pad_token_id", "tie_word_embeddings"):  # null is as good as absent
            if known.get(name, 0) is None:
                del known[name]
        known = row.read(_with_activations({**row.defaults, **known}, HUGGINGFACE_ACTIVATIONS), fields)
        try:
            config = cls(**{**known, **row.fixed}, family=row.name, extra=extra)
        except UserError as error:
            raise UserError(_in_names_of(row, str(error))) from error
        said = row.write(config)  # in fields of Config that have other names and values
        return config.replace(extra={name: value for name, value in extra.items() if name not in said})

    @classmethod
    def from_file(cls, path):
        """Reads a configuration file: Google's (BERT's, ALBERT's), one of ours, or Hugging Face's config.json."""
        fields = read_json(path, what="The model's configuration")
        is_huggingface = any(name in fields for name in HUGGINGFACE_FIELDS[:3])
        if "vocab_size" not in fields and not is_huggingface:
            raise UserError(f"{path} has no vocab_size; a bert_config.json was expected.")
        is_albert = Path(path).name == FAMILIES["albert"].google_config or "num_hidden_groups" in fields
        try:
            if is_huggingface:
                return cls.from_huggingface(fields)
            return cls.from_google(fields, "albert") if is_albert and "family" not in fields else cls.from_dict(fields)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error

    @classmethod
    def from_name_or_file(cls, name_or_path, **overrides):
        """Reads what `--bert_config_file` takes: a published size's name or a file. `overrides` go to names alone."""
        if str(name_or_path) in _size_names() or MINIATURE.fullmatch(str(name_or_path)):
            return cls.from_name(str(name_or_path), **overrides)
        if not Path(name_or_path).exists():
            raise UserError(
                f"--bert_config_file: {name_or_path} is neither a file nor a size; the sizes are "
                f"{', '.join(_size_names())}, L-4_H-256 and the like."
            )
        return cls.from_file(name_or_path)

    def unknown_fields(self):
        """Returns a note on the fields of `extra` that are in no published file, such as a misspelt one, or None.

        Example:
            >>> from keras_bert.config import Config
            >>> Config(extra={"hiden_size": 64, "bos_token_id": 0}).unknown_fields()
            'fields of the configuration that are not known and do nothing: hiden_size (hidden_size?)'
        """
        row = find_family(self.family)
        known = [row.fields.get(name, name) for name in (*SAID, *row.also) if name not in row.fixed]
        unknown = []
        for name in self.extra:
            if name not in HARMLESS:
                meant = difflib.get_close_matches(name[:60], known, n=1, cutoff=0.75)
                unknown.append(f"{name[:60]} ({meant[0]}?)" if meant else name[:60])
        if not unknown:
            return None
        more = f" and {len(unknown) - SHOWN_FIELDS} more" if len(unknown) > SHOWN_FIELDS else ""
        shown = ", ".join(unknown[:SHOWN_FIELDS])
        return f"fields of the configuration that are not known and do nothing: {shown}{more}"

    def to_dict(self):
        """Returns the fields as `from_dict` reads them, those that no bert_config.json has only where they matter."""
        fields = dataclasses.asdict(self)
        plain = {f.name: f.default for f in dataclasses.fields(self)}
        google = (*COUNTS, *RATES, "hidden_act", "initializer_range", "layer_norm_eps")
        extra = fields.pop("extra")
        fields = {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}  # as JSON has them
        plain |= {k: list(v) for k, v in plain.items() if isinstance(v, tuple)}
        return {**extra, **{k: v for k, v in fields.items() if k in google or v != plain[k]}}

    def to_huggingface(self):
        """Returns the fields of a config.json, the unknown ones among them, without what it says of the head."""
        row, fields = find_family(self.family), {}
        for name in (*SAID, *row.also):
            if name not in row.fixed:
                value = getattr(self, name)
                is_act = name in ("hidden_act", *OWN_ACTIVATIONS)
                fields[row.fields.get(name, name)] = WRITTEN.get(value, value) if is_act else value
        return {**self.extra, "model_type": row.name, **fields, **row.write(self)}

    def not_in_huggingface(self):
        """Returns {field: value} of what a config.json of the family cannot say of this configuration."""
        again = type(self).from_huggingface(self.to_huggingface())
        given_by_the_weights = (
            "extra",
            "trains_padding",
            *(("pooler",) if find_family(self.family).pools_by_head else ()),
        )
        names = [field.name for field in dataclasses.fields(self) if field.name not in given_by_the_weights]
        return {n: _plain(getattr(self, n)) for n in names if _by_layer(self, n) != _by_layer(again, n)}


def _by_layer(config, name):
    """Returns a field's value; of a tuple that is repeated, the value of each layer."""
    value, layers = getattr(config, name), config.num_hidden_layers
    return [value[i % len(value)] for i in range(layers)] if isinstance(value, tuple) and value else value


def _model_type(fields):
    """Returns the family that a config.json names; the oldest ones name only the class, or nothing, as BERT's do."""
    if fields.get("model_type") is not None:
        return fields["model_type"]
    classes = fields.get("architectures")
    classes = [name for name in classes if isinstance(name, str)] if isinstance(classes, list) else []
    found = (row.name for row in FAMILIES.values() if any(name.startswith(row.architecture) for name in classes))
    return next(found, "bert")


def _in_names_of(row, sentence):
    """Returns a sentence with the fields of Config called as a family's config.json calls them."""
    return re.sub(r"\w+", lambda found: row.fields.get(found[0], found[0]), sentence)


def _with_activations(fields, activations):
    """Returns fields with the names of activations that say which gelu they are."""
    names = [n for n in ("hidden_act", *OWN_ACTIVATIONS) if isinstance(fields.get(n), str)]
    return {**fields, **{name: activations.get(fields[name], fields[name]) for name in names}}


def _said(row, fields):
    """Returns the fields of Config that a file of a family says, and its other fields."""
    names = {row.fields.get(name, name): name for name in (*SAID, *row.also) if name not in row.fixed}
    known = {name: fields[key] for key, name in names.items() if key in fields}
    return known, {key: value for key, value in fields.items() if key not in names}


def _plain(value):
    """Returns a value as JSON has it: a part's fields as a dict."""
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value


def _size_names():
    return [name for family in FAMILIES.values() for name in family.sizes]
