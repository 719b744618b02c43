"""Flags that name gs:// and other remote places: what they name is fetched, and the run's folder is mirrored there."""

import argparse
from pathlib import Path

from keras_bert.cli.startup import start_tensorflow

RECORDS, FILES, MODELS = (
    ("input_file", "eval_file"),
    ("vocab_file", "bert_config_file"),
    ("init_checkpoint", "init_generator"),
)
CACHE = Path("~", ".cache", "keras_bert")


def localized(args, *, progress=None):
    """Fetches what the flags of `pretrain` name elsewhere.

    Args:
        args: its parsed flags.
        progress: see `keras_bert.training.remote.fetched`.

    Returns:
        (the same flags with local paths in place of remote ones, a callable that copies the run's folder to where
        --output_dir names it, or None where that is local).

    Raises:
        UserError: a place that is missing, or that cannot be read or written.
    """
    from keras_bert.training.preflight import check_paths
    from keras_bert.training.remote import Mirror, fetched, fetched_model, is_remote, local_path

    names = (*RECORDS, *FILES, *MODELS, "output_dir")
    remote = {name: value for name, value in vars(args).items() if name in names and value and is_remote(value)}
    if not remote:
        return args, None
    start_tensorflow()
    check_paths({f"--{name}": value for name, value in remote.items()}, writable=("--output_dir",))
    cache, local = CACHE.expanduser(), {}
    for name, value in remote.items():
        if name in RECORDS:
            local[name] = fetched(value, cache, progress=progress)
        elif name in MODELS:
            local[name] = fetched_model(value, cache)
        elif name in FILES:
            (local[name],) = fetched(value, cache)
    push = None
    if "output_dir" in remote:
        local["output_dir"] = str(local_path(args.output_dir, cache))
        mirror = Mirror(local["output_dir"], args.output_dir)
        mirror.pull()
        push = mirror.push
    return argparse.Namespace(**{**vars(args), **local}), push
