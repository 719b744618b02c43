"""Labels as programs write them: equal numbers, or truths, are one label; others that are nearly one are noted."""

import decimal
import re
import unicodedata
from collections import Counter, defaultdict

from keras_bert.errors import note, shorten

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")
# What pandas, R, SQL and spreadsheets write where there is no value.
MISSING = {"nan", "NaN", "NAN", "NaT", "NA", "N/A", "n/a", "#N/A", "<NA>", "null", "NULL", "None"}
TRUTHS = {"true": decimal.Decimal(1), "false": decimal.Decimal(0)}  # whatever their case


def number_of(name):
    """Returns the number that a label spells, exactly, or None if it is another word.

    >>> number_of("1.0") == number_of("1") == number_of("1e0"), number_of("1a"), number_of("nan")
    (True, None, None)
    """
    return decimal.Decimal(name) if _NUMBER.fullmatch(name) else None


def value_of(name):
    """Returns the number that a label spells or is, where true is 1 and false is 0; or None if it is another word.

    >>> value_of("TRUE") == value_of("1.0") == value_of(1), value_of("False") == value_of("0"), value_of("yes")
    (True, True, None)
    """
    return TRUTHS.get(str(name).lower(), number_of(str(name)))


def by_value(names):
    """Returns {value: name} of those names that are numbers or truths; of equal ones the shortest."""
    found = {}
    for name in sorted(names, key=lambda name: (-len(name), name)):
        value = value_of(name)
        if value is not None:
            found[value] = name
    return found


def one_spelling(path, labels):
    """Gives labels of equal value the shortest of their spellings, and notes that there were several.

    Args:
        path: the table, for the note.
        labels: list of str, or of tuples of str.

    Returns:
        Labels of the same kind.

    >>> one_spelling("t.csv", ["0", "1", "b"])
    ['0', '1', 'b']
    """
    names = _names(labels)
    known = by_value(names)
    spelled = {name: known.get(value_of(name), name) for name in names}
    others = sorted(name for name, one in spelled.items() if name != one)
    if not others:
        return labels
    pairs = (f"{name!r} is {spelled[name]!r}" for name in others)
    note(f"{path}: labels of one value are one label, however they are written: {shorten(pairs, most=5)}.")
    return [
        tuple(sorted({spelled[name] for name in label})) if isinstance(label, tuple) else spelled[label]
        for label in labels
    ]


def note_alike(path, labels):
    """Notes labels that look alike: equal but for their case, blanks, or how their characters are composed.

    Args:
        path: the table.
        labels: list of str, or of tuples of str.
    """
    alike = defaultdict(list)
    for name in sorted(_names(labels)):
        alike[" ".join(unicodedata.normalize("NFKC", name).casefold().split())].append(ascii(name))
    found = [" and ".join(names) for names in alike.values() if len(names) > 1]
    if found:
        note(f"{path}: {shorten(found, most=5)} are labels of their own; write them alike if they are one.")


def note_missing(path, labels):
    """Notes labels that are words for a missing value.

    Args:
        path: the table.
        labels: list of str, or of tuples of str.
    """
    counts = Counter(_each(labels))
    found = [f"{name!r} ({counts[name]} rows)" for name in sorted(MISSING & counts.keys())]
    if found:
        note(
            f"{path}: the label {shorten(found)} is taken as a class, and is what programs write for a missing value; "
            "remove these rows if it is that."
        )


def _each(labels):
    return (name for label in labels for name in (label if isinstance(label, tuple) else (label,)))


def _names(labels):
    return set(_each(labels))
