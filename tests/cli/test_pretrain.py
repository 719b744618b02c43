"""The pretrain command: a run from text to a model that loads, and what it refuses."""

import json

import pytest

from keras_bert.cli.main import main
from keras_bert.cli.saved_models import CONFIGURATIONS, find_configuration
from tests.cli.conftest import pretrain

pytestmark = pytest.mark.usefixtures("quick_runs")


def test_it_writes_a_model_that_loads_with_its_vocabulary(records, tmp_path, capsys):
    from keras_bert import BertPretrainer, Tokenizer

    out = tmp_path / "model"
    assert pretrain(records, out, f"--eval_file={records}", "--jit_compile=false") == 0
    results = json.loads((out / "eval_results.json").read_text())
    assert 0 < results["masked_lm_loss"] < 10
    assert results["masked_lm_perplexity"] == pytest.approx(2.718281828 ** results["masked_lm_loss"], rel=1e-4)
    row = json.loads((out / "train_log.jsonl").read_text().splitlines()[-1])
    assert row["step"] == 3
    assert (out / "loss_curve.png").read_bytes()[:4] == b"\x89PNG"
    model = BertPretrainer.from_pretrained(out)
    assert model.load_report.new == model.load_report.unused == []
    assert Tokenizer.from_pretrained(out).vocab_size == model.bert_config.vocab_size == 160
    assert "keras-bert fill_mask" in capsys.readouterr().out


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_model_that_stands_there_is_kept(records, tmp_path, capsys, name):
    out = tmp_path / "model"
    out.mkdir()
    (out / name).write_text("{}")
    assert pretrain(records, out) == 2
    assert f"{name} exists already; add --force" in capsys.readouterr().err
    assert (out / name).read_text() == "{}"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--bert_config_file=enormous"], ["enormous", "tiny"]),
        (["--max_seq_length=128"], ["128", "32"]),
        (["--init_checkpoint=nowhere"], ["nowhere", "does not exist"]),
        (["--eval_file=nowhere.tfrecord"], ["nowhere.tfrecord"]),
        (["--train_batch_size=100000"], ["100000"]),
        (["--masking=whole_word"], ["masked already", "whole_word", "--dynamic"]),
        (["--do_lower_case=False"], ["do_lower_case=True", "tokenizer has do_lower_case=False"]),
        (["--max_predictions_per_seq=20"], ["20", "5"]),
    ],
)
def test_what_does_not_fit_is_one_sentence(records, tmp_path, capsys, flags, words):
    assert pretrain(records, tmp_path / "model", *flags) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert all(word in error for word in words), error
    assert find_configuration(tmp_path / "model") is None


def test_text_in_the_place_of_records_is_named(text_file, tmp_path, capsys):
    assert main(["pretrain", f"--input_file={text_file}", f"--output_dir={tmp_path / 'model'}"]) == 2
    error = capsys.readouterr().err
    assert f"{text_file} is text, not a TFRecord file; make records of it first, with keras-bert create_pretr" in error
    assert not (tmp_path / "model").exists()


def test_a_configuration_of_another_vocabulary_is_refused_with_both_numbers(records, tmp_path, capsys):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"hidden_size": 64, "num_attention_heads": 1, "vocab_size": 99}))
    assert pretrain(records, tmp_path / "model", f"--bert_config_file={config}") == 2
    error = capsys.readouterr().err
    assert "99" in error and "160" in error


def test_the_manifest_decides_the_casing_where_no_flag_does(records, tmp_path, capsys):
    manifest = records.with_name("r.manifest.json")
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"do_lower_case": False}))
    assert pretrain(records, tmp_path / "model", "--do_lower_case") == 2
    assert "do_lower_case=False, but the tokenizer has do_lower_case=True" in capsys.readouterr().err
    assert pretrain(records, tmp_path / "model", "--train_batch_size=100000") == 2
    assert "do not fill a batch" in capsys.readouterr().err  # which is all that is wrong


def test_a_vocabulary_of_another_model_is_refused(records, tmp_path, capsys):
    from keras_bert.text.vocabulary import Vocabulary

    tokens = Vocabulary.from_file(records.with_name("r.vocab.txt")).tokens
    Vocabulary(reversed(tokens)).save(tmp_path / "other.txt")
    assert pretrain(records, tmp_path / "model", f"--vocab_file={tmp_path / 'other.txt'}") == 2
    assert "r.tfrecord was made with another vocabulary" in capsys.readouterr().err


def test_a_checkpoint_that_grows_and_one_that_does_not_fit(text_file, records, tmp_path, capsys):
    from keras_bert import Tokenizer
    from keras_bert.text.vocabulary import Vocabulary

    assert pretrain(records, tmp_path / "model", "--jit_compile=false") == 0
    tokens = Vocabulary.from_file(records.with_name("r.vocab.txt")).tokens
    flags = ["--max_seq_length=32", "--max_predictions_per_seq=5", "--dupe_factor=1", f"--input_file={text_file}"]
    for name, vocabulary in (("grown", [*tokens, "harbour", "captain"]), ("other", ["captain", *tokens])):
        Vocabulary(vocabulary).save(tmp_path / f"{name}.txt")
        made = [f"--output_file={tmp_path / name}.tfrecord", f"--vocab_file={tmp_path / name}.txt"]
        assert main(["create_pretraining_data", *made, *flags]) == 0
    capsys.readouterr()
    start = f"--init_checkpoint={tmp_path / 'model'}"
    assert pretrain(tmp_path / "grown.tfrecord", tmp_path / "grown", start, "--jit_compile=false") == 0
    assert f"vocabulary 162, from {tmp_path / 'model'}; grown by 2 entries" in capsys.readouterr().out
    assert Tokenizer.from_pretrained(tmp_path / "grown").tokenize("captain") == ["captain"]
    assert pretrain(tmp_path / "other.tfrecord", tmp_path / "nothing", start) == 2
    assert "does not extend the checkpoint's: line 1 is 'captain'" in capsys.readouterr().err


def test_a_shard_that_is_missing_is_named_before_training(records, tmp_path, capsys):
    for shard in (0, 1, 3):
        records.with_name(f"s.tfrecord-{shard:05d}-of-00004").write_bytes(records.read_bytes())
    assert pretrain(records.with_name("s.tfrecord*"), tmp_path / "model") == 2
    error = capsys.readouterr().err
    assert "s.tfrecord-00002-of-00004 is missing: 3 of the 4 shards" in error


@pytest.mark.parametrize(
    ("task", "said", "shown"),
    [
        ("nsp", "sentence task: next-sentence", {"next_sentence_accuracy"}),
        ("sop", "sentence task: sentence-order", {"sentence_order_accuracy"}),
        ("none", "sentence task: none", set()),
    ],
)
def test_it_says_what_the_sentence_task_is(records, tmp_path, capsys, task, said, shown):
    manifest = records.with_name("r.manifest.json")
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"sentence_task": task}))
    flags = [f"--eval_file={records}", "--jit_compile=false", "--do_lower_case"]  # which the manifest confirms
    assert pretrain(records, tmp_path / "model", *flags) == 0
    out = capsys.readouterr().out
    assert said in out
    figures = {line.split(" = ")[0].strip() for line in out.splitlines() if " = " in line}
    assert {name for name in figures if "sentence" in name and name.endswith("accuracy")} == shown
    results = json.loads((tmp_path / "model" / "eval_results.json").read_text())
    assert ("next_sentence_accuracy" in results) == (task != "none")
    assert "nan" not in out


def test_unmasked_records_are_masked_by_their_manifest(text_file, records, tmp_path, capsys):
    dynamic = tmp_path / "records" / "d.tfrecord"
    flags = ["--max_seq_length=32", "--max_predictions_per_seq=5", "--dupe_factor=1", "--dynamic", "--compression=gzip"]
    made = [f"--input_file={text_file}", f"--output_file={dynamic}", f"--vocab_file={tmp_path / 'vocab.txt'}"]
    assert main(["create_pretraining_data", *made, "--masking=whole_word", *flags]) == 0
    capsys.readouterr()
    assert pretrain(dynamic, tmp_path / "model", f"--eval_file={dynamic}", "--jit_compile=false") == 0
    out = capsys.readouterr().out
    assert "max_seq_length 32, unmasked" in out
    assert "masking: whole_word, 0.15 of the tokens, at most 5 an example" in out
    assert "masked_lm_loss" in out
    assert pretrain(dynamic, tmp_path / "other", "--masking=ngram", "--masked_lm_prob=0.3", "--jit_compile=false") == 0
    assert "masking: ngram, 0.3 of the tokens" in capsys.readouterr().out
