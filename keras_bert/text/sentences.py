"""Running prose into sentences, by rule.

A sentence ends at . ! ? … and their like in other scripts if white space follows, and then no lower-case letter;
closing quotes, brackets and footnote marks stay with the sentence that they follow. 。！？ end one without any space,
and so does a full stop after a Korean verb. A blank line always does. What a full stop means after an abbreviation, an
initial or a number is read from the words beside it.
"""

import re

_STOPS = ".!?…؟۔।॥։።။។"
_CLOSING = "\"'”’»›)\\]}」』】）》〉"
_OPENING = "\"'“‘„«‹(\\[{「『【（《〈`*_¿¡–—-"
# Whatever may end a sentence. Each match is used up, so that no text, odd as it may be, takes more than one pass.
_STOP = re.compile(
    rf"""
      (?: (?P<stop> [{_STOPS}]++ ) | (?: [。！？｡] | ．(?!\d) ) [。！？｡!?]*+ )
      (?P<close> (?: [{_CLOSING}] | \[\d{{1,3}}\] )*+ )  (?P<space> \s*+ )
    | \n [^\S\n]*+ \n \s*+
    """,
    re.VERBOSE,
)
_NEXT = re.compile(rf"[{_OPENING}]*+([^\s,;:.!?…)\]}}%/|])")  # no sentence begins with ". . ." or ", which"
_QUOTED = re.compile(r"と|って|(?:이?라)?(?:고|며|면서|는)\s")  # he said: what precedes was a quotation
_KOREAN = re.compile(r"[다요죠까]\.[가-힣]")

# Abbreviations that a name or an example follows: they end no sentence.
_NEVER = frozenset("mr mrs ms dr prof messrs mme mlle e.g i.e eg ie cf vs viz".split())
# Abbreviations that end one if a word follows that likes to begin one; so do single letters ("J. Smith", "U.S.").
_SELDOM = frozenset(
    """
    st mt ft gen col lt sgt cpl pvt capt maj cmdr adm gov sen rep pres rev hon supt det insp fr sr jr esq
    inc ltd co corp bros assn dept univ est approx etc al ave blvd rd ed eds trans resp incl excl max min
    ph.d m.d b.a m.a b.sc m.sc
    """.split()
)
# Abbreviations that end none if a number follows.
_NUMBERED = frozenset(
    """
    no nos nr fig figs eq eqs vol vols p pp pt sec sect ch chap art op par ver jan feb mar apr jun jul aug sep sept
    oct nov dec c ca
    """.split()
)
_LONGEST = 24  # more characters than any of them
_LETTERS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")  # "J", "U.S"
_STARTER = re.compile(
    rf"""
    [{_OPENING}]*
    (?: the | this | that | these | those | it | its | he | his | she | her | they | their | we | our | you | your | i
      | a | an | if | in | on | at | as | and | but | or | so | for | from | by | with | when | while | after | before
      | since | although | though | however | there | then | thus | here | what | who | why | how | where | which | each
      | every | all | some | many | most | other | another | both | no | not | one | two | during | because | under
      | until | to | only | once | later | today | is | are | was | were | do | does | did | use | see | note
    ) \b (?! \.\S | \.\ [A-Z] )
    """,
    re.VERBOSE | re.IGNORECASE,
)


def split_sentences(text):
    r"""Splits running prose into sentences.

    Args:
        text: a str, a paragraph or more; a single line end counts as a space.

    Returns:
        A list of str without white space around them. Joined, they are the text but for white space at the cuts.

    >>> split_sentences('Mr. J. Smith paid $3.50 in the U.S. "Why?" he asked. "No." He left... Then\nit rained.')
    ['Mr. J. Smith paid $3.50 in the U.S.', '"Why?" he asked.', '"No."', 'He left...', 'Then\nit rained.']
    >>> split_sentences("今日は。元気？はい！ 오늘은 비가 왔다. 내일은 갠다.")
    ['今日は。', '元気？', 'はい！', '오늘은 비가 왔다.', '내일은 갠다.']
    """
    sentences, begin = [], 0
    lower_case = text.islower()  # then a sentence may begin with a lower-case letter
    for match in _STOP.finditer(text):
        if _ends(text, begin, match, lower_case):
            sentence = text[begin : match.end()].strip()
            if sentence:
                sentences.append(sentence)
            begin = match.end()
    rest = text[begin:].strip()
    return [*sentences, rest] if rest else sentences


def _ends(text, begin, match, lower_case):
    """Says whether the sentence that begins at `begin` ends with this match."""
    stop, end = match["stop"], match.end()
    if match["close"] and _QUOTED.match(text, end):
        return False
    if stop is None:  # an ideographic full stop, or a blank line
        return True
    if not match["space"]:
        return _KOREAN.match(text, match.start() - 1) is not None
    following = _NEXT.match(text, end)
    if following is None or (following[1].islower() and not lower_case):
        return False
    return stop != "." or not _is_inside(text, begin, match, following[1])


def _is_inside(text, begin, match, first):
    """Says whether a full stop is that of an abbreviation, an initial or an item's number; `first` is what follows."""
    place = match.start()
    before = text[max(begin, place - _LONGEST) : place].split()
    if not before:
        return False
    word = before[-1].lstrip("\"'“‘„«([{").lower()
    if word in _NEVER:
        return True
    if word in _NUMBERED and first.isdigit():
        return True
    if word in _SELDOM or (_LETTERS.fullmatch(word) and (len(word) > 1 or before[-1][-1].isupper())):
        return not _STARTER.match(text, match.end())
    return len(word) <= 3 and word.isdigit() and len(before) == 1 and place - begin < _LONGEST  # "2. Next"
