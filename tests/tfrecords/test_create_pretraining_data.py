"""Text in, records out: the whole tool as a function."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import chisquare

from keras_bert.data.columns import read_columns
from keras_bert.data.datasets import pretraining_dataset
from keras_bert.data.masking import MASKINGS
from keras_bert.data.records import FEATURES, UNMASKED_FEATURES
from keras_bert.errors import UserError
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import Vocabulary
from tests.tfrecords.tool import SMALL, small_pieces
from tfrecords.create_pretraining_data import create_pretraining_data

CAPITALISED = "".join(f"Berlin{number}\n" for number in range(30))


def read(pattern, *, names=FEATURES, compression=""):
    """Returns all records as numpy arrays by feature, read with plain tf.io."""
    lengths = {"S": SMALL["max_seq_length"], "P": SMALL["max_predictions_per_seq"], 1: 1}
    spec = {
        name: tf.io.FixedLenFeature([lengths[f.length]], tf.float32 if f.kind == "float" else tf.int64)
        for name, f in FEATURES.items()
        if name in names
    }
    files = sorted(map(str, Path(pattern).parent.glob(Path(pattern).name)))
    records = list(tf.data.TFRecordDataset(files, compression_type=compression))
    return {name: value.numpy() for name, value in tf.io.parse_example(records, spec).items()}


def unmask(records):
    ids = records["input_ids"].copy()
    rows, slots = np.nonzero(records["masked_lm_weights"])
    ids[rows, records["masked_lm_positions"][rows, slots]] = records["masked_lm_ids"][rows, slots]
    return ids


def segments_of(ids, mask, segments, vocabulary):
    """Returns the ids of both segments, having checked where the special tokens stand."""
    ids, segments = ids[mask > 0], segments[mask > 0]
    assert ids[0] == vocabulary.cls_id
    a, b = ids[segments == 0], ids[segments == 1]
    assert a[-1] == b[-1] == vocabulary.sep_id
    return a[1:-1].tolist(), b[:-1].tolist()


def find(part, whole):
    return next((i for i in range(len(whole) - len(part) + 1) if whole[i : i + len(part)] == part), None)


@pytest.mark.parametrize("masking", MASKINGS)
def test_records_hold_the_text(make, tmp_path, documents, vocabulary, masking):
    manifest = make(masking=masking)
    records = read(tmp_path / "out" / "a.tfrecord")
    tokenizer = Tokenizer(vocabulary)
    texts = [[i for sentence in document for i in tokenizer.token_ids(sentence)] for document in documents]
    assert vocabulary.unk_id not in texts[1]
    owner = {token: d for d, text in enumerate(texts) for token in text if vocabulary.token(token)[:2] != "##"}
    originals = unmask(records)
    assert len(originals) == manifest["instances"] == manifest["statistics"]["instances"] > 500
    for row, ids in enumerate(originals):
        a, b = segments_of(ids, records["input_mask"][row], records["segment_ids"][row], vocabulary)
        of_a, of_b = ({owner[t] for t in part if t in owner} for part in (a, b))
        assert len(of_a) <= 1
        assert len(of_b) <= 1
        for part, of in ((a, of_a), (b, of_b)):
            if of:  # a single "##03" belongs to no document in particular
                assert find(part, texts[min(of)]) is not None
        if of_a and of_b:
            assert (of_a != of_b) == bool(records["next_sentence_labels"][row, 0])
    assert not records["input_mask"][records["input_ids"] == vocabulary.pad_id].any()


def test_shares_are_googles(make, tmp_path, vocabulary):
    manifest = make(dupe_factor=20, max_predictions_per_seq=5)
    records = read(tmp_path / "out" / "a.tfrecord")
    real = records["input_mask"].sum(axis=1)
    expected = [min(5, max(1, round(int(n) * 0.15))) for n in real]
    assert records["masked_lm_weights"].sum(axis=1).tolist() == expected
    assert manifest["statistics"]["masked_share"] == pytest.approx(0.15, abs=0.01)
    actions = manifest["statistics"]["actions"]
    assert sum(actions.values()) == manifest["statistics"]["predictions"] == sum(expected)
    share = np.array([0.8, 0.1, 0.1]) * sum(expected)
    assert chisquare([actions["masked"], actions["kept"], actions["random"]], share).pvalue > 1e-3
    masked = (records["input_ids"] == vocabulary.mask_id).sum()
    assert masked == actions["masked"]
    assert records["next_sentence_labels"].mean() == pytest.approx(
        manifest["statistics"]["random_next_share"], abs=1e-6
    )
    assert manifest["statistics"]["real_tokens"] == real.sum()


@pytest.mark.parametrize("masking", MASKINGS)
def test_shares_on_wikipedia(shared, tmp_path, masking):
    """15 % within rounding, 80/10/10, a fair coin for the next sentence, and no replacement by a special token."""
    text = shared / "data" / "corpora" / "wikitext-2" / "valid.txt"
    vocab = shared / "data" / "vocab" / "bert-base-uncased" / "vocab.txt"
    manifest = create_pretraining_data(
        str(text), tmp_path / "a.tfrecord", vocab, masking=masking, dupe_factor=3, short_seq_prob=0.0
    )
    statistics = manifest["statistics"]
    records = read_columns_of(tmp_path / "a.tfrecord")
    real = records["input_mask"].sum(axis=1)
    wanted = np.maximum(1, np.rint(real * 0.15))
    chosen = records["masked_lm_weights"].sum(axis=1)
    assert (chosen <= wanted).all()
    assert chosen.sum() == pytest.approx(wanted.sum(), rel=0.0 if masking == "token" else 0.01)
    counts = np.array(list(statistics["actions"].values()))
    assert chisquare(counts, counts.sum() * np.array([0.8, 0.1, 0.1])).pvalue > 1e-3
    vocabulary = Vocabulary.from_file(vocab)
    rows, slots = np.nonzero(records["masked_lm_weights"])
    now = records["input_ids"][rows, records["masked_lm_positions"][rows, slots]]
    before = records["masked_lm_ids"][rows, slots]
    assert not np.isin(before, [vocabulary.cls_id, vocabulary.sep_id, vocabulary.pad_id, vocabulary.mask_id]).any()
    replaced = now[(now != before) & (now != vocabulary.mask_id)]
    assert len(replaced) > 1000
    assert np.isin(replaced, vocabulary.replacement_ids).all()


def read_columns_of(path):
    batches = list(read_columns(path))
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def test_manifest_and_vocabulary_lie_beside(make, tmp_path, vocab_file):
    vocab_file.write_text(vocab_file.read_text() + CAPITALISED)
    vocabulary = Vocabulary.from_file(vocab_file)
    manifest = make("wiki.tfrecord", num_shards=3, do_lower_case=False)
    out = tmp_path / "out"
    names = [f"wiki.tfrecord-0000{i}-of-00003" for i in range(3)]
    assert sorted(os.listdir(out)) == sorted(["wiki.manifest.json", "wiki.vocab.txt", *names])
    assert json.loads((out / "wiki.manifest.json").read_text()) == manifest
    assert (out / "wiki.vocab.txt").read_bytes() == vocab_file.read_bytes()
    assert manifest["vocab_sha256"] == vocabulary.fingerprint
    assert manifest["vocab_size"] == len(vocabulary)
    assert manifest["do_lower_case"] is False
    assert manifest["files"] == names
    assert manifest["documents"] == 12
    assert (manifest["max_seq_length"], manifest["max_predictions_per_seq"]) == (32, 5)
    assert (manifest["masking"], manifest["masked_lm_prob"], manifest["dynamic"]) == ("token", 0.15, False)
    assert (manifest["sentence_task"], manifest["compression"]) == ("nsp", "none")
    assert len(read(out / "wiki.tfrecord-*")["input_ids"]) == manifest["instances"]


def test_training_reads_them(make, tmp_path, vocabulary):
    make("wiki.tfrecord", num_shards=2)
    dataset = pretraining_dataset(
        str(tmp_path / "out" / "wiki*"), batch_size=8, max_seq_length=32, vocab_size=len(vocabulary)
    )
    inputs, labels, weights = next(dataset.as_numpy_iterator())
    assert inputs["input_ids"].shape == (8, 32)
    assert labels["masked_lm"].shape == weights["masked_lm"].shape == (8, 5)


def test_same_seed_same_bytes(make, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make(f"{name}.tfrecord", random_seed=seed, num_shards=2)
    one, again, other = (
        [(tmp_path / "out" / f"{name}.tfrecord-0000{i}-of-00002").read_bytes() for i in (0, 1)] for name in "abc"
    )
    assert one == again
    assert one != other


@pytest.mark.parametrize("options", [{}, {"dynamic": True, "sentence_task": "sop"}, {"masking": "ngram"}])
def test_any_number_of_workers_gives_the_same_bytes(make, tmp_path, monkeypatch, options):
    """With many chunks, blocks and parts, so that every stage has work for all of them."""
    small_pieces(monkeypatch)
    written = []
    for workers in (1, 2, 3):
        make(f"{workers}.tfrecord", num_workers=workers, num_shards=3, **options)
        written.append([path.read_bytes() for path in sorted((tmp_path / "out").glob(f"{workers}.tfrecord-*"))])
    assert written[0] == written[1] == written[2]
    assert len(written[0]) == 3


def test_shards_have_equal_parts_and_all_the_instances(make, tmp_path, monkeypatch):
    small_pieces(monkeypatch)
    manifest = make(num_shards=4)
    sizes = [len(read(path)["input_ids"]) for path in sorted((tmp_path / "out").glob("a.tfrecord-*"))]
    assert sum(sizes) == manifest["instances"]
    assert max(sizes) - min(sizes) < 0.1 * np.mean(sizes)


def test_records_are_in_random_order(make, tmp_path, documents, vocabulary):
    """Neighbours are of one document no more often than chance has it."""
    make()
    records = read(tmp_path / "out" / "a.tfrecord")
    owner = {vocabulary.id(t): t[:2] for t in vocabulary.tokens if t[:2].isalpha()}
    owners = np.array([owner.get(int(row[row > 6][0])) or "" for row in unmask(records)])
    same = owners[1:] == owners[:-1]
    chance = sum(np.mean(owners == each) ** 2 for each in set(owners))
    error = np.sqrt(chance * (1 - chance) / len(same))
    assert abs(same.mean() - chance) < 4 * error


def test_dynamic_records_are_not_masked(make, tmp_path, vocabulary):
    manifest = make(dynamic=True, masking="whole_word")
    records = read(tmp_path / "out" / "a.tfrecord", names=UNMASKED_FEATURES)
    assert (manifest["dynamic"], manifest["masking"]) == (True, "whole_word")
    assert "predictions" not in manifest["statistics"]
    assert not (records["input_ids"] == vocabulary.mask_id).any()
    first = next(iter(tf.data.TFRecordDataset(str(tmp_path / "out" / "a.tfrecord"))))
    assert sorted(tf.train.Example.FromString(first.numpy()).features.feature) == sorted(UNMASKED_FEATURES)


def test_unmasked_records_are_one_copy_unless_more_are_asked_for(make):
    one, ten, masked = make("a", dynamic=True), make("b", dynamic=True, dupe_factor=10), make("c")
    assert [m["settings"]["dupe_factor"] for m in (one, ten, masked)] == [1, 10, 10]
    assert 8 * one["instances"] < ten["instances"] == masked["instances"]


@pytest.mark.parametrize("shards", [1, 2])
def test_gzip_holds_the_same_records(make, tmp_path, shards):
    make("plain.tfrecord", num_shards=shards)
    manifest = make("packed.tfrecord", num_shards=shards, compression="gzip")
    plain = read(tmp_path / "out" / "plain.tfrecord*")
    packed = read(tmp_path / "out" / "packed.tfrecord*", compression="GZIP")
    for name, values in plain.items():
        np.testing.assert_array_equal(values, packed[name])
    assert manifest["compression"] == "gzip"
    one, other = (sum(p.stat().st_size for p in (tmp_path / "out").glob(f"{n}.tfrecord*")) for n in ("plain", "packed"))
    assert other < one / 2


def test_sentence_order(make, tmp_path):
    manifest = make(sentence_task="sop", dupe_factor=20)
    assert manifest["statistics"]["swapped_share"] == pytest.approx(0.5, abs=0.05)
    assert "random_next_share" not in manifest["statistics"]
    labels = read(tmp_path / "out" / "a.tfrecord")["next_sentence_labels"]
    assert labels.mean() == pytest.approx(manifest["statistics"]["swapped_share"], abs=1e-6)


def test_no_sentence_task_of_a_single_document(make, tmp_path, corpus_file, documents, vocabulary):
    corpus_file.write_text("\n".join(documents[3]) + "\n")
    manifest = make(sentence_task="none", dupe_factor=1, short_seq_prob=0.0)
    records = read(tmp_path / "out" / "a.tfrecord")
    assert manifest["documents"] == 1
    assert not records["segment_ids"].any()
    assert not records["next_sentence_labels"].any()
    tokenizer = Tokenizer(vocabulary)
    rows = [row[mask > 0] for row, mask in zip(unmask(records), records["input_mask"], strict=True)]
    assert all(row[0] == vocabulary.cls_id and row[-1] == vocabulary.sep_id for row in rows)
    assert sum(len(row) - 2 for row in rows) == sum(len(tokenizer.token_ids(s)) for s in documents[3])


def test_single_sentences_have_no_order(make, corpus_file):
    corpus_file.write_text("ka01 ka02\n\nlo01 lo02\n")
    with pytest.raises(UserError, match=r"single sentence.*--sentence_task=nsp or none"):
        make(sentence_task="sop")


def test_copies_differ(make, tmp_path):
    make(dupe_factor=4)
    records = read(tmp_path / "out" / "a.tfrecord")
    originals, masks = unmask(records), records["masked_lm_positions"]
    assert len(np.unique(np.concatenate([originals, masks], axis=1), axis=0)) > 0.9 * len(masks)


def test_a_list_of_outputs_names_the_shards(make, tmp_path):
    make(f"a.tfrecord,{tmp_path / 'out' / 'b.tfrecord'}")
    assert sorted(os.listdir(tmp_path / "out")) == ["a.manifest.json", "a.tfrecord", "a.vocab.txt", "b.tfrecord"]


def test_an_existing_output_is_refused_and_replaced_by_force(make, tmp_path):
    make("a.tfrecord", num_shards=4)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    for shards in (4, 2, 1):  # other shards of the same name would be read along with the new ones
        with pytest.raises(UserError, match="exists already"):
            make("a.tfrecord", num_shards=shards)
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    make("a.tfrecord", num_shards=2, force=True)
    assert sorted(path.name for path in (tmp_path / "out").glob("a.tfrecord*")) == [
        "a.tfrecord-00000-of-00002",
        "a.tfrecord-00001-of-00002",
    ]


def test_the_vocabulary_may_lie_beside_the_output_already(make, vocab_file, corpus_file, tmp_path):
    (tmp_path / "out").mkdir()
    beside = tmp_path / "out" / "a.vocab.txt"
    beside.write_bytes(vocab_file.read_bytes())
    with pytest.raises(UserError, match=r"a\.vocab\.txt exists already"):
        make()
    create_pretraining_data(str(corpus_file), str(tmp_path / "out" / "a.tfrecord"), str(beside), **SMALL)
    assert beside.read_bytes() == vocab_file.read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_seq_length": 4}, "--max_seq_length must be at least 5"),
        ({"max_predictions_per_seq": 0}, "--max_predictions_per_seq must be at least 1"),
        ({"max_predictions_per_seq": 3}, "--max_predictions_per_seq=3 is too small for --max_seq_length=32"),
        ({"masking": "span"}, "--masking must be one of token, whole_word, ngram"),
        ({"masking": "ngram", "do_whole_word_mask": True}, "--do_whole_word_mask contradicts --masking=ngram"),
        ({"sentence_task": "mlm"}, "--sentence_task must be one of nsp, sop, none"),
        ({"sentence_task": "none", "max_seq_length": 3}, "--max_seq_length must be at least 4"),
        ({"compression": "xz"}, "--compression must be one of none, gzip"),
        ({"random_seed": -1}, "--random_seed must be at least 0"),
        ({"num_workers": 0}, "--num_workers must be at least 1"),
        ({"num_workers": 2, "runner": "DirectRunner"}, "--num_workers is for this machine"),
        ({"dupe_factor": 0}, "--dupe_factor must be at least 1"),
        ({"masked_lm_prob": 0.0}, "--masked_lm_prob"),
        ({"masked_lm_prob": 15}, "--masked_lm_prob"),
        ({"short_seq_prob": 1.5}, "--short_seq_prob"),
        ({"input_format": "pdf"}, "input_format must be one of"),
        ({"num_shards": 100_000}, "--num_shards"),
        ({"name": "a,b", "num_shards": 2}, "--num_shards"),
        ({"name": ""}, "names a directory"),
    ],
)
def test_options_that_cannot_work(make, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        make(**options)
    assert not (tmp_path / "out").exists() or not os.listdir(tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no text"),
        (" \n\n\t\n", "has no text"),
        ("One document.\nOf two sentences.\n", "single document"),
    ],
)
def test_a_corpus_without_two_documents(make, corpus_file, text, message):
    corpus_file.write_text(text)
    with pytest.raises(UserError, match=message):
        make()


def test_inputs_and_vocabularies_that_cannot_be_used(make, corpus_file, vocab_file, tmp_path):
    text = vocab_file.read_text()
    vocab_file.write_text(text.replace("[MASK]", "mask"))
    with pytest.raises(UserError, match=r"\[MASK\]"):
        make()
    vocab_file.write_text(text + CAPITALISED)
    with pytest.raises(UserError, match="do_lower_case=False"):
        make()
    make("cased.tfrecord", do_lower_case=False)
    vocab_file.write_text(text)
    with pytest.raises(UserError, match="pass --do_lower_case"):
        make("uncased.tfrecord", do_lower_case=False)
    vocab_file.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n[unused0]\n")
    with pytest.raises(UserError, match="special tokens only"):
        make()
    corpus_file.unlink()
    with pytest.raises(UserError, match="does not exist"):
        make()


def test_an_output_place_that_cannot_be_written_is_noticed_before_the_work(make, tmp_path, monkeypatch):
    (tmp_path / "out").write_text("a file, where a folder is needed")
    monkeypatch.setattr("tfrecords.stages.tokenize", lambda *_, **__: pytest.fail("too late"))
    with pytest.raises(UserError, match="cannot write to"):
        make()
