"""Learning byte-level BPE and Unigram: what is counted and learned, each family's special tokens, and who reads it."""

import io
import random
from collections import Counter

import pytest
import tokenizers

from keras_bert.errors import UserError
from keras_bert.text.bpe.byte_pairs import ALPHABET
from keras_bert.text.learning import bpe as learning_bpe
from keras_bert.text.learning import counting
from keras_bert.text.learning.bpe import FAMILIES as BPE_FAMILIES
from keras_bert.text.learning.bpe import byte_pairs_from_counts, count_byte_words
from keras_bert.text.learning.counting import coverage
from keras_bert.text.learning.sentence_piece import FAMILIES as UNIGRAM_FAMILIES
from keras_bert.text.learning.sentence_piece import MAX_WORD_CHARS, count_spaced_words, sentence_pieces_from_counts
from keras_bert.text.sentence_piece.model import read_model
from keras_bert.text.sentence_piece.rules import FAMILIES as RULES
from keras_bert.text.tokenizer import Tokenizer
from tests.cli.conftest import make_documents

LINES = [line for document in make_documents(40) for line in document]
KOREAN = ["나는 학교에 간다", "학교는 크다, 나는 작다", "너는 학교에서 온다"] * 40
ALBERT, XLM_R = RULES["albert"], RULES["xlm_roberta"]


def learn_bpe(lines, vocab_size, *, family="roberta", special_tokens=(), **options):
    counts = count_byte_words(lines, family=family, special_tokens=special_tokens)
    return byte_pairs_from_counts(
        counts, vocab_size=vocab_size, family=family, special_tokens=special_tokens, **options
    )


def learn_unigram(lines, vocab_size, *, rules=ALBERT, special_tokens=(), **options):
    counts = count_spaced_words(lines, rules, special_tokens=special_tokens)
    return sentence_pieces_from_counts(counts, rules, vocab_size=vocab_size, special_tokens=special_tokens, **options)


def test_bpe_by_hand():
    # l o and o w stand 4 times each, and of a tie the letters that come first are joined: Ġ is the last of them
    tokenizer = learn_bpe(["low low lower lower newer"], 266)
    assert tokenizer.vocabulary.tokens[:4] == ("<s>", "<pad>", "</s>", "<unk>")
    assert sorted(tokenizer.vocabulary.tokens[4:260]) == sorted(ALPHABET)
    assert tokenizer.vocabulary.tokens[260:] == ("lo", "low", "er", "Ġlow", "Ġlower", "<mask>")
    assert [" ".join(merge) for merge in tokenizer.engine.model.merges] == ["l o", "lo w", "e r", "Ġ low", "Ġlow er"]


def test_the_words_are_those_that_the_engine_cuts():
    rng, splitter = random.Random(7), tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    parts = [*"ab1!'é한\u3000\u00a0\t", "'s", "'ll", "  ", "   ", " ", " ", "...", "word"]
    lines = ["".join(rng.choices(parts, k=rng.randrange(12))) for _ in range(4000)]
    expected = Counter(word for line in lines for word, _ in splitter.pre_tokenize_str(line))
    assert count_byte_words(["\n".join(lines[:2000]), *lines[2000:]]) == expected
    assert len(expected) > 500


def test_modernbert_counts_composed_letters():
    decomposed = "e\u0301te\u0301"
    assert count_byte_words([decomposed], family="modernbert") == count_byte_words(["été"])
    assert count_byte_words([decomposed]) != count_byte_words(["été"])
    assert learn_bpe(["été"] * 3, 264, family="modernbert").tokenize(decomposed)[-1].endswith("Ã©")


def test_special_tokens_are_not_counted():
    counts = count_byte_words(["a<mask>b [S]c"], special_tokens=["[S]"])
    assert counts == Counter(["a", "b", "Ġ", "c"])
    assert count_spaced_words(["a[MASK]b [S]c"], ALBERT, special_tokens=["[S]"]) == Counter("abc")


@pytest.mark.parametrize("count", [count_byte_words, lambda lines, **more: count_spaced_words(lines, XLM_R, **more)])
def test_counts_in_bounded_memory(monkeypatch, count):
    lines = [f"often rare{number} rather{number % 50}" for number in range(400)]
    whole = count(lines)
    monkeypatch.setattr(counting, "MAX_RAW_WORDS", 60)
    assert count(lines) == whole
    few = count(lines, max_words=80)
    assert len(few) < 200 < len(whole) + 100
    assert few.total() < whole.total()
    assert max(few, key=few.get) == max(whole, key=whole.get) and few[max(few, key=few.get)] == 400


def test_what_is_too_long_to_learn_from():
    assert count_byte_words(["a" * 1000, "b" * 1001]) == Counter(["a" * 1000])
    counts = count_spaced_words(["가" * (MAX_WORD_CHARS + 1)], XLM_R)
    assert counts == Counter(["가" * MAX_WORD_CHARS, "가"])


def test_the_counts_of_a_large_corpus_are_divided(monkeypatch):
    counts = count_byte_words(LINES)
    expected = byte_pairs_from_counts(counts, vocab_size=400).engine.model.merges
    monkeypatch.setattr(learning_bpe, "MAX_OCCURRENCES", counts.total() + 1)
    thousandfold = Counter({word: 1000 * count for word, count in counts.items()})
    seen, repeated = [], learning_bpe.repeated
    monkeypatch.setattr(learning_bpe, "repeated", lambda words: (seen.append(dict(words)), repeated(words))[1])
    assert byte_pairs_from_counts(thousandfold, vocab_size=400).engine.model.merges == expected
    assert sum(seen[0].values()) <= counts.total() + 1


def test_unigram_learns_from_counts_what_it_learns_from_sentences():
    sentencepiece = pytest.importorskip("sentencepiece")
    counts = Counter(word for line in LINES for word in line.split())
    words = sorted(counts.elements(), key=lambda word: (-counts[word], word))
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(words), model_writer=written, vocab_size=148, num_threads=16, minloglevel=2
    )
    expected, learned = read_model(written.getvalue()), learn_unigram(LINES, 150, rules=XLM_R).engine.model.model
    assert learned.pieces == expected.pieces
    assert learned.scores.tolist() == expected.scores.tolist()


def test_unigram_cleans_as_its_family_does():
    lines = ["Où est le CAFÉ de Léa"] * 20
    assert "E" not in "".join(learn_unigram(lines, 18).vocabulary.tokens[5:])
    assert "É" in "".join(learn_unigram(lines, 21, rules=XLM_R).vocabulary.tokens)
    cased = ALBERT.replaced(do_lower_case=False, keeps_accents=True)
    assert "É" in "".join(learn_unigram(lines, 21, rules=cased).vocabulary.tokens)
    assert "한국" in "".join(learn_unigram(["한국"] * 20, 8).vocabulary.tokens)  # NFKD, and composed again


def test_character_coverage():
    lines = ["abc"] * 1000 + ["x"]
    assert "x" not in "".join(learn_unigram(lines, 9).vocabulary.tokens)
    assert "x" in "".join(learn_unigram(lines, 10, character_coverage=1.0).vocabulary.tokens)


def test_the_order_in_which_words_were_counted_does_not_matter():
    for family, count in (("roberta", count_byte_words), ("albert", lambda lines: count_spaced_words(lines, ALBERT))):
        counts = count(LINES)
        turned = Counter(dict(reversed(counts.items())))
        made = [learn_from(family, each) for each in (counts, turned)]
        assert list(counts) != list(turned) and made[0].fingerprint == made[1].fingerprint


def learn_from(family, counts):
    if family in BPE_FAMILIES:
        return byte_pairs_from_counts(counts, vocab_size=400, family=family)
    return sentence_pieces_from_counts(counts, RULES[family], vocab_size=150)


PLACES = {
    "roberta": {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 398},
    "longformer": {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 398},
    "deberta": {"[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[UNK]": 3, "[MASK]": 398},
    "modernbert": {"[PAD]": 394, "[UNK]": 395, "[CLS]": 396, "[SEP]": 397, "[MASK]": 398},
    "albert": {"<pad>": 0, "<unk>": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4},
    "big_bird": {"<pad>": 0, "</s>": 1, "<s>": 2, "<unk>": 3, "[CLS]": 4, "[SEP]": 5, "[MASK]": 6},
    "camembert": {"<s>NOTUSED": 0, "<pad>": 1, "</s>NOTUSED": 2, "<unk>": 3, "<s>": 5, "</s>": 6, "<mask>": 148},
    "deberta_v2": {"[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[UNK]": 3, "[MASK]": 148},
    "kobert": {"[UNK]": 0, "[PAD]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4},
    "xlm_roberta": {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 148},
}


def size_of(family):
    """A size that the text yields."""
    return 400 if family in BPE_FAMILIES else 150


def learn(family, lines=LINES, vocab_size=None, special_tokens=("[S]",)):
    vocab_size = size_of(family) if vocab_size is None else vocab_size
    if family in BPE_FAMILIES:
        return learn_bpe(lines, vocab_size, family=family, special_tokens=special_tokens)
    return learn_unigram(lines, vocab_size, rules=RULES[family], special_tokens=special_tokens)


@pytest.mark.parametrize("family", PLACES)
def test_special_tokens_stand_at_their_familys_places_and_survive_the_files(family, tmp_path):
    tokenizer, size = learn(family), size_of(family)
    assert len(tokenizer) == size
    assert {token: tokenizer.vocabulary.id(token) for token in PLACES[family]} == PLACES[family]
    assert tokenizer.vocabulary.id("[S]") == size - 1
    tokenizer.save_pretrained(tmp_path)
    read = Tokenizer.from_pretrained(tmp_path)
    assert read.fingerprint == tokenizer.fingerprint and read.layout == tokenizer.layout
    text = f"The ship [S] near the {tokenizer.mask_token} ..."
    assert read.token_ids(text) == tokenizer.token_ids(text)
    assert {size - 1, tokenizer.mask_id} <= set(tokenizer.token_ids(text))


def test_every_family_is_tested():
    assert PLACES.keys() == BPE_FAMILIES.keys() | UNIGRAM_FAMILIES.keys()


@pytest.mark.parametrize("lower", [True, False])
def test_casing_survives_the_files(lower, tmp_path):
    for rules in (ALBERT, RULES["deberta_v2"]):
        tokenizer = learn_unigram(LINES, 150, rules=rules.replaced(do_lower_case=lower))
        tokenizer.save_pretrained(tmp_path)
        assert Tokenizer.from_pretrained(tmp_path).do_lower_case is lower


@pytest.mark.parametrize("family", ["roberta", "modernbert", "albert", "xlm_roberta", "deberta_v2"])
def test_too_small_a_corpus_names_a_size_that_works(family):
    with pytest.raises(UserError, match="too small for a vocabulary of 90000 entries") as caught:
        learn(family, vocab_size=90_000)
    size = int(str(caught.value).partition("--vocab_size=")[2].split()[0])
    with pytest.raises(UserError, match=f"--vocab_size={size} "):
        learn(family, vocab_size=size + 1)
    assert len(learn(family, vocab_size=size)) == size


@pytest.mark.parametrize("family", ["roberta", "albert", "camembert"])
def test_too_small_a_size(family):
    remedy = r"(more than 262|larger --vocab_size|--vocab_size=\d\d or more)"
    with pytest.raises(UserError, match=rf"of 7 entries has no room.*{remedy}"):
        learn(family, vocab_size=7)


def test_a_size_below_the_characters_names_one_that_works():
    with pytest.raises(UserError, match="characters and special tokens") as caught:
        learn("xlm_roberta", vocab_size=20)
    size = int(str(caught.value).partition("--vocab_size=")[2].split()[0])
    assert len(learn("xlm_roberta", vocab_size=size)) == size


def test_no_words():
    for family in ("roberta", "albert"):
        with pytest.raises(UserError, match="no words"):
            learn(family, lines=["", " \n"] if family == "albert" else [""])


def test_min_frequency():
    assert "Ġlower" not in learn_bpe(["low low lower lower newer"], 265, min_frequency=3).vocabulary
    with pytest.raises(UserError, match="4 pairs could be joined"):
        learn_bpe(["low low lower lower newer"], 266, min_frequency=3)


def test_coverage_counts_the_same_words_for_every_kind():
    lines = ["나는 학교에 간다!", "", "☃ 나는"]  # 6 words and marks
    (unigram, bpe) = coverage([learn_unigram(KOREAN, 22), learn_bpe(KOREAN, 290)], ["\n".join(lines[:2]), lines[2]])
    assert unigram.words == bpe.words == 6
    assert (unigram.unknown, bpe.unknown) == (2, 0)  # ! and ☃
    assert str(bpe).endswith("0.0000% <unk>")


STRINGS = ["The ship stood near the tide.", "Nobody had seen a <mask> with [MASK] [S] here", "in the year 1512, 한글 x"]


@pytest.mark.slow
@pytest.mark.parametrize("family", [family for family in PLACES if family != "kobert"])  # transformers has no KoBERT
def test_transformers_gives_the_same_ids(family, tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers")
    messages = pytest.importorskip("transformers.utils.sentencepiece_model_pb2_new")
    # sentencepiece's own messages want a newer protobuf than TensorFlow allows.
    monkeypatch.setattr("sentencepiece.sentencepiece_model_pb2", messages, raising=False)
    tokenizer = learn(family, special_tokens=())
    tokenizer.save_pretrained(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert len(theirs) == len(tokenizer)
    for text in STRINGS:
        if family == "albert":
            text = text.replace("한글", "").replace(".", "")  # its fast one spells these in another way
        assert theirs(text)["input_ids"] == tokenizer.encode(text)["input_ids"].tolist()
    assert theirs.mask_token_id == tokenizer.mask_id and theirs.pad_token_id == tokenizer.pad_id


@pytest.mark.slow
def test_the_libraries_give_the_same_ids(tmp_path):
    sentencepiece = pytest.importorskip("sentencepiece")
    roberta, xlm_r = learn("roberta"), learn("xlm_roberta")
    roberta.save_pretrained(tmp_path)
    xlm_r_folder = tmp_path / "xlm_r"
    xlm_r_folder.mkdir()
    xlm_r.save_pretrained(xlm_r_folder)
    library = tokenizers.ByteLevelBPETokenizer(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    processor = sentencepiece.SentencePieceProcessor(model_file=str(xlm_r_folder / "sentencepiece.bpe.model"))
    for text in [*LINES[:50], "Zwölf  Boxkämpfer\tjagen ½ 한글"]:
        assert library.encode(text).ids == roberta.token_ids(text)
        assert [index + 1 if index else 3 for index in processor.encode(text)] == xlm_r.token_ids(text)
