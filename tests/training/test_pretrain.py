"""A pre-training run from records to a model directory."""

import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.data.datasets import pretraining_dataset
from keras_bert.data.records import vocab_path
from keras_bert.errors import UserError
from keras_bert.locks import lock_in, locked
from keras_bert.models import BertPretrainer
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import Vocabulary
from keras_bert.training import logs
from keras_bert.training.pretrain import pretrain
from tests import reference_bert
from tests.quick_runs import shared_graphs
from tests.training.conftest import ONCE, SEQ_LENGTH, altered

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


@pytest.fixture(scope="module")
def quick_after_run(run):
    """Makes the runs that come after `run` cheap: see tests/quick_runs.py."""
    with shared_graphs():
        yield


quick = pytest.mark.usefixtures("quick_after_run")


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
        assert 0 < row["tokens_per_second"] < row["examples_per_second"] * SEQ_LENGTH  # padding is not a token
        assert 0 < row["utilisation"] < 1
    assert [row["step"] for row in rows if "eval_loss" in row] == [120]
    assert {(call[0], *call[2:4]) for call in calls} == {("pretrain", 120, "step")}
    done = [call[1] for call in calls]
    assert done == sorted(done)
    assert done[0] == 0
    assert {40, 80, 120} <= set(done)


def test_the_directory_is_a_model_with_its_logs(run, tokenizer):
    folder, results, _ = run
    names = {path.name for path in folder.iterdir()}
    about = {"train_log.jsonl", "tensorboard", "loss_curve.png", "eval_results.json", "run.json", "checkpoints"}
    model = {"config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"}
    assert names == about | model | {"model.keras", "saved_model"}
    assert list((folder / "tensorboard").glob("events*"))
    assert (folder / "loss_curve.png").read_bytes()[:4] == b"\x89PNG"
    assert json.loads((folder / "eval_results.json").read_text()) == results
    assert json.loads((folder / "config.json").read_text())["architectures"] == ["BertForPreTraining"]
    again = Tokenizer.from_pretrained(folder)
    assert again.tokenize("w3 w14") == tokenizer.tokenize("w3 w14") == ["w3", "w14"]


def test_what_it_writes_loads_by_keras_and_by_tensorflow(run, records):
    folder = run[0]
    ((x, *_),) = pretraining_dataset(records[1], batch_size=8, **ONCE).take(1)
    model = BertPretrainer.from_pretrained(folder)
    expected = model.predict_on_batch(x)
    for name, logits in keras.saving.load_model(folder / "model.keras").predict_on_batch(x).items():
        np.testing.assert_array_equal(logits, expected[name])
    inputs = {name: x[name] for name in ("input_ids", "input_mask", "segment_ids")}
    loaded = tf.saved_model.load(str(folder / "saved_model"))
    served = loaded.serve(inputs)
    for name, output in model.encoder(inputs).items():
        np.testing.assert_allclose(served[name], output, atol=1e-5)


def figures_of(folder, batches):
    """Returns the figures of a saved model on batches, worked out with numpy from its logits."""
    model = BertPretrainer.from_pretrained(folder)
    sums = np.zeros(6)
    for x, y, weights in batches.as_numpy_iterator():
        logits = model.predict_on_batch(x)
        for at, name in ((0, "masked_lm"), (3, "next_sentence")):
            log_probs = reference_bert.log_softmax(np.asarray(logits[name]))
            losses = -np.take_along_axis(log_probs, y[name][..., None], -1)[..., 0]
            right = log_probs.argmax(-1) == y[name]
            sums[at : at + 3] += [(z * weights[name]).sum() for z in (losses, right, np.ones_like(losses))]
    return {
        "masked_lm_loss": sums[0] / sums[2],
        "masked_lm_accuracy": sums[1] / sums[2],
        "next_sentence_loss": sums[3] / sums[5],
        "next_sentence_accuracy": sums[4] / sums[5],
        "masked_lm_perplexity": math.exp(sums[0] / sums[2]),
        "loss": sums[0] / sums[2] + sums[3] / sums[5],
    }


def test_the_results_are_those_of_the_model_that_was_saved(run, records, config):
    folder, results, _ = run
    model = BertPretrainer.from_pretrained(folder)
    assert model.load_report.new == model.load_report.unused == []
    assert model.bert_config == config
    batches = pretraining_dataset(records[1], batch_size=7, **ONCE)
    assert results == pytest.approx(figures_of(folder, batches), rel=1e-3)


def test_the_same_seed_gives_the_same_run_and_a_checkpoint_a_better_start(run, records, config, tmp_path, monkeypatch):
    monkeypatch.setattr("keras_bert.training.pretrain._write_other_formats", lambda folder: None)
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
        UserError, match=r"The loss is nan, .* at step 2 \(batch 1 .*there is no checkpoint yet; lower .* \(now 1e\+30"
    ):
        pretrain(records[0], tmp_path / "run", config, learning_rate=1e30, **{**RUN, "num_warmup_steps": 0})
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"run.json", "train_log.jsonl", "tensorboard"}


def test_a_folder_that_another_process_writes_to_is_left_alone(run, records, config):
    folder = run[0]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with locked(lock_in(folder), what="it"), pytest.raises(UserError, match=r"--output_dir .*run is in use by process"):
        pretrain(records[0], folder, config, restart=True, **RUN)
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert after == {path: after[path] if path == folder else time for path, time in before.items()}


def test_records_that_do_not_fit_are_a_user_error_before_anything_is_written(records, config, tmp_path):
    with pytest.raises(UserError, match="15"):
        pretrain(records[0], tmp_path / "run", config.replace(vocab_size=15), **RUN)
    with pytest.raises(UserError, match=r"none\.tfrecord"):
        pretrain([str(tmp_path / "none.tfrecord")], tmp_path / "run", config, **RUN)
    assert not (tmp_path / "run").exists()


SHORT = {**RUN, "num_train_steps": 2, "num_warmup_steps": 1}


@quick
def test_unmasked_records_train_with_fresh_masks_and_are_measured_with_the_same(
    dynamic_records, config, tokenizer, tmp_path
):
    train, dev = dynamic_records
    results = pretrain(
        train, tmp_path / "run", config, eval_files=dev, tokenizer=tokenizer, learning_rate=3e-3, seed=5, **RUN
    )
    assert results["masked_lm_loss"] < 0.3 * math.log(config.vocab_size)
    batches = pretraining_dataset(dev, batch_size=RUN["eval_batch_size"], remask=False, **ONCE)
    assert results == pytest.approx(figures_of(tmp_path / "run", batches), rel=1e-3)


@quick
def test_unmasked_and_masked_records_for_the_two_sides(records, dynamic_records, config, tmp_path):
    results = pretrain(dynamic_records[0], tmp_path / "a", config, eval_files=records[1], masking="whole_word", **SHORT)
    batches = pretraining_dataset(records[1], batch_size=16, **ONCE)
    assert results == pytest.approx(figures_of(tmp_path / "a", batches), rel=1e-3)
    with pytest.raises(UserError, match="masked already, so masking='whole_word'"):
        pretrain(records[0], tmp_path / "b", config, masking="whole_word", **SHORT)


@quick
def test_without_a_sentence_task_its_figures_are_left_out(records, config, tmp_path, monkeypatch):
    train, dev = (altered(files, tmp_path / "records", sentence_task="none") for files in records)
    panels = []
    monkeypatch.setattr(logs, "draw_curves", lambda *_, curves, **options: panels.extend(curves))
    results = pretrain(train, tmp_path / "run", config, eval_files=dev, **SHORT)
    assert results.keys() == {"masked_lm_loss", "masked_lm_accuracy", "masked_lm_perplexity", "loss"}
    assert results["loss"] == results["masked_lm_loss"]
    for row in rows_of(tmp_path / "run"):
        assert not any("next_sentence" in name for name in row)
        assert all(math.isfinite(value) for value in row.values())
    assert panels == ["masked-LM loss", "masked-LM accuracy"]


@quick
def test_a_person_reads_of_the_sentences_order(records, config, tmp_path, monkeypatch):
    train = altered(records[0], tmp_path / "records", sentence_task="sop")
    panels = {}
    monkeypatch.setattr(logs, "draw_curves", lambda *_, curves, **options: panels.update(curves))
    results = pretrain(train, tmp_path / "run", config, **SHORT)
    assert results.keys() >= FIGURES
    assert panels["sentence-order accuracy"]["training"] == "next_sentence_accuracy"
    assert len(panels) == 3


def test_records_too_long_for_the_model(records, config, tmp_path):
    with pytest.raises(UserError, match=r"records of 24 tokens, but the model reads at most 16"):
        pretrain(records[0], tmp_path / "run", config.replace(max_position_embeddings=16), **SHORT)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("fields", "side", "message"),
    [
        ({"vocab_sha256": 64 * "0"}, "both", r"another vocabulary"),
        ({"do_lower_case": False}, "both", r"do_lower_case=False, but the tokenizer has do_lower_case=True"),
        ({"vocab_sha256": 64 * "0"}, "dev", r"train\.tfrecord.* was made with vocab_sha256.*dev\.tfrecord with '0000"),
        (
            {"do_lower_case": False},
            "dev",
            r"train\.tfrecord.* was made with do_lower_case True.*dev\.tfrecord with False",
        ),
        ({"sentence_task": "sop"}, "dev", r"train\.tfrecord.* was made with sentence_task 'nsp'.*'sop'"),
    ],
)
def test_records_that_contradict_the_tokenizer_or_each_other(
    records, config, tokenizer, tmp_path, fields, side, message
):
    train = altered(records[0], tmp_path / "records", **(fields if side == "both" else {}))
    dev = altered(records[1], tmp_path / "records", **fields)
    with pytest.raises(UserError, match=message):
        pretrain(train, tmp_path / "run", config, eval_files=dev, tokenizer=tokenizer, **SHORT)
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_of_another_vocabulary(run, records, config, tmp_path):
    other = Tokenizer(Vocabulary(reversed(Tokenizer.from_pretrained(run[0]).vocabulary.tokens)))
    train = altered(records[0], tmp_path / "records", vocab_sha256=other.vocabulary.fingerprint)
    other.vocabulary.save(vocab_path(train[0]))
    for tokenizer in (other, None):  # None: what lies beside the records
        with pytest.raises(UserError, match="does not extend the checkpoint's"):
            pretrain(train, tmp_path / "run", config, init_checkpoint=run[0], tokenizer=tokenizer, **SHORT)
    assert not (tmp_path / "run").exists()


@quick
def test_a_checkpoint_grows_with_the_records_vocabulary(run, records, config, tokenizer, tmp_path):
    grown = Tokenizer(Vocabulary([*tokenizer.vocabulary.tokens, "w3w4", "w5w6"]))
    fields = {"vocab_sha256": grown.vocabulary.fingerprint, "vocab_size": grown.vocab_size}
    train = altered(records[0], tmp_path / "records", **fields)
    results = pretrain(train, tmp_path / "run", config, init_checkpoint=run[0], tokenizer=grown, **SHORT)
    assert results["masked_lm_loss"] < 0.5 * math.log(config.vocab_size)  # it knows what it has learnt
    model = BertPretrainer.from_pretrained(tmp_path / "run")
    assert model.bert_config.vocab_size == config.vocab_size + 2
    assert Tokenizer.from_pretrained(tmp_path / "run").tokenize("w3w4 w3") == ["w3w4", "w3"]
