"""What a user can do wrong, told apart from what the program does wrong."""


class UserError(ValueError):
    """A mistake in what the user gave: one sentence that names the thing, what was expected and the remedy.

    The commands print it on stderr without a traceback and exit with `exit_status`. It is a
    `ValueError`, so that a Python caller can catch it as such.
    """

    exit_status = 2
