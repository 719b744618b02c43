"""Headers, indexes and JSON at random: whatever they say, opening and reading end in a sentence of a UserError."""

import copy
import json
import random
import shutil

import numpy as np
import pytest

from keras_bert.checkpoints import open_checkpoint, save_checkpoint
from keras_bert.checkpoints.table import read_table, varint, write_table
from keras_bert.config import BertConfig
from keras_bert.errors import UserError
from tests import reference_bert
from tests.checkpoints.conftest import CONFIG

HOSTILE = (
    *(None, True, False, 0, 1, -1, 2, 3.5, 10**30, 2**63, float("nan"), float("inf"), "", "x", "\ud800", "a" * 500),
    *([], [[]], {}, {"0": "a", "1": "a"}, [1, "a"], [2**62, 0, 2**62], [10**12, 0], [0, 2**60], ["BertModel", 5]),
)
TASK = {
    "task": "classify",
    "num_classes": 3,
    "labels": ["a", "b", "c"],
    "reading": {"max_seq_length": 8, "text_column": "a"},
}


@pytest.fixture(scope="module")
def originals(tmp_path_factory, arrays):
    """A classifier in each format, in a folder by the format's name."""
    head = {"output_weights": np.ones((3, 8), np.float32), "output_bias": np.ones(3, np.float32)}
    folder = tmp_path_factory.mktemp("originals")
    for format in ("keras_bert", "google", "huggingface"):
        config = BertConfig.from_dict(CONFIG)
        save_checkpoint(folder / format, config, {**arrays, **head}, task=TASK, format=format, log=lambda _: None)
    fields = {**CONFIG, "hidden_act": "gelu"}
    reference_bert.write_older(folder / "older", fields, {**arrays, **head}, task=TASK)
    return folder


def places(value, path=()):
    """Yields the path of every value in something of JSON."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield from places(part, (*path, key))


def changed_json(data, rng):
    """Returns JSON with one to three values changed or left out, or its text cut or with a byte changed."""
    if rng.random() < 0.2:
        return changed_bytes(data, rng)
    fields = json.loads(data)
    for _ in range(rng.randint(1, 3)):
        *path, last = rng.choice(list(places(fields))[1:])
        place = fields
        for key in path:
            place = place[key]
        if rng.random() < 0.2:
            del place[last]
        else:
            place[last] = copy.deepcopy(rng.choice(HOSTILE))
        if not fields:
            break
    return json.dumps(fields).encode()


def changed_bytes(data, rng):
    """Returns data that are cut off, or have some bytes changed."""
    if rng.random() < 0.3:
        return data[: rng.randrange(len(data))]
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def changed_safetensors(data, rng):
    length = int.from_bytes(data[:8], "little")
    header = changed_json(data[8 : 8 + length], rng)
    said = rng.choice([len(header)] * 8 + [0, len(header) - 1, len(data), 2**63])
    return max(said, 0).to_bytes(8, "little") + header + data[8 + length :]


def changed_index(data, rng):
    """Returns a TensorFlow index with entries changed under right checksums, or with bytes changed."""
    if rng.random() < 0.3:
        return changed_bytes(data, rng)
    entries = dict(read_table(data))
    for _ in range(rng.randint(1, 3)):
        name = rng.choice(list(entries))
        field = rng.choice([b"\x08", b"\x10", b"\x12", b"\x18", b"\x20", b"\x22", b"\x28", b"\x2a", b"\x35", b"\x3a"])
        more = field + rng.choice([varint(2**64 - 1), varint(2**62), varint(3), b"\xff" * 300, b"\x02\x12\x00", b""])
        entries[name] = rng.choice([changed_bytes(entries[name] or b"x", rng), entries[name] + more, more])
    return write_table(sorted(entries.items()))


FILES = [
    ("older", "bert_config.json", changed_json),
    ("keras_bert", "task.json", changed_json),
    ("older", "model.safetensors", changed_safetensors),
    ("huggingface", "config.json", changed_json),
    ("huggingface", "model.safetensors", changed_safetensors),
    ("google", "bert_model.ckpt.index", changed_index),
]


@pytest.mark.parametrize(("format", "name", "change"), FILES)
def test_whatever_a_file_says_is_read_or_refused_in_a_sentence(tmp_path, originals, format, name, change):
    folder = shutil.copytree(originals / format, tmp_path / "model")
    data, rng, refused = (folder / name).read_bytes(), random.Random(17), 0
    for _ in range(60):
        (folder / name).write_bytes(change(data, rng))
        try:
            checkpoint = open_checkpoint(folder)
            for array in checkpoint.shapes:
                checkpoint.read(array)
        except UserError as error:
            refused += 1
            assert len(str(error).splitlines()) == 1 and len(str(error)) < 1000
    assert refused > 12
