"""Tagging, answering and choosing learnt with each kind of tokenizer, and served as the commands answer."""

import json
import unicodedata

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.cli.main import dispatch, main
from keras_bert.config import Config
from keras_bert.models import Encoder, Pretrainer
from tests.small import NO_DROPOUT, small_shape
from tests.text.kinds import small_tokenizer

SIZES = {"roberta": "roberta-base", "xlm_roberta": "xlm-roberta-base", "albert": "albert-base", "kobert": "base"}
LENGTH = 48


def once(first, *others):
    """Returns kinds as parameters of a test: one is slow, the others are nightly."""
    return [
        pytest.param(first, marks=pytest.mark.slow),
        *(pytest.param(other, marks=pytest.mark.nightly) for other in others),
    ]


TRAIN = f"--max_seq_length={LENGTH} --train_batch_size=6 --learning_rate=1e-2 --dropout=0 --eval_each_epoch=False"
NFD = unicodedata.normalize("NFD", "한국은 café")
# Words and tags: of one piece and of several, Korean, decomposed, full-width, an emoji, and one that may be dropped.
SENTENCES = [
    [("Jim", "B-PER"), ("Henson", "I-PER"), ("was", "O"), ("in", "O"), ("Paris", "B-LOC"), (".", "O")],
    [("나는", "O"), ("학교에", "B-LOC"), ("간다", "O"), (".", "O")],
    [("\u0301x", "O"), ("cafe\u0301", "B-LOC"), ("東京", "B-LOC"), ("👩\u200d👧", "O")],
    [("\u200b", "O"), ("Ｐａｒｉｓ", "B-LOC"), ("½", "O"), ("ﾊﾟ", "B-PER")],
    [("the", "O"), ("lazy", "B-PER"), ("dog", "I-PER"), ("isn't", "O"), ("(1895-1943)", "O")],
    [("Paris", "B-PER"), ("sings", "O")],
]
# Texts with doubled spaces and what the files do not have.
TEXTS = [
    "Jim  Henson was in Paris.",
    "나는 학교에  간다.",
    NFD,
    "",
    "  \u3000 ",
    "👩\u200d👧 Ｐａｒｉｓ\u200b!",
    "a\x00b <s> [SEP]",
]
BY_CHARACTER = ["나는 학교에 간다", NFD, "Jim ½ ﾊﾟ", "서울 👩\u200d👧!"]
# Contexts in whose words the answer begins and ends, and questions.
ANSWERS = [
    ("언제?", "라듐은  (1898년)에 발견되었다.", "1898년"),
    ("Who?", "Steve Smith's ha-ha  went.", "Smith"),
    ("When?", "It \u3000 was in (1895-1943), cafe\u0301 .", "1943"),
    ("어디?", unicodedata.normalize("NFD", "나는 학교에 간다."), unicodedata.normalize("NFD", "학교")),
    ("Was?", "Ｔｏｋｙｏ 東京👩\u200d👧 und\u00a0so.", "東京"),
    ("What?", "The lazy dog, \u200b isn't here", "lazy dog"),
]


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A function from a tokenizer's kind to a directory of a pre-trained model whose weights are random."""
    made = {}

    def make(family):
        if family not in made:
            keras.utils.set_random_seed(0)
            tokenizer = small_tokenizer(family)
            fields = small_shape(32, max_position_embeddings=LENGTH + 2, **NO_DROPOUT) | {"vocab_size": len(tokenizer)}
            fields |= {"embedding_size": 32} if family == "albert" else {}
            encoder = Encoder(Config.from_name(SIZES[family], **fields, pad_token_id=tokenizer.pad_id))
            made[family] = tmp_path_factory.mktemp(family) / "pretrained"
            Pretrainer(encoder).save_pretrained(made[family], tokenizer=tokenizer)
        return made[family]

    return make


QUESTIONS = [  # (kind, whether some questions have no answer, as in SQuAD 2.0)
    pytest.param("kobert", True, marks=pytest.mark.slow),
    *(pytest.param(family, False, marks=pytest.mark.nightly) for family in SIZES),
    pytest.param("roberta", True, marks=pytest.mark.nightly),
]


def train(command, model, output, *flags):
    """Trains a model of a task. Returns the results that the command writes."""
    assert main([command, f"--init_checkpoint={model}", f"--output_dir={output}", *TRAIN.split(), *flags]) == 0
    return json.loads((output / "eval_results.json").read_text())


def predicted(model, rows, capsys):
    """Returns what `keras-bert predict` answers to texts or objects."""
    is_text = isinstance(rows[0], str)
    file = model.parent / "asked.jsonl"
    file.write_text("".join(json.dumps({"text": row} if is_text else row) + "\n" for row in rows))
    capsys.readouterr()
    assert main(["predict", f"--model_dir={model}", f"--input_file={file}", "--input_format=json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def served(model):
    """Exports a model. Returns the signature of its SavedModel."""
    folder = model.parent / "served" / "1"
    dispatch(["export", f"--model_dir={model}", f"--output_dir={folder}"])
    loaded = tf.saved_model.load(str(folder))
    return lambda **rows: {n: x.numpy() for n, x in loaded.signatures["serving_default"](**rows).items()}


def check_tags(model, texts, capsys):
    """Holds the tags of the command and of the SavedModel together. Returns the tags of each text."""
    answers, found = predicted(model, texts, capsys), served(model)(text=tf.constant(texts))
    for row, (text, answer) in enumerate(zip(texts, answers, strict=True)):
        ours = answer["tokens"]
        assert len(ours) == found["num_tokens"][row]
        for place, token in enumerate(ours):
            assert text[token["start"] : token["end"]] == token["token"] == found["tokens"][row][place].decode()
            assert (token["start"], token["end"]) == (found["start"][row][place], found["end"][row][place])
            assert token["label"] == found["label"][row][place].decode()
        np.testing.assert_allclose([token["score"] for token in ours], found["score"][row][: len(ours)], atol=1e-5)
    return [[token["label"] for token in answer["tokens"]] for answer in answers]


@pytest.mark.parametrize("family", once("roberta", "xlm_roberta", "albert", "kobert"))
def test_words_are_tagged(family, pretrained, tmp_path, capsys):
    rows = ["\n".join("\t".join(row) for row in sentence) for sentence in SENTENCES]
    (tmp_path / "train.txt").write_text("\n\n".join(rows) + "\n", encoding="utf-8")
    files = [f"--{name}_file={tmp_path}/train.txt" for name in ("train", "eval")]
    model = tmp_path / "model"
    assert train("ner", pretrained(family), model, *files, "--num_train_epochs=40")["f1"] == 1.0
    tags = check_tags(model, TEXTS, capsys)
    assert tags[0] == ["B-PER", "I-PER", "O", "O", "B-LOC", "O"]  # as learnt, whatever space there is
    assert tags[1] == ["O", "B-LOC", "O", "O"]


@pytest.mark.parametrize("family", once("xlm_roberta", "roberta", "albert", "kobert"))
def test_characters_are_tagged(family, pretrained, tmp_path, capsys):
    rows = [
        "\n".join(f"{char}\t{'O' if char.isspace() else 'B-A' if n % 3 == 0 else 'I-A'}" for n, char in enumerate(text))
        for text in BY_CHARACTER
    ]
    (tmp_path / "train.tsv").write_text("\n\n".join(rows) + "\n", encoding="utf-8")
    files = [f"--{name}_file={tmp_path}/train.tsv" for name in ("train", "eval")]
    model = tmp_path / "model"
    results = train("ner", pretrained(family), model, *files, "--num_train_epochs=20")
    assert results["history"]["loss"][-1] < results["history"]["loss"][0] / 4
    check_tags(model, [*BY_CHARACTER, *TEXTS], capsys)


@pytest.mark.parametrize(("family", "version_2"), QUESTIONS)
def test_questions_are_answered(family, version_2, pretrained, tmp_path, capsys):
    paragraphs = []
    for number, (question, context, text) in enumerate(ANSWERS):
        answer = {"text": text, "answer_start": context.index(text)}
        qas = [{"id": f"q{number}", "question": question, "answers": [answer], "is_impossible": False}]
        if version_2 and number < 2:
            qas += [{"id": f"no{number}", "question": "Wer nicht?", "answers": [], "is_impossible": True}]
        paragraphs.append({"context": context, "qas": qas})
    (tmp_path / "squad.json").write_text(json.dumps({"data": [{"title": "", "paragraphs": paragraphs}]}))
    files = [f"--{name}_file={tmp_path}/squad.json" for name in ("train", "predict")]
    lengths = ["--doc_stride=8", "--max_query_length=12", "--num_train_epochs=50"]
    version = ["--version_2_with_negative"] if version_2 else []
    results = train("squad", pretrained(family), tmp_path / "model", *files, *lengths, *version)
    assert results["history"]["loss"][-1] < results["history"]["loss"][0] / 4
    rows = [{"question": qa["question"], "context": each["context"]} for each in paragraphs for qa in each["qas"]]
    rows += [{"question": "언제? " * 9, "context": "라듐은 (1898년)에  " * 9}, {"question": "", "context": "\u200b ½"}]
    answers = predicted(tmp_path / "model", rows, capsys)
    found = served(tmp_path / "model")(**{n: tf.constant([row[n] for row in rows]) for n in ("question", "context")})
    for number, (row, answer) in enumerate(zip(rows, answers, strict=True)):
        assert found["text"][number].decode() == answer["text"] == answer["text"].strip(" ")
        assert (found["start"][number], found["end"][number]) == (answer["start"], answer["end"])
        assert answer["start"] < 0 or row["context"][answer["start"] : answer["end"]] == answer["text"]
        assert found["score"][number] == pytest.approx(answer["score"], abs=1e-5)
    learnt = [qa["answers"][0]["text"] if qa["answers"] else "" for each in paragraphs for qa in each["qas"]]
    assert [answer["text"] for answer in answers[: len(learnt)]] == learnt


@pytest.mark.nightly
@pytest.mark.parametrize("family", SIZES)
def test_choices_are_made(family, pretrained, tmp_path, capsys):
    rows = [
        {"context": "Jim  Henson", "start": "was", "choices": ["bad", "good"], "label": 1},
        {"context": "나는 학교에", "start": "", "choices": ["good", "간다"], "label": 0},
        {"context": NFD, "start": "½", "choices": ["👩\u200d👧", "good"], "label": 1},
        {"context": "", "start": "The lazy", "choices": ["good", "dog"], "label": 0},
    ]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = [f"--{name}_file={tmp_path}/train.jsonl" for name in ("train", "eval")]
    flags = ["--start_column=start", "--num_train_epochs=40"]
    assert train("swag", pretrained(family), tmp_path / "model", *files, *flags)["accuracy"] == 1.0
    asked = [{"context": row["context"], "choices": row["choices"]} for row in rows]
    answers = predicted(tmp_path / "model", asked, capsys)
    found = served(tmp_path / "model")(**{n: tf.constant([row[n] for row in asked]) for n in ("context", "choices")})
    assert found["choice"].tolist() == [answer["choice"] for answer in answers]
    np.testing.assert_allclose(found["probabilities"], [answer["probabilities"] for answer in answers], atol=1e-5)
