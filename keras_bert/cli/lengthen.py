"""Short texts -> long ones: a RoBERTa or XLM-R becomes a Longformer, a BERT a BigBird, as transformers loads them.

    keras-bert lengthen --init_checkpoint=model --output_dir=bigbird --max_position_embeddings=1024
    keras-bert lengthen --init_checkpoint=roberta-base --output_dir=longformer --max_position_embeddings=4096 \
        --attention_window=512

The rows of the position table are copied over and over, and a Longformer's projections of global tokens begin as those
of all tokens, as its authors did; everything else stays as it is, the masked-LM head too. No text was read so far: some
hundred steps of pre-training on long texts come next, by the commands that are printed.
"""

import shlex
from pathlib import Path

from keras_bert.cli.checkpoint_flags import add_checkpoint_flags
from keras_bert.cli.conversion import open_source, write_source
from keras_bert.cli.flags import Group, natural_number, positive_int
from keras_bert.cli.tokenizer_flags import add_rule_flags

MAIN = ("init_checkpoint", "output_dir", "max_position_embeddings", "attention_window", "block_size")
STEPS, WARMUP, BATCH, RATE = 500, 50, 8, "3e-5"  # of the command that is printed


def add_arguments(parser):
    """Adds the flags."""
    model, rare = Group(parser, "model"), Group(parser, "model", rare=True)
    model.add_argument(
        "--init_checkpoint",
        required=True,
        help="a BERT, RoBERTa or XLM-R: our model directory, Hugging Face's, or a Google checkpoint",
    )
    Group(parser, "output").add_argument("--output_dir", required=True, help="directory to write")
    model.add_argument(
        "--max_position_embeddings",
        type=positive_int,
        default=4096,
        metavar="N",
        help="the longest text, in tokens; a Longformer's config.json says some more, for rows that no token has",
    )
    model.add_argument(
        "--attention_window",
        type=natural_number,
        help="Longformer: tokens that each one sees, on both sides together (default: 512)",
    )
    model.add_argument("--block_size", type=positive_int, help="BigBird: tokens of a block (default: 64)")
    rare.add_argument(
        "--num_random_blocks",
        type=natural_number,
        help="BigBird: blocks that each one sees beside its neighbours and the ends (default: 3)",
    )
    model.add_argument("--vocab_file", help="vocabulary (default: the one next to the checkpoint)")
    add_checkpoint_flags(parser)
    add_rule_flags(
        parser,
        do_lower_case="whether the vocabulary is lower-cased (default: as the checkpoint or its vocabulary says)",
        common=False,
    )


def run(args):
    """Runs the command: prints what it made of the checkpoint, what it wrote, and what to train next."""
    from keras_bert.checkpoints import lengthen_checkpoint

    checkpoint, tokenizer, unread = open_source(args)
    given = {
        "attention_window": args.attention_window,
        "block_size": args.block_size,
        "random_blocks": args.num_random_blocks,
    }
    new = lengthen_checkpoint(
        checkpoint,
        args.max_position_embeddings,
        sep_token_id=_separator(checkpoint, tokenizer),
        **{name: value for name, value in given.items() if value is not None},
    )
    _describe(args, checkpoint, new)
    lost = list(new.notes)
    write_source(new, args, notes=lost, tokenizer=tokenizer, unread=unread)
    for note in [*lost, *_without_effect(args, new.config)]:
        print(f"note: {note}")
    _say_what_comes_next(Path(args.output_dir), new)
    return {"path": args.output_dir, "family": new.config.family, "notes": lost}


def _separator(checkpoint, tokenizer):
    """Returns the id of the token that ends a text, by the tokenizer or by what the configuration says besides."""
    from keras_bert.errors import UserError

    if tokenizer is not None:
        return tokenizer.sep_id
    config = checkpoint.config
    for found in (config.sep_token_id, config.extra.get("sep_token_id"), config.extra.get("eos_token_id")):
        if type(found) is int:
            return found
    raise UserError(
        f"{checkpoint.folder} has no tokenizer that says which token ends a text, as the new model's heads must know; "
        "add --vocab_file."
    )


def _describe(args, old, new):
    from keras_bert.families import find_family

    def title(checkpoint):
        return find_family(checkpoint.config.family).title

    config, was = new.config, old.config
    print(f"checkpoint: {args.init_checkpoint} ({title(old)}, texts of up to {was.max_length} tokens)")
    if config.attention == "global_local":
        sees = f"a token sees {2 * config.attention_window[0]} others, global tokens see all"
        copied = "; global tokens' projections from all tokens' own"
    else:
        blocks, others = config.block_sparse.block_size, config.block_sparse.random_blocks
        sees = f"blocks of {blocks} see their neighbours, the ends and {others} others; up to "
        sees += f"{(5 + 2 * others) * blocks} tokens attend in full"
        copied = ""
    print(f"becomes: a {title(new)}, texts of up to {config.max_length} tokens ({sees})")
    print(f"copied: {was.max_length} positions, over and over{copied}", flush=True)


def _without_effect(args, config):
    """Yields notes on flags that are the other family's."""
    others = {"global_local": ("block_size", "num_random_blocks"), "block_sparse": ("attention_window",)}
    for name in others[config.attention]:
        if getattr(args, name) is not None:
            whose = "blocks are a BigBird" if "block" in name else "window is a Longformer"
            yield f"--{name} has no effect: the {whose}'s"


def _say_what_comes_next(folder, new):
    """Prints the commands that train it on long texts."""
    length = new.config.max_length
    most, place = -(-length * 15 // 100), shlex.quote(str(folder))
    print(
        "next: train it on long texts, some hundred steps of masked LM: keras-bert create_pretraining_data "
        f"--input_file='corpus/*.txt' --vocab_file={place} --output_file=long.tfrecord --max_seq_length={length} "
        f"--max_predictions_per_seq={most} --sentence_task=none --dynamic"
    )
    print(
        f"then: keras-bert pretrain --input_file=long.tfrecord --init_checkpoint={place} "
        f"--output_dir={shlex.quote(f'{folder}-trained')} --train_batch_size={BATCH} --learning_rate={RATE} "
        f"--num_train_steps={STEPS} --num_warmup_steps={WARMUP}"
    )
