"""The memory of a pre-training step, from a Config alone, and the largest batch that fits.

What lies in memory is written down as tables of tensors by shape: what each block keeps for its backward pass, what
the embeddings and heads keep, and the largest temporaries at the three moments at which a step can be fullest. A block
that is run several times has its weights once, and its activations as often as it is run. How many scores there are
depends on the kind of attention (scores.py): those in windows grow with the length, not with its square. The tables
were read off the allocations of TensorFlow's graph on a CPU, without `jit_compile` and with a hidden size of at least
256, from which on the layers' chains are compiled (layers/fusion.py); benchmarks/memory.py compares their sum with a
process.

B batch, S sequence, P predictions, Q queries that are computed, E embedding, H hidden, W width inside blocks,
I intermediate, A heads, V vocabulary, O width of the output weights; of a text's scores R are all, of all queries and
keys together; M keys are met by them, a copied key as often as it is copied; C of these are copied; T distances.
"""

import dataclasses
import math

from keras_bert.checkpoints.parts import encoder_weights, own_objectives, pretraining_weights
from keras_bert.training.costs import runs
from keras_bert.training.scores import block_scores, place_terms

BYTES = {"float32": 4, "bfloat16": 2}
COMPUTE = {"float32": "float32", "mixed_bfloat16": "bfloat16"}  # policy -> dtype of the activations
# float32 numbers that the optimizer keeps for each parameter of the blocks' matrices, and of the rest: m, or m and v
KEPT = {"adamw": (2, 2), "lamb": (2, 2), "muon": (1, 2)}
# Those it works out for each weight that decays before its gradient is there.
AHEAD = {"adamw": 0, "lamb": 3, "muon": 0}
# Of the tensors' memory, besides, fitted to the rows of benchmarks/memory.py: TensorFlow's allocator gives larger
# blocks than asked and leaves gaps, some 13 %; the rest are tensors that the tables do not name.
UNUSED = 0.2
# Of a discriminator's activations, how many are there as its generator's loss goes backward: TensorFlow computes both
# side by side. Fitted likewise.
BESIDE = 0.5
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
    Tensor("key, value", 2, "BMW"),
    Tensor("query, context", 2, "BQW"),
    Tensor("attention scores, and what softmax and dropout make of them", 2, "BAR"),
    Tensor("product that ends the attention, and what a norm or a sum makes of it", 2, "BQW"),
)
FEED_FORWARD = (  # of each feed-forward layer
    Tensor("feed-forward layer before and after its activation", 2, "BQI"),
    Tensor("product that ends it, and what a norm or a sum makes of it", 2, "BQW"),
)
GATED = (Tensor("what the activation is multiplied by", 1, "BQI"),)
TURNED = (
    Tensor("key before it is turned by its place", 1, "BSW"),
    Tensor("query before it is turned by its place", 1, "BQW"),
)
PRE_NORM = (Tensor("normed input of the feed-forward layer", 1, "BQH"),)
FIRST_NORM = (Tensor("normed input of the attention", 1, "BSH"),)
PLACES = (  # of each term of DeBERTa's scores
    Tensor("scores by relative place", 1, "BAR"),
    Tensor("projected table", 1, "TW"),
)
BOTTLENECKS = (
    Tensor("narrow input and its product", 2, "BQW"),
    Tensor("product that widens the output, and what a norm makes of it", 2, "BQH"),
)
SHARED_BOTTLENECK = (Tensor("narrow input of queries and keys and its product", 2, "BSW"),)
CHOSEN = (Tensor("input at the positions that are computed", 1, "BQH"),)
CHOSEN_NORM = (Tensor("the same, normed", 1, "BQH"),)
INPUT = (Tensor("block's input", 1, "BSH"),)  # all that stays of a block under keras.RematScope
TOKENS = (Tensor("embeddings of tokens", 1, "BSE"),)
SEGMENTS = (Tensor("embeddings of segments", 1, "BSE"),)
POSITIONS = (Tensor("embeddings of positions that come from the ids", 1, "BSE"),)
PROJECTED = (Tensor("embeddings before their projection", 1, "BSE"),)
TRIGRAMS = (Tensor("embeddings of each token's neighbours", 2, "BSE"),)
WIDENED = (Tensor("embeddings after their projection", 1, "BSH"),)
WIDE_SEGMENTS = (Tensor("embeddings of segments", 1, "BSH"),)
CONVOLUTION = (Tensor("product and output of the convolution", 2, "BSH"),)
NEIGHBOUR = (Tensor("a neighbour that the convolution reads", 1, "BSH"),)
REPLACED = (Tensor("hidden layer of the replaced-token head before and after its activation", 2, "BSH"),)
# The largest temporaries at the three moments at which a step can be fullest.
LOGITS = (  # the backward pass begins, at the masked-LM loss
    Tensor("logits with their bias, softmax, gradients", 4, "BPV", "float32"),
    Tensor("logits without their bias, gradient", 2, "BPV"),
)
TABLE = (Tensor("gradient of the output weights", 1, "VO", "float32"),)
IN_ATTENTION = (  # the backward pass is in the fullest block: these or IN_FEED_FORWARD
    Tensor("gradients of the attention scores", 2, "BAR"),
    Tensor("the same in float32", 2, "BAR", "wide"),
    Tensor("gradients of copied keys and values", 2, "BCW"),
)
IN_PLACES = (Tensor("gradients of the products with all places, before and after they are moved", 4, "BAR"),)
IN_FEED_FORWARD = (
    Tensor("gradients inside the feed-forward layer", 2, "BQI"),
    Tensor("the same in float32", 1, "BQI", "wide"),
)
IN_GATED = (
    Tensor("gradient of what the activation is multiplied by", 1, "BQI"),
    Tensor("the same in float32", 1, "BQI", "wide"),
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
        optimizer: m and v; of a block's matrices Muon has m alone.
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


def step_memory(
    config,
    step,
    *,
    dtype="float32",
    remat=False,
    optimizer="adamw",
    objectives=None,
    generator=None,
    sharing="shared",
):
    """Returns the Memory of a training step of a Pretrainer, or of a ReplacedTokenPretrainer.

    Args:
        config: a Config.
        step: a Step.
        dtype: "float32" or "mixed_bfloat16".
        remat: whether each block keeps its input alone and is computed again in the backward pass (keras.RematScope).
        optimizer: "adamw", "lamb" or "muon".
        objectives: what the model is pre-trained for; None for the family's own.
        generator: the Config of the generator of a model that is trained for replaced tokens; None for none.
        sharing: whether both nets have the same embeddings ("shared").

    Example:
        >>> from keras_bert.config import Config
        >>> from keras_bert.training.costs import Step
        >>> memory = step_memory(Config.from_name("base"), Step(train_batch_size=32, max_seq_length=128))
        >>> memory.weights // 4, memory.optimizer // memory.weights
        (110106428, 2)
    """
    compute = COMPUTE[dtype]
    nets = [_Net.of(config, step, compute, remat, objectives)]
    if generator is not None:
        beside = _Net.of(generator, step, compute, remat, ["masked_lm"])
        nets.append(beside.without(_shared_names(generator, config)) if sharing == "shared" else beside)
    sizes = [math.prod(weight.shape) for net in nets for weight in net.weights]
    trained = 4 * sum(math.prod(weight.shape) for net in nets for weight in net.weights if weight.trains)
    matrices = sum(math.prod(weight.shape) for net in nets for weight in net.weights if len(weight.shape) > 1)
    fixed = {
        "weights": 4 * sum(sizes),
        "copies": 0 if compute == "float32" else BYTES[compute] * matrices,
        "optimizer": 4 * sum(_kept(net.weights, net.blocks, *KEPT[optimizer]) for net in nets),
    }
    activations, embeddings = (sum(getattr(net, name) for net in nets) for name in ("activations", "embeddings"))
    scoring = nets[-1]  # the generator, if there is one
    others, tables = activations - scoring.activations, scoring.tables
    if generator is not None and sharing != "shared":
        tables += 4 * config.vocab_size * config.embedding_width
    # (what lies there besides, temporaries): at the masked-LM loss, in the fullest block, as all gradients are there
    moments = (
        (scoring.activations + round(BESIDE * others), scoring.logits),
        (activations, scoring.table + max(net.block for net in nets)),
        (embeddings + trained, tables),
    )
    held, temporaries = max(moments, key=sum)
    temporaries += AHEAD[optimizer] * 4 * matrices
    tensors = sum(fixed.values()) + held + temporaries
    unused, graph = round(UNUSED * tensors), round(GRAPH_BYTES * sum(net.blocks for net in nets))
    return Memory(
        **fixed,
        gradients=trained,
        activations=activations,
        temporaries=temporaries,
        unused=unused,
        graph=graph,
        peak=tensors + unused + graph,
    )


@dataclasses.dataclass(frozen=True)
class _Net:
    """What a net has in a step: its weights, how many blocks it runs, and bytes.

    Attributes:
        weights: list of Weight.
        blocks: how many it runs.
        embeddings, activations: what its embeddings keep, and all that it keeps, those among it.
        logits, table: the temporaries at its masked-LM loss, and the gradient of its output weights.
        block: the temporaries in its fullest block.
        tables: the gradients of its token embeddings, as all gradients are there.
    """

    weights: list
    blocks: int
    embeddings: int
    activations: int
    logits: int
    table: int
    block: int
    tables: int

    @classmethod
    def of(cls, config, step, compute, remat, objectives):
        """Returns that of a Config, see `step_memory`."""
        objectives, letters = own_objectives(config, objectives), _letters(config, step)

        def size(*tables, **of_block):
            return sum(tensor.size(letters | of_block, compute) for table in tables for tensor in table)

        scores, reads_all = "masked_lm" in objectives, "replaced_tokens" in objectives
        embeddings = size(TOKENS, *_embedding_tables(config))
        activations, block = embeddings + (size(REPLACED) if reads_all else 0), 0
        if config.conv is not None:
            activations += size(CONVOLUTION, *[NEIGHBOUR] * config.conv.kernel)
        for index, read in runs(config, step, objectives):
            own = _letters_of(config, index, step.max_seq_length, read)
            kept = size(*_block_tables(config, index, read), **own)
            inside = max(size(*tables, **own) for tables in _inner_tables(config))
            activations += size(INPUT) if remat else kept
            block = max(block, inside + (kept if remat else 0))
        return cls(
            [*encoder_weights(config), *pretraining_weights(config, objectives)],
            len(config.passes),
            embeddings,
            activations,
            size(LOGITS) if scores else 0,
            size(TABLE) if scores else 0,
            block,
            size(TABLES) if scores and config.tie_word_embeddings else 0,
        )

    def without(self, names):
        """Returns it without the weights of these names, which are another net's."""
        return dataclasses.replace(self, weights=[weight for weight in self.weights if weight.name not in names])


def _shared_names(generator, discriminator):
    """Returns the names of the embeddings that a generator has in common with its discriminator."""
    is_as_wide = generator.normed_width == discriminator.normed_width
    starts = ("token_embedding.", "embeddings.") if is_as_wide else ("token_embedding.",)
    return {weight.name for weight in encoder_weights(generator) if weight.path.startswith(starts)}


def _kept(weights, blocks, of_matrices, of_others):
    """Returns how many numbers an optimizer keeps, with so many a number of a block's matrices, and of the others."""
    return sum(
        math.prod(weight.shape) * (of_matrices if 0 < weight.depth <= blocks and len(weight.shape) == 2 else of_others)
        for weight in weights
        if weight.trains
    )


def _letters(config, step):
    """Returns {letter: number} of those that all blocks have in common."""
    return {
        "B": step.train_batch_size,
        "S": step.max_seq_length,
        "P": step.predictions,
        "T": 2 * step.max_seq_length,
        "E": config.embedding_width,
        "H": config.hidden_size,
        "W": config.block_width,
        "O": config.hidden_size if config.wide_output else config.embedding_width,
        "I": config.intermediate_size,
        "A": config.num_attention_heads,
        "V": config.vocab_size,
    }


def block_memory(config, step, index, *, dtype="float32"):
    """Returns the bytes that a block run keeps for its backward pass, computed at all positions.

    Args:
        config: a Config.
        step: a Step.
        index: the number of the block's set of weights.
        dtype: "float32" or "mixed_bfloat16".
    """
    letters = _letters(config, step) | _letters_of(config, index, step.max_seq_length, None)
    tables = _block_tables(config, index, None)
    return sum(tensor.size(letters, COMPUTE[dtype]) for table in tables for tensor in table)


def _letters_of(config, index, length, read):
    """Returns the letters that depend on a block."""
    scores = block_scores(config, index, length, read)
    return {
        "Q": length if read is None else read,
        "R": sum(each.queries * each.keys for each in scores),
        "M": sum(each.copied or length for each in scores),
        "C": sum(each.copied for each in scores),
    }


def _block_tables(config, index, read):
    """Returns the tables of what a block keeps."""
    narrow, pre, chosen = config.bottleneck, config.norm_order == "pre", read is not None
    has_first_norm = pre and index > 0
    feed_forward = (FEED_FORWARD, GATED) if config.gated else (FEED_FORWARD,)
    tables = [BLOCK, *feed_forward * (1 if narrow is None else narrow.feed_forwards)]
    tables += [PLACES] * len(place_terms(config, 1)) + [TURNED] * (config.rope_theta is not None)
    tables += [PRE_NORM] * pre + [FIRST_NORM] * has_first_norm + [CHOSEN] * chosen
    tables += [CHOSEN_NORM] * (chosen and has_first_norm)
    if narrow is not None and narrow.narrows:
        tables += [BOTTLENECKS] + [SHARED_BOTTLENECK] * (narrow.shares_key_query and not narrow.attention_inside)
    return tables


def _inner_tables(config):
    """Returns the tables of the largest temporaries of a block's attention, and of its feed-forward layers."""
    attention = (IN_ATTENTION, IN_PLACES) if place_terms(config, 1) else (IN_ATTENTION,)
    return attention, (IN_FEED_FORWARD, IN_GATED) if config.gated else (IN_FEED_FORWARD,)


def _embedding_tables(config):
    """Yields the tables of what a Config's embeddings keep beside the tokens'."""
    place = config.embedding_projection_place if config.applies_projection else None
    if config.has_segments:
        yield WIDE_SEGMENTS if place == "before_sum" else SEGMENTS
    if config.positions_from_ids:
        yield POSITIONS
    if place in ("before_sum", "before_norm"):
        yield WIDENED
    if place is not None and place != "before_sum":
        yield PROJECTED
    if config.trigrams:
        yield TRIGRAMS


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
