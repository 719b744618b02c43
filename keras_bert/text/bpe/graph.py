"""The byte-level BPE engine inside the graph: ids by graph_ids.py, places by graph_places.py.

N strings, T tokens of a string.
"""

import tensorflow as tf

from keras_bert.text.bpe.graph_ids import GraphBytePairs
from keras_bert.text.bpe.graph_nfc import nfc
from keras_bert.text.bpe.graph_places import TokenPlaces, in_original


class GraphBytePairEngine(tf.Module):
    """Gives strings the ids of a `BytePairs`, and says where its tokens stand.

    Args:
        model: the BytePairs.
    """

    def __init__(self, model):
        super().__init__()
        self._ids, self._places = GraphBytePairs(model), TokenPlaces(model)
        self._composes, self._prefixes = model.normalizer == "NFC", model.add_prefix_space

    def __call__(self, texts):
        """Returns the ids of strings (N,), valid UTF-8: ragged int32 (N, T)."""
        return self._ids(texts)

    def normalized(self, texts):
        """Normalizes strings (N,)."""
        return nfc(texts) if self._composes else texts

    def pieces(self, texts):
        """Returns ids, starts, ends of strings (N,), valid UTF-8: ragged int32 (N, T), places in characters."""
        ids, lengths = self._ids.pieces(texts)
        is_prefixed = (tf.strings.substr(texts, 0, 1) != " ") & (texts != "") if self._prefixes else None
        places = self._places(ids, lengths, is_prefixed)
        return ids, *(in_original(texts, nfc, *places) if self._composes else places)
