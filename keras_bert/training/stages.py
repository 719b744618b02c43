"""What each phase of a pre-training run trains on, is measured on, and costs."""

import functools
import math

from keras_bert.data.checking import check_counts, group_by_length, readable_files
from keras_bert.data.datasets import pretraining_dataset
from keras_bert.data.reading import first_layout
from keras_bert.errors import UserError
from keras_bert.models.checking import check_packed_length
from keras_bert.training.costs import Step
from keras_bert.training.loop import Stage
from keras_bert.training.sums import metrics_from_sums
from keras_bert.training.trainer import check_batch_size
from keras_bert.training.utilisation import measured_peak, step_flops, throughput
from keras_bert.training.workers import num_workers


def make_stages(trainer, model, vocabulary, files, held_out, strategy, options):
    """Returns the Stages of a run, after checking that the records of each phase are there and fit.

    Args:
        trainer: see `make_trainer`.
        model: the model that it trains.
        vocabulary: the records' Vocabulary, or None.
        files, held_out: paths of TFRecord files; `held_out` may be empty.
        strategy: what `keras_bert.strategy` gave.
        options: PretrainOptions.
    """
    config = model.bert_config
    read = functools.partial(fitting_dataset, config=config, vocabulary=vocabulary, options=options)
    train = group_by_length(files, skip_damaged=options.skip_damaged)
    dev = group_by_length(held_out, skip_damaged=options.skip_damaged) if held_out else {}
    stages, end, peak = [], 0, None
    for phase in options.phase_list:
        length = _length_of(phase, train, dev)
        check_batch_size(phase.train_batch_size, strategy.num_replicas_in_sync, options.gradient_accumulation_steps)
        masks = options.masks(first_step=end)
        records = functools.partial(_records, read, train[length], phase.train_batch_size, masks, options)
        predictions = records(0, ())(1, 0).element_spec[0]["masked_lm_positions"].shape[1]  # or what is wrong
        evaluate = make_evaluation(trainer, read, dev[length], strategy, options) if dev else None
        step = Step(train_batch_size=phase.train_batch_size, max_seq_length=length, max_predictions_per_seq=predictions)
        peak = _peak(options.dtype, strategy) if peak is None else peak
        speed = functools.partial(_speed, step, step_flops(config, step, **model.made_for), peak)
        end += phase.num_train_steps
        stages.append(Stage(end, records, evaluate, speed))
    return stages


def _length_of(phase, train, dev):
    """Returns the length of a phase's records, {length: files} being those to train on and those held out."""
    if phase.max_seq_length is None and len(train) > 1:
        raise UserError(
            f"The records have {len(train)} lengths, {', '.join(map(str, train))}; give the steps on each by phases "
            f"(--phases), such as {min(train)}:90%,{max(train)}:10%, or name records of one length."
        )
    length = min(train) if phase.max_seq_length is None else phase.max_seq_length
    for kind, groups in (("records", train), ("held-out records", dev)):
        if groups and length not in groups:
            raise UserError(
                f"There are no {kind} of {length} tokens, but of {', '.join(map(str, groups))}; make some, or choose "
                "phases of the lengths that there are."
            )
    return length


def _peak(dtype, strategy):
    """Returns the floating-point operations a second of all devices; of those of other workers it takes this one's."""
    if num_workers(strategy) == 1:
        return measured_peak(dtype, strategy=strategy)
    return measured_peak(dtype) * strategy.num_replicas_in_sync  # together they would wait for each other


def _speed(step, flops, peak, steps, tokens, seconds):
    examples = steps * step.train_batch_size
    return throughput(steps, examples=examples, tokens=tokens, seconds=seconds, flops=flops, peak=peak)


def _records(read, files, batch_size, masks, options, start_batch, skip_batches):
    """Returns the make_dataset of a phase's records from a batch on."""
    if start_batch and not options.skip_damaged:
        check_counts(files)  # by which whole epochs are passed over
    stream = {"start_batch": start_batch, "skip_batches": tuple(skip_batches), "seed": options.seed}
    return functools.partial(_share, read, files, batch_size=batch_size, **stream, **masks)


def are_packed(files, options):
    """Says whether records are rows of several texts, or raises a UserError if some are and others are not."""
    files, _ = readable_files(files, skip_damaged=options.skip_damaged)
    packed = {path: first_layout(path, skip_damaged=options.skip_damaged).packed for path in files}
    if len(set(packed.values())) > 1:
        one, other = (next(path for path in files if packed[path] is kind) for kind in (True, False))
        raise UserError(f"{one} has packed rows and {other} has one text a row; make both with the same --pack.")
    return packed[files[0]]


def make_evaluation(trainer, read, files, strategy, options):
    """Returns a function that gives {metric: value} on held-out records.

    Args:
        trainer: see `make_trainer`.
        read: callable(files, **options of `pretraining_dataset`) -> dataset.
        files: paths of TFRecord files.
        strategy: what `keras_bert.strategy` gave.
        options: PretrainOptions.
    """
    replicas = strategy.num_replicas_in_sync
    batch_size = math.ceil(options.eval_batch_size / replicas) * replicas
    once = {"shuffle": False, "repeat": False, "drop_remainder": False, "pad_remainder": True, "remask": False}
    masks = options.masks() if first_layout(files[0], skip_damaged=options.skip_damaged).dynamic else {}
    make = functools.partial(_share, read, files, batch_size=batch_size, **once, **masks)
    make(1, 0)  # what is wrong with them shows here

    def evaluate():
        figures = metrics_from_sums(trainer.evaluate(make, options.max_eval_steps), trainer.tasks)
        if "masked_lm_loss" in figures:
            figures["masked_lm_perplexity"] = math.exp(min(figures["masked_lm_loss"], 50.0))
        return figures

    return evaluate


def _share(read, files, num_shards, shard_index, **options):
    return read(files, num_shards=num_shards, shard_index=shard_index, **options)


def fitting_dataset(files, *, config, vocabulary, options, **reading):
    """Returns the `pretraining_dataset` of some files, or raises a UserError if the model cannot read them."""
    batches = pretraining_dataset(
        files,
        vocab_size=config.vocab_size,
        type_vocab_size=config.type_vocab_size if config.has_segments else None,  # else it does not read them
        vocabulary=vocabulary,
        skip_damaged=options.skip_damaged,
        **reading,
    )
    length = batches.element_spec[0]["input_ids"].shape[1]
    if length > config.max_length:
        raise UserError(
            f"{files[0]} has records of {length} tokens, but the model reads at most {config.max_length}; make shorter "
            "records, or take a model with more positions."
        )
    if "sequence_ids" in batches.element_spec[0]:
        check_packed_length(config, length)
    return batches
