"""Signals that ask a long run to stop: it does so at a good moment, after saving."""

import signal
import sys
import threading

ASKING = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C"}


class StopSignals:
    """Remembers SIGTERM (a preemption, a scheduler's time limit) and the first Ctrl-C while it is entered.

    A second Ctrl-C interrupts at once.

    Example:
        >>> with StopSignals() as stop:
        ...     signal.raise_signal(signal.SIGTERM)
        ...     stop()
        ('SIGTERM', 143)
    """

    def __init__(self):
        self.asked = None
        self._before = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in ASKING}
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __call__(self):
        """Returns None, or (the signal's name, the exit status that a shell expects)."""
        return None if self.asked is None else (ASKING[self.asked], 128 + self.asked)

    def _ask(self, number, _):
        if number == signal.SIGINT:
            if self.asked == signal.SIGINT:
                raise KeyboardInterrupt
            print(
                "\nstopping after the next steps, and saving: the same command will resume; Ctrl-C again stops at once",
                file=sys.stderr,
            )
        self.asked = signal.Signals(number)
