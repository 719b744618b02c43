"""One way from flags, manifests and checkpoints to a Tokenizer, and the commands that take it."""

import argparse
import json

import numpy as np
import pytest

from keras_bert.cli import pretrain, pretrain_flags
from keras_bert.cli.tokenizer_flags import add_rule_flags, find_tokenizer
from keras_bert.data.manifests import check_tokenizer_of, records_vocabulary, stated_rules
from keras_bert.errors import UserError
from keras_bert.text.rules import TokenizerRules
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

WORDS = "the café cafe 東 京 東京 [S]".split()
VOCABULARY = Vocabulary([*SPECIAL_TOKENS, *WORDS])
CASED = Vocabulary([*SPECIAL_TOKENS, "The", "Berlin"])
TEXT = "café 東京"


@pytest.fixture
def checkpoint(tmp_path):
    """A directory whose rules are not the defaults, and [S] and [T] are kept whole."""
    rules = {"strip_accents": False, "tokenize_chinese_chars": False, "added_tokens": ["[S]", "[T]"]}
    Tokenizer(VOCABULARY, **rules).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def parse(*flags):
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_rule_flags(parser, do_lower_case="")
    return parser.parse_args(flags)


def find(*flags, **options):
    return find_tokenizer(parse(*flags), **options)


def test_a_vocabulary_file_keeps_the_checkpoint_s_rules(checkpoint):
    own = Tokenizer.from_pretrained(checkpoint)
    assert own.tokenize(TEXT) == ["café", "東京"]
    for vocab_file in (None, checkpoint / "vocab.txt"):
        found = find(vocab_file=vocab_file, checkpoint=checkpoint)
        assert found.rules == own.rules and found.vocabulary.tokens == own.vocabulary.tokens
    alone = find(vocab_file=checkpoint / "vocab.txt")
    assert alone.rules == TokenizerRules() and alone.tokenize(TEXT) == ["cafe", "東", "京"]


def test_flags_go_before_manifests_and_these_before_checkpoints(checkpoint):
    places = {"vocab_file": checkpoint / "vocab.txt", "checkpoint": checkpoint}
    manifest = {"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True, "special_tokens": ["[M]"]}
    found = find(**places, manifest=manifest)
    assert found.tokenize(f"{TEXT} [M][S]") == ["cafe", "東", "京", "[M]", "[S]"]
    found = find("--strip_accents=False", "--special_tokens=[N]", **places, manifest=manifest)
    assert found.tokenize(f"{TEXT} [N][T]") == ["café", "東", "京", "[N]", "[T]"]
    assert [token.content for token in found.vocabulary.added] == ["[M]", "[S]", "[T]", "[N]"]


def test_casing_is_inferred_by_one_rule(tmp_path, checkpoint):
    CASED.save(tmp_path / "cased.txt")
    assert not find(vocab_file=tmp_path / "cased.txt").do_lower_case
    assert find(vocab_file=checkpoint / "vocab.txt").do_lower_case
    with pytest.raises(UserError, match=r"cased\.txt: The vocabulary has no entries in lower case"):
        find("--do_lower_case", vocab_file=tmp_path / "cased.txt")
    with pytest.raises(UserError, match=r"cased\.txt: .*pass --do_lower_case=False"):  # the checkpoint lower-cases
        find(vocab_file=tmp_path / "cased.txt", checkpoint=checkpoint)


def test_a_flag_that_contradicts_the_checkpoint(checkpoint):
    for flag, does in (("--do_lower_case=False", "lower-cases"), ("--strip_accents", "has strip_accents=False")):
        with pytest.raises(UserError, match=f"but .*model {does}; leave the flag out"):
            find(flag, vocab_file=None, checkpoint=checkpoint)
        assert find(flag, vocab_file=None, checkpoint=checkpoint, contradict=True).vocabulary.added


@pytest.mark.parametrize("value", ["", "[A],,[B]", ","])
def test_special_tokens_that_are_none(value, capsys):
    with pytest.raises(SystemExit):
        parse(f"--special_tokens={value}")
    assert "expected tokens such as [SUBJ],[OBJ]" in capsys.readouterr().err


def test_pretrain_infers_the_casing_of_records_without_a_manifest(tmp_path):
    CASED.save(tmp_path / "vocab.txt")
    parser = argparse.ArgumentParser()
    pretrain_flags.add_flags(parser)
    places = ["--input_file=x", "--output_dir=y", f"--vocab_file={tmp_path / 'vocab.txt'}"]
    assert not pretrain._find_tokenizer([tmp_path / "a.tfrecord"], parser.parse_args(places)).do_lower_case


def test_the_manifest_records_the_rules(tmp_path):
    from tfrecords.create_pretraining_data import create_pretraining_data

    VOCABULARY.save(tmp_path / "vocab.txt")
    (tmp_path / "in.txt").write_text("the café [T] 東京\nthe café\n\nthe [T]\nthe 東京\n")
    rules = {"strip_accents": False, "tokenize_chinese_chars": False, "special_tokens": ["[T]"]}
    lengths = {"max_seq_length": 16, "max_predictions_per_seq": 2, "dupe_factor": 1, "num_workers": 1}
    places = (tmp_path / "in.txt", tmp_path / "a.tfrecord", tmp_path / "vocab.txt")
    manifest = create_pretraining_data(*places, **rules, **lengths, input_format="sentences", dynamic=True)
    files = [tmp_path / "a.tfrecord"]
    assert (
        stated_rules(files)
        == {"do_lower_case": True, **rules}
        == {name: manifest[name] for name in stated_rules(files)}
    )
    vocabulary = records_vocabulary(files)
    assert vocabulary.id("[T]") == len(VOCABULARY) == manifest["vocab_size"] - 1
    ids = np.array([list(example.features.feature["input_ids"].int64_list.value) for example in examples(files[0])])
    assert {len(VOCABULARY), vocabulary.id("café"), vocabulary.id("東京")} <= set(ids.ravel().tolist())
    tokenizer = Tokenizer(VOCABULARY, strip_accents=False, tokenize_chinese_chars=False, added_tokens=["[T]"])
    check_tokenizer_of(files, tokenizer)
    for other in ({"strip_accents": None}, {"tokenize_chinese_chars": True}, {"added_tokens": ()}):
        with pytest.raises(UserError, match=r"a\.tfrecord was made with .*, but the tokenizer has"):
            check_tokenizer_of(files, Tokenizer.from_rules(VOCABULARY, tokenizer.rules.replace(**other)))


def examples(path):
    import tensorflow as tf

    return [tf.train.Example.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(path))]


def test_runs_of_other_rules_contradict_each_other(tmp_path):
    for name, fields in (("a", {}), ("b", {"strip_accents": False})):
        (tmp_path / f"{name}.tfrecord").touch()
        (tmp_path / f"{name}.manifest.json").write_text(json.dumps({"do_lower_case": True, **fields}))
    files = [tmp_path / "a.tfrecord", tmp_path / "b.tfrecord"]
    with pytest.raises(UserError, match=r"a\.tfrecord was made with strip_accents None, .*b\.tfrecord with False"):
        stated_rules(files)
