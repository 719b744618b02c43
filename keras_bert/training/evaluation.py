"""Measuring a pre-trained model on records without training it (run_pretraining.py --do_eval)."""

import functools
import json
from pathlib import Path

from keras_bert.checkpoints import check_tokenizer
from keras_bert.data.checking import damaged_records_named, record_files
from keras_bert.data.manifests import check_tokenizer_of, records_vocabulary
from keras_bert.errors import UserError
from keras_bert.models.replaced_tokens import generator_of
from keras_bert.outputs import atomic_path
from keras_bert.training.objectives import objective_of
from keras_bert.training.optimizers import adamw
from keras_bert.training.options import PretrainOptions
from keras_bert.training.stages import are_packed, fitting_dataset, make_evaluation
from keras_bert.training.strategies import strategy as find_strategy
from keras_bert.training.trainer import make_trainer
from keras_bert.training.workers import is_chief, lost_workers_named

RESULTS = "eval_results.json"


def evaluate_pretraining(model_dir, eval_files, output_dir=None, *, tokenizer=None, strategy=None, **options):
    """Measures a pre-trained model on records, and writes eval_results.json.

    Args:
        model_dir: a checkpoint of any known format.
        eval_files: TFRecord files: paths, globs or directories. Unmasked ones get the same masks each time.
        output_dir: where eval_results.json goes; nowhere if None.
        tokenizer: the Tokenizer of the records.
        strategy: what `keras_bert.strategy` gives; one device if None.
        **options: `eval_batch_size`, `max_eval_steps`, `dtype` and what else PretrainOptions has for it.

    Returns:
        {figure: value}, as `pretrain` returns them.

    Raises:
        UserError: records that do not fit the model, or no model there.
    """
    options, files = PretrainOptions(**options), record_files(eval_files)
    check_tokenizer_of(files, tokenizer)
    vocabulary = records_vocabulary(files, tokenizer)
    strategy = find_strategy("one_device") if strategy is None else strategy
    row, tasks = objective_of(options, None, model_dir)
    if row.has_generator and generator_of(model_dir) is None:
        raise UserError(
            f"{model_dir} says which tokens were replaced, and without the generator that replaces them (a folder "
            "generator in it, by keep_generator) it cannot be measured on records."
        )
    with lost_workers_named(strategy), damaged_records_named(files, skip_damaged=options.skip_damaged):
        with strategy.scope():
            packed = are_packed(files, options)
            model = row.load(model_dir, tasks, options, packed=packed)
            optimizer = adamw(options.learning_rate)  # the trainer wants one; it is not used
            optimizer.build(model.trainable_variables)
        check_tokenizer(tokenizer, model.bert_config)
        trainer = make_trainer(model, optimizer, strategy, jit_compile=options.jit_compile)
        read = functools.partial(fitting_dataset, config=model.bert_config, vocabulary=vocabulary, options=options)
        results = make_evaluation(trainer, read, files, strategy, options)()
    if output_dir is not None and is_chief(strategy):
        write_results(output_dir, results)
    return results


def write_results(output_dir, results):
    """Writes {figure: value} to eval_results.json."""
    with atomic_path(Path(output_dir) / RESULTS) as temporary:
        temporary.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
