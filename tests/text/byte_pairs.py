"""Byte-level BPE models and texts for the tests: a small model learned here, the golden ones, and nasty strings."""

import functools
import gzip
import json
import lzma

import tokenizers

from keras_bert.text.bpe.byte_pairs import ALPHABET, BytePairs
from keras_bert.text.bpe.files import read_tokenizer_json, read_vocab_and_merges
from tests.text.fuzzing import TextMaker

LEARNED_FROM = [
    "The quick brown fox jumps over the lazy dog, and the dog doesn't care; they'll say it's what we've said.",
    "In 1998 the 1,024 words of a vocabulary were learned from 20 MB of text in 16 seconds, or 114.5 of them.",
    "다람쥐 헌 쳇바퀴에 타고파. 키스의 고유조건은 입술끼리 만나야 하고 기술은 필요치 않다.",
    "Zwölf Boxkämpfer jagen Viktor über den großen Deich. Voix ambiguë d'un cœur qui préfère.",
    "色は匂へど 散りぬるを 我が世誰ぞ 常ならむ 東京 👩\u200d👩\u200d👧 🇰🇷  \n\n\t  def f(x):\n        return x ** 2",
]
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


@functools.cache
def small_engine(normalizer=None, add_prefix_space=False):
    """A model of some 700 tokens, special ones at both ends of its ids."""
    library = tokenizers.Tokenizer(tokenizers.models.BPE())
    library.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=700, initial_alphabet=sorted(alphabet), show_progress=False)
    library.train_from_iterator([*LEARNED_FROM, *LEARNED_FROM], trainer)
    model = json.loads(library.to_str())["model"]
    tokens = [*SPECIAL[:4], *sorted(model["vocab"], key=model["vocab"].get), SPECIAL[4]]
    return BytePairs(tokens, model["merges"], normalizer=normalizer, add_prefix_space=add_prefix_space)


def odd_engine():
    """A model that is not as learned ones are: two merges of one token, parts that come later, tokens never made."""
    merges = ["b c", "a b", "ab c", "a bc", "e f", "d ef", "de f", "d e", "x y", "Ġ x", "Ġ xy", "Ġx y", "y z", "xy z"]
    merges += ["a a", "aa aa", "a aa", "aa a", "í ķ", "1 1", "' s", "Ġ Ġ", "ĠĠ ĠĠ"]
    merges = [tuple(merge.split()) for merge in merges]
    results = dict.fromkeys("".join(merge) for merge in merges)
    return BytePairs([*ALPHABET, *results, "never", "<s>"], merges)


def golden_engine(shared, name, folder):
    """Unpacks the files of a golden tokenizer into a folder and reads them."""
    for path in (shared / "golden" / "tokenizers" / name).glob("*.xz"):
        (folder / path.stem).write_bytes(lzma.decompress(path.read_bytes()))
    if name == "roberta":
        return read_vocab_and_merges(folder)
    return read_tokenizer_json(folder / "tokenizer.json").engine


def golden_rows(shared, name):
    """Returns (text, ids, offsets) of the golden strings, special tokens at the ends left out."""
    path = shared / "golden" / "tokenizers" / "golden.visible.json.gz"
    rows = json.loads(gzip.decompress(path.read_bytes()))[name]["rows"]
    return [(row["text"], row.get("ids", row.get("slow_v4"))[1:-1], row["offsets"]) for row in rows]


_SPACES = [*" \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0", *"\u1680\u2000\u2003\u200a\u2028\u2029\u202f\u205f\u3000", "  "]
_CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'LL", "'r", "'l", "'v", "'", "\u2019s", "'sre"]
_EMOJI = ["👩\u200d👩\u200d👧", "🇰🇷", "👍🏽", "❤\ufe0f", "\u200d", "\ufe0f", "1\ufe0f\u20e3", "🫨"]
_DIGITS = [*"0123456789", "½", "²", "Ⅷ", "①", "٣", "൦", "〇", "𝟘"]
_WORDS = [
    "the",
    "don",
    "I",
    "word",
    "Straße",
    "é",
    "e\u0301",
    "한국",
    "ᄒ\u1161ᆫ",
    "東京",
    "ﬁ",
    "مرحبا",
    "abc",
    "def",
    "xyz",
]
_MARKS = ["\u0301", "\u0323", "\u0345", "\u0334", "\u1abf", "\U00016d63\U00016d67", "\U00011935\U00011930", "\u0f73"]
_KINDS = [_SPACES, _SPACES, [" "], _CONTRACTIONS, _EMOJI, _DIGITS, _WORDS, _WORDS, _MARKS, list("!?.,'\"-_#$^`~\0\x7f")]


class ByteTexts:
    """Makes batches of texts; half of them are runs that meet GPT-2's pattern, half those of fuzzing.py.

    Args:
        rng: a `random.Random`.
        engine: whose tokens to put into the texts.
    """

    def __init__(self, rng, engine):
        self.rng, self.engine, self._maker = rng, engine, TextMaker(rng, engine)

    def batch(self, size):
        """Returns `size` str."""
        others = [text if isinstance(text, str) else text.decode(errors="ignore") for text in self._maker.batch(size)]
        return [self._text() if self.rng.random() < 0.5 else other for other in others]

    def broken_batch(self, size):
        """Returns bytes, most of which are not UTF-8."""
        return [self._maker._broken(text.encode()) for text in self.batch(size)]

    def _text(self):
        rng, parts = self.rng, []
        kinds = rng.choices(_KINDS, k=rng.randint(1, 5))
        for _ in range(rng.randrange(14)):
            parts.append(rng.choice(rng.choice(kinds)))
            if rng.random() < 0.1:
                parts.append(self.engine.text([rng.randrange(len(self.engine.tokens))]))
            if rng.random() < 0.02:
                parts.append(parts[-1] * rng.randint(10, 90))
        return "".join(parts)
