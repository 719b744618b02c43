"""The trainer on TensorFlow: one device, several, several workers or a TPU, by tf.distribute (see trainer.py)."""

import numpy as np
import tensorflow as tf

from keras_bert.training.steps import make_eval_step, make_train_steps
from keras_bert.training.sums import SUMS
from keras_bert.training.workers import num_workers


class TensorFlowTrainer:
    """Trains under a tf.distribute strategy. Arguments and methods: see `make_trainer`."""

    def __init__(self, model, optimizer, strategy, *, accumulation=1, jit_compile=False):
        self.optimizer, self.strategy, self.tasks = optimizer, strategy, model.task_weights
        jit_compile = jit_compile and not isinstance(strategy, tf.distribute.TPUStrategy)  # which compiles by itself
        options = {"accumulation": accumulation, "jit_compile": jit_compile}
        self._train_steps = make_train_steps(model, optimizer, strategy, **options)
        self._eval_step = make_eval_step(model, strategy, jit_compile=jit_compile)
        self._mean = tf.function(
            lambda number: strategy.reduce(tf.distribute.ReduceOp.MEAN, strategy.run(tf.identity, (number,)), axis=None)
        )

    def batches(self, make_dataset):
        """Returns an iterator over the batches of all replicas, each of which gets an equal share."""
        return iter(self._distributed(make_dataset))

    def train(self, batches, n):
        """Updates the model n times. Returns float32 (n, C + 2)."""
        return self._train_steps(batches, tf.constant(n)).numpy()

    def evaluate(self, make_dataset, max_batches=None):
        """Returns float64 (C,), the sums over all batches, or over some."""
        sums = np.zeros(len(SUMS) * len(self.tasks))
        for batch in self._distributed(
            lambda *share: make_dataset(*share).take(-1 if max_batches is None else max_batches)
        ):
            sums += self._eval_step(batch).numpy()
        return sums

    def set_learning_rate(self, rate):
        """Sets the optimizer's rate."""
        self.optimizer.learning_rate.assign(rate)

    def agreed(self, number):
        """Returns the mean of the workers' numbers, the same on all; a collective operation where there are several."""
        return number if num_workers(self.strategy) == 1 else float(self._mean(tf.constant(number, tf.float64)))

    def pull(self):
        """Does nothing: the Keras variables are those that are trained."""

    def push(self):
        """Does nothing, likewise."""

    def _distributed(self, make_dataset):
        def of_worker(context):
            dataset = make_dataset(context.num_input_pipelines, context.input_pipeline_id)
            replicas = context.num_replicas_in_sync // context.num_input_pipelines
            return dataset if replicas == 1 else dataset.map(lambda *batch: _cut(batch, replicas)).unbatch()

        return self.strategy.distribute_datasets_from_function(of_worker)


def _cut(batch, parts):
    """Returns a batch as so many equal ones, stacked: (B, ...) -> (parts, B / parts, ...)."""
    return tf.nest.map_structure(lambda x: tf.reshape(x, (parts, x.shape[0] // parts, *x.shape[1:])), batch)
