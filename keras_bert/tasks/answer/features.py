"""Examples to the windows that the model reads, as run_squad.py's convert_examples_to_features makes them.

    [CLS] question [SEP] as many of the context's tokens as fit [SEP]       in the layout of the tokenizer

Each distinct context is tokenised once, each distinct word of all contexts is spelled once, and the rest is array
operations over all windows.
Legend: C distinct contexts, D their tokens, E examples, F windows (features), N their tokens, W words.
"""

import dataclasses
import functools
from itertools import chain

import numpy as np

from keras_bert.errors import UserError
from keras_bert.tasks.answer.word_places import WordPlaces
from keras_bert.text.kinds import WORDPIECE
from keras_bert.text.layout import BERT, Layout, window_count, window_step

BULK_EXAMPLES = 100  # from here on a BulkTokenizer is worth its tables
BLOCK_WINDOWS = 4096  # laid out at once, to keep the temporary arrays small


@dataclasses.dataclass(frozen=True)
class Features:
    """The windows of examples, in order, one after the other and without padding.

    Attributes:
        ids: int32 (N,).
        words: int32 (N,), the number of the context's word that a token is of; -1 for tokens of none.
        is_max_context: bool (N,), whether of all windows that hold this token of the context, this one has most
            around it (the token's context on its poorer side counts).
        bounds: int64 (F + 1,); window f has the tokens from bounds[f] on and before bounds[f + 1].
        example_index: int32 (F,), not falling.
        span_index: int32 (F,), the windows of an example from 0.
        pieces: int32 (N,), the number of each token among those of its word; 0 for tokens of none.
        starts: int32 (F,), the token of the context with which the window begins.
        question_lengths: int32 (F,), the question's tokens.
        labels: {"start_logits", "end_logits": int32 (F,)}, of training examples: the positions in the window of the
            answer's first and last token, both 0 where the window does not hold all of it; or None.
        layout: the tokenizer's Layout.
    """

    ids: np.ndarray
    words: np.ndarray
    pieces: np.ndarray
    is_max_context: np.ndarray
    bounds: np.ndarray
    example_index: np.ndarray
    span_index: np.ndarray
    starts: np.ndarray
    question_lengths: np.ndarray
    labels: dict[str, np.ndarray] | None = None
    layout: Layout = BERT

    def __len__(self):
        return len(self.example_index)

    def rows(self):
        """Returns {"input_ids", "segment_ids"}: lists of F int32 arrays, as `padded_batches` takes them."""
        segments = np.zeros(len(self.ids), np.int32)
        if self.layout.segments:
            first = self.bounds[:-1] + self.layout.starts(self.question_lengths)[1]
            segments[_ranges(first, self.bounds[1:] - first)] = 1
        places = list(zip(self.bounds[:-1].tolist(), self.bounds[1:].tolist(), strict=True))
        return {
            name: [array[first:last] for first, last in places]
            for name, array in (("input_ids", self.ids), ("segment_ids", segments))
        }

    def of_examples(self, count):
        """Returns int64 (count + 1,): example e has the windows from [e] on and before [e + 1]."""
        return np.searchsorted(self.example_index, np.arange(count + 1))


def make_features(examples, tokenizer, *, max_seq_length=384, doc_stride=128, max_query_length=64, training=False):
    """Cuts examples into windows.

    Args:
        examples: list of E Example.
        tokenizer: a Tokenizer.
        max_seq_length: the longest window.
        doc_stride: by how many tokens a long context's next window begins later.
        max_query_length: longer questions are cut to it.
        training: whether to give labels; the examples were then read with training=True.

    Returns:
        Features. A context without any token gives no window.

    Raises:
        UserError: lengths that leave no room for the context, or examples that were not read for training.

    Example:
        >>> from keras_bert.tasks.answer.examples import Context, Example
        >>> from keras_bert.text.tokenizer import Tokenizer
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
        >>> tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "who", "?", "it", "was", "rollo", "."]))
        >>> example = Example("q", "Who?", Context("It was Rollo."), answer="Rollo", span=(2, 2))
        >>> features = make_features([example], tokenizer, training=True)
        >>> [tokenizer.vocabulary.token(index) for index in features.ids]
        ['[CLS]', 'who', '?', '[SEP]', 'it', 'was', 'rollo', '.', '[SEP]']
        >>> features.words.tolist(), features.labels["start_logits"].tolist()
        ([-1, -1, -1, -1, 0, 1, 2, 2, -1], [6])
    """
    layout = tokenizer.layout
    check_lengths(max_seq_length, doc_stride, max_query_length, layout=layout)
    if training and any(example.answer is None for example in examples):
        raise UserError("The examples have no answers to learn; read them with read_examples(..., training=True).")
    spell = _speller(tokenizer, len(examples))

    def spell_words(words):
        return spell([tokenizer.engine.word_start + word for word in words])

    documents = _Documents(examples, spell_words)
    questions, lengths = spell([example.question for example in examples])
    begins, lengths = np.cumsum(lengths) - lengths, np.minimum(lengths, max_query_length)
    windows = _Windows(documents, lengths, max_seq_length, doc_stride, layout)
    ids, words, pieces = windows.lay_out(documents, questions.astype(np.int32), begins, tokenizer)
    return Features(
        ids=ids,
        words=words,
        pieces=pieces,
        is_max_context=windows.max_context(),
        bounds=windows.bounds,
        example_index=windows.examples.astype(np.int32),
        span_index=windows.numbers.astype(np.int32),
        starts=windows.starts.astype(np.int32),
        question_lengths=windows.question_lengths.astype(np.int32),
        labels=windows.labels(_answers(examples, documents, tokenizer, spell_words)) if training else None,
        layout=layout,
    )


def check_lengths(max_seq_length, doc_stride, max_query_length, *, layout=BERT):
    """Raises a UserError if a question may leave no room for its context, or windows would not move on."""
    for name, value in (("doc_stride", doc_stride), ("max_query_length", max_query_length)):
        if value < 1:
            raise UserError(f"{name} must be at least 1. Received: {value}.")
    if layout.room(max_seq_length, texts=2) <= max_query_length:
        raise UserError(
            f"max_seq_length must be greater than max_query_length + {layout.num_special(2)}, the number of special "
            f"tokens. Received: {max_seq_length} and {max_query_length}."
        )


def default_query_length(max_seq_length, layout):
    """Returns the longest question where nobody says: 64 tokens, and less with short windows."""
    return max(1, min(64, max_seq_length // 2, layout.room(max_seq_length, texts=2) - 1))


def _speller(tokenizer, count):
    """Returns a function from a list of texts to their ids, one after the other, and how many each text has."""
    if count >= BULK_EXAMPLES:
        return tokenizer.bulk().token_ids

    def spell(texts):
        ids = [tokenizer.token_ids(text) for text in texts]
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        return np.fromiter(chain.from_iterable(ids), np.int32, lengths.sum()), lengths

    return spell


def _ranges(starts, lengths):
    """Counts on from each start, one after the other: [5, 0], [2, 3] -> 5, 6, 0, 1, 2."""
    ends = np.cumsum(lengths)
    return np.repeat(starts - ends + lengths, lengths) + np.arange(ends[-1] if len(ends) else 0)


def _bounds(lengths):
    """Returns where each of pieces that follow one another begins, and where the last one ends, int64."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


class _Numbers(dict):
    """Numbers words from 0 in the order in which they are asked for first."""

    def __missing__(self, word):
        self[word] = number = len(self)
        return number


class _Documents:
    """The tokens of the distinct contexts.

    Attributes:
        of_example: int64 (E,), the number of each example's context.
        ids, words, pieces: int32 (D,), each token, the number of the word in its context that it is of, and its own
            number among those of the word.
        bounds: int64 (C + 1,), the tokens of each context.
        word_bounds: int64 (C + 1,), the words of each context.
        tokens_of_words: int64 (W + 1,), the tokens of each word.
    """

    def __init__(self, examples, spell):
        contexts = {id(example.context): example.context for example in examples}
        places = {key: number for number, key in enumerate(contexts)}
        self.of_example = np.fromiter((places[id(example.context)] for example in examples), np.int64, len(examples))
        lengths = np.fromiter((len(context.words) for context in contexts.values()), np.int64, len(contexts))
        self.word_bounds = _bounds(lengths)
        numbers = _Numbers()
        each = map(numbers.__getitem__, chain.from_iterable(context.words for context in contexts.values()))
        which = np.fromiter(each, np.int64, self.word_bounds[-1])  # (W,), the number of the distinct word
        pieces, counts = spell(list(numbers))
        begins, counts = (_bounds(counts)[:-1])[which], counts[which]  # (W,)
        self.ids = pieces[_ranges(begins, counts)].astype(np.int32)
        self.tokens_of_words = _bounds(counts)
        in_context = np.arange(len(which)) - np.repeat(self.word_bounds[:-1], lengths)  # (W,)
        self.words = np.repeat(in_context.astype(np.int32), counts)
        self.pieces = (np.arange(len(self.ids)) - np.repeat(self.tokens_of_words[:-1], counts)).astype(np.int32)
        self.bounds = self.tokens_of_words[self.word_bounds]


class _Windows:
    """Where each window begins and how many tokens it holds. Arrays are int64 (F,) unless they say otherwise."""

    def __init__(self, documents, question_lengths, max_seq_length, doc_stride, layout):
        """Cuts: `question_lengths` is int64 (E,)."""
        self.layout = layout
        self.room = layout.room(max_seq_length, texts=2) - question_lengths  # (E,)
        self.step = window_step(self.room, doc_stride)
        self.sizes = np.diff(documents.bounds)[documents.of_example]  # (E,), the contexts' tokens
        counts = np.where(self.sizes > 0, window_count(self.sizes, self.room, self.step), 0)  # (E,)
        self.examples = np.repeat(np.arange(len(counts)), counts)
        self.numbers = _ranges(np.zeros_like(counts), counts)
        self.starts = self.numbers * self.step[self.examples]
        self.lengths = np.minimum(self.sizes[self.examples] - self.starts, self.room[self.examples])
        self.question_lengths = question_lengths[self.examples]
        self.bounds = _bounds(self.question_lengths + self.lengths + layout.num_special(2))
        self.first, self.context = layout.starts(self.question_lengths)  # where the texts begin in their window

    def lay_out(self, documents, questions, begins, tokenizer):
        """Returns the ids, the words and the pieces of all windows, int32 (N,); see Features.

        Args:
            documents: the _Documents.
            questions: int32, the tokens of all questions.
            begins: int64 (E,), where each question begins in them.
            tokenizer: the Tokenizer, which knows the special ids.
        """
        ids, words = np.empty(self.bounds[-1], np.int32), np.full(self.bounds[-1], -1, np.int32)
        pieces = np.zeros_like(words)
        for special, place in self.layout.special_places(tokenizer, self.question_lengths, self.lengths):
            ids[self.bounds[:-1] + place] = special
        for first in range(0, len(self.examples), BLOCK_WINDOWS):
            block = slice(first, first + BLOCK_WINDOWS)
            places, lengths, example = self.bounds[:-1][block], self.question_lengths[block], self.examples[block]
            ids[_ranges(places + self.first, lengths)] = questions[_ranges(begins[example], lengths)]
            places = _ranges(places + self.context[block], self.lengths[block])
            context = documents.bounds[documents.of_example[example]] + self.starts[block]
            tokens = _ranges(context, self.lengths[block])
            ids[places] = documents.ids[tokens]
            words[places] = documents.words[tokens]
            pieces[places] = documents.pieces[tokens]
        return ids, words, pieces

    def max_context(self):
        """Returns bool (N,), see Features."""
        is_max = np.zeros(self.bounds[-1], bool)
        alone = self.lengths == self.sizes[self.examples]
        places = self.bounds[:-1] + self.context
        is_max[_ranges(places[alone], self.lengths[alone])] = True
        for window in np.flatnonzero(~alone).tolist():
            example, start, length = self.examples[window], self.starts[window], self.lengths[window]
            best = _best_windows(int(self.sizes[example]), int(self.room[example]), int(self.step[example]))
            is_max[places[window] : places[window] + length] = best[start : start + length] == self.numbers[window]
        return is_max

    def labels(self, answers):
        """Returns the positions to learn from the answers' first and last tokens in their contexts, int64 (E, 2)."""
        first, last = answers[self.examples].T  # (F,)
        inside = (first >= self.starts) & (last < self.starts + self.lengths)
        shift = self.context - self.starts
        return {
            "start_logits": np.where(inside, first + shift, 0).astype(np.int32),
            "end_logits": np.where(inside, last + shift, 0).astype(np.int32),
        }


@functools.lru_cache(maxsize=64)  # questions about one context come one after the other
def _best_windows(tokens, room, step):
    """Returns the window in which each token of a long context has most around it, int64 (tokens,).

    A window's score is the context on the token's poorer side and a hundredth of the window's length; of equal ones
    the first counts (run_squad.py, _check_is_max_context).
    """
    position = np.arange(tokens)
    last = -(-(tokens - room) // step)
    best, best_score = np.zeros(tokens, np.int64), np.full(tokens, -np.inf)
    for back in reversed(range(-(-room // step))):  # a token stands in at most so many windows
        window = position // step - back
        length = np.minimum(tokens - window * step, room)
        left = position - window * step
        right = length - 1 - left
        score = np.minimum(left, right) + 0.01 * length
        better = (window >= 0) & (window <= last) & (right >= 0) & (score > best_score)
        best[better], best_score[better] = window[better], score[better]
    return best


def _answers(examples, documents, tokenizer, spell):
    """Returns the first and the last token of each answer in its context, int64 (E, 2); -1, -1 for no answer.

    Args:
        examples: list of E Example.
        documents: the _Documents.
        tokenizer: the Tokenizer. WordPiece's answers are found by their tokens, the others' by the tokens' places.
        spell: what gives words their tokens.
    """
    found = np.full((len(examples), 2), -1, np.int64)
    learnt = [number for number, example in enumerate(examples) if example.span is not None]
    if learnt:
        chosen, context = [examples[number] for number in learnt], documents.of_example[learnt]
        before = documents.word_bounds[context]  # (learnt,), the words of other contexts
        if tokenizer.kind == WORDPIECE:
            spans = _spelled_spans(chosen, documents, before, spell)
        else:
            spans = _placed_spans(chosen, documents, before, tokenizer)
        found[learnt] = spans - documents.bounds[context][:, None]
    return found


def _placed_spans(examples, documents, before, tokenizer):
    """Returns the tokens that hold all of each answer, by their places in its first and its last word.

    A token like "▁" that has no character of its own counts as part of what follows it.
    """
    places = WordPlaces(tokenizer)
    spans = np.empty((len(examples), 2), np.int64)
    for row, (example, words) in enumerate(zip(examples, before.tolist(), strict=True)):
        (first_word, start), (last_word, end) = example.answer_ends()
        ends = documents.tokens_of_words[[words + first_word, words + last_word + 1]]
        before_it = after_it = 0  # tokens of its first word that come before the answer, and of its last one after it
        texts = example.context.words
        if start:
            before_it = sum(place[0] < start and place[1] <= start for place in places[texts[first_word]])
        if end < len(texts[last_word]):
            after_it = sum(place[0] >= end for place in places[texts[last_word]])
        first, last = ends[0] + before_it, ends[1] - 1 - after_it
        spans[row] = (first, last) if first <= last else (ends[0], ends[1] - 1)  # none is of the answer: all of them
    return spans


def _spelled_spans(examples, documents, before, spell):
    """Returns the tokens of each answer's words or, where the answer's own tokens stand among them, these.

    Of the word "(1895-1943)." that is the token "1895" (run_squad.py, _improve_answer_span).
    """
    spans = np.array([example.span for example in examples]) + before[:, None]
    first = documents.tokens_of_words[spans[:, 0]]
    last = documents.tokens_of_words[spans[:, 1] + 1] - 1
    answers, lengths = spell([example.answer for example in examples])
    ends = np.cumsum(lengths)
    for row, (low, high, start, end) in enumerate(
        zip(first.tolist(), last.tolist(), (ends - lengths).tolist(), ends.tolist(), strict=True)
    ):
        words, answer = documents.ids[low : high + 1].tolist(), answers[start:end].tolist()
        size = len(answer)
        for skipped in range(len(words) - size + 1 if size else 0):
            if words[skipped : skipped + size] == answer:
                first[row], last[row] = low + skipped, low + skipped + size - 1
                break
    return np.stack([first, last], axis=1)
