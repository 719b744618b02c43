"""Raw text -> masked TFRecords for pre-training, their manifest and vocabulary beside them.

    keras-bert create_pretraining_data --input_file='corpus/*.txt' --vocab_file=vocab.txt --output_file=wiki.tfrecord

Input: UTF-8 text, plain or .gz/.xz/.bz2, with blank lines between documents: one sentence a line
(google-research/bert's format) or running prose, a paragraph a line; a document a line; JSON lines, CSV or TSV, a
document each; or TensorFlow Datasets. Flags and defaults are Google's, and ours. Memory stays flat, all cores work, and
where a run was killed, or the disk was full, the same command continues.
"""

import shlex
import time

from keras_bert.cli.flags import Group, add_bool, add_text_format, positive_int
from keras_bert.cli.startup import start_tensorflow
from keras_bert.cli.tokenizer_flags import add_rule_flags

MAIN = ("input_file", "vocab_file", "output_file", "max_seq_length", "masking", "dynamic", "do_lower_case")


def add_arguments(parser):
    """Adds google-research/bert's flags of create_pretraining_data.py, and ours."""
    data, output, records = Group(parser, "data"), Group(parser, "output"), Group(parser, "records")
    rare = Group(parser, "output", rare=True)
    data.add_argument(
        "--input_file",
        required=True,
        help="paths, quoted globs and directories, commas between them; for tfds names such as wiki40b/ko:train",
    )
    output.add_argument(
        "--output_file",
        required=True,
        help="TFRecord file to write, such as data/wiki.tfrecord, or several with commas",
    )
    data.add_argument("--vocab_file", required=True, help="vocab.txt, or a directory with the files of any tokenizer")
    add_rule_flags(
        parser,
        do_lower_case="lower-case the text; off for cased vocabularies (default: the directory's rule, or true)",
        group="data",
    )
    add_bool(
        Group(parser, "records", rare=True),
        "do_whole_word_mask",
        default=False,
        help="Google's flag for --masking=whole_word",
    )
    records.add_argument(
        "--masking",
        choices=("token", "whole_word", "ngram"),
        default="token",
        help="masked together: token, whole_word (a word with all its pieces) or ngram (1 to 3 words)",
    )
    records.add_argument(
        "--sentence_task",
        choices=("nsp", "sop", "none"),
        default="nsp",
        help="nsp: is b the next of a or random; sop: are a and b in order; none: sentences packed to the length",
    )
    add_bool(
        records,
        "dynamic",
        default=False,
        aliases=("--static",),
        help="write unmasked records, to be masked anew in each epoch; --static is --nodynamic",
    )
    records.add_argument("--max_seq_length", type=positive_int, default=128, help="tokens an instance")
    records.add_argument(
        "--max_predictions_per_seq",
        type=positive_int,
        default=20,
        help="most masked tokens an instance; best max_seq_length * masked_lm_prob, rounded up",
    )
    records.add_argument(
        "--pack",
        choices=("none", "isolated", "full"),
        default="none",
        help="isolated: as many instances to a record as fit, none of which sees another; full: whole sentences, "
        "on from document to document",
    )
    Group(parser, "records", rare=True).add_argument(
        "--max_texts_per_row",
        type=positive_int,
        help="with --pack: most instances a record (default: by their lengths)",
    )
    records.add_argument("--random_seed", type=int, default=12345, help="same seed, same bytes")
    records.add_argument(
        "--dupe_factor",
        type=positive_int,
        help="copies of the input, each masked and cut anew (default: 10, or 1 with --dynamic)",
    )
    records.add_argument("--masked_lm_prob", type=float, default=0.15, help="share of the tokens to predict")
    records.add_argument(
        "--short_seq_prob", type=float, default=0.1, help="share of documents cut into shorter instances"
    )
    add_text_format(parser)
    output.add_argument("--num_shards", type=positive_int, default=1, help="files to spread the instances over")
    output.add_argument(
        "--num_workers",
        type=positive_int,
        help="processes; same bytes for any (default: one a core, one below 4 MiB)",
    )
    output.add_argument("--compression", choices=("none", "gzip"), default="none", help="of the TFRecord files")
    rare.add_argument("--runner", help="work as an Apache Beam pipeline on this runner, such as DirectRunner")
    rare.add_argument(
        "--beam_options", default="", metavar="FLAGS", help="flags for Beam, in quotes: '--direct_num_workers=2 ...'"
    )
    add_bool(output, "force", default=False, help="replace output files that exist")


def run(args):
    """Runs the command: prints what it resolved, the progress, an example, the statistics and what comes next."""
    from keras_bert.cli.progress import Progress, clock
    from keras_bert.data.records import manifest_path, shard_paths, tokenizer_beside
    from tfrecords.create_pretraining_data import create_pretraining_data

    if args.input_format == "tfds":
        start_tensorflow()  # which reads them
    options = dict(vars(args))
    options["beam_options"] = args.beam_options.split()
    begin = time.monotonic()
    with Progress() as progress:
        manifest = create_pretraining_data(
            options.pop("input_file"),
            options.pop("output_file"),
            options.pop("vocab_file"),
            **options,
            log=lambda line: print(line, flush=True),
            progress=progress,
        )
    names = [name for name in args.output_file.split(",") if name]
    first = shard_paths(names[0], args.num_shards if len(names) == 1 else 1)[0]
    for line in _statistics(manifest):
        print(line)
    files, took = manifest["files"], time.monotonic() - begin
    print(f"wrote in {clock(took)} ({manifest['instances'] / took:,.0f} instances/s):")
    print(f"  {first}" + (f" ... {first.with_name(files[-1])}" if len(files) > 1 else ""))
    print(f"  {manifest_path(first)}\n  {tokenizer_beside([first])}")
    pattern = ",".join(names) if len(files) == 1 or len(names) > 1 else f"{names[0]}-*"
    print(f"next: keras-bert pretrain --input_file={shlex.quote(pattern)} --output_dir=model --bert_config_file=small")
    return manifest


MUCH_PADDING = 0.6  # the instances that are cut short at random leave much less, even of sentences one by one
LABELS = {
    "random_next_share": "next sentence: {:.1%} random (a chunk of a single sentence has no next and counts as random, "
    "so this lies above a half)",
    "swapped_share": "sentence order: {:.1%} swapped",
}


def _statistics(manifest):
    """Yields the statistics as lines."""
    statistics = manifest["statistics"]
    yield f"instances: {statistics['instances']:,}, {statistics['padding_share']:.1%} of their tokens padding"
    if "texts" in statistics:
        each = statistics["texts"] / statistics["instances"]
        yield f"packed: {statistics['texts']:,} texts, {each:.1f} an instance, at most {manifest['max_texts_per_row']}"
    if statistics["padding_share"] > MUCH_PADDING:
        tokens = statistics["real_tokens"] / statistics["instances"]
        yield (
            f"  {tokens:.0f} of {manifest['max_seq_length']} places are filled on average, since documents are short; "
            "--pack=isolated fills them, a smaller --max_seq_length trains faster, and so do texts without blank lines "
            "between them, if they go on from one to the next"
        )
    if manifest["dynamic"]:
        yield f"masking: left to the training, {manifest['masking']}, {manifest['masked_lm_prob']:.0%}"
    else:
        actions, predictions = statistics["actions"], max(1, statistics["predictions"])
        yield (
            f"masked language model: {statistics['predictions']:,} tokens to predict, "
            f"{statistics['masked_share']:.2%} of the real ones: {actions['masked'] / predictions:.1%} [MASK], "
            f"{actions['kept'] / predictions:.1%} kept, {actions['random'] / predictions:.1%} random"
        )
    for name, sentence in LABELS.items():
        if name in statistics:
            yield sentence.format(statistics[name])
