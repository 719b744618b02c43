"""kb.predict: every kind of model asked by one function, against what its own task's functions say."""

import numpy as np
import pytest

import keras_bert as kb
from keras_bert.checkpoints import open_checkpoint
from keras_bert.models import BertClassifier, BertSpanLabeler
from keras_bert.tasks.classify.arrays import predict as ask

TEXTS = ["Paris is the capital of France.", "", "the " * 30]
CONTEXT = "Paris is the capital. " * 20


def test_classes(models, tokenizer):
    expected = ask(models["classify"], tokenizer, TEXTS, max_seq_length=64)
    for given in (TEXTS, iter(TEXTS), np.array(TEXTS), [{"text": text, "more": 1} for text in TEXTS]):
        answers = kb.predict(models["classify"], tokenizer, given)
        assert [answer["text"] for answer in answers] == TEXTS
        assert [answer["label"] for answer in answers] == expected["label"]
    for answer, probabilities in zip(answers, expected["probabilities"], strict=True):
        assert list(answer["probabilities"]) == ["good", "bad", "schön"]
        np.testing.assert_allclose(list(answer["probabilities"].values()), probabilities, atol=2e-6)
        assert answer["probability"] == max(answer["probabilities"].values())
    assert kb.predict(models["classify"], tokenizer, []) == []


def test_pairs_several_labels_and_numbers(models, tokenizer):
    pairs = list(zip(TEXTS, TEXTS[::-1], strict=True))
    expected = ask(models["pair"], tokenizer, TEXTS, TEXTS[::-1], max_seq_length=64)["label"]
    for given in ([pairs], [TEXTS, TEXTS[::-1]], [[{"text": a, "pair": b} for a, b in pairs]]):
        answers = kb.predict(models["pair"], tokenizer, *given)
        assert [(answer["text"], answer["pair"]) for answer in answers] == pairs
        assert [answer["label"] for answer in answers] == expected
    expected = ask(models["multi_label"], tokenizer, TEXTS, max_seq_length=64)["label"]
    assert [",".join(a["labels"]) for a in kb.predict(models["multi_label"], tokenizer, TEXTS)] == expected
    expected = ask(models["score"], tokenizer, TEXTS, max_seq_length=64)["score"]
    answers = kb.predict(models["score"], tokenizer, TEXTS)
    np.testing.assert_allclose([answer["score"] for answer in answers], expected, atol=2e-5)


def test_tags(models, tokenizer):
    text = "Paris is the capital. " * 10  # several windows
    [answer] = kb.predict(models["ner"], tokenizer, [text], max_seq_length=16)
    [words] = [text.replace(".", " .").split()]
    [tags], _ = kb.ner.predict_tags(models["ner"], tokenizer, [words], max_seq_length=16, joined=False)
    assert [token["label"] for token in answer["tokens"]] == tags
    assert all(text[token["start"] : token["end"]] == token["token"] for token in answer["tokens"])
    assert [token["token"] for token in answer["tokens"]] == words


def test_answers_from_a_context(models, tokenizer):
    questions = ["is paris", "the capital"]
    found = kb.squad.answer(models["squad"], tokenizer, questions, CONTEXT, max_seq_length=32, doc_stride=8)
    for given in ([[(question, CONTEXT) for question in questions]], [questions, [CONTEXT] * 2]):
        answers = kb.predict(models["squad"], tokenizer, *given, max_seq_length=32, doc_stride=8)
        assert [answer["text"] for answer in answers] == [each.text for each in found]
        assert all("null_score" in answer for answer in answers)


def test_choices(models, tokenizer):
    rows = [("paris is", ["france", "the capital"]), ("the", ["a", "b", "c"])]
    answers = kb.predict(models["multiple_choice"], tokenizer, rows)
    assert [len(answer["probabilities"]) for answer in answers] == [2, 3]
    for answer in answers:
        assert answer["choice"] == int(np.argmax(answer["probabilities"]))
        assert sum(answer["probabilities"]) == pytest.approx(1, abs=1e-5)


def test_a_model_keeps_how_its_training_read_texts(models, tokenizer, tmp_path):
    import json

    models["classify"].save_pretrained(tmp_path / "m", tokenizer=tokenizer)
    task = open_checkpoint(tmp_path / "m").task
    task["reading"] = {"text_column": "review", "max_seq_length": 8, "long_texts": "windows", "doc_stride": 3}
    (tmp_path / "m" / "task.json").write_text(json.dumps(task))
    model, text = BertClassifier.from_pretrained(tmp_path / "m"), "paris is the capital " * 4
    [own] = kb.predict(model, tokenizer, [text])
    options = {"max_seq_length": 8, "long_texts": "windows", "doc_stride": 3}
    assert [own] == kb.predict(models["classify"], tokenizer, [text], **options)
    assert [own] != kb.predict(model, tokenizer, [text], long_texts="cut")
    assert BertSpanLabeler.from_pretrained(tmp_path / "m").reading == {}  # which is another task's


@pytest.mark.parametrize(
    ("name", "arguments", "options", "said"),
    [
        ("classify", ["a film"], {}, "texts must be a list, a text for each answer. Received: 'a film'"),
        ("classify", [7], {}, "texts must be a list"),
        ("classify", [["a", 5]], {}, r"texts\[1\] must be a string, or a pair of strings\. Received: 5"),
        ("classify", [["a", ("b", "c")]], {}, r"texts\[1\] must be of the fields that the first one has"),
        ("classify", [["a"], ["b", "c"]], {}, "pairs must be as many as texts"),
        (
            "classify",
            [["a"]],
            {"by_character": True},
            "by_character means nothing to Classifier, which takes max",
        ),
        ("classify", [["a"]], {"max_seq_length": 65}, "max_seq_length must be from"),
        ("ner", [[("a", "b")]], {}, r"texts\[0\] must be a string\."),
        ("squad", [["a"]], {}, r"texts\[0\] must be a \(question, context\) pair of strings"),
        ("squad", [[{"question": "a"}]], {}, r"texts\[0\] must be a \(question, context\) pair"),
        ("multiple_choice", [[("a", ["b"])]], {}, r"texts\[0\] must be a context and a list of two or more choices"),
        ("fill_mask", [["a"]], {}, "models. Received: Pretrainer; kb.embed gives vectors, kb.fill_mask the words"),
        ("embed", [["a"]], {}, "Received: Encoder; kb.embed"),
    ],
)
def test_what_cannot_be_asked(models, tokenizer, name, arguments, options, said):
    with pytest.raises(kb.UserError, match=said):
        kb.predict(models[name], tokenizer, *arguments, **options)


def test_fill_mask_asks_a_pre_trained_model(models, tokenizer):
    [[guesses, _]] = kb.fill_mask(models["fill_mask"], tokenizer, ["[MASK] is [MASK]"], top_k=3)
    assert len(guesses) == 3
    with pytest.raises(kb.UserError, match="Classifier knows no words behind"):
        kb.fill_mask(models["classify"], tokenizer, ["[MASK]"])


def test_whole_numbers_are_names_of_classes(config, tokenizer):
    model = BertClassifier(kb.BertEncoder(config), 2, labels=[1, np.int64(2)])
    [answer] = kb.predict(model, tokenizer, ["a"])
    assert sorted(answer["probabilities"]) == ["1", "2"]
    for labels, said in (
        (["a", "a"], "labels has 'a' twice"),
        (["a", 0.5], r"string for each class\. Received: 0\.5"),
        ("ab", "must be a list of na"),
    ):
        with pytest.raises(kb.UserError, match=said):
            BertClassifier(model.encoder, 2, labels=labels)
