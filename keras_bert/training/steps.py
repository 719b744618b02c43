"""One training step and one evaluation step of the pre-trainer, right on one replica and on many.

The loss is the global batch's: sums over all replicas / numbers over all replicas, so that one
device and eight give the same loss (Devlin et al. 2018, section 3.1; run_pretraining.py).
"""

import tensorflow as tf

from keras_bert.models.losses import masked_lm_sums

METRICS = (
    "masked_lm_loss",
    "masked_lm_accuracy",
    "next_sentence_loss",
    "next_sentence_accuracy",
)


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

    >>> metrics_from_sums([6.0, 1.0, 2.0, 0.5, 1.0, 1.0])["masked_lm_loss"]
    3.0
    """
    sums = [float(s) for s in sums]
    means = (
        sums[0] / max(sums[2], 1.0),
        sums[1] / max(sums[2], 1.0),
        sums[3] / max(sums[5], 1.0),
        sums[4] / max(sums[5], 1.0),
    )
    return {**dict(zip(METRICS, means, strict=True)), "loss": means[0] + means[2]}


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
