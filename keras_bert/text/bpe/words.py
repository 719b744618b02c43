r"""GPT-2's words as tables over classes of characters (Radford et al. 2019), for those who cannot run its pattern.

    's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+

Where a word begins depends on four characters: the one before, itself and two more, but for what a contraction does to
the characters after it. Of white space before something else the last character goes with what follows if it is a
space, and is a word of its own if not; what comes before it is one word.
"""

import functools

import numpy as np

END = 0xFF  # the byte between texts, which UTF-8 does not have
# STDM, RV, ELL and E are letters that a contraction can have.
CLASSES = ("END", "SPACE", "WHITE", "LETTER", "STDM", "RV", "ELL", "E", "NUMBER", "OTHER", "APOSTROPHE")
_CLASS = {name: number for number, name in enumerate(CLASSES)}
_IN_CONTRACTIONS = {"s": "STDM", "t": "STDM", "d": "STDM", "m": "STDM", "r": "RV", "v": "RV", "l": "ELL", "e": "E"}
_NAMED = {chr(0x20): "SPACE", "'": "APOSTROPHE"} | _IN_CONTRACTIONS
# The groups of the pattern, in the order of CLASSES.
_END, _SPACE, _WHITE, _LETTER, _NUMBER, _OTHER = range(6)
_GROUPS = np.array([_END, _SPACE, _WHITE, *[_LETTER] * 5, _NUMBER, _OTHER, _OTHER])
# What may be a letter, a number or white space; planes 3 to 13 have had no character so far, 15 and 16 never will.
_PROBED = ((0, 0xD800), (0xE000, 0x34000), (0xE0000, 0xE0200))
PAGE = 256


@functools.cache
def character_classes():
    """Returns the class of each code point, uint8 (0x110000,), as the `tokenizers` library sees it."""
    import tokenizers  # on first use

    splitter = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    classes = np.full(0x110000, _CLASS["OTHER"], np.uint8)
    codes = np.array([code for first, end in _PROBED for code in range(first, end) if code != 0x20])
    # A run of one class is one word, but for the last of white space; each is then told by its first character.
    for _, (start, end) in splitter.pre_tokenize_str("".join(map(chr, codes.tolist()))):
        char = chr(codes[start])
        for name, neighbour in (("LETTER", "A"), ("NUMBER", "1"), ("OTHER", "!"), ("WHITE", "")):
            if len(splitter.pre_tokenize_str(f"{neighbour}{char}{neighbour}")) == 1:
                classes[codes[start:end]] = _CLASS[name]
                break
    for char, name in _NAMED.items():
        classes[ord(char)] = _CLASS[name]
    return classes


def paged(classes):
    """Packs one value of each code point: those equal for 256 in a row are kept once.

    Returns:
        pages, int32 (0x1100,), and values, uint8 (number of different pages, 256): that of a code point c is
        `values[pages[c // 256], c % 256]`.
    """
    values, pages = np.unique(classes.reshape(-1, PAGE), axis=0, return_inverse=True)
    return pages.reshape(-1).astype(np.int32), values


@functools.cache
def begin_table():
    """Returns what begins at a character, int8 (11, 11, 11, 11), by the classes before, of it, and of two more.

    0 is nothing, 1 a word, 2 and 3 a contraction of so many characters. Of the characters after the apostrophe of a
    contraction the first begins no word, and the one after the contraction does, whatever the table says of them.
    """
    before, char, after = (_GROUPS[index] for index in np.indices((len(CLASSES),) * 3))
    is_white = [(group == _SPACE) | (group == _WHITE) for group in (before, char, after)]
    last_of_run = ~is_white[2] & (after != _END)
    begins = np.where(is_white[1], ~is_white[0] | last_of_run, (before != _SPACE) & (before != char))
    begins |= (char == _END) | (before == _END)
    table = np.repeat(begins[..., None], len(CLASSES), axis=-1).astype(np.int8)
    free = [_CLASS[name] for name in CLASSES if _GROUPS[_CLASS[name]] not in (_SPACE, _OTHER)]
    apostrophe = _CLASS["APOSTROPHE"]
    for after, last, length in (("STDM", None, 2), ("RV", "E", 3), ("ELL", "ELL", 3)):
        table[free, apostrophe, _CLASS[after], slice(None) if last is None else _CLASS[last]] = length
    return table
