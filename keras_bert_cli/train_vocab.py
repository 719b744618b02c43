"""Raw text -> WordPiece vocabulary: the same file for the same text, whatever the machine.

    keras-bert train_vocab --input_file='corpus/*.txt' --vocab_file=vocab.txt --vocab_size=8000

Input: UTF-8 text, plain or .gz/.xz/.bz2, read as a stream. Every character of the corpus is covered that
stands in it --min_frequency times and at least once in a million characters.
"""

import argparse
import time
from pathlib import Path

from keras_bert_cli.flags import add_bool, positive_int

SAMPLE_LINES = 5000  # of the corpus, to measure on how well the vocabulary spells it
LINES_BETWEEN_REPORTS = 1000
PACKED = 3.5  # how much shorter compressed English is, for the progress within a file only


def natural_number(text):
    """An argparse type for counts that may be zero.

    >>> natural_number("0")
    0
    """
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, received {text!r}")
    return int(text)


def add_arguments(parser):
    """Adds the flags."""
    parser.add_argument("--input_file", required=True, help="text files: paths and quoted globs, commas between them")
    parser.add_argument("--vocab_file", required=True, help="vocabulary file to write, one token a line")
    parser.add_argument(
        "--vocab_size", type=positive_int, default=30522, help="entries, specials included (default: 30522)"
    )
    add_bool(parser, "do_lower_case", default=True, help="lower-case the text and drop its accents")
    parser.add_argument(
        "--num_unused",
        type=natural_number,
        default=None,
        help="[unusedN] entries to leave for words of your own; from 99 on the special tokens have Google's ids "
        "(default: one entry in fifty, at most 99)",
    )
    parser.add_argument(
        "--min_frequency", type=positive_int, default=2, help="how often a piece must stand in the text (default: 2)"
    )
    add_bool(parser, "force", default=False, help="replace --vocab_file if it exists")


def run(args):
    """Runs the command. Returns the figures that it prints, as a dict."""
    from keras_bert.errors import UserError
    from keras_bert.files import atomic_path, expand_inputs, refuse_existing
    from keras_bert.text.counting import LineSample, count_words, coverage
    from keras_bert.text.learning import default_num_unused, vocab_from_counts
    from keras_bert.text.tokenizer import Tokenizer
    from keras_bert.text.vocabulary import Vocabulary
    from keras_bert_cli.progress import Progress, clock

    begin = time.monotonic()
    files = expand_inputs(args.input_file)
    num_unused = default_num_unused(args.vocab_size) if args.num_unused is None else args.num_unused
    print(
        f"input: {_files(files)}\ntext: {'lower-cased, without accents' if args.do_lower_case else 'as it is (cased)'}"
    )
    print(f"vocabulary: {args.vocab_size:,} entries, {num_unused} of them [unusedN]", flush=True)
    if Path(args.vocab_file).is_dir():
        raise UserError(
            f"--vocab_file: {args.vocab_file} is a directory; name the file to write in it, such as vocab.txt."
        )
    if Path(args.vocab_file).resolve() in {path.resolve() for path in files}:
        raise UserError(f"--vocab_file: {args.vocab_file} is one of the input files; name another file to write.")
    if not args.force:
        refuse_existing(args.vocab_file, what="--vocab_file", remedy="add --force to replace it, or name another")
    with atomic_path(args.vocab_file) as temporary:
        temporary.touch()  # an unwritable place shows now and not after the work
        sample = LineSample(SAMPLE_LINES)
        with Progress() as progress:
            counts = count_words(sample.watch(_lines(files, progress)), do_lower_case=args.do_lower_case)
        print(f"words: {counts.total():,}, {len(counts):,} distinct; learning from them ...", flush=True)
        tokens = vocab_from_counts(
            counts, vocab_size=args.vocab_size, num_unused=args.num_unused, min_frequency=args.min_frequency
        )
        vocabulary = Vocabulary(tokens)
        vocabulary.save(temporary)
    covered = coverage(Tokenizer(vocabulary, args.do_lower_case), sample.lines)
    print(
        f"coverage, on {len(sample.lines):,} lines of the input: {covered.pieces_per_word:.3f} pieces a word, "
        f"{covered.unknown_share:.4%} [UNK]"
    )
    print(f"wrote in {clock(time.monotonic() - begin)}: {args.vocab_file} ({len(tokens):,} entries)")
    casing = "" if args.do_lower_case else " --do_lower_case=False"
    print(
        f"next: keras-bert create_pretraining_data --input_file={_quoted(args.input_file)} "
        f"--output_file=pretraining.tfrecord --vocab_file={_quoted(args.vocab_file)}{casing}",
        flush=True,
    )
    return {
        "vocab_size": len(tokens),
        "pieces_per_word": covered.pieces_per_word,
        "unknown_share": covered.unknown_share,
    }


def _lines(files, progress):
    """Yields the lines of all files; progress counts bytes as they lie on the disk."""
    from keras_bert.files import OPENERS, read_lines

    sizes = [path.stat().st_size for path in files]
    done, total = 0, sum(sizes)
    for path, size in zip(files, sizes, strict=True):
        ratio, read = PACKED if path.suffix in OPENERS else 1, 0
        for number, line in enumerate(read_lines(path)):
            read += len(line) + 1
            if number % LINES_BETWEEN_REPORTS == 0:
                progress("counting words", done + min(size - 1, int(read / ratio)), total, "B")
            yield line
        done += size
    progress("counting words", total, total, "B")


def _files(files):
    from keras_bert_cli.progress import short

    size = short(sum(path.stat().st_size for path in files))
    return f"{files[0]} ({size}B)" if len(files) == 1 else f"{len(files)} files, {files[0]} ... {files[-1]} ({size}B)"


def _quoted(text):
    import shlex

    return shlex.quote(text)
