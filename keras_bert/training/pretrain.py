"""A pre-training run: records in, curves and a model directory out (run_pretraining.py of google-research/bert).

Reading order of the whole program: this file, training/loop.py, models/pretrainer.py, models/encoder.py,
layers/transformer.py.
"""

import contextlib
import functools
import tempfile
from pathlib import Path

import keras

from keras_bert.checkpoints import check_tokenizer
from keras_bert.data.checking import damaged_records_named, record_files
from keras_bert.data.damage import damaged_records
from keras_bert.data.manifests import SENTENCE_TASKS, check_tokenizer_of, records_vocabulary, sentence_task
from keras_bert.errors import UserError
from keras_bert.files import read_json
from keras_bert.locks import lock_in, locked
from keras_bert.models import Pretrainer
from keras_bert.outputs import atomic_path, clear_left
from keras_bert.training.branches import find_branch, records_of
from keras_bert.training.evaluation import RESULTS, write_results
from keras_bert.training.logs import LiveCurves, TrainLog
from keras_bert.training.loop import Loop, Position
from keras_bert.training.objectives import check_records, objective_of
from keras_bert.training.options import FINENESS, INEXACT, PretrainOptions
from keras_bert.training.run_checkpoints import run_variables
from keras_bert.training.run_folder import Keeper, is_over, note_run
from keras_bert.training.stages import are_packed, make_stages
from keras_bert.training.strategies import strategy as find_strategy
from keras_bert.training.sums import TASKS, uniform_guess
from keras_bert.training.trainer import make_trainer
from keras_bert.training.workers import check_agreement, is_chief, lost_workers_named, stop_of_any

LOSS_LIMIT = 2  # times the loss of a uniform guess: what is above it has exploded


def pretrain(
    input_files,
    output_dir,
    config,
    *,
    tokenizer=None,
    init_checkpoint=None,
    init_generator=None,
    eval_files=None,
    strategy=None,
    restart=False,
    stop=None,
    saved=None,
    progress=None,
    log=None,
    **options,
):
    """Pre-trains a model on TFRecords, masked ones or unmasked ones, which get fresh masks each time they are read.

    One process at a time may write to a folder; under several workers the chief is the one that does.

    A run that was interrupted goes on from its newest checkpoint when it is called again with the same arguments, and
    ends as if nothing had happened, to the last bit on one device.

    Args:
        input_files: TFRecord files to train on: paths, globs or directories. With phases, those of all lengths.
        output_dir: folder for the model, its logs and, while the run goes on, its checkpoints.
        config: the Config; ignored where `init_checkpoint` has its own. Its family says what the model is trained for,
            unless `objective` does: masked tokens and the sentence pairs of the records (BERT, ALBERT, MobileBERT,
            BigBird), replaced tokens (ELECTRA), or masked tokens alone. Of replaced tokens it is the discriminator's.
        tokenizer: the Tokenizer of the records, saved with the model.
        init_checkpoint: a checkpoint of any known format to start from; fresh weights if None. Its embeddings grow
            where the records' vocabulary extends its own.
        init_generator: for replaced tokens, a checkpoint that the generator starts from. If None, the one that belongs
            to `init_checkpoint`, if it has one.
        eval_files: held-out TFRecord files; no evaluation if None. Unmasked ones get the same masks each time.
        strategy: what `keras_bert.strategy` gives; one device if None.
        restart: begin anew, whatever run stands in `output_dir`.
        stop: callable() -> None, or (why, exit status) to save and raise Stopped. Asked every few seconds.
        saved: called after each checkpoint, to copy it elsewhere, say.
        progress: called as progress(stage, done, total, unit, note) while training goes on.
        log: called with a line for each thing that a person should know.
        **options: see PretrainOptions.

    Returns:
        {figure: value} of the last evaluation (of the last row of training without `eval_files`). Those of the
        next sentence (with sentence_task "sop": of the sentences' order) are left out where the records or the model
        have none.

    Raises:
        UserError: options or records that do not fit, another run in `output_dir` or another process that writes to
            it, a model that is made for something else, a NaN loss or one that explodes, or a lost worker.
        Stopped: `stop` said so.
    """
    options, output_dir, log = PretrainOptions(**options), Path(output_dir), log or (lambda line: None)
    branch = find_branch(options, output_dir, restart=restart)
    options = branch.options if branch else options
    files = record_files(input_files, what="input_files")
    held_out = record_files(eval_files, what="eval_files") if eval_files else []
    check_tokenizer_of([*files, *held_out], tokenizer)
    vocabulary = records_vocabulary([*files, *held_out], tokenizer)
    _check_warmup(options, log)
    strategy, position = find_strategy("one_device") if strategy is None else strategy, Position()
    chief = is_chief(strategy)
    with contextlib.ExitStack() as place, contextlib.ExitStack() as stack:
        if chief:
            place.enter_context(_alone_in(output_dir))
        stack.enter_context(damaged_records_named([*files, *held_out], skip_damaged=options.skip_damaged))
        stack.enter_context(lost_workers_named(strategy, step=lambda: position.step))
        packed = are_packed([*files, *held_out], options)
        given = {"packed": packed, "generator": init_generator}
        model, optimizer = _make_model(config, init_checkpoint, vocabulary, strategy, options, **given)
        check_records(model.task_weights, files)
        check_tokenizer(tokenizer, model.bert_config)
        trainer = make_trainer(
            model,
            optimizer,
            strategy,
            accumulation=options.gradient_accumulation_steps,
            jit_compile=options.jit_compile,
        )
        stages = make_stages(trainer, model, vocabulary, files, held_out, strategy, options)
        run = _settings(model, init_checkpoint, init_generator, files, options, branch)
        way = _way(files, held_out, strategy, options, log)
        over = is_over(output_dir, run, way, restart=restart, chief=chief, log=log)
        check_agreement(strategy, over, what="whether the run is over")
        if over:
            log(f"{output_dir} holds the end of this very run; nothing was left to do.")
            return read_json(output_dir / RESULTS, what="The run's results")
        variables = run_variables(model, optimizer)
        keeper = Keeper(output_dir, trainer, variables, options, chief=chief, saved=saved, log=log)
        position.used, position.skipped = [0] * len(stages), [[] for _ in stages]
        keeper.restore(position)
        check_agreement(strategy, position.step, what="the step to go on from")
        if position.step:
            log(_resumed(position, options))
        elif branch:
            _enter(branch, position, variables, trainer, keeper, run, log)
        elif options.on_divergence == "rewind":
            keeper.save(position)
        last = _train(
            trainer,
            stages,
            options,
            keeper,
            position,
            folder=output_dir if chief else Path(stack.enter_context(tempfile.TemporaryDirectory())),
            title=f"pre-training, {output_dir.name}",
            curves=_curves(trainer.tasks, sentence_task(files)),
            guess=uniform_guess(trainer.tasks, model.bert_config),
            stop=stop_of_any(strategy, stop or (lambda: None)),
            progress=progress or (lambda *_: None),
            say=log,
        )
        stack.close()  # the end of what workers do together
        results = {name[5:]: value for name, value in last.items() if name.startswith("eval_")} or last
        if chief:
            _write_results(output_dir, model, tokenizer, results, options)
            note_run(output_dir, run, way, over=True)
    return results


def _check_warmup(options, log):
    """Says so if the warm-up takes the whole run."""
    if options.num_warmup_steps >= options.total_steps:
        log(
            f"The warm-up has {options.num_warmup_steps:,} steps and the run {options.total_steps:,}, so the learning "
            "rate never reaches its peak; lower num_warmup_steps."
        )


@contextlib.contextmanager
def _alone_in(output_dir):
    """Lets no other process write to the run's folder, and clears what dead ones left there."""
    remedy = "wait until it ends, or name another --output_dir"
    with locked(lock_in(output_dir), what=f"--output_dir {output_dir}", remedy=remedy):
        clear_left(output_dir)
        yield


def _train(trainer, stages, options, keeper, position, *, folder, title, curves, guess, **callbacks):
    """Runs the loop from a Position to its end, with log and curves in a folder. Returns the last row of the log."""
    drawing = LiveCurves(folder / "loss_curve.png", curves=curves, title=title, marks=_marks(options))
    with TrainLog(folder, resume_after=position.step or None) as log:
        Loop(
            trainer,
            stages,
            options,
            rate=functools.partial(_rate, options, options.make_schedule()),
            loss_limit=LOSS_LIMIT * guess,
            keeper=keeper,
            log=log,
            drawer=drawing.draw,
            **callbacks,
        ).run(position)
        drawing.draw(log.rows, now=True)
    return log.rows[-1] if log.rows else {"step": position.step}  # somebody took the log away


def _enter(branch, position, variables, trainer, keeper, run, log):
    """Begins where another run stands, and saves that as the run's own first checkpoint."""
    goes_on = branch.enter(position, variables, trainer, records_of(run))
    place = "at the very batch where it stood" if goes_on else "with these records from their beginning"
    log(f"goes on from {branch.name}, {place}")
    keeper.save(position)


def _settings(model, init_checkpoint, init_generator, files, options, branch):
    """Returns {name: value} of what a run must keep to when it goes on, fit for JSON. Folders may have moved."""
    return {
        "records": [f"{path.name} ({path.stat().st_size} bytes)" for path in files],
        "init_checkpoint": None if init_checkpoint is None else Path(init_checkpoint).name,
        "config": model.bert_config.to_dict(),
        **options.fixed(),
        **({"init_generator": Path(init_generator).name} if init_generator else {}),
        **({"generator": model.generator_config.to_dict()} if hasattr(model, "generator_config") else {}),
        **({"decay_from": branch.name} if branch else {}),
    }


def _way(files, held_out, strategy, options, log):
    """Returns {name: value} of what else the bits of a run hang on; says which records it leaves out."""
    left_out = {path: len(damaged_records(path)) for path in (*files, *held_out)} if options.skip_damaged else {}
    for path, number in left_out.items():
        if number:
            log(f"{path}: {number} damaged record(s) are left out.")
    return {
        "backend": keras.backend.backend(),
        "devices": strategy.num_replicas_in_sync,
        "damaged records left out": sum(left_out.get(path, 0) for path in files),
        **{name: getattr(options, name) for name in sorted(INEXACT)},
    }


def _make_model(config, init_checkpoint, vocabulary, strategy, options, *, packed, generator=None):
    """Returns (model, built optimizer); a checkpoint's embeddings grow where the vocabulary extends its own."""
    keras.utils.set_random_seed(options.seed)
    remat = keras.RematScope(mode="full") if options.remat else contextlib.nullcontext()
    row, tasks = objective_of(options, config, init_checkpoint)
    if generator is not None and (init_checkpoint is None or not row.has_generator):
        raise UserError(
            "init_generator goes with init_checkpoint and objective rtd, whose generator it is; leave it out."
        )
    with strategy.scope(), remat:
        if init_checkpoint is None:
            model = row.make(config, tasks, options, packed=packed)
        else:
            given = {"generator": generator, "vocabulary": vocabulary, "packed": packed}
            model = row.load(init_checkpoint, tasks, options, **given)
        optimizer = options.make_optimizer()
        optimizer.build(model.trainable_variables)
    return model, optimizer


def _rate(options, schedule, share, step):
    """Returns the learning rate of a step, or of the time that it falls into."""
    return float(schedule(int(share * FINENESS) if options.max_minutes else step))


def _resumed(position, options):
    """Returns in a sentence where a run goes on."""
    if options.max_minutes:
        spent = f"{position.seconds / 60:.1f} of {options.max_minutes:g} minutes are spent"
        return f"resumed at step {position.step:,}; {spent}, so from here on steps and rates go by this machine's speed"
    return f"resumed at step {position.step:,}, at the very batch where it stood"


def _write_results(output_dir, model, tokenizer, results, options):
    """Writes the figures and the model, in every format."""
    write_results(output_dir, results)
    kept = {"keep_generator": options.keep_generator} if hasattr(model, "generator_config") else {}
    model.save_pretrained(output_dir, tokenizer=tokenizer, **kept)
    _write_other_formats(output_dir)


def _write_other_formats(output_dir):
    """Writes the .keras file of the model in a directory, and the SavedModel of its encoder."""
    # A copy of its own: in float32, and of variables that belong to no strategy.
    copy = Pretrainer.from_pretrained(output_dir)
    with atomic_path(output_dir / "model.keras") as temporary:
        names = {"prefix": f"{temporary.stem}-", "suffix": temporary.suffix}  # as clear_left knows them
        with tempfile.TemporaryDirectory(dir=output_dir, **names) as folder:
            copy.save(Path(folder) / "model.keras")  # Keras insists on the suffix
            (Path(folder) / "model.keras").rename(temporary)
    with atomic_path(output_dir / "saved_model") as temporary:
        copy.encoder.export(temporary, verbose=False)


def _curves(tasks, sentence_task):
    """Returns {panel: {legend: figure}} for `draw_curves`.

    >>> list(_curves(["masked_lm", "next_sentence"], "sop"))
    ['masked-LM loss', 'masked-LM accuracy', 'sentence-order accuracy']
    """
    panels = {}
    for name in tasks:
        row = TASKS[name]
        title = SENTENCE_TASKS[sentence_task] if row.of_records else row.title
        if title:
            panels |= {f"{title} {figure}": f"{name}_{figure}" for figure in row.drawn}
    return {panel: {"training": name, "held-out": f"eval_{name}"} for panel, name in panels.items()}


def _marks(options):
    """Returns {step: label} of the phases but the first; none where the steps of a phase go by the time."""
    marks, step = {}, 0
    for phase in options.phase_list:
        if step and not options.max_minutes:
            marks[step] = f"{phase.max_seq_length} tokens"
        step += phase.num_train_steps
    return marks
