"""The memory that is expected of a training step: by hand, by its properties, and against a process."""

import dataclasses

import pytest

from keras_bert.checkpoints.parts import encoder_parts, pretraining_parts
from keras_bert.config import BertConfig, Config
from keras_bert.training.costs import Step
from keras_bert.training.memory import GRAPH_BYTES, UNUSED, block_memory, largest_batch, step_memory

SMALL = BertConfig(vocab_size=50, hidden_size=4, num_hidden_layers=3, num_attention_heads=2, intermediate_size=6)
STEP = Step(train_batch_size=7, max_seq_length=10, max_predictions_per_seq=2)
NUMBERS = sum(part.total for part in (*encoder_parts(SMALL), *pretraining_parts(SMALL)))
VECTORS = 3 * (4 * 4 + 6 + 4 + 4 * 4) + 2 * 4 + 4 + (4 + 2 * 4 + 50) + 2  # biases and LayerNorms


def test_a_step_counted_by_hand():
    memory = step_memory(SMALL, STEP)
    assert memory.weights == memory.gradients == 4 * NUMBERS
    assert memory.optimizer == 8 * NUMBERS
    assert memory.copies == 0
    # 8 (B, S, H), 2 (B, A, S, S) and 2 (B, S, I) a block, the last at 3 positions but for keys and values
    blocks = 2 * (8 * 10 * 4 + 2 * 2 * 10 * 10 + 2 * 10 * 6) + 2 * 10 * 4 + 7 * 3 * 4 + 2 * 2 * 3 * 10 + 2 * 3 * 6
    assert memory.activations == 4 * 7 * (blocks + 2 * 10 * 4)  # and 2 (B, S, H) of the embeddings
    assert memory.temporaries == 4 * 7 * 6 * 2 * 50  # at the loss: 6 (B, P, V)
    # LAMB works 3 numbers out ahead for each that decays
    assert step_memory(SMALL, STEP, optimizer="lamb").temporaries == memory.temporaries + 12 * (NUMBERS - VECTORS)
    # and Muon keeps one number for each of the blocks' matrices
    assert step_memory(SMALL, STEP, optimizer="muon").optimizer == 8 * NUMBERS - 4 * 3 * (4 * 4 * 4 + 2 * 4 * 6)
    tensors = memory.weights + memory.optimizer + memory.activations + memory.temporaries
    assert memory.unused == round(UNUSED * tensors)
    assert memory.peak == tensors + memory.unused + 3 * GRAPH_BYTES


def test_mixed_precision_halves_the_activations_and_copies_the_matrices():
    memory, mixed = step_memory(SMALL, STEP), step_memory(SMALL, STEP, dtype="mixed_bfloat16")
    assert 2 * mixed.activations == memory.activations
    assert mixed.copies == 2 * (NUMBERS - VECTORS)
    assert (mixed.weights, mixed.optimizer) == (memory.weights, memory.optimizer)


def test_with_remat_each_block_keeps_its_input():
    memory = step_memory(SMALL, STEP, remat=True)
    assert memory.activations == 4 * 7 * (3 + 2) * 10 * 4


def test_with_remat_one_block_is_there_at_its_backward_pass():
    """Where the logits are few, that is the fullest moment."""
    step = dataclasses.replace(STEP, max_seq_length=300)
    memory = step_memory(SMALL, step, remat=True)
    block = 4 * 7 * (8 * 300 * 4 + 2 * 2 * 300 * 300 + 2 * 300 * 6)
    gradients = 4 * 7 * 2 * 2 * 300 * 300 + 4 * 50 * 4
    assert memory.temporaries == block + gradients


def test_a_small_batch_is_fullest_when_all_gradients_are_there():
    config = BertConfig.from_name("base")
    memory = step_memory(config, Step(train_batch_size=1, max_seq_length=8))
    assert memory.temporaries == 8 * config.vocab_size * config.hidden_size
    assert memory.peak > memory.weights + memory.optimizer + memory.gradients + memory.temporaries


@pytest.mark.parametrize("options", [{}, {"remat": True}, {"dtype": "mixed_bfloat16"}, {"optimizer": "lamb"}])
def test_the_largest_batch_fits_and_one_more_does_not(options):
    config = BertConfig.from_name("mini")
    step = Step(max_seq_length=128)
    examples = largest_batch(config, step, 3_000_000_000, **options)
    peaks = [
        step_memory(config, dataclasses.replace(step, train_batch_size=n), **options).peak
        for n in (examples, examples + 1)
    ]
    assert peaks[0] <= 3_000_000_000 < peaks[1]


def test_the_largest_batch_at_its_edges():
    one = step_memory(SMALL, dataclasses.replace(STEP, train_batch_size=1)).peak
    assert largest_batch(SMALL, STEP, one) == 1
    assert largest_batch(SMALL, STEP, one - 1) == 0


def test_a_shared_block_has_its_weights_once_and_its_activations_as_often_as_it_is_run():
    shared, own = SMALL.replace(family="albert", num_hidden_groups=1), SMALL.replace(family="albert")
    memory, expected = step_memory(shared, STEP), step_memory(own, STEP)
    block = 4 * (4 * 4 + 4) + (4 * 6 + 6) + (6 * 4 + 4) + 4 * 4
    assert memory.weights == expected.weights - 4 * 2 * block
    assert memory.activations == expected.activations


def test_narrow_embeddings_and_a_head_that_reads_every_position():
    config = SMALL.replace(family="electra", embedding_size=3, pooler=None)
    memory = step_memory(config, STEP)
    blocks = 3 * (8 * 10 * 4 + 2 * 2 * 10 * 10 + 2 * 10 * 6)  # the last one too
    assert memory.activations == 4 * 7 * (blocks + 3 * 10 * 3 + 2 * 10 * 4)
    small = step_memory(config, Step(train_batch_size=1, max_seq_length=1), objectives=["masked_lm"])
    assert small.temporaries == 2 * 4 * 50 * 3  # (V, E)


def test_fixed_positions_have_no_gradients():
    config = SMALL.replace(family="distilbert", position_embedding="sinusoidal", pooler=None, type_vocab_size=0)
    memory = step_memory(config, STEP)
    assert memory.weights - memory.gradients == 4 * 512 * 4
    assert memory.optimizer == 2 * memory.gradients


SIZES = {"vocab_size": 50, "num_attention_heads": 2, "intermediate_size": 6, "num_hidden_layers": 2}


def test_a_block_that_is_narrow_inside_counted_by_hand():
    config = Config.from_name("mobilebert", **SIZES, hidden_size=8, embedding_size=3, bottleneck={"size": 4})
    # 4 (S, W) of the attention, 2 that end it, 2 of each narrow input, and of each of 4 feed-forward layers 2 and 2 I
    block = (4 + 2 + 2 + 2 + 4 * 2) * 10 * 4 + 2 * 10 * 8 + 2 * 2 * 10 * 10 + 4 * 2 * 10 * 6
    assert block_memory(config, STEP, 0) == 4 * 7 * block
    assert block_memory(config, STEP, 0, dtype="mixed_bfloat16") == 2 * 7 * block
    last = 2 * 10 * 4 + 2 * 10 * 4 + 3 * (2 + 2 + 2 + 4 * 2) * 4 + 3 * 3 * 8 + 2 * 2 * 3 * 10 + 4 * 2 * 3 * 6
    embeddings = 10 * 3 + 2 * 10 * 3 + 10 * 8 + 10 * 8
    assert step_memory(config, STEP).activations == 4 * 7 * (block + last + embeddings)


def test_scores_by_relative_place_counted_by_hand():
    own = {"relative": {"buckets": 2, "shares_projections": True}, "conv": {"kernel": 3}}
    config = Config.from_name("deberta-v3-small", **SIZES, hidden_size=4, **own)
    block = 7 * (8 * 10 * 4 + 4 * 2 * 10 * 10 + 2 * 10 * 6) + 2 * 20 * 4  # the projected table is all examples' own
    assert block_memory(config, STEP, 0) == 4 * block
    last = 7 * (2 * 10 * 4 + 7 * 2 * 4 + 4 * 2 * 2 * 10 + 2 * 2 * 6) + 2 * 20 * 4  # at 2 positions
    assert step_memory(config, STEP).activations == 4 * (block + last + 7 * (10 * 4 + 5 * 10 * 4))


def test_a_block_that_norms_first_counted_by_hand():
    config = Config.from_name("modernbert-base", **SIZES, hidden_size=4, pad_token_id=3)
    block = 10 * 10 * 4 + 2 * 2 * 10 * 10 + 3 * 10 * 6 + 10 * 4
    assert block_memory(config, STEP, 0) == 4 * 7 * (block - 10 * 4 + 10 * 4)
    assert block_memory(config, STEP, 1) - block_memory(config, STEP, 0) == 4 * 7 * 10 * 4  # its own norm


@pytest.mark.parametrize("name", ["modernbert-base", "longformer-base-4096", "bigbird-roberta-base"])
def test_attention_by_blocks_grows_with_the_length(name):
    config = Config.from_name(name)
    kept = [block_memory(config, Step(train_batch_size=1, max_seq_length=n), 1) for n in (2048, 4096)]
    assert kept[1] == 2 * kept[0]
    whole = [block_memory(config.replace(attention="full"), Step(max_seq_length=n), 0) for n in (2048, 4096)]
    assert whole[1] > 3 * whole[0]


@pytest.mark.nightly
@pytest.mark.parametrize(
    "row",
    [
        (256, 4, 32, 128, "float32", False),
        (256, 4, 32, 128, "mixed_bfloat16", False),
        (256, 6, 8, 1024, "float32", False, "modernbert-base"),
        (256, 4, 16, 256, "float32", False, "deberta-v3-base"),
    ],
)
def test_a_process_takes_what_is_expected(row):
    from benchmarks import memory

    if not memory.CLEAR_REFS.exists():
        pytest.skip("only Linux tells a process' peak memory from a moment on")
    figures = memory.compare(*row)
    most = 0.15 if len(row) == 6 else 0.2  # two numbers are fitted to BERT's rows
    assert abs(figures["expected / grown"] - 1) < most, figures
