r"""Exact match and F1 of answers, as the official scripts of SQuAD 1.1, SQuAD 2.0 and KorQuAD 1 measure them.

All three take a question's best score over its right answers, after both texts are normalized. F1 counts words, and
KorQuAD's characters. All figures are per cent.
"""

import collections
import dataclasses
import re
import string
from collections.abc import Callable

ROOM = 0.1  # past the odds that a threshold must not lose: more than float32 rounds off, and less than matters
_PUNCTUATION = str.maketrans("", "", string.punctuation)  # ASCII's alone
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_KOREAN_QUOTES = str.maketrans(dict.fromkeys("'\"《》<>〈〉()‘’", " "))


def normalize_english(text):
    """Lower-cases, drops ASCII punctuation and English articles, and leaves single spaces.

    >>> normalize_english("The  U.S. Army's")
    'us armys'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def normalize_korean(text):
    """Makes spaces of quotation marks and brackets, lower-cases, drops ASCII punctuation, and leaves single spaces.

    >>> normalize_korean("《ABC》(가나)의-다")
    'abc 가나 의다'
    """
    return " ".join(text.translate(_KOREAN_QUOTES).lower().translate(_PUNCTUATION).split())


@dataclasses.dataclass(frozen=True)
class Metric:
    """How a benchmark compares texts: `normalize` before, and `units`, what F1 counts of a normalized text."""

    normalize: Callable[[str], str]
    units: Callable[[str], list[str]]


METRICS = {
    "squad": Metric(normalize_english, str.split),
    "korquad": Metric(normalize_korean, lambda text: list(text.replace(" ", ""))),
}


def metric_of(examples):
    """Returns the name of the metric that belongs to a file: what its version says.

    Args:
        examples: Examples, as `read_examples` returns them.
    """
    version = getattr(examples, "version", "").lower()
    return next((name for name in METRICS if version.startswith(name)), "squad")


def exact_match(prediction, truth, *, metric="squad"):
    """Returns whether both texts are the same once normalized, 1.0 or 0.0."""
    normalize = METRICS[metric].normalize
    return float(normalize(prediction) == normalize(truth))


def f1(prediction, truth, *, metric="squad"):
    """Returns the harmonic mean of precision and recall over the units that both texts share.

    >>> round(f1("the tall tower", "tower"), 4)
    0.6667
    """
    rules = METRICS[metric]
    guessed, right = (collections.Counter(rules.units(rules.normalize(text))) for text in (prediction, truth))
    shared = (guessed & right).total()
    if not shared:
        return 0.0
    precision, recall = shared / guessed.total(), shared / right.total()
    return 2 * precision * recall / (precision + recall)


def squad_metrics(examples, texts, *, metric="squad"):
    """Measures answers where each question has one: SQuAD 1.1, XQuAD, KorQuAD 1.

    Args:
        examples: list of Example, which say which answers are right.
        texts: {id: text}, as predictions.json holds it. A question that is not in it counts 0.
        metric: a key of METRICS.

    Returns:
        {"exact_match", "f1": per cent, "total": questions}.
    """
    exact = overlap = 0.0
    for example in examples:
        if example.id in texts:
            text = texts[example.id]
            exact += max(exact_match(text, truth, metric=metric) for truth in example.answers)
            overlap += max(f1(text, truth, metric=metric) for truth in example.answers)
    total = len(examples)
    return {"exact_match": 100 * exact / total, "f1": 100 * overlap / total, "total": total}


def squad_v2_metrics(examples, texts, *, null_odds=None, answers=None, metric="squad"):
    """Measures answers where a question may have none, and "" is then the right one: SQuAD 2.0.

    Args:
        examples: list of Example; one without answers has none.
        texts: {id: text}, as predictions.json holds it. A question that is not in it counts 0.
        null_odds: {id: float}, to look for the best threshold as well, or None.
        answers: {id: text}, the best answer to each question, whatever its null odds; None takes `texts`, as the
            official script does, which then cannot find a threshold that gives more answers than they have.
        metric: a key of METRICS.

    Returns:
        {"exact_match", "f1": per cent, "total": questions}, "exact", the official name of the first, and
        "HasAns_exact" and so on of the questions with an answer, "NoAns_..." of those without. With `null_odds`
        also "best_exact", "best_f1", and the thresholds that give them, "best_exact_thresh" and "best_f1_thresh".
    """
    scores = _scores_v2(examples, texts, metric)
    parts = {
        "": list(scores),
        "HasAns_": [example.id for example in examples if example.answers],
        "NoAns_": [example.id for example in examples if not example.answers],
    }
    figures = {}
    for part, names in parts.items():
        if names:
            exact, overlap = (100 * sum(scores[name][i] for name in names) / len(names) for i in (0, 1))
            figures |= {f"{part}exact": exact, f"{part}f1": overlap, f"{part}total": len(names)}
    if null_odds is not None:
        for index, name in enumerate(("exact", "f1")):
            best, threshold = _best_threshold(examples, texts if answers is None else answers, null_odds, index, metric)
            figures |= {f"best_{name}": best, f"best_{name}_thresh": 0.0 if threshold is None else threshold}
    return {"exact_match": figures["exact"], **figures}


def find_threshold(examples, answers, null_odds, *, metric="squad"):
    """Returns the null odds over which giving no answer makes the F1 on these examples highest.

    Args:
        examples, null_odds, metric: see `squad_v2_metrics`.
        answers: {id: text}, the best answer to each question, whatever its null odds.

    Returns:
        float, ROOM past the null odds of the last question that is to be answered, or halfway to the next one's where
        these are nearer. The official script gives the former's odds themselves, over which the rounding of another
        batch size, or of the served graph, would carry them. Where nothing beats giving no answer at all, it lies below
        all odds; the official script says 0.0 then.

    Example:
        >>> from keras_bert.tasks.answer.examples import Context, Example
        >>> examples = [Example("a", "Who?", Context("Rollo"), ("Rollo",)), Example("b", "Who?", Context("Oslo"), ())]
        >>> find_threshold(examples, {"a": "Rollo", "b": "Oslo"}, {"a": -2.0, "b": 3.0})
        -1.9
    """
    _, last = _best_threshold(examples, answers, null_odds, 1, metric)
    if last is None:
        return min(null_odds.values()) - ROOM
    return last + min([ROOM, *((odds - last) / 2 for odds in null_odds.values() if odds > last)])


def _scores_v2(examples, texts, metric):
    """Returns {id: (exact, f1)} by the rules of SQuAD 2.0, 0.0 to 1.0 each."""
    normalize = METRICS[metric].normalize
    scores = {}
    for example in examples:
        scores[example.id] = 0.0, 0.0
        if example.id in texts:
            text = texts[example.id]
            truths = [truth for truth in example.answers or () if normalize(truth)] or [""]
            exact = max(exact_match(text, truth, metric=metric) for truth in truths)
            overlap = max(_f1_v2(text, truth, metric) for truth in truths)
            scores[example.id] = exact, overlap
    return scores


def _f1_v2(prediction, truth, metric):
    """F1, and of texts of which one is empty, 1.0 if both are."""
    normalize = METRICS[metric].normalize
    if not normalize(prediction) or not normalize(truth):
        return float(normalize(prediction) == normalize(truth))
    return f1(prediction, truth, metric=metric)


def _best_threshold(examples, answers, null_odds, index, metric):
    """Lets a threshold rise through all null odds, one question after the other becoming answered.

    Args:
        index: 0 for the exact match, 1 for F1.

    Returns:
        best, threshold: per cent, and the null odds of the last question that is answered; None if the best is to
        answer none.
    """
    scores = _scores_v2(examples, answers, metric)
    has_answer = {example.id: bool(example.answers) for example in examples}
    score = best = sum(not has for has in has_answer.values())
    threshold = None
    for name in sorted(null_odds, key=null_odds.get):
        if name in scores:
            score += scores[name][index] if has_answer[name] else -bool(answers.get(name))
            if score > best:
                best, threshold = score, null_odds[name]
    return 100 * best / len(scores), threshold
