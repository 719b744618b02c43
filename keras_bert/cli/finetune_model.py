"""Which model a fine-tuning command starts from, and whether its results have a place to go to."""

from pathlib import Path

from keras_bert.cli.checkpoint_flags import checkpoint_options
from keras_bert.cli.saved_models import find_configuration, settle_reading
from keras_bert.cli.tokenizer_flags import find_tokenizer

# The files of a model directory and its results. Without a model's configuration beside them they may be somebody
# else's.
WRITTEN = ("model.safetensors", "vocab.txt", "task.json", "eval_results.json", "curves.png")


def check_output(args):
    """Raises a UserError, before any work, if the results would have no place to go to, or a TPU is asked for."""
    import os

    from keras_bert.errors import UserError
    from keras_bert.outputs import refuse_existing

    if getattr(args, "use_tpu", False):
        raise UserError("--use_tpu: fine-tuning takes the GPU or CPU of this machine; leave the flag out.")
    output_dir = Path(args.output_dir)
    if getattr(args, "do_train", None) is not False:
        if not args.force:
            if standing := find_configuration(output_dir):
                refuse_existing(standing, what="--output_dir", remedy="add --force to replace that model")
            for name in WRITTEN:
                refuse_existing(output_dir / name, what="--output_dir", remedy="name another folder, or add --force")
        if args.init_checkpoint and Path(args.init_checkpoint).resolve() == output_dir.resolve():
            raise UserError(
                f"--output_dir and --init_checkpoint are both {output_dir}; the result needs a place of its own."
            )
    standing = next(folder for folder in (output_dir, *output_dir.absolute().parents) if folder.exists())
    if not standing.is_dir() or not os.access(standing, os.W_OK):
        state = "is not a directory" if not standing.is_dir() else "may not be written to"
        raise UserError(f"--output_dir: {output_dir} cannot be made, since {standing} {state}; choose another place.")


def find_model(args):
    """Returns the model that the flags mean.

    Args:
        args: those of `add_model_flags`, and those of reading, which are settled here if they were left out.

    Returns:
        tokenizer, config, checkpoint: a Tokenizer, a Config with the rates of dropout to train with, and the
        opened Checkpoint to load, or None for fresh weights.

    Raises:
        UserError: no model is named, or its parts do not fit one another.
    """
    from keras_bert.checkpoints import grow_checkpoint, open_checkpoint
    from keras_bert.config import Config
    from keras_bert.errors import UserError
    from keras_bert.text.vocabulary import check_fits, check_special_ids, sizes_for

    tokenizer = None
    if args.init_checkpoint:
        checkpoint = open_checkpoint(args.init_checkpoint, **checkpoint_options(args))
        source = args.init_checkpoint
        tokenizer = find_tokenizer(args, vocab_file=args.vocab_file, checkpoint=args.init_checkpoint)
        if args.vocab_file or args.special_tokens:
            checkpoint = grow_checkpoint(checkpoint, tokenizer)
        config = checkpoint.config
    elif args.bert_config_file:
        checkpoint, config, source = None, None, args.bert_config_file
        if not args.vocab_file:
            raise UserError("--bert_config_file without --init_checkpoint needs --vocab_file, the vocabulary.")
    else:
        raise UserError(
            "Nothing to fine-tune: name a model by --init_checkpoint, or give --bert_config_file and --vocab_file "
            "to start from fresh weights."
        )
    tokenizer = tokenizer or find_tokenizer(args, vocab_file=args.vocab_file)
    if args.bert_config_file:
        rows = len(tokenizer) if config is None else config.vocab_size
        named = Config.from_name_or_file(args.bert_config_file, **{**sizes_for(tokenizer), "vocab_size": rows})
        if config is not None:
            _check_same_shape(named, config, args)
        config = named if config is None else config
    remedy = f"give the vocabulary that belongs to {source}."
    check_fits(len(tokenizer), config.vocab_size, remedy=remedy)
    check_special_ids(tokenizer, config)
    settle_reading(args, checkpoint)
    if args.dropout is not None:
        config = config.replace(hidden_dropout_prob=args.dropout, attention_probs_dropout_prob=args.dropout)
    return tokenizer, config, None if args.from_scratch else checkpoint


def _check_same_shape(named, config, args):
    from keras_bert.config import COUNTS
    from keras_bert.errors import UserError

    for field in COUNTS:
        if getattr(named, field) != getattr(config, field):
            raise UserError(
                f"--bert_config_file {args.bert_config_file} has {field} {getattr(named, field)}, but "
                f"{args.init_checkpoint} has {getattr(config, field)}; leave --bert_config_file out."
            )
