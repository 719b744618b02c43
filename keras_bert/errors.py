"""What a user can do wrong, told apart from what the program does wrong."""

import warnings


class UserError(ValueError):
    """A mistake in what the user gave: one sentence that names the thing, what was expected and the remedy.

    The commands print it on stderr without a traceback and exit with `exit_status`. It is a
    `ValueError`, so that a Python caller can catch it as such.
    """

    exit_status = 2


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
