"""Raw text -> TFRecords with a manifest and the vocabulary beside them: the data tool as a function.

`python -m tfrecords.create_pretraining_data` is the command `keras-bert create_pretraining_data`.
"""

import contextlib
import dataclasses
import functools
import os
import sys
import time
from pathlib import Path

from keras_bert.data.records import shard_paths
from keras_bert.errors import UserError
from keras_bert.text.kinds import kind_at
from keras_bert.text.rules import FLAGS
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import Vocabulary, casing_problem
from tfrecords import stages
from tfrecords.documents import resolve_sources
from tfrecords.instances import check_corpus
from tfrecords.options import Options
from tfrecords.runners import SMALL_INPUT, choose_workers, make_runner
from tfrecords.sample import Sample
from tfrecords.workplace import Workplace
from tfrecords.writer import FINISHING, ShardWriter, Statistics, check_places, claim_outputs, finish

DESCRIBED = {
    "sentences": "one sentence a line",
    "text": "running prose, split into sentences",
    "lines": "a document a line, split into sentences",
    "jsonl": "JSON lines, a document each",
    "csv": "a CSV table, a document a row",
    "tsv": "a TSV table, a document a row",
    "tfds": "TensorFlow Datasets, a document an example",
}
# The options that readers of the records ask for: they stand at the manifest's top, the rest under "settings".
FOR_READERS = (
    "tokenizer",
    "do_lower_case",
    "strip_accents",
    "tokenize_chinese_chars",
    "special_tokens",
    "max_seq_length",
    "max_predictions_per_seq",
    "masking",
    "masked_lm_prob",
    "dynamic",
    "sentence_task",
    "compression",
    "pack",
    "max_texts_per_row",
)


def create_pretraining_data(
    input_files,
    output_file,
    vocab_file,
    *,
    input_format="auto",
    num_shards=1,
    num_workers=None,
    runner=None,
    beam_options=(),
    force=False,
    log=None,
    progress=None,
    **options,
):
    """Writes TFRecords for the masked-LM task and a sentence task. Options and defaults are Google's.

    The same input, options and num_shards give the same bytes, whatever does the work. Memory stays flat. Where a run
    was killed, the same call goes on.

    Args:
        input_files: paths, globs and directories: a list, or one string with commas between them; for "tfds" names
            such as "wiki40b/ko:train".
        output_file: path of the TFRecord file; with several shards NAME-00000-of-00004 and so on. A
            list (or one string with commas) names the shards themselves.
        vocab_file: path of a vocab.txt; or of a directory with the files of a tokenizer of any kind, or one of them.
        input_format: "sentences" (one a line, blank lines between documents), "text" (prose, a paragraph a line,
            blank lines between documents), "lines" (a document a line), "jsonl" (a JSON object a line), "csv" or "tsv"
            (a document a row), "tfds", or "auto".
        num_shards: number of files.
        num_workers: number of processes; None means a core each, and one for small inputs.
        runner: name of the Apache Beam runner to work on instead, such as "DirectRunner" (extra `beam`).
        beam_options: list of flags for Beam.
        force: replace outputs that exist.
        log: called with each line worth telling, or None.
        progress: called as progress(stage, done, total, unit), or None.
        **options: the fields of `tfrecords.options.Options`; do_whole_word_mask=True is Google's way to ask for
            masking="whole_word".

    Returns:
        The manifest, a dict, as it stands beside the shards.

    Raises:
        UserError: inputs, options or outputs with which no such file can be made.
    """
    log, report = log or (lambda line: None), progress or (lambda *_: None)
    options = Options(**_with_own_rules(vocab_file, _with_googles_masking(options)))
    if runner is not None and num_workers is not None:
        raise UserError("--num_workers is for this machine and --runner for Apache Beam; give one of them.")
    sources, chosen = resolve_sources(input_files, input_format)
    shards = _output_shards(output_file, num_shards)
    tokenizer = _usable_tokenizer(vocab_file, options)
    stated = [_state(source) for source in sources]
    check_places(shards)
    identity = {
        "options": vars(options),
        "input_format": chosen,
        "sources": stated,
        "shards": [str(path) for path in shards],
        "tokenizer": tokenizer.fingerprint,
    }
    size = sum(size for _, size, _ in stated)
    num_workers = choose_workers(num_workers, size or SMALL_INPUT)  # how large a data set is, is not known
    workplace = Workplace(shards[0], identity, others=shards[1:] if num_shards == 1 else ())
    with workplace.locked():
        renaming = workplace.resumed and (workplace.folder / FINISHING).exists()
        stale = claim_outputs(shards, vocab_file=vocab_file, force=force or renaming)
        log(f"vocabulary: {len(tokenizer):,} tokens of {vocab_file}, {tokenizer.described}")
        what = ("data set" if chosen == "tfds" else "file") + "s" * (len(sources) > 1)
        log(f"input: {len(sources):,} {what}" + (f", {size / 1e6:,.1f} MB on disk" if size else ""))
        by_auto = " (chosen by --input_format=auto)" * (input_format == "auto")
        log(f"input format: {chosen}, {DESCRIBED[chosen]}{by_auto}")
        for warning in options.warnings():
            log(f"warning: {warning}")
        with workplace.opened() as folder, _workers(runner, beam_options, num_workers, folder) as workers:
            job = stages.Job(str(folder), options, chosen, len(shards), run=f"{os.getpid()}-{time.time_ns()}")
            manifest = _make(job, workplace, sources, shards, tokenizer, workers, log, report)
        for path in stale:  # only now that the new ones stand
            path.unlink(missing_ok=True)
            log(f"removed {path}, a shard of an earlier run")
    return manifest


def _make(job, workplace, sources, shards, tokenizer, workers, log, report):
    """Goes through the stages in the run's folder, and gives the outputs their final names. Returns the manifest."""
    if workplace.resumed:
        log(f"going on with what an earlier run left in {workplace.folder}")
    job.tokenizer.mkdir(exist_ok=True)
    tokenizer.save_pretrained(job.tokenizer)
    facts = _tokenize(job, sources, workers, report)
    log("corpus: " + ", ".join(f"{number:,} {name}" for name, number in facts.items()))
    instances = _plan(job, workers, report)
    job = dataclasses.replace(job, max_texts=stages.choose_texts(job))
    sample = Sample(job, tokenizer.vocabulary)
    log(f"example: {sample.example()}")
    for warning in sample.warnings():
        log(f"warning: {warning}")
    total = sample.bytes_each() * instances
    workplace.space_needed = functools.partial(stages.bytes_to_write, job, shards, total)
    statistics = _write(job, shards, instances, workers, report)
    manifest = _manifest(job, facts, tokenizer, sources, shards, statistics)
    finish(workplace.folder, shards, tokenizer, manifest)
    return manifest


def _with_googles_masking(options):
    """Returns the options with Google's do_whole_word_mask turned into masking."""
    whole_word = options.pop("do_whole_word_mask", False)
    if whole_word and options.get("masking", "token") not in ("token", "whole_word"):
        raise UserError(
            f"--do_whole_word_mask contradicts --masking={options['masking']}, which masks whole words as well; "
            "leave it out."
        )
    return options | ({"masking": "whole_word"} if whole_word else {})


def _with_own_rules(vocab_file, options):
    """Returns the options with the tokenizer's kind and, of a directory, the rules and tokens that its files state."""
    kind = kind_at(vocab_file, what="--vocab_file")
    if kind != "wordpiece" or not Path(vocab_file).is_dir():
        return {"tokenizer": kind, **options}
    tokenizer = Tokenizer.from_pretrained(vocab_file)
    given = {name: value for name, value in options.items() if name not in FLAGS or value is not None}
    added = (token.content for token in tokenizer.vocabulary.added)
    special = tuple(dict.fromkeys((*added, *given.pop("special_tokens", ()))))
    own = {name: getattr(tokenizer.rules, name) for name in FLAGS}
    return {"tokenizer": kind, "special_tokens": special, **own, **given}


def _state(source):
    """Returns what tells whether an input has changed: its name, size in bytes and time of change."""
    if not isinstance(source, Path):  # a TFDS name
        return source, 0, 0
    stat = source.stat()
    return str(source), stat.st_size, stat.st_mtime_ns


def _workers(runner, beam_options, num_workers, folder):
    """Returns the context manager of what does the work."""
    if runner is None:
        return make_runner(num_workers)
    from tfrecords.beam import BeamRunner

    return contextlib.nullcontext(BeamRunner(runner, beam_options, folder=folder))


def _tokenize(job, sources, workers, report):
    """Runs the first stage. Returns the numbers of documents, sentences and tokens."""
    if workers.expands_here:
        tasks = stages.read_sources(job, sources, lambda done, total: report("tokenizing", done, total, "B"))
        expand = None
    else:
        tasks, expand = [[source] for source in sources], functools.partial(stages.read_sources, job)
    corpus = stages.collect(job, workers.map(functools.partial(stages.tokenize, job), tasks, expand=expand))
    check_corpus(corpus, job.options.sentence_task)
    return {"documents": len(corpus), "sentences": len(corpus.sentences) - 1, "tokens": len(corpus.tokens)}


def _plan(job, workers, report):
    """Runs the second stage. Returns the number of instances.

    Raises:
        UserError: fewer instances than shards.
    """
    tasks, counts = stages.plan_tasks(job), 0
    Path(job.folder, "plans").mkdir(exist_ok=True)
    for done, planned in enumerate(workers.map(functools.partial(stages.plan, job), tasks), 1):
        counts = counts + planned
        report("planning", done, len(tasks), "block")
    if counts.sum() == 0:
        raise UserError(
            "The input gives no instance, as each document is a single sentence, which has no order; "
            "choose --sentence_task=nsp or none."
        )
    if counts.reshape(job.num_shards, -1).sum(axis=1).min() == 0:
        raise UserError(f"--num_shards: {counts.sum()} instances do not fill {job.num_shards} files; ask for fewer.")
    return int(counts.sum())


def _write(job, shards, instances, workers, report):
    """Runs the third stage: record files in the run's folder, under their final names. Returns the Statistics."""
    Path(job.folder, "parts").mkdir(exist_ok=True)
    files = [ShardWriter(Path(job.folder, path.name)) for path in shards]
    parts = range(stages.num_parts(job))
    each = len(parts) // len(shards)
    is_done = [part % each < files[part // each].parts for part in parts]
    statistics = Statistics()
    for part in parts:
        if is_done[part]:
            statistics.merge(stages.write(job, part)["statistics"])
    waiting = [part for part in parts if not is_done[part]]
    for part, written in zip(waiting, workers.map(functools.partial(stages.write, job), waiting), strict=True):
        files[part // each].append(job.path("parts", part))
        statistics.merge(written["statistics"])
        report("writing", statistics.texts, instances, "instance")
    return statistics


def _manifest(job, facts, tokenizer, sources, shards, statistics):
    """Returns what is written beside the records."""
    options = {**vars(job.options), "special_tokens": list(job.options.special_tokens)}
    options["max_texts_per_row"] = job.max_texts
    counts = {"instances": statistics.instances, **({"texts": statistics.texts} if job.options.packed else {})}
    unsaid = {"none": ("pack", "max_texts_per_row"), "full": ("max_texts_per_row",)}.get(job.options.pack, ())
    readers = [name for name in FOR_READERS if name not in unsaid]
    return {
        **counts,
        **facts,
        "vocab_size": len(tokenizer),
        "vocab_sha256": tokenizer.vocabulary.fingerprint,
        "tokenizer_sha256": tokenizer.fingerprint,
        **{name: options[name] for name in readers},
        "settings": {
            "input_files": [str(source) for source in sources],
            "input_format": job.input_format,
            "num_shards": len(shards),
            **{name: value for name, value in options.items() if name not in FOR_READERS},
        },
        "files": [path.name for path in shards],
        "statistics": statistics.as_dict(
            sentence_task=job.options.sentence_task, dynamic=job.options.dynamic, packed=job.options.packed
        ),
    }


def _usable_tokenizer(vocab_file, options):
    """Returns the Tokenizer, or raises a UserError if it does not go with lower-casing or has no ordinary tokens."""
    if options.tokenizer != "wordpiece":
        tokenizer = Tokenizer.from_pretrained(vocab_file, added_tokens=options.special_tokens)
    else:
        is_folder = Path(vocab_file).is_dir()
        vocabulary = Tokenizer.from_pretrained(vocab_file).vocabulary if is_folder else Vocabulary.from_file(vocab_file)
        tokenizer = Tokenizer.from_rules(vocabulary.with_added(options.special_tokens), options.rules)
        problem = casing_problem(vocabulary, options.do_lower_case)
        if problem:
            raise UserError(f"--vocab_file: {vocab_file}: {problem}")
    if not len(tokenizer.vocabulary.replacement_ids):
        raise UserError(f"--vocab_file: {vocab_file} has special tokens only; learn one with keras-bert train_vocab.")
    return tokenizer


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


if __name__ == "__main__":
    from keras_bert.cli.main import main

    sys.exit(main(["create_pretraining_data", *sys.argv[1:]]))
