"""BERT in plain NumPy, float64: the truth that small golden files are made of (modeling.py, optimization.py).

Nothing here is shared with the library: the forward pass is written out, and gradients are central differences.
`python -m tests.reference_bert` writes tests/golden/model anew: a Google TF1 checkpoint, a batch, the outputs
and a short training trajectory.

B batch, S sequence, P predictions, H hidden, A heads, D head size, V vocabulary.
"""

import json
import math
from pathlib import Path

import numpy as np

CONFIG = {
    "vocab_size": 24,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "max_position_embeddings": 12,
    "type_vocab_size": 2,
    "initializer_range": 0.02,
}
TRAINING = {"learning_rate": 1e-2, "num_train_steps": 6, "num_warmup_steps": 2}
FOLDER = Path(__file__).parent / "golden" / "model"


def shapes(config):
    """Returns {Google's name: shape} of a BERT with its pre-training heads."""
    hidden, wide = config["hidden_size"], config["intermediate_size"]
    found = {
        "bert/embeddings/word_embeddings": (config["vocab_size"], hidden),
        "bert/embeddings/token_type_embeddings": (config["type_vocab_size"], hidden),
        "bert/embeddings/position_embeddings": (config["max_position_embeddings"], hidden),
        "bert/embeddings/LayerNorm/gamma": (hidden,),
        "bert/embeddings/LayerNorm/beta": (hidden,),
        "bert/pooler/dense/kernel": (hidden, hidden),
        "bert/pooler/dense/bias": (hidden,),
        "cls/predictions/transform/dense/kernel": (hidden, hidden),
        "cls/predictions/transform/dense/bias": (hidden,),
        "cls/predictions/transform/LayerNorm/gamma": (hidden,),
        "cls/predictions/transform/LayerNorm/beta": (hidden,),
        "cls/predictions/output_bias": (config["vocab_size"],),
        "cls/seq_relationship/output_weights": (2, hidden),
        "cls/seq_relationship/output_bias": (2,),
    }
    for layer in range(config["num_hidden_layers"]):
        scope = f"bert/encoder/layer_{layer}"
        dense = {f"attention/self/{name}": (hidden, hidden) for name in ("query", "key", "value")}
        dense |= {"attention/output/dense": (hidden, hidden), "intermediate/dense": (hidden, wide)}
        dense |= {"output/dense": (wide, hidden)}
        for name, shape in dense.items():
            found |= {f"{scope}/{name}/kernel": shape, f"{scope}/{name}/bias": shape[1:]}
        for name in ("attention/output", "output"):
            found |= {f"{scope}/{name}/LayerNorm/gamma": (hidden,), f"{scope}/{name}/LayerNorm/beta": (hidden,)}
    return found


def random_arrays(config, *, rng):
    """Returns float32 arrays by name, large enough that every part of the model shows in its outputs."""
    return {
        name: (rng.normal(0, 0.3, shape) + (1.0 if name.endswith("gamma") else 0.0)).astype(np.float32)
        for name, shape in shapes(config).items()
    }


def random_batch(config, *, rng, batch=3, length=10, predictions=4):
    """Returns the inputs, labels and weights of B instances; the last one has padding and a free slot."""
    lengths = np.array([length] * (batch - 1) + [length - 3])
    mask = (np.arange(length) < lengths[:, None]).astype(np.int32)
    weights = np.ones((batch, predictions), np.float32)
    weights[-1, -1] = 0
    positions = np.stack([np.sort(rng.choice(np.arange(1, n), predictions, replace=False)) for n in lengths])
    return {
        "input_ids": (rng.integers(5, config["vocab_size"], (batch, length)) * mask).astype(np.int32),
        "input_mask": mask,
        "segment_ids": ((np.arange(length) >= length // 2) * mask).astype(np.int32),
        "masked_lm_positions": (positions * weights).astype(np.int32),
        "masked_lm_ids": (rng.integers(5, config["vocab_size"], (batch, predictions)) * weights).astype(np.int32),
        "masked_lm_weights": weights,
        "next_sentence_labels": rng.integers(0, 2, (batch, 1)).astype(np.int32),
    }


def gelu(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_erf(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def layer_norm(x, arrays, scope):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-12) * arrays[f"{scope}/LayerNorm/gamma"] + arrays[
        f"{scope}/LayerNorm/beta"
    ]


def dense(x, arrays, scope):
    return x @ arrays[f"{scope}/kernel"] + arrays[f"{scope}/bias"]


def attention(x, mask, arrays, scope, heads):
    """Returns (B, S, H) and the probabilities (B, A, S, S), one head after another."""
    query, key, value = (dense(x, arrays, f"{scope}/{name}") for name in ("query", "key", "value"))
    size = x.shape[-1] // heads
    contexts, scores = [], []
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        score = query[..., part] @ key[..., part].swapaxes(1, 2) / math.sqrt(size)
        probabilities = softmax(score + (1 - mask[:, None, :]) * -10000.0)
        contexts.append(probabilities @ value[..., part])
        scores.append(probabilities)
    return np.concatenate(contexts, -1), np.stack(scores, 1)


def encode(arrays, config, batch, *, activation=gelu):
    """Returns {"embedding_output", "sequence_output", "pooled_output"}, and one array a layer in two lists.

    The lists are "encoder_outputs" (B, S, H) and "attention_scores" (B, A, S, S).
    """
    arrays = {name: np.asarray(array, np.float64) for name, array in arrays.items()}
    ids, mask = batch["input_ids"], batch["input_mask"].astype(np.float64)
    hidden = arrays["bert/embeddings/word_embeddings"][ids]
    hidden = hidden + arrays["bert/embeddings/token_type_embeddings"][batch["segment_ids"]]
    hidden = hidden + arrays["bert/embeddings/position_embeddings"][: ids.shape[1]]
    hidden = layer_norm(hidden, arrays, "bert/embeddings")
    outputs = {"embedding_output": hidden, "encoder_outputs": [], "attention_scores": []}
    for layer in range(config["num_hidden_layers"]):
        scope = f"bert/encoder/layer_{layer}"
        context, scores = attention(hidden, mask, arrays, f"{scope}/attention/self", config["num_attention_heads"])
        attended = dense(context, arrays, f"{scope}/attention/output/dense") + hidden
        attended = layer_norm(attended, arrays, f"{scope}/attention/output")
        wide = activation(dense(attended, arrays, f"{scope}/intermediate/dense"))
        hidden = layer_norm(dense(wide, arrays, f"{scope}/output/dense") + attended, arrays, f"{scope}/output")
        outputs["encoder_outputs"].append(hidden)
        outputs["attention_scores"].append(scores)
    pooled = np.tanh(dense(hidden[:, 0], arrays, "bert/pooler/dense"))
    return {**outputs, "sequence_output": hidden, "pooled_output": pooled}


def pretrain_log_probs(arrays, config, batch):
    """Returns log-probabilities of the masked tokens (B, P, V) and of the next sentence (B, 2)."""
    encoded = encode(arrays, config, batch)
    rows = np.arange(len(batch["input_ids"]))[:, None]
    hidden = encoded["sequence_output"][rows, batch["masked_lm_positions"]]  # (B, P, H)
    hidden = gelu(dense(hidden, arrays, "cls/predictions/transform/dense"))
    hidden = layer_norm(hidden, arrays, "cls/predictions/transform")
    masked_lm = hidden @ arrays["bert/embeddings/word_embeddings"].T + arrays["cls/predictions/output_bias"]
    next_sentence = encoded["pooled_output"] @ arrays["cls/seq_relationship/output_weights"].T
    next_sentence = next_sentence + arrays["cls/seq_relationship/output_bias"]
    return log_softmax(masked_lm), log_softmax(next_sentence)


def pretrain_losses(arrays, config, batch):
    """Returns the masked-LM loss over the slots that weigh, and the next-sentence loss."""
    masked_lm, next_sentence = pretrain_log_probs(arrays, config, batch)
    weights = batch["masked_lm_weights"]
    chosen = np.take_along_axis(masked_lm, batch["masked_lm_ids"][..., None], -1)[..., 0]
    right = np.take_along_axis(next_sentence, batch["next_sentence_labels"], -1)
    return -(chosen * weights).sum() / weights.sum(), -right.mean()


def numeric_gradients(arrays, config, batch, *, step=1e-5):
    """Returns {name: gradient} of the sum of both losses, by central differences."""

    def loss():
        return sum(pretrain_losses(arrays, config, batch))

    gradients = {}
    for name, array in arrays.items():
        gradients[name] = np.empty_like(array)
        for index in np.ndindex(array.shape):
            old = array[index]
            array[index] = old + step
            above = loss()
            array[index] = old - step
            gradients[name][index] = (above - loss()) / (2 * step)
            array[index] = old
    return gradients


def rate(step, *, learning_rate, num_train_steps, num_warmup_steps):
    """The learning rate of a step: linear warm-up, else the line that falls to 0 at the last step."""
    if step < num_warmup_steps:
        return learning_rate * step / num_warmup_steps
    return learning_rate * (1 - min(step, num_train_steps) / num_train_steps)


def adam_weight_decay(array, gradient, m, v, *, rate, decay):
    """Returns the array, m and v after one step of Google's AdamWeightDecayOptimizer."""
    m = 0.9 * m + 0.1 * gradient
    v = 0.999 * v + 0.001 * gradient**2
    return array - rate * (m / (np.sqrt(v) + 1e-6) + decay * array), m, v


def decays(name):
    """Says whether Google's optimizer lets a variable decay: it leaves out LayerNorm and every bias."""
    return not ("LayerNorm" in name or "bias" in name)


def train(arrays, config, batch, *, steps, **schedule):
    """Trains on one batch and returns the losses before each step and the arrays after the last."""
    arrays = {name: array.astype(np.float64) for name, array in arrays.items()}
    moments = {name: (np.zeros_like(array), np.zeros_like(array)) for name, array in arrays.items()}
    losses = []
    for step in range(steps):
        losses.append(sum(pretrain_losses(arrays, config, batch)))
        gradients = numeric_gradients(arrays, config, batch)
        norm = math.sqrt(sum((g**2).sum() for g in gradients.values()))
        for name, gradient in gradients.items():
            arrays[name], *moments[name] = adam_weight_decay(
                arrays[name],
                gradient / max(1.0, norm),
                *moments[name],
                rate=rate(step, **schedule),
                decay=0.01 if decays(name) else 0.0,
            )
    return np.array(losses), arrays


def write_google(folder, config, arrays):
    """Writes bert_config.json and a TF1 checkpoint, bert_model.ckpt, with tf.compat.v1's own saver."""
    import tensorflow as tf

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bert_config.json").write_text(json.dumps(config, indent=2) + "\n")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, array in arrays.items():
            tf.compat.v1.get_variable(name, initializer=array)
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver()
        saver.save(session, str(folder / "bert_model.ckpt"), write_meta_graph=False, write_state=False)


def write_older(folder, config, arrays, *, task=None):
    """Writes a model directory as keras_bert 0.1 did: bert_config.json, and the arrays under Google's names."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bert_config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file(dict(arrays), folder / "model.safetensors", metadata={"format": "np"})
    if task:
        (folder / "task.json").write_text(json.dumps(task, indent=2) + "\n")
    return folder


def main():
    rng = np.random.default_rng(2018)
    arrays = random_arrays(CONFIG, rng=rng)
    batch = random_batch(CONFIG, rng=rng)
    write_google(FOLDER, CONFIG, arrays)
    outputs = encode(arrays, CONFIG, batch)
    outputs["encoder_outputs"] = np.stack(outputs["encoder_outputs"])
    del outputs["attention_scores"]
    masked_lm, next_sentence = pretrain_log_probs(arrays, CONFIG, batch)
    losses, final = train(arrays, CONFIG, batch, steps=TRAINING["num_train_steps"], **TRAINING)
    outputs |= {"masked_lm_log_probs": masked_lm, "next_sentence_log_probs": next_sentence}
    outputs |= {f"final/{name}": array for name, array in final.items()}
    outputs = {name: array.astype(np.float32) for name, array in outputs.items()}
    np.savez_compressed(FOLDER / "golden.npz", **batch, **outputs, train_losses=losses)


if __name__ == "__main__":
    main()
