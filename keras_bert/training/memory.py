"""The memory of a pre-training step, from a Config alone, and the largest batch that fits.

What lies in memory is written down as tables of tensors by shape: what each block keeps for its backward pass, what
the embeddings and heads keep, and the largest temporaries at the three moments at which a step can be fullest. A block
that is run several times has its weights once, and its activations as often as it is run. The tables were read off
the allocations of TensorFlow's graph on a CPU, without `jit_compile` and with a hidden size of at least 256, from which
on the layers' chains are compiled (layers/fusion.py); benchmarks/memory.py compares their sum with a process, for BERT.

B batch, S sequence, P predictions, Q positions that the heads read, E embedding, H hidden, I intermediate, A heads,
V vocabulary.
"""

import dataclasses
import math

from keras_bert.checkpoints.parts import encoder_weights, own_objectives, pretraining_weights
from keras_bert.training.costs import positions_read

BYTES = {"float32": 4, "bfloat16": 2}
COMPUTE = {"float32": "float32", "mixed_bfloat16": "bfloat16"}  # policy -> dtype of the activations
KEPT = {"adamw": 2, "lamb": 2}  # float32 numbers that the optimizer keeps for each parameter: m and v
AHEAD = {"adamw": 0, "lamb": 3}  # those it works out for each weight before its gradient is there, such as the decay
# Of the tensors' memory, besides, fitted to the rows of benchmarks/memory.py: TensorFlow's allocator gives larger
# blocks than asked and leaves gaps, some 13 %; the rest are tensors that the tables do not name.
UNUSED = 0.2
GRAPH_BYTES = 30e6  # of the traced graph, a block: nodes, kernels and Python's view of them, whatever the sizes


@dataclasses.dataclass(frozen=True)
class Tensor:
    """Tensors of one shape.

    Attributes:
        name: what they are.
        count: how many.
        shape: their dimensions by the letters above.
        dtype: "float32"; "compute" for the policy's; "wide" for float32 where that is not the policy's, else none.
    """

    name: str
    count: int
    shape: str
    dtype: str = "compute"

    def size(self, letters, compute):
        """Returns the bytes of all of them.

        Args:
            letters: {letter: number}.
            compute: the dtype of the policy, "float32" or "bfloat16".

        Example:
            >>> Tensor("scores", 2, "BASS").size({"B": 8, "A": 4, "S": 16}, "bfloat16")
            32768
        """
        if self.dtype == "wide" and compute == "float32":
            return 0
        itemsize = BYTES[compute if self.dtype == "compute" else "float32"]
        return self.count * itemsize * math.prod(letters[letter] for letter in self.shape)


# What a block keeps from its forward to its backward pass: what its matrix products read and give.
BLOCK = (
    Tensor("query, key, value, context", 4, "BSH"),
    Tensor("attention scores, and what softmax and dropout make of them", 2, "BASS"),
    Tensor("feed-forward layer before and after its activation", 2, "BSI"),
    Tensor("products that end the two sub-layers", 2, "BSH"),
    Tensor("outputs of the two sub-layers", 2, "BSH"),
)
# The last one, which is computed at the positions that the heads read.
LAST = (
    Tensor("key, value", 2, "BSH"),
    Tensor("input, query, context, products and outputs of the sub-layers", 7, "BQH"),
    Tensor("attention scores, and what softmax and dropout make of them", 2, "BAQS"),
    Tensor("feed-forward layer before and after its activation", 2, "BQI"),
)
INPUT = (Tensor("block's input", 1, "BSH"),)  # all that stays of a block under keras.RematScope
TOKENS = (Tensor("embeddings of tokens", 1, "BSE"),)
SEGMENTS = (Tensor("embeddings of segments", 1, "BSE"),)
POSITIONS = (Tensor("embeddings of positions that come from the ids", 1, "BSE"),)
PROJECTED = (Tensor("embeddings before their projection", 1, "BSE"),)
REPLACED = (Tensor("hidden layer of the replaced-token head before and after its activation", 2, "BSH"),)
# The largest temporaries at the three moments at which a step can be fullest.
LOGITS = (  # the backward pass begins, at the masked-LM loss
    Tensor("logits with their bias, softmax, gradients", 4, "BPV", "float32"),
    Tensor("logits without their bias, gradient", 2, "BPV"),
)
TABLE = (Tensor("gradient of the output weights", 1, "VE", "float32"),)
ATTENTION = (  # the backward pass is in the topmost block of those computed in full: these or FEED_FORWARD
    Tensor("gradients of the attention scores", 2, "BASS"),
    Tensor("the same in float32", 2, "BASS", "wide"),
)
FEED_FORWARD = (
    Tensor("gradients inside the feed-forward layer", 2, "BSI"),
    Tensor("the same in float32", 1, "BSI", "wide"),
)
TABLES = (  # the backward pass ends, and all gradients are there, where the output weights are the token embeddings
    Tensor("gradient of the token embeddings as a table, and added to that of the output weights", 2, "VE", "float32"),
)


@dataclasses.dataclass(frozen=True)
class Memory:
    """What a training step holds, in bytes.

    Attributes:
        weights: the parameters, float32.
        copies: the matrices among them in 16 bits, under mixed precision.
        optimizer: m and v.
        gradients: those of all parameters, float32, as the backward pass ends.
        activations: what is kept for the backward pass, as the forward pass ends.
        temporaries: the largest ones, at the fullest moment of the step.
        unused: what the allocator leaves unused.
        graph: the traced graph itself, in the host's memory.
        peak: the most that lies in memory at once; the activations are gone by the time all gradients are there.
    """

    weights: int
    copies: int
    optimizer: int
    gradients: int
    activations: int
    temporaries: int
    unused: int
    graph: int
    peak: int


def step_memory(config, step, *, dtype="float32", remat=False, optimizer="adamw", objectives=None):
    """Returns the Memory of a training step of a Pretrainer.

    Args:
        config: a Config.
        step: a Step.
        dtype: "float32" or "mixed_bfloat16".
        remat: whether each block keeps its input alone and is computed again in the backward pass (keras.RematScope).
        optimizer: "adamw" or "lamb".
        objectives: what the model is pre-trained for; None for the family's own.

    Example:
        >>> from keras_bert.config import Config
        >>> from keras_bert.training.costs import Step
        >>> memory = step_memory(Config.from_name("base"), Step(train_batch_size=32, max_seq_length=128))
        >>> memory.weights // 4, memory.optimizer // memory.weights
        (110106428, 2)
    """
    objectives, compute = own_objectives(config, objectives), COMPUTE[dtype]
    every = [*encoder_weights(config), *pretraining_weights(config, objectives)]
    weights = 4 * sum(math.prod(weight.shape) for weight in every)
    trained = 4 * sum(math.prod(weight.shape) for weight in every if weight.trains)
    matrices = sum(math.prod(weight.shape) for weight in every if len(weight.shape) > 1)
    letters = {
        "B": step.train_batch_size,
        "S": step.max_seq_length,
        "P": step.predictions,
        "Q": positions_read(config, step, objectives),
        "E": config.embedding_width,
        "H": config.hidden_size,
        "I": config.intermediate_size,
        "A": config.num_attention_heads,
        "V": config.vocab_size,
    }

    def size(*tables):
        return sum(tensor.size(letters, compute) for table in tables for tensor in table)

    fixed = {
        "weights": weights,
        "copies": 0 if compute == "float32" else BYTES[compute] * matrices,
        "optimizer": KEPT[optimizer] * trained,
    }
    scores, reads_all = "masked_lm" in objectives, "replaced_tokens" in objectives
    embeddings = size(TOKENS, *_embedding_tables(config))
    full = len(config.passes) - 1
    last = INPUT if remat else BLOCK if reads_all else LAST
    activations = full * size(INPUT if remat else BLOCK) + size(last) + embeddings
    activations += size(REPLACED) if reads_all else 0
    block = max(size(ATTENTION), size(FEED_FORWARD)) + (size(BLOCK) if remat else 0)
    # (what lies there besides, temporaries)
    moments = (
        (activations, size(LOGITS) if scores else 0),
        (activations, (size(TABLE) if scores else 0) + block),
        (embeddings + trained, size(TABLES) if scores and config.tie_word_embeddings else 0),
    )
    held, temporaries = max(moments, key=sum)
    temporaries += AHEAD[optimizer] * 4 * matrices
    tensors = sum(fixed.values()) + held + temporaries
    unused, graph = round(UNUSED * tensors), round(GRAPH_BYTES * len(config.passes))
    return Memory(
        **fixed,
        gradients=trained,
        activations=activations,
        temporaries=temporaries,
        unused=unused,
        graph=graph,
        peak=tensors + unused + graph,
    )


def _embedding_tables(config):
    """Yields the tables of what a Config's embeddings keep beside the tokens'."""
    if config.has_segments:
        yield SEGMENTS
    if config.positions_from_ids:
        yield POSITIONS
    if config.projects_embeddings:
        yield PROJECTED


def largest_batch(config, step, capacity, **options):
    """Returns the most examples a step can have in so much memory; 0 if there is no room for one.

    Args:
        config: a Config.
        step: a Step; its own batch size does not matter.
        capacity: bytes.
        **options: those of `step_memory`.
    """

    def fits(examples):
        trial = dataclasses.replace(step, train_batch_size=examples)
        return step_memory(config, trial, **options).peak <= capacity

    least, most = 0, 1  # the first fits, the second does not yet have to
    while fits(most):
        least, most = most, 2 * most
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if fits(middle) else (least, middle)
    return least
