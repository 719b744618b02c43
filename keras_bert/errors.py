"""What a user can do wrong, told apart from what the program does wrong."""

import warnings


class UserError(ValueError):
    """A mistake in what the user gave: one sentence that names the thing, what was expected and the remedy.

    The commands print it on stderr without a traceback and exit with `exit_status`. It is a
    `ValueError`, so that a Python caller can catch it as such.
    """

    exit_status = 2


class ResourceError(UserError):
    """The machine stopped the work, not the input: a full or failing disk, no right to write, a killed worker, no Beam.

    What was finished before is still good, so whoever keeps unfinished work keeps it.

    Args:
        reason: what happened, without a full stop.
        remedy: what to do about it.
        errno: the system's number for it; None where it has none.

    >>> print(ResourceError("Cannot write a.txt (disk full)", "free space"))
    Cannot write a.txt (disk full); free space.
    """

    def __init__(self, reason, remedy, *, errno=None):
        super().__init__(reason, remedy)  # both, so that it can be pickled
        self.reason, self.remedy, self.errno = reason, remedy, errno

    def __str__(self):
        return f"{self.reason}; {self.remedy}."


class UserNote(UserWarning):
    """What can be used, but is probably not what the user meant. The commands print it on stderr after "note: "."""

    is_note = True


def note(text):
    """Warns of `text`, a sentence that names the thing and what is made of it."""
    warnings.warn(text, UserNote, stacklevel=3)


def shorten(names, most=20):
    """Writes a list of names, cut after `most`.

    >>> shorten("abcd", most=2)
    'a, b and 2 more'
    """
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
