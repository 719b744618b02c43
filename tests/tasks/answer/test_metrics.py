"""The official figures, on cases worked out by hand from the official scripts' rules."""

import pytest

from keras_bert.tasks.answer import Context, Example, exact_match, f1, find_threshold, squad_metrics, squad_v2_metrics
from keras_bert.tasks.answer.metrics import normalize_english, normalize_korean


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The Norse leader, Rollo.", "norse leader rollo"),
        ("An  A\tand the", "and"),
        ("theatre", "theatre"),
        ("can't", "cant"),
        ("the-end", "theend"),  # punctuation goes before articles do
        ("the—end", "—end"),  # a dash that is not ASCII stays, and ends the article
        ("€5.00", "€500"),
        ("THE ", ""),
    ],
)
def test_english_is_normalized(text, normal):
    assert normalize_english(text) == normal


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("《춘향전》", "춘향전"),
        ("'김 구'(백범)", "김 구 백범"),
        ('‘가’〈나〉<다>"라"', "가 나 다 라"),
        ("1,000원", "1000원"),
        ("KBS-TV", "kbstv"),
        ("the 가", "the 가"),  # no articles here
        ("“가”", "“가”"),  # the script leaves these quotation marks
    ],
)
def test_korean_is_normalized(text, normal):
    assert normalize_korean(text) == normal


@pytest.mark.parametrize(
    ("prediction", "truth", "exact", "overlap"),
    [
        ("the Normans", "Normans", 1, 1),
        ("10th century", "10th and 11th century", 0, 2 * (2 / 2) * (2 / 4) / (2 / 2 + 2 / 4)),
        ("to be to", "to", 0, 2 * (1 / 3) * 1 / (1 / 3 + 1)),  # a word counts as often as both have it
        ("Rollo", "Gisla", 0, 0),
        ("", "the", 1, 0),  # nothing is left of either: SQuAD 1.1's F1 is 0
    ],
)
def test_english_answers(prediction, truth, exact, overlap):
    assert exact_match(prediction, truth) == exact
    assert f1(prediction, truth) == pytest.approx(overlap)


@pytest.mark.parametrize(
    ("prediction", "truth", "exact", "overlap"),
    [
        ("춘향전", "《춘향전》", 1, 1),
        ("춘향전은", "춘향전", 0, 2 * (3 / 4) * 1 / (3 / 4 + 1)),
        ("1989년 2월", "1989년", 0, 2 * (5 / 7) * 1 / (5 / 7 + 1)),  # characters without the space
        ("가나", "나가", 0, 1),  # their order does not count
        ("서울", "부산", 0, 0),
    ],
)
def test_korean_answers(prediction, truth, exact, overlap):
    assert exact_match(prediction, truth, metric="korquad") == exact
    assert f1(prediction, truth, metric="korquad") == pytest.approx(overlap)


def question(name, *answers):
    return Example(name, "who", Context("a"), answers=answers)


def test_squad_takes_the_best_answer_and_counts_what_is_missing():
    examples = [question("a", "Rollo", "the leader Rollo"), question("b", "France"), question("c", "911")]
    figures = squad_metrics(examples, {"a": "leader", "b": "france", "x": "911"})
    assert figures == {"exact_match": pytest.approx(100 / 3), "f1": pytest.approx(100 * (2 / 3 + 1) / 3), "total": 3}
    korean = squad_metrics([question("a", "춘향전")], {"a": "춘향전은"}, metric="korquad")
    assert korean["f1"] == pytest.approx(100 * 6 / 7)


NULLS = [question("has", "Rollo"), question("has too", "in 911", "911 AD"), question("none"), question("nor")]


def test_squad_v2_by_kind_of_question():
    texts = {"has": "Rollo", "has too": "911", "none": "", "nor": "Gisla"}
    assert squad_v2_metrics(NULLS, texts) == {
        "exact_match": 50.0,
        "exact": 50.0,
        "f1": pytest.approx(100 * (1 + 2 / 3 + 1 + 0) / 4),
        "total": 4,
        "HasAns_exact": 50.0,
        "HasAns_f1": pytest.approx(100 * (1 + 2 / 3) / 2),
        "HasAns_total": 2,
        "NoAns_exact": 50.0,
        "NoAns_f1": 50.0,
        "NoAns_total": 2,
    }
    only = squad_v2_metrics([question("none")], {"none": "The"})  # of which nothing is left
    assert (only["exact"], only["f1"]) == (100.0, 100.0)
    assert "HasAns_f1" not in only
    # An answer of which nothing is left once normalized is none; a question that has no other wants "".
    assert squad_v2_metrics([question("odd", "the")], {"odd": ""})["exact"] == 100.0
    assert squad_v2_metrics([question("odd", "the", "Rollo")], {"odd": ""})["exact"] == 0.0


def test_the_best_threshold_by_hand():
    answers = {"has": "Rollo", "has too": "911", "none": "x", "nor": "Gisla"}
    odds = {"has": -5.0, "none": -1.0, "has too": 2.0, "nor": 3.0}
    # Nothing answered: 2 right of 4. Then has +1, none -1, has too +2/3 (F1) or 0 (exact), nor -1.
    figures = squad_v2_metrics(NULLS, answers, null_odds=odds)
    assert (figures["best_exact"], figures["best_exact_thresh"]) == (75.0, -5.0)
    assert (figures["best_f1"], figures["best_f1_thresh"]) == (75.0, -5.0)
    odds["none"] = 2.5
    figures = squad_v2_metrics(NULLS, answers, null_odds=odds)
    assert (figures["best_f1"], figures["best_f1_thresh"]) == (pytest.approx(100 * (3 + 2 / 3) / 4), 2.0)
    assert find_threshold(NULLS, answers, odds) == 2.1  # past it, so that no rounding loses the answer
    odds["none"] = 2.0625
    assert find_threshold(NULLS, answers, odds) == 2.03125  # halfway to the next one


def test_the_threshold_looks_past_the_answers_that_were_given():
    answers = {"has": "Rollo", "has too": "911 AD", "none": "x", "nor": "Gisla"}
    odds = {"has": 1.0, "has too": 2.0, "none": 3.0, "nor": 4.0}
    given = dict.fromkeys(answers, "")  # at a threshold of 0
    assert squad_v2_metrics(NULLS, given, null_odds=odds)["best_f1"] == 50.0  # all that the official script can see
    figures = squad_v2_metrics(NULLS, given, null_odds=odds, answers=answers)
    assert (figures["f1"], figures["best_f1"], figures["best_f1_thresh"]) == (50.0, 100.0, 2.0)


def test_where_no_answer_is_best_the_threshold_says_so():
    answers = {"has": "x", "has too": "y", "none": "x", "nor": "z"}
    odds = {"has": -7.0, "has too": 2.0, "none": 3.0, "nor": 4.0}
    assert squad_v2_metrics(NULLS, answers, null_odds=odds)["best_f1_thresh"] == 0.0  # the official script's
    threshold = find_threshold(NULLS, answers, odds)
    assert threshold < min(odds.values())
    assert threshold == -7.1
