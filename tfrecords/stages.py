"""The three stages of the work: chunks of text -> tokens, blocks of tokens -> plans, parts of plans -> records.

Each function does one task, reads what it needs from the run's folder and leaves its result there. Any process may
do any task, in any order within a stage; which random numbers it draws is told by the task's own number.

    tokenize   corpus/ tokens, sentences, documents     (put together in the order of the input)
    plan       plans/000007, plans/000007.counts        instances of block 7, sorted by part
    write      parts/000003, parts/000003.json          masked records of part 3, in random order, and their statistics
"""

import dataclasses
import functools
import gzip
import json
import shutil
from pathlib import Path

import numpy as np

from keras_bert.data.packing import Packing, choose_most, pack
from keras_bert.outputs import atomic_path
from keras_bert.text.tokenizer import Tokenizer
from tfrecords.corpus import CorpusWriter, TokenCorpus, with_separators
from tfrecords.documents import read_chunks, split_chunk
from tfrecords.instances import INSTANCE, blocks_of, expected_instances, lengths_of, plan_block, segment_tokens
from tfrecords.options import Options
from tfrecords.workplace import write_json
from tfrecords.writer import Statistics, make_features, serialize_features

PLAN, SCATTER, SHUFFLE, MASK = range(4)  # kinds of random streams
INSTANCES_PER_PART = 1 << 15  # more or less: a part is shuffled in memory and is what a worker does at once
MOST_PARTS = 1 << 10  # but for more shards than that
RECORDS_PER_BATCH = 1 << 10  # masked together
TOKENS_READ = 1 << 22  # at once, of each segment: 8 MB, or 16 with a large vocabulary
GZIP_LEVEL = 6  # gzip's own default; part of the output's definition


@dataclasses.dataclass(frozen=True)
class Job:
    """All that a task has to know: picklable, and the same on every machine that sees the folder.

    Attributes:
        folder: the run's folder.
        options: the Options.
        input_format: how a chunk's text is laid out: a key of `tfrecords.documents.INPUT_FORMATS`, not "auto".
        num_shards: number of record files.
        run: a name of this very run, by which a process tells it from an earlier one in the same folder.
        max_texts: the most instances of a packed record; None where a record is one.
    """

    folder: str
    options: Options
    input_format: str
    num_shards: int
    run: str
    max_texts: int | None = None

    @property
    def tokenizer(self):
        """Where the run keeps its tokenizer, a directory."""
        return Path(self.folder, ".tokenizer")  # hidden, as each run writes it anew: no finished work

    def path(self, kind, number):
        """Returns where the result of a task lies."""
        return Path(self.folder, kind, f"{number:06d}")


@functools.lru_cache(maxsize=1)
def _tokenizer(job):
    return Tokenizer.from_pretrained(job.tokenizer)


@functools.lru_cache(maxsize=1)
def _bulk(job):
    return _tokenizer(job).bulk()


def _vocabulary(job):
    return _tokenizer(job).vocabulary


@functools.lru_cache(maxsize=1)
def open_corpus(job):
    """Returns the TokenCorpus of the run."""
    return TokenCorpus.open(Path(job.folder, "corpus"), vocab_size=len(_vocabulary(job)))


def read_sources(job, sources, progress=None):
    """Yields the Chunks of the inputs."""
    return read_chunks(sources, input_format=job.input_format, text_field=job.options.text_field, progress=progress)


def tokenize(job, chunk):
    """Tokenises a chunk.

    Returns:
        The arguments of `CorpusWriter.add`: tokens, lengths, counts, complete.
    """
    documents = split_chunk(chunk.text, input_format=job.input_format)
    tokens, lengths = _bulk(job).token_ids([sentence for document in documents for sentence in document])
    ends = np.cumsum([len(document) for document in documents], dtype=np.int64)
    kept = np.concatenate([[0], np.cumsum(lengths > 0)])[ends]  # sentences with tokens, up to each document's end
    return tokens, lengths[lengths > 0], np.diff(kept, prepend=0), chunk.complete


def collect(job, tokenized):
    """Puts tokenised chunks together to the run's corpus. Returns it.

    Args:
        job: the Job.
        tokenized: what `tokenize` returned, in the order of the input.
    """
    folder = Path(job.folder, "corpus")
    if not folder.is_dir():
        with atomic_path(folder) as temporary:
            temporary.mkdir()
            vocabulary, across = _vocabulary(job), separator_of(job) is not None
            plain = temporary / "plain" if across else temporary
            plain.mkdir(exist_ok=True)
            with CorpusWriter(plain, vocab_size=len(vocabulary)) as writer:
                for tokens, lengths, counts, complete in tokenized:
                    writer.add(tokens, lengths, counts, complete=complete)
            if across:
                with CorpusWriter(temporary, vocab_size=len(vocabulary)) as writer:
                    with_separators(TokenCorpus.open(plain, vocab_size=len(vocabulary)), separator_of(job), writer)
                shutil.rmtree(plain)
    return open_corpus(job)


def separator_of(job):
    """Returns the id that stands between documents where instances go on from one to the next; else None."""
    return _vocabulary(job).sep_id if job.options.pack == "full" else None


def plan_tasks(job):
    """Returns the plan stage's tasks: (number, block) each."""
    options = job.options
    lengths = {"max_seq_length": options.max_seq_length, "dupe_factor": options.dupe_factor}
    return list(enumerate(blocks_of(open_corpus(job), **lengths)))


def num_parts(job):
    """Returns the number of parts, a multiple of the number of shards: shard i has the i-th run of them."""
    options = job.options
    expected = expected_instances(
        open_corpus(job), max_seq_length=options.max_seq_length, dupe_factor=options.dupe_factor
    )
    parts = min(-(-expected // INSTANCES_PER_PART), MOST_PARTS)
    return max(1, -(-parts // job.num_shards)) * job.num_shards


def plan(job, task):
    """Plans the instances of one block and deals them out to the parts at random, evenly.

    Returns:
        int64 (parts,), how many each got.
    """
    number, block = task
    counts_file = job.path("plans", number).with_suffix(".counts")
    if not counts_file.exists():
        options, parts = job.options, num_parts(job)
        rng = np.random.default_rng([options.random_seed, PLAN, number])
        names = ("sentence_task", "max_seq_length", "short_seq_prob", "dupe_factor")
        chosen = {name: getattr(options, name) for name in names}
        chosen |= {"layout": _vocabulary(job).layout, "separator": separator_of(job)}
        rounds = plan_block(open_corpus(job), block, rng=rng, **chosen)
        instances = np.concatenate([np.empty(0, INSTANCE), *rounds])
        dealt = np.random.default_rng([options.random_seed, SCATTER, number]).permutation(len(instances))
        part = (dealt + number) % parts
        order = np.argsort(part, kind="stable")
        with atomic_path(job.path("plans", number)) as temporary:
            instances[order].tofile(temporary)
        with atomic_path(counts_file) as temporary:
            np.bincount(part, minlength=parts).astype(np.int64).tofile(temporary)
        open_corpus(job).release()
    return np.fromfile(counts_file, np.int64)


def write(job, part):
    """Writes the records of one part.

    Returns:
        {"bytes": size of the file, "statistics": a Statistics as a dict}.
    """
    done = job.path("parts", part).with_suffix(".json")
    if not done.exists():
        instances = read_plan(job, part)
        shuffle = np.random.default_rng([job.options.random_seed, SHUFFLE, part])
        instances = instances[shuffle.permutation(len(instances))]
        packing = pack_instances(job, instances)
        if packing is not None:
            packing = packing.shuffled(shuffle)
            instances = instances[packing.order]
        mask = np.random.default_rng([job.options.random_seed, MASK, part])
        statistics = Statistics()
        with atomic_path(job.path("parts", part)) as temporary:
            with open(temporary, "wb") as stream:
                for records in _records(job, instances, packing, mask, statistics):
                    stream.write(records)
            size = temporary.stat().st_size
        write_json(done, {"bytes": size, "statistics": dataclasses.asdict(statistics)})
    return json.loads(done.read_text(encoding="utf-8"))


def read_plan(job, part):
    """Returns the planned instances of a part, INSTANCE (N,), in the order of the corpus."""
    found = []
    for counts_file in sorted(Path(job.folder, "plans").glob("*.counts")):
        counts = np.fromfile(counts_file, np.int64)
        begin = int(counts[:part].sum()) * INSTANCE.itemsize
        found.append(np.fromfile(counts_file.with_suffix(""), INSTANCE, count=counts[part], offset=begin))
    return np.concatenate(found)


def choose_texts(job):
    """Returns the most instances of a packed record, the option's or by the lengths of a part; None without packing."""
    if not job.options.packed:
        return None
    if job.options.max_texts_per_row is not None:
        return job.options.max_texts_per_row
    sample = next(plan for part in range(num_parts(job)) if len(plan := read_plan(job, part)))
    return choose_most(lengths_of(sample, _vocabulary(job).layout), job.options.max_seq_length)


def pack_instances(job, instances):
    """Returns the Packing of instances, or None where each is a record of its own."""
    if job.max_texts is None:
        return None
    lengths = lengths_of(instances, _vocabulary(job).layout)
    return pack(lengths, job.options.max_seq_length, most=job.max_texts)


def _records(job, instances, packing, rng, statistics):
    """Yields the bytes of a part's records, a batch at a time; with --compression=gzip a gzip member each."""
    options, corpus, vocabulary = job.options, open_corpus(job), _vocabulary(job)
    bounds = np.arange(len(instances) + 1) if packing is None else packing.bounds  # of the records' instances
    each = -(-len(instances) // max(1, len(bounds) - 1))  # instances a record, about
    step = max(1, TOKENS_READ // (options.max_seq_length * each) // RECORDS_PER_BATCH) * RECORDS_PER_BATCH
    for start in range(0, len(bounds) - 1, step):
        own = bounds[start : start + step + 1]
        some = instances[own[0] : own[-1]]
        segments = segment_tokens(corpus, some, options.max_seq_length, layout=vocabulary.layout)
        own = own - own[0]
        for first in range(0, len(own) - 1, RECORDS_PER_BATCH):
            of_batch = own[first : first + RECORDS_PER_BATCH + 1]
            batch = slice(of_batch[0], of_batch[-1])
            rows = None if packing is None else Packing(np.arange(batch.stop - batch.start), of_batch - batch.start)
            tokens = [segment[batch] for segment in segments]
            features, actions = make_features(
                tokens, some[batch], vocabulary, options, packing=rows, max_texts=job.max_texts, rng=rng
            )
            statistics.add(features, actions)
            yield record_bytes(features, options)


def record_bytes(features, options):
    """Returns the bytes of a batch of records as they lie in the file."""
    records = serialize_features(features)
    return gzip.compress(records, GZIP_LEVEL, mtime=0) if options.compression == "gzip" else records


def bytes_to_write(job, shards, total):
    """Returns how many of the `total` bytes of all records are not in the run's folder yet."""
    files = [Path(job.folder, path.name) for path in shards] + list(Path(job.folder, "parts").glob("*"))
    return max(0, int(total) - sum(path.stat().st_size for path in files if path.is_file()))
