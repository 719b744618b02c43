"""One training step and one evaluation step of the pre-trainer, right on one replica and on many.

The loss is the global batch's: sums over all replicas / numbers over all replicas, so that one
device and eight give the same loss (Devlin et al. 2018, section 3.1; run_pretraining.py).
"""

import numpy as np
import tensorflow as tf

from keras_bert.models.losses import masked_lm_sums

TASKS = ("masked_lm", "next_sentence")


def batch_sums(model, batch, *, training):
    """Runs the model on a batch of this replica.

    Args:
        model: a BertPretrainer.
        batch: (inputs, labels, weights) as `pretraining_dataset` gives them.
        training: whether dropout is on.

    Returns:
        float32 (6,): summed loss, right guesses and number of masked slots, then the same of the next sentence.
    """
    inputs, labels, weights = batch
    logits = model(inputs, training=training)
    masked_lm = masked_lm_sums(labels["masked_lm"], logits["masked_lm"], weights["masked_lm"])
    next_sentence = masked_lm_sums(labels["next_sentence"], logits["next_sentence"], weights["next_sentence"])
    return tf.stack([*masked_lm, *next_sentence])


def metrics_from_sums(sums):
    """Returns {metric: float} from what `batch_sums` gave, added up over any number of batches.

    Where no next-sentence label weighs anything, as in records without a sentence task, that task's metrics are
    left out and it adds nothing to the loss.

    >>> metrics_from_sums([6.0, 1.0, 2.0, 0.5, 1.0, 1.0])["loss"]
    3.5
    >>> metrics_from_sums([6.0, 1.0, 2.0, 0.0, 0.0, 0.0])
    {'masked_lm_loss': 3.0, 'masked_lm_accuracy': 0.5, 'loss': 3.0}
    """
    metrics, total = {}, 0.0
    for task, (loss, right, count) in zip(TASKS, np.reshape(sums, (2, 3)).tolist(), strict=True):
        if count or task == "masked_lm":
            metrics |= {f"{task}_loss": loss / max(count, 1.0), f"{task}_accuracy": right / max(count, 1.0)}
            total += metrics[f"{task}_loss"]
    return {**metrics, "loss": total}


def make_train_steps(model, optimizer, strategy, *, jit_compile):
    """Builds `train_steps(iterator, n)`: n updates in one call on the device.

    Args:
        model: a BertPretrainer.
        optimizer: a built Keras optimizer.
        strategy: the tf.distribute strategy under whose scope both were made.
        jit_compile: whether a step is compiled by XLA.

    Returns:
        A function (iterator over distributed batches, int32 scalar n) -> the (6,) sums of the n steps.
    """
    variables = model.trainable_variables

    def replica_step(batch):
        context = tf.distribute.get_replica_context()
        with tf.GradientTape() as tape:
            sums = batch_sums(model, batch, training=True)  # (6,)
            total = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.stop_gradient(sums))
            loss = sums[0] / tf.maximum(total[2], 1.0) + sums[3] / tf.maximum(total[5], 1.0)
        # Keras' optimizers add the replicas' gradients up, which with global denominators is the global gradient.
        optimizer.apply(tape.gradient(loss, variables), variables)
        return sums

    compiled = tf.function(replica_step, jit_compile=jit_compile)

    @tf.function(reduce_retracing=True)
    def train_steps(iterator, n):
        sums = tf.zeros((6,))
        for _ in tf.range(n):
            per_replica = strategy.run(compiled, args=(next(iterator),))
            sums += strategy.reduce(tf.distribute.ReduceOp.SUM, per_replica, axis=None)
        return sums

    return train_steps


def make_eval_step(model, strategy, *, jit_compile):
    """Builds `eval_step(batch)`, which gives the (6,) sums of a distributed batch without training."""

    def replica_step(batch):
        return batch_sums(model, batch, training=False)

    compiled = tf.function(replica_step, jit_compile=jit_compile)

    @tf.function(reduce_retracing=True)
    def eval_step(batch):
        return strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(compiled, args=(batch,)), axis=None)

    return eval_step
