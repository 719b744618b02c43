"""What `convert` and `lengthen` share: the checkpoint and tokenizer that are read, and the place that is written."""

from pathlib import Path

from keras_bert.cli.checkpoint_flags import checkpoint_options
from keras_bert.cli.tokenizer_flags import find_tokenizer, given_rules


def open_source(args):
    """Opens --init_checkpoint, to be written anew to --output_dir.

    Returns:
        (Checkpoint, Tokenizer by --vocab_file or from beside the checkpoint, or None, and files to copy unread).

    Raises:
        UserError: nothing can be written there, a checkpoint lies there already, or the tokenizer does not fit.
    """
    from keras_bert.checkpoints import FORMATS, check_place, check_vocabulary, find_format, open_checkpoint
    from keras_bert.errors import UserError

    output_dir = Path(args.output_dir)
    check_place(output_dir)
    checkpoint = open_checkpoint(args.init_checkpoint, **checkpoint_options(args))
    if output_dir.resolve() == checkpoint.folder.resolve():
        raise UserError(f"--output_dir: {output_dir} is where --init_checkpoint lies; the result needs another place.")
    standing = find_format(output_dir)
    if standing is not None:
        raise UserError(f"--output_dir: {output_dir} holds {FORMATS[standing].what} already; choose another place.")
    if not args.vocab_file:
        check_vocabulary(checkpoint)
    return checkpoint, *_find_tokenizer(args, checkpoint)


def _find_tokenizer(args, checkpoint):
    """Returns the Tokenizer, or None, and files to copy unread."""
    from keras_bert.errors import UserError
    from keras_bert.text.kinds import kind_of
    from keras_bert.text.wordpiece.files import cannot_read, foreign_kind, unread_files

    folder = checkpoint.folder
    kind, asked = foreign_kind(folder), given_rules(args) or args.special_tokens
    if kind is not None and not args.vocab_file:
        if asked:
            raise cannot_read(folder, kind)
        return None, unread_files(folder)
    if args.vocab_file or kind_of(folder):
        return find_tokenizer(args, vocab_file=args.vocab_file, checkpoint=folder, contradict=True), ()
    if asked:
        flag = next(iter(given_rules(args)), "special_tokens")
        raise UserError(f"--{flag} needs a vocabulary: {folder} has none; add --vocab_file.")
    return None, ()


def write_source(checkpoint, args, *, notes, **settings):
    """Writes a Checkpoint to --output_dir with a bar, and prints which files were written.

    Args:
        checkpoint: a Checkpoint.
        args: the command's arguments.
        notes: a list, to which what the format cannot hold is added, in words.
        **settings: of `write_checkpoint`.
    """
    from keras_bert.checkpoints import write_checkpoint
    from keras_bert.cli.progress import Progress

    output_dir = Path(args.output_dir)
    with Progress() as progress:
        names = write_checkpoint(checkpoint, output_dir, progress=progress, log=notes.append, **settings)
    size = sum((output_dir / name).stat().st_size for name in names)
    print(f"wrote {output_dir} ({size / 1e6:.1f} MB): {', '.join(names)}")
