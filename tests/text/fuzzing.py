"""Random texts to compare the tokenizers by: the Python one, the bulk one and the one in the graph.

Every batch draws on a few kinds of fragments alone, so that what a batch as a whole switches on or off is switched
both ways. Used by test_fuzz.py and by benchmarks/fuzz_tokenizers.py.
"""

import numpy as np

from keras_bert.text import characters
from keras_bert.text.normalize import decompose, lower
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from keras_bert.text.wordpiece.bulk import BulkTokenizer

# Each is here for a rule that the three tables (Python's, RE2's, ICU's) see differently, or for a trap.
TRAPS = [
    *"aAzZéÉßẞıİiIσςΣάΆ'’.:·-_#[]$^`~ \t\n\r\x00\x01\x02\x0b\x0c\x1c\x85\xa0\xad",
    *"\u0301\u0323\u0345\u0307\u200b\u200d\u2028\u2029\u3000\u180e\ufeff\ufffd",
    *"한가東京豈𠀀ǅﬁ½①ºʰ\u037e\u1fef\u2260",
    *"\u2c2f\ua7d0\U00010570\U00010595\U0001e900",  # capitals of Unicode 14, and older ones beyond the BMP
    *"\u302e\u302f\u1b44\U00016ff0\U0001d165\U0001d16d",  # combining, ordered by NFD, but no Mn
    *"\u0897\u1c89\u1cff\U00010d50\U00010d69\U00010efd\U000105c9\U0001fae8\U0001e4ee",  # newer than Unicode 14
    "[MASK]", "[SEP]", "[mask]", "[MA", "SK]", "##a", "a" * 99, "é" * 100, "e\u0301" * 100, "ΑΣ",
]  # fmt: skip
RULES = [
    {},
    {"do_lower_case": False},
    {"strip_accents": False},
    {"do_lower_case": False, "strip_accents": True},
    {"tokenize_chinese_chars": False},
    {"keep": ("[MASK]", "[SEP]")},
]


def spelling_vocabulary():
    """A vocabulary that spells much, so that ids tell normalizations apart that [UNK] would hide."""
    plain = {chr(code) for code in range(0x21, 0x600)} | {char for trap in TRAPS for char in trap}
    plain |= set(_chars(characters.CASED + characters.MARKS))
    plain |= {part for char in plain for part in lower(char) + decompose(lower(char))}
    plain = sorted(char for char in plain if char.strip())
    return Vocabulary([*SPECIAL_TOKENS, *plain, *(f"##{char}" for char in plain), "ab", "##bc", "[unused0]"])


def _chars(ranges):
    return [chr(code) for first, last in ranges for code in range(first, last + 1)]


_ALPHABETS = [
    _chars([(0x20, 0x7E)]),  # ASCII
    _chars([(0, 0x7F)]),
    _chars([(0xA0, 0x24F)]),  # Latin
    _chars([(0x1E00, 0x1EFF), (0x300, 0x36F)]),
    _chars([(0x370, 0x373), (0x386, 0x3CE), (0x1F00, 0x1F15)]),  # Greek
    _chars([(0x400, 0x4FF)]),  # Cyrillic
    _chars([(0x530, 0x5EA)]),  # Armenian, Hebrew
    _chars([(0x600, 0x6FF)]),  # Arabic
    _chars([(0x900, 0x97F)]),  # Devanagari
    _chars([(0xE01, 0xE5B)]),  # Thai
    _chars([(0x10A0, 0x10FF), (0x1C90, 0x1CBF)]),  # Georgian
    _chars([(0xAC00, 0xD7A3)]),  # Hangul
    _chars([(0x1100, 0x11FF), (0x3131, 0x318E), (0xFF61, 0xFFDC)]),  # its letters, half-width forms
    _chars([(0x3000, 0x30FF)]),  # Kana
    _chars([(0x4E00, 0x9FFF)]),  # Han
    _chars(characters.CJK),
    _chars([(0x2000, 0x206F), (0xFE00, 0xFE0F)]),  # spaces, dashes, quotes, format characters
    _chars([(0x2070, 0x2BFF)]),  # symbols
    _chars([(0x1F300, 0x1FAFF), (0x200D, 0x200D), (0xFE0F, 0xFE0F)]),  # emoji
    _chars([(0x1D000, 0x1D7FF)]),  # music, mathematical letters
    _chars([(0xF900, 0xFB4F), (0xFE20, 0xFEFF), (0xFF01, 0xFF5E)]),  # presentation forms
    _chars(characters.SPACES + characters.LINE_SEPARATORS + [(9, 13), (0x1C, 0x1F), (0x85, 0x85)]),
    [*_chars(characters.CONTROL), "\ufffd"],
    _chars(characters.PUNCTUATION),
    _chars(characters.MARKS),
    _chars(characters.CASED),
    _chars(characters.CASE_IGNORABLE),
    _chars(characters.UNASSIGNED),
    _chars([(0x80, 0xD7FF), (0xE000, 0xE0FF), (0xF900, 0x32FFF), (0xE0000, 0xE01EF), (0x10FF00, 0x10FFFF)]),
    TRAPS,
]
_SIGMAS = [*"ΣΣΣσς", *"aBÀαΑ'’.:·^` -1東\t\xad\u0301\u0345\u200b\x01\U0001e4ee", "[MASK]"]
_LONG = [*"aZ1é한\U00010400ßİ東\U0001fae8", "e\u0301", "a\u200b", "ab", "Σ"]
_INVALID = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe6\x9d", b"\x80", b"\x00", b"\xf0\x9f\x98"]


class TextMaker:
    """Makes batches of texts.

    Args:
        rng: a `random.Random`.
        vocabulary: whose tokens to put into the texts, as they stand and in capitals.
    """

    def __init__(self, rng, vocabulary):
        self.rng, self.tokens = rng, vocabulary.tokens

    def batch(self, size):
        """Returns `size` texts; most are str without surrogates, about one in twenty bytes that may be no UTF-8."""
        rng = self.rng
        kinds = rng.choices([self._run(alphabet) for alphabet in _ALPHABETS], k=rng.choice([1, 2, 4, 30]))
        kinds += [self._piece] * (1 + len(kinds) // 3) + rng.choices([self._run(_SIGMAS), str], k=len(kinds))
        texts = []
        for _ in range(size):
            text = "".join([rng.choice(kinds)() for _ in range(rng.randrange(12))])
            if rng.random() < 0.02:
                text += rng.choice(_LONG) * rng.randint(99, 201) + rng.choice(["", "-b", " b", "\u0301"])
            texts.append(self._broken(text.encode()) if rng.random() < 0.05 else text)
        return texts

    def _run(self, alphabet):
        return lambda: "".join(self.rng.choices(alphabet, k=self.rng.randint(1, 9)))

    def _piece(self):
        token = self.rng.choice(self.tokens).removeprefix("##")
        return self.rng.choice([token, token.upper(), token.title(), f" {token} ", f"{token}.", f" {token},"])

    def _broken(self, data):
        cuts = sorted(self.rng.randint(0, len(data)) for _ in range(2))
        return data[: cuts[0]] + self.rng.choice(_INVALID) + data[cuts[self.rng.randrange(2)] :]


class Rivals:
    """The tokenizers that must agree with a `Tokenizer`.

    Args:
        tokenizer: the Python tokenizer.
        in_graph: whether to build the layer, which needs tensorflow_text.
    """

    def __init__(self, tokenizer, *, in_graph=True):
        self.tokenizer = tokenizer
        bulk = BulkTokenizer(tokenizer)
        self.rivals = {"bulk": bulk.token_ids} | ({"graph": graph_function(tokenizer)} if in_graph else {})

    def differing(self, texts):
        """Returns the number of tokens, and (text, rival, expected ids, its ids) for each text with other ids."""
        expected = list(map(self.tokenizer.token_ids, texts))
        lengths = np.fromiter(map(len, expected), np.int64, len(expected))
        flat = np.fromiter((index for ids in expected for index in ids), np.int64, lengths.sum())
        found = []
        for rival, function in self.rivals.items():
            ids, counts = function(texts)
            if not (np.array_equal(ids, flat) and np.array_equal(counts, lengths)):
                rows = [row.tolist() for row in np.split(ids, np.cumsum(counts)[:-1])]
                triples = zip(texts, expected, rows, strict=True)
                found += [(text, rival, right, wrong) for text, right, wrong in triples if right != wrong]
        return len(flat), found

    def shortest(self, text):
        """Returns a text from which no part can be taken without the difference going away."""
        size = len(text) // 2
        while size:
            for start in range(0, len(text), size):
                shorter = text[:start] + text[start + size :]
                if self.differing([shorter])[1]:
                    text = shorter
                    break
            else:
                size //= 2
        return text


def graph_function(tokenizer):
    """Returns a function from texts to flat ids and the number of each text's, through the layer in a graph."""
    import tensorflow as tf

    function = tf.function(tokenizer.graph_layer(), input_signature=[tf.TensorSpec([None], tf.string)])

    def flat_ids(texts):
        ragged = function(tf.constant(texts, tf.string, shape=[len(texts)]))
        return ragged.values.numpy(), ragged.row_lengths().numpy()

    return flat_ids
