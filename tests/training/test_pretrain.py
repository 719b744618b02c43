"""A pre-training run from records to a model directory."""

import json
import math

import numpy as np
import pytest

from keras_bert.data.datasets import pretraining_dataset
from keras_bert.errors import UserError
from keras_bert.models import BertPretrainer
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.training.pretrain import pretrain
from tests import reference_bert

FIGURES = {"loss", "masked_lm_loss", "masked_lm_accuracy", "next_sentence_loss", "next_sentence_accuracy"}
RUN = {"train_batch_size": 16, "eval_batch_size": 16, "num_train_steps": 120, "num_warmup_steps": 10}


@pytest.fixture(scope="module")
def run(records, config, tokenizer, tmp_path_factory):
    """(folder, results, calls of progress) of one run of 120 steps."""
    folder, calls = tmp_path_factory.mktemp("pretrain") / "run", []
    results = pretrain(
        records[0],
        folder,
        config,
        eval_files=records[1],
        tokenizer=tokenizer,
        learning_rate=3e-3,
        steps_per_loop=40,
        progress=lambda *call: calls.append(call),
        **RUN,
    )
    return folder, results, calls


def rows_of(folder):
    return [json.loads(line) for line in (folder / "train_log.jsonl").read_text().splitlines()]


def test_the_loss_falls_well_below_a_guess(run, config):
    folder, results, _ = run
    rows = rows_of(folder)
    guess = math.log(config.vocab_size)
    assert rows[0]["masked_lm_loss"] > 0.6 * guess
    assert rows[-1]["masked_lm_loss"] < 0.3 * guess
    assert results["masked_lm_loss"] < 0.3 * guess
    assert results["masked_lm_accuracy"] > 0.8


def test_a_row_is_logged_every_few_steps(run):
    folder, _, calls = run
    rows = rows_of(folder)
    assert [row["step"] for row in rows] == [40, 80, 120]
    for row in rows:
        assert row.keys() >= FIGURES | {"step", "learning_rate", "examples_per_second"}
        assert row["loss"] == pytest.approx(row["masked_lm_loss"] + row["next_sentence_loss"], abs=2e-6)
    assert [row["step"] for row in rows if "eval_loss" in row] == [120]
    assert [call[:4] for call in calls] == [("pretrain", n, 120, "step") for n in (0, 40, 80, 120)]


def test_the_directory_is_a_model_with_its_logs(run, tokenizer):
    folder, results, _ = run
    names = {path.name for path in folder.iterdir()}
    logs = {"train_log.jsonl", "tensorboard", "loss_curve.png", "eval_results.json"}
    assert names == logs | {"bert_config.json", "model.safetensors", "task.json", "vocab.txt", "tokenizer_config.json"}
    assert list((folder / "tensorboard").glob("events*"))
    assert (folder / "loss_curve.png").read_bytes()[:4] == b"\x89PNG"
    assert json.loads((folder / "eval_results.json").read_text()) == results
    assert json.loads((folder / "task.json").read_text()) == {"task": "pretraining"}
    again = Tokenizer.from_pretrained(folder)
    assert again.tokenize("w3 w14") == tokenizer.tokenize("w3 w14") == ["w3", "w14"]


def test_the_results_are_those_of_the_model_that_was_saved(run, records, config):
    folder, results, _ = run
    model = BertPretrainer.from_pretrained(folder)
    assert model.load_report.new == model.load_report.unused == []
    assert model.bert_config == config
    batches = pretraining_dataset(records[1], batch_size=7, shuffle=False, repeat=False, drop_remainder=False)
    sums = np.zeros(6)
    for x, y, weights in batches.as_numpy_iterator():
        logits = model.predict_on_batch(x)
        for at, name in ((0, "masked_lm"), (3, "next_sentence")):
            log_probs = reference_bert.log_softmax(np.asarray(logits[name]))
            losses = -np.take_along_axis(log_probs, y[name][..., None], -1)[..., 0]
            right = log_probs.argmax(-1) == y[name]
            sums[at : at + 3] += [(z * weights[name]).sum() for z in (losses, right, np.ones_like(losses))]
    expected = {
        "masked_lm_loss": sums[0] / sums[2],
        "masked_lm_accuracy": sums[1] / sums[2],
        "next_sentence_loss": sums[3] / sums[5],
        "next_sentence_accuracy": sums[4] / sums[5],
        "masked_lm_perplexity": math.exp(sums[0] / sums[2]),
        "loss": sums[0] / sums[2] + sums[3] / sums[5],
    }
    assert results == pytest.approx(expected, rel=1e-3)


def test_the_same_seed_gives_the_same_run_and_a_checkpoint_a_better_start(run, records, config, tmp_path):
    short = {**RUN, "num_train_steps": 4, "num_warmup_steps": 1, "steps_per_loop": 2}
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    pretrain(records[0], first, config, seed=1, **short)
    pretrain(records[0], second, config, seed=1, **short)
    results = pretrain(records[0], third, config, seed=1, init_checkpoint=run[0], **short)
    figures = [[row["loss"] for row in rows_of(folder)] for folder in (first, second, third)]
    assert figures[0] == pytest.approx(figures[1], rel=1e-4)
    assert figures[2][0] < 0.5 * figures[0][0]
    assert results == rows_of(third)[-1]  # without held-out records, the last row of training
    assert not (third / "vocab.txt").exists()


def test_a_loss_that_is_no_number_is_a_user_error_and_no_model(records, config, tmp_path):
    with pytest.raises(
        UserError, match=r"The loss is \w+ between steps \d+ and \d+; lower --learning_rate \(now 1e\+30"
    ):
        pretrain(records[0], tmp_path / "run", config, learning_rate=1e30, **{**RUN, "num_warmup_steps": 0})
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"train_log.jsonl", "tensorboard"}


def test_records_that_do_not_fit_are_a_user_error_before_anything_is_written(records, config, tmp_path):
    with pytest.raises(UserError, match="15"):
        pretrain(records[0], tmp_path / "run", config.replace(vocab_size=15), **RUN)
    with pytest.raises(UserError, match=r"none\.tfrecord"):
        pretrain([str(tmp_path / "none.tfrecord")], tmp_path / "run", config, **RUN)
    assert not (tmp_path / "run").exists()
