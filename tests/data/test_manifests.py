"""What the manifests beside the records say together, and what a set of files lacks."""

import json

import pytest

from keras_bert.data.checking import record_files
from keras_bert.data.manifests import (
    agreed,
    check_tokenizer_of,
    check_vocabulary,
    count_examples,
    records_vocabulary,
    sentence_task,
)
from keras_bert.errors import UserError
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

OTHER = Vocabulary([*SPECIAL_TOKENS, "zebra"])


@pytest.fixture
def run(tmp_path):
    """Returns a function that makes a run's files, empty ones, with a manifest if fields of it are given."""

    def make(stem, shards=1, **fields):
        names = [f"{stem}.tfrecord"]
        if shards > 1:
            names = [f"{stem}.tfrecord-{shard:05d}-of-{shards:05d}" for shard in range(shards)]
        for name in names:
            (tmp_path / name).touch()
        if fields:
            (tmp_path / f"{stem}.manifest.json").write_text(json.dumps({"files": names, **fields}))
        return [tmp_path / name for name in names]

    return make


def test_what_all_say_or_nobody_contradicts(run):
    wiki, books, google = run("wiki", 2, do_lower_case=False), run("books", do_lower_case=False), run("google")
    assert agreed(wiki + books + google, "do_lower_case") is False
    assert agreed(google, "do_lower_case") is None
    assert agreed(google, "masking", default="token") == "token"


def test_two_that_disagree_are_named_with_what_they_say(run):
    files = run("wiki", do_lower_case=True) + run("google") + run("books", do_lower_case=False)
    with pytest.raises(UserError, match=r"wiki\.tfrecord.*do_lower_case True.*books\.tfrecord with False; do that\."):
        agreed(files, "do_lower_case", remedy="do that")


def test_the_sentence_task(run):
    assert sentence_task(run("google")) == "nsp"
    assert sentence_task(run("old", instances=3)) == "nsp"
    assert sentence_task(run("a", sentence_task="sop")) == "sop"
    with pytest.raises(
        UserError, match=r"google\.tfrecord was made with sentence_task 'nsp'.*none\.tfrecord with 'none'"
    ):
        sentence_task(run("google") + run("none", sentence_task="none"))
    with pytest.raises(UserError, match=r"'next_topic' where one of nsp, sop, none was expected"):
        sentence_task(run("odd", sentence_task="next_topic"))


def test_the_vocabulary_s_hash(run, vocabulary, tmp_path):
    files = run("google") + run("wiki", vocab_size=57, vocab_sha256=vocabulary.fingerprint)
    check_vocabulary(files, vocabulary)
    with pytest.raises(
        UserError, match=r"wiki\.tfrecord.*\(57 tokens.*than the model's \(6 tokens.*take the records' own"
    ):
        check_vocabulary(files, OTHER)
    vocabulary.save(tmp_path / "wiki.vocab.txt")
    with pytest.raises(UserError, match=r"take .*wiki\.vocab\.txt, or make the records again"):
        check_vocabulary(files, OTHER)


def test_a_tokenizer_that_does_not_fit(run, vocabulary):
    cased = run("cased", vocab_sha256=vocabulary.fingerprint, do_lower_case=False)
    check_tokenizer_of(cased, Tokenizer(vocabulary, do_lower_case=False))
    check_tokenizer_of(cased, None)
    check_tokenizer_of(run("google"), Tokenizer(OTHER))
    with pytest.raises(UserError, match=r"do_lower_case=False, but the tokenizer has do_lower_case=True"):
        check_tokenizer_of(cased, Tokenizer(vocabulary))
    with pytest.raises(UserError, match="another vocabulary"):
        check_tokenizer_of(cased, Tokenizer(OTHER, do_lower_case=False))


@pytest.mark.parametrize("fields", [{"vocab_sha256": "b"}, {"do_lower_case": False}, {"sentence_task": "sop"}])
def test_runs_that_contradict_each_other_have_no_tokenizer(run, fields):
    first = {"vocab_sha256": "a", "do_lower_case": True, "sentence_task": "nsp"}
    with pytest.raises(UserError, match=next(iter(fields))):
        check_tokenizer_of(run("a", **first) + run("b", **first | fields), None)


def test_the_vocabulary_of_records(run, vocabulary, tmp_path):
    files = run("google") + run("wiki", vocab_sha256=vocabulary.fingerprint)
    assert records_vocabulary(files) is None
    assert records_vocabulary(files, Tokenizer(vocabulary)) is vocabulary
    vocabulary.save(tmp_path / "wiki.vocab.txt")
    assert records_vocabulary(files).tokens == vocabulary.tokens
    OTHER.save(tmp_path / "wiki.vocab.txt")
    with pytest.raises(UserError, match="another vocabulary"):
        records_vocabulary(files)


def test_examples_by_the_manifest_or_by_counting(run, instances, write_google_file):
    wiki = run("wiki", 2, instances=1000)
    google = run("google")
    write_google_file(google[0], instances(3))
    assert count_examples(wiki + google) == 1003
    write_google_file(wiki[0], instances(5))
    assert count_examples(wiki[:1]) == 5  # a part of the run is counted


@pytest.mark.parametrize("pattern", ["*.tfrecord*", ""], ids=["glob", "directory"])
def test_a_set_of_shards_that_is_not_whole(run, tmp_path, pattern):
    files = run("wiki", 4, instances=3) + run("books")
    assert record_files(str(tmp_path / pattern)) == sorted(files)
    files[1].unlink()
    with pytest.raises(
        UserError, match=r"wiki\.tfrecord-00001-of-00004 is missing: 3 of the 4 shards of wiki\.tfrecord"
    ):
        record_files(str(tmp_path / pattern))


def test_shards_named_one_by_one_or_left_out_on_purpose_are_taken(run, tmp_path):
    files = run("wiki", 4)
    assert record_files(str(tmp_path / "*-0000[0-2]-of-00004")) == files[:3]
    files[3].unlink()
    assert record_files(files[:2]) == files[:2]
    assert record_files(f"{files[0]},{files[2]}") == [files[0], files[2]]
    with pytest.raises(UserError, match="00003-of-00004 is missing"):
        record_files([str(files[0]), str(tmp_path / "*-0000[12]-of-00004")])


def test_a_single_file_called_one_of_one_is_whole(tmp_path):
    path = tmp_path / "wiki.tfrecord-00000-of-00001"
    path.touch()
    assert record_files(str(tmp_path / "wiki*")) == [path]
