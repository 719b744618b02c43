"""The row of the words behind [MASK], which a pre-trained model knows."""

from keras_bert.models import Pretrainer
from keras_bert.tasks.task import Task

TASK = Task(name="fill_mask", model=Pretrainer)
