"""TFRecords -> a pre-trained model: a model directory, a .keras file, a SavedModel, the log and curves.

    keras-bert pretrain --input_file=wiki.tfrecord --output_dir=model --bert_config_file=small \\
        --train_batch_size=64 --learning_rate=1e-4 --num_train_steps=100000 --num_warmup_steps=10000

The records' vocabulary is found beside them (create_pretraining_data puts it there), or given by --vocab_file.
Records that are not masked yet (create_pretraining_data --dynamic) get fresh masks each time they are read.
BERT and ALBERT learn masked tokens and the records' sentence task, RoBERTa, XLM-R and DistilBERT masked tokens alone,
ELECTRA, and by --objective=rtd others too, which tokens a generator replaced.
The same command resumes a run that was interrupted.
Flags and defaults are those of google-research/bert's run_pretraining.py, but that it trains without --do_train,
measures all of --eval_file, 32 examples at a time, and logs every 100 steps.
"""

import shlex
import sys
from pathlib import Path

from keras_bert.cli.pretrain_flags import OPTIONS, add_flags
from keras_bert.cli.progress import Progress
from keras_bert.cli.saved_models import find_configuration
from keras_bert.cli.startup import start_tensorflow

MAIN = ("input_file", "eval_file", "output_dir", "bert_config_file", "train_batch_size", "learning_rate")
MAIN += ("num_train_steps",)


def add_arguments(parser):
    """Adds run_pretraining.py's flags, and ours."""
    add_flags(parser)


def run(args):
    """Runs the command: prints what it resolved, trains, measures, and says what it wrote and what comes next."""
    from keras_bert.cli.remote_places import localized
    from keras_bert.data.checking import record_files
    from keras_bert.data.manifests import sentence_task
    from keras_bert.errors import UserError
    from keras_bert.outputs import refuse_existing
    from keras_bert.training.workers import is_chief

    named = args.output_dir
    if args.use_tpu or args.strategy == "tpu":
        _check_tpu(args.tpu_name)
    with Progress() as progress:
        args, push = localized(args, progress=progress)
    output_dir = Path(args.output_dir)
    files = record_files(args.input_file, what="--input_file")
    eval_files = record_files(args.eval_file, what="--eval_file") if args.eval_file else files if args.do_eval else []
    if args.do_eval is False:
        eval_files = []
    if not args.do_train and not eval_files:
        raise UserError("Nothing is left to do without --do_train and --do_eval; leave one of them as it is.")
    standing = find_configuration(output_dir)
    if args.do_train and not args.force and standing and not (output_dir / "run.json").exists():
        refuse_existing(standing, what="--output_dir", remedy="add --force to replace that model")
    tokenizer = _find_tokenizer(files, args)
    start_tensorflow()
    devices, jit_compile = _find_devices(args)
    if args.do_train:
        results = _train(args, files, eval_files, tokenizer, devices, jit_compile, push)
    else:
        results = _evaluate(args, eval_files, tokenizer, devices, jit_compile)
    if push and is_chief(devices):
        push()
    measured = (
        "held-out:" if args.eval_file else "on the training records:" if eval_files else "last steps of training:"
    )
    _print_results(measured, results, sentence_task(files))
    if args.do_train and is_chief(devices):
        print(f"wrote {named}: the model, model.keras, saved_model/, checkpoints/, eval_results.json,")
        print("  train_log.jsonl, loss_curve.png, tensorboard/")
        print(f"next: {_next(shlex.quote(str(named)), results)}")
    return results


def _next(folder, results):
    """Returns the command to go on with from a model that has these results."""
    if "replaced_tokens_loss" in results:  # which fills no masks
        return f"keras-bert classify --init_checkpoint={folder} --train_file=... --output_dir=..."
    return f'keras-bert fill_mask --model_dir={folder} "Some text with a [MASK] in it."'


def resumed(args):
    """Returns in words what an interrupted run leaves to resume; without importing TensorFlow for it."""
    if not args.do_train:
        return None
    same = f"the same command{', without --force,' if args.force else ''}"
    if "://" in args.output_dir:
        return f"{same} resumes from the newest checkpoint in {args.output_dir}, or starts over if there is none"
    steps = Path(args.output_dir, "checkpoints").glob("step-*")
    newest = max(steps, key=lambda path: (len(path.name), path.name), default=None)
    return f"{same} resumes from {newest}" if newest else "there is no checkpoint yet: the same command starts over"


def _check_tpu(name):
    """Raises a UserError, before anything is read, unless this machine has a TPU that it can train on."""
    start_tensorflow()
    import keras

    from keras_bert.errors import UserError
    from keras_bert.training.preflight import check_tpu

    address = check_tpu(name, backend=keras.backend.backend())
    if address not in (None, "local"):
        raise UserError(
            f"The TPU {address!r} is of another machine, which could not read the records that this one reads; start "
            "the command there (a Cloud TPU VM), without --tpu_name."
        )


def _train(args, files, eval_files, tokenizer, devices, jit_compile, push):
    """Trains as the flags say. Returns the figures."""
    from keras_bert.cli.signals import StopSignals
    from keras_bert.families import find_family
    from keras_bert.training.loop import Stopped
    from keras_bert.training.objectives import objective_of
    from keras_bert.training.options import PretrainOptions
    from keras_bert.training.pretrain import pretrain

    config, origin = _find_config(args, tokenizer)
    options = {option: getattr(args, flag) for flag, option in OPTIONS.items()}
    row, tasks = objective_of(PretrainOptions(**options), config, args.init_checkpoint)
    _print_records(files, eval_files, tokenizer, args)
    print(
        f"model: {find_family(config.family).title}, {config.num_hidden_layers} layers, hidden size "
        f"{config.hidden_size}, vocabulary {config.vocab_size:,}, {origin}"
    )
    print(f"objective: {row.title}")
    print(f"sentence task: {_sentence_task(files, tasks)}")
    with Progress() as progress, StopSignals() as stop:
        try:
            return pretrain(
                files,
                args.output_dir,
                config,
                tokenizer=tokenizer,
                init_checkpoint=args.init_checkpoint,
                init_generator=args.init_generator,
                eval_files=eval_files,
                strategy=devices,
                restart=args.force,
                stop=stop,
                saved=push,
                progress=progress,
                log=progress.say,
                jit_compile=jit_compile,
                **options,
            )
        except Stopped as error:
            if args.force:
                raise Stopped(f"{error} Leave out --force then, which starts over.", error.exit_status) from error
            raise


def _evaluate(args, eval_files, tokenizer, devices, jit_compile):
    """Measures the model in --output_dir, or else --init_checkpoint, without training. Returns the figures."""
    from keras_bert.training.evaluation import evaluate_pretraining

    return evaluate_pretraining(
        args.output_dir if find_configuration(args.output_dir) else args.init_checkpoint or args.output_dir,
        eval_files,
        args.output_dir,
        tokenizer=tokenizer,
        strategy=devices,
        jit_compile=jit_compile,
        **{
            OPTIONS[flag]: getattr(args, flag)
            for flag in (
                "eval_batch_size",
                "max_eval_steps",
                "dtype",
                "max_predictions_per_seq",
                "masking",
                "masked_lm_prob",
                "skip_damaged_records",
                "random_seed",
            )
        },
    )


def _find_devices(args):
    """Returns (strategy, whether XLA compiles the step), and prints them."""
    import keras

    from keras_bert.training.strategies import strategy

    if args.deterministic:
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    tpu = {"tpu": args.tpu_name, "zone": args.tpu_zone, "project": args.gcp_project}
    devices = strategy("tpu" if args.use_tpu else args.strategy, **tpu, log=lambda line: print(line, file=sys.stderr))
    one = devices.num_replicas_in_sync == 1
    jit_compile = args.jit_compile == "true" or (args.jit_compile == "auto" and one and args.dtype == "float32")
    xla = "XLA" if jit_compile or keras.backend.backend() == "jax" else "no XLA"
    print(f"devices: {_describe(devices)}, {args.dtype}, {xla}")
    return devices, jit_compile


def _describe(devices):
    """Returns the number of devices of a strategy and their kinds."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        kinds = {device.platform.upper() for device in jax.devices()}
    else:
        import tensorflow as tf

        kinds = {device.device_type for device in tf.config.list_logical_devices()}
    return f"{devices.num_replicas_in_sync} ({', '.join(sorted(kinds))}, {keras.backend.backend()})"


def _print_records(files, eval_files, tokenizer, args):
    """Prints what the records are, how they are masked, and how often the training will see them."""
    from keras_bert.data.checking import common_layout, group_by_length
    from keras_bert.data.dynamic import Ramp, dynamic_masking
    from keras_bert.data.manifests import count_examples
    from keras_bert.training.phases import parse_phases

    skip = {"skip_damaged": args.skip_damaged_records}
    groups = group_by_length(files, **skip)
    length = None if args.phases else args.max_seq_length
    for path in eval_files:
        common_layout([path], None if args.phases else length or min(groups), None, **skip)
    for same in groups.values():
        layout = common_layout(same, length, args.max_predictions_per_seq, **skip)
        print(f"records: {count_examples(same, **skip):,} examples in {len(same)} file(s), {layout}")
        if layout.dynamic:
            masks = {
                OPTIONS[flag]: getattr(args, flag) for flag in ("max_predictions_per_seq", "masking", "masked_lm_prob")
            }
            if isinstance(args.masked_lm_prob, tuple):
                masks["masked_lm_prob"] = Ramp(*args.masked_lm_prob, batches=1)
            made = dynamic_masking(same, max_seq_length=layout.max_seq_length, vocabulary=tokenizer, **masks)
            print(f"masking: {made}; fresh each time a record is read")
    if args.max_minutes:
        print(f"training: {args.max_minutes:g} minutes; a run that is resumed goes by the time, not step by step")
        return
    for phase in parse_phases(
        args.phases, num_train_steps=args.num_train_steps, train_batch_size=args.train_batch_size
    ):
        examples = count_examples(groups.get(phase.max_seq_length, files), **skip)
        passes = phase.num_train_steps * phase.train_batch_size / max(examples, 1)
        of = f" on {phase.max_seq_length} tokens" if phase.max_seq_length else ""
        print(
            f"training: {phase.num_train_steps:,} steps of {phase.train_batch_size}{of}, "
            f"{passes:.1f} passes over the records"
        )


def _sentence_task(files, tasks):
    """Returns in words what a model learns of the records' sentence pairs."""
    from keras_bert.data.manifests import SENTENCE_TASKS, sentence_task

    if "next_sentence" not in tasks:
        return f"none, this model learns from {'replaced' if 'replaced_tokens' in tasks else 'masked'} tokens alone"
    task = SENTENCE_TASKS[sentence_task(files)]
    return task or "none in these records, the loss is that of the masked tokens alone"


def _print_results(measured, results, task):
    """Prints the figures; with sentence_task "sop" next_sentence_... are those of the sentences' order."""
    print(measured)
    for name, value in results.items():
        shown = name.replace("next_sentence", "sentence_order") if task == "sop" else name
        print(f"  {shown} = {value:.4f}")


def _find_tokenizer(files, args):
    """Returns the Tokenizer of the records: by --vocab_file, by what lies beside them, or by the checkpoint."""
    from keras_bert.cli.tokenizer_flags import find_tokenizer
    from keras_bert.data.manifests import stated_rules
    from keras_bert.data.records import tokenizer_beside
    from keras_bert.errors import UserError

    vocab_file = args.vocab_file or tokenizer_beside(files)
    if not vocab_file and not args.init_checkpoint:
        raise UserError(
            f"No vocabulary lies beside {files[0]}; give the one its records were made with by --vocab_file."
        )
    return find_tokenizer(
        args,
        vocab_file=vocab_file,
        checkpoint=args.init_checkpoint,
        manifest=stated_rules(files),
        contradict=True,  # the manifest is compared with the Tokenizer before training
    )


def _find_config(args, tokenizer):
    """Returns the Config that fits the vocabulary, and in words where the weights come from."""
    from keras_bert.checkpoints import grow_checkpoint, open_checkpoint
    from keras_bert.config import Config
    from keras_bert.text.vocabulary import check_fits, check_special_ids, sizes_for

    if args.init_checkpoint:
        checkpoint = grow_checkpoint(open_checkpoint(args.init_checkpoint), tokenizer)
        grown = [f"grown by {len(checkpoint.new_entries):,} entries"] if checkpoint.new_entries else []
        return checkpoint.config, "; ".join([f"from {args.init_checkpoint}", *grown, *checkpoint.notes])
    config = Config.from_name_or_file(args.bert_config_file, **sizes_for(tokenizer))
    check_fits(
        len(tokenizer),
        config.vocab_size,
        what="The records' vocabulary",
        remedy=f"use records that belong to {args.bert_config_file}.",
    )
    check_special_ids(tokenizer, config)
    unknown = config.unknown_fields()
    return config, "; ".join(["fresh weights", *([unknown] if unknown else [])])
