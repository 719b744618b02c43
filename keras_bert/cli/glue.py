"""GLUE and XNLI: fine-tune, measure, and write the files that the GLUE server takes.

    keras-bert glue --task_name RTE --data_dir glue/RTE --init_checkpoint model --output_dir out/RTE
    keras-bert glue --task_name AX --data_dir glue/AX --init_checkpoint out/MNLI --output_dir out/AX
    keras-bert glue --submission out/RTE out/MNLI out/AX --output_dir out

Flags and defaults are run_classifier.py's of google-research/bert. Without any --do_ flag it
trains, measures on the dev set, and labels the test set where there is one. --do_eval and --do_predict alone take the
model of --output_dir, or --init_checkpoint if it has a head. --num_runs trains several seeds and saves the best; quote
their mean.
"""

import shlex
import time
from pathlib import Path

from keras_bert.cli.finetune_flags import (
    add_do_flags,
    add_model_flags,
    add_old_flags,
    add_output_flags,
    add_training_flags,
)
from keras_bert.cli.flags import Group, add_bool
from keras_bert.cli.saved_models import settle_reading, update_results, with_saved_model
from keras_bert.cli.startup import start_tensorflow

MAIN = ("task_name", "data_dir", "init_checkpoint", "output_dir", "num_runs", "submission")
KINDS = {"train": "train", "eval": "dev", "predict": "test"}


def add_arguments(parser):
    """Adds run_classifier.py's flags, and ours."""
    data = Group(parser, "data")
    data.add_argument(
        "--task_name",
        help="CoLA, SST-2, MRPC, STS-B, QQP, MNLI, QNLI, RTE, WNLI, AX (with a model of MNLI) or XNLI, in any case",
    )
    data.add_argument("--data_dir", help="the task's directory as GLUE ships it, or the one with all of them")
    add_bool(
        data,
        "tfds",
        default=False,
        help="take tensorflow_datasets; --data_dir is its directory, or tfds for its default one",
    )
    data.add_argument("--language", help="XNLI: language of the texts (default: zh, as in run_classifier.py)")
    data.add_argument("--eval_split", choices=("dev", "test"), default="dev", help="data that --do_eval measures on")
    Group(parser, "output").add_argument(
        "--submission",
        nargs="+",
        metavar="DIR",
        help="do only this: pack the files of these output directories into --output_dir's submission.zip",
    )
    add_do_flags(parser, predict="label the test set")
    add_output_flags(parser)
    add_model_flags(parser)
    add_training_flags(parser)
    add_old_flags(parser)


def run(args):
    """Runs the command: prints what it resolved, trains, measures, labels, and says what it wrote and what is next."""
    if args.submission:
        return _zip(args)
    begin = time.monotonic()
    task, todo, args = _resolve(args)
    tokenizer, config, checkpoint = _find_model(args, task)
    examples = {kind: _read(args, task, kind) for kind in todo}

    start_tensorflow()
    from keras_bert.cli.finetune_flags import print_device, print_vocabulary
    from keras_bert.cli.progress import Progress, clock

    print_device(args)
    print_vocabulary(tokenizer)
    _print_data(task, examples)
    with Progress() as progress:
        act = _train if args.do_train else _load
        model, results, columns = act(args, task, tokenizer, config, checkpoint, examples, progress)
        written = _predict(args, task, tokenizer, model, columns, examples, progress)
    written += _write(args, task, model, tokenizer, results, examples)
    _print_results(task, results)
    print(f"wrote in {clock(time.monotonic() - begin)}: {args.output_dir}, and in it {', '.join(written)}")
    print(f"next: {_next(args, task, todo)}")
    return results


def _resolve(args):
    """Returns the GlueTask, what is to be done, and the flags with the model that it is done with."""
    from keras_bert.cli.finetune_flags import check_output
    from keras_bert.errors import UserError
    from keras_bert.tasks.glue import TASKS, find_task

    if not args.task_name:
        raise UserError(f"--task_name is missing; choose one of {', '.join(TASKS)}.")
    task = find_task(args.task_name)
    if not args.data_dir and not args.tfds:
        raise UserError(f"--data_dir is missing; name the directory of {task.name}'s files, or tfds.")
    todo = _what_to_do(args, task)
    args.do_train = "train" in todo  # a model in --output_dir stands in the way of training alone
    check_output(args)
    if args.do_train:
        return task, todo, args
    what = f"model of {task.trained_as or task.name}"
    return task, todo, with_saved_model(args, what=what, remedy="add --do_train")


def _what_to_do(args, task):
    """Returns which of train, eval and predict the flags ask for, or else the task and its files allow."""
    from keras_bert.errors import UserError

    asked = {kind: getattr(args, f"do_{kind}") for kind in KINDS}
    if True in asked.values():
        return [kind for kind in KINDS if asked[kind]]
    trained = "train" in task.tables
    allowed = {
        "train": trained,
        "eval": trained or _has(args, task, args.eval_split),
        "predict": _has(args, task, "test"),
    }
    todo = [kind for kind in KINDS if allowed[kind] and asked[kind] is not False]
    if not todo:
        raise UserError(f"There is nothing to do: {args.data_dir} has no {task.name} set that the flags leave.")
    return todo


def _has(args, task, split):
    from keras_bert.tasks.glue import has_examples

    return has_examples(task, args.data_dir, split, tfds=args.tfds, language=args.language)


def _find_model(args, task):
    """Returns the Tokenizer, the Config and the Checkpoint; without training it must have the task's head."""
    from keras_bert.cli.finetune_flags import find_model
    from keras_bert.tasks.glue.heads import label_columns

    found = find_model(args, pair=task.pair)
    if not args.do_train:
        label_columns(task, found[-1])
    return found


def _read(args, task, kind):
    """Returns {split: Examples} of what is there of one kind; the first split must be."""
    from keras_bert.tasks.glue import read_examples

    first = args.eval_split if kind == "eval" else KINDS[kind]
    splits = [first, *(split for split in task.splits(first) if split != first and _has(args, task, split))]
    if args.tfds or args.data_dir == "tfds":
        start_tensorflow()  # which tensorflow_datasets would do with all its notes
    options = {"labels": kind != "predict", "tfds": args.tfds, "language": args.language, "log": print}
    return {split: read_examples(task, args.data_dir, split, **options) for split in splits}


def _print_data(task, examples):
    what = "a number" if task.regression else f"{task.num_classes} labels: {', '.join(task.labels)}"
    print(f"task: {task.name}, {'pairs of texts' if task.pair else 'texts'}, {what}")
    for splits in examples.values():
        print(", ".join(f"{split}: {len(each):,}" for split, each in splits.items()))


def _splits(args, task, tokenizer, examples, **options):
    from keras_bert.tasks.glue.running import Splits

    return Splits(task, examples, tokenizer, max_seq_length=args.max_seq_length, **options)


def _train(args, task, tokenizer, config, checkpoint, examples, progress):
    """Fine-tunes. Returns the model, its results, and None: the columns of its logits are as they should be."""
    from keras_bert.cli.finetune_flags import maker_options, print_model, training_options
    from keras_bert.tasks.glue.running import make_head, train_task
    from keras_bert.tasks.runs import model_maker

    held_out = None
    if "eval" in examples:
        held_out = _splits(args, task, tokenizer, examples["eval"], batch_size=args.eval_batch_size)
    model, results = train_task(
        task,
        model_maker(config, make_head(task), checkpoint=checkpoint, **maker_options(args)),
        examples["train"]["train"],
        held_out,
        tokenizer,
        max_seq_length=args.max_seq_length,
        on_start=lambda model: print_model(args, model),
        progress=progress,
        options=training_options(args),
    )
    return model, results, None


def _load(args, task, tokenizer, config, checkpoint, examples, progress):
    """Returns a fine-tuned model as it was saved, its results, and the columns of its logits that are the labels'."""
    from keras_bert.models import Classifier
    from keras_bert.tasks.glue.heads import label_columns

    columns = label_columns(task, checkpoint)
    vocabulary = tokenizer if args.vocab_file or args.special_tokens else None
    model = Classifier.from_pretrained(args.init_checkpoint, dtype=args.dtype, vocabulary=vocabulary)
    print(f"model: {args.init_checkpoint}, as it was fine-tuned", flush=True)
    if "eval" not in examples:
        return model, {}, columns
    options = {"batch_size": args.eval_batch_size, "columns": columns, "progress": progress}
    held_out = _splits(args, task, tokenizer, examples["eval"], **options)
    figures = held_out.measure(held_out.predict(model))
    return model, {"task": task.name, **figures, "eval_examples": held_out.counts()}, columns


def _predict(args, task, tokenizer, model, columns, examples, progress):
    """Writes the files of the test sets, if they are to be labelled, and returns their names."""
    from keras_bert.tasks.glue.rows import SUBMISSIONS
    from keras_bert.tasks.glue.submission import write_predictions

    if args.do_train and args.force:  # what lies there is of the model that is replaced
        stale = [f"{name}.tsv" for name in SUBMISSIONS]
        for pattern in (*stale, "test_results*.tsv", "eval_results_*.json"):
            for file in Path(args.output_dir).glob(pattern):
                file.unlink()
    if "predict" not in examples:
        return []
    options = {"batch_size": args.predict_batch_size, "columns": columns, "progress": progress}
    logits = _splits(args, task, tokenizer, examples["predict"], **options).predict(model)
    files = (write_predictions(task, split, each, args.output_dir) for split, each in logits.items())
    return [path.name for paths in files for path in paths]


def _write(args, task, model, tokenizer, results, examples):
    """Writes the figures, and the model if it was trained here, and returns the names of the files."""
    from keras_bert.files import read_json
    from keras_bert.tasks.runs import write_model

    if args.do_train:
        about = {"metric": task.metrics[0], "title": task.name, "reading": settle_reading(args, None)}
        write_model(args.output_dir, model, tokenizer, results, **about)
        return ["eval_results.json", "curves.png", "the model"]
    if "eval" not in examples:
        return []
    name = "eval_results.json" if args.eval_split == "dev" else f"eval_results_{args.eval_split}.json"
    file = Path(args.output_dir) / name
    if file.exists() and read_json(file, what="The results").get("task", task.name) != task.name:
        name = name.replace("eval_results", f"eval_results_{task.name}")  # AX's, beside those of MNLI's model
    update_results(args.output_dir, results, name)
    return [name]


def _print_results(task, results):
    from keras_bert.cli.finetune_flags import print_runs
    from keras_bert.tasks.glue.rows import suffix

    for split in task.splits("dev"):
        names = [name + suffix(split) for name in (*task.metrics, "loss") if name + suffix(split) in results]
        if names:
            print("held out: " + ", ".join(f"{name} {results[name]:.4f}" for name in names))
    if "runs" in results:
        print_runs(results, task.metrics[0])


def _next(args, task, todo):
    """Returns the next command to run."""
    if "predict" in todo and task.submissions:
        found, place = shlex.quote(args.output_dir), shlex.quote(str(Path(args.output_dir).parent))
        return f"keras-bert glue --submission {found} --output_dir {place}"
    model = args.output_dir if args.do_train else args.init_checkpoint
    served = shlex.quote(f"serving/{Path(model).resolve().name}/1")
    return f"keras-bert export --model_dir {shlex.quote(model)} --output_dir {served}"


def _zip(args):
    """Puts the prediction files of several runs into submission.zip and says what is missing."""
    from keras_bert.outputs import refuse_existing
    from keras_bert.tasks.glue.submission import ZIP_NAME, zip_submission

    path = Path(args.output_dir) / ZIP_NAME
    if not args.force:
        refuse_existing(path, what="--output_dir", remedy="add --force to replace it")
    found, notes = zip_submission(args.submission, path)
    for name, file in found.items():
        print(f"{name}.tsv: {file.parent}")
    for note in notes:
        print(note)
    print(f"wrote: {path}, {len(found)} files")
    print("next: upload it at https://gluebenchmark.com/submit" + ("" if not notes else ", once it has all files"))
    return {"path": str(path), "found": sorted(found), "notes": notes}
