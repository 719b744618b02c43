"""The fill_mask command: texts and lines in, words out, as JSON lines or to read, and what it refuses."""

import sys

import keras
import pytest

from keras_bert.cli.main import dispatch
from keras_bert.config import BertConfig
from keras_bert.models import BertEncoder, BertPretrainer
from keras_bert.tasks.fill_mask.filling import fill_mask
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.cli.shell import Shell, Terminal

pytestmark = pytest.mark.usefixtures("eagerly")

WORDS = ("paris", "is", "the", "capital", "of", "france", "a", "text", "to", "answer", "second", ".", "é")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A pre-trained model and a bare encoder, both with random weights."""
    folder = tmp_path_factory.mktemp("models")
    tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, *WORDS]))
    keras.utils.set_random_seed(3)
    sizes = {"vocab_size": tokenizer.vocab_size, "max_position_embeddings": 48, "initializer_range": 0.3}
    config = BertConfig.from_name("L-1_H-16", **sizes)
    BertEncoder(config).save_pretrained(folder / "encoder", tokenizer=tokenizer)
    BertPretrainer(BertEncoder(config)).save_pretrained(folder / "pretrained", tokenizer=tokenizer)
    return folder


@pytest.fixture
def shell(folder, monkeypatch, capsys):
    return Shell(monkeypatch, capsys, folder)


def expected(folder, texts, top_k):
    """Returns what the library says."""
    model = BertPretrainer.from_pretrained(folder / "pretrained")
    return fill_mask(model, Tokenizer.from_pretrained(folder / "pretrained"), texts, top_k=top_k)


def test_json_lines_where_nobody_reads_along(folder, shell):
    texts = ["Paris is the [MASK] of France.", "[MASK] [MASK] é"]
    answers = shell("fill_mask", "pretrained", "--top_k", 3, *texts)
    assert [answer["text"] for answer in answers] == texts
    for answer, masks in zip(answers, expected(folder, texts, 3), strict=True):
        for ours, theirs in zip(answer["masks"], masks, strict=True):
            assert [guess["token"] for guess in ours] == [guess["token"] for guess in theirs]
            assert [g["probability"] for g in ours] == pytest.approx([g["probability"] for g in theirs], abs=1e-6)
    assert "vocabulary 18" in shell.error


def test_any_number_of_lines_with_one_load(shell, monkeypatch):
    loads = []
    load = BertPretrainer.from_pretrained
    monkeypatch.setattr(BertPretrainer, "from_pretrained", lambda path: loads.append(path) or load(path))
    data = b"\xef\xbb\xbfthe [MASK]\r\n\n  \n" + b"a [MASK] of [MASK]\n" * 6 + b"[MASK]"
    answers = shell("fill_mask", "pretrained", "--batch_size", 4, data=data)
    assert [answer["text"] for answer in answers] == ["the [MASK]", *["a [MASK] of [MASK]"] * 6, "[MASK]"]
    assert [len(answer["masks"]) for answer in answers] == [1, *[2] * 6, 1]
    assert len(loads) == 1


def test_answers_on_a_terminal_are_read_by_people(folder, monkeypatch):
    screen, texts = Terminal(), ["the [MASK]", "[MASK] [MASK]"]
    monkeypatch.setattr(sys, "stdout", screen)
    given = dispatch(["fill_mask", f"--model_dir={folder / 'pretrained'}", "--top_k=1", *texts])
    answers = expected(folder, texts, 1)
    best = [guesses[0] for answer in answers for guesses in answer]
    one, two, three = (f"{guess['token']} {100 * guess['probability']:.1f} %" for guess in best)
    assert screen.getvalue().splitlines() == [
        "the [MASK]",
        f"  {one}",
        "[MASK] [MASK]",
        f"  [MASK] 1: {two}",
        f"  [MASK] 2: {three}",
    ]
    assert [answer["text"] for answer in given] == texts


def test_a_slip_while_typing_does_not_end_the_conversation(shell):
    answers = shell("fill_mask", "pretrained", data=b"the [mask]\nthe [MASK]\n", isatty=True)
    assert [answer["text"] for answer in answers] == ["the [MASK]"]
    assert "Type a text with [MASK] and press Enter; Ctrl-D ends." in shell.error
    assert "standard input, line 1: No [MASK] in 'the [mask]'" in shell.error


@pytest.mark.parametrize(
    ("model", "words", "data", "sentence", "before"),
    [
        ("nowhere", ["[MASK]"], b"", "nowhere does not exist", 0),
        ("encoder", ["[MASK]"], b"", "it lacks the weights cls/predictions/transform/dense/kernel", 0),
        ("pretrained", ["[MASK]", "no mask"], b"", "text 2: No [MASK] in 'no mask'", 1),
        ("pretrained", [], b"the capital\n", "standard input, line 1: No [MASK] in 'the capital'", 0),
        ("pretrained", [], b"[MASK]\n" * 4 + b"\nnone\n", "standard input, line 6: No [MASK] in 'none'", 4),
        ("pretrained", [], b"[MASK]\n" + b"a " * 48 + b"[MASK]\n", "line 2: A [MASK] of 'a a", 1),
        ("pretrained", [], b"[MASK]\n\xff\n", "standard input, line 2: not UTF-8", 1),
        ("pretrained", ["--top_k=19"], b"[MASK]\n", "fill_mask: top_k must be from 1 to 18", 0),
    ],
)
def test_what_cannot_be_filled_is_one_sentence(shell, model, words, data, sentence, before):
    said, answers = shell.refused("fill_mask", model, *words, data=data)
    assert sentence in said
    assert len(answers) == before
