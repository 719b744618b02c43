"""The text that a vocabulary is learned from and measured on, as train_vocab reads it for each kind of tokenizer."""

from pathlib import Path

WARN_ABOVE = 0.1  # share of the words of a script that a rule harms
MANY_UNKNOWN = 0.05  # share of the held-out words; a vocabulary of a good size leaves fewer than one in a hundred


def heldout_texts(args):
    """Returns the texts of --heldout_file, to be read once, or None without the flag."""
    from keras_bert.files import expand_inputs
    from tfrecords.documents import read_chunks, resolve_sources

    if not args.heldout_file:
        return None
    named = args.heldout_file
    if args.input_format != "tfds":
        named = expand_inputs(named, what="--heldout_file", directories=True)
    sources, chosen = resolve_sources(named, args.input_format)
    return (chunk.text for chunk in read_chunks(sources, input_format=chosen, text_field=args.text_field))


def measured_on(args, sample):
    """Says what text the vocabulary is measured on; `sample` is the HeldOut of the input, None with --heldout_file."""
    if sample is None:
        return args.heldout_file
    if sample.held_out:
        return f"{len(sample.lines):,} lines held out of the input"
    return f"{len(sample.lines):,} lines of the input itself, which is too small to hold any out (--heldout_file)"


def count_sources(args, sources, chosen, sample, progress, count):
    """Counts the words of the sources, apart from what the sample holds out.

    Args:
        args: of the command.
        sources, chosen: what `resolve_sources` gave.
        sample: a HeldOut, or None, which takes nothing.
        progress: called with what is told, how much is done, of how much, and its unit.
        count: function of texts and `mapper` to a Counter.

    Returns:
        The Counter.
    """
    from tfrecords.documents import read_chunks
    from tfrecords.runners import choose_workers, make_runner

    def tell(done, total):
        if done < total:  # the end is told once, below
            progress("counting words", done, total, "B")

    chunks = read_chunks(sources, input_format=chosen, text_field=args.text_field, progress=tell)
    texts = (chunk.text for chunk in chunks)
    size = _size(sources)
    with make_runner(choose_workers(args.num_workers, size)) as runner:
        texts = texts if sample is None else sample.watch(texts)
        counts = count(texts, mapper=runner.map)
    progress("counting words", max(size, 1), max(size, 1), "B")
    return counts


def described(sources):
    """Returns the names and the size of the sources in words."""
    from keras_bert.cli.progress import short

    size = f" ({short(_size(sources))}B)" if _size(sources) else ""
    return f"{sources[0]}{size}" if len(sources) == 1 else f"{len(sources)} files, {sources[0]} ... {sources[-1]}{size}"


def next_command(args, flags=""):
    """Returns the line that names the command to follow, with further flags, each with a blank before it."""
    from shlex import quote

    flags += "" if args.input_format == "auto" else f" --input_format={args.input_format}"
    flags += "" if args.text_field == "text" else f" --text_field={quote(args.text_field)}"
    return (
        f"next: keras-bert create_pretraining_data --input_file={quote(args.input_file)} "
        f"--output_file=pretraining.tfrecord --vocab_file={quote(args.vocab_file)}{flags}"
    )


def _size(sources):
    """Returns the bytes of the files among the sources, as they lie on the disk."""
    return sum(source.stat().st_size for source in sources if isinstance(source, Path))
