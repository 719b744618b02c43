"""The pretrain command: a run from text to a model that loads, and what it refuses."""

import json

import pytest

from keras_bert_cli.main import main


@pytest.fixture
def records(text_file, tmp_path, capsys):
    """Records of length 32 with their vocabulary of 160 entries."""
    vocab, output = tmp_path / "vocab.txt", tmp_path / "records" / "r.tfrecord"
    assert main(["train_vocab", f"--input_file={text_file}", f"--vocab_file={vocab}", "--vocab_size=160"]) == 0
    flags = ["--max_seq_length=32", "--max_predictions_per_seq=5", "--dupe_factor=1"]
    made = [f"--input_file={text_file}", f"--output_file={output}", f"--vocab_file={vocab}"]
    assert main(["create_pretraining_data", *made, *flags]) == 0
    capsys.readouterr()
    return output


def pretrain(records, output, *flags):
    """Runs the command for a few steps."""
    small = ["--bert_config_file=tiny", "--train_batch_size=4", "--num_train_steps=3", "--num_warmup_steps=1"]
    return main(["pretrain", f"--input_file={records}", f"--output_dir={output}", *small, *flags])


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


def test_a_model_that_stands_there_is_kept(records, tmp_path, capsys):
    out = tmp_path / "model"
    out.mkdir()
    (out / "bert_config.json").write_text("{}")
    assert pretrain(records, out) == 2
    assert "--force" in capsys.readouterr().err
    assert (out / "bert_config.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--bert_config_file=enormous"], ["enormous", "tiny"]),
        (["--max_seq_length=128"], ["128", "32"]),
        (["--init_checkpoint=nowhere"], ["nowhere", "does not exist"]),
        (["--eval_file=nowhere.tfrecord"], ["nowhere.tfrecord"]),
        (["--train_batch_size=100000"], ["100000"]),
    ],
)
def test_what_does_not_fit_is_one_sentence(records, tmp_path, capsys, flags, words):
    assert pretrain(records, tmp_path / "model", *flags) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert all(word in error for word in words), error
    assert not (tmp_path / "model" / "bert_config.json").exists()


def test_a_configuration_of_another_vocabulary_is_refused_with_both_numbers(records, tmp_path, capsys):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"hidden_size": 64, "num_attention_heads": 1, "vocab_size": 99}))
    assert pretrain(records, tmp_path / "model", f"--bert_config_file={config}") == 2
    error = capsys.readouterr().err
    assert "99" in error and "160" in error
