"""Records read many at a time, against the same records read one by one."""

import gzip

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_bert.data import columns
from keras_bert.data.columns import read_columns
from keras_bert.data.framing import frame
from keras_bert.data.records import FEATURES, UNMASKED_FEATURES
from keras_bert.data.wire import serialize
from keras_bert.errors import UserError


def joined(batches):
    """The batches as one, each feature's rows one after the other."""
    batches = list(batches)
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def assert_same(found, expected):
    assert list(found) == [name for name in FEATURES if name in expected]
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == (np.float32 if name == "masked_lm_weights" else np.int64)


@pytest.fixture
def parsed(monkeypatch):
    """The records that were parsed one by one."""
    seen, parse = [], columns.parse

    def watched(record, **options):
        seen.append(record)
        return parse(record, **options)

    monkeypatch.setattr(columns, "parse", watched)
    return seen


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("names", [FEATURES, UNMASKED_FEATURES], ids=["masked", "unmasked"])
def test_our_records(instances, tmp_path, parsed, pack, names):
    batch = {name: values for name, values in instances(50, seq_length=200).items() if name in names}
    (tmp_path / "a").write_bytes(pack(frame(*serialize(batch))))
    assert_same(joined(read_columns(tmp_path / "a", batch_size=16)), batch)
    assert len(parsed) == 1  # the first; the others were read many at a time


@pytest.mark.parametrize("aliases", [False, True])
def test_records_of_google_and_of_tensorflow_models(instances, write_google_file, tmp_path, parsed, aliases):
    batch = instances(20, seq_length=140)
    path = write_google_file(tmp_path / "a.tfrecord", batch, aliases=aliases)
    assert_same(joined(read_columns(path)), batch)
    assert len(parsed) == 1


@pytest.mark.parametrize(("first", "sizes"), [(0, [4, 4, 2]), (3, [4, 3]), (9, [1]), (10, []), (11, [])])
def test_batches_and_where_they_begin(instances, tmp_path, first, sizes):
    batch = instances(10)
    (tmp_path / "a").write_bytes(frame(*serialize(batch)))
    batches = list(read_columns(tmp_path / "a", first=first, batch_size=4))
    assert [len(b["input_ids"]) for b in batches] == sizes
    if sizes:
        assert_same(joined(batches), {name: values[first:] for name, values in batch.items()})


def number(value):
    """A varint."""
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + number(value >> 7)


def delimited(field, data):
    return number(field << 3 | 2) + number(len(data)) + data


def plain_entry(name, values):
    """A map entry as Google's writer makes it."""
    if FEATURES[name].kind == "float":
        feature = delimited(2, delimited(1, np.array(values, "<f4").tobytes()))
    else:
        feature = delimited(3, delimited(1, b"".join(map(number, values))))
    return delimited(1, delimited(1, name.encode()) + delimited(2, feature))


VALUES = {
    "input_ids": [2, 300, 4, 3],
    "input_mask": [1, 1, 1, 0],
    "segment_ids": [0, 0, 1, 0],
    "masked_lm_positions": [2, 0],
    "masked_lm_ids": [70000, 0],
    "masked_lm_weights": [1, 0],
    "next_sentence_labels": [1],
}
ENTRIES = {name: plain_entry(name, values) for name, values in VALUES.items()}


def example(**replaced):
    """The Example of VALUES, with some entries given as bytes."""
    return delimited(1, b"".join((ENTRIES | replaced).values()))


def ids_entry(feature, *, name=b"input_ids"):
    return delimited(1, delimited(1, name) + delimited(2, feature))


PACKED = b"\x02\xac\x02\x04\x03"
UNUSUAL = {
    "unpacked": example(input_ids=ids_entry(delimited(3, b"\x08\x02\x08\xac\x02\x08\x04\x08\x03"))),
    "in two parts": example(input_ids=ids_entry(delimited(3, delimited(1, PACKED[:3]) + delimited(1, PACKED[3:])))),
    "two kinds": example(input_ids=ids_entry(delimited(2, b"") + delimited(3, delimited(1, PACKED)))),
    "value before name": example(
        input_ids=delimited(1, delimited(2, delimited(3, delimited(1, PACKED))) + delimited(1, b"input_ids"))
    ),
    "a name twice": example(input_ids=plain_entry("input_ids", [9, 9, 9, 9]) + ENTRIES["input_ids"]),
    "a further feature": example(more=ids_entry(delimited(3, delimited(1, b"\x01")), name=b"more")),
    "two maps": delimited(1, ENTRIES["input_ids"])
    + delimited(1, b"".join(entry for name, entry in ENTRIES.items() if name != "input_ids")),
    "longer numbers": example(input_ids=ids_entry(delimited(3, delimited(1, b"\x82\x00\xac\x82\x00\x04\x03")))),
    "much longer numbers": example(
        input_ids=ids_entry(delimited(3, delimited(1, b"\x82" + b"\x80" * 8 + b"\x00" + PACKED[1:])))
    ),
    "an unknown field": example() + b"\x38\x05",
    "another order": delimited(1, b"".join(reversed(ENTRIES.values()))),
}


def write(path, records):
    sizes = np.array([len(record) for record in records])
    path.write_bytes(frame(np.frombuffer(b"".join(records), np.uint8), sizes))
    return path


@pytest.mark.parametrize("record", UNUSUAL.values(), ids=UNUSUAL.keys())
@pytest.mark.parametrize("before", [0, 2])
def test_unusual_records_among_others(tmp_path, record, before):
    assert tf.train.Example.FromString(record).features.feature["input_ids"].int64_list.value == VALUES["input_ids"]
    records = [example()] * before + [record] + [example()] * 2
    found = joined(read_columns(write(tmp_path / "a", records)))
    assert_same(found, {name: np.array([values] * len(records)) for name, values in VALUES.items()})


WRONG = {
    "a feature missing": example(input_mask=b""),
    "the masked half": example(masked_lm_ids=b""),
    "unmasked": example(masked_lm_ids=b"", masked_lm_positions=b"", masked_lm_weights=b""),
    "a longer list": example(input_ids=plain_entry("input_ids", [1, 2, 3, 4, 5])),
    "longer throughout": example(**{n: plain_entry(n, [1] * 5) for n in ("input_ids", "input_mask", "segment_ids")}),
    "floats": example(input_ids=ids_entry(delimited(2, delimited(1, b"\0" * 16)))),
    "no numbers": example(next_sentence_labels=plain_entry("next_sentence_labels", [])),
    "two labels": example(next_sentence_labels=plain_entry("next_sentence_labels", [0, 1])),
    "a list that ends past its entry": example(
        input_ids=delimited(1, delimited(1, b"input_ids") + delimited(2, delimited(3, b"\n\x06" + PACKED)))
    ),
    "an entry that ends past the record": example()[:-1],
    "a number of more than 64 bits": example(
        input_ids=ids_entry(delimited(3, delimited(1, b"\x82" + b"\x80" * 9 + b"\x00" + PACKED[1:])))
    ),
    "a second list that looks like the next entry": example(
        input_ids=ids_entry(delimited(3, delimited(1, PACKED) + ENTRIES["input_mask"])), input_mask=b""
    ),
    "prose": b"Only prose.",
}


@pytest.mark.parametrize("record", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("before", [0, 2])
def test_wrong_records_are_named(tmp_path, record, before):
    path = write(tmp_path / "a", [example()] * before + [record])
    if before == 0 and record in (WRONG["unmasked"], WRONG["longer throughout"]):
        assert len(joined(read_columns(path))["input_ids"]) == 1  # nothing wrong with it alone
        return
    with pytest.raises(UserError) as caught:
        list(read_columns(path))
    assert str(path) in str(caught.value)
    assert f"ecord {before + 1}" in str(caught.value)


def test_lists_too_long_and_too_short_do_not_make_up_for_each_other(tmp_path):
    longer, shorter = (example(input_ids=plain_entry("input_ids", [1] * count)) for count in (5, 3))
    with pytest.raises(UserError, match="record 2 has 4 values"):  # of the next list, as long as it should be
        list(read_columns(write(tmp_path / "a", [example(), longer, shorter])))


def test_an_empty_file(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(UserError, match="is empty"):
        list(read_columns(tmp_path / "a"))


def test_a_truncated_file_gives_what_is_whole_and_then_an_error(tmp_path):
    path = write(tmp_path / "a", [example()] * 5)
    path.write_bytes(path.read_bytes()[:-1])
    batches = read_columns(path, batch_size=2)
    assert [len(next(batches)["input_ids"]) for _ in range(2)] == [2, 2]
    with pytest.raises(UserError, match="ends within record 5"):
        next(batches)


def damaged_records():
    """The Example with a bit changed, cut short, or with a byte more."""
    whole = example()
    for at in range(len(whole)):
        for bit in range(8):
            yield whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]
        yield whole[:at]
        yield whole[:at] + b"\n" + whole[at:]


def test_what_is_read_at_once_is_what_is_read_one_by_one(tmp_path):
    path = tmp_path / "a"
    layout = columns.layout_of(columns.parse(example()), "")
    accepted = 0
    for record in damaged_records():
        batch = columns._parse_alike([example(), record], layout)
        if batch is not None:
            expected = columns._parse_each([example(), record], layout, path, 1)  # raises where that is damaged
            assert all(np.array_equal(batch[name], expected[name]) for name in FEATURES)
            accepted += 1
    assert accepted > 100  # changed numbers


INTS = st.integers(0, 2**63 - 1) | st.integers(0, 300)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(INTS, min_size=3, max_size=3), min_size=1, max_size=20))
def test_any_numbers(rows):
    found = columns._ints([b"".join(map(number, row)) for row in rows], 3)
    np.testing.assert_array_equal(found, rows)
