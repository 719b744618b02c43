"""Raw text -> masked TFRecords with a manifest and the vocabulary beside them: the data tool as a function.

`python -m tfrecords.create_pretraining_data` is the command `keras-bert create_pretraining_data`.
"""

import sys

import numpy as np

from keras_bert.data.records import shard_paths
from keras_bert.errors import UserError
from keras_bert.files import expand_inputs
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import Vocabulary
from tfrecords.documents import INPUT_FORMATS, detect_format, read_documents
from tfrecords.instances import TokenCorpus, check_corpus, plan_instances
from tfrecords.writer import claim_outputs, make_features, write_all

DESCRIBED = {"sentences": "one sentence a line", "text": "running prose, split into sentences"}


def create_pretraining_data(
    input_files,
    output_file,
    vocab_file,
    *,
    do_lower_case=True,
    do_whole_word_mask=False,
    max_seq_length=128,
    max_predictions_per_seq=20,
    random_seed=12345,
    dupe_factor=10,
    masked_lm_prob=0.15,
    short_seq_prob=0.1,
    input_format="auto",
    num_shards=1,
    force=False,
    log=None,
    progress=None,
):
    """Writes masked TFRecords for the masked-LM and next-sentence tasks. Options and defaults are Google's.

    Args:
        input_files: paths or globs: a list, or one string with commas between them.
        output_file: path of the TFRecord file; with several shards NAME-00000-of-00004 and so on. A
            list (or one string with commas) names the shards themselves.
        vocab_file: path of a vocab.txt.
        do_lower_case: whether the tokenizer lower-cases.
        do_whole_word_mask: mask words with all of their pieces.
        max_seq_length: tokens an instance, [CLS] and [SEP] included.
        max_predictions_per_seq: most tokens to predict an instance.
        random_seed: the same seed and input give the same bytes.
        dupe_factor: how many copies of the corpus to make, with masks and splits of their own.
        masked_lm_prob: share of the tokens to predict.
        short_seq_prob: share of the documents' copies to cut into shorter instances.
        input_format: "sentences" (one a line, blank lines between documents), "text" (prose, a
            paragraph a line, blank lines between documents) or "auto".
        num_shards: number of files.
        force: replace outputs that exist.
        log: called with each line worth telling, or None.
        progress: called as progress(stage, done, total, unit), or None.

    Returns:
        The manifest, a dict, as it stands beside the shards.

    Raises:
        UserError: inputs, options or outputs with which no such file can be made.
    """
    log = log or (lambda line: None)
    _check_options(max_seq_length, max_predictions_per_seq, masked_lm_prob, short_seq_prob, dupe_factor, input_format)
    files = expand_inputs(input_files)
    shards = _output_shards(output_file, num_shards)
    stale = claim_outputs(shards, vocab_file=vocab_file, force=force)
    vocabulary = _usable_vocabulary(vocab_file, do_lower_case=do_lower_case)
    tokenizer = Tokenizer(vocabulary, do_lower_case=do_lower_case)
    log(f"vocabulary: {len(vocabulary):,} tokens of {vocab_file}, {'lower-cased' if do_lower_case else 'cased'}")
    log(f"input: {_count(len(files), 'file')}, {sum(f.stat().st_size for f in files) / 1e6:,.1f} MB on disk")
    chosen = detect_format(files) if input_format == "auto" else input_format
    why = " (chosen by --input_format=auto)" if input_format == "auto" else ""
    log(f"input format: {chosen}, {DESCRIBED[chosen]}{why}")
    corpus = read_corpus(files, tokenizer, input_format=chosen, progress=_stage(progress, "tokenizing", "B"))
    log(f"corpus: {len(corpus):,} documents, {len(corpus.sentences) - 1:,} sentences, {len(corpus.tokens):,} tokens")
    plan = plan_instances(
        corpus,
        max_seq_length=max_seq_length,
        short_seq_prob=short_seq_prob,
        dupe_factor=dupe_factor,
        seed=random_seed,
        progress=_stage(progress, "planning", "document"),
    )
    options = {
        "max_seq_length": max_seq_length,
        "rate": masked_lm_prob,
        "max_predictions": max_predictions_per_seq,
        "whole_word": do_whole_word_mask,
    }
    log("example: " + example_text(corpus, plan, vocabulary, seed=random_seed, **options))
    settings = {
        "input_files": [str(path) for path in files],
        "input_format": chosen,
        "do_whole_word_mask": do_whole_word_mask,
        "masked_lm_prob": masked_lm_prob,
        "short_seq_prob": short_seq_prob,
        "dupe_factor": dupe_factor,
        "random_seed": random_seed,
        "num_shards": len(shards),
    }
    lengths = {"max_seq_length": max_seq_length, "max_predictions_per_seq": max_predictions_per_seq}
    manifest = write_all(
        shards,
        corpus,
        plan,
        vocabulary,
        manifest={**_facts(corpus, plan, tokenizer), **lengths, "settings": settings},
        seed=random_seed,
        progress=_stage(progress, "writing", "instance"),
        **options,
    )
    for path in stale:  # only now that the new ones stand
        path.unlink(missing_ok=True)
        log(f"removed {path}, a shard of an earlier run")
    return manifest


def read_corpus(files, tokenizer, *, input_format, progress=None):
    """Reads and tokenises text files, each sentence once.

    Args:
        files: paths of text files.
        tokenizer: a keras_bert.text.tokenizer.Tokenizer.
        input_format: "sentences" or "text".
        progress: called as progress(bytes done, bytes in all).

    Returns:
        A TokenCorpus.

    Raises:
        UserError: fewer than two documents with text in them.
    """
    documents = read_documents(files, input_format=input_format, progress=progress)
    tokenised = (map(tokenizer.token_ids, document) for document in documents)
    corpus = TokenCorpus.from_documents(tokenised, vocab_size=tokenizer.vocab_size)
    check_corpus(corpus)
    return corpus


def example_text(corpus, plan, vocabulary, *, seed, **options):
    """Returns one planned instance as text.

    A token to predict stands in braces: {cat} behind a [MASK], {cat kept} as it is, {cat -> tree} replaced.
    """
    rng = np.random.default_rng(seed)
    features, masked = make_features(corpus, plan.take(slice(0, 1)), vocabulary, rng=rng, **options)
    length = features["input_mask"].sum()
    words = [vocabulary.token(index) for index in features["input_ids"][0, :length]]
    for position, label, action in zip(masked.positions[0], masked.ids[0], masked.actions[0], strict=True):
        if action >= 0:
            word = vocabulary.token(label)
            words[position] = (f"{{{word}}}", f"{{{word} kept}}", f"{{{word} -> {words[position]}}}")[action]
    relation = "random, of another document" if plan.is_random[0] else "the next of the same document"
    return " ".join(words) + f"\n(segment b: {relation}; {{word}} stands behind [MASK])"


def _check_options(max_seq_length, max_predictions, masked_lm_prob, short_seq_prob, dupe_factor, input_format):
    """Raises a UserError for numbers with which no instance can be made."""
    if max_seq_length < 5:
        raise UserError(
            "--max_seq_length must be at least 5: [CLS] a [SEP] b [SEP] with one token each. "
            f"Received: {max_seq_length}."
        )
    for flag, value, least in (("max_predictions_per_seq", max_predictions, 1), ("dupe_factor", dupe_factor, 1)):
        if value < least:
            raise UserError(f"--{flag} must be at least {least}. Received: {value}.")
    if not 0 < masked_lm_prob <= 1:
        raise UserError(f"--masked_lm_prob must lie above 0 and not above 1. Received: {masked_lm_prob}.")
    if not 0 <= short_seq_prob <= 1:
        raise UserError(f"--short_seq_prob must lie between 0 and 1. Received: {short_seq_prob}.")
    if input_format not in INPUT_FORMATS:
        raise UserError(f"--input_format must be one of {', '.join(INPUT_FORMATS)}. Received: {input_format!r}.")


def _usable_vocabulary(vocab_file, *, do_lower_case):
    """Returns the Vocabulary, or raises a UserError if it does not go with lower-casing or has no ordinary tokens."""
    vocabulary = Vocabulary.from_file(vocab_file)
    if do_lower_case and vocabulary.looks_cased:
        raise UserError(
            f"--vocab_file: {vocab_file} has tokens with upper-case letters, but --do_lower_case is on and would never "
            "produce them; pass --do_lower_case=False."
        )
    if not len(vocabulary.replacement_ids):
        raise UserError(f"--vocab_file: {vocab_file} has special tokens only; learn one with keras-bert train_vocab.")
    return vocabulary


def _output_shards(output_file, num_shards):
    """Returns the shards' paths; a list of output files names them itself, as Google's flag allows."""
    names = output_file.split(",") if isinstance(output_file, str) else output_file
    names = [names] if not isinstance(names, (list, tuple)) else [name for name in names if name]
    if not names:
        raise UserError("--output_file names no file; give a path such as data/wiki.tfrecord.")
    for name in names:
        if str(name).endswith("/"):
            raise UserError(f"--output_file: {name} names a directory; give a file in it, such as {name}wiki.tfrecord.")
    if len(names) > 1 and num_shards != 1:
        raise UserError(
            f"--output_file names {len(names)} files and --num_shards asks for {num_shards}; give one name, "
            "or no --num_shards."
        )
    shards = shard_paths(names[0], num_shards) if len(names) == 1 else [shard_paths(n, 1)[0] for n in names]
    if len(set(shards)) != len(shards):
        raise UserError("--output_file names a file twice; give each once.")
    return shards


def _facts(corpus, plan, tokenizer):
    """Returns what the manifest says of the corpus and of the tokenizer."""
    return {
        "instances": len(plan),
        "documents": len(corpus),
        "sentences": len(corpus.sentences) - 1,
        "tokens": len(corpus.tokens),
        "vocab_size": tokenizer.vocab_size,
        "vocab_sha256": tokenizer.vocabulary.fingerprint,
        "do_lower_case": tokenizer.do_lower_case,
    }


def _stage(progress, stage, unit):
    return progress and (lambda done, total: progress(stage, done, total, unit))


def _count(number, noun):
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


if __name__ == "__main__":
    from keras_bert_cli.main import main

    sys.exit(main(["create_pretraining_data", *sys.argv[1:]]))
