"""What a pre-training loop asks of a backend: `train` some steps, `evaluate`, and give the variables back.

TensorFlow's answer is tensorflow_trainer.py, that of JAX jax_trainer.py. Both train on the loss of the global batch:
sums over all replicas and micro-batches / numbers over all of them, so that one device and eight give the same loss.
"""

import keras

from keras_bert.errors import UserError


def make_trainer(model, optimizer, strategy, *, accumulation=1, jit_compile=False):
    """Returns the trainer of the active backend.

    Args:
        model: a Pretrainer or a ReplacedTokenPretrainer.
        optimizer: a built optimizer of ours.
        strategy: what `keras_bert.strategy` gives; model and optimizer were made in its scope.
        accumulation: micro-batches that a batch is cut into, to need less memory; their gradients are added up.
        jit_compile: whether XLA compiles the step. On JAX and on TPUs it always does.

    Returns:
        An object with

        - `tasks`, the model's `task_weights`.
        - `batches(make_dataset)` -> what `train` takes its batches from. `make_dataset(num_shards, shard_index)`
          returns the `pretraining_dataset` with these options.
        - `train(batches, n)` -> float32 (n, C + 2): n updates, and the `columns` of each: sums over the global batch,
          its tokens without padding, and the norm of its gradient before clipping.
        - `evaluate(make_dataset, max_batches=None)` -> float64 (C,): the sums of the tasks over all batches.
        - `agreed(number)` -> the mean of what the workers say, the same on all of them.
        - `set_learning_rate(rate)`, where the optimizer has a plain rate and no schedule.
        - `pull()`, after which the Keras variables have the values of now, and `push()`, after which the trainer has
          those of the Keras variables.

    Raises:
        UserError: the model is a discriminator without a generator.
    """
    if getattr(model, "objectives", None) == ["replaced_tokens"]:
        raise UserError(
            "A discriminator learns from what a generator replaces; make a ReplacedTokenPretrainer, which has both, or "
            "train this model on labels of your own by model.fit."
        )
    if keras.backend.backend() == "jax":
        from keras_bert.training.jax_trainer import JaxTrainer as Trainer
    else:
        from keras_bert.training.tensorflow_trainer import TensorFlowTrainer as Trainer
    return Trainer(model, optimizer, strategy, accumulation=accumulation, jit_compile=jit_compile)


def check_batch_size(batch_size, num_replicas, accumulation):
    """Raises a UserError unless a batch can be cut into equal parts for all devices and micro-batches."""
    parts = num_replicas * accumulation
    if batch_size % parts:
        near = max(parts, round(batch_size / parts) * parts)
        raise UserError(
            f"A batch of {batch_size} cannot be shared by {num_replicas} device(s) and {accumulation} micro-batch(es) "
            f"each; take a multiple of {parts}, such as {near}."
        )
