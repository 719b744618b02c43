"""A small corpus whose masked words can be guessed from their neighbours, as masked TFRecords."""

import itertools
import json
import shutil
import types
from pathlib import Path

import numpy as np
import pytest

from keras_bert.config import BertConfig
from keras_bert.data.framing import frame
from keras_bert.data.records import manifest_path, vocab_path
from keras_bert.data.wire import serialize
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from keras_bert.training import loop

WORDS = [f"w{n}" for n in range(15)]
SEQ_LENGTH, PREDICTIONS = 24, 4
ONCE = {"shuffle": False, "repeat": False, "drop_remainder": False}


@pytest.fixture(scope="session")
def tokenizer():
    return Tokenizer(Vocabulary([*SPECIAL_TOKENS, *WORDS]))


@pytest.fixture(scope="session")
def config():
    """One layer of width 32 without dropout and with large first weights: a hundred steps are enough for it."""
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "initializer_range": 0.2}
    shape = {"num_hidden_layers": 1, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    return BertConfig(vocab_size=len(SPECIAL_TOKENS) + len(WORDS), max_position_embeddings=SEQ_LENGTH, **shape, **none)


@pytest.fixture(scope="session")
def records(tmp_path_factory, tokenizer):
    """(training files, held-out files) of sentences that say one word again and again."""
    from tfrecords.create_pretraining_data import create_pretraining_data

    folder = tmp_path_factory.mktemp("records")
    tokenizer.vocabulary.save(folder / "vocab.txt")
    rng = np.random.default_rng(0)
    found = []
    for name, documents in (("train", 150), ("dev", 30)):
        text = []
        for _ in range(documents):
            words = rng.choice(WORDS, 2, replace=False)
            text.append("\n".join(" ".join([word] * 8) for word in (*words, *words)))
        (folder / f"{name}.txt").write_text("\n\n".join(text) + "\n")
        create_pretraining_data(
            [folder / f"{name}.txt"],
            folder / f"{name}.tfrecord",
            folder / "vocab.txt",
            max_seq_length=SEQ_LENGTH,
            max_predictions_per_seq=PREDICTIONS,
            dupe_factor=2,
            num_shards=2 if name == "train" else 1,
        )
        found.append(sorted(str(path) for path in folder.glob(f"{name}.tfrecord*")))
    return found


def altered(files, folder, **fields):
    """Copies record files with their vocabulary, changes fields of their manifest, and returns the copies' names."""
    folder.mkdir(exist_ok=True)
    for path in (*files, vocab_path(files[0])):
        shutil.copy(path, folder)
    manifest = json.loads(manifest_path(files[0]).read_text()) | fields
    copies = [folder / Path(path).name for path in files]
    manifest_path(copies[0]).write_text(json.dumps(manifest))
    return copies


def unmasked(files, folder):
    """Copies record files with their masks undone, as unmasked records, and returns the copies' names."""
    from keras_bert.data.datasets import pretraining_dataset

    copies = altered(files, folder, dynamic=True)
    for path in copies:
        ((x, y, weights),) = pretraining_dataset(path, batch_size=10_000, **ONCE).as_numpy_iterator()
        rows, slots = np.nonzero(weights["masked_lm"])
        x = {name: values.copy() for name, values in x.items()}
        x["input_ids"][rows, x["masked_lm_positions"][rows, slots]] = y["masked_lm"][rows, slots]
        features = {name: x[name] for name in ("input_ids", "input_mask", "segment_ids")}
        path.write_bytes(frame(*serialize(features | {"next_sentence_labels": y["next_sentence"][:, None]})))
    return copies


@pytest.fixture(scope="session")
def dynamic_records(records, tmp_path_factory):
    """(training files, held-out files), unmasked."""
    folder = tmp_path_factory.mktemp("dynamic")
    return [unmasked(files, folder) for files in records]


@pytest.fixture
def ticking(monkeypatch):
    """A clock for the loop that gains a sixteenth of a second with each look at it; a call has two looks."""
    ticks = itertools.count()
    monkeypatch.setattr(loop, "time", types.SimpleNamespace(perf_counter=lambda: next(ticks) / 16))
