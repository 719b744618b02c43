"""Text to basic tokens by google-research/bert's rules (BasicTokenizer in its tokenization.py).

Google works on whole texts: clean, put spaces around CJK ideographs, split at white space, then for each
word lower-case, NFD, drop Mn, split at punctuation. The same in two steps here, so that the second, which
looks at one word alone, can be cached: `split_words` and `basic_tokens`. Character classes: characters.py.
"""

import re
import unicodedata

from keras_bert.text import characters
from keras_bert.text.characters import regex_class


def _compile(*classes, suffix=""):
    return re.compile(f"[{''.join(map(regex_class, classes))}]{suffix}")


# U+0000 is in CONTROL; U+FFFD stands where a decoder met bytes that are not UTF-8.
_DROPPED = _compile(characters.CONTROL, [(0xFFFD, 0xFFFD)], suffix="+")
# Control characters that str.split() takes for spaces; Google has dropped them by then.
_FALSE_SPACES = re.compile("[\x0b\x0c\x1c-\x1f\x85]")
_CJK = _compile(characters.CJK)
_WHITE_SPACE = re.compile(f"[\\t\\n\\r{regex_class(characters.SPACES + characters.LINE_SEPARATORS)}]")
_MARKS = _compile(characters.MARKS, suffix="+")
_SORTED_MARKS = _compile(characters.SORTED_MARKS, suffix="+")
LONG_RUN = 256  # more than the longest word that WordPiece spells
_LONG_RUN_OF_LETTERS = _compile(characters.SORTED_LETTERS, suffix=f"{{{LONG_RUN},}}")
_UNASSIGNED = _compile(characters.UNASSIGNED, suffix="+")
# A capital sigma at the end of a word: what stands before it from the last cased character on, and what comes after.
_IGNORABLE, _CASED = regex_class(characters.CASE_IGNORABLE), regex_class(characters.CASED)
_FINAL_SIGMA = re.compile(f"([{_CASED}][{_IGNORABLE}]*)Σ(?=[{_IGNORABLE}]*(?:[^{_IGNORABLE}{_CASED}]|$))")
_PUNCTUATION = regex_class(characters.PUNCTUATION)
_TOKENS = re.compile(f"[{_PUNCTUATION}]|[^{_PUNCTUATION}]+")


def split_words(text, *, tokenize_chinese_chars=True):
    r"""Splits a text at white space and around each CJK ideograph; characters stay as they are.

    What is dropped within a word (control characters and U+FFFD) is left to `basic_tokens`.

    >>> split_words("Naïve\tfaçade: 你好")
    ['Naïve', 'façade:', '你', '好']
    """
    if tokenize_chinese_chars and not text.isascii():
        text = _CJK.sub(r" \g<0> ", text)
    if not text.isprintable():  # quick to tell; a line of prose is printable
        text = _FALSE_SPACES.sub("", text)
    return text.split()


def lower(text):
    """Lower-cases as Python does at Unicode 14: "ΣΑΣ" -> "σας"; characters newer than that stay as they are."""
    return _by_known_parts(str.lower, lower_sigma(text))


def lower_sigma(text):
    """Lower-cases Σ alone, to ς at the end of a word: the one capital for which the characters around it matter.

    Written out, since what counts as a cased or an ignorable neighbour changes from one Unicode to the next.
    """
    if "Σ" not in text:
        return text
    return _FINAL_SIGMA.sub(r"\1ς", text).replace("Σ", "σ")


def decompose(text):
    """NFD at Unicode 14: "é" -> "e" + U+0301; characters newer than that stay as they are."""
    return _by_known_parts(lambda part: unicodedata.normalize("NFD", part), text)


def combining_class(char):
    """Canonical combining class at Unicode 14: 0 for a character that others may follow in any order."""
    return 0 if _UNASSIGNED.match(char) else unicodedata.combining(char)


def _by_known_parts(function, text):
    """Applies `function` to the stretches between characters that Unicode 14 does not know.

    To Unicode 14 such a character has no case and is a starter, so no rule reaches across it.
    """
    if text.isascii() or not _UNASSIGNED.search(text):
        return function(text)
    parts, end = [], 0
    for match in _UNASSIGNED.finditer(text):
        parts += function(text[end : match.start()]), match[0]
        end = match.end()
    return "".join(parts) + function(text[end:])


def drop_accents(word):
    """NFD without combining marks (Mn): "é" -> "e".

    NFD takes quadratic time to sort the marks on one letter. Where they could be many, those go first that would be
    dropped after it anyway, and of letters that count as marks there stay as many as make a word too long to spell.
    """
    if len(word) > LONG_RUN:
        word = _SORTED_MARKS.sub("", word)
        word = _LONG_RUN_OF_LETTERS.sub(lambda run: run[0][:LONG_RUN], word)
    return drop_marks(decompose(word))


def drop_marks(text):
    """Drops combining marks (Mn)."""
    return _MARKS.sub("", text)


def drop_control(text):
    """Drops control and format characters and U+FFFD."""
    return _DROPPED.sub("", text)


def split_punctuation(text):
    """Splits so that each punctuation character stands alone.

    >>> split_punctuation("don't")
    ['don', "'", 't']
    """
    return _TOKENS.findall(text)


def basic_tokens(word, *, do_lower_case=True, strip_accents=None):
    """Normalizes one word of `split_words` and splits it at punctuation.

    Args:
        word: a string without white space.
        do_lower_case: lower-case, and drop accents unless `strip_accents` says otherwise.
        strip_accents: None follows `do_lower_case`, as Google does.

    >>> basic_tokens("Crème-brûlée!")
    ['creme', '-', 'brulee', '!']
    >>> basic_tokens("Crème!", do_lower_case=False)
    ['Crème', '!']
    """
    word = drop_control(word)
    if do_lower_case:
        word = lower(word)
    if (do_lower_case if strip_accents is None else strip_accents) and not word.isascii():
        word = drop_accents(word)
    return split_punctuation(word)


def normalized_text(text, *, do_lower_case=True, strip_accents=None, tokenize_chinese_chars=True):
    r"""Normalizes a whole text as transformers' BertNormalizer does, with white space and punctuation where they are.

    >>> normalized_text("Crème\t[東]!")
    'creme [ 東 ]!'
    """
    text = drop_control(_WHITE_SPACE.sub(" ", text))
    if tokenize_chinese_chars:
        text = _CJK.sub(r" \g<0> ", text)
    if do_lower_case:
        text = lower(text)
    return drop_accents(text) if (do_lower_case if strip_accents is None else strip_accents) else text


def basic_tokenize(text, *, do_lower_case=True):
    """Google's BasicTokenizer: a text to its basic tokens.

    >>> basic_tokenize("Où est-il? 東京!")
    ['ou', 'est', '-', 'il', '?', '東', '京', '!']
    """
    return [token for word in split_words(text) for token in basic_tokens(word, do_lower_case=do_lower_case)]
