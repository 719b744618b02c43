"""From logits to answers: by hand on a few tokens, no answer, and the files."""

import json
import math

import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.tasks.answer import Context, Example, find_answers, make_features, texts_of, write_predictions

TEXT = "Rollo, the Norse leader, came."  # [CLS] who [SEP] rollo , the norse leader , came . [SEP]


def logits_of(length, starts, ends, low=-10.0):
    """Logits of one window: `low` but at the positions given."""
    arrays = [np.full(length, low, np.float32) for _ in range(2)]
    for array, values in zip(arrays, (starts, ends), strict=True):
        for place, value in values.items():
            array[place] = value
    return arrays


def find(tokenizer, starts, ends, *, text=TEXT, length=12, **options):
    examples = [Example("q", "who", Context(text))]
    features = make_features(examples, tokenizer)
    start, end = logits_of(length, starts, ends)
    logits = {"start_logits": [start], "end_logits": [end]}
    [prediction] = find_answers(examples, features, logits, tokenizer, **options)
    return prediction


def test_the_best_answers_by_score(tokenizer):
    prediction = find(tokenizer, {3: 2.0, 6: 3.0}, {3: 1.0, 7: 2.5}, n_best_size=2)
    found = [(each.text, each.start_logit, each.end_logit) for each in prediction.candidates]
    assert found == [("Norse leader", 3.0, 2.5), ("Rollo, the Norse leader", 2.0, 2.5)]  # not "Rollo", 2 + 1
    assert [TEXT[each.start : each.end] for each in prediction.candidates] == [each[0] for each in found]
    assert [each.probability for each in prediction.candidates] == pytest.approx(
        [1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1))]
    )
    assert prediction.null_odds is None
    assert texts_of([prediction]) == {"q": "Norse leader"}


def test_an_answer_is_of_the_context_forward_and_not_too_long(tokenizer):
    # The question, [SEP] and padding are no answers, nor is an end before the start.
    prediction = find(
        tokenizer, {1: 9.0, 2: 8.0, 11: 7.0, 12: 7.0, 6: 1.0}, {1: 9.0, 5: 5.0, 13: 5.0, 6: 1.0}, length=16
    )
    assert prediction.candidates[0].text == "Norse"
    assert all(TEXT[each.start : each.end] == each.text for each in prediction.candidates)
    starts, ends = {3: 5.0}, {7: 5.0, 5: 1.0}
    assert find(tokenizer, starts, ends, max_answer_length=5).candidates[0].text == "Rollo, the Norse leader"
    assert find(tokenizer, starts, ends, max_answer_length=4).candidates[0].text == "Rollo, the"


def test_a_text_stands_once_in_the_list(tokenizer):
    text = "Rollo Rollo came"  # rollo at 3 and at 4
    prediction = find(tokenizer, {3: 1.0, 4: 2.0}, {3: 1.0, 4: 2.0}, text=text, length=7, n_best_size=3)
    assert [each.text for each in prediction.candidates] == ["Rollo", "Rollo Rollo"]
    assert (prediction.candidates[0].start, prediction.candidates[0].end) == (6, 11)


def test_of_equal_scores_the_first_start_comes_first(tokenizer):
    prediction = find(tokenizer, {3: 1.0, 6: 1.0}, {7: 1.0}, n_best_size=2)
    assert [each.text for each in prediction.candidates] == ["Rollo, the Norse leader", "Norse leader"]


def test_where_nothing_is_valid(tokenizer):
    options = {"n_best_size": 1, "length": 12}
    prediction = find(tokenizer, {1: 5.0}, {1: 5.0}, **options)
    assert [(each.text, each.probability) for each in prediction.candidates] == [("empty", 1.0)]  # run_squad.py's word
    prediction = find(tokenizer, {1: 5.0}, {1: 5.0}, version_2_with_negative=True, **options)
    assert [each.text for each in prediction.candidates] == [""]
    assert prediction.answer(math.inf).text == ""
    examples = [Example("q", "who", Context(" "))]
    nothing = {"start_logits": [], "end_logits": []}
    features = make_features(examples, tokenizer)
    [without] = find_answers(examples, features, nothing, tokenizer)
    assert without.candidates[0].text == "empty"
    [without] = find_answers(examples, features, nothing, tokenizer, version_2_with_negative=True)
    assert without.answer().text == ""
    assert json.dumps(without.null_odds) == "1000000.0"  # a number that JSON has


def test_no_answer_by_its_odds(tokenizer):
    starts, ends = {0: 2.0, 3: 3.0}, {0: 1.5, 3: 1.0}
    prediction = find(tokenizer, starts, ends, version_2_with_negative=True)
    assert prediction.null_odds == 3.5 - 4.0
    assert [each.text for each in prediction.candidates[:2]] == ["Rollo", ""]
    assert prediction.candidates[1].start is prediction.candidates[1].end is None
    assert sum(each.probability for each in prediction.candidates) == pytest.approx(1)
    assert [prediction.answer(threshold).text for threshold in (0.0, -0.5, -0.6)] == ["Rollo", "Rollo", ""]
    assert texts_of([prediction], -0.6) == {"q": ""}
    # Even past the end of the list no answer is on it.
    assert [
        each.text
        for each in find(
            tokenizer, {3: 9.0, 0: -50.0}, {3: 9.0, 0: -50.0}, n_best_size=1, version_2_with_negative=True
        ).candidates
    ] == ["Rollo", ""]


def test_no_answer_scores_as_in_the_window_where_it_is_least_likely(tokenizer):
    """Windows of four tokens, two apart: a b c d, c d e f."""
    examples = [Example("q", "who", Context("a b c d e f"))]
    features = make_features(examples, tokenizer, max_seq_length=8, doc_stride=2, max_query_length=1)
    assert len(features) == 2
    first, second = logits_of(8, {0: 4.0, 6: 2.0}, {0: 4.0, 6: 2.0}), logits_of(8, {0: 1.0, 3: 5.0}, {0: 2.0, 3: 5.0})
    logits = {"start_logits": np.stack([first[0], second[0]]), "end_logits": np.stack([first[1], second[1]])}
    [prediction] = find_answers(examples, features, logits, tokenizer, version_2_with_negative=True)
    # "c" has no context to its left in the second window, where the model likes it: the first window speaks for it.
    assert features.is_max_context.astype(int).reshape(2, 8).tolist() == [
        [0, 0, 0, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 1, 1, 1, 0],
    ]
    assert prediction.candidates[0].text == ""
    assert (prediction.candidates[0].start_logit, prediction.candidates[0].end_logit) == (1.0, 2.0)
    assert prediction.candidates[1].text != "c"


def test_files_are_google_s(tokenizer, tmp_path):
    prediction = find(tokenizer, {0: 2.0, 3: 3.0}, {0: 1.5, 3: 1.0}, version_2_with_negative=True, n_best_size=2)
    names = ["predictions.json", "nbest_predictions.json", "null_odds.json"]
    assert write_predictions(tmp_path, [prediction], threshold=-0.6) == names
    contents = [json.loads((tmp_path / name).read_text()) for name in names]
    assert contents[0] == {"q": ""}
    assert [list(each) for each in contents[1]["q"]] == [["text", "probability", "start_logit", "end_logit"]] * 2
    assert contents[1]["q"][0]["text"] == "Rollo"
    assert contents[2] == {"q": -0.5}
    assert write_predictions(tmp_path / "v1", [find(tokenizer, {3: 3.0}, {3: 1.0})]) == names[:2]
    assert json.loads((tmp_path / "v1" / names[0]).read_text()) == {"q": "Rollo"}


def test_logits_of_other_windows_are_refused(tokenizer):
    examples = [Example("q", "who", Context(TEXT))]
    features = make_features(examples, tokenizer)
    with pytest.raises(UserError, match=r"Logits of 1 windows were expected. Received: 2 and 2"):
        find_answers(examples, features, {"start_logits": [[], []], "end_logits": [[], []]}, tokenizer)
    with pytest.raises(UserError, match="n_best_size must be at least 1"):
        find(tokenizer, {}, {}, n_best_size=0)
    with pytest.raises(UserError, match="max_answer_length must be at least 1"):
        find(tokenizer, {}, {}, max_answer_length=0)


def test_progress_and_what_could_not_be_aligned_are_told(tokenizer):
    told, said = [], []
    find(
        tokenizer,
        {3: 3.0},
        {3: 3.0},
        text="France\u200b!",
        length=7,
        n_best_size=1,
        log=said.append,
        progress=lambda *args: told.append(args),
    )
    assert told == [("answers", 1, 1, "question")]
    assert len(said) == 1
