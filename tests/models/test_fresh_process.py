"""Every model in a fresh process: .keras file, weights, config and clone give equal outputs to the last bit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_bert.training.optimizers import adamw
from tests.models.conftest import KINDS, flat_outputs, inputs_of, labels_of, make, randomise

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow
WAYS = ("keras", "weights", "clone")
SCRIPT = """
import json, sys
from pathlib import Path
import keras, keras_bert, numpy as np
for folder in sorted(Path(".").iterdir()):
    x = dict(np.load(folder / "x.npz"))
    loaded = keras.saving.load_model(folder / "model.keras")
    again = type(loaded).from_config(json.loads((folder / "config.json").read_text()))
    again.load_weights(folder / "model.weights.h5")
    clone = keras.models.clone_model(loaded)
    clone.set_weights(loaded.get_weights())
    for way, model in {"keras": loaded, "weights": again, "clone": clone}.items():
        model.run_eagerly = True  # as where they come from: a graph rounds otherwise
        outputs = keras.tree.flatten(model.predict(x, verbose=0))
        np.savez(folder / f"{way}.npz", *outputs, trainable=[v.path for v in model.trainable_variables])
    if loaded.optimizer is not None:
        np.savez(folder / "optimizer.npz", *[np.asarray(v) for v in loaded.optimizer.variables])
"""


@pytest.fixture(scope="module")
def folder(config, batch, tmp_path_factory):
    """One folder a kind of model, with what the fresh process made of it; half of the encoders are frozen."""
    place = tmp_path_factory.mktemp("fresh")
    models = {}
    for kind in KINDS:
        models[kind] = model = randomise(make(kind, config))
        x = inputs_of(model, batch)
        model.get_layer("mine" if kind != "encoder" else "layer_0").trainable = kind in ("encoder", "classifier")
        model.compile(adamw(1e-2, num_train_steps=9), run_eagerly=True)
        if kind != "encoder":
            y = batch[1] if kind == "pretrainer" else labels_of(kind)
            model.train_on_batch(x, y)
        (place / kind).mkdir()
        model.save(place / kind / "model.keras")
        model.save_weights(place / kind / "model.weights.h5")
        (place / kind / "config.json").write_text(json.dumps(model.get_config()))
        np.savez(place / kind / "x.npz", **x)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=place, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return place, models


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_outputs_are_equal_to_the_last_bit(folder, batch, kind, way):
    place, models = folder
    model = models[kind]
    with np.load(place / kind / f"{way}.npz") as arrays:
        found = [arrays[name] for name in arrays.files if name != "trainable"]
        trainable = arrays["trainable"].tolist()
    expected = flat_outputs(model, inputs_of(model, batch))
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert trainable == [variable.path for variable in model.trainable_variables]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "encoder"])
def test_the_optimizer_goes_on_where_it_was(folder, kind):
    place, models = folder
    with np.load(place / kind / "optimizer.npz") as arrays:
        found = [arrays[name] for name in arrays.files]
    expected = models[kind].optimizer.variables
    assert len(found) == len(expected) >= 2
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, keras.ops.convert_to_numpy(theirs))
    assert int(models[kind].optimizer.iterations) == 1
