"""Raw text -> masked TFRecords for the masked-LM and next-sentence tasks, their manifest and vocabulary beside them.

Input: UTF-8 text, plain or .gz/.xz/.bz2, with blank lines between documents; either one sentence a line
(google-research/bert's format) or running prose, a paragraph a line. Flags and defaults are Google's.
"""

import time

from keras_bert_cli.flags import add_bool, positive_int


def add_arguments(parser):
    """Adds google-research/bert's flags of create_pretraining_data.py, and ours."""
    parser.add_argument("--input_file", required=True, help="text files: paths and quoted globs, commas between them")
    parser.add_argument(
        "--output_file",
        required=True,
        help="TFRecord file to write, such as data/wiki.tfrecord (or a comma-separated list)",
    )
    parser.add_argument("--vocab_file", required=True, help="the WordPiece vocabulary (keras-bert train_vocab)")
    add_bool(parser, "do_lower_case", default=True, help="lower-case the text; off for cased vocabularies")
    add_bool(parser, "do_whole_word_mask", default=False, help="mask words with all of their pieces")
    parser.add_argument("--max_seq_length", type=positive_int, default=128, help="tokens an instance (default: 128)")
    parser.add_argument(
        "--max_predictions_per_seq",
        type=positive_int,
        default=20,
        help="most masked tokens an instance (default: 20); set it to about max_seq_length * masked_lm_prob",
    )
    parser.add_argument("--random_seed", type=int, default=12345, help="same seed, same bytes (default: 12345)")
    parser.add_argument(
        "--dupe_factor", type=positive_int, default=10, help="copies of the input, each masked anew (default: 10)"
    )
    parser.add_argument("--masked_lm_prob", type=float, default=0.15, help="share of tokens to predict (default: 0.15)")
    parser.add_argument(
        "--short_seq_prob", type=float, default=0.1, help="share of documents cut into shorter instances (default: 0.1)"
    )
    parser.add_argument(
        "--input_format",
        choices=("auto", "sentences", "text"),
        default="auto",
        help="sentences: one a line; text: prose, a paragraph a line; auto looks at the files (default: auto)",
    )
    parser.add_argument(
        "--num_shards", type=positive_int, default=1, help="files to spread the instances over (default: 1)"
    )
    add_bool(parser, "force", default=False, help="replace output files that exist")


def run(args):
    """Runs the command: prints what it resolved, the progress, an example, the statistics and what comes next."""
    from keras_bert.data.records import manifest_path, shard_paths, vocab_path
    from keras_bert_cli.progress import Progress, clock
    from tfrecords.create_pretraining_data import create_pretraining_data

    options = dict(vars(args))
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
    for line in _statistics(manifest["statistics"], args):
        print(line)
    files = manifest["files"]
    print(f"wrote in {clock(time.monotonic() - begin)}:")
    print(f"  {first}" + (f" ... {first.with_name(files[-1])}" if len(files) > 1 else ""))
    print(f"  {manifest_path(first)}\n  {vocab_path(first)}")
    pattern = ",".join(names) if len(files) == 1 or len(names) > 1 else f"'{names[0]}-*'"
    print(f"next: keras-bert pretrain --input_file={pattern} --output_dir=model --bert_config_file=small")
    return manifest


def _statistics(statistics, args):
    """Yields the statistics as lines, with a warning where max_predictions_per_seq cuts the masked share."""
    actions, predictions = statistics["actions"], max(1, statistics["predictions"])
    yield f"instances: {statistics['instances']:,}, {statistics['padding_share']:.1%} of their tokens padding"
    yield (
        f"masked language model: {statistics['predictions']:,} tokens to predict, {statistics['masked_share']:.2%} of "
        f"the real ones: {actions['masked'] / predictions:.1%} [MASK], {actions['kept'] / predictions:.1%} kept, "
        f"{actions['random'] / predictions:.1%} random"
    )
    yield (
        f"next sentence: {statistics['random_next_share']:.1%} random (a chunk of a single sentence has no next and "
        "counts as random, so this lies above a half)"
    )
    wanted = round(args.max_seq_length * args.masked_lm_prob)
    if args.max_predictions_per_seq < wanted:
        yield (
            f"warning: --max_predictions_per_seq={args.max_predictions_per_seq} cuts the masked tokens of long "
            f"instances; {args.masked_lm_prob:.0%} of {args.max_seq_length} would need {wanted}."
        )
