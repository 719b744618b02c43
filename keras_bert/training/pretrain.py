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
from keras_bert.data.checking import damaged_records_named
from keras_bert.data.datasets import pretraining_dataset
from keras_bert.errors import UserError
from keras_bert.files import atomic_path
from keras_bert.models import BertEncoder, BertPretrainer
from keras_bert.training.logs import TrainLog, draw_curves
from keras_bert.training.optimizers import WarmupLinearDecay, adamw
from keras_bert.training.steps import make_eval_step, make_train_steps, metrics_from_sums

CURVES = {
    "masked-LM loss": {"training": "masked_lm_loss", "held-out": "eval_masked_lm_loss"},
    "masked-LM accuracy": {"training": "masked_lm_accuracy", "held-out": "eval_masked_lm_accuracy"},
    "next-sentence accuracy": {"training": "next_sentence_accuracy", "held-out": "eval_next_sentence_accuracy"},
}


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
    strategy=None,
    dtype="float32",
    jit_compile=False,
    seed=12345,
    progress=None,
):
    """Pre-trains a BERT on masked TFRecords.

    Args:
        input_files: list of TFRecord files to train on.
        output_dir: folder for the model directory and its logs. Logs are written as the run goes; the
            model appears there at the end.
        config: the BertConfig; ignored where `init_checkpoint` has its own.
        tokenizer: the Tokenizer of the records, saved with the model.
        init_checkpoint: a checkpoint of any known format to start from; fresh weights if None.
        eval_files: list of held-out TFRecord files; no evaluation if None.
        train_batch_size, eval_batch_size: examples a step, over all devices.
        learning_rate: the peak, reached after `num_warmup_steps`, then down to 0 over `num_train_steps`.
        steps_per_loop: steps between two rows of the log; they run in one call on the device.
        eval_every: steps between two evaluations (the first row of the log after them); at the end alone if None.
        max_eval_steps: batches of an evaluation; all if None.
        strategy: a tf.distribute strategy; one device if None.
        dtype: "float32" or "mixed_bfloat16".
        jit_compile: whether XLA compiles the step.
        seed: of weights, dropout and the order of records.
        progress: called as progress(stage, done, total, unit, note) while training goes on.

    Returns:
        {figure: value} of the last evaluation (of the last row of training without `eval_files`).

    Raises:
        UserError: records that do not fit, or a loss that is no number any more.
    """
    strategy = tf.distribute.get_strategy() if strategy is None else strategy
    keras.utils.set_random_seed(seed)
    with strategy.scope():
        model = _make_model(config, init_checkpoint, dtype)
        schedule = WarmupLinearDecay(learning_rate, num_train_steps=num_train_steps, num_warmup_steps=num_warmup_steps)
        optimizer = adamw(schedule)
        optimizer.build(model.trainable_variables)
    vocab_size = model.bert_config.vocab_size
    check_tokenizer(tokenizer, model.bert_config)
    batches = pretraining_dataset(input_files, batch_size=train_batch_size, seed=seed, vocab_size=vocab_size)
    evaluate = None
    if eval_files:
        evaluate = _make_evaluate(model, strategy, eval_files, eval_batch_size, max_eval_steps, jit_compile)
    train_steps = make_train_steps(model, optimizer, strategy, jit_compile=jit_compile)
    iterator = iter(strategy.experimental_distribute_dataset(batches))

    output_dir = Path(output_dir)
    report = progress or (lambda *_: None)
    report("pretrain", 0, num_train_steps, "step", "")
    milestones = _milestones(num_train_steps, steps_per_loop)
    with TrainLog(output_dir) as log, damaged_records_named(input_files):
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
        draw_curves(log.rows, output_dir / "loss_curve.png", curves=CURVES, title=f"pre-training, {output_dir.name}")
    results = {name[5:]: value for name, value in log.rows[-1].items() if name.startswith("eval_")} or log.rows[-1]
    with atomic_path(output_dir / "eval_results.json") as temporary:
        temporary.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    model.save_pretrained(output_dir, tokenizer=tokenizer)
    return results


def _make_model(config, init_checkpoint, dtype):
    if init_checkpoint is not None:
        return BertPretrainer.from_pretrained(init_checkpoint, dtype=dtype)
    return BertPretrainer(BertEncoder(config, dtype=dtype))


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


def _make_evaluate(model, strategy, eval_files, batch_size, max_steps, jit_compile):
    """Returns a function that gives {metric: value} on the held-out records, each read once."""
    records = pretraining_dataset(
        eval_files,
        batch_size=batch_size,
        shuffle=False,
        repeat=False,
        drop_remainder=False,
        vocab_size=model.bert_config.vocab_size,
    )
    records = records.take(-1 if max_steps is None else max_steps)
    eval_step = make_eval_step(model, strategy, jit_compile=jit_compile)

    def evaluate():
        sums = sum(eval_step(batch).numpy() for batch in strategy.experimental_distribute_dataset(records))
        figures = metrics_from_sums(sums)
        return {**figures, "masked_lm_perplexity": math.exp(min(figures["masked_lm_loss"], 50.0))}

    return evaluate
