"""A decay that begins at a checkpoint of another run, and the run of its own that it equals to the last bit."""

import json
import shutil

import pytest

from keras_bert.errors import UserError
from keras_bert.training.loop import Stopped
from keras_bert.training.options import PretrainOptions
from keras_bert.training.pretrain import pretrain
from tests.training.test_resume import rows_of, state_of, stop_after

pytestmark = pytest.mark.usefixtures("quick_runs")
RUN = {
    "train_batch_size": 16,
    "num_warmup_steps": 2,
    "learning_rate": 3e-3,
    "steps_per_loop": 5,
    "save_checkpoints_steps": 7,
    "schedule": "wsd",
}
DECAY = {**RUN, "num_decay_steps": 6}


@pytest.fixture(scope="module")
def noisy(config):
    """A configuration with dropout."""
    return config.replace(hidden_dropout_prob=0.2, attention_probs_dropout_prob=0.1)


@pytest.fixture(scope="module")
def stable(records, noisy, tmp_path_factory):
    """The folder of a run of 24 steps whose rate stays until step 20."""
    folder = tmp_path_factory.mktemp("stable") / "run"
    pretrain(records[0], folder, noisy, num_train_steps=24, num_decay_steps=4, **RUN)
    return folder


@pytest.fixture(scope="module")
def whole(records, noisy, tmp_path_factory):
    """The folder of a run whose rate falls from step 14 to step 20."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    pretrain(records[0], folder, noisy, num_train_steps=20, **DECAY)
    return folder


@pytest.mark.parametrize("calls", [None, pytest.param(1, marks=pytest.mark.slow)])
def test_it_ends_as_a_run_that_had_this_decay_from_the_beginning(records, noisy, stable, whole, tmp_path, calls):
    lines, folder = [], tmp_path / "decay"
    arguments = {**DECAY, "decay_from": str(stable / "checkpoints" / "step-00000014")}
    if calls is not None:  # stopped, and resumed with what it noted itself
        with pytest.raises(Stopped):
            pretrain(records[0], folder, noisy, stop=stop_after(calls), **arguments)
    pretrain(records[0], folder, noisy, log=lines.append, **arguments)
    if calls is None:
        assert "goes on from run, step 14, at the very batch where it stood" in lines
    assert state_of(folder) == state_of(whole)
    assert (folder / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert rows_of(folder)[-1] == rows_of(whole)[-1] and rows_of(folder)[0]["step"] == 15
    assert json.loads((folder / "run.json").read_text())["run"]["decay_from"] == "run, step 14"


@pytest.mark.slow
def test_other_records_are_read_from_their_beginning(records, noisy, stable, tmp_path):
    lines = []
    arguments = {**DECAY, "num_decay_steps": 2, "decay_from": str(stable / "checkpoints" / "step-00000014")}
    pretrain(records[1], tmp_path / "decay", noisy, log=lines.append, **arguments)
    assert "goes on from run, step 14, with these records from their beginning" in lines
    notes = json.loads(next((tmp_path / "decay" / "checkpoints").glob("step-00000016/notes.json")).read_text())
    assert notes["notes"]["used"] == [2]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"decay_from": "nowhere"}, "nowhere is neither the --output_dir of a run nor one of its checkpoints"),
        ({}, "the decay of .* began at step 20, before the checkpoint of step 24; name an earlier one"),
        ({"learning_rate": 1e-3}, r"was trained with learning_rate 0\.003, and a decay goes on with the same"),
        ({"optimizer": "lamb"}, "was trained with optimizer adamw"),
        ({"schedule": "linear"}, "num_decay_steps is of wsd schedules alone|decay_from needs schedule wsd"),
        ({"num_decay_steps": None}, "decay_from needs schedule wsd and num_decay_steps"),
        ({"max_minutes": 3.0}, "decay_from goes by steps"),
    ],
)
def test_what_cannot_be_gone_on_from_is_named(records, noisy, stable, tmp_path, change, said):
    arguments = {**DECAY, "decay_from": str(stable), **change}
    with pytest.raises(UserError, match=said):
        pretrain(records[0], tmp_path / "decay", noisy, **arguments)
    assert not (tmp_path / "decay").exists()


def test_a_run_without_a_stable_phase_is_refused(records, noisy, stable, tmp_path):
    folder = tmp_path / "linear"
    shutil.copytree(stable / "checkpoints", folder / "checkpoints")
    note = json.loads((stable / "run.json").read_text())
    del note["run"]["schedule"]  # as older runs are noted
    (folder / "run.json").write_text(json.dumps(note))
    with pytest.raises(UserError, match=r"falls from its beginning on \(linear\), so it has no stable phase to leave"):
        pretrain(records[0], tmp_path / "decay", noisy, **DECAY, decay_from=str(folder))


def test_a_run_that_uses_none_of_the_later_options_is_noted_as_before():
    later = {"schedule", "num_decay_steps", "decay_from", "beta_2", "weight_decay"}
    assert not later & PretrainOptions().fixed().keys()
    assert PretrainOptions(beta_2=0.98).fixed()["beta_2"] == 0.98
