"""Raw strings to tagged words inside the graph, as `keras_bert.tasks.tag.tagging.tag` finds them in Python.

B strings, W words of a string, P pieces, R windows, S positions of a window, C tags.
"""

import tensorflow as tf

from keras_bert.tasks.served import Served
from keras_bert.tasks.tag.conll_tags import OUTSIDE
from keras_bert.tasks.tag.pieces import goes_on, going_on
from keras_bert.tasks.tag.tagging import word_pattern
from keras_bert.text.characters import re2_class
from keras_bert.text.graph_packing import pack, read_rows
from keras_bert.text.graph_strings import drop_invalid
from keras_bert.text.graph_words import find_characters, find_placed_characters, find_words, nearest
from keras_bert.text.layout import window_count, window_middle, window_step


def tagged_words(server, text):
    """Tags the words of texts, or their characters if that is what the model was taught.

    Args:
        server: a Server.
        text: string (B,).

    Returns:
        {name: tensor}: `tokens` string (B, W), the words as they stand in the text; `start`, `end` int32 (B, W), their
        places, in characters; `label` string (B, W), the tags; `score` float32 (B, W), the tags' probabilities, 0 for
        a word without a piece; `num_tokens` int32 (B,), how many words each text has, what is past them being padding.
    """
    texts = drop_invalid(text)
    if server.options.by_character:
        find = find_characters if server.tokenizer.kind == "wordpiece" else find_placed_characters
        words, ids, piece, shares = find(texts, server.tokenize)
        ends = tf.ragged.range(tf.cast(words.row_lengths(), tf.int32)) + 1
        starts = ends - 1
    else:
        words, starts, ends = find_words(texts, word_pattern(re2_class))
        ids, piece = _first_pieces(words, server.tokenize)
        shares = tf.zeros_like(piece.values, tf.bool)
    row, column, logits = _read(server, ids)
    has_piece = piece.values >= 0
    before = tf.gather(ids.row_starts(), piece.value_rowids())  # of each word's text
    place = tf.where(has_piece, before + tf.cast(piece.values, tf.int64), tf.size(ids.values, tf.int64))
    row, column = (tf.gather(tf.concat([each, [0]], 0), place) for each in (row, column))
    chosen = tf.gather_nd(logits, tf.stack([row, column], axis=1))  # (words, C)
    answers = _answers(server.model.labels, piece, has_piece, shares, tf.argmax(chosen, axis=1, output_type=tf.int32))
    scores = tf.where(has_piece, tf.reduce_max(tf.nn.softmax(chosen), axis=1), 0.0)
    return {
        "tokens": words.to_tensor(""),
        "start": starts.to_tensor(0),
        "end": ends.to_tensor(0),
        "label": words.with_values(answers).to_tensor(""),
        "score": words.with_values(scores).to_tensor(0.0),
        "num_tokens": tf.cast(words.row_lengths(), tf.int32),
    }


def _first_pieces(words, tokenize):
    """Returns the pieces of words cut one by one, ragged int32 (B, P), and each word's first, (B, W); -1 for none."""
    pieces = tokenize.of_words(words.values)  # (words, None)
    ids = tf.RaggedTensor.from_row_splits(pieces.values, tf.gather(pieces.row_splits, words.row_splits), validate=False)
    first = pieces.row_starts() - tf.gather(ids.row_starts(), words.value_rowids())
    first = tf.where(pieces.row_lengths() > 0, tf.cast(first, tf.int32), -1)
    return ids, words.with_values(first)


def _read(server, ids):
    """Reads texts of any length, the long ones in windows that overlap by half (tasks/tag/pieces.py, `windows`).

    Returns:
        row, column, logits: int64 of each piece, the window that it counts in and its place there; float32 (R, S, C).
    """
    layout = server.tokenizer.layout
    room = layout.room(server.options.max_seq_length, texts=1)
    counts = tf.cast(ids.row_lengths(), tf.int32)  # (B,)
    step = window_step(room, xp=tf)
    numbers = window_count(counts, room, step, xp=tf)  # windows of each text
    window = tf.ragged.range(numbers)  # (B, None)
    text = tf.cast(window.value_rowids(), tf.int32)  # (R,)
    starts = tf.minimum(window.values * step, tf.maximum(0, tf.gather(counts, text) - room))
    lengths = tf.minimum(tf.gather(counts, text), room)
    flat = starts + tf.gather(tf.cast(ids.row_starts(), tf.int32), text)
    windows = tf.ragged.range(flat, flat + lengths)
    inputs = pack(
        [windows.with_values(tf.gather(ids.values, windows.values))],
        server.tokenizer,
        max_seq_length=server.options.max_seq_length,
    )
    logits = read_rows(server.model, inputs, pad_id=server.tokenizer.pad_id)
    # A piece counts in the window where its nearer end is farthest: past the middle of an overlap, in the later one.
    is_last = tf.concat([text[1:] != text[:-1], [True]], 0)[: tf.size(text)]
    following = tf.concat([starts[1:], [0]], 0)[: tf.size(starts)]
    middles = window_middle(starts, following, room)
    longest = tf.reduce_max(tf.concat([counts, [0]], 0)) + 1
    stride = tf.cast(longest, tf.int64) + 1  # texts times pieces may be more than int32 holds
    bounds = tf.cast(tf.where(is_last, longest, middles), tf.int64) + tf.cast(text, tf.int64) * stride  # counting up
    places = tf.ragged.range(counts)
    row = tf.searchsorted(bounds, tf.cast(places.values, tf.int64) + places.value_rowids() * stride, side="right")
    column = places.values - tf.gather(starts, row) + layout.starts(0)[0]
    return tf.cast(row, tf.int64), tf.cast(column, tf.int64), logits


def _answers(labels, piece, has_piece, shares, answers):
    """Returns each word's tag, string; see `WordPieces.word_tags`.

    Args:
        labels: the C tags' names.
        piece: ragged (B, W), whose rows are the texts.
        has_piece, shares: bool of each word.
        answers: int32 of each word, the likeliest tag; of a word without a piece any.
    """
    names = [str(label) for label in labels]
    answers = tf.where(shares, tf.gather([names.index(name) for name in going_on(names)], answers), answers)
    outside = names.index(OUTSIDE) if OUTSIDE in names else 0
    before = nearest(piece, has_piece, answers, back=True)
    after = nearest(piece, has_piece, answers, back=False)
    inside = tf.constant([[goes_on(one, other) for other in names] for one in names])
    between = tf.gather_nd(inside, tf.stack([tf.maximum(before, 0), tf.maximum(after, 0)], axis=1))
    filled = tf.where(between & (before >= 0) & (after >= 0), after, outside)
    return tf.gather(tf.constant(names), tf.where(has_piece, answers, filled))


SERVED = Served(answer=tagged_words, examples={"text": "Rollo came to Normandy in 911."})
