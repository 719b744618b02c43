"""Training and answering end to end: a small model learns where the year is, and where there is none."""

import keras
import numpy as np
import pytest

import keras_bert as kb
from keras_bert.config import BertConfig
from keras_bert.errors import UserError
from keras_bert.models import BertEncoder, BertSpanLabeler
from keras_bert.tasks.answer import Context, Example, Examples, Questions, make_features, train
from tests.small import NO_DROPOUT, small_shape

CONFIG = small_shape(max_position_embeddings=32, **NO_DROPOUT)
LENGTHS = {"max_seq_length": 16, "doc_stride": 6, "max_query_length": 4}


def make_examples(count, *, seed, impossible=0.3):
    """Contexts of letters with a year somewhere, which is the answer; in some of them there is none."""
    rng = np.random.default_rng(seed)
    examples = Examples()
    for number in range(count):
        words = [str(word) for word in rng.choice(list("abcdefghij"), rng.integers(4, 9))]
        if rng.random() < impossible:
            examples.append(Example(str(number), "When", Context(" ".join(words)), (), True, ""))
            continue
        place = int(rng.integers(len(words)))
        words[place] = "(911)."
        examples.append(Example(str(number), "When", Context(" ".join(words)), ("911",), False, "911", (place, place)))
    return examples


@pytest.fixture(scope="module")
def config(tokenizer):
    return BertConfig(vocab_size=tokenizer.vocab_size, **CONFIG)


@pytest.fixture(scope="module")
def trained(tokenizer, config):
    """A BestRun on questions of which a third have no answer, and the Questions that it was measured on."""
    questions = Questions(make_examples(24, seed=1), tokenizer, **LENGTHS, version_2_with_negative=True)
    best = train(
        lambda: BertSpanLabeler(BertEncoder(config)),
        tokenizer,
        make_features(make_examples(96, seed=0), tokenizer, training=True, **LENGTHS),
        questions,
        seeds=[1],
        max_seq_length=LENGTHS["max_seq_length"],
        train_batch_size=16,
        learning_rate=1e-2,
        epochs=16,
        evaluate_each_epoch=False,
    )
    return best, questions


def test_it_learns_where_the_answer_is_and_that_there_is_none(trained):
    best, questions = trained
    results = best.results
    assert results["HasAns_total"] + results["NoAns_total"] == results["total"] == 24
    assert results["f1"] == results["best_f1"] == results["exact_match"] == results["exact"] == 100.0
    threshold = results["null_score_diff_threshold"]
    assert best.model.null_score_diff_threshold == threshold
    assert results["best_f1_thresh"] < threshold <= results["best_f1_thresh"] + 0.1
    texts = kb.squad.texts_of(best.outputs, best.model.null_score_diff_threshold)
    assert texts == {example.id: "".join(example.answers) for example in questions.examples}


def test_a_threshold_that_is_given_is_kept_to(trained, tokenizer):
    best, questions = trained
    options = {**LENGTHS, "version_2_with_negative": True, "threshold": -1e9}
    figures = Questions(questions.examples, tokenizer, **options).measure(best.outputs)
    assert (figures["NoAns_f1"], figures["HasAns_f1"]) == (100.0, 0.0)
    assert figures["null_score_diff_threshold"] == -1e9
    assert figures["best_f1"] == 100.0
    answered = Examples(example for example in questions.examples if example.answers)
    asked = Questions(answered, tokenizer, **LENGTHS)  # where each has an answer
    assert asked.are_labelled
    assert asked.measure(asked.predict(best.model)) == {"exact_match": 100.0, "f1": 100.0, "total": len(answered)}
    assert not Questions(questions.examples, tokenizer, **LENGTHS).are_labelled


def test_the_threshold_is_saved_with_the_model(trained, tokenizer, tmp_path):
    best, _ = trained
    threshold = best.model.null_score_diff_threshold
    best.model.save_pretrained(tmp_path / "model", tokenizer=tokenizer)
    again = BertSpanLabeler.from_pretrained(tmp_path / "model")
    assert again.null_score_diff_threshold == pytest.approx(threshold)
    assert again.task() == {"task": "answer", "null_score_diff_threshold": threshold}
    best.model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").null_score_diff_threshold == threshold
    answerer = kb.squad.Answerer.from_pretrained(tmp_path / "model", **LENGTHS)
    assert answerer("When", "a b c d e") == kb.squad.Answer("", answerer("When", "a b c d e").score)
    assert answerer("When", "a b (911). d e").text == "911"
    assert 0 < answerer("When", "a b c d e").score <= 1


def test_a_threshold_is_a_number(config):
    with pytest.raises(ValueError, match=r"null_score_diff_threshold must be a number\. Received: 'high'"):
        BertSpanLabeler(BertEncoder(config), null_score_diff_threshold="high")


def test_an_answer_stands_in_the_string_as_it_was_given(trained, tokenizer):
    model = trained[0].model
    context = "a  b\nc (911). d"
    answer = kb.squad.answer(model, tokenizer, "When", context)
    assert (answer.text, answer.start, answer.end) == ("911", 8, 11)
    assert context[answer.start : answer.end] == "911"
    assert 0 < answer.score <= 1


def test_long_contexts_and_many_questions(trained, tokenizer):
    model = trained[0].model
    letters = "a b c d e f g h i j "
    long = letters * 5 + "(911). " + letters * 5
    answerer = kb.squad.Answerer(model, tokenizer, **LENGTHS, batch_size=4)
    answer = answerer("When", long)
    assert (answer.text, answer.start) == ("911", long.index("911"))
    several = answerer(["When", "When"], ["a (911). b", long])
    assert [(each.text, each.start) for each in several] == [("911", 3), ("911", long.index("911"))]
    assert several[1].score == pytest.approx(answer.score, rel=1e-4)
    shared = answerer(["When", "who"], "a (911). b")
    assert shared[0] == answerer("When", "a (911). b")
    assert answerer([], []) == []


@pytest.mark.parametrize(
    ("question", "context", "words"),
    [
        (["When"], ["a", "b"], "1 questions, 2 contexts"),
        ("When", ["a"], "1 questions, 1 contexts"),
        (7, "a", "The question 0 is 7"),
        (["When", None], "a", "The question 1 is None"),
        (["When"], [3], "The context 0 is 3"),
        (["When", "When"], ["a", " \n"], "The context of question 1 has no words"),
    ],
)
def test_what_is_no_question_is_refused(trained, tokenizer, question, context, words):
    answerer = kb.squad.Answerer(trained[0].model, tokenizer, **LENGTHS)
    with pytest.raises(UserError) as caught:
        answerer(question, context)
    assert words in str(caught.value)


def test_what_does_not_fit_the_model_is_refused(trained, tokenizer, config, tmp_path):
    from keras_bert.text.tokenizer import Tokenizer
    from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

    model = trained[0].model
    with pytest.raises(UserError, match=r"at most 32.*Received: 33"):
        kb.squad.Answerer(model, tokenizer, max_seq_length=33)
    with pytest.raises(UserError, match="The vocabulary has 1004 entries"):
        kb.squad.Answerer(model, Tokenizer(Vocabulary([*SPECIAL_TOKENS, *(f"w{number}" for number in range(999))])))
    BertEncoder(config).save_pretrained(tmp_path / "bare", tokenizer=tokenizer)
    with pytest.raises(UserError, match=r"bare cannot answer questions: it lacks cls/squad/output"):
        kb.squad.Answerer.from_pretrained(tmp_path / "bare")


def test_what_cannot_be_trained_is_refused(tokenizer):
    features = make_features(make_examples(8, seed=0), tokenizer, training=True, **LENGTHS)
    for options in ({"seeds": [1, 2]}, {"seeds": [1], "grid": ({}, {})}, {"seeds": [1], "early_stopping": 1}):
        with pytest.raises(UserError, match="choose by held-out examples"):
            train(lambda: None, tokenizer, features, **options)
    unlabelled = make_features(make_examples(8, seed=0), tokenizer, **LENGTHS)
    with pytest.raises(UserError, match="no windows with labels"):
        train(lambda: None, tokenizer, unlabelled, seeds=[1])


def test_batches_for_fit(tokenizer):
    features = make_features(make_examples(8, seed=0), tokenizer, training=True, **LENGTHS)
    batches = list(kb.squad.dataset(features, tokenizer, batch_size=4, max_seq_length=16).as_numpy_iterator())
    assert sum(len(x["input_ids"]) for x, _ in batches) == len(features)
    pointed = set()
    for x, y in batches:
        for ids, start, end in zip(x["input_ids"], y["start_logits"], y["end_logits"], strict=True):
            pointed.add(" ".join(tokenizer.vocabulary.token(index) for index in ids[start : end + 1]))
    assert pointed == {"911", "[CLS]"}


def test_reading_and_measuring_need_no_tensorflow():
    import os
    import subprocess
    import sys

    script = (
        "import sys, keras_bert as kb\n"
        "kb.squad.read_examples, kb.squad.make_features, kb.squad.squad_metrics, kb.squad.Answerer\n"
        "print(sorted({'keras', 'tensorflow'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "[]", done.stderr
