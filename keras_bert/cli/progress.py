"""Progress of long work: a bar on a terminal, a plain line every ten seconds in a log, both with rate and time left.

The bar keeps its width: on a narrow terminal the figures beside it are left out, the lesser ones first.
"""

import os
import shutil
import signal
import sys
import threading
import time

SECONDS_BETWEEN_LINES = 10
BAR_WIDTH = 20
PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def short(number):
    """Writes a count or a rate with three digits.

    >>> short(950), short(12345), short(2.5e6), short(0.25)
    ('950', '12.3k', '2.5M', '0.25')
    """
    size, prefix = next(((size, prefix) for size, prefix in PREFIXES if abs(number) >= size), (1, ""))
    return f"{number / size:.3g}{prefix}"


def clock(seconds):
    """Writes a duration.

    >>> clock(9.6), clock(75), clock(4000)
    ('10s', '1:15', '1:06:40')
    """
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds}s"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def counted(number, unit):
    """Writes a number of units.

    >>> counted(1500, "B"), counted(3, "step")
    ('1.5kB', '3 steps')
    """
    return f"{short(number)}{unit if len(unit) == 1 else f' {unit}s'}"


def fitted(head, figures, width):
    """Returns a line of at most `width` columns: head and bar, and as many of the figures, the first first, as fit.

    Args:
        head: callable(width of the bar) -> what stands before the figures.
        figures: strings; empty ones are left out.
        width: columns of the terminal.

    >>> fitted(lambda bar: "train " + bar * "#", ["3 steps", "loss 0.5", "9 tokens/s"], 46)
    'train #################### 3 steps, loss 0.5'
    >>> fitted(lambda bar: "train " + bar * "#", ["3 steps"], 20)
    'train ##############'
    """
    figures = [figure for figure in figures if figure]
    while figures:
        line = f"{head(BAR_WIDTH)} {', '.join(figures)}"
        if len(line) <= width:
            return line
        figures.pop()
    line = head(BAR_WIDTH)
    return head(max(1, BAR_WIDTH - max(0, len(line) - width)))[:width]


def _make_bar(stage, done, total, unit, stream):
    """Returns tqdm's bar with our line: what is done, the time left, the note's first figure, the rate, the rest."""
    from tqdm import tqdm
    from tqdm.std import Bar

    class Line(tqdm):
        @staticmethod
        def format_meter(n, total, elapsed, prefix="", ascii=False, rate=None, postfix="", initial=0, **_):
            name = prefix.removesuffix(": ")
            share = min(1.0, n / total) if total else 0.0
            rate = rate or ((n - initial) / elapsed if elapsed else 0)
            first, *rest = (postfix or "").split(", ")
            left = f"took {clock(elapsed)}" if n >= total else f"{clock((total - n) / rate)} left" if rate else ""
            per_second = f"{counted(rate, unit)}/s" if rate else ""
            charset = Bar.ASCII if ascii else Bar.UTF

            def head(width):
                return f"{name}: {share:4.0%}|{Bar(share, default_len=width, charset=charset)}|"

            figures = [f"{short(n)}/{counted(total, unit)}", left, first, per_second, *rest]
            if first.endswith("..."):  # what is being waited for comes before all figures
                figures.insert(0, figures.pop(2))
            return fitted(head, figures, max(1, _columns(stream) - 1))  # the last column may break the line

    return Line(total=total, initial=done, desc=stage, file=stream, leave=True)


def _columns(stream):
    """Returns the width of a terminal as it is now; without one COLUMNS, or 80."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or shutil.get_terminal_size().columns
    except (OSError, ValueError):
        return shutil.get_terminal_size().columns


class Progress:
    """Shows how far each stage of a command has come. Call it as progress(stage, done, total, unit, note).

    Args:
        stream: where to write; a terminal gets a bar (tqdm), anything else plain lines.

    Example:
        >>> with Progress(sys.stdout) as progress:
        ...     for done in (0, 500, 1000):
        ...         progress("writing", done, 1000, "instance")
        writing: 1k instances
    """

    def __init__(self, stream=None):
        self.stream = stream or sys.stderr
        self._bar = None
        self._stage = self._ended = None
        self._interrupted, self._handler = False, None

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self._handler = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *error):
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
        self.close()

    def _interrupt(self, *_):
        self._interrupted = True
        raise KeyboardInterrupt

    def __call__(self, stage, done, total, unit, note=""):
        if self._interrupted:  # by a Ctrl-C that fell into a destructor, where Python swallows it
            raise KeyboardInterrupt
        if stage == self._ended and done >= total:  # told twice
            return
        self._ended = stage if done >= total else None
        if stage != self._stage:
            self.close()
            self._stage, self._begin, self._last = stage, time.monotonic(), time.monotonic()
            self._first = done  # over 0 where work is resumed
            if self.stream.isatty():
                self._bar = _make_bar(stage, done, total, unit, self.stream)
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=done == self._bar.n)  # which `update` would not show
            self._bar.update(done - self._bar.n)
            if done >= total:
                self.close()
            return
        now = time.monotonic()
        rate = max(done - self._first, 1e-3) / max(now - self._begin, 1e-3)
        note = f", {note}" if note else ""
        if done >= total:
            took = f" in {clock(now - self._begin)} ({counted(rate, unit)}/s)" if now - self._begin >= 1 else ""
            self._line(f"{stage}: {counted(total, unit)}{took}{note}")
            self._stage = None
        elif now - self._last >= SECONDS_BETWEEN_LINES and done:
            self._last = now
            share, left = done / total, clock((total - done) / rate)
            count = f"{short(done)} of {counted(total, unit)} ({share:.0%})"
            self._line(f"{stage}: {count}, {counted(rate, unit)}/s, {left} left{note}")

    def say(self, text):
        """Prints a line, above the bar if there is one."""
        if self._bar is not None:
            self._bar.write(text, file=self.stream)
        else:
            self._line(text)

    def close(self):
        """Ends the bar, if there is one, where it stands."""
        if self._bar is not None:
            self._bar.close()
        self._bar = self._stage = None

    def _line(self, text):
        print(text, file=self.stream, flush=True)
