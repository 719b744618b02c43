"""The same model on Keras' JAX backend: equal outputs and losses, without TensorFlow being touched."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed (extra jax)"),
]

SCRIPT = """
import sys
import numpy as np
import keras, keras_bert as kb
from tests.small import batch_loss
assert keras.backend.backend() == "jax"
folder = sys.argv[1]
model = kb.BertPretrainer.from_pretrained(folder + "/model")
batch = dict(np.load(folder + "/batch.npz"))
inputs = {k: batch[k] for k in ("input_ids", "input_mask", "segment_ids", "masked_lm_positions")}
outputs = model.predict(inputs, verbose=0)
model.compile(kb.adamw(1e-3, num_train_steps=10, num_warmup_steps=2))
labels = {"masked_lm": batch["masked_lm"], "next_sentence": batch["next_sentence"]}
weights = {"masked_lm": batch["weights"], "next_sentence": np.ones(4, "float32")}
losses = [batch_loss(model, inputs, labels, weights) for _ in range(10)]
np.savez(sys.argv[2], losses=losses, **outputs)
assert not any(name.startswith("tensorflow.") for name in sys.modules if name.count(".") == 1 and "python" in name)
"""


def test_outputs_and_ten_steps_of_training_equal_tensorflows(tmp_path):
    import keras_bert as kb

    rng = np.random.default_rng(0)
    batch = {
        "input_ids": rng.integers(0, 90, (4, 24)),
        "input_mask": (np.arange(24) < np.array([[24], [20], [9], [24]])).astype(int),
        "segment_ids": rng.integers(0, 2, (4, 24)),
        "masked_lm_positions": rng.integers(1, 9, (4, 3)),
        "masked_lm": rng.integers(0, 90, (4, 3)),
        "weights": np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1]], "float32"),
        "next_sentence": rng.integers(0, 2, (4,)),
    }
    np.savez(tmp_path / "batch.npz", **batch)
    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    kb.BertPretrainer(kb.BertEncoder(kb.BertConfig.from_name("tiny", vocab_size=90, **no_dropout))).save_pretrained(
        tmp_path / "model"
    )
    results = {}
    for backend in ("tensorflow", "jax"):
        script = SCRIPT if backend == "jax" else SCRIPT.replace('== "jax"', '== "tensorflow"').rsplit("assert", 1)[0]
        environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(sys.path)}
        output = tmp_path / f"{backend}.npz"
        subprocess.run([sys.executable, "-c", script, str(tmp_path), str(output)], check=True, env=environment)
        results[backend] = dict(np.load(output))
    np.testing.assert_allclose(results["jax"]["masked_lm"], results["tensorflow"]["masked_lm"], atol=1e-5)
    np.testing.assert_allclose(results["jax"]["next_sentence"], results["tensorflow"]["next_sentence"], atol=1e-5)
    np.testing.assert_allclose(results["jax"]["losses"], results["tensorflow"]["losses"], rtol=1e-4)
    assert results["jax"]["losses"][-1] < results["jax"]["losses"][0]


SAME = ("assigning", "checking", "export", "golden", "growing", "remat")


@pytest.mark.parametrize(
    "tests",
    [["tests/layers"], [f"tests/models/test_{name}.py" for name in SAME], ["tests/families/test_golden.py"]],
)
def test_the_same_tests_pass(tests):
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", "-k", "not eagerly", *tests]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
