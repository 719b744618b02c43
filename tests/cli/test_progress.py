"""Progress and Ctrl-C: an interruption that Python swallows comes up again."""

import io
import signal

import pytest

from keras_bert.cli import progress as module
from keras_bert.cli.progress import BAR_WIDTH, Progress
from tests.cli.shell import Terminal


class Doomed:
    """Ctrl-C falls into its destructor, out of which no exception comes."""

    def __del__(self):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_swallowed_interruption_is_raised_at_the_next_report():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), Progress(io.StringIO()) as progress:
        progress("training", 1, 10, "step")
        doomed = Doomed()
        del doomed
        progress("training", 2, 10, "step")
        pytest.fail("the interruption is lost")
    assert signal.getsignal(signal.SIGINT) is before


def test_a_stage_that_has_ended_is_told_once():
    stream = io.StringIO()
    with Progress(stream) as progress:
        progress("writing", 10, 10, "B")
        progress("writing", 10, 10, "B")
    assert stream.getvalue().splitlines() == ["writing: 10B"]


def test_rate_and_time_left_leave_out_what_was_done_before(monkeypatch):
    now = iter([0.0, 0.0, 0.0, 11.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(now))
    stream = io.StringIO()
    progress = Progress(stream)
    progress("pretrain", 900_000, 1_000_000, "step")
    progress("pretrain", 900_110, 1_000_000, "step")
    assert "10 steps/s, 2:46:29 left" in stream.getvalue()


NOTE = "loss 5.123, masked-LM accuracy 0.123, 1,234 examples/s"


@pytest.mark.parametrize(
    ("columns", "shown", "left_out"),
    [
        (200, ["500/1k steps", "left, loss 5.123, ", "steps/s, masked-LM accuracy 0.123, 1,234 examples/s"], []),
        (80, ["500/1k steps", "left, loss 5.123"], ["examples/s", "accuracy"]),
        (50, ["500/1k steps"], ["loss", "left"]),
        (38, ["pretrain:  50%|"], ["500"]),
    ],
)
def test_a_narrow_terminal_loses_the_lesser_figures_and_not_the_bar(monkeypatch, columns, shown, left_out):
    now = iter(range(0, 1000, 10))
    monkeypatch.setattr(module, "_columns", lambda stream: columns)
    monkeypatch.setattr("tqdm.std.time", lambda: next(now))  # a step in two seconds
    stream = Terminal()
    with Progress(stream) as progress:
        progress("pretrain", 0, 1000, "step", "compiling...")
        waiting = stream.getvalue().split("\r")[-1]
        progress("pretrain", 500, 1000, "step", NOTE)
        line = stream.getvalue().split("\r")[-1]
    assert ("compiling..." in waiting) == (columns > 38)
    assert len(line.split("|")[1]) == BAR_WIDTH and len(line.rstrip()) < columns
    assert all(each in line for each in shown) and not any(each in line for each in left_out), line


def test_the_bar_itself_shrinks_last(monkeypatch):
    monkeypatch.setattr(module, "_columns", lambda stream: 24)
    stream = Terminal()
    with Progress(stream) as progress:
        progress("pretrain", 0, 1000, "step", NOTE)
    line = stream.getvalue().split("\r")[-1].rstrip()
    assert line.startswith("pretrain:   0%|") and line.endswith("|") and len(line) == 23


def test_a_log_has_no_bar_and_nothing_of_what_is_waited_for():
    stream = io.StringIO()
    with Progress(stream) as progress:
        progress("pretrain", 0, 2, "step", "compiling...")
        progress("pretrain", 1, 2, "step", NOTE)
        progress("pretrain", 2, 2, "step", NOTE)
    assert stream.getvalue() == f"pretrain: 2 steps, {NOTE}\n"
