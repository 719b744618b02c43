"""What transformers computed with small random models of every family: the feeds, the labels and how to compare.

A folder holds config.json, model.safetensors and golden.npz: `in/*` is the feed, `out/*` what came out, `grad/*` the
norms of the gradients. A further feed has a prefix, such as "ids_only/". B batch, S sequence.
"""

import contextlib

import keras
import numpy as np
from keras import ops

from keras_bert.checkpoints.huggingface import file_table
from keras_bert.families import find_family
from keras_bert.models import Classifier, MultipleChoice, Pretrainer, SpanLabeler, TokenClassifier
from keras_bert.models.walk import walk

HEADS = {model.TASK: model for model in (Classifier, MultipleChoice, Pretrainer, SpanLabeler, TokenClassifier)}
TOLERANCE = 1e-5  # of the largest value
FEEDS = ("", "left_padding_and_hole/", "ids_only/", "no_global/", "short/", "short_falls_back_to_full/")
INPUTS = ("input_ids", "attention_mask", "token_type_ids", "global_attention_mask")
# {transformers' output: ours}
LOGITS = {
    "logits": ("replaced_tokens", "masked_lm", "logits"),
    "prediction_logits": ("masked_lm",),
    "sop_logits": ("next_sentence",),
    "seq_relationship_logits": ("next_sentence",),
    "start_logits": ("start_logits",),
    "end_logits": ("end_logits",),
}


def close(ours, theirs, what, mask=None, *, tolerance=TOLERANCE):
    """Asserts that two arrays agree, at the places where the mask is 1 if there is one."""
    ours, theirs = np.asarray(ops.convert_to_numpy(ours)), np.asarray(theirs)
    if mask is not None and mask.ndim == 2 and theirs.ndim == 3:  # Longformer's and BigBird's are padded inside
        theirs = theirs[:, : mask.shape[1]]
    assert ours.shape == theirs.shape, what
    if mask is not None and mask.ndim > 1 and theirs.shape[:2] == mask.shape:
        ours, theirs = ours[mask], theirs[mask]
    scale = np.abs(theirs).max()
    assert np.abs(ours - theirs).max() <= tolerance * scale, f"{what}: {np.abs(ours - theirs).max() / scale}"


def feed(arrays, prefix=""):
    """Returns the inputs of a feed and its mask, bool. Without one transformers attends padding too."""
    x = {name: arrays[f"{prefix}in/{name}"] for name in INPUTS if f"{prefix}in/{name}" in arrays}
    x.setdefault("attention_mask", np.ones_like(x["input_ids"]))
    return x, x["attention_mask"].astype(bool)


def with_positions(model, x):
    """Returns the inputs, with every place as one to predict if the model predicts masked tokens."""
    if "masked_lm_positions" not in model.input:
        return x
    batch, length = x["input_ids"].shape
    return {**x, "masked_lm_positions": np.tile(np.arange(length), (batch, 1))}


def outputs_of(model, x):
    """Returns the logits by name; those of a model with one output are called "logits"."""
    outputs = model(with_positions(model, x))
    return outputs if isinstance(outputs, dict) else {"logits": outputs}


def labels(model, arrays, mask):
    """Returns (y, sample_weight) with which a model's own loss is transformers' loss."""
    length = mask.shape[-1]

    def some(places, ok):
        return np.where(ok, places, 0), ok.astype(np.float32)

    if isinstance(model, SpanLabeler):  # an answer past the input has no loss
        places = {f"{end}_logits": arrays[f"in/{end}_positions"] for end in ("start", "end")}
        found = {name: some(places[name], places[name] < length) for name in places}
    elif isinstance(model, Pretrainer):
        given = arrays["in/labels"]
        found = {}
        for objective in model.objectives:
            if objective == "masked_lm":
                found[objective] = some(given, given != -100)
            elif objective == "replaced_tokens":
                found[objective] = some(given, mask)
            else:
                pairs = next(
                    arrays[f"in/{n}"] for n in ("sentence_order_label", "next_sentence_label") if f"in/{n}" in arrays
                )
                found[objective] = some(pairs, np.ones_like(pairs, bool))
    else:
        return arrays["in/labels"], None
    return {name: y for name, (y, _) in found.items()}, {name: w for name, (_, w) in found.items()}


def loss_and_gradients(model, x, y, weights):
    """Returns the model's own loss without dropout, and the gradient of each of its trainable variables."""
    model.compile("sgd")
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = model.compute_loss(x, y, model(x, training=False), sample_weight=weights, training=False)
        zero = tf.UnconnectedGradients.ZERO
        gradients = tape.gradient(loss, [v.value for v in model.trainable_variables], unconnected_gradients=zero)
        return float(loss), [ops.convert_to_numpy(gradient) for gradient in gradients]
    import jax

    fixed = [v.value for v in model.non_trainable_variables]

    def loss_of(values):
        outputs, _ = model.stateless_call(values, fixed, x, training=False)
        return model.compute_loss(x, y, outputs, sample_weight=weights, training=False)

    loss, gradients = jax.value_and_grad(loss_of)([v.value for v in model.trainable_variables])
    return float(loss), [np.asarray(gradient) for gradient in gradients]


@contextlib.contextmanager
def fixed_embeddings(model):
    """Has no gradient go below the embeddings' output inside."""
    layer = model.encoder.embeddings
    call = layer.call
    layer.call = lambda *args, **kwargs: ops.stop_gradient(call(*args, **kwargs))
    yield
    layer.call = call


def gradient_norms(model, x, y, weights):
    """Returns the loss and {neutral name: norm of its gradient}."""
    loss, gradients = loss_and_gradients(model, x, y, weights)
    norms = {id(v): np.linalg.norm(g) for v, g in zip(model.trainable_variables, gradients, strict=True)}
    return loss, {f.weight.name: norms[id(f.variable)] for f in walk(model) if id(f.variable) in norms}


def neutral_norms(config, arrays, task):
    """Returns {neutral names: norm} of a golden file's gradients, and the names that no table has.

    An array of the file may hold several weights, whose gradients have one norm together.
    """
    row = find_family(config.family)
    decoder, decoder_bias, bias = row.decoder_of(config)
    words = next(places for places in row.names.outside.values() if places[0].name.endswith("/word_embeddings"))
    table = {decoder: words, **file_table(row, config, row.head(task))}  # tied, it may be named by either
    if decoder_bias in arrays["grad/names"]:  # untied: it counts, and the other is not read
        table = {name: places for name, places in table.items() if name != bias} | {decoder_bias: table[bias]}
    norms, strange = {}, []
    for name, norm in zip(arrays["grad/names"].tolist(), arrays["grad/norms"].tolist(), strict=True):
        if name in table:
            norms[tuple(place.name for place in table[name])] = norm
        elif norm:
            strange.append(name)
    return norms, strange
