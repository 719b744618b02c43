"""What a run leaves to read."""

import json
import os

import matplotlib
import pytest

from keras_bert.errors import UserError
from keras_bert.training.logs import TrainLog, draw_curves


def scalars(folder):
    """Returns {tag: [(step, value), ...]} of TensorBoard event files."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    events = EventAccumulator(str(folder))
    events.Reload()
    tags = events.Tags()["tensors"]
    return {t: [(e.step, float(tensor_util.make_ndarray(e.tensor_proto))) for e in events.Tensors(t)] for t in tags}


def test_each_row_stands_in_the_log_and_in_tensorboard(tmp_path):
    with TrainLog(tmp_path / "deep" / "run") as log:
        log.write(10, {"loss": 6.5, "accuracy": 0.125})
        first = (tmp_path / "deep" / "run" / "train_log.jsonl").read_text()
        log.write(20, {"loss": 1 / 3})
    assert json.loads(first) == {"step": 10, "loss": 6.5, "accuracy": 0.125}  # readable while the run goes on
    lines = (tmp_path / "deep" / "run" / "train_log.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == log.rows
    assert log.rows[1] == {"step": 20, "loss": 0.333333}
    found = scalars(tmp_path / "deep" / "run" / "tensorboard")
    assert found["accuracy"] == [(10, 0.125)]
    assert found["loss"] == [(10, 6.5), (20, pytest.approx(1 / 3))]


def test_a_place_that_takes_no_log_is_a_user_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"Cannot write to .*file/run \(.*\); choose another output directory"):
        TrainLog(tmp_path / "file" / "run")
    (tmp_path / "run" / "train_log.jsonl").mkdir(parents=True)
    with pytest.raises(UserError, match="Cannot write to"):
        TrainLog(tmp_path / "run")


def test_curves_are_drawn_and_the_notebook_s_backend_is_left_alone(tmp_path):
    rows = [{"step": step, "loss": 1 / step} for step in range(1, 50)] + [{"step": 50, "loss": 0.02, "held": 0.03}]
    curves = {"loss": {"training": "loss", "held-out": "held"}, "none": {"never seen": "missing"}}
    with matplotlib.rc_context({"backend": "svg"}):
        draw_curves(rows, tmp_path / "new" / "curves.png", curves=curves, title="a run")
        assert matplotlib.get_backend() == "svg"
    data = (tmp_path / "new" / "curves.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    assert (width, height) == (2 * 660, 480)  # two panels of 5.5 x 4 inches at 120 dots
    assert os.listdir(tmp_path / "new") == ["curves.png"]


def test_a_drawing_shows_its_numbers(tmp_path):
    low = [{"step": step, "loss": 0.0} for step in range(40)]
    high = [{"step": step, "loss": float(step % 2)} for step in range(40)]
    pictures = []
    for rows in (low, high):
        draw_curves(rows, tmp_path / "curves.png", curves={"loss": {"training": "loss"}}, title="a run")
        pictures.append((tmp_path / "curves.png").read_bytes())
    assert pictures[0] != pictures[1]
