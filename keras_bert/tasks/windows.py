"""Texts as rows of ids: a long one is cut to the model's length, or read in overlapping windows (run_squad.py's spans).

N texts or pairs, R rows (windows).
"""

import numpy as np

from keras_bert.data.texts import text_rows
from keras_bert.errors import UserError
from keras_bert.text.given import check_length
from keras_bert.text.layout import BERT, plan_windows


def encode_texts(texts, pairs, tokenizer, *, max_seq_length, long_texts="cut", doc_stride=None):
    """Makes rows of ids in the tokenizer's layout, such as [CLS] text [SEP] or [CLS] text [SEP] pair [SEP].

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
    layout, texts_each = tokenizer.layout, len(columns)
    check_windows(max_seq_length, long_texts, doc_stride, texts=texts_each, layout=layout)
    if long_texts == "cut":
        rows = text_rows(texts, tokenizer, pairs=pairs, max_seq_length=max_seq_length)
        return rows, np.ones(len(texts), int)
    bulk = tokenizer.bulk()
    ids, lengths = zip(*(bulk.token_ids(column) for column in columns), strict=True)
    plan = plan_windows(lengths, layout.room(max_seq_length, texts=texts_each), doc_stride)
    gaps, rows = layout.gaps(tokenizer, texts=texts_each), {"input_ids": [], "segment_ids": []}
    for parts in _windows(list(map(_split, ids, lengths)), plan):
        for name, row in zip(rows, layout.assemble(parts, gaps), strict=True):
            rows[name].append(row)
    return rows, plan.counts


def check_windows(max_seq_length, long_texts, doc_stride, *, texts=1, layout=BERT):
    """Raises a UserError if texts cannot be read so.

    Args:
        max_seq_length, long_texts, doc_stride: as `encode_texts` takes them.
        texts: 1, or 2 for pairs.
        layout: the tokenizer's Layout.

    Raises:
        UserError: an unknown `long_texts`, a number out of range, or no room for a token of each text.
    """
    if long_texts not in ("cut", "windows"):
        raise UserError(f"long_texts must be cut or windows. Received: {long_texts!r}.")
    if doc_stride is not None and doc_stride < 1:
        raise UserError(f"doc_stride must be at least 1. Received: {doc_stride}.")
    check_length(max_seq_length, layout, texts=texts, tokens=1)


def _split(ids, lengths):
    return np.split(ids.astype(np.int32), np.cumsum(lengths)[:-1])


def _windows(columns, plan):
    """Yields the parts of each window: ids of the text that is read, and of the one beside it.

    Args:
        columns: for each text of a row, lists of N int32 arrays.
        plan: their WindowPlan.
    """
    is_read, kept = (np.stack(each, axis=1).tolist() for each in (plan.is_read, plan.kept))
    sizes = (each.tolist() for each in (plan.width, plan.step, plan.counts))
    for parts, reads, keeps, width, step, count in zip(zip(*columns, strict=True), is_read, kept, *sizes, strict=True):
        for start in (number * step for number in range(count)):
            yield [
                part[start : start + width] if read else part[:keep]
                for part, read, keep in zip(parts, reads, keeps, strict=True)
            ]
