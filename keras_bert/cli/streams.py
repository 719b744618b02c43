"""Texts in, answers out as they come: what the commands share that answer in the shell (fill_mask, predict, embed).

Texts come from the command line, from files or from standard input, one a line. What has come is answered before more
is waited for, and never more than some batches are held. Answers are lines to read on a terminal, and else JSON lines.
"""

import dataclasses
import select
import sys

from keras_bert.cli.flags import Group, positive_int
from keras_bert.cli.json_lines import check_text, to_json

BLOCK_BYTES = 1 << 16  # of standard input, read at a time
MOST_BATCHES = 16  # answered at a time while more is there: texts of like length then share a batch


def add_stream_flags(parser, what, *, batch_size=("--batch_size",)):
    """Adds the texts, and the flags of how they are answered.

    Args:
        parser: the command's.
        what: a text, in words.
        batch_size: the names of the flag.
    """
    parser.add_argument(
        "texts", nargs="*", metavar="TEXT", help=f"{what}; if none is given, each line of standard input is one"
    )
    answers = Group(parser, "answers")
    answers.add_argument(*batch_size, type=positive_int, default=32, help="texts that the model reads at a time")
    answers.add_argument(
        "--format",
        choices=("auto", "text", "json"),
        default="auto",
        help="text: lines to read; json: JSON lines; auto: text on a terminal, else json",
    )


@dataclasses.dataclass(frozen=True)
class Source:
    """Where texts come from: the command line, or files with a text a line, or else standard input.

    Attributes:
        texts: those of the command line.
        files: paths, of which one file may be packed; see `keras_bert.files.read_lines`.

    Raises:
        UserError: both are given.
    """

    texts: list[str]
    files: list[str] = ()

    def __post_init__(self):
        from keras_bert.errors import UserError

        if self.texts and self.files:
            raise UserError("There are texts on the command line, and --input_file names others; give one of both.")

    def __str__(self):
        return "the command line" if self.texts else ", ".join(map(str, self.files)) or "standard input"

    @property
    def is_typed(self):
        """Whether a person types the texts on a terminal: then a mistake is told, and is not the end."""
        return not self.texts and not self.files and sys.stdin is not None and sys.stdin.isatty()

    def given(self, what, *, skip_blank=False):
        """Yields (where it stands in words, text) of each text, and None where standard input pauses.

        Args:
            what: what is to be typed on a terminal, in words.
            skip_blank: whether blank lines are passed over, as they are on a terminal.

        Raises:
            UserError: a text that is not UTF-8, or has more than 16 MiB; it says where that is.
        """
        if self.is_typed:
            print(f"Type {what} and press Enter; Ctrl-D ends.", file=sys.stderr, flush=True)
        skip_blank = skip_blank or self.is_typed
        for each in self._given():
            if each is None or each[1].strip() or not skip_blank:
                yield each

    def _given(self):
        from keras_bert.files import read_lines

        for number, text in enumerate(self.texts, 1):
            yield f"text {number}", check_text(text, f"text {number}")
        for path in self.files:
            for number, line in enumerate(read_lines(path), 1):
                yield f"{path}, line {number}", line
        if not self.texts and not self.files:
            yield from _stdin_lines()


def _stdin_lines():
    """Yields (place, text) of each line of standard input, and None where it pauses."""
    from keras_bert.errors import UserError
    from keras_bert.files import MAX_LINE_BYTES

    if sys.stdin is None:  # the shell closed it
        return
    for number, line in _numbered(_pieces(getattr(sys.stdin.buffer, "raw", sys.stdin.buffer))):
        place = f"standard input, line {number}"
        if line is None:
            yield None
            continue
        if len(line) > MAX_LINE_BYTES:
            raise UserError(f"{place}: more than {MAX_LINE_BYTES >> 20} MiB; break it up.")
        try:
            yield place, line.decode("utf-8-sig" if number == 1 else "utf-8").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise UserError(f"{place}: not UTF-8; convert it, for example with iconv.") from error


def _numbered(pieces):
    """Yields (number, line) of bytes in pieces, and (number of the last, None) for None among them.

    Of a line without an end, which may have none, as much is given as a line may have and more.

    >>> list(_numbered([b"a\\nb", None, b"c\\n\\nd"]))
    [(1, b'a'), (1, None), (2, b'bc'), (3, b''), (4, b'd')]
    """
    from keras_bert.files import MAX_LINE_BYTES

    number, rest = 0, bytearray()
    for piece in pieces:
        if piece is None:
            yield number, None
            continue
        first, *others = piece.split(b"\n")
        rest += first
        for line in others:
            number += 1
            yield number, bytes(rest)
            rest = bytearray(line)
        if len(rest) > MAX_LINE_BYTES:
            break
    if rest:
        yield number + 1, bytes(rest)


def _pieces(stream):
    """Yields the bytes of a stream as they come, and None where they have to be waited for."""
    while True:
        if not _is_ready(stream):
            yield None
            _is_ready(stream, wait=True)
        data = stream.read(BLOCK_BYTES)
        if data == b"":
            return
        if data:
            yield data


def _is_ready(stream, *, wait=False):
    """Returns whether a stream can be read without waiting; with `wait` it waits. All but files are always ready."""
    try:
        return bool(select.select([stream], [], [], None if wait else 0)[0])
    except (OSError, ValueError, TypeError):
        return True


def read_texts(given, read, *, typed=False):
    """Yields (place, row) of given texts, and None where they pause.

    Args:
        given: what `Source.given` yields.
        read: callable(text, place) -> row, which may raise a UserError.
        typed: whether a mistake is told, and is not the end.
    """
    from keras_bert.errors import UserError

    for each in given:
        if each is None:
            yield None
            continue
        place, text = each
        try:
            row = read(text, place)
        except UserError as error:
            _tell(error, typed)
        else:
            yield place, row


def _tell(error, typed):
    """Prints a mistake of who types; raises any other."""
    if not typed:
        raise error
    print(error, file=sys.stderr, flush=True)


def answered(rows, answer, *, batch_size, typed=False):
    """Yields (row, answer) in order, as rows come.

    Args:
        rows: what `read_texts` yields.
        answer: callable(list of rows) -> as many answers.
        batch_size: rows that are worth a call; see `batches`.
        typed: as in `read_texts`.

    Raises:
        UserError: what `answer` raises, with the place of the row for which it did; those before it were answered.
    """
    for batch in batches(rows, batch_size):
        yield from _answered(batch, answer, typed)


def _answered(batch, answer, typed):
    """Yields (row, answer) of a batch, or of its halves where the whole cannot be answered."""
    from keras_bert.errors import UserError

    try:
        answers = answer([row for _, row in batch])
    except UserError as error:
        if len(batch) > 1:
            middle = len(batch) // 2
            yield from _answered(batch[:middle], answer, typed)
            yield from _answered(batch[middle:], answer, typed)
        else:
            _tell(UserError(f"{batch[0][0]}: {error}"), typed)
    else:
        yield from zip((row for _, row in batch), answers, strict=True)


def batches(items, size):
    """Yields lists of items as they come, without waiting for more: None among the items is a pause.

    At first there are `size` at most, and twice as many each time while there is no pause, up to MOST_BATCHES times as
    many. If the items end in a UserError, those before it are given out first.

    >>> list(batches(["a", "b", None, "c", "d", "e", "f", "g"], 1))
    [['a'], ['b'], ['c'], ['d', 'e'], ['f', 'g']]
    """
    from keras_bert.errors import UserError

    batch, most, failure = [], size, None
    try:
        for item in items:
            if item is not None:
                batch.append(item)
            if batch and (item is None or len(batch) == most):
                yield batch
                batch = []
                most = size if item is None else min(2 * most, MOST_BATCHES * size)
    except UserError as error:
        failure = error
    if batch:
        yield batch
    if failure is not None:
        raise failure


def print_answers(pairs, to_read, args):
    """Prints answers as they come.

    Args:
        pairs: (row, answer), the answer a dict.
        to_read: callable(row, answer) -> lines for a person.
        args: the flags, with `texts` and `format`.

    Returns:
        The answers to the texts of the command line; other texts may have no end.
    """
    as_json = args.format == "json" or (args.format == "auto" and not sys.stdout.isatty())
    given = []
    for row, answer in pairs:
        if args.texts:
            given.append(answer)
        for line in [to_json(answer, sys.stdout)] if as_json else to_read(row, answer):
            print(line, flush=True)
    return given
