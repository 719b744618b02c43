"""TensorFlow's tensor bundle: byte for byte as TensorFlow's own saver writes it, and what is refused."""

import numpy as np
import pytest

from keras_bert.checkpoints import table as table_module
from keras_bert.checkpoints.bundle import open_bundle, write_bundle
from keras_bert.checkpoints.table import read_table, read_varint, varint, write_table
from keras_bert.errors import UserError
from tests import reference_bert

SUFFIXES = (".index", ".data-00000-of-00001")


def write(prefix, arrays):
    write_bundle(prefix, {name: array.shape for name, array in arrays.items()}, arrays.__getitem__)
    return prefix


@pytest.fixture
def prefix(tmp_path, arrays):
    return write(tmp_path / "bert_model.ckpt", arrays)


def test_a_number_takes_seven_bits_a_byte():
    for number, expected in ((0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (1 << 35, "808080808001")):
        assert varint(number).hex() == expected
        assert read_varint(b"x" + varint(number) + b"y", 1) == (number, 1 + len(varint(number)))


@pytest.mark.parametrize("number", [1, 2, 16, 17, 100])
def test_a_table_comes_back(number):
    entries = [(f"{'shared' * (i % 3)}{i:04d}".encode(), bytes([i]) * i) for i in range(number)]
    entries.sort()
    assert list(read_table(write_table(entries))) == entries


def test_the_bytes_are_those_of_tensorflow_s_saver(tmp_path, prefix, arrays):
    reference_bert.write_google(tmp_path / "theirs", reference_bert.CONFIG, arrays)
    for suffix in SUFFIXES:
        theirs = (tmp_path / "theirs" / f"bert_model.ckpt{suffix}").read_bytes()
        assert (tmp_path / f"bert_model.ckpt{suffix}").read_bytes() == theirs


def test_tensorflow_reads_what_is_written(tmp_path):
    import tensorflow as tf

    arrays = {"b": np.arange(6).reshape(2, 3), "a/scalar": np.array(2.5), "c/none": np.zeros((0, 3))}
    arrays |= {f"many/{i}": np.full(i, i) for i in range(40)}
    reader = tf.train.load_checkpoint(str(write(tmp_path / "model", arrays)))
    assert reader.get_variable_to_shape_map() == {name: list(array.shape) for name, array in arrays.items()}
    for name, array in arrays.items():
        assert reader.get_tensor(name).dtype == np.float32
        np.testing.assert_array_equal(reader.get_tensor(name), array)


def test_every_type_of_tensorflow_s_is_told_and_floats_come_as_float32(tmp_path):
    import tensorflow as tf

    names = ("float16", "bfloat16", "float64", "int64", "bool")
    values = {name: tf.cast(tf.constant([1, 0, 1]), name) for name in names}
    values |= {"string": tf.constant(["a", "bc"]), "scalar": tf.constant(3.0), "uint16": tf.constant([1], "uint16")}
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "model"),
        tensor_names=list(values),
        shape_and_slices=[""] * len(values),
        tensors=list(values.values()),
    )
    spans = open_bundle(tmp_path / "model")
    assert {name: span.shape for name, span in spans.items()} == {n: tuple(v.shape) for n, v in values.items()}
    for name in (*names, "string"):
        assert spans[name].dtype == name
    assert spans["uint16"].dtype == "TensorFlow's type 17"
    for name in ("float16", "bfloat16", "float64"):
        assert spans[name].read().dtype == np.float32
        np.testing.assert_array_equal(spans[name].read(), [1, 0, 1])
    assert spans["scalar"].read() == 3.0


def test_shards_are_read_where_they_lie(tmp_path):
    import tensorflow as tf

    parts = [str(tmp_path / f"part{i}") for i in range(2)]
    for index, part in enumerate(parts):
        tf.raw_ops.SaveV2(prefix=part, tensor_names=[f"v{index}"], shape_and_slices=[""], tensors=[tf.fill([3], index)])
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix=str(tmp_path / "all"))
    spans = open_bundle(tmp_path / "all")
    assert [spans[f"v{i}"].path.name for i in range(2)] == ["all.data-00000-of-00002", "all.data-00001-of-00002"]


def test_a_variable_in_slices_is_refused_by_name(tmp_path):
    import tensorflow as tf

    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "model"), tensor_names=["cut"], shape_and_slices=["4 0,2"], tensors=[tf.zeros([2])]
    )
    with pytest.raises(UserError, match="cut is stored in slices"):
        open_bundle(tmp_path / "model")


@pytest.mark.parametrize("keep", [0, 100, -1])
def test_data_that_are_cut_off_are_told_with_both_numbers(prefix, keep):
    path = prefix.with_name(f"{prefix.name}{SUFFIXES[1]}")
    data = path.read_bytes()
    path.write_bytes(data[:keep])
    message = rf"data-00000-of-00001 is cut off: its index says {len(data)} bytes, and it has {len(data[:keep])};"
    with pytest.raises(UserError, match=message):
        open_bundle(prefix)


def test_a_flipped_bit_is_found(prefix):
    span = open_bundle(prefix)["bert/pooler/dense/kernel"]
    data = bytearray(span.path.read_bytes())
    data[span.offset + 5] ^= 1
    span.path.write_bytes(data)
    with pytest.raises(UserError, match="bert/pooler/dense/kernel is damaged, as its checksum is another"):
        open_bundle(prefix)["bert/pooler/dense/kernel"].read()
    open_bundle(prefix)["bert/pooler/dense/bias"].read()


def test_a_damaged_index_is_a_user_error(prefix):
    index = prefix.with_name(f"{prefix.name}.index")
    data = index.read_bytes()
    flipped = [
        data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :] for at in range(0, len(data) - 100, 97)
    ]  # of the entries
    for damaged in (b"", data[: len(data) // 2], data[len(data) // 2 :], b"no index at all" * 20, *flipped):
        index.write_bytes(damaged)
        with pytest.raises(UserError, match=r"bert_model\.ckpt cannot be read as a TensorFlow checkpoint"):
            open_bundle(prefix)


def damaged(prefix, change):
    """Writes the index anew with its entries changed: `change` takes and returns {name: value}."""
    index = prefix.with_name(f"{prefix.name}.index")
    entries = change(dict(read_table(index.read_bytes())))
    index.write_bytes(write_table(sorted(entries.items())))


SHAPE = b"\x08\x01\x12\x04\x12\x02\x08\x02"  # float32, (2,)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"\xff" * 300_000, "a number of more than 10 bytes"),
        (b"\x08\x01\x22\x01\x00", "field 4 is b'.*', and a number was expected"),  # the offset as bytes
        (b"\x08\x01\x10\x05", "5 where a message was expected"),  # the shape as a number
        (b"\x08\x01\x20" + varint(2**63), "field 4 is 9223372036854775808, and a number was expected"),
        (b"\x08\x01\x12\x7f", "a field that is cut off"),
        (SHAPE + b"\x28\x08" + b"\x20\x04", "share bytes"),
        (b"\x08\x01" + b"\x12\x02\x12\x00" * 40, "which no array can have"),
    ],
)
def test_a_hostile_entry_is_one_sentence(tmp_path, value, message):
    prefix = write(tmp_path / "model", {"a": np.ones(2), "b": np.ones(2)})
    damaged(prefix, lambda entries: {**entries, b"b": value})
    with pytest.raises(UserError, match=message):
        open_bundle(prefix)


def test_a_table_whose_blocks_or_names_multiply_is_refused(monkeypatch):
    block = table_module._block([(b"x" * 1000, b"")])
    place = varint(0) + varint(len(block))
    places = table_module._block([(f"{i:03}".encode(), place) for i in range(20)])
    out = table_module._sealed(block) + table_module._sealed(places)
    footer = varint(0) * 2 + varint(len(block) + 5) + varint(len(places))
    with pytest.raises(ValueError, match="its blocks overlap"):
        list(read_table(out + footer.ljust(40, b"\0") + table_module.MAGIC))
    many = [(b"x" * 100 + f"{i:03}".encode(), b"") for i in range(20)]
    monkeypatch.setattr(table_module, "MAX_NAMES", 2000)
    with pytest.raises(ValueError, match="its names take more than"):
        list(read_table(write_table(many)))
