"""What a run leaves to read."""

import json
import os
import resource
import subprocess
import sys

import matplotlib
import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.training import logs
from keras_bert.training.logs import LiveCurves, TrainLog, draw_curves


def read(folder):
    return [json.loads(line) for line in (folder / "train_log.jsonl").read_text().splitlines()]


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
    assert log.rows[1] == {"step": 20, "loss": 0.333333333}
    found = scalars(tmp_path / "deep" / "run" / "tensorboard")
    assert found["accuracy"] == [(10, 0.125)]
    assert found["loss"] == [(10, 6.5), (20, pytest.approx(1 / 3))]


def test_figures_keep_what_a_float32_holds_and_whole_numbers_all(tmp_path):
    figures = np.random.default_rng(0).integers(0, 0x7F800000, 2000, dtype=np.uint32).view(np.float32)
    with TrainLog(tmp_path) as log:
        log.write(np.int64(1), {str(i): value for i, value in enumerate(figures)})
        log.write(2, {"tokens": np.int64(123_456_789_012), "learning_rate": 1e-7 / 3})
    first, second = read(tmp_path)
    assert np.array_equal(np.array(list(first.values())[1:], np.float32), figures)
    assert second == {"step": 2, "tokens": 123_456_789_012, "learning_rate": 3.33333333e-08}


def test_a_run_that_goes_on_keeps_the_rows_up_to_its_step(tmp_path):
    whole = [(step, {"loss": np.float32(1 / step)}) for step in (10, 20, 30, 40)]
    with TrainLog(tmp_path / "whole") as log:
        for row in whole:
            log.write(*row)
    with TrainLog(tmp_path / "run") as log:
        for row in whole[:3]:
            log.write(*row)
    path = tmp_path / "run" / "train_log.jsonl"
    path.write_bytes(path.read_bytes() + b'{"step": 4')  # a process that was killed as it wrote
    (tmp_path / "run" / "train_log.jsonl.bak").write_text("another's")
    with TrainLog(tmp_path / "run", resume_after=20) as log:
        assert [row["step"] for row in log.rows] == [10, 20] == [row["step"] for row in read(tmp_path / "run")]
        for row in whole[2:]:
            log.write(*row)
    assert path.read_bytes() == (tmp_path / "whole" / "train_log.jsonl").read_bytes()
    assert log.rows == read(tmp_path / "run")
    assert sorted(os.listdir(tmp_path / "run")) == ["tensorboard", "train_log.jsonl", "train_log.jsonl.bak"]
    assert len(os.listdir(tmp_path / "run" / "tensorboard")) == 2
    assert sorted({step for step, _ in scalars(tmp_path / "run" / "tensorboard")["loss"]}) == [10, 20, 30, 40]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", []),
        (' {"step": 5, "loss": 1.5}\n', [5]),
        ('{"step": 5, "loss": 1.5}\n{"step": 6}', [5]),  # without its line end it may be half of a longer one
        ('{"step": 5}\n[]\n{"loss": 1}\n\xff\n{"step": 6}\n', [5, 6]),
        ('{"step": 21, "loss": 1.5}\n', []),
    ],
)
def test_a_log_is_cut_off_where_it_is_no_log(tmp_path, text, kept):
    (tmp_path / "train_log.jsonl").write_bytes(text.encode("latin-1"))
    with TrainLog(tmp_path, resume_after=20) as log:
        log.write(30, {"loss": 1})
    assert [row["step"] for row in read(tmp_path)] == [*kept, 30]
    assert log.rows == read(tmp_path)


def test_a_run_that_goes_on_without_a_log_and_one_that_starts_anew(tmp_path):
    with TrainLog(tmp_path, resume_after=20) as log:
        log.write(30, {"loss": 1})
    with TrainLog(tmp_path) as log:
        assert log.rows == [] and (tmp_path / "train_log.jsonl").read_text() == ""
        log.write(1, {"loss": 2})
    assert read(tmp_path) == [{"step": 1, "loss": 2}]
    assert scalars(tmp_path / "tensorboard") == {"loss": [(1, 2.0)]}


def test_a_run_that_goes_back_takes_its_rows_back(tmp_path):
    with TrainLog(tmp_path) as log:
        for step in (10, 20, 30):
            log.write(step, {"loss": step / 2})
        log.rewind(10)
        assert read(tmp_path) == log.rows == [{"step": 10, "loss": 5.0}]
        log.write(20, {"loss": 9.0})
        log.rewind(20)  # nothing to take back
        log.write(30, {"loss": 8.0})
    assert read(tmp_path) == log.rows == [{"step": s, "loss": v} for s, v in ((10, 5.0), (20, 9.0), (30, 8.0))]


KILLED = """
import os, signal, sys
from keras_bert.training.logs import TrainLog
log = TrainLog(sys.argv[1])
for step in range(1, 6):
    log.write(step, {"loss": step / 2})
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_loses_no_row(tmp_path):
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False).returncode == -9
    assert read(tmp_path) == [{"step": step, "loss": step / 2} for step in range(1, 6)]
    assert scalars(tmp_path / "tensorboard") == {"loss": [(step, step / 2) for step in range(1, 6)]}


@pytest.mark.parametrize("room", [30, 50])  # for a row and a half, and for two and none of their events
def test_a_full_disk_is_a_user_error_and_leaves_whole_rows_to_go_on_from(tmp_path, room):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.raises(UserError, match=r"^Cannot write the logs in .* \([^{]*; free space"), TrainLog(tmp_path) as log:
        log.write(1, {"loss": 0.5})
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
        try:
            log.write(2, {"loss": 0.5})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    with TrainLog(tmp_path, resume_after=3) as log:
        assert [row["step"] for row in log.rows] == list(range(1, room // 24 + 1))
        assert log.rows == read(tmp_path)


def test_a_row_that_the_system_takes_piece_by_piece_is_whole(tmp_path):
    taken = []

    class Slow:
        def write(self, data):
            taken.append(data[:5])
            return len(data[:5])

        def close(self):
            pass

    with TrainLog(tmp_path) as log:
        log.stream.close()
        log.stream = Slow()
        log.write(1, {"loss": 0.5})
    assert b"".join(taken) == b'{"step": 1, "loss": 0.5}\n' and len(taken) > 1


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


def test_curves_are_drawn_again_when_that_costs_a_hundredth_of_the_time(tmp_path, monkeypatch):
    now, drawings = [100.0], []

    def drawing(rows, path, **options):
        drawings.append((now[0], len(rows), options["title"]))
        now[0] += 2.0

    monkeypatch.setattr(logs, "draw_curves", drawing)
    curves = LiveCurves(tmp_path / "a.png", curves={}, title="a run", clock=lambda: now[0])
    for second in range(101, 800):
        now[0] = max(now[0], float(second))
        curves.draw(range(second))
    assert drawings == [(150.0, 150, "a run"), (352.0, 352, "a run"), (554.0, 554, "a run"), (756.0, 756, "a run")]
    curves.draw([], now=True)
    assert len(drawings) == 5


def test_a_drawing_that_fails_stops_no_run_but_at_its_end(tmp_path):
    (tmp_path / "file").write_text("")
    curves = LiveCurves(tmp_path / "file" / "a.png", curves={"a": {"b": "c"}}, title="a run", share=1e9)
    curves.draw([{"step": 1, "c": 2.0}])
    with pytest.raises(UserError, match="Cannot write"):
        curves.draw([{"step": 1, "c": 2.0}], now=True)


def test_marks_show_in_a_drawing(tmp_path):
    rows = [{"step": step, "loss": float(step % 2)} for step in range(40)]
    pictures = []
    for marks in (None, {}, {20: "512 tokens"}, {20: "256 tokens"}, {20: ""}, {30: ""}):
        draw_curves(rows, tmp_path / "a.png", curves={"loss": {"training": "loss"}}, title="a run", marks=marks)
        pictures.append((tmp_path / "a.png").read_bytes())
    assert pictures[0] == pictures[1]
    assert len(set(pictures)) == 5


def test_a_drawing_shows_its_numbers(tmp_path):
    low = [{"step": step, "loss": 0.0} for step in range(40)]
    high = [{"step": step, "loss": float(step % 2)} for step in range(40)]
    pictures = []
    for rows in (low, high):
        draw_curves(rows, tmp_path / "curves.png", curves={"loss": {"training": "loss"}}, title="a run")
        pictures.append((tmp_path / "curves.png").read_bytes())
    assert pictures[0] != pictures[1]
