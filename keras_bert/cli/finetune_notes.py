"""What the fine-tuning commands print: the device, the vocabulary, the model, and how several runs went."""

import math

from keras_bert.cli.finetune_flags import GRID_FLAGS

FEW_STEPS = 100


def print_device(args):
    """Prints the kinds of devices and the arithmetic."""
    import tensorflow as tf

    kinds = ", ".join(sorted({device.device_type for device in tf.config.list_logical_devices()}))
    print(f"device: {kinds}, {args.dtype}")


def print_vocabulary(tokenizer):
    """Prints the vocabulary's size and the tokenizer's rules."""
    print(f"vocabulary: {len(tokenizer):,} entries, {tokenizer.described}")


def print_shared(train, held_out):
    """Prints how many held-out texts the training has too, if it has any.

    Args:
        train, held_out: lists of str, or of tuples of str.
    """
    from keras_bert.tasks.splitting import count_shared

    shared = count_shared(train, held_out)
    if shared:
        print(
            f"note: {shared:,} of {len(held_out):,} held-out texts stand in the training file too, so the figures are "
            "better than on new texts"
        )


def print_model(args, model):
    """Prints the model's size, where its weights come from, and the schedule of its training."""
    config, report = model.bert_config, getattr(model, "load_report", None)
    shape = f"{config.num_hidden_layers} layers, hidden size {config.hidden_size}, {model.count_params():,} weights"
    print(f"model: {shape}, " + ("fresh" if report is None else f"from {args.init_checkpoint}"))
    if report is not None:
        print(
            f"checkpoint: {len(report.loaded)} weights loaded, {len(report.unused)} of other heads left; "
            f"newly initialised: {', '.join(report.new) or 'none'}"
        )
    unknown = config.unknown_fields()
    for note in report.notes if report is not None else [unknown] if unknown else []:
        print(f"note: {note}")
    if args.freeze_encoder:
        print(f"frozen: the encoder; {sum(math.prod(v.shape) for v in model.trainable_variables):,} weights train")
    length = f"{args.num_train_steps:,} steps" if args.num_train_steps else f"{args.num_train_epochs:g} epochs"
    points = f", a grid of {len(args.grid)} points" if args.grid else ""
    runs = f", {args.num_runs} runs" if args.num_runs > 1 else ""
    print(
        f"schedule: {length} of batch {args.train_batch_size}, peak rate {args.learning_rate:g}{points}{runs}",
        flush=True,
    )


def print_runs(results, metric):
    """Prints the mean and standard deviation of several runs, which was saved, and which failed.

    Of a run that was very short it says so.

    Args:
        results: those of `best_of_runs`.
        metric: the figure by which the best was chosen.
    """
    runs = results["runs"]
    if results["global_step"] < FEW_STEPS:
        print(
            f"note: these were {results['global_step']} steps; small tables often want more of them "
            "(--num_train_epochs), and small models a higher --learning_rate"
        )
    settings = [name for _, (name, _) in sorted(GRID_FLAGS.items()) if name in runs[0]]
    for run in runs:
        at = "".join(f", {name} {run[name]:g}" for name in settings)
        if "failed" in run:
            print(f"failed: seed {run['seed']}{at}, left out of the means: {run['failed']}")
        elif "stopped" in run:
            print(f"stopped: seed {run['seed']}{at}, with the weights of its best epoch: {run['stopped']}")
    if len(runs) == 1:
        return
    runs, points = [run for run in runs if "failed" not in run], {}
    for run in runs:
        points.setdefault(tuple(run[name] for name in settings), []).append(run[metric])
    best = tuple(results[name] for name in settings)
    for point, figures in points.items() if len(points) > 1 else ():
        at = ", ".join(f"{name} {value:g}" for name, value in zip(settings, point, strict=True))
        print(f"{at}: {metric} {sum(figures) / len(figures):.4f}" + (" (the best)" if point == best else ""))
    figures = points[best]
    if len(figures) > 1:
        each = ", ".join(f"{figure:.4f}" for figure in figures)
        mean, sd = results[f"{metric}_mean"], results[f"{metric}_sd"]
        spread = f"{metric} {mean:.4f} ± {sd:.4f} ({each})"
        print(f"{len(figures)} runs: {spread}; the best, seed {results['seed']}, is saved")
