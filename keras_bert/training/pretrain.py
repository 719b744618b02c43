"""A pre-training run: records in, curves and a model directory out (run_pretraining.py of google-research/bert).

Reading order of the whole program: this file, models/pretrainer.py, models/encoder.py, layers/transformer.py.
"""

import json
import math
import time
from pathlib import Path

import keras
import tensorflow as tf

from keras_bert.checkpoints import check_tokenizer
from keras_bert.data.checking import damaged_records_named, record_files
from keras_bert.data.datasets import pretraining_dataset
from keras_bert.data.manifests import SENTENCE_TASKS, check_tokenizer_of, records_vocabulary, sentence_task
from keras_bert.data.reading import first_layout
from keras_bert.errors import UserError
from keras_bert.files import atomic_path
from keras_bert.models import BertEncoder, BertPretrainer
from keras_bert.training.logs import TrainLog, draw_curves
from keras_bert.training.optimizers import adamw
from keras_bert.training.schedules import WarmupLinearDecay
from keras_bert.training.steps import make_eval_step, make_train_steps, metrics_from_sums

CURVES = {"masked-LM loss": "masked_lm_loss", "masked-LM accuracy": "masked_lm_accuracy"}


def pretrain(
    input_files,
    output_dir,
    config,
    *,
    tokenizer=None,
    init_checkpoint=None,
    eval_files=None,
    train_batch_size=32,
    eval_batch_size=32,
    learning_rate=5e-5,
    num_train_steps=100_000,
    num_warmup_steps=10_000,
    steps_per_loop=100,
    eval_every=None,
    max_eval_steps=None,
    max_predictions=None,
    masking=None,
    masked_lm_prob=None,
    strategy=None,
    dtype="float32",
    jit_compile=False,
    seed=12345,
    progress=None,
):
    """Pre-trains a BERT on TFRecords, masked ones or unmasked ones, which get fresh masks each time they are read.

    Args:
        input_files: TFRecord files to train on: paths, globs or directories.
        output_dir: folder for the model directory and its logs. Logs are written as the run goes; the
            model appears there at the end.
        config: the BertConfig; ignored where `init_checkpoint` has its own.
        tokenizer: the Tokenizer of the records, saved with the model.
        init_checkpoint: a checkpoint of any known format to start from; fresh weights if None. Its embeddings grow
            where the records' vocabulary extends its own.
        eval_files: held-out TFRecord files; no evaluation if None. Unmasked ones get the same masks each time.
        train_batch_size, eval_batch_size: examples a step, over all devices.
        learning_rate: the peak, reached after `num_warmup_steps`, then down to 0 over `num_train_steps`.
        steps_per_loop: steps between two rows of the log; they run in one call on the device.
        eval_every: steps between two evaluations (the first row of the log after them); at the end alone if None.
        max_eval_steps: batches of an evaluation; all if None.
        max_predictions, masking, masked_lm_prob: see `pretraining_dataset`.
        strategy: a tf.distribute strategy; one device if None.
        dtype: "float32" or "mixed_bfloat16".
        jit_compile: whether XLA compiles the step.
        seed: of weights, dropout and the order of records.
        progress: called as progress(stage, done, total, unit, note) while training goes on.

    Returns:
        {figure: value} of the last evaluation (of the last row of training without `eval_files`). Those of the
        next sentence (with sentence_task "sop": of the sentences' order) are left out where the records have none.

    Raises:
        UserError: records that do not fit, or a loss that is no number any more.
    """
    files, held_out = record_files(input_files), record_files(eval_files) if eval_files else []
    check_tokenizer_of([*files, *held_out], tokenizer)
    vocabulary = records_vocabulary([*files, *held_out], tokenizer)
    strategy = tf.distribute.get_strategy() if strategy is None else strategy
    keras.utils.set_random_seed(seed)
    with strategy.scope():
        model = _make_model(config, init_checkpoint, vocabulary, dtype)
        schedule = WarmupLinearDecay(learning_rate, num_train_steps=num_train_steps, num_warmup_steps=num_warmup_steps)
        optimizer = adamw(schedule)
        optimizer.build(model.trainable_variables)
    check_tokenizer(tokenizer, model.bert_config)
    masks = {"max_predictions": max_predictions, "masking": masking, "masked_lm_prob": masked_lm_prob}
    batches = _batches(files, model, vocabulary, batch_size=train_batch_size, seed=seed, **masks)
    evaluate = None
    if held_out:
        masks = masks if first_layout(held_out[0]).dynamic else {}
        once = {"shuffle": False, "repeat": False, "drop_remainder": False, "remask": False}
        records = _batches(held_out, model, vocabulary, batch_size=eval_batch_size, **once, **masks)
        records = records.take(-1 if max_eval_steps is None else max_eval_steps)
        evaluate = _make_evaluate(model, strategy, records, jit_compile)
    train_steps = make_train_steps(model, optimizer, strategy, jit_compile=jit_compile)
    iterator = iter(strategy.experimental_distribute_dataset(batches))

    output_dir = Path(output_dir)
    report = progress or (lambda *_: None)
    report("pretrain", 0, num_train_steps, "step", "")
    milestones = _milestones(num_train_steps, steps_per_loop)
    with TrainLog(output_dir) as log, damaged_records_named([*files, *held_out]):
        for start, step, figures in _train(train_steps, iterator, milestones, train_batch_size):
            if not math.isfinite(figures["loss"]):
                raise UserError(
                    f"The loss is {figures['loss']} between steps {start} and {step}; "
                    f"lower --learning_rate (now {learning_rate}) or raise --num_warmup_steps (now {num_warmup_steps})."
                )
            figures["learning_rate"] = float(schedule(step - 1))  # the last step's
            due = step == num_train_steps or (eval_every and step // eval_every > start // eval_every)
            if evaluate and due:
                figures |= {f"eval_{name}": value for name, value in evaluate().items()}
            log.write(step, figures)
            note = f"loss {figures['loss']:.3f}, masked-LM accuracy {figures['masked_lm_accuracy']:.3f}"
            report("pretrain", step, num_train_steps, "step", note)
        curves = _curves(sentence_task(files))
        draw_curves(log.rows, output_dir / "loss_curve.png", curves=curves, title=f"pre-training, {output_dir.name}")
    results = {name[5:]: value for name, value in log.rows[-1].items() if name.startswith("eval_")} or log.rows[-1]
    with atomic_path(output_dir / "eval_results.json") as temporary:
        temporary.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    model.save_pretrained(output_dir, tokenizer=tokenizer)
    return results


def _make_model(config, init_checkpoint, vocabulary, dtype):
    """Returns the pretrainer; a checkpoint's embeddings grow where the records' vocabulary extends its own."""
    if init_checkpoint is None:
        return BertPretrainer(BertEncoder(config, dtype=dtype))
    return BertPretrainer.from_pretrained(init_checkpoint, dtype=dtype, vocabulary=vocabulary)


def _batches(files, model, vocabulary, **options):
    """Returns the `pretraining_dataset` of some files, or raises a UserError if the model cannot read them."""
    config = model.bert_config
    batches = pretraining_dataset(files, vocab_size=config.vocab_size, vocabulary=vocabulary, **options)
    length = batches.element_spec[0]["input_ids"].shape[1]
    if length > config.max_position_embeddings:
        raise UserError(
            f"{files[0]} has records of {length} tokens, but the model has max_position_embeddings="
            f"{config.max_position_embeddings}; make shorter records, or take a model with more positions."
        )
    return batches


def _curves(task):
    """Returns {panel: {legend: figure}} for `draw_curves`.

    >>> list(_curves("sop"))
    ['masked-LM loss', 'masked-LM accuracy', 'sentence-order accuracy']
    """
    sentence = SENTENCE_TASKS[task]
    panels = CURVES | ({f"{sentence} accuracy": "next_sentence_accuracy"} if sentence else {})
    return {panel: {"training": name, "held-out": f"eval_{name}"} for panel, name in panels.items()}


def _milestones(num_train_steps, steps_per_loop):
    """Yields the steps after which a row is logged, the last one included.

    >>> list(_milestones(250, 100))
    [100, 200, 250]
    """
    yield from range(steps_per_loop, num_train_steps, steps_per_loop)
    yield num_train_steps


def _train(train_steps, iterator, milestones, batch_size):
    """Trains from milestone to milestone; yields (first step, last step, mean figures of the steps between)."""
    start = 0
    for step in milestones:
        begin = time.perf_counter()
        sums = train_steps(iterator, tf.constant(step - start)).numpy()
        rate = (step - start) * batch_size / (time.perf_counter() - begin)
        yield start, step, {**metrics_from_sums(sums), "examples_per_second": rate}
        start = step


def _make_evaluate(model, strategy, records, jit_compile):
    """Returns a function that gives {metric: value} on held-out batches."""
    eval_step = make_eval_step(model, strategy, jit_compile=jit_compile)

    def evaluate():
        sums = sum(eval_step(batch).numpy() for batch in strategy.experimental_distribute_dataset(records))
        figures = metrics_from_sums(sums)
        return {**figures, "masked_lm_perplexity": math.exp(min(figures["masked_lm_loss"], 50.0))}

    return evaluate
