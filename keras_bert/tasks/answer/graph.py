"""Questions and contexts to answers inside the graph, as run_squad.py and tasks/answer find them in Python.

    windows of the contexts -> logits -> the best spans -> their texts -> of each text the best one -> the answer

B questions, W words and P pieces of a context, F windows of all contexts, S positions of a window, N spans looked at.
"""

import dataclasses

import tensorflow as tf

from keras_bert.tasks.answer.answers import NO_WINDOW
from keras_bert.tasks.answer.features import check_lengths
from keras_bert.tasks.answer.graph_names import is_first
from keras_bert.tasks.answer.graph_places import sources_of
from keras_bert.tasks.served import Served
from keras_bert.text.graph_packing import pack, read_rows
from keras_bert.text.graph_strings import drop_invalid
from keras_bert.text.graph_words import find_words
from keras_bert.text.layout import layout_of, window_count, window_step

WORD = r"[^ \t\r\n\x{202F}]+"  # run_squad.py's white space: these five alone
N_BEST, MAX_ANSWER_LENGTH = 20, 30  # the defaults of find_answers
LOOKED_AT = N_BEST**2  # different spans of a context, by their scores: few of them have one text
LOW = tf.float64.min


def answers(server, question, context):
    """Answers questions.

    Args:
        server: a Server.
        question, context: string (B,).

    Returns:
        {name: tensor}: `text` string (B,), the answer as it stands in the context; `score` float32 (B,), its
        probability among the best ones; `start`, `end` int32 (B,), its place, in characters, -1 for no answer;
        `null_score` float32 (B,), how far the score of no answer lies over the best answer's.
    """
    contexts = drop_invalid(context)
    words, starts, _ = find_words(contexts, WORD)
    pieces, sources = sources_of(server, words.values, starts.values)  # (words of all contexts, None)
    splits = tf.gather(pieces.row_splits, words.row_splits)
    ids = tf.RaggedTensor.from_row_splits(pieces.values, splits, validate=False)  # (B, P)
    windows = cut(server, server.tokenize(question), ids)
    logits = read_rows(server.model, windows.inputs, pad_id=server.tokenizer.pad_id)
    logits = {name: tf.cast(each, tf.float64) for name, each in logits.items()}
    spans = best_spans(windows, logits, sources, tf.cast(ids.row_starts(), tf.int32))
    null = tf.math.segment_min(logits["start_logits"][:, 0] + logits["end_logits"][:, 0], windows.text)
    return _answer(server.options.threshold, contexts, spans, null)


@dataclasses.dataclass(frozen=True)
class Windows:
    """F windows: the question and a part of the context, in the tokenizer's layout.

    Attributes:
        inputs: {name: int32 (F, S)}.
        text: int32 (F,), the context that each is of.
        first: int32 (F,), the position of the first piece of the context.
        start, length: int32 (F,), which piece of the context that is, and how many there are.
        numbers, room, step, sizes: int32 (B,): each context's windows, the room for it, the pieces from one window to
            the next, and its pieces.
    """

    inputs: dict
    text: tf.Tensor
    first: tf.Tensor
    start: tf.Tensor
    length: tf.Tensor
    numbers: tf.Tensor
    room: tf.Tensor
    step: tf.Tensor
    sizes: tf.Tensor


def cut(server, questions, ids):
    """Cuts contexts into windows (tasks/answer/features.py). Those without a piece have one window too.

    Args:
        server: a Server.
        questions, ids: ragged int32 (B, None), the pieces of the questions and of the contexts.

    Returns:
        Windows.
    """
    options, layout = server.options, server.tokenizer.layout
    questions = questions[:, : options.max_query_length]
    lengths, sizes = (tf.cast(each.row_lengths(), tf.int32) for each in (questions, ids))
    room = layout.room(options.max_seq_length, texts=2) - lengths
    step = window_step(room, options.doc_stride, xp=tf)
    numbers = window_count(sizes, room, step, xp=tf)
    number = tf.ragged.range(numbers)
    text = tf.cast(number.value_rowids(), tf.int32)
    start = number.values * tf.gather(step, text)
    length = tf.minimum(tf.gather(sizes, text) - start, tf.gather(room, text))
    flat = start + tf.gather(tf.cast(ids.row_starts(), tf.int32), text)
    parts = tf.ragged.range(flat, flat + length)
    parts = [tf.gather(questions, text), parts.with_values(tf.gather(ids.values, parts.values))]
    inputs = pack(parts, server.tokenizer, max_seq_length=options.max_seq_length)
    _, first = layout.starts(tf.gather(lengths, text))
    return Windows(inputs, text, first, start, length, numbers, room, step, sizes)


@dataclasses.dataclass(frozen=True)
class Spans:
    """N spans of each context, best first.

    Attributes:
        scores: float64 (B, N), the sum of both logits; LOW where there is no such span.
        keys: int32 (B, N), equal in a row for those alone whose texts, with single spaces between words, are equal.
        start, end: int32 (B, N), the characters of the context from which on and before which they stand.
    """

    scores: tf.Tensor
    keys: tf.Tensor
    start: tf.Tensor
    end: tf.Tensor


def best_spans(windows, logits, sources, before):
    """Returns the best Spans over all windows of each context (tasks/answer/answers.py, `_best_candidates`).

    Args:
        windows: the Windows.
        logits: {"start_logits", "end_logits"}: float64 (F, S).
        sources: those of the contexts, see `sources_of`.
        before: int32 (B,), the pieces of the contexts before each.
    """
    text, scores, first, last = _good_spans(windows, logits)
    order = tf.argsort(scores, direction="DESCENDING", stable=True)
    text, scores, first, last = (tf.gather(each, order) for each in (text, scores, first, last))
    first, last = (each + tf.gather(before, text) for each in (first, last))  # pieces of all contexts
    new = tf.boolean_mask(tf.range(tf.size(text)), is_first(text, *sources.keys(first, last)))
    new = tf.gather(new, tf.argsort(tf.gather(text, new), stable=True))  # by their contexts
    rows = tf.cast(tf.gather(text, new), tf.int64)
    # Contexts differ in their spans by thousands: only the best become a tensor, and one more for there to be any.
    rows = tf.RaggedTensor.from_value_rowids(new, rows, tf.size(before, tf.int64), validate=False)[:, :LOOKED_AT]
    scores, first, last = (tf.gather(each, rows.values) for each in (scores, first, last))

    def dense(each, nothing):
        return tf.pad(rows.with_values(each).to_tensor(nothing), [[0, 0], [0, 1]], constant_values=nothing)

    return Spans(dense(scores, LOW), *(dense(each, 0) for each in sources.find(first, last)))


def _good_spans(windows, logits):
    """Returns the spans that windows allow, in run_squad.py's order (tasks/answer/answers.py, `_spans`).

    Returns:
        text, scores, first, last: the context of each, int32; the sum of both logits, float64; its first and its last
        piece among those of the context, int32.
    """
    width = tf.shape(logits["start_logits"])[1]
    best = tf.minimum(N_BEST, width)  # (K)
    is_token = tf.cast(windows.inputs["input_mask"], tf.bool)  # padding does not compete
    tops = [tf.math.top_k(tf.where(is_token, logits[f"{end}_logits"], LOW), best) for end in ("start", "end")]
    starts, ends = (tops[0].indices - windows.first[:, None], tops[1].indices - windows.first[:, None])  # (F, K)
    inside = [(each >= 0) & (each < windows.length[:, None]) for each in (starts, ends)]
    starts, ends = starts + windows.start[:, None], ends + windows.start[:, None]  # pieces of the context
    more = ends[:, None, :] - starts[:, :, None]  # (F, K, K)
    good = (more >= 0) & (more < MAX_ANSWER_LENGTH) & inside[1][:, None, :]
    good &= (inside[0] & _is_max_context(windows, starts))[:, :, None]
    window, start, end = tf.unstack(tf.where(good), axis=1)
    first, last = (tf.stack([window, each], axis=1) for each in (start, end))
    scores = tf.gather_nd(tops[0].values, first) + tf.gather_nd(tops[1].values, last)
    return tf.gather(windows.text, window), scores, tf.gather_nd(starts, first), tf.gather_nd(ends, last)


def _is_max_context(windows, pieces):
    """Says whether of all windows that hold a piece, this one has most around it (features.py, `_best_windows`).

    Args:
        windows: the Windows.
        pieces: int32 (F, K), pieces of the context.

    Returns:
        bool (F, K).
    """
    room, step, size, numbers = (
        tf.gather(each, windows.text)[:, None, None]
        for each in (windows.room, windows.step, windows.sizes, windows.numbers)
    )
    most = tf.reduce_max(tf.concat([-(-windows.room // windows.step), [1]], 0))  # windows that may hold a piece
    pieces = pieces[:, :, None]
    window = pieces // step - tf.range(most)[::-1]  # (F, K, most), in order
    length = tf.minimum(size - window * step, room)
    left = pieces - window * step
    right = length - 1 - left
    score = tf.cast(tf.minimum(left, right), tf.float64) + 0.01 * tf.cast(length, tf.float64)
    score = tf.where((window >= 0) & (window < numbers) & (right >= 0), score, LOW)
    best = tf.argmax(score, axis=2, output_type=tf.int32)  # of equal ones the first
    own = tf.reduce_max(tf.where(tf.equal(tf.range(most), best[:, :, None]), window, -1), axis=2)
    return tf.equal(own, (windows.start // tf.gather(windows.step, windows.text))[:, None])


def _answer(threshold, contexts, spans, null):
    """Returns the outputs of `answers`.

    Args:
        threshold: of the null odds, or None where each question has an answer.
        contexts: string (B,).
        spans: the Spans.
        null: float64 (B,), the score of no answer.
    """
    scores, shape = spans.scores, tf.shape(spans.scores)
    row = tf.repeat(tf.range(shape[0]), shape[1])
    is_new = (scores > LOW) & tf.reshape(is_first(row, tf.reshape(spans.keys, [-1])), shape)
    rank = tf.cumsum(tf.cast(is_new, tf.int32), axis=1, exclusive=True)
    if threshold is not None:
        rank += tf.cast(null[:, None] > scores, tf.int32)  # no answer takes its place among the best ones
    is_listed = is_new & (rank < N_BEST)
    has_answer = tf.reduce_any(is_listed, axis=1)
    best = tf.argmax(tf.cast(is_listed, tf.int32), axis=1, output_type=tf.int32)  # the first one
    best_score = tf.where(has_answer, tf.gather(scores, best, batch_dims=1), LOW)
    odds = tf.where(has_answer, null - best_score, tf.constant(NO_WINDOW, tf.float64))
    highest = best_score if threshold is None else tf.maximum(best_score, null)
    total = tf.reduce_sum(tf.where(is_listed, tf.exp(scores - highest[:, None]), 0.0), axis=1)
    score = tf.exp(best_score - highest)
    if threshold is not None:
        total += tf.exp(null - highest)
        is_null = ~has_answer | (odds > threshold)
        score, has_answer = tf.where(is_null, tf.exp(null - highest), score), ~is_null
    start, end = (tf.gather(each, best, batch_dims=1) for each in (spans.start, spans.end))
    start, end = tf.where(has_answer, start, 0), tf.where(has_answer, end, 0)
    return {
        "text": tf.strings.substr(contexts, start, end - start, unit="UTF8_CHAR"),
        "score": tf.cast(tf.where(total > 0, score / total, 1.0), tf.float32),
        "start": tf.where(has_answer, start, -1),
        "end": tf.where(has_answer, end, -1),
        "null_score": tf.cast(odds, tf.float32),
    }


def check(model, tokenizer, inputs, options):
    """Raises a UserError if no context fits beside the question."""
    lengths = (options.max_seq_length, options.doc_stride, options.max_query_length)
    check_lengths(*lengths, layout=layout_of(tokenizer))


SERVED = Served(
    answer=answers,
    inputs=lambda options: {"question": (None,), "context": (None,)},
    examples={"question": "Who came?", "context": "Rollo came to Normandy in 911."},
    check=check,
)
