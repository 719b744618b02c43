"""The data tool as an Apache Beam pipeline, on Beam's local runner."""

import sys

import pytest

from keras_bert.errors import UserError
from tfrecords.create_pretraining_data import create_pretraining_data


@pytest.fixture
def make(corpus_file, vocab_file, tmp_path):
    """Returns a function that writes out/NAME.tfrecord in two shards and returns their bytes."""

    def run(name, **options):
        shape = {"max_seq_length": 32, "max_predictions_per_seq": 5, "num_shards": 2, "input_format": "sentences"}
        output = tmp_path / "out" / f"{name}.tfrecord"
        manifest = create_pretraining_data(str(corpus_file), output, vocab_file, **{**shape, **options})
        files = [path.read_bytes() for path in sorted(output.parent.glob(f"{name}.tfrecord-*"))]
        return manifest | {"settings": None, "files": None}, files

    return run


@pytest.mark.nightly
@pytest.mark.parametrize("options", [{}, {"sentence_task": "sop", "masking": "whole_word", "compression": "gzip"}])
def test_beam_gives_the_same_shards(make, tmp_path, monkeypatch, options):
    pytest.importorskip("apache_beam", reason="needs the extra beam")
    monkeypatch.setattr("tfrecords.stages.INSTANCES_PER_PART", 100)
    monkeypatch.setattr("tfrecords.instances.INSTANCES_PER_BLOCK", 64)
    monkeypatch.setattr("tfrecords.documents.CHUNK_BYTES", 1000)
    assert make("beam", runner="DirectRunner", **options) == make("local", **options)
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")) == []


@pytest.mark.nightly
def test_a_user_error_comes_through_beam(make, corpus_file, tmp_path):
    pytest.importorskip("apache_beam", reason="needs the extra beam")
    corpus_file.write_bytes(b"one line\nand \xff another\n")
    with pytest.raises(UserError, match="is not UTF-8 text: line 2"):
        make("beam", runner="DirectRunner")
    with pytest.raises(UserError, match="refuses 'NoSuchRunner'"):
        make("beam", runner="NoSuchRunner")
    assert not list((tmp_path / "out").iterdir())


def test_without_beam_the_remedy_is_told(make, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(UserError, match=r"pip install 'keras3-bert\[beam\]'"):
        make("beam", runner="DirectRunner")
    assert not list((tmp_path / "out").iterdir())
