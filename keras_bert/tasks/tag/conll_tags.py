"""Tags of words and the entities that they mark: BIO, IOB1, IOBES and BILOU, each found out and made into the others.

    Alex  Smith of Paris       BIO  B-PER I-PER O B-LOC     IOBES  B-PER E-PER O S-LOC
                               IOB1 I-PER I-PER O I-LOC     BILOU  B-PER L-PER O U-LOC

An entity is (type, first word, word after the last). Sources: Ramshaw and Marcus 1995, Ratinov and Roth 2009; and
conlleval, as seqeval has it. Imports no TensorFlow.
"""

import re
from collections import Counter
from itertools import pairwise

from keras_bert.errors import UserError

OUTSIDE = "O"
# The letters of each scheme, and what they are in BIO's and IOBES' words.
SCHEMES = {
    "BIO": {"B": "B", "I": "I"},  # also called IOB2
    "IOB1": {"B": "B", "I": "I"},  # B only where an entity follows one of its own type at once
    "IOBES": {"B": "B", "I": "I", "E": "E", "S": "S"},
    "BILOU": {"B": "B", "I": "I", "L": "E", "U": "S"},
}
PLAIN = "none"  # a tag of its own for each word, such as parts of speech: no entities
UNTYPED = "_"  # seqeval's type of the bare tags B and I
_TAG = re.compile(r"([BIESLU])(?:-(.+))?")


def split_tag(tag):
    """Returns the letter and the type of a tag, or None if it has not the form of one.

    >>> split_tag("B-creative-work"), split_tag("I"), split_tag("O"), split_tag("NN")
    (('B', 'creative-work'), ('I', '_'), ('O', '_'), None)
    """
    if tag == OUTSIDE:
        return OUTSIDE, UNTYPED
    match = _TAG.fullmatch(tag)
    return match and (match[1], match[2] or UNTYPED)


def join_tag(letter, kind):
    """Writes a tag; the reverse of `split_tag`."""
    return letter if kind == UNTYPED else f"{letter}-{kind}"


def detect_scheme(sentences):
    """Finds the scheme of tagged sentences.

    E or S are IOBES', L or U BILOU's. With B and I alone it is IOB1 where more entities begin with an I than with a
    B that does not part them from one of their type, and else BIO.

    Args:
        sentences: lists of tags, each of which `split_tag` can read.

    >>> detect_scheme([["B-PER", "I-PER", "O"]]), detect_scheme([["I-PER", "B-PER", "O"]])
    ('BIO', 'IOB1')
    """
    letters, begins = set(), Counter()
    for tags in sentences:
        for before, tag in pairwise([(OUTSIDE, UNTYPED), *map(split_tag, tags)]):
            letters.add(tag[0])
            if before[0] == OUTSIDE or before[1] != tag[1]:
                begins[tag[0]] += 1
    for scheme, its_own in (("IOBES", "ES"), ("BILOU", "LU")):
        if letters & set(its_own):
            return scheme
    return "IOB1" if begins["I"] > begins["B"] else "BIO"


def entities(tags, scheme="BIO"):
    """Returns the entities of one sentence, as conlleval and seqeval's default mode see them: (type, start, end).

    An I without a B before it begins an entity too, as does one of another type.

    >>> entities(["B-PER", "I-PER", "O", "I-LOC", "I-PER"])
    [('PER', 0, 2), ('LOC', 3, 4), ('PER', 4, 5)]
    """
    found, letters = [], {**SCHEMES[scheme], OUTSIDE: OUTSIDE}
    start, last, kind = None, OUTSIDE, UNTYPED
    for number, tag in enumerate([*tags, OUTSIDE]):
        letter, its_kind = split_tag(tag)
        letter = letters[letter]
        # An entity goes on with an I or E of its type, unless its last word was told.
        goes_on = last in ("B", "I") and letter in ("I", "E") and its_kind == kind
        if last != OUTSIDE and not goes_on:
            found.append((kind, start, number))
        if letter != OUTSIDE and not goes_on:
            start = number
        last, kind = letter, its_kind
    return found


def strict_entities(tags, scheme="BIO"):
    """Returns the entities that are tagged by the scheme's rules alone, as seqeval's strict mode sees them.

    They begin with a B (or S), and in IOBES and BILOU end with an E (or S); in IOB1 any letter may begin one.

    >>> strict_entities(["I-PER", "O", "B-LOC"])
    [('LOC', 2, 3)]
    """
    letters = SCHEMES[scheme]
    first = letters if scheme == "IOB1" else {own for own, letter in letters.items() if letter in "BS"}
    last = {own for own, letter in letters.items() if letter in "ES"} or letters
    return [
        (kind, start, end)
        for kind, start, end in entities(tags, scheme)
        if tags[start][0] in first and tags[end - 1][0] in last
    ]


def as_tags(found, length, scheme="BIO"):
    """Writes the entities of a sentence of `length` words as tags; the reverse of `entities`.

    >>> as_tags([("PER", 0, 2), ("LOC", 3, 4)], 4, "IOBES")
    ['B-PER', 'E-PER', 'O', 'S-LOC']
    """
    written = {letter: own for own, letter in SCHEMES[scheme].items()}
    tags, ended = [OUTSIDE] * length, None
    for kind, start, end in found:
        letters = ["B", *["I"] * (end - start - 1)]
        if scheme == "IOB1" and ended != (kind, start):
            letters[0] = "I"
        if "S" in written:
            letters[-1] = "E" if end - start > 1 else "S"
        tags[start:end] = [join_tag(written[letter], kind) for letter in letters]
        ended = kind, end
    return tags


def convert(tags, source, target):
    """Writes the tags of one sentence in another scheme; in their own they stay as they are.

    >>> convert(["I-PER", "I-PER", "B-PER"], "IOB1", "BILOU")
    ['B-PER', 'L-PER', 'U-PER']
    """
    return list(tags) if source == target else as_tags(entities(tags, source), len(tags), target)


def tag_names(sentences, scheme="BIO"):
    """Returns the tags that a model of these sentences has to know: "O", then a B and an I of each type, sorted.

    Args:
        sentences: lists of tags in BIO, or plain ones.
        scheme: "none" for plain tags, of which each that occurs is one.

    >>> tag_names([["O", "B-PER"], ["B-LOC", "I-LOC"]])
    ['O', 'B-LOC', 'I-LOC', 'B-PER', 'I-PER']
    """
    present = {tag for tags in sentences for tag in tags}
    if scheme == PLAIN:
        return sorted(present)
    kinds = sorted({split_tag(tag)[1] for tag in present - {OUTSIDE}})
    return [OUTSIDE, *(join_tag(letter, kind) for kind in kinds for letter in "BI")]


def allowed_tags(labels, scheme):
    """Returns the tags of a file in `scheme` that a model with the BIO tags `labels` can learn or be measured on."""
    if scheme == PLAIN:
        return list(labels)
    kinds = dict.fromkeys(split_tag(label)[1] for label in labels if label != OUTSIDE)
    return [OUTSIDE, *(join_tag(letter, kind) for kind in kinds for letter in SCHEMES[scheme])]


def check_scheme(scheme):
    """Raises a UserError if a scheme is not one of those known."""
    if scheme is not None and scheme not in (*SCHEMES, PLAIN):
        raise UserError(f"The scheme of tags is one of {', '.join((*SCHEMES, PLAIN))}. Received: {scheme!r}.")
