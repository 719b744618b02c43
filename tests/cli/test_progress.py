"""Progress and Ctrl-C: an interruption that Python swallows comes up again."""

import io
import signal

import pytest

from keras_bert_cli import progress as module
from keras_bert_cli.progress import Progress


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
