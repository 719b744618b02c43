"""Progress and Ctrl-C: an interruption that Python swallows comes up again."""

import io
import signal

import pytest

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
