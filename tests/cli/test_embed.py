"""The embed command: a file of texts to vectors, a search among them, and what it refuses."""

import json

import keras
import numpy as np
import pytest

from keras_bert.cli.main import main
from keras_bert.config import BertConfig
from keras_bert.models import BertEncoder
from keras_bert.tasks.embed.embedding import embed
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.cli.shell import Shell, stdin

pytestmark = pytest.mark.usefixtures("eagerly")

TEXTS = ["a red dog", "", "a green cat", "the red dog runs and runs", 'tab\there "quoted" é']
WORDS = "a the red green dog cat runs and tab here quoted".split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model with random weights in model/, and its texts, a blank line among them."""
    folder = tmp_path_factory.mktemp("embed")
    keras.utils.set_random_seed(1)
    tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, *WORDS, '"']))
    config = BertConfig.from_name(
        "L-2_H-16", vocab_size=tokenizer.vocab_size, max_position_embeddings=32, initializer_range=0.3
    )
    BertEncoder(config).save_pretrained(folder / "model", tokenizer=tokenizer)
    (folder / "texts.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def expected(folder):
    """A function that gives the library's own vectors of the texts."""
    model, tokenizer = BertEncoder.from_pretrained(folder / "model"), Tokenizer.from_pretrained(folder / "model")
    return lambda **options: embed(model, tokenizer, TEXTS, **{"max_seq_length": 32, **options})


def run(folder, *flags):
    places = [f"--model_dir={folder / 'model'}", f"--input_file={folder / 'texts.txt'}"]
    return main(["embed", *places, *map(str, flags)])


def test_an_array_a_row_for_each_line(folder, expected, tmp_path, capsys):
    path = tmp_path / "out.npy"
    assert run(folder, f"--output_file={path}", "--batch_size=2") == 0
    vectors = np.load(path)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected(), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    printed = capsys.readouterr().out
    assert "vectors: mean of the last hidden states, length 1, texts of up to 32 tokens" in printed
    assert f"wrote: {path}, 5 vectors of 16" in printed
    assert "next: keras-bert embed" in printed


def test_json_lines(folder, expected, tmp_path):
    path = tmp_path / "out.jsonl"
    assert run(folder, f"--output_file={path}", "--pooling=max", "--nonormalize", "--max_seq_length=4") == 0
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [row["text"] for row in rows] == TEXTS
    assert set(rows[0]) == {"text", "embedding"}
    wanted = expected(pooling="max", normalize=False, max_seq_length=4)
    np.testing.assert_allclose([row["embedding"] for row in rows], wanted, atol=1e-5)


def test_a_query_finds_its_own_line_first(folder, expected, capsys):
    assert run(folder, "--query", TEXTS[3], "--query", TEXTS[0], "--top_k", 9) == 0
    lines = capsys.readouterr().out.splitlines()
    start = lines.index(f"nearest to {TEXTS[3]!r}:")
    assert lines[start + 1] == f"  1.0000  line 4: {TEXTS[3]}"
    cosines = expected() @ expected()[3]
    second = sorted((i for i in range(5) if TEXTS[i] and i != 3), key=lambda i: -cosines[i])[0]
    assert lines[start + 2] == f"  {cosines[second]:.4f}  line {second + 1}: {TEXTS[second]}"
    assert lines[start + 5 : start + 7] == [f"nearest to {TEXTS[0]!r}:", f"  1.0000  line 1: {TEXTS[0]}"]
    assert len(lines) == start + 10  # a blank line is never found


def test_settings_beside_the_model_are_followed_and_flags_go_first(folder, expected, tmp_path, capsys):
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling")]
    modules = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in kinds]
    (folder / "model" / "modules.json").write_text(json.dumps(modules))
    (folder / "model" / "1_Pooling").mkdir()
    (folder / "model" / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": "cls"}))
    (folder / "model" / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 5}))
    try:
        assert run(folder, f"--output_file={tmp_path / 'own.npy'}") == 0
        own = np.load(tmp_path / "own.npy")
        np.testing.assert_allclose(own, expected(pooling="cls", normalize=False, max_seq_length=5), atol=1e-5)
        flags = ["--pooling=mean", "--normalize", "--max_seq_length=32"]
        assert run(folder, f"--output_file={tmp_path / 'flags.npy'}", *flags) == 0
        np.testing.assert_allclose(np.load(tmp_path / "flags.npy"), expected(), atol=1e-5)
        (folder / "model" / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": "median"}))
        capsys.readouterr()
        assert run(folder, f"--output_file={tmp_path / 'other.npy'}") == 2
        assert "ask for a pooling that is not done here; pooling must be one of mean" in capsys.readouterr().err
        # A search reads texts and queries after prompts of their own.
        prompts = {"prompts": {"query": "a red ", "document": "the "}, "default_prompt_name": "query"}
        (folder / "model" / "config_sentence_transformers.json").write_text(json.dumps(prompts))
        assert run(folder, *flags, "--pooling=cls", "--query=dog", "--top_k=1") == 0
        printed = capsys.readouterr().out
        assert "texts of up to 32 tokens after the prompt 'the '" in printed
        model, tokenizer = BertEncoder.from_pretrained(folder / "model"), Tokenizer.from_pretrained(folder / "model")
        options = {"pooling": "cls", "normalize": True, "max_seq_length": 32}
        corpus = embed(model, tokenizer, TEXTS, prompt="the ", **options)
        [score] = (embed(model, tokenizer, ["dog"], prompt="a red ", **options) @ np.delete(corpus, 1, axis=0).T).max(1)
        assert f"  {score:.4f}  line " in printed
        assert run(folder, f"--output_file={tmp_path / 'named.npy'}", *flags, "--prompt_name=document") == 0
        named = embed(model, tokenizer, TEXTS, prompt="the ", **{**options, "pooling": "mean"})
        np.testing.assert_allclose(np.load(tmp_path / "named.npy"), named, atol=1e-5)
    finally:
        (folder / "model" / "modules.json").unlink()
        (folder / "model" / "config_sentence_transformers.json").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--max_seq_length=33"], ["33", "to 32"]),
        (["--query=a", "a text"], ["give one of both"]),
        (["--output_file=out.txt"], ["out.txt must end in .npy or .jsonl"]),
        (["--output_file={tmp}/there.npy"], ["there.npy exists already", "--force"]),
        (["--query=a", "--input_file=nowhere.txt"], ["nowhere.txt"]),
        (["--query=a", "--input_file={tmp}/blank.txt"], ["blank.txt has no text"]),
        (["--query=a", "--max_seq_length=33"], ["33", "to 32"]),
        (["--query=a", "--model_dir=nowhere"], ["nowhere"]),
    ],
)
def test_what_does_not_fit_is_one_sentence(folder, tmp_path, capsys, flags, words):
    (tmp_path / "there.npy").write_text("mine")
    (tmp_path / "blank.txt").write_text("\n \n")
    assert run(folder, *(flag.format(tmp=tmp_path) for flag in flags)) == 2
    error = capsys.readouterr().err.strip()
    assert error.count("\n") == 0
    assert all(word in error for word in words), error
    assert (tmp_path / "there.npy").read_text() == "mine"


def test_force_replaces(folder, tmp_path):
    (tmp_path / "there.npy").write_text("mine")
    assert run(folder, f"--output_file={tmp_path / 'there.npy'}", "--force") == 0
    assert np.load(tmp_path / "there.npy").shape == (5, 16)


@pytest.fixture
def shell(folder, monkeypatch, capsys):
    return Shell(monkeypatch, capsys, folder)


def test_a_vector_for_each_line_as_json_lines(shell, folder, expected):
    data = "\n".join(TEXTS).encode()
    answers = shell("embed", "model", "--batch_size=2", data=data)
    assert [answer["text"] for answer in answers] == TEXTS  # the blank one, too
    assert set(answers[0]) == {"text", "embedding"}
    np.testing.assert_allclose([answer["embedding"] for answer in answers], expected(), atol=1e-5)
    assert "vectors: mean of the last hidden states, length 1" in shell.error
    flags = ["--pooling=max", "--max_seq_length=4", "--nonormalize"]  # a text follows it
    wanted = expected(pooling="max", normalize=False, max_seq_length=4)
    for answers in (shell("embed", "model", *flags, *TEXTS), shell("embed", "model", *flags, data=data)):
        np.testing.assert_allclose([answer["embedding"] for answer in answers], wanted, atol=1e-5)
    assert shell("embed", "model", *flags, f"--input_file={folder / 'texts.txt'}") == answers
    assert shell("embed", "model", data=b"") == []


def test_standard_input_to_an_array_and_to_a_search(shell, expected, tmp_path):
    shell.monkeypatch.setattr("sys.stdin", stdin("\n".join(TEXTS).encode()))
    assert main(["embed", f"--model_dir={shell.folder / 'model'}", f"--output_file={tmp_path / 'a.npy'}"]) == 0
    np.testing.assert_allclose(np.load(tmp_path / "a.npy"), expected(), atol=1e-5)
    assert main(["embed", f"--model_dir={shell.folder / 'model'}", "--query", TEXTS[2], *TEXTS]) == 0
    printed = shell.capsys.readouterr().out.splitlines()
    assert printed[printed.index(f"nearest to {TEXTS[2]!r}:") + 1] == f"  1.0000  line 3: {TEXTS[2]}"
    assert "next:" not in "".join(printed)


def test_a_vector_to_read(shell, expected):
    assert main(["embed", f"--model_dir={shell.folder / 'model'}", "--format=text", TEXTS[0]]) == 0
    begin = " ".join(f"{number:.4f}" for number in expected()[0][:6])
    assert shell.capsys.readouterr().out.splitlines() == [TEXTS[0], f"  {begin} ... (16 numbers)"]


@pytest.mark.parametrize(
    ("words", "data", "sentence", "before"),
    [
        ([], b"a\n\n\xff\n", "standard input, line 3: not UTF-8", 2),
        (["--query=a"], b" \n\n", "standard input has no text", 0),
        (["--output_file=out.npy"], b"", "standard input has no text", 0),
        (["--max_seq_length=2"], b"a\n", "max_seq_length must be from 3", 0),
    ],
)
def test_lines_that_do_not_fit(shell, words, data, sentence, before):
    said, answers = shell.refused("embed", "model", *words, data=data)
    assert sentence in said
    assert len(answers) == before
