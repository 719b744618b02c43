"""train_vocab --model=bpe and --model=unigram: raw text to a folder with the files of a family's tokenizer."""

import contextlib
import functools
import os
import time
from pathlib import Path

from keras_bert.cli.startup import start_tensorflow
from keras_bert.cli.vocabulary_models import BPE
from keras_bert.cli.vocabulary_text import (
    MANY_UNKNOWN,
    WARN_ABOVE,
    count_sources,
    described,
    heldout_texts,
    measured_on,
    next_command,
)


def train(args):
    """Learns a tokenizer as the flags say, which `settle` has checked. Returns the figures that it prints, a dict."""
    from keras_bert.cli.progress import Progress, clock
    from keras_bert.text.learning.counting import HeldOut
    from tfrecords.documents import resolve_sources

    begin = time.monotonic()
    if args.input_format == "tfds":
        start_tensorflow()  # which reads them
    rules = None if args.model == BPE else _rules(args)
    sources, chosen = resolve_sources(args.input_file, args.input_format)
    heldout = heldout_texts(args)
    _check_output(args)
    print(f"input: {described(sources)}")
    print(f"text: {_described_rules(rules)}")
    print(f"vocabulary: {args.vocab_size:,} entries, {args.model} as {args.family} has it", flush=True)
    sample = HeldOut() if heldout is None else None
    with _output_folder(args.vocab_file) as folder:
        with Progress() as progress:
            counts = count_sources(args, sources, chosen, sample, progress, _counter(args, rules))
        print(f"words: {counts.total():,}, {len(counts):,} distinct; learning from them ...", flush=True)
        _warn(counts, rules)
        tokenizer = _learn(args, rules, counts)
        tokenizer.save_pretrained(folder)
    figures = {"vocab_size": len(tokenizer), **_measure(args, rules, tokenizer, heldout, sample)}
    names = ", ".join(sorted(path.name for path in _tokenizer_files(args.vocab_file)))
    spent = clock(time.monotonic() - begin)
    print(f"wrote in {spent}: {args.vocab_file} ({names}; {len(tokenizer):,} entries)")
    print(next_command(args), flush=True)
    return figures


def _rules(args):
    """Returns the SentencePieceRules that the flags mean."""
    from keras_bert.errors import UserError
    from keras_bert.text.sentence_piece.rules import FAMILIES

    rules, family = FAMILIES[args.family], args.family.replace("_", "-")
    if args.strip_accents is not None and not rules.joins_spaces:
        raise UserError(f"--strip_accents has no meaning for --family={family}, which keeps accents; leave it out.")
    if args.do_lower_case and not rules.joins_spaces and args.family != "deberta_v2":
        raise UserError(f"--do_lower_case has no meaning for --family={family}, which keeps upper case; leave it out.")
    changes = {} if args.do_lower_case is None else {"do_lower_case": args.do_lower_case}
    changes |= {} if args.strip_accents is None else {"keeps_accents": not args.strip_accents}
    return rules.replaced(**changes)


def _described_rules(rules):
    if rules is None or not rules.cleans:
        return "as it is (cased)"
    said = ["lower-cased" if rules.do_lower_case else "cased"]
    return ", ".join(said + ([] if rules.keeps_accents else ["without accents"]))


def _check_output(args):
    from keras_bert.errors import UserError

    path = Path(args.vocab_file)
    if path.suffix == ".txt" or path.is_file():
        raise UserError(
            f"--vocab_file: {path} is a file's name, but --model={args.model} writes several files; name a folder."
        )
    there = _tokenizer_files(path)
    if there and not args.force:
        raise UserError(
            f"--vocab_file: {path} has a tokenizer already ({there[0].name}); add --force to replace it, or name "
            "another folder."
        )


def _tokenizer_files(folder):
    """Returns the paths of a tokenizer's files in a folder."""
    from keras_bert.text.tokenizer_config import CONFIG_NAME, OWN_FILES

    return [path for name in (*OWN_FILES, CONFIG_NAME) if (path := Path(folder, name)).is_file()]


@contextlib.contextmanager
def _output_folder(path):
    """Gives the folder to write to, and a new one takes its name when all is written; an old one keeps other files."""
    from keras_bert.outputs import atomic_path, cannot_write

    if Path(path).is_dir():
        if not os.access(path, os.W_OK):
            raise cannot_write(path, PermissionError(13, "Permission denied"))
        yield Path(path)
        return
    with atomic_path(path) as temporary:
        temporary.mkdir()  # an unwritable place shows now and not after the work
        yield temporary


def _counter(args, rules):
    """Returns the function of texts and `mapper` that counts what the model learns from."""
    from keras_bert.text.learning.bpe import count_byte_words
    from keras_bert.text.learning.sentence_piece import count_spaced_words

    if rules is None:
        return functools.partial(count_byte_words, family=args.family, special_tokens=args.special_tokens)
    return functools.partial(count_spaced_words, rules=rules, special_tokens=args.special_tokens)


def _learn(args, rules, counts):
    """Returns the Tokenizer."""
    from keras_bert.text.learning.bpe import byte_pairs_from_counts
    from keras_bert.text.learning.sentence_piece import sentence_pieces_from_counts

    options = {"vocab_size": args.vocab_size, "special_tokens": args.special_tokens}
    if rules is None:
        return byte_pairs_from_counts(counts, family=args.family, min_frequency=args.min_frequency, **options)
    if args.character_coverage is not None:
        options["character_coverage"] = args.character_coverage
    return sentence_pieces_from_counts(counts, rules, **options)


def _warn(counts, rules):
    """Warns of scripts whose letters lose marks that are parts of them."""
    from keras_bert.text.learning.counting import scripts_harmed_by_lower_casing

    if rules is None or rules.keeps_accents:
        return
    for name, share in scripts_harmed_by_lower_casing(counts).items():
        if share > WARN_ABOVE and name != "Korean":  # whose letters sentencepiece composes again
            print(
                f"warning: {share:.0%} of the words are {name}, which loses the marks of its letters with the accents, "
                "as in ALBERT's code; --strip_accents=False keeps them.",
                flush=True,
            )


def _measure(args, rules, tokenizer, heldout, sample):
    """Prints how the tokenizer spells the held-out text, and returns the figures."""
    from keras_bert.text.learning.counting import coverage

    (covered,) = coverage([tokenizer], sample.lines if heldout is None else heldout)
    print(f"coverage, on {measured_on(args, sample)}:")
    print(f"  {covered}")
    if covered.unknown_share > MANY_UNKNOWN:
        remedies = ["raise --character_coverage and --vocab_size"]
        remedies += [] if heldout is None else ["see whether --heldout_file is text of the same kind"]
        print(
            f"warning: {covered.unknown_share:.0%} of the words are {covered.unk}, since the vocabulary lacks their "
            f"characters; {', or '.join(remedies)}."
        )
    return {"pieces_per_word": covered.pieces_per_word, "unknown_share": covered.unknown_share}
