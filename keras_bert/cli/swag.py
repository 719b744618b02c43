"""Questions with several answers -> fine-tuned model that chooses: SWAG's csv, CODAH's tsv, or JSONL of one's own.

    keras-bert swag --data_dir=swag --init_checkpoint=uncased_L-12_H-768_A-12 --output_dir=chooser
    keras-bert swag --predict_file=questions.jsonl --init_checkpoint=chooser --output_dir=answers

.csv has SWAG's columns (sent1, sent2, ending0 ... ending3, label), .tsv CODAH's seven without a header, .jsonl an
object a line: {"context": "He sat down.", "choices": ["He ate.", "He flew."], "label": 0}. A --data_dir of folders
with a train.* each, as CODAH's cv_split, is cross-validated: a model a fold, and their mean. Defaults are the paper's.
"""

import argparse
import shlex
import time
from pathlib import Path

from keras_bert.cli import finetune_flags
from keras_bert.cli.flags import Group
from keras_bert.cli.saved_models import settle_reading, update_results, with_saved_model
from keras_bert.cli.split_files import add_file_flags, find_files, find_folds
from keras_bert.cli.startup import start_tensorflow

EVAL, TEST, ANSWERS = "eval_predictions.tsv", "test_predictions.tsv", "predictions.tsv"
MAIN = ("data_dir", "train_file", "eval_file", "predict_file", "init_checkpoint", "output_dir")
COLUMNS = {"context": "context", "start": None, "choices": "choices", "label": "label"}


def add_arguments(parser):
    """Adds the flags of the files, of JSONL's columns, and of the training."""
    add_file_flags(
        parser,
        kind="file of questions (.csv, .tsv or .jsonl)",
        unlabelled="file of questions to answer, whose labels are not needed",
    )
    for name, default in COLUMNS.items():
        what = "column of what each choice begins with, as SWAG's sent2" if name == "start" else f"column of the {name}"
        # no default of argparse's, by which it shows whether a flag was given
        Group(parser, "data", rare=True).add_argument(
            f"--{name}_column", help=f".jsonl: {what} (default: {default or 'none'})"
        )
    finetune_flags.add_model_flags(parser)
    # Devlin et al. 2018, section 4.4
    finetune_flags.add_training_flags(parser, learning_rate=2e-5, train_batch_size=16)
    finetune_flags.add_do_flags(parser)
    finetune_flags.add_output_flags(parser)


def run(args):
    """Runs the command, or once for each fold: prints what it resolved, trains, measures, says what it wrote."""
    folds = find_folds(args.data_dir)
    return _run_folds(args, folds) if folds else _run(args)


def _run(args):
    begin = time.monotonic()
    files = find_files(args)
    args.do_train = files["train_file"] is not None  # or else a model in --output_dir is no hindrance
    finetune_flags.check_output(args)
    if not args.do_train:
        args = with_saved_model(args)
    tokenizer, config, checkpoint = finetune_flags.find_model(args, pair=True)
    if not args.do_train:
        _check_chooser(args, checkpoint)
    questions = _read(args, files)

    start_tensorflow()
    from keras_bert.cli.progress import Progress, clock

    finetune_flags.print_device(args)
    finetune_flags.print_vocabulary(tokenizer)
    for what, each in questions.items():
        labels = "" if each.labels is not None else ", no labels"
        print(f"{what}: {len(each):,} questions of {each.num_choices} choices{labels}")
    if "training" in questions:
        finetune_flags.print_shared(*(_texts(questions[what]) for what in ("training", "held out")))
    with Progress() as progress:
        model, results, logits = _make_model(args, questions, tokenizer, config, checkpoint, progress)
        written = _write(args, questions, model, tokenizer, results, logits, progress)
    _print_results(results)
    output_dir = Path(args.output_dir)
    what = f"{output_dir}, a model directory, and in it" if args.do_train else f"in {output_dir}:"
    print(f"wrote in {clock(time.monotonic() - begin)}: {what} {', '.join(written)}")
    saved = shlex.quote(str(output_dir if args.do_train else args.init_checkpoint))
    print(f"next: keras-bert swag --predict_file=questions.jsonl --init_checkpoint={saved} --output_dir=answers")
    return results


def _run_folds(args, folds):
    """Runs the command for each fold and writes the accuracies: of the test files, or else of the held-out ones."""
    from keras_bert.tasks.metrics import mean_and_sd
    from keras_bert.tasks.runs import write_results

    accuracies = {}
    for fold in folds:
        print(f"== {fold.name}", flush=True)
        own = {"data_dir": str(fold), "output_dir": str(Path(args.output_dir) / fold.name)}
        results = _run(argparse.Namespace(**{**vars(args), **own}))
        measured = results.get("test", results)
        if "accuracy" in measured:
            accuracies[fold.name] = measured["accuracy"]
    if not accuracies:
        return {}
    mean, sd = mean_and_sd(list(accuracies.values()))
    results = {"accuracy_mean": mean, "accuracy_sd": sd, "folds": accuracies}
    write_results(args.output_dir, results)
    spread = "" if sd is None else f" ± {sd:.4f}"
    each = ", ".join(f"{accuracy:.4f}" for accuracy in accuracies.values())
    print(f"{len(accuracies)} folds: accuracy {mean:.4f}{spread} ({each})")
    print(f"wrote: {Path(args.output_dir) / 'eval_results.json'}")
    return results


def _check_chooser(args, checkpoint):
    from keras_bert.errors import UserError

    if checkpoint.task.get("task") != "choose":
        raise UserError(
            f"Nothing to answer with: {args.init_checkpoint} was not taught to choose; give --train_file, or as "
            "--init_checkpoint what `keras-bert swag` wrote."
        )


def _read(args, files):
    """Returns {"training", "held out", "test", "to answer": Questions} of the files that there are."""
    from keras_bert.tasks.choose.files import read_choices, split_choices

    columns = {name: getattr(args, f"{name}_column") for name in COLUMNS}
    columns = {name: column for name, column in columns.items() if column is not None}
    labels = {"train_file": True, "eval_file": True, "test_file": None, "predict_file": False}
    found = {
        name: read_choices(path, labels=labels[name], **columns) for name, path in files.items() if path is not None
    }
    if "train_file" in found and "eval_file" not in found:
        both = split_choices(found["train_file"], share=args.eval_share, seed=args.seed)
        found["train_file"], found["eval_file"] = both
    names = {"train_file": "training", "eval_file": "held out", "test_file": "test", "predict_file": "to answer"}
    return {what: found[name] for name, what in names.items() if name in found}


def _texts(questions):
    """Returns each question with its choices, a tuple of str."""
    return [
        (context, start, *choices)
        for context, start, choices in zip(questions.contexts, questions.starts, questions.choices, strict=True)
    ]


def _make_model(args, questions, tokenizer, config, checkpoint, progress):
    """Returns the model, trained if there is a training set, its results and the logits of the held-out questions."""
    from keras_bert.models import MultipleChoice
    from keras_bert.tasks.choose.choices import train_chooser
    from keras_bert.tasks.runs import model_maker

    held_out = questions.get("held out")
    if "training" not in questions:
        model = model_maker(config, MultipleChoice, checkpoint=checkpoint, dtype=args.dtype)()
        print(f"model: {args.init_checkpoint}, as it was fine-tuned", flush=True)
        if held_out is None:
            return model, {}, None
        return model, *_measure(args, held_out, model, tokenizer, args.eval_batch_size, progress)
    train = questions["training"]
    best = train_chooser(
        model_maker(config, MultipleChoice, checkpoint=checkpoint, **finetune_flags.maker_options(args)),
        tokenizer,
        train,
        held_out,
        max_seq_length=args.max_seq_length,
        eval_batch_size=args.eval_batch_size,
        on_start=lambda model: finetune_flags.print_model(args, model),
        progress=progress,
        options=finetune_flags.training_options(args),
    )
    return best.model, {**best.results, "train_examples": len(train), "eval_examples": len(held_out)}, best.outputs


def _measure(args, questions, model, tokenizer, batch_size, progress):
    """Returns a model's figures on questions, {} where they have no labels, and its logits."""
    from keras_bert.tasks.choose.choices import choice_logits, choice_metrics

    sizes = {"max_seq_length": args.max_seq_length, "batch_size": batch_size}
    logits = choice_logits(model, tokenizer, questions, progress=progress, **sizes)
    return {} if questions.labels is None else choice_metrics(questions.labels, logits), logits


def _write(args, questions, model, tokenizer, results, logits, progress):
    """Answers what is to be answered, writes all there is to write, the model last; returns the names of the files."""
    from keras_bert.tasks.choose import write_answers
    from keras_bert.tasks.runs import write_model

    output_dir, written = Path(args.output_dir), []
    for what, name in (("held out", EVAL), ("test", TEST), ("to answer", ANSWERS)):
        if what not in questions:
            if args.do_train:
                (output_dir / name).unlink(missing_ok=True)  # of the model that is replaced
            continue
        if what != "held out":
            figures, logits = _measure(args, questions[what], model, tokenizer, args.predict_batch_size, progress)
            if figures:
                results["test"] = figures
        write_answers(output_dir / name, questions[what], logits)
        written.append(name)
    if args.do_train:
        reading = settle_reading(args, None)
        title = output_dir.resolve().name
        write_model(output_dir, model, tokenizer, results, metric="accuracy", title=title, reading=reading)
        return ["eval_results.json", "curves.png", *written]
    if results:
        update_results(output_dir, results)
    return ["eval_results.json", *written] if results else written


def _print_results(results):
    for what, figures in (("held out", results), ("test", results.get("test", {}))):
        if "accuracy" in figures:
            print(f"{what}: accuracy {figures['accuracy']:.4f}, loss {figures['loss']:.4f}")
    if "runs" in results:
        finetune_flags.print_runs(results, "accuracy")
