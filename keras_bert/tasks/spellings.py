"""Labels as programs write them: numbers that are equal are one label, and words for a missing value are noted."""

import decimal
import re
from collections import Counter

from keras_bert.errors import note, shorten

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")
# What pandas, R, SQL and spreadsheets write where there is no value.
MISSING = {"nan", "NaN", "NAN", "NaT", "NA", "N/A", "n/a", "#N/A", "<NA>", "null", "NULL", "None"}


def number_of(name):
    """Returns the number that a label spells, exactly, or None if it is another word.

    >>> number_of("1.0") == number_of("1") == number_of("1e0"), number_of("1a"), number_of("nan")
    (True, None, None)
    """
    return decimal.Decimal(name) if _NUMBER.fullmatch(name) else None


def by_number(names):
    """Returns {number: name} of those names that are numbers; of equal ones the shortest."""
    found = {}
    for name in sorted(names, key=lambda name: (-len(name), name)):
        number = number_of(name)
        if number is not None:
            found[number] = name
    return found


def one_spelling(path, labels):
    """Gives numbers that are equal the shortest of their spellings, and notes that there were several.

    Args:
        path: the table, for the note.
        labels: list of str, or of tuples of str.

    Returns:
        Labels of the same kind.

    >>> one_spelling("t.csv", ["0", "1", "b"])
    ['0', '1', 'b']
    """
    names = {name for label in labels for name in (label if isinstance(label, tuple) else (label,))}
    known = by_number(names)
    spelled = {name: known.get(number_of(name), name) for name in names}
    others = sorted(name for name, one in spelled.items() if name != one)
    if not others:
        return labels
    pairs = (f"{name!r} is {spelled[name]!r}" for name in others)
    note(f"{path}: numbers that are equal are one label, however they are written: {shorten(pairs, most=5)}.")
    return [
        tuple(sorted({spelled[name] for name in label})) if isinstance(label, tuple) else spelled[label]
        for label in labels
    ]


def note_missing(path, labels):
    """Notes labels that are words for a missing value.

    Args:
        path: the table.
        labels: list of str, or of tuples of str.
    """
    counts = Counter(name for label in labels for name in (label if isinstance(label, tuple) else (label,)))
    found = [f"{name!r} ({counts[name]} rows)" for name in sorted(MISSING & counts.keys())]
    if found:
        note(
            f"{path}: the label {shorten(found)} is taken as a class, and is what programs write for a missing value; "
            "remove these rows if it is that."
        )
