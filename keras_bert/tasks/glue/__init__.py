"""GLUE (Wang et al. 2018) and XNLI (Conneau et al. 2018): `keras_bert.glue`. The tasks are rows of a table, rows.py.

train = kb.glue.dataset("mrpc", "train", tokenizer, data_dir="glue/MRPC")
classifier.fit(train, epochs=3)
dev = kb.glue.read_examples("mrpc", "glue/MRPC", "dev")
kb.glue.metrics("mrpc", dev.labels, logits)
"""

from keras_bert.tasks.glue.figures import metrics
from keras_bert.tasks.glue.reading import dataset, has_examples, read_examples
from keras_bert.tasks.glue.rows import TASKS, GlueTask, find_task
from keras_bert.tasks.glue.submission import write_predictions, zip_submission

__all__ = [
    "TASKS",
    "GlueTask",
    "dataset",
    "find_task",
    "has_examples",
    "metrics",
    "read_examples",
    "write_predictions",
    "zip_submission",
]
