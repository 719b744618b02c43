"""Progress of long work: a bar on a terminal, a plain line every ten seconds in a log, both with rate and time left."""

import signal
import sys
import threading
import time

SECONDS_BETWEEN_LINES = 10
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
                from tqdm import tqdm

                scale = {"unit_scale": True, "unit": unit if len(unit) == 1 else f" {unit}s"}
                self._bar = tqdm(total=total, initial=done, desc=stage, file=self.stream, leave=True, **scale)
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(done - self._bar.n)
            if done >= total:
                self.close()
            return
        now = time.monotonic()
        rate = max(done - self._first, 1e-3) / max(now - self._begin, 1e-3)
        noun = unit if len(unit) == 1 else f" {unit}s"
        note = f", {note}" if note else ""
        if done >= total:
            took = f" in {clock(now - self._begin)} ({short(rate)}{noun}/s)" if now - self._begin >= 1 else ""
            self._line(f"{stage}: {short(total)}{noun}{took}{note}")
            self._stage = None
        elif now - self._last >= SECONDS_BETWEEN_LINES and done:
            self._last = now
            share, left = done / total, clock((total - done) / rate)
            count = f"{short(done)} of {short(total)}{noun} ({share:.0%})"
            self._line(f"{stage}: {count}, {short(rate)}{noun}/s, {left} left{note}")

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
