"""GLUE (Wang et al. 2018) and XNLI (Conneau et al. 2018): `keras_bert.glue`. The tasks are rows of a table, rows.py.

train = kb.glue.dataset("mrpc", "train", tokenizer, data_dir="glue/MRPC")
classifier.fit(train, epochs=3)
dev = kb.glue.read_examples("mrpc", "glue/MRPC", "dev")
kb.glue.metrics("mrpc", dev.labels, logits)
"""

from keras_bert.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        f"{__name__}.figures": ("metrics",),
        f"{__name__}.reading": ("dataset", "has_examples", "read_examples"),
        f"{__name__}.rows": ("TASKS", "GlueTask", "find_task"),
        f"{__name__}.submission": ("write_predictions", "zip_submission"),
    },
)
