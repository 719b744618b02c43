"""Words and tags -> fine-tuned tagger: named entities, or any other tag a word, from CoNLL-style files.

    keras-bert ner --data_dir=conll2003 --init_checkpoint=model --output_dir=tagger
    keras-bert ner --predict_file=texts.jsonl --init_checkpoint=tagger --output_dir=answers

A line has a word and its columns, the tag last; a blank line ends a sentence. Tags are BIO, IOB1, IOBES or BILOU, which
is found out. Figures are seqeval's; long sentences are read in windows, and every word gets a tag. --num_runs trains
several seeds and saves the best; quote their mean.
"""

import shlex
import time
from pathlib import Path

from keras_bert.cli import finetune_flags
from keras_bert.cli.flags import Group, add_bool
from keras_bert.cli.saved_models import update_results, with_saved_model
from keras_bert.cli.split_files import add_file_flags, find_files
from keras_bert.cli.startup import start_tensorflow

EVAL, TEST, TAGS, ENTITIES = "eval_predictions.txt", "test_predictions.txt", "predictions.txt", "predictions.jsonl"

MAIN = ("data_dir", "train_file", "eval_file", "predict_file", "init_checkpoint", "output_dir")


def add_arguments(parser):
    """Adds the flags of the files, of the tags, and of the training."""
    add_file_flags(
        parser,
        kind="CoNLL-style file",
        unlabelled="CoNLL-style file, whose tags are not needed, or raw texts (.jsonl or .csv) to find entities in",
    )
    data, rare = Group(parser, "data"), Group(parser, "data", rare=True)
    data.add_argument(
        "--scheme",
        choices=("BIO", "IOB1", "IOBES", "BILOU", "none"),
        help="how the files write tags: BIO, IOB1, IOBES, BILOU, or none for single words (default: found out)",
    )
    add_bool(data, "strict", default=False, help="count what breaks the scheme's rules as no entity")
    data.add_argument("--token_column", type=int, default=0, help="column of the word, from 0")
    data.add_argument("--tag_column", type=int, default=-1, help="column of the tag; -1 is the last one")
    rare.add_argument("--text_column", default="text", help="column of raw texts in a table")
    add_bool(
        rare,
        "by_character",
        default=None,
        help="tag the characters of raw texts (default: if the training files have spaces among their words)",
    )
    finetune_flags.add_model_flags(parser)
    finetune_flags.add_training_flags(parser)
    parser.set_defaults(reading={**parser.get_default("reading"), "by_character": None})
    finetune_flags.add_do_flags(parser, predict="tag --predict_file")
    finetune_flags.add_output_flags(parser)


def run(args):
    """Runs the command: prints what it resolved, trains, measures, and says what it wrote and what comes next."""
    from keras_bert.tasks.tag.files import read_files

    begin = time.monotonic()
    files = find_files(args)
    args.do_train = files["train_file"] is not None  # or else a model in --output_dir is no hindrance
    finetune_flags.check_output(args)
    if not args.do_train:
        args = with_saved_model(args)
    tokenizer, config, checkpoint = finetune_flags.find_model(args, pair=False)
    columns = {name: getattr(args, name) for name in ("token_column", "tag_column", "text_column", "scheme")}
    names = None if args.do_train else _names_of(args, checkpoint)
    data = read_files(**files, names=names, eval_share=args.eval_share, seed=args.seed, **columns)

    start_tensorflow()
    from keras_bert.cli.progress import Progress, clock

    finetune_flags.print_device(args)
    finetune_flags.print_vocabulary(tokenizer)
    _print_data(data)
    with Progress() as progress:
        model, results, tags = _make_model(args, data, tokenizer, config, checkpoint, progress)
        written = _write(args, data, model, tokenizer, results, tags, progress)
    _print_results(data, results)
    output_dir = Path(args.output_dir)
    what = f"{output_dir}, a model directory, and in it" if args.do_train else f"in {output_dir}:"
    print(f"wrote in {clock(time.monotonic() - begin)}: {what} {', '.join(written)}")
    saved = shlex.quote(str(output_dir if args.do_train else args.init_checkpoint))
    print(f"next: keras-bert ner --predict_file=texts.jsonl --init_checkpoint={saved} --output_dir=answers")
    return results


def _names_of(args, checkpoint):
    """Returns the tags of a fine-tuned checkpoint, or raises a UserError if it is none."""
    from keras_bert.errors import UserError

    if checkpoint.task.get("task") != "tag" or not checkpoint.task.get("labels"):
        raise UserError(
            f"Nothing to tag with: {args.init_checkpoint} was not taught any tags; give --train_file, or as "
            "--init_checkpoint what `keras-bert ner` wrote."
        )
    return checkpoint.task["labels"]


def _make_model(args, data, tokenizer, config, checkpoint, progress):
    """Returns the model, trained if there is a training set, its results and the tags of the held-out sentences."""
    from keras_bert.models import TokenClassifier
    from keras_bert.tasks.runs import model_maker
    from keras_bert.tasks.tag.tagging import train_tagger

    names = list(data.names)

    def head(encoder):
        return TokenClassifier(encoder, len(names), labels=names)

    if data.train is None:
        model = model_maker(config, head, checkpoint=checkpoint, dtype=args.dtype)()
        print(f"model: {args.init_checkpoint}, as it was fine-tuned", flush=True)
        if data.evaluation is None:
            return model, {}, None
        return model, *_measure(args, data.evaluation, model, tokenizer, args.eval_batch_size, progress)
    best, tags = train_tagger(
        model_maker(config, head, checkpoint=checkpoint, **finetune_flags.maker_options(args)),
        tokenizer,
        names,
        data.train,
        data.evaluation,
        max_seq_length=args.max_seq_length,
        eval_batch_size=args.eval_batch_size,
        strict=args.strict,
        on_start=lambda model: finetune_flags.print_model(args, model),
        progress=progress,
        options=finetune_flags.training_options(args),
    )
    results = {**best.results, "labels": names}
    results |= {"train_sentences": len(data.train), "eval_sentences": len(data.evaluation)}
    return best.model, results, tags


def _measure(args, sentences, model, tokenizer, batch_size, progress):
    """Returns a model's figures on sentences with tags, and the tags that it says."""
    from keras_bert.tasks.tag import predict_tags, scheme_of, tagging_metrics

    sizes = {"max_seq_length": args.max_seq_length, "batch_size": batch_size}
    tags, _ = predict_tags(model, tokenizer, sentences, progress=progress, **sizes)
    return tagging_metrics(sentences.tags, tags, scheme=scheme_of(model.labels), strict=args.strict), tags


def _write(args, data, model, tokenizer, results, tags, progress):
    """Tags what is to be tagged, writes all there is to write, the model last, and returns the names of the files."""
    from keras_bert.tasks.runs import write_model
    from keras_bert.tasks.tag import main_metric, write_tags

    output_dir, written = Path(args.output_dir), []
    if tags is not None:
        write_tags(output_dir / EVAL, data.evaluation, tags)
        written.append(EVAL)
    if data.test is not None:
        results["test"], tags = _measure(args, data.test, model, tokenizer, args.predict_batch_size, progress)
        write_tags(output_dir / TEST, data.test, tags)
        written.append(TEST)
    if data.prediction is not None:
        written.append(_write_predictions(args, data, model, tokenizer, output_dir, progress))
    if data.train is None:
        if results:
            update_results(output_dir, results)
        return ["eval_results.json", *written] if results else written
    for name in {TEST, TAGS, ENTITIES} - set(written):
        (output_dir / name).unlink(missing_ok=True)  # of the model that is replaced
    about = {"metric": main_metric(data.names), "title": output_dir.resolve().name}
    reading = {**finetune_flags.settle_reading(args, None), "by_character": _by_character(args, data)}
    write_model(output_dir, model, tokenizer, results, **about, reading=reading)
    return ["eval_results.json", "curves.png", *written]


def _write_predictions(args, data, model, tokenizer, output_dir, progress):
    """Writes the entities of raw texts, or the tags of words, and returns the file's name."""
    from keras_bert.tasks.tag import predict_tags, tag, write_entities, write_tags

    options = {"max_seq_length": args.max_seq_length, "batch_size": args.predict_batch_size, "progress": progress}
    if isinstance(data.prediction, list):
        found = tag(model, tokenizer, data.prediction, by_character=_by_character(args, data), **options)
        write_entities(output_dir / ENTITIES, data.prediction, found)
        return ENTITIES
    joined = _by_character(args, data) or None
    tags, _ = predict_tags(model, tokenizer, data.prediction, joined=joined, **options)
    scheme = args.scheme if data.train is None else data.train.scheme
    write_tags(output_dir / TAGS, data.prediction, tags, scheme=scheme)
    return TAGS


def _by_character(args, data):
    """Returns whether raw texts are tagged by their characters: as the flag, the files or the saved model say."""
    return data.by_character if args.by_character is None else args.by_character


def _print_data(data):
    from keras_bert.tasks.tag.files import describe

    for what, sentences in (("training", data.train), ("held out", data.evaluation), ("test", data.test)):
        if sentences is not None:
            print(f"{what}: {describe(sentences)}")
    if data.train is not None:
        finetune_flags.print_shared(
            *([" ".join(words) for words in each.words] for each in (data.train, data.evaluation))
        )
    if data.prediction is not None:
        print(f"to tag: {len(data.prediction):,} {'texts' if isinstance(data.prediction, list) else 'sentences'}")
    print(f"tags: {len(data.names)}: {', '.join(data.names)}", flush=True)


def _print_results(data, results):
    from keras_bert.tasks.tag import main_metric, type_table

    for what, figures in (("held out", results), ("test", results.get("test", {}))):
        names = [name for name in ("f1", "precision", "recall", "accuracy", "loss") if name in figures]
        if names:
            print(f"{what}: {', '.join(f'{name} {figures[name]:.4f}' for name in names)}")
            for line in type_table(figures["by_type"]):
                print(f"  {line}")
    if "runs" in results:
        finetune_flags.print_runs(results, main_metric(data.names))
