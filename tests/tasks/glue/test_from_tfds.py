"""The copy of the files that tensorflow_datasets makes, and what it names."""

import numpy as np
import pytest

import keras_bert as kb
from keras_bert.errors import UserError
from keras_bert.tasks import glue
from keras_bert.tasks.glue.from_tfds import _text
from tests.tasks.glue.data import SINGLES


@pytest.fixture(scope="module")
def prepared(folder, tmp_path_factory):
    """A directory of tensorflow_datasets' with some of the tasks, made by its own code from our files."""
    tfds = pytest.importorskip("tensorflow_datasets")
    place = tmp_path_factory.mktemp("tfds")
    with pytest.MonkeyPatch.context() as patch:
        manager = tfds.download.DownloadManager
        patch.setattr(manager, "download_and_extract", lambda self, url: str(folder))
        for name in ("cola", "stsb", "mnli", "rte", "wnli"):
            tfds.builder(f"glue/{name}", data_dir=place).download_and_prepare()
        patch.setattr(manager, "download", lambda self, url: str(folder / "AX" / "diagnostic.tsv"))
        tfds.builder("glue/ax", data_dir=place).download_and_prepare()
    return place


@pytest.mark.parametrize("name", ["STS-B", "MNLI", "RTE", "WNLI", "AX"])
def test_tensorflow_datasets_gives_what_the_files_give(folder, prepared, name):
    task = glue.find_task(name)
    assert set(task.tfds.splits) == set(task.tables) - ({"dev"} if name == "AX" else set())
    for split in task.tfds.splits:
        ours = glue.read_examples(task, folder, split)
        theirs = glue.read_examples(task, prepared, split, tfds=True)
        assert (theirs.texts, theirs.pairs) == (ours.texts, ours.pairs)
        np.testing.assert_array_equal(theirs.labels, ours.labels)
        if ours.labels is not None:
            assert theirs.labels.dtype == ours.labels.dtype


def test_cola_in_tensorflow_datasets(folder, prepared):
    ours, theirs = glue.read_examples("cola", folder, "dev"), glue.read_examples("cola", prepared, "dev", tfds=True)
    assert theirs.texts == ours.texts == [text for text, _ in SINGLES]
    assert theirs.labels.tolist() == ours.labels.tolist()


@pytest.mark.parametrize("name", glue.TASKS)
def test_the_table_names_what_tensorflow_datasets_has(name):
    tfds = pytest.importorskip("tensorflow_datasets")
    task = glue.find_task(name)
    features = tfds.builder(task.tfds.name).info.features
    assert set(task.tfds.texts) <= set(features)
    if task.regression:
        assert features["label"].dtype == np.float32
    elif task.labels == ("0", "1"):
        assert features["label"].num_classes == 2
    else:
        assert tuple(features["label"].names) == (task.tfds.labels or task.labels)


def test_mock_data(tokenizer):
    tfds = pytest.importorskip("tensorflow_datasets")
    with tfds.testing.mock_data(num_examples=5, policy=tfds.testing.MockPolicy.USE_CODE):
        examples = kb.glue.read_examples("qqp", "tfds", "train")
        data = kb.glue.dataset("qqp", "train", tokenizer, data_dir="tfds", max_seq_length=32, batch_size=2)
    assert len(examples) == len(examples.pairs) == 5
    assert set(examples.labels.tolist()) <= {0, 1}
    x, labels = next(data.as_numpy_iterator())
    assert x["input_ids"].shape == x["segment_ids"].shape == (2, 32)
    assert labels.dtype == np.int32


def test_what_tensorflow_datasets_lacks(prepared, monkeypatch):
    with pytest.raises(UserError, match="tensorflow_datasets has no train set of XNLI, but dev, test"):
        glue.read_examples("xnli", "tfds", "train")
    with pytest.raises(UserError, match=r"The split test of glue/rte .* has no labels"):
        glue.read_examples("rte", prepared, "test", tfds=True, labels=True)
    assert glue.read_examples("rte", prepared, "dev", tfds=True, labels=False).labels is None
    assert glue.has_examples("mnli", "tfds", "test_mismatched")
    assert not glue.has_examples("ax", "tfds", "dev")
    import tensorflow_datasets as tfds

    def no_network(*args, **kwargs):
        raise ConnectionError("no route to host\nand much more")

    monkeypatch.setattr(tfds, "load", no_network)
    with pytest.raises(UserError, match=r"can neither find nor fetch glue/rte \(no route to host\); prepare it where"):
        glue.read_examples("rte", "tfds", "dev")


def test_xnli_in_tensorflow_datasets(folder):
    """By hand what its features decode to: a dict of translations, and two lists."""
    assert _text({"zh": b"one", "de": b"two"}, "de") == "two"
    assert _text({"language": [b"de", b"zh"], "translation": [b"two", b"one"]}, "zh") == "one"
    with pytest.raises(UserError, match="The language 'fr' is not there; choose one of de, zh"):
        _text({"zh": b"one", "de": b"two"}, "fr")
