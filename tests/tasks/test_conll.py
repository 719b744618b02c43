"""CoNLL-style files and the schemes of their tags, against small ones worked by hand, real ones, and seqeval."""

import gzip
import lzma
import random
import warnings
from itertools import product

import pytest

from keras_bert.errors import UserError, UserNote
from keras_bert.tasks.tag.conll import Sentences, read_conll, write_conll
from keras_bert.tasks.tag.conll_tags import (
    SCHEMES,
    allowed_tags,
    as_tags,
    convert,
    detect_scheme,
    entities,
    strict_entities,
    tag_names,
)

CONLL2003 = """\
-DOCSTART- -X- -X- O

Ann NNP B-NP I-PER
Lee NNP I-NP I-PER
# NN O O
met VBD B-VP O

Bob NNP B-NP I-PER
Ann NNP B-NP B-PER
"""
# An entity of two words, at once another of its type, and one of another type.
FOUND = [("PER", 0, 2), ("PER", 2, 3), ("LOC", 4, 6)]
WRITTEN = {
    "BIO": "B-PER I-PER B-PER O B-LOC I-LOC",
    "IOB1": "I-PER I-PER B-PER O I-LOC I-LOC",
    "IOBES": "B-PER E-PER S-PER O B-LOC E-LOC",
    "BILOU": "B-PER L-PER U-PER O B-LOC L-LOC",
}


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_columns_by_spaces_and_docstart(tmp_path):
    read = read_conll(write(tmp_path / "train.txt", CONLL2003))
    assert read.words == [["Ann", "Lee", "#", "met"], ["Bob", "Ann"]]
    assert read.tags == [["B-PER", "I-PER", "O", "O"], ["B-PER", "B-PER"]]
    assert read.lines == [[3, 4, 5, 6], [8, 9]]
    assert read.scheme == "IOB1"
    assert not read.joined


@pytest.mark.parametrize("packed", [lambda data: data, gzip.compress, lzma.compress])
def test_columns_by_tabs_blank_cells_and_packed_files(tmp_path, packed):
    path = write(tmp_path / "train.conll", packed(b"\xef\xbb\xbf@ann\tO\r\n\t\r\n \r\nin\tO\nRome\tB-creative-work"))
    read = read_conll(path)
    assert (read.words, read.tags) == ([["@ann"], ["in", "Rome"]], [["O"], ["O", "B-creative-work"]])
    assert read.lines == [[1], [4, 5]]


def test_comments_are_no_words_and_hashes_are(tmp_path):
    text = "## 주석 : ##\n## column\tTAG\n## id-1\t<가:PS> 나\n가\tB-PS\n \tO\n나\tO\n\n# text = x y\n#\tO\n#tag\tO\n"
    read = read_conll(write(tmp_path / "klue.tsv", text))
    assert read.words == [["가", " ", "나"], ["#", "#tag"]]
    assert read.lines == [[4, 5, 6], [9, 10]]
    assert read.joined
    spaced = read_conll(write(tmp_path / "t.txt", "# id 7\n# O\nb O\n"))
    assert spaced.words == [["b"]]  # the first line says nothing of the columns yet
    spaced = read_conll(write(tmp_path / "t.txt", "b O\n\n# id\n# O\n"))
    assert spaced.words == [["b"], ["#"]]


def test_columns_are_chosen(tmp_path):
    path = write(tmp_path / "t.txt", "1 Ann B-PER NNP\n2 runs O VBZ\n")
    read = read_conll(path, token_column=1, tag_column=2)
    assert (read.words, read.tags) == ([["Ann", "runs"]], [["B-PER", "O"]])
    read = read_conll(path, token_column=1, scheme="none")
    assert (read.tags, read.scheme) == ([["NNP", "VBZ"]], "none")
    assert read_conll(path, tags=False, token_column=-4) == Sentences([["1", "2"]], None, [[1, 2]])


def test_a_file_of_words_alone(tmp_path):
    path = write(tmp_path / "t.txt", "Ann\nruns\n\nfast\n")
    assert read_conll(path, tags=False).words == [["Ann", "runs"], ["fast"]]
    with pytest.raises(UserError, match=r"line 1: 1 columns, .* file without tags can be predicted \(--predict_file\)"):
        read_conll(path)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "has no words"),
        ("-DOCSTART- O\n\n", {}, "has no words"),
        ("a O\nb\n", {}, "line 2: 1 columns, where line 1 has 2"),
        ("a O\nb c O\n", {}, "line 2: 3 columns, where line 1 has 2"),
        ("a\tO\n\tO\n", {}, "line 2: the word is empty"),
        ("a\tO\nb\t \n", {}, "line 2: the tag is empty"),
        ("a O\n", {"tag_column": 2}, "line 1: 2 columns, so there is no --tag_column 2"),
        ("a O\n", {"token_column": -3}, "there is no --token_column -3"),
        ("a O\nb NN\n", {}, "line 2: 'NN' is not a tag of BIO, IOBES or BILOU, .*--scheme=none"),
        ("a O\nb S-PER\n", {"scheme": "BIO"}, "line 2: 'S-PER' is not a tag of BIO, whose tags are O, B-TYPE, I-TYPE"),
        (
            "a O\n\nb B-ORG\n",
            {"labels": ["O", "B-PER", "I-PER"]},
            "line 3: the tag 'B-ORG' is not one .*: O, B-PER, I-PER",
        ),
        ("a U-ORG\n", {"labels": ["O", "B-PER", "I-PER"]}, "'U-ORG' is not one .*: O, B-PER, I-PER, L-PER, U-PER"),
        ("a O\nb NN\n", {"scheme": "none", "labels": ["O", "VB"]}, "line 2: the tag 'NN' is not one .*: O, VB"),
        ("a O\n", {"scheme": "BIOES"}, "one of BIO, IOB1, IOBES, BILOU, none. Received: 'BIOES'"),
        (b"a O\n\xff O\n", {}, "not UTF-8"),
    ],
)
def test_bad_files(tmp_path, text, options, message):
    with pytest.raises(UserError, match=message):
        read_conll(write(tmp_path / "t.txt", text), **options)


def test_a_tag_of_a_known_type_is_known(tmp_path):
    path = write(tmp_path / "t.txt", "a B-PER\nb I-PER\n")
    assert read_conll(path, labels=["O", "B-PER", "I-PER"]).tags == [["B-PER", "I-PER"]]


def test_what_is_written_is_read(tmp_path):
    words, tags = [["a", " ", "b"], ["c"]], [["B-X", "I-X", "O"], ["O"]]
    write_conll(tmp_path / "t.txt", words, tags, tags)
    assert (tmp_path / "t.txt").read_text() == "a\tB-X\tB-X\n \tI-X\tI-X\nb\tO\tO\n\nc\tO\tO\n\n"
    read = read_conll(tmp_path / "t.txt")
    assert (read.words, read.tags) == (words, tags)


def test_sentences_are_chosen():
    sentences = Sentences([["a"], ["b"], ["c"]], [["O"], ["B-X"], ["O"]], None, "IOBES")
    assert sentences[1:] == Sentences([["b"], ["c"]], [["B-X"], ["O"]], None, "IOBES")
    assert sentences[[2, 0]].words == [["c"], ["a"]]


@pytest.mark.parametrize(("scheme", "written"), WRITTEN.items())
def test_schemes_by_hand(scheme, written):
    assert as_tags(FOUND, 6, scheme) == written.split()
    assert entities(written.split(), scheme) == FOUND
    assert strict_entities(written.split(), scheme) == FOUND or scheme == "IOB1"
    assert convert(written.split(), scheme, "BIO") == WRITTEN["BIO"].split()
    assert detect_scheme([written.split()]) == scheme


def test_bare_letters_and_a_noisy_file_are_still_bio():
    assert entities(["B", "I", "O", "I"]) == [("_", 0, 2), ("_", 3, 4)]
    assert tag_names([["B", "I", "O"]]) == ["O", "B", "I"]
    assert detect_scheme([["B-X", "O", "B-Y", "I-Y"], ["O", "I-X"]]) == "BIO"
    assert detect_scheme([["O", "O"]]) == "BIO"
    assert convert(["O", "I-X"], "BIO", "BIO") == ["O", "I-X"]


def test_tags_of_a_model():
    names = tag_names([["O", "I-b"], ["B-a-c"]])
    assert names == ["O", "B-a-c", "I-a-c", "B-b", "I-b"]
    assert allowed_tags(names[:3], "IOBES") == ["O", "B-a-c", "I-a-c", "E-a-c", "S-a-c"]
    assert tag_names([["VB", "NN"], ["NN"]], "none") == ["NN", "VB"]


@pytest.mark.parametrize("scheme", ["BIO", "IOBES"])
def test_entities_are_those_of_seqeval(scheme):
    get_entities = pytest.importorskip("seqeval.metrics.sequence_labeling").get_entities

    tags = ["O", *(f"{letter}-{kind}" for letter in SCHEMES[scheme] for kind in ("X", "Y"))]
    rng = random.Random(0)
    sentences = [list(each) for each in product(tags, repeat=3)] + [rng.choices(tags, k=12) for _ in range(200)]
    for sentence in sentences:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            expected = [(kind, start, end + 1) for kind, start, end in get_entities(sentence)]
        assert entities(sentence, scheme) == expected, sentence


@pytest.mark.parametrize("scheme", ["BIO", "IOBES", "BILOU"])
def test_strict_entities_are_those_of_seqeval(scheme):
    rules = pytest.importorskip("seqeval.scheme")
    tags = ["O", *(f"{letter}-{kind}" for letter in SCHEMES[scheme] for kind in ("X", "Y"))]
    rng = random.Random(2)
    sentences = [list(each) for each in product(tags, repeat=3)] + [rng.choices(tags, k=12) for _ in range(200)]
    of_all = rules.Entities(sentences, getattr(rules, "IOB2" if scheme == "BIO" else scheme)).entities
    for sentence, of_one in zip(sentences, of_all, strict=True):
        assert strict_entities(sentence, scheme) == [(each.tag, each.start, each.end) for each in of_one], sentence


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_sentence_survives_the_schemes(scheme):
    rng = random.Random(1)
    for _ in range(100):
        bio = as_tags(entities(rng.choices(["O", "B-X", "I-X", "B-Y", "I-Y"], k=9)), 9)
        there = convert(bio, "BIO", scheme)
        assert convert(there, scheme, "BIO") == bio
        if scheme != "IOB1":
            assert strict_entities(there, scheme) == entities(bio)


def test_real_files(shared):
    tweets = read_conll(shared / "data/ner/wnut17/emerging.dev.conll")
    assert (len(tweets), tweets.scheme, tweets.joined) == (1009, "BIO", False)
    assert sum(map(len, tweets.words)) == 15733
    assert sum(len(entities(tags)) for tags in tweets.tags) == 836  # as many as there are B
    names = tag_names(tweets.tags)
    assert len(names) == 13
    train = read_conll(shared / "data/ner/wnut17/wnut17train.conll", labels=names)
    assert (len(train), sum(map(len, train.words))) == (3394, 62730)

    diseases = read_conll(shared / "data/ner/ncbi-disease/test.txt")
    assert (len(diseases), sum(map(len, diseases.words))) == (940, 24497)
    assert tag_names(diseases.tags) == ["O", "B-Disease", "I-Disease"]

    klue = read_conll(shared / "data/ner/klue-ner/klue-ner-v1.1_dev.tsv")
    assert (len(klue), klue.joined) == (5000, True)
    assert "".join(klue.words[0]).startswith("경찰은 또 성매매 알선 자금을 관리한 박씨의 딸(32)과")
    assert klue.tags[0][:3] == ["B-OG", "I-OG", "O"]


def test_row_numbers_for_words_are_noted(tmp_path):
    path = tmp_path / "t.conllu"
    path.write_text("# text = Ann's\n1-2\tAnn's\tO\n1\tAnn\tB-PER\n2\t's\tO\n\n1\tYes\tO\n")
    with pytest.warns(UserNote, match=r"row numbers \(1-2, 1, 2, \.\.\.\), as in CoNLL-U; give --token_column=1"):
        read_conll(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_conll(path, token_column=1).words == [["Ann", "'s"], ["Yes"]]  # not the words of 1-2 twice
        path.write_text("1\tAnn\tO\n1.1\tdid\tO\n2\tso\tO\n12-3\tx\tO\n")
        assert read_conll(path, token_column=1).words == [["Ann", "so", "x"]]
        path.write_text("1\tO\n\n2\tO\n7\tO\n\n3\tO\n")  # scores, say
        read_conll(path)
    path.write_text("1\tAnn\tO\n2\truns\tO\n\n3\tYes\tO\n")  # through the whole file
    with pytest.warns(UserNote, match="row numbers"):
        read_conll(path)


def test_json_and_csv_are_named(tmp_path):
    path = tmp_path / "t.txt"
    for text, said in (
        ('{"tokens":["a"],"tags":["O"]}\n', "JSON is not read"),
        ("Word,POS,Tag\nAnn,NNP,O\n", "commas are"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=said):
            read_conll(path)
