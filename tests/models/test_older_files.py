"""Files of version 0.1 (tests/golden/version_0_1): .keras files, model directories and a run's checkpoint still load.

Written by that version: small models of every kind with random weights, and their outputs.
"""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_bert import models
from keras_bert.checkpoints import find_format
from keras_bert.checkpoints.directory import OLDER_WORDS
from keras_bert.config import Config
from keras_bert.models import Encoder, Pretrainer
from keras_bert.training.optimizers import adamw
from keras_bert.training.run_checkpoints import RunCheckpoints, check_same_run, run_variables

FOLDER = Path(__file__).resolve().parents[1] / "golden" / "version_0_1"
KINDS = {
    "encoder": "BertEncoder",
    "pretrainer": "BertPretrainer",
    "classifier": "BertClassifier",
    "token_classifier": "BertTokenClassifier",
    "span_labeler": "BertSpanLabeler",
    "multiple_choice": "BertMultipleChoice",
}


@pytest.fixture(scope="module")
def arrays():
    return dict(np.load(FOLDER / "outputs.npz"))


def check_outputs(model, kind, arrays):
    x = {name.removeprefix("in/"): array for name, array in arrays.items() if name.startswith("in/")}
    if kind == "multiple_choice":
        x = {name: np.repeat(array[:, None], 2, axis=1) for name, array in x.items()}
    if kind == "pretrainer":
        x["masked_lm_positions"] = np.array([[1, 3], [2, 0]], np.int32)
    outputs = model(x)
    outputs = outputs if isinstance(outputs, dict) else {"logits": outputs}
    expected = {name.partition("/")[2]: array for name, array in arrays.items() if name.startswith(f"{kind}/")}
    assert outputs.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(keras.ops.convert_to_numpy(outputs[name]), array, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_keras_file_loads_with_equal_outputs(kind, arrays):
    model = keras.saving.load_model(FOLDER / f"{kind}.keras")
    assert isinstance(model, getattr(models, KINDS[kind]))
    check_outputs(model, kind, arrays)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_directory_loads_with_equal_outputs(kind, arrays, tmp_path):
    model = getattr(models, KINDS[kind]).from_pretrained(FOLDER / kind)
    assert model.load_report.new == model.load_report.unused == []
    assert model.bert_config.extra == {"note": "kept"}
    task = FOLDER / kind / "task.json"
    said = json.loads(task.read_text()) if task.exists() else {}
    assert model.task() == (said | {"task": OLDER_WORDS[said["task"]]} if said else {})
    check_outputs(model, kind, arrays)
    assert find_format(FOLDER / kind) == "keras_bert"


def test_a_run_goes_on_from_its_checkpoint():
    there = json.loads((FOLDER / "run" / "run.json").read_text())["run"]
    config = Config.from_dict(there["config"])
    check_same_run({"config": there["config"]}, {"config": config.to_dict()})
    model, found = Pretrainer(Encoder(config)), RunCheckpoints(FOLDER / "run" / "checkpoints").newest()
    optimizer = adamw(1e-3, num_train_steps=6)
    optimizer.build(model.trainable_variables)
    variables = run_variables(model, optimizer)
    found.load_into(variables)
    assert found.step == int(optimizer.iterations) == 4
