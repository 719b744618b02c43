"""The path of every fine-tuning command: what the flags mean, the model, its training, its answers, what was written.

What a task has of its own is a Job (keras_bert/tasks/job.py).
"""

import argparse
import importlib
import time
from pathlib import Path

from keras_bert.cli import finetune_flags, finetune_model, finetune_notes
from keras_bert.cli.saved_models import settle_reading, take_saved_model, update_results
from keras_bert.cli.startup import start_tensorflow
from keras_bert.tasks.job import PARTS


class Command:
    """The command of a task: what keras_bert/cli/main.py asks of a module.

    Args:
        job: the class of its Jobs.
        doc: its help; None takes that of the class's module.

    >>> Command.of_task("tag").MAIN[0]
    'data_dir'
    """

    def __init__(self, job, doc=None):
        self.job, self.MAIN = job, job.main
        self.__doc__ = importlib.import_module(job.__module__).__doc__ if doc is None else doc

    @classmethod
    def of_task(cls, word, doc=None):
        """Returns the command of a task that is fine-tuned."""
        return cls(importlib.import_module(f"keras_bert.tasks.{word}.job").JOB, doc)

    def add_arguments(self, parser):
        """Adds the flags of the task, the model and the training."""
        for flag in self.job.flags:
            finetune_flags.add_flag(parser, flag)
        finetune_flags.add_model_flags(parser)
        finetune_flags.add_training_flags(parser, **self.job.training)
        finetune_flags.add_old_flags(parser)
        finetune_flags.add_do_flags(parser, **self.job.doing)
        finetune_flags.add_output_flags(parser)

    def run(self, args):
        """Runs the command, or once for each fold: prints what it resolved, trains, measures, says what it wrote."""
        from keras_bert.tasks.split_files import find_folds

        folds = find_folds(args) if self.job.cross_validates else []
        return _run_folds(args, folds, self.job) if folds else run_once(_settle(args, self.job))


def _settle(args, make_job):
    """Returns a Job whose flags agree and whose results have a place to go to."""
    job = make_job(args)
    args.do_train = job.trains
    finetune_model.check_output(args)
    return job


def run_once(job):
    """Runs a Job from its model to its files. Returns its figures."""
    from keras_bert.tasks.inputs import check_length

    begin, args = time.monotonic(), job.args
    if not job.trains:
        take_saved_model(args, **job.saved_model())
    job.tokenizer, config, checkpoint = finetune_model.find_model(args)
    if not job.trains:
        job.check_saved(checkpoint)
    check_length(config, args.max_seq_length, pair=job.pair, layout=job.tokenizer.layout)
    if job.reads_by_tensorflow:
        start_tensorflow()
    parts = job.read(None if job.trains else checkpoint)
    job.parts = {part: parts[part] for part in ("train", *PARTS) if parts.get(part) is not None}

    start_tensorflow()
    from keras_bert.cli.progress import Progress, clock

    finetune_notes.print_device(args)
    finetune_notes.print_vocabulary(job.tokenizer)
    for line in job.describe():
        print(line, flush=True)
    if job.trains and "eval" in job.parts:
        finetune_notes.print_shared(job.texts("train"), job.texts("eval"))
    with Progress() as progress:
        job.progress = progress
        model, results, answers = _train(args, job, config, checkpoint) if job.trains else (_load(args, job), {}, {})
        written = _answer(args, job, model, results, answers)
    names = _write(args, job, model, results, written)
    for line in job.report(results):
        print(line)
    if "runs" in results:
        finetune_notes.print_runs(results, job.metric)
    output_dir = Path(args.output_dir)
    what = f"{output_dir}, a model directory, and in it" if job.trains else f"in {output_dir}:"
    print(f"wrote in {clock(time.monotonic() - begin)}: {what} {', '.join(names)}")
    print(f"next: {job.next_step(str(output_dir) if job.trains else args.init_checkpoint)}")
    return results


def _train(args, job, config, checkpoint):
    """Fine-tunes. Returns the model, its figures, and {part: answers} of what it was asked for them."""
    from keras_bert.tasks.runs import model_maker

    options = finetune_flags.training_options(args)
    make = model_maker(config, job.head, checkpoint=checkpoint, **finetune_flags.maker_options(args))
    show = {"on_start": lambda model: finetune_notes.print_model(args, model), "progress": job.progress}
    best = job.train(make, options, **show)
    return best.model, best.results, {} if best.outputs is None else {"eval": best.outputs}


def _load(args, job):
    """Returns the fine-tuned model as it was saved."""
    from keras_bert.tasks.rows import tasks

    vocabulary = job.tokenizer if args.vocab_file or args.special_tokens else None
    model = tasks()[job.word].model.from_pretrained(args.init_checkpoint, dtype=args.dtype, vocabulary=vocabulary)
    print(f"model: {args.init_checkpoint}, as it was fine-tuned", flush=True)
    return model


def _answer(args, job, model, results, answers):
    """Asks the model about every part but the training's, measures and writes. Returns the paths of what was written.

    Figures go into `results`, those of a test file under "test".
    """
    written = []
    for part in PARTS:
        if part not in job.parts:
            continue
        found = answers.get(part)
        if found is None:
            found = job.ask(model, part, args.eval_batch_size if part == "eval" else args.predict_batch_size)
            if figures := job.measure(model, part, found):
                results.update(figures if part == "eval" else {part: figures})
        written += job.write(model, part, found, Path(args.output_dir))
    return written


def _write(args, job, model, results, written):
    """Writes the figures, and the model if it was trained. Returns the names of all that was written."""
    from keras_bert.tasks.runs import write_model

    output_dir, names = Path(args.output_dir), [path.name for path in written]
    if not job.trains:
        if results:
            update_results(output_dir, results, job.results_file())
        return [job.results_file(), *names] if results else names
    if args.force:
        _remove_stale(output_dir, job.outputs, written)
    reading = {**settle_reading(args, None), **job.reading()}
    write_model(output_dir, model, job.tokenizer, results, metric=job.metric, title=job.title(), reading=reading)
    return ["eval_results.json", "curves.png", *names]


def _remove_stale(output_dir, patterns, written):
    """Removes what the model that is replaced wrote beside it, unless it is written anew."""
    kept = {path.resolve() for path in written}
    for pattern in patterns:
        for path in output_dir.glob(pattern):
            if path.resolve() not in kept:
                path.unlink()


def _run_folds(args, folds, make_job):
    """Runs a Job for each fold and writes the figures by which each is chosen: of the test files, or the held-out."""
    from keras_bert.tasks.metrics import mean_and_sd
    from keras_bert.tasks.runs import write_results

    jobs, figures = _settle_folds(args, folds, make_job), {}
    for fold in folds:
        print(f"== {fold.name}", flush=True)
        job = jobs.pop(0)  # with all that it read, once it is done
        results = run_once(job)
        if job.metric in (measured := results.get("test", results)):
            metric, figures[fold.name] = job.metric, measured[job.metric]
    if not figures:
        return {}
    mean, sd = mean_and_sd(list(figures.values()))
    results = {f"{metric}_mean": mean, f"{metric}_sd": sd, "folds": figures}
    write_results(args.output_dir, results)
    spread = "" if sd is None else f" ± {sd:.4f}"
    print(
        f"{len(figures)} folds: {metric} {mean:.4f}{spread} ({', '.join(f'{each:.4f}' for each in figures.values())})"
    )
    print(f"wrote: {Path(args.output_dir) / 'eval_results.json'}")
    return results


def _settle_folds(args, folds, make_job):
    """Returns the Job of each fold, all of which can begin."""
    from keras_bert.errors import UserError

    if getattr(args, "predictions_file", None) is not None:
        raise UserError(
            f"--predictions_file names one file, but {args.data_dir} has {len(folds)} folds; leave it out: the answers "
            "of each fold go into its own folder in --output_dir."
        )
    jobs = []
    for fold in folds:
        own = {"data_dir": str(fold), "output_dir": str(Path(args.output_dir) / fold.name)}
        jobs.append(_settle(argparse.Namespace(**{**vars(args), **own}), make_job))
    return jobs
