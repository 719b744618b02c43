"""Questions from files, their rows, and a small model that learns to choose."""

import csv
import gzip
import json

import keras
import numpy as np
import pytest

import keras_bert as kb
from keras_bert.config import BertConfig
from keras_bert.errors import UserError
from keras_bert.models import BertEncoder, BertMultipleChoice
from keras_bert.tasks.choose.choices import (
    choice_metrics,
    dataset,
    encode_choices,
    evaluate,
    predict_choices,
)
from keras_bert.tasks.choose.files import Questions, read_choices, split_choices, write_answers
from keras_bert.text.layout import BERT
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

WORDS = "he she sat ate flew down up .".split()


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(Vocabulary([*SPECIAL_TOKENS, *WORDS]))


@pytest.fixture(scope="module")
def config(tokenizer):
    return BertConfig.from_name(
        "L-1_H-16", vocab_size=tokenizer.vocab_size, max_position_embeddings=16, initializer_range=0.3
    )


def test_white_space_of_a_choice_is_left_to_the_tokenizer():
    class Spelled:
        """Spells a text by its characters, of which a byte-level tokenizer has white space too."""

        layout, cls_id, sep_id = BERT, 1, 2

        def token_ids(self, text):
            return list(map(ord, text))

    questions = Questions(["a", "a"], ["", "b "], [[" c ", ""], ["d", ""]])
    rows = encode_choices(questions, Spelled())["input_ids"]
    ends = [" c ", "", "b  d", "b "]
    assert [row.tolist() for row in rows] == [[1, 97, 2, *map(ord, end), 2] for end in ends]


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def write_swag(path, *rows, label=True):
    """A file with the columns of SWAG's, an index without a name first."""
    header = ["", "video-id", "fold-ind", "startphrase", "sent1", "sent2", "gold-source"]
    header += ["ending0", "ending1", "ending2", "ending3", *(["label"] if label else [])]
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *([i, "v", "1", "s", *row] for i, row in enumerate(rows))])
    return path


def test_swags_columns(tmp_path):
    row = ("He sat, down.", "He", "gold", 'said "up".', "ate.", "flew.", "", "2")
    path = write_swag(tmp_path / "val.csv", row)
    questions = read_choices(path)
    assert questions.contexts == ["He sat, down."]
    assert questions.starts == ["He"]
    assert questions.choices == [['said "up".', "ate.", "flew.", ""]]
    assert questions.labels.tolist() == [2]
    assert questions.labels.dtype == np.int32
    assert (len(questions), questions.num_choices) == (1, 4)
    assert read_choices(path, labels=False).labels is None


def test_codahs_columns(tmp_path):
    text = 'o\tHe sat. He\tate.\tsaid "up".\tflew.\t"up".\t3\n\n'
    for name, data in (("train.tsv", text), ("train.tsv.gz", gzip.compress(text.encode()))):
        questions = read_choices(write(tmp_path / name, data))
        assert (questions.contexts, questions.starts, questions.labels.tolist()) == (["He sat. He"], [""], [3])
        assert questions.choices == [["ate.", 'said "up".', "flew.", '"up".']]


def test_jsonl_under_any_names(tmp_path):
    rows = [
        {"context": "a", "choices": ["b", "c", "d"], "label": 2},
        {"context": "e", "choices": list("fgh"), "label": "0"},
    ]
    path = write(tmp_path / "q.jsonl", "\n".join(map(json.dumps, rows)))
    questions = read_choices(path)
    assert (questions.starts, questions.num_choices, questions.labels.tolist()) == (["", ""], 3, [2, 0])
    path = write(tmp_path / "r.jsonl", '{"goal": "a", "begin": "To", "answers": ["b", "c"]}\n')
    questions = read_choices(path, labels=None, context="goal", start="begin", choices="answers")
    assert (questions.contexts, questions.starts, questions.choices) == (["a"], ["To"], [["b", "c"]])
    assert questions.labels is None


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])
def test_labels_are_taken_where_they_are(tmp_path, name):
    path = tmp_path / name
    if name == "t.csv":
        write_swag(path, ("a", "b", "gold", "c", "d", "e", "f"), label=False)
    else:
        write(path, "o\ta\tb\tc\td\te\n" if name == "t.tsv" else '{"context": "a", "choices": ["b", "c"]}\n')
    assert read_choices(path, labels=None).labels is None
    assert len(read_choices(path, labels=False)) == 1
    with pytest.raises(UserError, match=rf"{name} has no labels, .* as --predict_file"):
        read_choices(path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.tsv", "", "has no questions"),
        ("t.csv", "", "is empty"),
        ("t.tsv", "\n", "has no questions"),
        ("t.jsonl", "", "has no questions"),
        ("t.txt", "a", r"must end in .csv, .tsv, .jsonl"),
        ("t.tsv", "o\ta\tb\tc\td\te\t0\no\ta\tb\tc\td\te\n", "line 2: 6 columns, where .* and label make 7"),
        ("t.tsv", "o\ta\tb\tc\td\te\t4\n", "line 1: the label '4' is not one of the choices' numbers, 0, 1, 2, 3"),
        ("t.tsv", "o\ta\tb\tc\td\te\tx\n", "line 1: the label 'x'"),
        ("t.csv", "sent1,ending0,label\na,b,0\n", "no column 'sent2'"),
        ("t.jsonl", '{"context": "a", "choices": ["b", "c"], "label": true}\n', "the label 'true'"),
        ("t.jsonl", '{"context": "a", "choices": ["b", "c"], "label": -1}\n', "the label '-1'"),
        ("t.jsonl", '{"context": "a", "choices": "bc", "label": 0}\n', "the choices are 'bc'; a list of strings"),
        ("t.jsonl", '{"context": "a", "choices": ["b", 1], "label": 0}\n', "a list of strings was expected"),
        ("t.jsonl", '{"context": "a", "choices": ["b"], "label": 0}\n', "1 choices, where two or more"),
        (
            "t.jsonl",
            '{"context": "a", "choices": ["b", "c"], "label": 0}\n'
            '{"context": "a", "choices": ["b", "c", "d"], "label": 0}',
            "line 2: 3 choices, where the first question has 2",
        ),
        ("t.jsonl", '{"question": "a", "choices": ["b", "c"], "label": 0}\n', "no column 'context'"),
        ("t.jsonl", "{", "not JSON"),
    ],
)
def test_bad_files(tmp_path, name, text, message):
    path = write(tmp_path / name, text)
    with pytest.raises(UserError, match=message) as caught:
        read_choices(path)
    assert str(path) in str(caught.value)


def test_names_are_for_jsonl_alone(tmp_path):
    with pytest.raises(UserError, match="are fixed"):
        read_choices(write_swag(tmp_path / "t.csv"), context="goal")


def test_rows_stand_as_the_paper_has_them(tokenizer):
    questions = Questions(["He sat down."], ["She"], [["ate.", "flew up."]])
    rows = encode_choices(questions, tokenizer)
    tokens = [" ".join(tokenizer.vocabulary.token(int(i)) for i in ids) for ids in rows["input_ids"]]
    assert tokens == ["[CLS] he sat down . [SEP] she ate . [SEP]", "[CLS] he sat down . [SEP] she flew up . [SEP]"]
    assert rows["segment_ids"][0].tolist() == [0] * 6 + [1] * 4
    cut = encode_choices(questions, tokenizer, max_seq_length=8)
    assert [len(ids) for ids in cut["input_ids"]] == [8, 8]


def test_batches_have_an_axis_of_choices(tokenizer):
    questions = Questions(["he", "she"], ["", ""], [["sat", "ate"], ["flew down", "up"]], np.array([1, 0], np.int32))
    [(x, y)] = dataset(questions, tokenizer, batch_size=2, shuffle=False).as_numpy_iterator()
    assert x["input_ids"].shape == (2, 2, 8)
    assert x["input_mask"].sum(axis=2).tolist() == [[5, 5], [6, 5]]
    assert y.tolist() == [1, 0]


def test_figures_by_hand():
    figures = choice_metrics([0, 1, 1], np.log([[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]]))
    assert figures["accuracy"] == pytest.approx(2 / 3)
    assert figures["loss"] == pytest.approx(-np.log([0.5, 0.75, 0.1]).mean())


def make_questions(seed, count=32):
    """Whoever flew is right."""
    rng = np.random.default_rng(seed)
    choices = [rng.permutation(["sat", "ate", "flew"]).tolist() for _ in range(count)]
    labels = np.array([each.index("flew") for each in choices], np.int32)
    return Questions(rng.choice(["down", "up"], count).tolist(), ["he"] * count, choices, labels)


def test_it_learns_to_choose(tokenizer, config):
    train, held_out = make_questions(0), make_questions(1, 12)

    def make():
        return BertMultipleChoice(
            BertEncoder(config.replace(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))
        )

    options = {"epochs": 6, "learning_rate": 5e-3, "train_batch_size": 4, "max_seq_length": 8}
    best = kb.tasks.choose.train(make, tokenizer, train, held_out, seeds=[1], evaluate_each_epoch=False, **options)
    assert best.results["accuracy"] == 1.0
    assert best.outputs.shape == (12, 3)
    assert best.outputs.argmax(axis=1).tolist() == held_out.labels.tolist()
    assert evaluate(best.model, tokenizer, held_out, max_seq_length=8)["accuracy"] == 1.0


def test_answers_are_those_of_each_question_alone(tokenizer, config, tmp_path):
    keras.utils.set_random_seed(0)
    model = BertMultipleChoice(BertEncoder(config))
    questions = Questions(
        ["he sat down .", "she", "he ate"], ["", "she", ""], [["up", "down"], ["ate . she flew", "."], ["flew", "sat"]]
    )
    probabilities = predict_choices(model, tokenizer, questions, max_seq_length=16, batch_size=2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    for number in range(3):
        ids = [ids[None] for ids in encode_choices(questions.take([number]), tokenizer)["input_ids"]]
        segments = [s[None] for s in encode_choices(questions.take([number]), tokenizer)["segment_ids"]]
        logits = [
            float(model({"input_ids": i[None], "input_mask": np.ones_like(i)[None], "segment_ids": s[None]})[0, 0])
            for i, s in zip(ids, segments, strict=True)
        ]
        expected = np.exp(logits) / np.exp(logits).sum()
        np.testing.assert_allclose(probabilities[number], expected, atol=1e-5)

    write_answers(tmp_path / "p.tsv", questions, np.log([[0.25, 0.75], [0.5, 0.5], [1.0, 1e-9]]))
    lines = (tmp_path / "p.tsv").read_text().splitlines()
    assert lines[0] == "context\tlabel\tanswer\tprobability\tprobability of 0\tprobability of 1"
    assert lines[1] == "he sat down .\t1\tdown\t0.750000\t0.250000\t0.750000"
    assert lines[2] == "she\t0\tshe ate . she flew\t0.500000\t0.500000\t0.500000"


def test_questions_of_one_context_stay_together():
    questions = Questions(
        [f"c{i // 2}" for i in range(40)], [""] * 40, [["a", str(i)] for i in range(40)], np.arange(40) % 2
    )
    train, held_out = split_choices(questions, share=0.2, seed=3)
    assert (len(train), len(held_out)) == (32, 8)
    assert not set(train.contexts) & set(held_out.contexts)
    for part in (train, held_out):
        assert [int(choices[1]) % 2 for choices in part.choices] == part.labels.tolist()


def test_real_files(shared):
    swag = read_choices(shared / "data/swag/swag_first_rows.csv")
    assert swag.num_choices == 4
    assert (swag.starts[0], swag.choices[0][2], swag.labels[0]) == ("She", "walks slowly towards someone.", 2)
    codah = read_choices(shared / "data/swag/codah/full_data.tsv")
    assert np.bincount(codah.labels).tolist() == [689, 684, 697, 706]
    assert codah.choices[0][3] == "tempted to snack when I feel this way."
    folds = [read_choices(shared / f"data/swag/codah/cv_split/fold_{i}/test.tsv") for i in range(5)]
    assert sum(map(len, folds)) == len(codah) == 2776


def test_a_label_may_be_a_whole_number_with_a_point(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"context": "a", "choices": ["b", "c"], "label": 1.0}\n')
    assert read_choices(path).labels.tolist() == [1]
    for label in ("0.5", "true", "NaN", '"-1"'):
        path.write_text(f'{{"context": "a", "choices": ["b", "c"], "label": {label}}}\n')
        with pytest.raises(UserError, match="line 1: "):
            read_choices(path)
