"""One training step and one evaluation step of the pre-trainer in TensorFlow, right on one replica and on many.

The loss is the global batch's (Devlin et al. 2018, section 3.1; run_pretraining.py), see trainer.py.
"""

import tensorflow as tf

from keras_bert.layers.dropout import masks_of_replica
from keras_bert.training.sums import SUMS, columns, total_loss


def batch_sums(model, batch, **options):
    """Returns float32 (C,), `sums.SUMS` of each of the model's tasks over a batch of this replica.

    Args:
        model, batch, **options: see `Pretrainer.batch_sums`.
    """
    sums = model.batch_sums(batch, **options)
    return tf.concat([sums[task] for task in model.task_weights], axis=0)


def make_replica_step(model, optimizer, *, accumulation=1):
    """Builds one update of the model, to be called on each replica (`strategy.run`).

    Args:
        model: a Pretrainer, or what else has its `task_weights`, `batch_counts` and `batch_sums`.
        optimizer: a built optimizer of ours.
        accumulation: micro-batches into which the replica's share of the batch is cut, one after the other.

    Returns:
        A function from a batch to float32 (C + 2,), `sums.columns` of the global batch.
    """
    variables, tasks = model.trainable_variables, model.task_weights

    def sums_and_gradients(batch, counts):
        """Returns the (C,) sums of a micro-batch, and the gradients of its share of the global loss."""
        with tf.GradientTape() as tape:
            sums = batch_sums(model, batch, training=True, step=optimizer.iterations)
            loss = total_loss(sums, counts, tasks)
        # What no task reads, such as a pooler without next_sentence, has a gradient of 0.
        gradients = zip(tape.gradient(loss, variables), variables, strict=True)
        return sums, [tf.zeros(v.shape, v.dtype) if g is None else tf.convert_to_tensor(g) for g, v in gradients]

    def accumulated(batch, counts):
        parts = tf.nest.map_structure(
            lambda x: tf.reshape(x, (accumulation, x.shape[0] // accumulation, *x.shape[1:])), batch
        )

        def add(i, sums, gradients):
            more_sums, more = sums_and_gradients(tf.nest.map_structure(lambda x: x[i], parts), counts)
            return i + 1, sums + more_sums, [a + b for a, b in zip(gradients, more, strict=True)]

        start = (tf.constant(0), tf.zeros((len(SUMS) * len(tasks),)), [tf.zeros(v.shape, v.dtype) for v in variables])
        _, sums, gradients = tf.while_loop(lambda i, *_: i < accumulation, add, start, maximum_iterations=accumulation)
        return sums, gradients

    def replica_step(batch):
        context = tf.distribute.get_replica_context()
        add_up = lambda tensors: context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)  # noqa: E731
        own_counts = model.batch_counts(batch)
        counts = tf.maximum(add_up(tf.stack([own_counts[task] for task in tasks])), 1.0)
        with masks_of_replica(context.replica_id_in_sync_group if context.num_replicas_in_sync > 1 else None):
            sums, gradients = (sums_and_gradients if accumulation == 1 else accumulated)(batch, counts)
        norm = optimizer.apply_reduced(add_up(gradients), variables)
        tokens = tf.reduce_sum(tf.cast(batch[0]["input_mask"], tf.float32))
        return tf.concat([add_up(tf.concat([sums, [tokens]], axis=0)), [norm]], axis=0)

    return replica_step


def make_train_steps(model, optimizer, strategy, *, accumulation=1, jit_compile=False):
    """Builds `train_steps(iterator, n)`: n updates in one call on the device.

    Args:
        model, optimizer, accumulation: see `make_replica_step`.
        strategy: the tf.distribute strategy under whose scope both were made.
        jit_compile: whether a step is compiled by XLA.

    Returns:
        A function (iterator over distributed batches, int32 scalar n) -> float32 (n, C + 2), each step's
        `sums.columns`.
    """
    step = tf.function(make_replica_step(model, optimizer, accumulation=accumulation), jit_compile=jit_compile)

    @tf.function  # one graph for each shape of a batch
    def train_steps(iterator, n):
        rows = tf.TensorArray(tf.float32, size=n, element_shape=(len(columns(model.task_weights)),))
        for i in tf.range(n):
            row = strategy.run(step, args=(next(iterator),))
            rows = rows.write(i, strategy.experimental_local_results(row)[0])  # the same on all
        return rows.stack()

    return train_steps


def make_eval_step(model, strategy, *, jit_compile=False):
    """Builds `eval_step(batch)`, which gives the (C,) sums of a distributed batch without training."""

    def replica_step(batch):
        return batch_sums(model, batch, training=False, step=0)

    compiled = tf.function(replica_step, jit_compile=jit_compile)

    @tf.function  # one graph for each shape of a batch
    def eval_step(batch):
        return strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(compiled, args=(batch,)), axis=None)

    return eval_step
