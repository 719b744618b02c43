"""Runs that train replaced tokens: what they log and leave, exact resume, equal losses whatever cuts the batch."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_bert.config import Config
from keras_bert.errors import UserError
from keras_bert.models import Classifier, Encoder, Pretrainer
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import Vocabulary
from keras_bert.training import logs
from keras_bert.training.evaluation import evaluate_pretraining
from keras_bert.training.loop import Stopped
from keras_bert.training.pretrain import pretrain
from tests.training.conftest import SEQ_LENGTH, unmasked
from tests.training.test_resume import assert_same_end, rows_of, stop_after

ROOT = Path(__file__).resolve().parents[2]
SHAPE = {"num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
RUN = {"train_batch_size": 16, "num_train_steps": 24, "num_warmup_steps": 2, "learning_rate": 3e-3}
RUN |= {"steps_per_loop": 5, "save_checkpoints_steps": 7}
TASKS = ("masked_lm", "replaced_tokens")


@pytest.fixture(scope="module")
def electra():
    """A small discriminator's Config, with dropout."""
    rates = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "initializer_range": 0.2}
    sizes = {"vocab_size": 20, "embedding_size": 8, "max_position_embeddings": SEQ_LENGTH}
    return Config.from_name("electra-small", **SHAPE, **sizes, **rates)


@pytest.mark.usefixtures("quick_runs", "eagerly")
def test_a_run_trains_measures_and_leaves_both_nets(records, electra, tokenizer, tmp_path, monkeypatch):
    panels, notes, folder = [], [], tmp_path / "run"
    monkeypatch.setattr(logs, "draw_curves", lambda *_, curves, **options: panels.extend(curves))
    report = {"progress": lambda *call: notes.append(call[-1]), "tokenizer": tokenizer}
    options, short = {"max_eval_steps": 2, "eval_batch_size": 8}, {**RUN, "num_train_steps": 6, "steps_per_loop": 2}
    results = pretrain(records[0], folder, electra, eval_files=records[1], **report, **options, **short)
    figures = {f"{task}_{figure}" for task in TASKS for figure in ("loss", "accuracy")} | {"loss"}
    assert results.keys() == figures | {"masked_lm_perplexity"}
    rows = [json.loads(line) for line in (folder / "train_log.jsonl").read_text().splitlines()]
    for row in rows:
        assert {key for key in row if key.endswith(("loss", "accuracy")) and not key.startswith("eval")} == figures
        assert row["loss"] == pytest.approx(row["masked_lm_loss"] + 50 * row["replaced_tokens_loss"], rel=1e-6)
    titles = [f"{title} {figure}" for title in ("masked-LM", "replaced-token") for figure in ("loss", "accuracy")]
    assert panels[:4] == titles
    again = evaluate_pretraining(folder, records[1], tokenizer=tokenizer, **options)
    assert again == pytest.approx(results, rel=1e-4)

    assert Pretrainer.from_pretrained(folder).objectives == ["replaced_tokens"]
    assert Pretrainer.from_pretrained(folder / "generator").objectives == ["masked_lm"]
    assert not any("bert/" in name for name in Classifier.from_pretrained(folder, num_classes=2).load_report.new)


@pytest.mark.nightly
@pytest.mark.usefixtures("quick_runs")
def test_what_a_run_leaves_is_trained_on(records, electra, tokenizer, tmp_path):
    short = {**RUN, "num_train_steps": 6}
    pretrain(records[0], tmp_path / "run", electra, **RUN)
    pretrain(records[0], tmp_path / "more", None, init_checkpoint=tmp_path / "run", **short)
    first = rows_of(tmp_path / "run")[0]
    assert rows_of(tmp_path / "more")[0]["masked_lm_loss"] < first["masked_lm_loss"]
    alone = pretrain(records[0], tmp_path / "mlm", electra, objective="mlm", **short)  # the same family, masks alone
    assert "replaced_tokens_loss" not in alone
    assert Pretrainer.from_pretrained(tmp_path / "mlm").objectives == ["masked_lm"]
    pretrain(records[0], tmp_path / "dropped", electra, keep_generator=False, **short)
    with pytest.raises(UserError, match="without the generator that replaces them"):
        evaluate_pretraining(tmp_path / "dropped", records[1], tokenizer=tokenizer)


@pytest.mark.usefixtures("quick_runs")
@pytest.mark.parametrize(
    ("sharing", "calls"),
    [
        ("disentangled", 3),
        pytest.param("shared", 2, marks=pytest.mark.slow),
        pytest.param("none", 2, marks=pytest.mark.nightly),
    ],
)
def test_a_run_that_was_stopped_ends_as_if_it_had_not(sharing, calls, records, electra, tokenizer, tmp_path):
    files = unmasked(records[0], tmp_path / "records")
    options = {"embedding_sharing": sharing, "masked_lm_prob": (0.3, 0.15), "tokenizer": tokenizer, **RUN}
    pretrain(files, tmp_path / "whole", electra, **options)
    with pytest.raises(Stopped):
        pretrain(files, tmp_path / "run", electra, stop=stop_after(calls), **options)
    pretrain(files, tmp_path / "run", electra, **options)
    assert_same_end(tmp_path / "run", tmp_path / "whole")
    for name in ("generator/model.safetensors", "model.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    with pytest.raises(UserError, match=r"is of another run, embedding_sharing: "):
        other = "none" if sharing != "none" else "shared"
        pretrain(files, tmp_path / "run", electra, **{**options, "embedding_sharing": other})


def test_what_cannot_be_trained_is_one_sentence(records, electra, config, tmp_path):
    def message(config, **options):
        with pytest.raises(UserError) as error:
            pretrain(records[0], tmp_path / "run", config, **options, **RUN)
        return str(error.value)

    assert "only objective rtd has" in message(config, generator_layers=0.5)
    assert "objective must be one of family, mlm, rtd" in message(config, objective="nsp")
    assert "generator_hidden_size must be a fraction" in message(electra, generator_hidden_size=2)
    assert "init_generator goes with init_checkpoint" in message(electra, init_generator=tmp_path)
    mobile = Config.from_name("mobilebert", vocab_size=20, max_position_embeddings=SEQ_LENGTH)
    assert "take another family" in message(mobile, objective="rtd")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"v{n}" for n in range(15))]
    strange = Tokenizer(Vocabulary(words))
    Pretrainer(Encoder(electra), objectives=["masked_lm"]).save_pretrained(tmp_path / "strange", tokenizer=strange)
    Pretrainer(Encoder(electra)).save_pretrained(tmp_path / "begin")
    begin = {"init_checkpoint": tmp_path / "begin", "init_generator": tmp_path / "strange"}
    assert "does not extend the checkpoint's: line 6 is 'w0' in place of 'v0'" in message(None, **begin)
    assert not (tmp_path / "run" / "checkpoints").exists()


# Trains in some ways in one process, which has four virtual devices, and writes each way's figures to found.npz.
SCRIPT = """
import json, sys
import numpy as np
import keras
import tensorflow as tf
backend, sharing, ways = keras.backend.backend(), sys.argv[1], json.loads(sys.argv[2])
if backend == "tensorflow":
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 4)
    def devices(n):
        if n == 1:
            return tf.distribute.OneDeviceStrategy("CPU:0")
        return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(n)])
else:
    import jax
    from keras_bert.training.jax_trainer import JaxDevices
    def devices(n):
        return JaxDevices(devices=jax.devices()[:n])
from keras_bert.models.replaced_tokens import ReplacedTokenPretrainer
from keras_bert.training.optimizers import adamw
from keras_bert.training.trainer import make_trainer
from tests.models.test_replaced_tokens import CONFIG, a_batch
from tests.training.test_replaced_runs import WAYS

batch = a_batch(8)
found = {}
for way in ways:
    n, accumulation, jit_compile = WAYS[way]
    strategy = devices(n)
    keras.utils.set_random_seed(7)
    with strategy.scope():
        model = ReplacedTokenPretrainer(CONFIG, embedding_sharing=sharing)
        optimizer = adamw(1e-2, num_train_steps=12, num_warmup_steps=2)
        optimizer.build(model.trainable_variables)
    trainer = make_trainer(model, optimizer, strategy, accumulation=accumulation, jit_compile=jit_compile)
    def make_dataset(num_shards, shard_index):
        return tf.data.Dataset.from_tensors(batch).repeat()
    found[way] = trainer.train(trainer.batches(make_dataset), 12)
    found[way + "/evaluated"] = trainer.evaluate(make_dataset, max_batches=2)
np.savez("found.npz", **found)
"""
WAYS = {  # name: devices, micro-batches, XLA
    "one device": (1, 1, False),
    "XLA": (1, 1, True),
    "four micro-batches": (1, 4, False),
    "two devices, two micro-batches each": (2, 2, False),
    "four devices": (4, 1, False),
}
needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed (extra jax)")


ONE, XLA, PARTS, TWO, FOUR = WAYS  # TensorFlow's collective operations know groups of one size in a process


@pytest.mark.parametrize(
    ("backend", "sharing", "ways"),
    [
        pytest.param("tensorflow", "shared", (ONE, TWO), marks=pytest.mark.slow),
        pytest.param("tensorflow", "disentangled", (ONE, XLA, PARTS, FOUR), marks=pytest.mark.nightly),
        pytest.param("jax", "shared", (ONE, PARTS, TWO, FOUR), marks=[pytest.mark.nightly, needs_jax]),
        pytest.param("jax", "disentangled", (ONE, TWO), marks=[pytest.mark.nightly, needs_jax]),
    ],
)
def test_losses_are_the_same_whatever_cuts_the_batch(backend, sharing, ways, tmp_path):
    settings = {"KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    settings |= {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"} if backend == "jax" else {}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, sharing, json.dumps(ways)],
        capture_output=True,
        text=True,
        env={**os.environ, **settings},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(tmp_path / "found.npz") as found:
        whole, measured = found[ONE], found[f"{ONE}/evaluated"]
        assert whole[-1, 0] < whole[0, 0]  # it learns
        assert len(np.unique(whole[:, 4])) > 3  # and each step draws anew
        for way in ways[1:]:
            np.testing.assert_allclose(found[way], whole, rtol=2e-4, err_msg=way)
            np.testing.assert_allclose(found[f"{way}/evaluated"], measured, rtol=2e-4, err_msg=way)
