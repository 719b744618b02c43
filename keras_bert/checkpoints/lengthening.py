"""Long texts from a checkpoint of short ones: a RoBERTa as a Longformer, a BERT as a BigBird.

Nothing is learned here. Every array stays as it is, but the rows of the position table, which are copied over and over,
and Longformer's projections of global tokens, which begin as those of all tokens (Beltagy et al. 2020, section 5). A
text that the checkpoint could read gets its old outputs where the window, or BigBird's full attention, spans it.
"""

import dataclasses

import numpy as np

from keras_bert.checkpoints.parts import attention_projections, head_task
from keras_bert.config import Config
from keras_bert.errors import UserError
from keras_bert.families import find_family

TARGETS = {"roberta": "longformer", "xlm-roberta": "longformer", "bert": "big_bird"}
WINDOW, BLOCK_SIZE, RANDOM_BLOCKS = 512, 64, 3  # as in the published checkpoints of both
POSITIONS, GLOBAL = "bert/embeddings/position_embeddings", "_global/"
CLASSES, SPANS = ("output_weights", "output_bias", "output_dense/"), "cls/squad/"


def lengthen_checkpoint(
    checkpoint,
    max_length,
    *,
    sep_token_id,
    attention_window=WINDOW,
    block_size=BLOCK_SIZE,
    random_blocks=RANDOM_BLOCKS,
):
    """Returns a checkpoint of a BERT, a RoBERTa or an XLM-R as that of a model for longer texts.

    Args:
        checkpoint: an opened Checkpoint.
        max_length: the longest text that the new one is to read, in tokens.
        sep_token_id: the id of the token that ends a text, by which heads find where a question ends.
        attention_window: how many tokens each one of a Longformer sees, on both sides together.
        block_size: tokens of a BigBird's blocks.
        random_blocks: how many blocks each one of a BigBird sees beside its neighbours and the ends.

    Returns:
        A Checkpoint with all arrays of the encoder, and those heads that compute the same in the new family; notes name
        the others.

    Raises:
        UserError: another family, a length that is not longer, a window or blocks that do not go with it.
    """
    old = checkpoint.config
    title = find_family(old.family).title
    if old.family not in TARGETS or old.attention != "full" or old.position_embedding != "learned":
        raise UserError(
            f"{checkpoint.path} is a checkpoint of {title}'s, which cannot be lengthened: a RoBERTa or an XLM-R can "
            "(it becomes a Longformer), and a BERT (a BigBird)."
        )
    if max_length <= old.max_length:
        raise UserError(
            f"{checkpoint.path} reads texts of up to {old.max_length} tokens already; ask for more than that. "
            f"Received: {max_length}."
        )
    first = old.max_position_embeddings - old.max_length  # rows that are no positions of real tokens
    fields = {"model_type": TARGETS[old.family], "max_position_embeddings": max_length + first}
    fields["sep_token_id"] = sep_token_id
    if fields["model_type"] == "longformer":
        check_window(attention_window, max_length)
        fields["attention_window"] = attention_window
    else:
        check_blocks(block_size, random_blocks, max_length)
        fields |= {"attention_type": "block_sparse", "block_size": block_size, "num_random_blocks": random_blocks}
    config = Config.from_huggingface({**old.to_huggingface(), **fields})
    config = config.replace(pooler=old.pooler, extra={n: x for n, x in config.extra.items() if n in old.extra})
    fixed = {"pooler": old.pooler} | find_family(config.family).fixed
    said = {name: value for name, value in old.not_in_huggingface().items() if name not in fixed}
    return _with_arrays(checkpoint, config.replace(**said), first)


def check_window(window, max_length):
    """Raises a UserError if a Longformer cannot have a window, in tokens on both sides together."""
    if window < 2 or window % 2:
        raise UserError(f"attention_window must be an even number of tokens, as many on each side. Received: {window}.")
    if window > max_length:
        raise UserError(
            f"attention_window is {window} tokens, more than the longest text of {max_length}; take a smaller one."
        )


def check_blocks(block_size, random_blocks, max_length):
    """Raises a UserError if blocks do not go with the longest text."""
    if max_length % block_size:
        raise UserError(
            f"A BigBird's longest text must be a whole number of blocks, as texts are filled up to one. Received: "
            f"{max_length} tokens and a block_size of {block_size}."
        )
    full = (5 + 2 * random_blocks) * block_size
    if max_length <= full:
        raise UserError(
            f"With a block_size of {block_size} and {random_blocks} random blocks, texts of up to {full} tokens attend "
            f"in full, and so would all of a model for {max_length}; take smaller or fewer blocks, or a longer text."
        )


def _with_arrays(checkpoint, config, first):
    """Returns the checkpoint with another config, the arrays that it asks for, and no others."""
    old = checkpoint.config
    lost = _lost_heads(checkpoint, config)
    shapes = {name: shape for name, shape in checkpoint.shapes.items() if not name.startswith(lost)}
    shapes[POSITIONS] = (config.max_position_embeddings, *shapes[POSITIONS][1:])
    new = set(attention_projections(config)) - set(attention_projections(old))
    for name, shape in checkpoint.shapes.items():
        scope, _, rest = name.partition("/attention/self/")
        projection, _, kind = rest.partition("/")
        if f"{projection}_global" in new:
            shapes[f"{scope}/attention/self/{projection}{GLOBAL}{kind}"] = shape

    def read(name):
        array = checkpoint.read(name.replace(GLOBAL, "/"))
        return copied_positions(array, config.max_position_embeddings, first) if name == POSITIONS else array

    task, notes = checkpoint.task, checkpoint.notes
    if len(shapes.keys() & checkpoint.shapes.keys()) < len(checkpoint.shapes):
        here, there = (find_family(each.family).title for each in (old, config))
        notes, task = (*notes, f"the {here}'s head is left out, as a {there}'s for its task computes otherwise"), {}
    return dataclasses.replace(checkpoint, config=config, task=task, shapes=shapes, read=read, notes=notes)


def copied_positions(table, rows, first):
    """Returns a position table with more rows: the positions of real tokens over and over.

    Args:
        table: float (P, H).
        rows: how many rows it is to have.
        first: how many rows at its beginning are no positions of real tokens; they stay alone.

    Example:
        >>> copied_positions(np.arange(5)[:, None], 9, 2)[:, 0].tolist()
        [0, 1, 2, 3, 4, 2, 3, 4, 2]
    """
    index = np.arange(rows)
    index[first:] = first + (index[first:] - first) % (len(table) - first)
    return table[index]


def _lost_heads(checkpoint, config):
    """Returns how the names of those heads begin that the new family computes in another way."""
    if config.family != "big_bird":
        return ()
    return (SPANS,) if head_task(checkpoint.task) in ("tag", "choose") else (*CLASSES, SPANS)
