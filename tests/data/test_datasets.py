"""Pre-training batches from record files."""

import gzip
import itertools
import json

import numpy as np
import pytest

from keras_bert.data.checking import damaged_records_named
from keras_bert.data.damage import walk
from keras_bert.data.datasets import pretraining_dataset
from keras_bert.errors import UserError


@pytest.fixture
def record_file(instances, write_google_file, tmp_path):
    return write_google_file(tmp_path / "a.tfrecord", instances(6))


def first_batches(count, *args, **options):
    return list(itertools.islice(pretraining_dataset(*args, **options).as_numpy_iterator(), count))


def read_all(*args, **options):
    options = {"shuffle": False, "repeat": False, "drop_remainder": False, **options}
    return list(pretraining_dataset(*args, **options).as_numpy_iterator())


@pytest.mark.parametrize("aliases", [False, True])
def test_reads_records_in_the_layout_of_google_and_of_tensorflow_models(
    instances, write_google_file, tmp_path, aliases
):
    batch = instances(6, seq_length=16, predictions=4)
    path = write_google_file(tmp_path / "a.tfrecord", batch, aliases=aliases)
    (inputs, labels, weights), (rest, _, _) = read_all(str(path), batch_size=4)
    for name in ("input_ids", "input_mask", "segment_ids", "masked_lm_positions"):
        assert inputs[name].dtype == np.int32
        np.testing.assert_array_equal(np.concatenate([inputs[name], rest[name]]), batch[name])
    np.testing.assert_array_equal(labels["masked_lm"], batch["masked_lm_ids"][:4])
    np.testing.assert_array_equal(labels["next_sentence"], batch["next_sentence_labels"][:4, 0])
    np.testing.assert_array_equal(weights["masked_lm"], batch["masked_lm_weights"][:4])
    np.testing.assert_array_equal(weights["next_sentence"], np.ones(4))
    assert labels["masked_lm"].dtype == labels["next_sentence"].dtype == np.int32
    assert weights["masked_lm"].dtype == weights["next_sentence"].dtype == np.float32


def test_plain_and_gzip_files_mix(instances, write_google_file, tmp_path):
    for shard, compression in enumerate(["", "GZIP", ""]):
        batch = instances(20, seed=shard)
        batch["input_ids"][:, 0] = np.arange(20) + 20 * shard
        for name, kind in (("plain", ""), ("mixed", compression)):
            write_google_file(tmp_path / f"{name}.tfrecord-{shard:05d}-of-00003", batch, compression=kind)
    for options in ({}, {"shuffle": True}):
        plain, mixed = (read_all(str(tmp_path / f"{name}*"), batch_size=8, **options) for name in ("plain", "mixed"))
        for one, two in zip(plain, mixed, strict=True):
            for name in one[0]:
                np.testing.assert_array_equal(one[0][name], two[0][name])
        assert sorted(np.concatenate([x["input_ids"][:, 0] for x, _, _ in mixed])) == list(range(60))


def test_a_sentence_task_that_is_none_weighs_nothing(record_file):
    for task, weight in (("nsp", 1.0), ("sop", 1.0), ("none", 0.0)):
        record_file.with_name("a.manifest.json").write_text(json.dumps({"sentence_task": task}))
        (_, _, weights), *_ = read_all(record_file, batch_size=6)
        assert weights["next_sentence"].tolist() == [weight] * 6
        assert weights["next_sentence"].dtype == np.float32
        assert weights["masked_lm"].any()


def test_batches_have_static_shapes(instances, write_google_file, tmp_path):
    path = write_google_file(tmp_path / "a.tfrecord", instances(6))
    inputs, labels, _ = pretraining_dataset(path, batch_size=4).element_spec
    assert inputs["input_ids"].shape == (4, 16)
    assert inputs["masked_lm_positions"].shape == labels["masked_lm"].shape == (4, 4)
    assert labels["next_sentence"].shape == (4,)


def test_every_record_once_in_an_order_that_the_seed_decides(instances, write_google_file, tmp_path):
    for shard in range(3):
        batch = instances(20, seed=shard)
        batch["input_ids"][:, 0] = np.arange(20) + 20 * shard
        write_google_file(tmp_path / f"a.tfrecord-{shard:05d}-of-00003", batch)

    def order(seed, **options):
        options = {"shuffle": True, "seed": seed, **options}
        batches = read_all(str(tmp_path / "a.tfrecord-*"), batch_size=8, **options)
        return np.concatenate([inputs["input_ids"][:, 0] for inputs, _, _ in batches]).tolist()

    assert sorted(order(1)) == list(range(60))
    assert order(1) == order(1)
    assert order(1) != order(2)
    assert order(1) != order(1, shuffle=False)


def test_repeat_goes_on_and_shuffles_anew(instances, write_google_file, tmp_path):
    batch = instances(8)
    batch["input_ids"][:, 0] = np.arange(8)
    path = write_google_file(tmp_path / "a.tfrecord", batch)
    seen = [inputs["input_ids"][:, 0] for inputs, _, _ in first_batches(30, path, batch_size=8, seed=3)]
    assert all(len(ids) == 8 for ids in seen)
    assert len({tuple(ids) for ids in seen}) > 1


def test_what_lies_beside_the_records_is_left_out(instances, write_google_file, tmp_path):
    write_google_file(tmp_path / "wiki.tfrecord", instances(4))
    (tmp_path / "wiki.manifest.json").write_text("{}")
    (tmp_path / "wiki.vocab.txt").write_text("[PAD]\n")
    assert len(read_all(str(tmp_path / "wiki*"), batch_size=4)) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 7}, "6 records do not fill a batch of 7"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 2, "start_batch": -1}, "start_batch must be at least 0. Received: -1"),
        ({"batch_size": 2, "num_shards": 2, "shard_index": 2}, "below num_shards. Received: 2 and 2"),
        ({"batch_size": 2, "num_shards": 0}, "below num_shards. Received: 0 and 0"),
        ({"batch_size": 6, "num_shards": 4}, "batch of 6 examples cannot be shared out among 4"),
        ({"batch_size": 2, "max_seq_length": 128}, "max_seq_length 16 where 128"),
        ({"batch_size": 2, "max_predictions": 20}, "max_predictions 4 where 20"),
        ({"batch_size": 2, "vocab_size": 100}, "the model has 100"),
    ],
)
def test_options_that_do_not_fit(record_file, options, message):
    with pytest.raises(UserError, match=message):
        pretraining_dataset(record_file, **options)


def test_the_manifest_tells_the_vocabulary(record_file):
    pretraining_dataset(record_file, batch_size=2, vocab_size=30522)
    record_file.with_name("a.manifest.json").write_text(json.dumps({"vocab_size": 40000}))
    with pytest.raises(UserError, match="40000"):
        pretraining_dataset(record_file, batch_size=2, vocab_size=30522)


def test_records_of_another_vocabulary_are_refused(record_file, vocabulary):
    fields = {"vocab_size": 30522, "vocab_sha256": 64 * "0"}
    record_file.with_name("a.manifest.json").write_text(json.dumps(fields))
    with pytest.raises(UserError, match=r"a\.tfrecord.*30522 tokens, SHA-256 000000000000.*model's \(57 tokens"):
        pretraining_dataset(record_file, batch_size=2, vocabulary=vocabulary)
    fields = {"vocab_size": 57, "vocab_sha256": vocabulary.fingerprint}
    record_file.with_name("a.manifest.json").write_text(json.dumps(fields))
    pretraining_dataset(record_file, batch_size=2, vocabulary=vocabulary)


def test_files_that_do_not_fit_each_other(record_file, instances, write_google_file):
    other = write_google_file(record_file.with_name("b.tfrecord"), instances(6, seq_length=32))
    with pytest.raises(UserError, match=r"b\.tfrecord.*32.*a\.tfrecord.*16"):
        pretraining_dataset([str(record_file), str(other)], batch_size=2)


def test_no_files(tmp_path):
    with pytest.raises(UserError, match="no file matches"):
        pretraining_dataset(str(tmp_path / "*.tfrecord"), batch_size=2)
    (tmp_path / "a.manifest.json").write_text("{}")
    with pytest.raises(UserError, match="no TFRecord file"):
        pretraining_dataset(str(tmp_path / "a*"), batch_size=2)


def test_an_empty_file_is_named(record_file):
    empty = record_file.with_name("b.tfrecord")
    empty.touch()
    with pytest.raises(UserError, match=r"b\.tfrecord is empty"):
        pretraining_dataset(str(record_file.with_name("*.tfrecord")), batch_size=2)


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_a_damaged_record_is_named(record_file, instances, write_google_file, compression):
    write_google_file(record_file.with_name("b.tfrecord"), instances(6))
    *_, (_, last, _) = walk(record_file)
    damaged = bytearray(record_file.read_bytes())
    damaged[-40] ^= 1
    record_file.write_bytes(gzip.compress(damaged) if compression else damaged)
    pattern = str(record_file.with_name("*.tfrecord"))
    with pytest.raises(UserError, match=rf"a\.tfrecord is damaged: the checksum of record 6 .* \(at byte {last}\)"):
        with damaged_records_named(pattern):
            read_all(pattern, batch_size=2)


def test_a_record_of_another_length_further_on_is_named(record_file, instances, write_google_file):
    other = write_google_file(record_file.with_name("b.tfrecord"), instances(2, seq_length=32))
    size = len(record_file.read_bytes())
    record_file.write_bytes(record_file.read_bytes() + other.read_bytes())
    with pytest.raises(UserError, match=rf"a\.tfrecord is damaged: record 7 \(at byte {size}\) has max_seq_length 32"):
        with damaged_records_named(record_file):
            read_all(record_file, batch_size=2)


def test_other_errors_pass_through(record_file):
    with pytest.raises(ZeroDivisionError):
        with damaged_records_named(record_file):
            raise ZeroDivisionError
