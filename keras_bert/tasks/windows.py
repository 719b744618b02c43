"""Texts as rows of ids: a long one is cut to the model's length, or read in overlapping windows (run_squad.py's spans).

N texts or pairs, R rows (windows).
"""

import numpy as np

from keras_bert.data.texts import text_rows
from keras_bert.errors import UserError
from keras_bert.text.bulk import BulkTokenizer


def encode_texts(texts, pairs, tokenizer, *, max_seq_length, long_texts="cut", doc_stride=None):
    """Makes rows of ids: [CLS] text [SEP], or [CLS] text [SEP] pair [SEP].

    Args:
        texts: N str.
        pairs: N str, the second texts; or None.
        tokenizer: a Tokenizer.
        max_seq_length: no row is longer.
        long_texts: "cut" leaves out the end of what is longer, as Tokenizer.encode does. "windows" reads all of it,
            in a row for each window; of a pair the longer text is read in windows, each with the other text, which
            keeps at most half of the room.
        doc_stride: tokens from the beginning of a window to that of the next; None for half a window.

    Returns:
        rows, counts: {"input_ids", "segment_ids"}: lists of R int32 arrays, the windows of a text following one
        another; and how many each text has, int (N,).

    Raises:
        UserError: no texts, an unknown `long_texts`, a number out of range, or no room beside the special tokens.

    Example:
        >>> from keras_bert.text.tokenizer import Tokenizer
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
        >>> tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "a", "b", "c", "d"]))
        >>> rows, counts = encode_texts(["a b c d", "d"], None, tokenizer, max_seq_length=5, long_texts="windows")
        >>> [row.tolist() for row in rows["input_ids"]], counts.tolist()
        ([[2, 5, 6, 7, 3], [2, 6, 7, 8, 3], [2, 8, 3]], [2, 1])
    """
    columns = [texts] if pairs is None else [texts, pairs]
    room = check_windows(max_seq_length, long_texts, doc_stride, texts=len(columns))
    if long_texts == "cut":
        rows = text_rows(texts, tokenizer, pairs=pairs, max_seq_length=max_seq_length)
        return rows, np.ones(len(texts), int)
    bulk = BulkTokenizer(tokenizer)
    ids = [_split(*bulk.token_ids(column)) for column in columns]
    windows = [_windows(parts, room, doc_stride) for parts in zip(*ids, strict=True)]
    cls, sep = ([np.array([token], np.int32)] for token in (tokenizer.cls_id, tokenizer.sep_id))
    rows = {"input_ids": [], "segment_ids": []}
    for parts in (parts for each in windows for parts in each):
        rows["input_ids"].append(np.concatenate([*cls, *(piece for part in parts for piece in (part, *sep))]))
        lengths = [len(part) + 1 for part in parts]
        lengths[0] += 1
        rows["segment_ids"].append(np.repeat(np.arange(len(parts), dtype=np.int32), lengths))
    return rows, np.array([len(each) for each in windows])


def check_windows(max_seq_length, long_texts, doc_stride, *, texts=1):
    """Returns the tokens that a row has room for beside the special ones.

    Args:
        max_seq_length, long_texts, doc_stride: as `encode_texts` takes them.
        texts: 1, or 2 for pairs.

    Raises:
        UserError: an unknown `long_texts`, a number out of range, or no room for a token of each text.
    """
    room = max_seq_length - 1 - texts
    if long_texts not in ("cut", "windows"):
        raise UserError(f"long_texts must be cut or windows. Received: {long_texts!r}.")
    if doc_stride is not None and doc_stride < 1:
        raise UserError(f"doc_stride must be at least 1. Received: {doc_stride}.")
    if room < texts:
        raise UserError(
            f"max_seq_length must be at least {1 + 2 * texts} to hold a token of each text beside [CLS] and [SEP]. "
            f"Received: {max_seq_length}."
        )
    return room


def _split(ids, lengths):
    return np.split(ids.astype(np.int32), np.cumsum(lengths)[:-1])


def _windows(parts, room, doc_stride):
    """Returns the windows of one text or of the longer of two, each with the other text beside it."""
    if sum(map(len, parts)) <= room:
        return [parts]
    longer = max(reversed(range(len(parts))), key=lambda i: len(parts[i]))  # of two equally long ones the second
    others = {i: part[: room // 2] for i, part in enumerate(parts) if i != longer}
    width = room - sum(map(len, others.values()))
    step = min(doc_stride or max(1, width // 2), width)
    text = parts[longer]
    starts = range(0, len(text) - width + step, step)  # the last window is the first to reach the end
    return [[others.get(i, text[start : start + width]) for i in range(len(parts))] for start in starts]
