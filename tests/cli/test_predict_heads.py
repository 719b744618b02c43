"""The predict command in the shell, for taggers, readers and choosers: objects and texts in, their answers out."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.checkpoints import open_checkpoint
from keras_bert.cli.main import main
from keras_bert.config import BertConfig
from keras_bert.models import (
    BertEncoder,
    BertMultipleChoice,
    BertPretrainer,
    BertSpanLabeler,
    BertTokenClassifier,
)
from keras_bert.serving.export import export
from keras_bert.serving.loading import load
from keras_bert.tasks import answer as squad
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.cli.shell import Shell, lines
from tests.pages import DOCS, blocks_of, commands_of, our_command

WORDS = "rollo came to normandy in 911 . who ? he opened the door went ate it when - ##9".split()
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
TEXTS = ["Rollo came to Normandy in 911.", "", "it", "\u200b he \x0e went; who opened the door when Rollo came to it?"]
QUESTIONS = [
    {"question": "Who came?", "context": "Rollo came to Normandy in 911. He opened the door. When he went, it ate."},
    {"question": "When came Rollo to Normandy, and who opened the door?", "context": "In 911."},
    {"question": "", "context": "He went in."},
]
CHOICES = [
    {"context": "He opened the door.", "choices": ["He went in.", "He ate it."]},
    {"context": "Rollo came.", "choices": ["In 911.", "To Normandy.", "Who?"]},
    {"context": "", "choices": ["It.", "He."]},
]
READING = {
    "tagger": {"max_seq_length": 8},
    "characters": {"max_seq_length": 16, "by_character": True},
    "reader": {"max_seq_length": 16, "doc_stride": 3, "max_query_length": 4},
    "doubter": {"max_seq_length": 16, "doc_stride": 3, "max_query_length": 4},
    "sure": {"max_seq_length": 16, "doc_stride": 3, "max_query_length": 4},
    "chooser": {"max_seq_length": 12},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model of each kind, as the fine-tuning commands leave it, with random weights."""
    folder = tmp_path_factory.mktemp("models")
    tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, *WORDS, *"abcdefghijklmnopqrstuvwxyz"]))
    sizes = {"vocab_size": tokenizer.vocab_size, "max_position_embeddings": 24, "initializer_range": 0.5}
    config = BertConfig.from_name("L-1_H-16", **sizes)
    keras.utils.set_random_seed(4)
    models = {
        "tagger": BertTokenClassifier(BertEncoder(config), 5, labels=TAGS),
        "characters": BertTokenClassifier(BertEncoder(config), 5, labels=TAGS),
        "reader": BertSpanLabeler(BertEncoder(config)),
        "doubter": BertSpanLabeler(BertEncoder(config), null_score_diff_threshold=-100.0),
        "sure": BertSpanLabeler(BertEncoder(config), null_score_diff_threshold=100.0),
        "chooser": BertMultipleChoice(BertEncoder(config)),
        "encoder": BertEncoder(config),
        "pretrained": BertPretrainer(BertEncoder(config)),
    }
    for name, model in models.items():
        model.save_pretrained(folder / name, tokenizer=tokenizer)
        if name in READING:
            task = open_checkpoint(folder / name).task
            (folder / name / "task.json").write_text(json.dumps({**task, "reading": READING[name]}))
    return folder


@pytest.fixture
def shell(folder, monkeypatch, capsys):
    return Shell(monkeypatch, capsys, folder)


def served(folder, name, tmp_path):
    """Exports a model. Returns a function of strings that asks its SavedModel and returns {name: array}."""
    loaded = load(folder / name)
    path = export(loaded.model, loaded.tokenizer, tmp_path / name, **loaded.settings).path
    signature = tf.saved_model.load(str(path)).signatures["serving_default"]

    def ask(**inputs):
        answers = signature(**{name: tf.constant(value) for name, value in inputs.items()})
        return {name: value.numpy() for name, value in answers.items()}

    return ask


@pytest.mark.parametrize("model", ["tagger", pytest.param("characters", marks=pytest.mark.slow)])
def test_words_are_tagged_as_by_the_saved_model(folder, shell, tmp_path, model):
    answers = shell("predict", model, "--batch_size=2", data="\n".join(TEXTS).encode())
    expected = served(folder, model, tmp_path)(text=TEXTS)
    assert [answer["text"] for answer in answers] == TEXTS
    assert [len(answer["tokens"]) for answer in answers] == expected["num_tokens"].tolist()
    assert sum(map(len, TEXTS)) > 3 * READING[model]["max_seq_length"]  # some are read in windows
    for row, found in enumerate(answer["tokens"] for answer in answers):
        for name, key in (("token", "tokens"), ("start", "start"), ("end", "end"), ("label", "label")):
            theirs = [each.decode() if isinstance(each, bytes) else each for each in expected[key][row].tolist()]
            assert [token[name] for token in found] == theirs[: len(found)]
        np.testing.assert_allclose([token["score"] for token in found], expected["score"][row][: len(found)], atol=1e-5)
    for text, found in zip(TEXTS, answers, strict=True):
        assert all(text[token["start"] : token["end"]] == token["token"] for token in found["tokens"])
    assert len({token["label"] for answer in answers for token in answer["tokens"]}) > 1
    assert f"longer than {READING[model]['max_seq_length']}: read in windows" in shell.error


@pytest.mark.usefixtures("eagerly")
def test_a_flag_decides_about_characters(folder, shell):
    [answer] = shell("predict", "tagger", "he came", "--by_character")
    assert [token["token"] for token in answer["tokens"]] == list("he came")
    [answer] = shell("predict", "characters", "he came", "--noby_character")
    assert [token["token"] for token in answer["tokens"]] == ["he", "came"]


@pytest.mark.parametrize(
    "model", ["reader", *(pytest.param(each, marks=pytest.mark.slow) for each in ("doubter", "sure"))]
)
def test_questions_are_answered_as_by_the_saved_model(folder, shell, tmp_path, model):
    answers = shell("predict", model, data=lines(QUESTIONS))
    columns = {key: [each[key] for each in QUESTIONS] for key in QUESTIONS[0]}
    expected = served(folder, model, tmp_path)(**columns)
    assert [answer["text"] for answer in answers] == [text.decode() for text in expected["text"]]
    for key in ("start", "end"):
        assert [answer[key] for answer in answers] == expected[key].tolist()
    np.testing.assert_allclose([answer["score"] for answer in answers], expected["score"], atol=1e-5)
    assert all((answer["text"] == "") == (model == "doubter") for answer in answers)
    assert all(("null_score" in answer) == (model != "reader") for answer in answers)
    if model != "reader":
        np.testing.assert_allclose([each["null_score"] for each in answers], expected["null_score"], atol=1e-4)
    loaded = load(folder / model)
    spans = squad.answer(loaded.model, loaded.tokenizer, *columns.values(), **READING[model])
    assert [each["text"] for each in answers] == [span.text for span in spans]


@pytest.mark.usefixtures("eagerly")
def test_a_context_without_words_has_no_answer(shell):
    for model in ("reader", "doubter"):
        answers = shell("predict", model, data=lines([{"question": "Who?", "context": " "}, QUESTIONS[0]]))
        assert answers[0]["text"] == ""
        assert (answers[0]["start"], answers[0]["end"], answers[0]["score"]) == (-1, -1, 1.0)
        assert len(answers) == 2


def test_choices_of_any_number_are_chosen_as_by_the_saved_model(folder, shell, tmp_path):
    answers = shell("predict", "chooser", data=lines(CHOICES))
    ask = served(folder, "chooser", tmp_path)
    for question, found in zip(CHOICES, answers, strict=True):
        expected = ask(context=[question["context"]], choices=[question["choices"]])
        assert found["choice"] == expected["choice"][0]
        np.testing.assert_allclose(found["probabilities"], expected["probabilities"][0], atol=1e-5)
    assert len({answer["choice"] for answer in answers}) > 1


@pytest.mark.usefixtures("eagerly")
def test_ids_are_copied_beside_the_answers_and_blank_lines_of_objects_passed_over(shell):
    given = [{"key": key, **each} for key, each in zip(["q1", 2, 3.5], QUESTIONS, strict=True)]
    plain = shell("predict", "reader", data=lines(QUESTIONS))
    answers = shell("predict", "reader", "--id_column=key", data=b"\n \n" + lines(given) + b"\n")
    assert [answer.pop("id") for answer in answers] == ["q1", "2", "3.5"]
    assert answers == plain


@pytest.mark.usefixtures("eagerly")
def test_objects_and_files_are_read_by_taggers_too(shell, tmp_path):
    plain = shell("predict", "tagger", *TEXTS[2:])
    objects = lines({"text": text} for text in TEXTS[2:])
    assert shell("predict", "tagger", "--input_format=json", data=objects) == plain
    (tmp_path / "t.jsonl").write_bytes(objects)
    assert shell("predict", "tagger", f"--input_file={tmp_path / 't.jsonl'}") == plain
    bodies = lines({"text": "", "body": text} for text in TEXTS[2:])
    assert shell("predict", "tagger", "--text_column=body", "--input_format=json", data=bodies) == plain
    assert shell("predict", "tagger", data=objects) != plain
    assert "note: standard input, line 1 is an object, and is read as a text" in shell.error


@pytest.mark.usefixtures("eagerly")
def test_answers_in_a_file(shell, tmp_path, capsys):
    path = tmp_path / "a.jsonl"
    expected = shell("predict", "chooser", data=lines(CHOICES))
    (tmp_path / "q.jsonl").write_bytes(lines(CHOICES))
    flags = [f"--model_dir={shell.folder / 'chooser'}", f"--input_file={tmp_path / 'q.jsonl'}", f"--output_file={path}"]
    assert main(["predict", *flags]) == 0
    assert [json.loads(line) for line in path.read_text().splitlines()] == expected
    printed = capsys.readouterr().out
    assert "answers with one of the choices" in printed
    assert f"{path}, 3 predictions" in printed
    (tmp_path / "q.jsonl").write_bytes(lines(CHOICES) + b"{}\n")
    assert main(["predict", *flags, "--force"]) == 2
    assert [json.loads(line) for line in path.read_text().splitlines()] == expected
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.jsonl", "q.jsonl"]


@pytest.mark.usefixtures("eagerly")
def test_bfloat16_is_near_and_leaves_keras_as_it_was(shell):
    policy = keras.config.dtype_policy().name
    exact = shell("predict", "chooser", data=lines(CHOICES))
    rounded = shell("predict", "chooser", "--dtype=mixed_bfloat16", data=lines(CHOICES))
    assert keras.config.dtype_policy().name == policy
    assert rounded != exact
    for one, other in zip(exact, rounded, strict=True):
        np.testing.assert_allclose(one["probabilities"], other["probabilities"], atol=0.1)


@pytest.mark.usefixtures("eagerly")
def test_answers_to_read(shell, capsys):
    def shown(model, *words):
        shell("predict", model)  # which has no text
        assert main(["predict", f"--model_dir={shell.folder / model}", "--format=text", *words]) == 0
        return capsys.readouterr().out.splitlines()

    [tagged] = shell("predict", "tagger", TEXTS[0])
    named = [token for token in tagged["tokens"] if token["label"] != "O"]
    written = [f"  {token['token']}  {token['label']} {100 * token['score']:.1f} %" for token in named]
    assert shown("tagger", TEXTS[0]) == [TEXTS[0], *(written or ["  nothing found"])]
    assert shown("tagger", "") == ["", "  nothing found"]
    [found] = shell("predict", "reader", json.dumps(QUESTIONS[0]))
    span = f"  {found['text']} {100 * found['score']:.1f} %"
    assert shown("reader", json.dumps(QUESTIONS[0])) == [QUESTIONS[0]["question"], span]
    [chosen] = shell("predict", "chooser", json.dumps(CHOICES[1]))
    best = max(chosen["probabilities"])
    first = f"  {CHOICES[1]['choices'][chosen['choice']]} {100 * best:.1f} %"
    assert shown("chooser", json.dumps(CHOICES[1]))[:2] == [CHOICES[1]["context"], first]


@pytest.mark.usefixtures("eagerly")
def test_a_slip_while_typing_does_not_end_the_conversation(shell):
    data = b"who?\n\n" + lines([{"question": "Who?"}, QUESTIONS[0]])
    [answer] = shell("predict", "reader", data=data, isatty=True)
    assert answer == shell("predict", "reader", data=lines(QUESTIONS[:1]))[0]
    shell("predict", "reader", data=data, isatty=True)
    assert 'Type {"question": "...", "context": "..."} a line and press Enter' in shell.error
    assert "standard input, line 1: not JSON" in shell.error
    assert "standard input, line 3: 'context' is missing" in shell.error


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(
    ("model", "words", "data", "sentence", "before"),
    [
        ("nowhere", ["it"], b"", "nowhere does not exist", 0),
        ("encoder", ["it"], b"", "encoder has no answers to predict, for it has no task.json; keras-bert embed", 0),
        ("pretrained", ["it"], b"", "for it was saved for fill_mask; keras-bert embed asks it for vectors", 0),
        ("reader", [], lines(QUESTIONS) + b"Who?\n", "standard input, line 4: not JSON", 3),
        ("reader", [], lines(QUESTIONS[:2]) + b'\n{"question": "Who?"}\n', "line 4: 'context' is missing", 2),
        (
            "reader",
            [],
            b'{"question": ["Who?"], "context": ""}\n',
            "'question' is [\"Who?\"]; a string was expected",
            0,
        ),
        ("reader", ["Who?"], b"", "text 1: not JSON", 0),
        ("reader", ["--input_format=text", "Who?"], b"", "--input_format=text: ", 0),
        ("reader", ["--long_texts=cut", "{}"], b"", "--long_texts means nothing to ", 0),
        ("reader", ["--max_query_length=13", "{}"], b"", "greater than max_query_length + 3", 0),
        ("chooser", [], lines([*CHOICES, {"context": "a", "choices": ["b"]}]), "line 4: 'choices' is [\"b\"]", 3),
        ("chooser", ["--max_seq_length=25", "{}"], b"", "to 24", 0),
        ("chooser", ["--output_file={tmp}/a.tsv", "{}"], b"", "call {tmp}/a.tsv NAME.jsonl", 0),
        ("chooser", ["--output_file={tmp}/a.txt", "{}"], b"", "must end in .tsv or .jsonl", 0),
        ("tagger", ["--input_file={tmp}/t.tsv"], b"", "t.tsv is a table, and these are for classifiers", 0),
        ("tagger", ["--input_file={tmp}/t.tsv", "it"], b"", "give one of both", 0),
        ("tagger", ["--input_file={tmp}/none.txt"], b"", "--input_file: {tmp}/none.txt does not exist", 0),
        ("tagger", ["--id_column=key"], b"it\n", "line 1: not JSON (", 0),
        ("tagger", [], b"it\n\xff\n", "standard input, line 2: not UTF-8", 1),
    ],
)
def test_what_does_not_fit_is_one_sentence(shell, tmp_path, model, words, data, sentence, before):
    (tmp_path / "t.tsv").write_text("text\nit\n")
    words = [word.replace("{tmp}", str(tmp_path)) for word in words]
    said, answers = shell.refused("predict", model, *words, data=data)
    assert sentence.replace("{tmp}", str(tmp_path)) in said
    assert len(answers) == before
    assert [path.name for path in tmp_path.iterdir()] == ["t.tsv"]


def test_the_lines_of_the_documentation_run(folder, tmp_path, monkeypatch, capsys):
    for name in ("tagger", "reader", "chooser"):
        shutil.copytree(folder / name, tmp_path / name)
    (tmp_path / "questions.jsonl").write_bytes(lines(QUESTIONS))
    monkeypatch.chdir(tmp_path)
    marker = "run by tests/cli/test_predict_heads.py"
    [block] = [block for block in blocks_of(DOCS / "serving.md") if block.marker == marker]
    for line in commands_of(block.code):
        assert main(our_command(line)) == 0, line
        assert capsys.readouterr().out.strip(), line
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == len(QUESTIONS)
