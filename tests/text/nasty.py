"""Random texts to compare SentencePiece tokenizers by: whatever makes normalization, cleaning, ties and unknowns hard.

Every batch draws on a few kinds of fragments alone, so that what a batch as a whole switches on or off is switched
both ways.
"""

import unicodedata

_SPACES = [
    *" \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2003\u2009\u200a\u200b\u2028\u2029\u202f\u205f\u3000▁"
]
_CONTROLS = [*map(chr, range(1, 32)), *"\x00\x7f\x8f\x9f\xad\u061c\u180e\u200c\u200d\u200e\u2060\ufeff\ufffd\ue000"]
_HANGUL = "한국어의글자를읽는다각닭값있없뷁힣가"
_SYLLABLES = [*_HANGUL, *(unicodedata.normalize("NFD", char) for char in _HANGUL)]
_LETTERS = [*map(chr, [*range(0x1100, 0x1113), *range(0x1161, 0x1176), *range(0x11A8, 0x11C3), *range(0x3131, 0x318F)])]
_LETTERS += [*"ㅋㅋㅋㅠㅠㅎㄳㄺㅀ", *map(chr, range(0xFFA0, 0xFFDD)), "\ua960", "\ud7b0", "\ud7cb"]
_MARKS = [*map(chr, range(0x300, 0x370)), *"\u0591\u064b\u093c\u0e38\u3099\u309a\u20dd\u1ab0\ufe20\u302e\U0001d165"]
_ALPHABETS = [
    [*map(chr, range(0x20, 0x7F))],
    [*"abcdefghij ABCXYZ"],
    [*"0123456789,,,.-() "],
    [*"٠١٢३४²³①⑩½¼,,"],
    [*"`'\"``''"],
    [*map(chr, range(0xA0, 0x250))],
    [*map(chr, range(0x1E00, 0x1F00))],
    [*map(chr, range(0x370, 0x400)), *"ΣΣσς'·ΣϹ\U0001d6ba\u0345"],
    [*map(chr, range(0x400, 0x500))],
    [*map(chr, range(0x5D0, 0x700))],
    [*map(chr, range(0x900, 0xA00))],
    [*map(chr, range(0xE01, 0xE5C))],
    [*map(chr, range(0x3041, 0x3100)), *map(chr, range(0xFF61, 0xFFA0)), *"ﾞﾟ゛゜㍍㌢"],
    [*map(chr, range(0x4E00, 0x4E80)), *"豈漢\U00020000\U0002f800㊙㍿"],
    [*map(chr, range(0xFB00, 0xFB50)), *map(chr, range(0xFF01, 0xFF61)), *"ﷺﷲ﷼ﾠ￥～"],
    [*map(chr, range(0x2010, 0x2070)), *map(chr, range(0x20A0, 0x20C0)), *map(chr, range(0x2100, 0x2190))],
    [*"👩👧\u200d\ufe0f❤🏽🇰🇷🏴\U000e0067\U000e007f😀☃☃"],
    [*map(chr, range(0x1D400, 0x1D440)), *"𝟘𝔸ℌ\U0001d15e\U00011938\U0001109a"],
    [*"İıßẞſKÅǅŉﬁÆøłĳʰªº"],
    [*map(chr, range(0x1C80, 0x1CC0)), *"\u0897\u1c89\U0001e900\U000105c9\U0001fae8\U0001e4ee\u0378\U000e0100"],
    _SPACES,
    _CONTROLS,
    _SYLLABLES,
    _LETTERS,
    _SYLLABLES + _LETTERS + _MARKS[-4:],
    ["e", "a", *"ëẹ한", *_MARKS],
    [*map(chr, [0xF900, 0xFFFF, 0x10FFFF, 0xE0FFF, 0xFFFE, 0xD7FF, 0xE000, 0x7FF, 0x800, 0x80, 0xFFFD])],
]
_RUNS = [*"a=.-?!0159ㅋㅠ한가é☃~*_#", "ab", "12", "\u0301", " ", "--", "...", "ha", "ㅋㅎ", "\ufffd", "하하", "▁", ","]
_PHRASES = [
    *("+1 (555) 010-0199", "9,9", "in 1999, 2,000,000.", "state-of-the-art", "don't", "``quoted''", "U.S.A.", "[MASK]"),
    *(
        "<s>",
        "</s>",
        "<unk>",
        "https://a.b/c?d=e&f=1",
        "C'est l'été à Zürich",
        "나는 학교에 간다.",
        "東京は日本の首都です。",
    ),
    *("ΟΔΥΣΣΕΥΣ", "İSTANBUL", "straße", "Ångström", "e\u0301\u0323x", "ﾊﾟｿｺﾝ", "½ cup", "10²", "a\u200bb", "x▁y", "▁"),
]


class NastyTexts:
    """Makes batches of texts.

    Args:
        rng: a `random.Random`.
        tokens: pieces to put into the texts, without their ▁.
    """

    def __init__(self, rng, tokens=()):
        self.rng, self.tokens = rng, [token.replace("▁", " ") for token in tokens] or ["a"]

    def batch(self, size):
        """Returns `size` texts without lone surrogates, of up to some 100 characters, a few of up to 2,000."""
        kinds = self.rng.choices(_ALPHABETS, k=self.rng.choice([1, 2, 3, 6, 20]))
        return [self._text(kinds) for _ in range(size)]

    def _text(self, kinds):
        rng, parts = self.rng, []
        for _ in range(rng.randrange(12)):
            choice = rng.random()
            if choice < 0.5:
                parts.append("".join(rng.choices(rng.choice(kinds), k=rng.randint(1, 8))))
            elif choice < 0.75:
                token = rng.choice(self.tokens)
                parts.append(rng.choice([token, token.upper(), f" {token}", f"{token},", token * 2]))
            elif choice < 0.85:
                parts.append(rng.choice(_PHRASES))
            elif choice < 0.92:
                parts.append(rng.choice(_RUNS) * rng.randint(2, 40))
            else:
                parts.append(rng.choice(_SPACES) * rng.randint(1, 3))
        if rng.random() < 0.01:
            parts.append(rng.choice(_RUNS) * rng.randint(100, 1000))
        return rng.choice(["", "", " "]).join(parts)
