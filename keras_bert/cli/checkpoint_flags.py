"""The flags that say of a Google checkpoint what no file does: ELECTRA's have two nets and no configuration."""

from keras_bert.cli.flags import Group, positive_int


def add_checkpoint_flags(parser):
    """Adds the flags."""
    model = Group(parser, "model", rare=True)
    model.add_argument(
        "--electra_net",
        choices=("discriminator", "generator"),
        help="of a Google ELECTRA checkpoint, which has both: discriminator or generator (default: discriminator)",
    )
    model.add_argument(
        "--num_attention_heads",
        type=positive_int,
        help="of a Google ELECTRA checkpoint, which does not say it (default: hidden size / 64, as in its code)",
    )


def checkpoint_options(args):
    """Returns what the flags say, as options of `open_checkpoint`."""
    heads = args.num_attention_heads
    return {"net": args.electra_net, "overrides": {"num_attention_heads": heads} if heads else None}
