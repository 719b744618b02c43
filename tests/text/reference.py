"""A second reading of google-research/bert's tokenization rules, as plain as can be, to check the tokenizers by.

It walks over the text character by character and asks `unicodedata` for each; nothing is shared with keras_bert.text.
`python tests/text/reference.py` (Python 3.11, Unicode 14) writes tests/golden/tokenization/ anew.
"""

import json
import unicodedata
from pathlib import Path

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "tokenization"

IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


def clean(text):
    """Drops control characters, turns every kind of space into " ", and sets ideographs apart."""
    out = []
    for char in text:
        category = unicodedata.category(char)
        if char in "\t\n\r" or category == "Zs":
            out.append(" ")
        elif char in "\0\ufffd" or category in ("Cc", "Cf"):
            continue
        elif any(first <= ord(char) <= last for first, last in IDEOGRAPHS):
            out.append(f" {char} ")
        else:
            out.append(char)
    return "".join(out)


def is_punctuation(char):
    """Says whether a character stands alone: Unicode's punctuation, and whatever in ASCII is not a letter or digit."""
    if 33 <= ord(char) <= 126:
        return not char.isalnum()
    return unicodedata.category(char).startswith("P")


def without_marks(text):
    """Takes accents off."""
    return "".join(char for char in unicodedata.normalize("NFD", text) if unicodedata.category(char) != "Mn")


def basic_tokens(text, lower_case):
    """Words and punctuation marks."""
    tokens = []
    for word in clean(text).split():
        if lower_case:
            word = without_marks(word.lower())
        token = ""
        for char in word:
            if is_punctuation(char):
                tokens += [token, char]
                token = ""
            else:
                token += char
        tokens.append(token)
    return " ".join(tokens).split()


def pieces(token, vocabulary):
    """The longest entries that spell a token, or [UNK]."""
    if len(token) > 200:
        return ["[UNK]"]
    out, rest, prefix = [], token, ""
    while rest:
        length = next((n for n in range(len(rest), 0, -1) if prefix + rest[:n] in vocabulary), None)
        if length is None:
            return ["[UNK]"]
        out.append(prefix + rest[:length])
        rest, prefix = rest[length:], "##"
    return out


def tokenize(text, vocabulary, lower_case):
    """The tokens of a text; `vocabulary` is a dict from tokens to ids."""
    return [piece for token in basic_tokens(text, lower_case) for piece in pieces(token, vocabulary)]


def golden_cases(texts, vocabulary):
    """Tokens and ids of each text, lower-cased and cased."""
    cases = []
    for text in texts:
        uncased, cased = tokenize(text, vocabulary, True), tokenize(text, vocabulary, False)
        case = {"text": text, "uncased": uncased, "uncased_ids": [vocabulary[token] for token in uncased]}
        cases.append(case | {"cased": cased, "cased_ids": [vocabulary[token] for token in cased]})
    return cases


# Each is here for a rule or a trap.
TEXTS = [
    "",
    "   ",
    "Hello, World!",
    "The quick brown fox jumps over the lazy dog.",
    "unaffable UNAFFABLE Unaffable's",
    "(see below)",
    "don't can't it's rock'n'roll",
    "e-mail: someone@example.org, http://example.org/a_b?c=d&e=f#g",
    '$5.00 + 3% = ~<5|6>^2 `x` {y} [z] \\ / * "q"',
    "naïve café façade Zürich Ångström São coöperate",
    "nai\u0308ve cafe\u0301 \u0301a a\u0301\u0323\u0308",
    "straße STRASSE ẞ ß ﬁn Ǆ ǅ ǆ",
    "İstanbul ISPARTA ıspanak iğne",
    "ΟΔΥΣΣΕΥΣ ΟΔΥΣΣΕΥΣ. Σ σ ς ΑΣ ΑΣ' ΑΣ'Α ΣΑΣ -Σ Σ1 1Σ",
    "Ελληνικά Άνθρωπος ΐ ᾳ ᾼ Ὀδυσσεύς",
    "Москва Ёлка Йод й и\u0306",
    "Կեանք ԵՎ և",
    "한국어 문장 한국 국한 가각힣 ㅋㅋㅋ ㄱ",
    "한국",
    "東京は日本の首都。中文字元混合english文字",
    "豈更車 神 \U0002f81a 㐀 𠀀",
    "ひらがな カタカナ ｶﾀｶﾅ が ガ",
    "हिन्दी में नमस्ते",
    "العربية مَرحبًا שָׁלוֹם",
    "ไทย ภาษา ầ Ệ ữ",
    "tab\tnew\nline\r\nreturn\rend",
    "a\u00a0b\u2003c\u3000d\u1680e\u202ff",
    "a\u2028b\u2029c",
    "a\u200bb\u200dc\u00add\ufeffe\u200ef",
    "a\x00b\x01c\x1fd\x7fe\x85f\x0bg\x0ch\x1ci",
    "a\ufffdb \ufffd",
    "emoji 😀 👍🏽 👨‍👩‍👧 ❤️ 🏳️‍🌈",
    "“quotes” ‘single’ «guillemets» — – … • ¿¡ 、。「」",
    "§ ¶ © ® ™ € £ ¥ ° ± × ÷ ½ ² ³ ¹",
    "１２３ ＡＢＣ ａｂｃ Ⅷ ⅷ ℃ Å Ω",
    "[MASK] [CLS] [SEP] [UNK] [PAD] [mask] [unused1]",
    "[MASK",
    "# ## ### a# #a a## ##a ##able x##y",
    "1,000,000.00 2026-11-21T00:00:00Z 3.14",
    "a" * 200,
    "a" * 201,
    "é" * 200,
    "é" * 201,
    "e\u0301" * 150,
    "e\u0301" * 201,
    "한" * 66 + " " + "한" * 67,
    "a" * 150 + "-" + "a" * 150,
    "a\u200b" * 150,
    "abcabcabcxyz qqq zzzzzz",
    "x\u0345Σ x\u0301Σ \u0345Σ Σ\u0301Α aΣ\u0301",
    "\u1fef\u037e\u0387\u2000",
    "𝐀𝔸 𐐀𐐨 𞤀",
    "\u0300\u0301\u0302",
    "a\u302f\u302eb \U0001d15e\U0001d16d\U0001d165",
    "Ａ\u0301",
]


def golden_vocabulary():
    """A vocabulary that spells much of TEXTS: single characters, some longer pieces, and a few traps."""
    characters, after = set(), set()
    for text in TEXTS:
        for lower_case in (True, False):
            for token in basic_tokens(text, lower_case):
                characters.add(token[0])
                after.update(token[1:])
    left_out = set("qQ힣ﬁ😀")
    words = (
        "the quick brown fox over lazy dog un aff able unaff naive cafe strasse straße hello world it don mask unk "
        "london 한국 οδυσσευσ σας aaaa an and Un The Hello Café abc abca 2026 000"
    ).split()
    ends = "##able ##aff ##s ##ing ##er ##aaaa ##aaaaaaaa ##bc ##cabc ##xyz ##00 ##국 ##ευς ##ees".split()
    traps = ["##", "###", "##.", "a.b", "don't", "[mask]", "ba r", "é" * 9, "##" + "é" * 9, "x##y"]
    tokens = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens += sorted(characters - left_out) + [f"##{char}" for char in sorted(after - left_out)] + words + ends + traps
    return list(dict.fromkeys(tokens))


if __name__ == "__main__":
    assert unicodedata.unidata_version == "14.0.0"
    GOLDEN.mkdir(parents=True, exist_ok=True)
    entries = golden_vocabulary()
    (GOLDEN / "vocab.txt").write_text("".join(f"{token}\n" for token in entries), encoding="utf-8")
    cases = golden_cases(TEXTS, {token: index for index, token in enumerate(entries)})
    lines = ",\n".join(json.dumps(case, ensure_ascii=True) for case in cases)
    (GOLDEN / "tokenization.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
