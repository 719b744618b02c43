"""Pre-training records: what their manifest says, examples as text, and statistics over all of them.

    keras-bert inspect records 'data/wiki.tfrecord*'
    keras-bert inspect records google.tfrecord --vocab_file=uncased/vocab.txt --num_examples=10 --skip=1000

Files of this project, of google-research/bert and of tensorflow/models; files that share a manifest are taken together.
A token to predict stands in braces: {cat} behind a [MASK], {cat kept} as it is, {cat -> tree} replaced.
"""

import itertools
import os
import sys
from pathlib import Path

from keras_bert.cli.flags import Group, add_bool, natural_number, positive_int

MAIN = ("vocab_file", "num_examples", "skip", "max_records")
BARS, BAR_WIDTH = 8, 40  # of the histogram of the lengths
MOST_FREQUENT = 12
BESIDE = (".manifest.json", ".vocab.txt")  # what a glob over a folder of records also finds
COUNTED = ("instances", "texts", "documents", "sentences", "tokens")  # fields of the manifest
NO_SETTINGS = {*COUNTED, "vocab_size", "vocab_sha256"}  # fields that have lines of their own
KINDS = {"vocab_sha256": str, "settings": dict, "files": list, "statistics": dict}  # of the manifest's fields
LABELS = {"random_next": "next sentence: {:.1%} random", "swapped": "sentence order: {:.1%} swapped"}


def add_arguments(parser):
    """Adds the flags and the files."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="TFRecord files: paths and quoted globs")
    data, shown = Group(parser, "data"), Group(parser, "output")
    data.add_argument(
        "--vocab_file", help="the records' vocabulary (default: the one next to them; without any, ids are shown)"
    )
    shown.add_argument("--num_examples", type=natural_number, default=3, help="records to show as text")
    shown.add_argument("--skip", type=natural_number, default=0, help="records to skip before the examples")
    add_bool(shown, "statistics", default=True, help="count what the records hold, and not only show examples")
    shown.add_argument("--max_records", type=positive_int, help="count no more records than this (default: all)")


def run(args):
    """Runs the command. Returns {stem of a set of files: its tfrecords.contents.Contents}, empty if not counted."""
    from keras_bert.data.records import stem_of
    from keras_bert.errors import UserError
    from keras_bert.files import expand_inputs

    files = [path for path in expand_inputs(args.files, what="FILE") if not path.name.endswith(BESIDE)]
    if not files:
        raise UserError("FILE names only what lies beside records; give the TFRecord files themselves.")
    sets, found = {}, {}
    for path in files:
        sets.setdefault(stem_of(path), []).append(path)
    for number, (stem, own) in enumerate(sets.items()):
        if number:
            print()
        contents = _show_set(stem, own, args)
        if contents:
            found[stem] = contents
    return found


def _show_set(stem, files, args):
    """Prints all about the files of one stem. Returns their Contents, or None where they are not to be counted."""
    from keras_bert.cli.progress import Progress
    from keras_bert.data.manifests import sentence_task
    from tfrecords.contents import contents_of

    manifest, task = _manifest_of(files), sentence_task(files)
    for line in _described(stem, files, manifest):
        print(line)
    vocabulary, decode, line = _vocabulary_of(files, manifest or {}, args.vocab_file)
    print(line, flush=True)
    for line in _examples(files, vocabulary, decode, task, args):
        print(line)
    if not args.statistics:
        return None
    sys.stdout.flush()
    with Progress() as progress:
        contents = contents_of(files, vocabulary, limit=args.max_records, progress=progress)
    for line in itertools.chain(
        _statistics(contents, vocabulary, task), _compared(manifest, contents, files, args.max_records)
    ):
        print(line)
    return contents


def _manifest_of(files):
    """Returns the manifest beside the files, or None; one whose fields are of other kinds is a UserError."""
    from keras_bert.data.records import manifest_path, read_manifest
    from keras_bert.errors import UserError

    manifest = read_manifest(files[0])
    for name, kind in KINDS.items():
        value = (manifest or {}).get(name, kind())
        if not isinstance(value, kind):
            raise UserError(
                f"The manifest {manifest_path(files[0])} says {name} {value!r:.30} where a {kind.__name__} was "
                "expected; make the records again."
            )
    return manifest


def _described(stem, files, manifest):
    """Yields what the files are and what their manifest says, as lines."""
    from keras_bert.cli.progress import short

    names = files[0].name if len(files) == 1 else f"{len(files)} files, {files[0].name} ... {files[-1].name}"
    yield f"records: {stem}: {names} ({short(sum(path.stat().st_size for path in files))}B)"
    if manifest is None:
        yield "manifest: none beside the files"
        return
    yield "manifest: " + ", ".join(f"{_figure(manifest[name])} {name}" for name in COUNTED if name in manifest)
    settings = {**manifest, **manifest.get("settings", {})}
    yield "settings: " + ", ".join(
        f"{name} {value}"
        for name, value in settings.items()
        if name not in NO_SETTINGS and not isinstance(value, (dict, list))
    )
    named, there = manifest.get("files", []), [path.name for path in files]
    for what, names in (
        ("input", settings.get("input_files", ())),
        ("the manifest's, but not given", [name for name in named if name not in there]),
        ("given, but not the manifest's", [name for name in there if name not in named]),
    ):
        if names:
            yield f"{what}: {', '.join(names[:3])}" + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")


def _figure(value):
    """Writes a value of the manifest.

    >>> _figure(132106), _figure(0.149), _figure(True)
    ('132,106', '0.149', 'True')
    """
    return f"{value:,}" if type(value) is int else str(value)


def _vocabulary_of(files, manifest, vocab_file):
    """Returns the Vocabulary to read the records with and its Tokenizer's `decode`, or None, and a line about it."""
    from keras_bert.data.records import tokenizer_beside
    from keras_bert.text.kinds import kind_at
    from keras_bert.text.tokenizer import Tokenizer
    from keras_bert.text.vocabulary import Vocabulary

    path = vocab_file or tokenizer_beside(files[:1])
    if path is None:
        return None, None, "vocabulary: none beside the files, so ids are shown; give --vocab_file to see words"
    what = "--vocab_file" if vocab_file else "The vocabulary beside the files"
    if Path(path).is_dir() or kind_at(path, what=what) != "wordpiece":
        tokenizer = Tokenizer.from_pretrained(path)
        vocabulary, decode = tokenizer.vocabulary, tokenizer.decode
    else:
        vocabulary, decode = Vocabulary.from_file(path, what=what), None
    vocabulary = vocabulary.with_added(manifest.get("special_tokens") or ())
    made_with = manifest.get("vocab_sha256")
    verdict = "" if made_with is None else ", the one that the records were made with"
    if made_with not in (None, vocabulary.fingerprint):
        verdict = (
            f", NOT the one that the records were made with ({_figure(manifest.get('vocab_size'))} tokens, SHA-256 "
            f"{made_with[:12]}): words may be wrong"
        )
    line = f"vocabulary: {path}, {len(vocabulary):,} tokens, SHA-256 {vocabulary.fingerprint[:12]}{verdict}"
    return vocabulary, decode, line


def _examples(files, vocabulary, decode, task, args):
    """Yields the examples as lines: each masked, and as the text that it was."""
    from keras_bert.errors import UserError
    from tfrecords.show_records import examples, original_text, record_text, texts_of

    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    mark = "\033[1;36m{}\033[0m".format if coloured else str  # bold and cyan
    given = examples(files, skip=args.skip, vocab_size=len(vocabulary) if vocabulary else None)
    shown = 0
    for path, number, record in itertools.islice(given, args.num_examples):
        shown += 1
        predicted = record.get("masked_lm_weights")
        yield (
            f"\nrecord {number} of {path.name}: {int(record['input_mask'].sum())} tokens"
            + (f", {int((predicted > 0).sum())} to predict" if predicted is not None else ", unmasked")
        )
        yield record_text(record, vocabulary, sentence_task=task, mark=mark)
        if vocabulary:
            texts = texts_of(record)
            for place, each in enumerate(texts, 1):
                for name, text in zip("ab", original_text(each, vocabulary, decode=decode), strict=False):
                    yield f"{place if len(texts) > 1 else ''}{name}: {text}"
    if args.num_examples and not shown:
        raise UserError(f"--skip={args.skip} passes over all records of {files[0]}; pass over fewer.")


def _statistics(contents, vocabulary, task):
    """Yields what the records hold as lines."""
    from tfrecords.instances import SENTENCE_TASKS

    counts = contents.statistics
    longest = max(length for length, _ in contents.layouts)
    yield (
        f"\nrecords read: {counts.instances:,}, {counts.real_tokens / counts.instances:.1f} tokens of {longest} on "
        f"average, {1 - counts.real_tokens / counts.slots:.1%} padding"
    )
    if contents.packed:
        yield f"texts: {counts.texts:,}, {counts.texts / counts.instances:.1f} a row; how long they are:"
    if len(contents.layouts) > 1:
        layouts = (f"{length} places, {most or 'no'} predictions" for length, most in contents.layouts)
        yield f"the files differ: {'; '.join(layouts)}"
    yield from _histogram(contents.lengths, longest)
    if contents.dynamic:
        yield "masking: none, it is left to the training"
    else:
        shares = [count / max(1, counts.predictions) for count in counts.actions]
        guess = f" (taken to be the id {contents.mask_id})" if vocabulary is None else ""
        yield (
            f"to predict: {counts.predictions:,}, {counts.predictions / counts.real_tokens:.2%} of the tokens: "
            f"{shares[0]:.1%} [MASK]{guess}, {shares[1]:.1%} kept, {shares[2]:.1%} random"
        )
    label = SENTENCE_TASKS[task].label
    if label:
        yield LABELS[label].format(counts.label_1 / counts.texts)
    yield from _tokens(contents.tokens, vocabulary)


def _histogram(lengths, longest):
    """Yields a bar for each range of lengths.

    Args:
        lengths: int array, entry n counts what has n tokens.
        longest: where the last range ends.

    >>> import numpy as np
    >>> list(_histogram(np.array([0, 0, 1, 0, 0, 3]), 8))[1:5]
    ['        2-2  25.0% #############', '        3-3   0.0%', '        4-4   0.0%', \
'        5-5  75.0% ########################################']
    """
    width = -(-longest // BARS)
    edges = range(1, longest + 1, width)
    counts = [int(lengths[low : low + width].sum()) for low in edges]
    for low, count in zip(edges, counts, strict=True):
        name = f"{low}-{min(low + width - 1, longest)}"
        yield f"  {name:>9} {count / sum(counts):6.1%} {'#' * round(BAR_WIDTH * count / max(counts))}".rstrip()


def _tokens(counts, vocabulary):
    """Yields which tokens the text consists of, masks undone."""
    import numpy as np

    counts, unknown = counts.copy(), ""
    if vocabulary:
        counts[vocabulary.layout.special_ids(vocabulary)] = 0
        unknown = f" of {len(vocabulary):,}, {counts[vocabulary.unk_id] / max(1, counts.sum()):.2%} [UNK]"
    shown = vocabulary.token if vocabulary else str
    most = [int(index) for index in np.argsort(-counts, kind="stable")[:MOST_FREQUENT] if counts[index]]
    yield f"tokens: {np.count_nonzero(counts):,} different{unknown}"
    yield "most frequent: " + "  ".join(f"{shown(index)} {counts[index] / counts.sum():.1%}" for index in most)


def _compared(manifest, contents, files, limit):
    """Yields whether the manifest says of the records what was found."""
    from tfrecords.contents import disagreements

    if manifest is None:
        return
    whole = sorted(manifest.get("files", ())) == sorted(path.name for path in files)
    whole = whole and (limit is None or contents.statistics.instances < limit)
    found = list(disagreements(manifest, contents, whole=whole))
    for what, said, seen in found:
        yield f"the manifest does not fit: {what} {_figure(said)} there, {_figure(seen)} in the records"
    if found:
        yield "the files are not all of one run, or not whole: make them again"
    elif whole:
        yield "the manifest says the same"
    else:
        yield "these are not all records that the manifest is about, so its counts were not compared"
