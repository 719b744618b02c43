"""keras-bert inspect records: what a person sees of a set of records."""

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_bert.cli.inspect_records import _histogram
from keras_bert.cli.main import main
from keras_bert.data.records import ALIASES, FEATURES
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tfrecords.create_pretraining_data import create_pretraining_data

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def vocab_file(text_file, tmp_path):
    """All words of the text but "that"."""
    words = sorted({word.strip(".,").lower() for word in text_file.read_text(encoding="utf-8").split()})
    path = tmp_path / "words.txt"
    Vocabulary([*SPECIAL_TOKENS, ".", ",", *(word for word in words if word != "that")]).save(path)
    return path


@pytest.fixture
def make(text_file, vocab_file, tmp_path):
    """Returns a function that writes records under out/ and returns their manifest."""

    def run(name="a.tfrecord", **options):
        settings = {"max_seq_length": 64, "max_predictions_per_seq": 10, "dupe_factor": 2, "num_workers": 1}
        return create_pretraining_data(
            str(text_file), str(tmp_path / "out" / name), str(vocab_file), **(settings | options)
        )

    return run


@pytest.fixture
def inspect(capsys):
    """Returns a function that runs `keras-bert inspect records` and returns its output."""

    def run(*arguments, status=0):
        capsys.readouterr()
        assert main(["inspect", "records", *map(str, arguments)]) == status
        captured = capsys.readouterr()
        return captured.out if status == 0 else captured.err

    return run


def test_a_set_of_shards(make, inspect, tmp_path):
    manifest = make(num_shards=2)
    statistics = manifest["statistics"]
    output = inspect(f"{tmp_path}/out/a.tfrecord-*")
    assert f"records: {tmp_path}/out/a: 2 files, a.tfrecord-00000-of-00002 ... a.tfrecord-00001-of-00002" in output
    assert f"manifest: {manifest['instances']:,} instances, 40 documents, 560 sentences" in output
    assert "max_seq_length 64, max_predictions_per_seq 10, masking token, masked_lm_prob 0.15, dynamic False" in output
    assert "dupe_factor 2" in output
    assert f"SHA-256 {manifest['vocab_sha256'][:12]}, the one that the records were made with" in output
    assert [int(n) for n in re.findall(r"^record (\d+) of a\.tfrecord-00000-of-00002", output, re.M)] == [1, 2, 3]
    assert len(re.findall(r"^\[CLS\] .*\{.*\[SEP\]$", output, re.M)) == 3
    originals = re.findall(r"^a: (.*)$", output, re.M)
    assert len(originals) == 3
    assert not any(mark in text for text in originals for mark in ("{", "[MASK]", "[CLS]", "[SEP]"))
    assert f"records read: {manifest['instances']:,}, " in output
    assert f"{statistics['padding_share']:.1%} padding" in output
    assert f"to predict: {statistics['predictions']:,}, {statistics['masked_share']:.2%} of the tokens: " in output
    assert f"{statistics['actions']['masked'] / statistics['predictions']:.1%} [MASK], " in output
    assert f"next sentence: {statistics['random_next_share']:.1%} random" in output
    assert output.endswith("the manifest says the same\n")


def test_tokens_and_unknown_ones(make, inspect, tmp_path, text_file):
    words = re.findall(r"\w+|[.,]", text_file.read_text(encoding="utf-8").lower())
    make(sentence_task="none", dupe_factor=1, dynamic=True)
    output = inspect(f"{tmp_path}/out/a.tfrecord", "--num_examples=0")
    share = words.count("that") / len(words)
    assert share > 0.001
    assert f"{share:.2%} [UNK]" in output
    assert "most frequent: the " in output
    assert "masking: none, it is left to the training" in output
    assert "next sentence" not in output
    assert "\nrecord 1" not in output


def test_flags(make, inspect, tmp_path):
    make(sentence_task="sop", compression="gzip")
    path = f"{tmp_path}/out/a.tfrecord"
    output = inspect("--nostatistics", "--num_examples", "2", "--skip=7", path)
    assert re.findall(r"^record (\d+) of", output, re.M) == ["8", "9"]
    assert "(a and b are " in output
    assert "records read" not in output
    output = inspect(path, "--num_examples=0", "--max_records=20")
    assert "records read: 20, " in output
    assert "sentence order: " in output
    assert output.endswith("so its counts were not compared\n")


def test_part_of_a_set(make, inspect, tmp_path):
    make(num_shards=3)
    output = inspect(f"{tmp_path}/out/a.tfrecord-0000[12]*", "--num_examples=0")
    assert "the manifest's, but not given: a.tfrecord-00000-of-00003" in output
    assert output.endswith("so its counts were not compared\n")


def test_a_shard_that_lacks_records_shows(make, inspect, tmp_path):
    manifest = make()
    path = tmp_path / "out" / "a.tfrecord"
    data = path.read_bytes()
    path.write_bytes(data[: 16 + int.from_bytes(data[:8], "little")])  # the first record
    output = inspect(path)
    assert f"the manifest does not fit: instances {manifest['instances']:,} there, 1 in the records" in output
    assert output.endswith("the files are not all of one run, or not whole: make them again\n")


def test_a_mixed_set_shows(make, inspect, tmp_path):
    make("b.tfrecord", max_seq_length=32, max_predictions_per_seq=5, dynamic=True)
    make("a.tfrecord", num_shards=2)
    (tmp_path / "out" / "b.tfrecord").rename(tmp_path / "out" / "a.tfrecord-00000-of-00001")
    output = inspect(f"{tmp_path}/out/a.tfrecord*", "--num_examples=0")
    assert "given, but not the manifest's: a.tfrecord-00000-of-00001" in output
    assert "the files differ: 32 places, no predictions; 64 places, 10 predictions" in output
    assert "the manifest does not fit: max_seq_length 64 there, 32 in the records" in output
    assert "the manifest does not fit: dynamic False there, True in the records" in output


def test_sets_are_shown_one_after_the_other(make, inspect, tmp_path):
    make("a.tfrecord")
    make("b.tfrecord", num_shards=2)
    output = inspect(f"{tmp_path}/out/*", "--num_examples=1", "--nostatistics")  # manifests and vocabularies too
    assert re.findall(rf"^records: {tmp_path}/out/(.)", output, re.M) == ["a", "b"]
    assert re.findall(r"^record 1 of (.)", output, re.M) == ["a", "b"]


def test_records_of_google_without_manifest_and_vocabulary(make, inspect, tmp_path, vocab_file):
    manifest = make("a.tfrecord")
    (tmp_path / "out" / "a.tfrecord").rename(tmp_path / "google.tf_record")
    output = inspect(tmp_path / "google.tf_record")
    assert "manifest: none beside the files" in output
    assert "vocabulary: none beside the files, so ids are shown" in output
    assert re.search(r"^2 (\d+|\{\d+ kept\}|\{\d+ -> \d+\}) ", output, re.M)
    assert "[MASK] (taken to be the id 4), " in output
    assert output.splitlines()[-1].startswith("most frequent: ")
    output = inspect(tmp_path / "google.tf_record", "--vocab_file", vocab_file)
    assert "[CLS] " in output
    assert re.search(r"^b: ", output, re.M)
    assert (
        f"{manifest['statistics']['actions']['masked'] / manifest['statistics']['predictions']:.1%} [MASK], " in output
    )


def test_records_of_tensorflow_models(make, inspect, tmp_path):
    tf = pytest.importorskip("tensorflow")
    make()
    (record, *_) = tf.data.TFRecordDataset(f"{tmp_path}/out/a.tfrecord").as_numpy_iterator()
    example = tf.train.Example.FromString(record).features.feature
    renamed = {ALIASES.get(name, name): example[name] for name in FEATURES}
    with tf.io.TFRecordWriter(f"{tmp_path}/out/models.tfrecord") as writer:
        writer.write(tf.train.Example(features=tf.train.Features(feature=renamed)).SerializeToString())
    (tmp_path / "out" / "a.vocab.txt").rename(tmp_path / "out" / "models.vocab.txt")
    text = inspect(f"{tmp_path}/out/models.tfrecord", "--nostatistics").split("record 1 of models.tfrecord")[1]
    other = inspect(f"{tmp_path}/out/a.tfrecord", f"--vocab_file={tmp_path}/out/models.vocab.txt", "--num_examples=1")
    assert text.strip() in other


def test_another_vocabulary_shows(make, inspect, tmp_path, vocab_file):
    make()
    tokens = vocab_file.read_text().splitlines()
    (tmp_path / "out" / "a.vocab.txt").write_text("\n".join([*tokens[:-1], "another"]) + "\n")
    output = inspect(f"{tmp_path}/out/a.tfrecord")
    assert f"NOT the one that the records were made with ({len(tokens)} tokens, SHA-256 " in output


def test_ids_outside_of_the_vocabulary(make, inspect, tmp_path, vocab_file):
    make()
    short = tmp_path / "short.txt"
    short.write_text("\n".join(vocab_file.read_text().splitlines()[:20]) + "\n")
    error = inspect(f"{tmp_path}/out/a.tfrecord", f"--vocab_file={short}", status=2)
    assert "among its input_ids, where 0 to 19 were expected, the ids of 20 tokens; take the vocabulary that" in error


BAD = {
    "prose": (b"Only prose, and no record in it.", "is text, not a TFRecord file"),
    "empty": (b"", "is empty: it holds no record"),
    "gzip of nothing": (gzip.compress(b""), "is empty: it holds no record"),
    "torn": (None, "is damaged: it ends within record "),
}


@pytest.mark.parametrize(("data", "message"), BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("flags", [["--num_examples=0"], []])
def test_bad_files(make, inspect, tmp_path, data, message, flags):
    make()
    path = tmp_path / "out" / "a.tfrecord"
    path.write_bytes(path.read_bytes()[:-5] if data is None else data)
    error = inspect(path, *flags, status=2)
    assert message in error
    assert str(path) in error
    assert error.splitlines()[-1].startswith("keras-bert inspect: ")


def test_bad_flags(make, inspect, tmp_path):
    manifest = make()
    path = f"{tmp_path}/out/a.tfrecord"
    assert f"--skip={manifest['instances']} passes over all" in inspect(
        path, f"--skip={manifest['instances']}", status=2
    )
    assert "no file matches" in inspect(f"{tmp_path}/out/*.records", status=2)
    assert "does not exist" in inspect(f"{tmp_path}/out/b.tfrecord", status=2)
    assert "--vocab_file: nowhere.txt does not exist" in inspect(path, "--vocab_file=nowhere.txt", status=2)
    assert "lies beside records" in inspect(f"{tmp_path}/out/a.vocab.txt", status=2)


@pytest.mark.parametrize(
    ("field", "value"),
    [("statistics", [1]), ("files", "a"), ("settings", 3), ("vocab_sha256", 5), ("sentence_task", 1)],
)
def test_a_manifest_that_makes_no_sense(make, inspect, tmp_path, field, value):
    manifest = make()
    (tmp_path / "out" / "a.manifest.json").write_text(json.dumps({**manifest, field: value}))
    assert f"{field} {value!r}" in inspect(f"{tmp_path}/out/a.tfrecord", status=2)


def test_a_manifest_that_says_little(make, inspect, tmp_path):
    make()
    (tmp_path / "out" / "a.manifest.json").write_text("{}")
    assert "records read: " in inspect(f"{tmp_path}/out/a.tfrecord")


@pytest.mark.parametrize("first_word", ["recrods", "a.tfrecord"])
def test_an_unknown_first_word_is_taken_for_a_model(capsys, first_word):
    assert main(["inspect", first_word]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"keras-bert inspect: {first_word} does not exist; expected a model directory")
    assert len(error.splitlines()) == 1


def test_the_help_of_records(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["inspect", "records", "--help"])
    assert caught.value.code == 0
    output = capsys.readouterr().out
    assert "usage: keras-bert inspect records" in output
    assert "--max_records" in output


def test_as_a_module_and_without_tensorflow(make, tmp_path):
    make()
    script = (
        "import runpy, sys\nsys.argv = ['show_records', *sys.argv[1:]]\n"
        "try:\n    runpy.run_module('tfrecords.show_records', run_name='__main__')\n"
        "except SystemExit as end:\n    print(end.code, 'tensorflow' in sys.modules, 'keras' in sys.modules)"
    )
    command = [sys.executable, "-c", script, f"{tmp_path}/out/a.tfrecord"]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}, check=True)
    assert "[CLS] " in done.stdout
    assert done.stdout.splitlines()[-2:] == ["the manifest says the same", "0 False False"]


def test_bars_of_a_histogram():
    lengths = np.zeros(20, int)
    lengths[[1, 4, 5, 19]] = [5, 5, 5, 20]
    lines = list(_histogram(lengths, 20))
    assert [line.split()[0] for line in lines] == ["1-3", "4-6", "7-9", "10-12", "13-15", "16-18", "19-20"]
    assert [line.split()[1] for line in lines] == ["14.3%", "28.6%", "0.0%", "0.0%", "0.0%", "0.0%", "57.1%"]
    assert [line.count("#") for line in lines] == [10, 20, 0, 0, 0, 0, 40]
