"""Logits to answers: n-best lists, null odds and texts, as run_squad.py's write_predictions finds them.

Legend: E examples, F windows (features), S positions of a window.
"""

import dataclasses
import math

import numpy as np

from keras_bert.errors import UserError
from keras_bert.tasks.answer.original_text import texts_for

NO_WINDOW = 1e6  # the null score that run_squad.py begins with: the odds of no answer where nothing can be one


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """One entry of an n-best list.

    Attributes:
        text: the answer, "" for none.
        start_logit, end_logit: what the model says of its first and its last token.
        probability: the softmax over the list's sums of both.
        start, end: the characters of the context from which on and before which it stands; None for no answer.
    """

    text: str
    start_logit: float
    end_logit: float
    probability: float = 0.0
    start: int | None = None
    end: int | None = None

    @property
    def score(self):
        """The sum of both logits."""
        return self.start_logit + self.end_logit


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What is found for one question.

    Attributes:
        id: the question's id.
        candidates: the n-best list of Candidate, best first.
        null_odds: the score of no answer less that of the best answer; None where each question has one.
    """

    id: str
    candidates: list[Candidate]
    null_odds: float | None = None

    def answer(self, threshold=0.0):
        """Returns the best Candidate: that without text where `null_odds` are greater than the threshold."""
        if self.null_odds is None:
            return self.candidates[0]
        empty = next(candidate for candidate in self.candidates if not candidate.text)
        best = next((candidate for candidate in self.candidates if candidate.text), None)
        return empty if best is None or self.null_odds > threshold else best


def find_answers(
    examples,
    features,
    logits,
    tokenizer,
    *,
    n_best_size=20,
    max_answer_length=30,
    version_2_with_negative=False,
    log=None,
    progress=None,
):
    """Finds the answers to E questions.

    Args:
        examples: list of E Example.
        features: their Features.
        logits: {"start_logits", "end_logits"}: each a list of F arrays (S,), or one array (F, S). S is the window's
            length, or more, with padding. Padding is not an answer, but as in run_squad.py it takes places among the
            `n_best_size` best positions.
        tokenizer: the Tokenizer that made the features.
        n_best_size: positions of a window that are looked at, and the longest n-best list.
        max_answer_length: tokens of the longest answer.
        version_2_with_negative: whether "no answer" is an answer: the first position, [CLS], stands for it.
        log: callable(line), told of each text that could not be aligned with the original; or None.
        progress: called as progress("answers", done, total, "question"), or None.

    Returns:
        list of E Prediction.

    Raises:
        UserError: logits of other windows, or counts below 1.
    """
    starts, ends = logits["start_logits"], logits["end_logits"]
    if not len(starts) == len(ends) == len(features):
        raise UserError(f"Logits of {len(features)} windows were expected. Received: {len(starts)} and {len(ends)}.")
    for name, value in (("n_best_size", n_best_size), ("max_answer_length", max_answer_length)):
        if value < 1:
            raise UserError(f"{name} must be at least 1. Received: {value}.")
    texts, bounds = texts_for(tokenizer, log=log), features.of_examples(len(examples))
    predictions = []
    for number, example in enumerate(examples):
        windows = range(bounds[number], bounds[number + 1])
        spans = [
            _spans(features, window, starts[window], ends[window], n_best_size, max_answer_length) for window in windows
        ]
        null = _null(starts, ends, windows) if version_2_with_negative else None
        candidates = _best_candidates(example.context, features, spans, null, texts, n_best_size)
        odds = None if null is None else _null_odds(null, candidates)
        predictions.append(Prediction(example.id, _with_probabilities(candidates), odds))
        if progress is not None and ((number + 1) % 100 == 0 or number + 1 == len(examples)):
            progress("answers", number + 1, len(examples), "question")
    return predictions


def _spans(features, window, start_logits, end_logits, n_best_size, max_answer_length):
    """Returns the answers that a window allows, in run_squad.py's order.

    Returns:
        window's first token, and arrays of as many: first and last position, both logits in float64.
    """
    begin, end = features.bounds[window : window + 2].tolist()
    start_logits, end_logits = (np.asarray(each, np.float64) for each in (start_logits, end_logits))
    firsts, lasts = (_best_places(each, n_best_size, end - begin) for each in (start_logits, end_logits))
    firsts = firsts[features.is_max_context[begin:end][firsts]]  # which is False on what is not a context
    lasts = lasts[features.words[begin:end][lasts] >= 0]
    more = lasts[None, :] - firsts[:, None]
    rows, columns = np.nonzero((more >= 0) & (more < max_answer_length))
    firsts, lasts = firsts[rows], lasts[columns]
    return begin, firsts, lasts, start_logits[firsts], end_logits[lasts]


def _best_places(logits, count, length):
    """Returns the positions of the highest logits, of equal ones the first, without those past the window's length."""
    best = np.argsort(-logits, kind="stable")[:count]
    return best[best < length]


def _null(starts, ends, windows):
    """Returns the Candidate for no answer: of the window in which it scores lowest."""
    both = [(float(starts[window][0]), float(ends[window][0])) for window in windows]
    return Candidate("", *min(both, key=sum)) if both else Candidate("", NO_WINDOW, 0.0)


def _best_candidates(context, features, spans, null, texts, n_best_size):
    """Returns the n-best list, still without probabilities: distinct texts by score, and no answer in any case.

    Args:
        context: the example's Context.
        features: the Features.
        spans: for each window what `_spans` returned.
        null: the Candidate for no answer, or None.
        texts: what `texts_for` gives.
        n_best_size: the longest list.
    """
    if not spans:  # a context without tokens
        return [Candidate("empty", 0.0, 0.0) if null is None else null]
    begins = np.repeat([each[0] for each in spans], [len(each[1]) for each in spans])
    firsts, lasts, start_logits, end_logits = (
        np.concatenate([each[column] for each in spans]) for column in range(1, 5)
    )
    scores = start_logits + end_logits
    if null is not None:
        scores = np.append(scores, null.score)
    candidates, seen = [], set()
    for place in np.argsort(-scores, kind="stable").tolist():
        if len(candidates) >= n_best_size:
            break
        if place == len(firsts):
            candidates.append(null)
            seen.add("")
            continue
        first, last = int(begins[place] + firsts[place]), int(begins[place] + lasts[place])
        text, start, end = texts.find(features, context, first, last)
        if text not in seen:
            seen.add(text)
            logits = float(start_logits[place]), float(end_logits[place])
            candidates.append(Candidate(text, *logits, start=start, end=end))
    if null is not None and "" not in seen:
        candidates.append(null)
    return candidates or [Candidate("empty", 0.0, 0.0)]  # run_squad.py's word where there is no valid answer


def _null_odds(null, candidates):
    """Returns the score of no answer less that of the best answer."""
    best = next((candidate for candidate in candidates if candidate.text), None)
    return NO_WINDOW if best is None else null.score - best.start_logit - best.end_logit


def _with_probabilities(candidates):
    highest = max(candidate.score for candidate in candidates)
    exponentials = [math.exp(candidate.score - highest) for candidate in candidates]
    total = sum(exponentials)
    return [
        dataclasses.replace(candidate, probability=value / total)
        for candidate, value in zip(candidates, exponentials, strict=True)
    ]


def texts_of(predictions, threshold=0.0):
    """Returns {id: text}, "" where null odds are greater than the threshold: what predictions.json holds."""
    return {prediction.id: prediction.answer(threshold).text for prediction in predictions}


def write_predictions(output_dir, predictions, *, threshold=0.0):
    """Writes predictions.json, nbest_predictions.json and, where there is "no answer", null_odds.json.

    Args:
        output_dir: the folder.
        predictions: list of Prediction.
        threshold: a question whose null odds are greater has no answer.

    Returns:
        The names of the files.
    """
    from keras_bert.tasks.runs import write_results  # which imports Keras

    keys = ("text", "probability", "start_logit", "end_logit")
    files = {
        "predictions.json": texts_of(predictions, threshold),
        "nbest_predictions.json": {
            prediction.id: [{key: getattr(each, key) for key in keys} for each in prediction.candidates]
            for prediction in predictions
        },
    }
    odds = {prediction.id: prediction.null_odds for prediction in predictions if prediction.null_odds is not None}
    if odds:
        files["null_odds.json"] = odds
    for name, contents in files.items():
        write_results(output_dir, contents, name)
    return list(files)
