"""A model so small that it learns a small task in seconds, and a step of training it."""

NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def small_shape(hidden_size=16, **fields):
    """Returns fields of a BertConfig: one layer, two heads, and first weights large enough to learn from soon."""
    shape = {"hidden_size": hidden_size, "intermediate_size": 2 * hidden_size, "initializer_range": 0.1}
    return {**shape, "num_hidden_layers": 1, "num_attention_heads": 2, **fields}


def batch_losses(model, x, y, sample_weight=None):
    """Trains a step, and returns {name: loss} of its batch alone.

    `train_on_batch` gives means since the last reset up to Keras 3.14, and the batch's own values from 3.15 on.
    """
    model.reset_metrics()
    return model.train_on_batch(x, y, sample_weight=sample_weight, return_dict=True)


def batch_loss(*arguments):
    """Trains a step, and returns the loss of its batch alone."""
    return float(batch_losses(*arguments)["loss"])
