"""Classes, several labels or a number for a text or a pair of texts, from tables of one's own."""

from keras_bert.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        f"{__name__}.examples": ("Examples", "read_examples", "read_inputs"),
        f"{__name__}.training": ("predict_logits", "prediction_columns", "train", "write_predictions"),
    },
)
