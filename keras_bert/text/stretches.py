"""Thousands of texts to ids at once, by an engine that takes many stretches of text without added tokens.

texts -> stretches, and added tokens between them -> the engine's ids of all stretches -> put in order again
"""

import re

import numpy as np

from keras_bert.text.given import as_texts

STRETCH = -1  # in place of an id: ordinary text, not an added token


class BulkStretches:
    """Gives many texts the ids of a `Tokenizer` whose engine has a `bulk` of its own.

    Args:
        tokenizer: a `keras_bert.text.tokenizer.Tokenizer`.
    """

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.dtype = np.dtype(np.uint16 if len(tokenizer) <= 1 << 16 else np.int32)
        kept = tokenizer.kept
        # A text that has none of these has no added token. Any text may have a normalized one.
        self._may_hold = re.compile("" if kept.normalized else "|".join(map(re.escape, kept.raw))) if kept else None

    def token_ids(self, texts):
        """Returns the ids of all texts, one after the other, and how many each text has, without special tokens.

        Args:
            texts: a list of str (or of UTF-8 bytes, of which what is not UTF-8 is dropped).

        Returns:
            ids, uint16 (N,), or int32 with a vocabulary over 65,536, and lengths, int64 (len(texts),), whose sum is N.
        """
        texts, engine = as_texts(texts, what="texts"), self.tokenizer.engine
        if self._may_hold is None or not any(map(self._may_hold.search, texts)):
            ids, lengths = engine.bulk(texts)
            return ids.astype(self.dtype, copy=False), lengths
        stretches, kept_ids, counts = [], [], []
        for text in texts:
            before = len(kept_ids)
            for start, end, token in (
                self.tokenizer.kept.split(text) if self._may_hold.search(text) else [(0, None, None)]
            ):
                kept_ids.append(STRETCH if token is None else self.tokenizer.vocabulary.id(token.content))
                if token is None:
                    stretches.append(text[start:end])
            counts.append(len(kept_ids) - before)
        ids, lengths = engine.bulk(stretches)
        kept_ids = np.array(kept_ids, np.int64)
        is_stretch = kept_ids == STRETCH
        sizes = np.ones(len(kept_ids), np.int64)
        sizes[is_stretch] = lengths
        of_stretch = np.repeat(is_stretch, sizes)
        joined = np.empty(len(of_stretch), self.dtype)
        joined[of_stretch] = ids
        joined[~of_stretch] = kept_ids[~is_stretch]
        upto = np.concatenate([[0], np.cumsum(sizes)])
        return joined, np.diff(upto[np.cumsum([0, *counts])])
