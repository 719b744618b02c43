"""NFC inside the graph."""

import tensorflow as tf


def nfc(texts):
    import tensorflow_text as tf_text

    return tf_text.normalize_utf8(texts, "NFC")
