"""Running prose into sentences, by rule.

A sentence ends at . ! ? … and their like in other scripts if white space follows, and then no lower-case letter;
closing quotes, brackets and footnote marks stay with the sentence that they follow. 。！？ end one without any space,
and so do others where the letters beside them leave no doubt, as after a Korean verb. A blank line always does. What a
full stop means after an abbreviation, an initial or a number is read from the words beside it.
"""

import functools
import re

# Characters, as they stand between the [] of a regular expression.
_WIDE = "。！？｡"
_PLAIN = "؟۔।॥։።။។\u037e"  # as unmistakable, but a space is due behind them; the last is the Greek question mark
_STOPS = f".!?…．{_PLAIN}"
_CLOSING = "\"'”’»›)\\]}」』】）》〉"
_OPENING = "\"'“‘„«‹(\\[{「『【（《〈`*_¿¡–—-"
_NO_BEGIN = ",;:.!?…)\\]}%/|，、；：。！？」』】）》〉"  # no sentence begins with ". . ." or ", which"
_GREEK, _HANGUL, _HIRAGANA, _HAN = "Ͱ-Ͽἀ-῿", "가-힣", "ぁ-ゖ", "々㐀-鿿\uf900-\ufaff\U00020000-\U0003ffff"
_JAPANESE = f"{_HIRAGANA}ァ-ヺー{_HAN}"

_FOOTNOTE = r"\[\d{1,3}\]"
_CLOSE = f"(?: [{_CLOSING}] | {_FOOTNOTE} )"
# The sentence of a quotation goes on behind it: Japanese と, って; Korean 라고, 하며.
_QUOTED = r"(?: と | って | 이?라[고며는면] | (?: (?:이?라)? (?:고|며|면서|는) | 이?라 | 하[고며는여] ) \s )"
# The same without quotes: なぜ？と聞いた.
_SAYS = "(?: って | と[思言聞叫答考感書呼尋問彼私僕俺のか、] | とい[うっえ] )"
# Behind a quote or a bracket a comma or a particle goes on as well; what (?! ) lists only looks like one.
_GOES_ON = rf"""
    (?: [，、；：,;:。！？!?…—―・～〜·] | {_QUOTED} | [的等和与與及或之] | 一[词句语詞語声聲] | 这[种个句样]
      | (?! で[もは]、|だ[がか]|も[うしち]|や[はがっ]|は[いじ]|な[ぜおにん]|と[てこに]|か[つな] )
        (?: [のはがをにへもやでだかな] | など|から|まで|より )
    )
"""
# Korean: particles that stand alone, what a sentence ends with, and what goes on with it right behind a quote.
_PARTICLE = rf"(?: (?: [은는가을를의에로와과도만란]|에서|으로|까지|부터|처럼|보다|이란 ) (?![{_HANGUL}]) | {_QUOTED} )"
_VERBAL = "다요죠까네지군나음함임됨"
_ATTACHED = "고라며는면이가을를은의에와과도란다하로던니냐자만까보처등같함임인한할입"
_ASIDE = r"\( [^()\n]{1,80} \) \.?"

# Abbreviations that a name or an example follows: they end no sentence.
_NEVER = "mr mrs ms dr prof messrs mme mlle e.g i.e eg ie cf vs viz"
# Abbreviations that end one if a word follows that likes to begin one; so do single letters ("J. Smith", "U.S.").
_SELDOM = """
    st mt ft gen col lt sgt cpl pvt capt maj cmdr adm gov sen rep pres rev hon supt det insp fr sr jr esq
    inc ltd co corp bros assn dept univ est approx etc al ave blvd rd ed eds trans resp incl excl max min
    ph.d m.d b.a m.a b.sc m.sc
"""
# Abbreviations that end none if a number follows.
_NUMBERED = """
    no nos nr fig figs eq eqs vol vols p pp pt sec sect ch chap art op par ver jan feb mar apr jun jul aug sep sept
    oct nov dec c ca
"""
_RULES = {word: words for words in (_NUMBERED, _SELDOM, _NEVER) for word in words.split()}
# The last five letters of the long ones: another word as long is not one of them, which the expression sees by itself.
_TAILS = "|".join(sorted({word[-5:] for word in _RULES if word[-5:].isalpha() and len(word) > 4}))


@functools.cache
def _pattern(lower_case):
    """Returns the expression of what may end a sentence; with `lower_case` any letter may begin the next one.

    A match is used up, whether it ends a sentence or not, so that no text, odd as it may be, takes more than one pass.
    Its last group says what it is: an end (`word`, `end`), one on a condition that `_ends` looks into, or none at all
    where there is no group.
    """
    any_stop, asian = f"[{_STOPS}{_WIDE}]", f"[{_HANGUL}{_JAPANESE}]"
    skip = rf"{any_stop}*+ {_CLOSE}*+"
    wide = rf"[{_WIDE}!?…．]*+"
    space = rf"(?: {_CLOSE}++ \s++ (?!{_QUOTED}) | \s++ )"
    quote = rf"(?![》〉]) {_CLOSE}++ (?<![)）])"  # 》 is that of a title
    begin = rf"(?= [{_OPENING}]*+ [^\s{_NO_BEGIN}{'' if lower_case else 'a-z'}] )"
    beside = f"(?= {asian} | [“‘「『《〈（【] )"
    return re.compile(
        rf"""
        [{_STOPS}{_WIDE};\n]
        (?: (?<=[a-z]{{5}}\.) (?<! (?:{_TAILS}) \. ) \s++ (?=[A-Z]) (?P<word>)
          | (?<=\.) (?!{any_stop}) {space} {begin} (?P<dot>)
          | (?: (?<={asian}[!?]) (?= [^《》\n]{{1,40}} 》 )                           # 《쇼! 음악중심》, 그는... 갔다
              | (?: (?<=[{_HANGUL}]\.) (?=\.) | (?<=[{_HANGUL}]…) (?! …*+[.!?] ) ) (?<![{_VERBAL}].)
            ) {skip}
          | (?: (?<=\n) [^\S\n]*+ \n \s*+                                              # a blank line
              | (?: (?<=[{_WIDE}]) | (?<=．) (?<!\d．) (?![．\d]) ) {wide}             # 。 。」
                (?: (?!{_CLOSE}) \s*+ (?! [，、；：] | {_SAYS} ) | {quote} \s*+ (?!{_GOES_ON}) )
              | (?<={asian}[.!?]) {space} (?= [{_OPENING}]*+ [^\s{_NO_BEGIN}] )        # 갔다. iPhone은
              | (?: (?<=[{_HANGUL}][다요죠까][.!?]) | (?<=[다요죠까]\ \.) ) [.!?…]*+   # 왔다.그리고
                (?: (?:{_ASIDE})++ \s*+
                  | (?:{_FOOTNOTE})*+ (?= [{_HANGUL}A-Z0-9“‘「『《〈（(] ) (?!{_QUOTED})
                  | [\"'”’」』]++ (?=[{_HANGUL}]) (?![{_ATTACHED}]) )
              | (?<=[{_HANGUL}][!?]) [!?…]*+ {beside} (?!{_PARTICLE})                  # 신화!벌써
              | (?<=[{_JAPANESE}][!?]) [!?…]*+ (?: {quote} {beside} (?!{_GOES_ON}) | {beside} (?!{_SAYS}) )
              | (?<=[{_HIRAGANA}]\.) (?= [{_JAPANESE}「『（] )                          # です.それ
              | (?<=[{_PLAIN}]) {skip} (?=[^\W\d_])
            ) (?P<end>)
          | (?: (?<=;) (?<=[{_GREEK}];) {space} (?= [{_OPENING}]*+ [{_GREEK}] )
              | (?<![\n;]) (?<!{asian}[(（][?!]) [{_STOPS}]*+ {space} {begin} ) (?P<capital>)
          | (?<=[{_WIDE}]) {wide} {_CLOSE}++ (?<=[)）]) \s*+ (?!{_GOES_ON}) (?P<bracket>)
          | (?: (?<=…) (?=…) | (?<=\.) (?=\.{{5}}) ) {skip} (?= [{_HAN}“‘「『《（] ) (?!{_GOES_ON}) (?P<dots>)
          | (?<![\n;]) {skip}
        )
        """,
        re.VERBOSE,
    )


_SURE = ("word", "end")
_NEXT = re.compile(rf"[{_OPENING}]*+(\S)")
_NOT_CHINESE = re.compile(f"[{_HANGUL}{_HIRAGANA}ァ-ヺ]")
_NEAR = 20  # characters on either side in which Chinese shows itself
_STUTTER = 4  # 我……我不知道: fewer characters before …… are no sentence

_LONGEST = 24  # more characters than any of them
_INITIALS = "ابتجحخدرسشصعفقكلمنهوي"  # a single letter of these is as good as a capital
_LETTERS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")  # "J", "U.S"
_ITEM = re.compile(r"\d{1,3}|[가나다라마바사]")
_DATE = re.compile(r"(?:1[89]|20)\d\d\. ?\d{1,2}\. ?\d{1,2}\.")  # 2010. 5. 3.
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
    text = text.strip()
    sentences, begin = [], 0
    lower_case = text.islower()  # then a sentence may begin with a lower-case letter
    settled = lower_case or text.isascii()  # the expression knows the lower-case letters of ASCII
    for match in _pattern(lower_case).finditer(text):
        kind = match.lastgroup
        if kind is None:
            continue
        place, end = match.span()
        if kind in _SURE or _ends(kind, text, begin, place, end, settled) or text.count("\n", place, end) > 1:
            if sentence := text[begin:end].rstrip():
                sentences.append(sentence)
            begin = end
    rest = text[begin:]
    return [*sentences, rest] if rest else sentences


def _ends(kind, text, begin, place, end, settled):
    """Says whether a match of this kind (see `_pattern`) ends the sentence that begins at `begin`."""
    if kind == "bracket":  # of the whole sentence
        return text[begin] in "(（"
    if kind == "dots":
        return place - begin >= _STUTTER and not _NOT_CHINESE.search(text, max(0, place - _NEAR), end + _NEAR)
    if not settled and _NEXT.match(text, end)[1].islower():
        return False
    return kind == "capital" or not _is_inside(text, begin, place, end)


def _is_inside(text, begin, place, end):
    """Says whether the full stop at `place` is that of an abbreviation, an initial, a date or an item's number."""
    before = text[max(begin, place - _LONGEST) : place].rsplit(None, 1)
    if not before:
        return False
    word = before[-1].rpartition("(")[2].lstrip("\"'“‘„«[{〈").lower()
    rule, last = _RULES.get(word), text[place - 1]
    if rule is None and len(word) > 3 and "." not in word and not last.isdigit():
        return False  # most words
    if rule is _NEVER or (rule is _NUMBERED and _NEXT.match(text, end)[1].isdigit()):
        return True
    if rule is _SELDOM or (_LETTERS.fullmatch(word) and (len(word) > 1 or last.isupper() or last in _INITIALS)):
        return not _STARTER.match(text, end)
    if len(before) == 1 and place - begin < _LONGEST and _ITEM.fullmatch(word):
        return True
    dates = _DATE.finditer(text, max(begin, place - _LONGEST), place + _LONGEST)
    return last.isdigit() and any(date.start() < place < date.end() for date in dates)
