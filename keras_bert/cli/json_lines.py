"""JSON lines: an object with known fields read from a line, and one written as a line."""

import dataclasses
import json
import math


@dataclasses.dataclass(frozen=True)
class Field:
    """What an object holds.

    Attributes:
        names: where it may stand; the first of them that is there counts.
        kind: a key of KINDS.
    """

    names: tuple[str, ...]
    kind: str = "a string"


def _is_string(value):
    return isinstance(value, str)


def _are_strings(value):
    return isinstance(value, list) and len(value) > 1 and all(map(_is_string, value))


def _is_name(value):
    return isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value))


# {kind: (callable(value) -> whether it is one, an example)}
KINDS = {
    "a string": (_is_string, "..."),
    "a list of two or more strings": (_are_strings, ["...", "..."]),
    "a string or a number": (_is_name, "..."),
}


def describe_fields(fields):
    """Returns an example of an object.

    >>> describe_fields({"context": Field(("context",)), "choices": Field(("ends",), "a list of two or more strings")})
    '{"context": "...", "ends": ["...", "..."]}'
    """
    return json.dumps({field.names[0]: KINDS[field.kind][1] for field in fields.values()}, ensure_ascii=False)


def read_object(text, place, fields):
    """Reads an object from a line.

    Args:
        text: the line.
        place: where it stands, in words.
        fields: {key of the result: Field}.

    Returns:
        {key: value}. What else the object holds is not looked at.

    Raises:
        UserError: no JSON object, a field that is missing, or a value of another kind.

    Example:
        >>> read_object('{"body": "a fine day", "n": 1}', "line 1", {"text": Field(("text", "body"))})
        {'text': 'a fine day'}
    """
    from keras_bert.errors import UserError

    expected = f"{describe_fields(fields)} was expected."
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place}: not JSON ({error}); {expected}") from error
    if not isinstance(given, dict):
        raise UserError(f"{place}: {text.strip()[:60]!r} is not a JSON object; {expected}")
    row = {}
    for key, field in fields.items():
        name = next((name for name in field.names if name in given), None)
        if name is None:
            raise UserError(f"{place}: {field.names[0]!r} is missing; {expected}")
        row[key] = value = given[name]
        if not KINDS[field.kind][0](value):
            raise UserError(f"{place}: {name!r} is {json.dumps(value)[:60]}; {field.kind} was expected.")
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, str):
                check_text(part, f"{place}, {name!r}")
    return row


def is_object(text, fields):
    """Says whether a line is an object with such fields; see `read_object`.

    >>> is_object('{"text": "a"}', {"text": Field(("text",))}), is_object("{a", {"text": Field(("text",))})
    (True, False)
    """
    from keras_bert.errors import UserError

    try:
        read_object(text, "", fields)
    except UserError:
        return False
    return True


def check_text(text, place):
    r"""Returns a text, or raises a UserError if it holds what UTF-8 cannot: half a surrogate pair, undecoded bytes.

    >>> check_text("é", "text 1"), check_text("\ud83d", "text 1")
    Traceback (most recent call last):
    keras_bert.errors.UserError: text 1: character 1 is none that UTF-8 can hold; convert it.
    """
    from keras_bert.errors import UserError

    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{place}: character {error.start + 1} is none that UTF-8 can hold; convert it.") from error
    return text


def to_json(value, stream=None):
    """Returns a value as a line, in ASCII alone where a text stream cannot write all characters.

    >>> to_json({"label": "é"})
    '{"label": "é"}'
    """
    encoding = (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "")
    return json.dumps(value, ensure_ascii=encoding != "utf8")


def write_json_lines(path, values):
    """Writes values as a file, a line each, whole or not at all. Returns how many there were."""
    from keras_bert.outputs import atomic_path

    count = 0
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        for value in values:
            file.write(to_json(value) + "\n")
            count += 1
    return count
