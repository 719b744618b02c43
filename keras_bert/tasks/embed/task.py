"""The row of sentence embeddings, which a bare encoder makes."""

from keras_bert.models import Encoder
from keras_bert.tasks.task import Task

TASK = Task(name="embed", model=Encoder)
