"""Raw text -> vocabulary, WordPiece, byte-level BPE or Unigram: the same file for the same text, whatever the machine.

    keras-bert train_vocab --input_file='corpus/*.txt' --vocab_file=vocab.txt --vocab_size=8000
    keras-bert train_vocab --input_file='medical/*.txt' --init_vocab_file=model/vocab.txt --vocab_file=medical.txt
    keras-bert train_vocab --model=bpe --input_file='corpus/*.txt' --vocab_file=tokenizer --vocab_size=30000
    keras-bert train_vocab --model=unigram --family=xlm-roberta --input_file='corpus/*.txt' --vocab_file=tokenizer

Input: UTF-8 text, plain or .gz/.xz/.bz2, JSON lines, CSV and TSV, or TensorFlow Datasets, read as a stream. One line in
256 is held out to measure the vocabulary on. --init_vocab_file extends a vocabulary with the words of the text: those
that save the most pieces take its [unusedN] entries, and with --vocab_size more are appended; every other entry keeps
its id, so that a checkpoint can grow with it (keras-bert pretrain --init_checkpoint). Korean, Japanese, Hindi, Thai and
the like want --do_lower_case=False: lower-casing drops accents, and with them parts of their letters. --model=bpe and
--model=unigram write a folder with the files of a family's tokenizer, as transformers reads them.

Families: bert, distilbert, electra and mobilebert for wordpiece; roberta, longformer, deberta and modernbert for bpe;
albert, big-bird, camembert, deberta-v2, kobert and xlm-roberta for unigram.
"""

import functools
import time
from pathlib import Path

from keras_bert.cli.flags import Group, add_bool, add_text_format, natural_number, positive_int, positive_share
from keras_bert.cli.saved_models import find_configuration
from keras_bert.cli.startup import start_tensorflow
from keras_bert.cli.tokenizer_flags import add_rule_flags, as_flags, given_rules
from keras_bert.cli.vocabulary_models import DEFAULT_SIZES, FAMILIES, MIN_FREQUENCY, WORDPIECE, settle
from keras_bert.cli.vocabulary_text import (
    MANY_UNKNOWN,
    WARN_ABOVE,
    count_sources,
    described,
    heldout_texts,
    measured_on,
    next_command,
)

MAIN = ("input_file", "vocab_file", "vocab_size", "model", "family", "do_lower_case")
VOCAB_SIZE = DEFAULT_SIZES[WORDPIECE]


def add_arguments(parser):
    """Adds the flags."""
    data, vocabulary, rare = Group(parser, "data"), Group(parser, "vocabulary"), Group(parser, "vocabulary", rare=True)
    data.add_argument(
        "--input_file",
        required=True,
        help="paths, quoted globs and directories, commas between them; for tfds names such as wiki40b/ko:train",
    )
    Group(parser, "output").add_argument(
        "--vocab_file",
        required=True,
        help="vocabulary file to write, one token a line; a folder for --model=bpe and unigram",
    )
    vocabulary.add_argument("--model", choices=tuple(FAMILIES), default=WORDPIECE, help="kind of tokenizer")
    vocabulary.add_argument(
        "--family",
        help="model family of that kind, whose special tokens, ids and rules it has (default: bert, roberta or albert)",
    )
    vocabulary.add_argument(
        "--vocab_size",
        type=positive_int,
        help=f"entries with specials (default: {VOCAB_SIZE}, for bpe {DEFAULT_SIZES['bpe']}, unigram "
        f"{DEFAULT_SIZES['unigram']}, with --init_vocab_file as many as that has)",
    )
    add_rule_flags(
        parser,
        do_lower_case="lower-case the text and drop accents (default: true for wordpiece, false for bpe, for unigram "
        "as the family)",
        group="vocabulary",
    )
    vocabulary.add_argument(
        "--init_vocab_file", help="a vocabulary to extend: its [unusedN] entries are filled, then others appended"
    )
    data.add_argument(
        "--heldout_file",
        help="text to measure the vocabulary on (default: one line in 256 of the input, at most 5,000)",
    )
    rare.add_argument(
        "--num_unused",
        type=natural_number,
        help="[unusedN] entries for words of your own; from 99 on special tokens have Google's ids (default: 1 in 50, "
        "at most 99)",
    )
    rare.add_argument(
        "--min_frequency",
        type=positive_int,
        help=f"how often a piece of several characters must occur in the text (default: {MIN_FREQUENCY})",
    )
    rare.add_argument(
        "--min_char_frequency",
        type=positive_int,
        help="how often a character must occur (default: as often as the rarest word of a vocabulary of whole words, "
        "at least --min_frequency)",
    )
    rare.add_argument(
        "--character_coverage",
        type=positive_share,
        help="unigram: share of the text's characters to cover (default: 0.9995, for thousands of characters; 1.0 "
        "suits an alphabet)",
    )
    add_text_format(parser)
    data.add_argument(
        "--num_workers",
        type=positive_int,
        help="processes; same file for any (default: one a core, one below 4 MiB)",
    )
    add_bool(Group(parser, "output"), "force", default=False, help="replace --vocab_file")


def run(args):
    """Runs the command. Returns the figures that it prints, as a dict."""
    from keras_bert.cli.progress import Progress, clock
    from keras_bert.outputs import atomic_path
    from keras_bert.text.learning.counting import HeldOut, count_words
    from keras_bert.text.rules import TokenizerRules
    from tfrecords.documents import resolve_sources

    settle(args)
    if args.model != WORDPIECE:
        from keras_bert.cli.train_tokenizer import train

        return train(args)
    begin = time.monotonic()
    if args.input_format == "tfds":
        start_tensorflow()  # which reads them
    old = _initial_vocabulary(args)
    sources, chosen = resolve_sources(args.input_file, args.input_format)
    heldout = heldout_texts(args)
    _check_output(args, sources)
    print(f"input: {described(sources)}")
    is_plain = _rules(args) == TokenizerRules(args.do_lower_case)
    plain = "lower-cased, without accents" if args.do_lower_case else "as it is (cased)"
    print(f"text: {plain if is_plain else _rules(args).described}")
    print(f"vocabulary: {_plan(args, old)}", flush=True)
    sample = HeldOut() if heldout is None else None
    with atomic_path(args.vocab_file) as temporary:
        temporary.touch()  # an unwritable place shows now and not after the work
        with Progress() as progress:
            count = functools.partial(count_words, rules=_rules(args))
            counts = count_sources(args, sources, chosen, sample, progress, count)
        print(f"words: {counts.total():,}, {len(counts):,} distinct; learning from them ...", flush=True)
        _warn(counts, args.do_lower_case)
        vocabulary = _learn(args, counts, old)
        vocabulary.save(temporary)
    _describe_alphabet(counts, vocabulary)
    figures = {"vocab_size": len(vocabulary), **_measure(args, old, vocabulary, heldout, sample)}
    if old is not None:
        figures["new_entries"] = len(set(vocabulary.tokens) - set(old.tokens))
        print(f"new: {figures['new_entries']:,} entries; every other has the id that it had")
    print(f"wrote in {clock(time.monotonic() - begin)}: {args.vocab_file} ({len(vocabulary):,} entries)")
    _say_what_comes_next(args)
    return figures


def _measure(args, old, vocabulary, heldout, sample):
    """Prints how the vocabularies spell the held-out text, and returns the figures."""
    from keras_bert.text.learning.counting import coverage
    from keras_bert.text.tokenizer import Tokenizer

    rules = _rules(args)
    tokenizers = [Tokenizer.from_rules(each, rules) for each in (vocabulary, old) if each is not None]
    after, *before = coverage(tokenizers, sample.lines if heldout is None else heldout)
    print(f"coverage, on {measured_on(args, sample)}:")
    figures = {}
    for covered in before:
        print(f"  before: {covered}")
        figures = {"pieces_per_word_before": covered.pieces_per_word, "unknown_share_before": covered.unknown_share}
    print(f"  {'after: ' if before else ''}{after}")
    if after.unknown_share > MANY_UNKNOWN:
        print(
            f"warning: {after.unknown_share:.0%} of the words are [UNK], since the vocabulary lacks their characters; "
            f"{_remedy_for_unknown(args, old, heldout)}."
        )
    return {"pieces_per_word": after.pieces_per_word, "unknown_share": after.unknown_share, **figures}


def _remedy_for_unknown(args, old, heldout):
    """Says what makes fewer [UNK]."""
    if old is not None:
        return (
            "raise --vocab_size, so that characters are appended, or learn a new vocabulary without --init_vocab_file"
        )
    remedies = ["raise --vocab_size"]
    if args.min_char_frequency is not None or args.min_frequency > 2:
        remedies.append("lower --min_char_frequency" if args.min_char_frequency else "lower --min_frequency")
    if heldout is not None:
        remedies.append("see whether --heldout_file is text of the same kind")
    return ", or ".join(remedies)


def _initial_vocabulary(args):
    """Returns the Vocabulary to extend, or None; it must fit the other flags."""
    from keras_bert.errors import UserError
    from keras_bert.text.vocabulary import Vocabulary, casing_problem

    if not args.init_vocab_file:
        return None
    what = f"--init_vocab_file: {args.init_vocab_file}"
    if args.num_unused is not None or args.min_char_frequency is not None:
        flag = "min_char_frequency" if args.num_unused is None else "num_unused"
        raise UserError(f"--{flag} is for a new vocabulary and has no meaning with --init_vocab_file; leave it out.")
    if Path(args.init_vocab_file).resolve() == Path(args.vocab_file).resolve():
        raise UserError(
            f"{what} is --vocab_file too; keep it, a checkpoint needs both to grow, and name another output."
        )
    vocabulary = Vocabulary.from_file(args.init_vocab_file, what="--init_vocab_file")
    problem = casing_problem(vocabulary, args.do_lower_case)
    if problem:
        raise UserError(f"{what}: {problem}")
    if args.vocab_size is None and not vocabulary.unused_ids:
        raise UserError(f"{what} has no [unusedN] entries to fill; say by --vocab_size how many to have in all.")
    if args.vocab_size is not None and args.vocab_size < len(vocabulary):
        raise UserError(f"{what} has {len(vocabulary)} entries, more than --vocab_size={args.vocab_size}; raise that.")
    return vocabulary


def _check_output(args, sources):
    from keras_bert.errors import UserError
    from keras_bert.outputs import refuse_existing

    if Path(args.vocab_file).is_dir():
        raise UserError(
            f"--vocab_file: {args.vocab_file} is a directory; name the file to write in it, such as vocab.txt."
        )
    if Path(args.vocab_file).resolve() in {source.resolve() for source in sources if isinstance(source, Path)}:
        raise UserError(f"--vocab_file: {args.vocab_file} is one of the input files; name another file to write.")
    if not args.force:
        refuse_existing(args.vocab_file, what="--vocab_file", remedy="add --force to replace it, or name another")


def _rules(args):
    """Returns the TokenizerRules that the flags mean."""
    from keras_bert.text.rules import TokenizerRules

    return TokenizerRules(**given_rules(args), added_tokens=args.special_tokens)


def _plan(args, old):
    """Says what the vocabulary is to be."""
    from keras_bert.text.learning.wordpiece import default_num_unused

    if old is not None:
        slots, size = len(old.unused_ids), args.vocab_size or len(old)
        return (
            f"{args.init_vocab_file} ({len(old):,} entries), {slots} [unusedN] to fill, {size - len(old):,} to append"
        )
    size = args.vocab_size or VOCAB_SIZE
    unused = default_num_unused(size) if args.num_unused is None else args.num_unused
    return f"{size:,} entries, {unused} of them [unusedN]"


def _learn(args, counts, old):
    """Returns the new Vocabulary, or the old one extended."""
    from keras_bert.errors import UserError
    from keras_bert.text.learning.extension import extend_vocab
    from keras_bert.text.learning.wordpiece import vocab_from_counts
    from keras_bert.text.vocabulary import Vocabulary

    if old is None:
        return Vocabulary(
            vocab_from_counts(
                counts,
                vocab_size=args.vocab_size or VOCAB_SIZE,
                num_unused=args.num_unused,
                min_frequency=args.min_frequency,
                min_char_frequency=args.min_char_frequency,
                special_tokens=args.special_tokens,
            )
        )
    if not counts:
        raise UserError("The corpus has no words to extend a vocabulary with; check that its files hold text.")
    return extend_vocab(
        old,
        counts,
        vocab_size=args.vocab_size,
        min_frequency=args.min_frequency,
        special_tokens=args.special_tokens,
    )


def _warn(counts, do_lower_case):
    """Warns of scripts that lower-casing takes apart."""
    from keras_bert.text.learning.counting import scripts_harmed_by_lower_casing

    if do_lower_case:
        for name, share in scripts_harmed_by_lower_casing(counts).items():
            if share > WARN_ABOVE:
                print(
                    f"warning: {share:.0%} of the words are {name}, which lower-casing takes apart or strips of its "
                    "marks, as in Google's code; --do_lower_case=False leaves it as it is.",
                    flush=True,
                )


def _describe_alphabet(counts, vocabulary):
    from keras_bert.text.learning.counting import character_frequencies

    frequencies = character_frequencies(counts)
    covered = [count for char, count in frequencies.items() if char in vocabulary]
    share = sum(covered) / max(1, frequencies.total())
    print(f"characters: {len(covered):,} of {len(frequencies):,} covered, {share:.4%} of the text")


def _say_what_comes_next(args):
    from shlex import quote

    print(next_command(args, as_flags(args)), flush=True)
    if args.init_vocab_file:
        folder = Path(args.init_vocab_file).parent
        there = find_configuration(folder)
        model = quote(str(folder)) if there else "MODEL"
        where = (
            "the word embeddings grow there"
            if there
            else f"MODEL is the checkpoint that goes with {args.init_vocab_file}"
        )
        print(
            f"then: keras-bert pretrain --input_file=pretraining.tfrecord --init_checkpoint={model} "
            f"--output_dir=extended; {where}",
            flush=True,
        )
