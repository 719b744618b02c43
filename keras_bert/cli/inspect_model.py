"""What a model is and what pre-training it costs: parameters, arithmetic, memory, the largest batch that fits."""

import argparse
import json
import os
import re

from keras_bert.cli.checkpoint_flags import add_checkpoint_flags, checkpoint_options
from keras_bert.cli.flags import Group, positive_int
from keras_bert.cli.pretrain_flags import add_objective_flags

PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
WAYS = {
    "float32": {"dtype": "float32"},
    "with remat": {"dtype": "float32", "remat": True},
    "mixed_bfloat16": {"dtype": "mixed_bfloat16"},
    "bfloat16, remat": {"dtype": "mixed_bfloat16", "remat": True},
}
MEMORY_ROWS = {
    "weights": "weights",
    "copies": "weights in 16 bits",
    "optimizer": "optimizer ({optimizer})",
    "gradients": "gradients, as activations go",
    "activations": "activations",
    "temporaries": "largest temporaries",
    "unused": "unused by the allocator",
    "graph": "the graph itself",
    "peak": "together, at the peak",
}
SHOWN_ARRAYS = 5
PRETRAINING = "the heads of pre-training"
MAIN = ("bert_config_file", "max_seq_length", "train_batch_size", "optimizer", "memory", "lengths")
DEFAULT_LENGTH = 128  # max_seq_length of run_pretraining.py
LENGTHS = (512, 1024, 4096, 8192)  # texts whose cost is shown, of models that read longer ones than BERT
COLUMN = 12


def memory_size(text):
    """An argparse type for amounts of memory, in bytes.

    >>> memory_size("16GB"), memory_size("80 gib")
    (16000000000, 85899345920)
    """
    match = re.fullmatch(r"(\d+\.?\d*)\s*([kmgt]?i?)b?", text.lower())
    if not match or match[2] not in UNITS or not float(match[1]):
        raise argparse.ArgumentTypeError(f"expected an amount such as 16GB or 80GiB, received {text!r}")
    return round(float(match[1]) * UNITS[match[2]])


def text_lengths(text):
    """An argparse type for lengths of texts, in tokens.

    >>> text_lengths("512,1024")
    (512, 1024)
    """
    lengths = text.split(",")
    if not all(length.strip().isdecimal() and int(length) > 0 for length in lengths) or len(lengths) > len(LENGTHS):
        raise argparse.ArgumentTypeError(f"expected one to {len(LENGTHS)} lengths such as 512,4096, received {text!r}")
    return tuple(sorted({int(length) for length in lengths}))


def add_arguments(parser):
    """Adds the flags."""
    model, training = Group(parser, "model"), Group(parser, "training")
    model.add_argument(
        "--bert_config_file",
        help="instead of MODEL: a configuration file, or a size such as base, L-4_H-256 or roberta-base",
    )
    training.add_argument(
        "--max_seq_length", type=positive_int, help="tokens an example (default: 128, or the model's maximum)"
    )
    training.add_argument("--train_batch_size", type=positive_int, default=32, help="examples a step")
    training.add_argument(
        "--max_predictions_per_seq", type=positive_int, help="masked positions an example (default: 15%% of its tokens)"
    )
    training.add_argument("--optimizer", choices=("adamw", "lamb", "muon"), default="adamw", help="optimizer")
    training.add_argument(
        "--memory",
        type=memory_size,
        metavar="SIZE",
        help="find the largest batch for this memory, such as 16GB (default: this machine's)",
    )
    training.add_argument(
        "--lengths",
        type=text_lengths,
        metavar="TOKENS,TOKENS,...",
        help="show what texts of these lengths cost, each kind of attention by itself (default: 512,1024,4096,8192, "
        "as far as the model reads, of one that reads over 512)",
    )
    add_objective_flags(parser)
    add_checkpoint_flags(parser)
    Group(parser, "output").add_argument("--json", action="store_true", help="print the figures as one JSON object")


def run(args):
    """Runs the command. Returns the figures as a dict."""
    from keras_bert.config import Config
    from keras_bert.errors import UserError

    if (args.model is None) == (args.bert_config_file is None):
        raise UserError("give a model directory or a size, or else a size or file by --bert_config_file.")
    if args.model is None or _is_size(args.model):
        name = args.bert_config_file or args.model
        config, lines = Config.from_name_or_file(name), [f"model: {name}"]
        unknown = config.unknown_fields()
        lines += [f"note: {unknown}"] if unknown else []
        figures = _figures(config, args)
    else:
        from keras_bert.checkpoints import open_checkpoint

        checkpoint = open_checkpoint(args.model, allow_missing=True, **checkpoint_options(args))
        config, about = checkpoint.config, _about(checkpoint, args.model)
        lines = _described(about, checkpoint)
        figures = {"model": about, **_figures(config, args, checkpoint)}
    if args.json:
        print(json.dumps(figures, indent=2))
    else:
        print("\n".join([*lines, _shape(config), *_tables(figures, args)]))
    return figures


def _is_size(model):
    """Says whether MODEL is a size by its name, such as "base", and nothing that lies there."""
    from keras_bert.config import MINIATURE
    from keras_bert.families import FAMILIES

    is_name = any(model in family.sizes for family in FAMILIES.values()) or MINIATURE.fullmatch(model)
    return not os.path.exists(model) and bool(is_name)


def _about(checkpoint, path):
    """Returns what lies there as a dict: format, task, vocabulary."""
    from keras_bert.checkpoints import find_format
    from keras_bert.errors import UserError
    from keras_bert.text.kinds import kind_of
    from keras_bert.text.tokenizer import Tokenizer

    vocabulary, notes = None, []
    if kind_of(checkpoint.folder) is not None:
        try:
            tokenizer = Tokenizer.from_pretrained(checkpoint.folder)
            vocabulary = {
                "entries": len(tokenizer),
                "kind": tokenizer.kind,
                "do_lower_case": tokenizer.do_lower_case,
                "rules": tokenizer.described,
            }
        except UserError as error:
            notes.append(f"its tokenizer cannot be used: {error}")
    return {
        "path": str(path),
        "format": find_format(path),
        "task": checkpoint.task,
        "vocabulary": vocabulary,
        "missing": [file.name for file in checkpoint.missing],
        "notes": [*checkpoint.notes, *notes],
    }


def _described(about, checkpoint):
    """Returns what lies there as lines: `_about`, and the arrays."""
    from keras_bert.checkpoints import FORMATS

    task = about["task"]
    told = [f"{name} {value}" for name, value in task.items() if name != "task"]
    return [
        f"model: {about['path']}, {FORMATS[about['format']].what}",
        f"task: {', '.join([task.get('task', 'not told'), *told])}",
        _vocabulary(about["vocabulary"], checkpoint.config.vocab_size),
        *(f"weights: {name} is missing; names and shapes are the index's" for name in about["missing"]),
        *_arrays(checkpoint),
        *(f"note: {note}" for note in about["notes"]),
    ]


def _vocabulary(found, expected):
    """Returns a line on the vocabulary beside the weights."""
    if found is None:
        return "vocabulary: none beside the weights"
    verdict = ""
    if found["entries"] > expected:
        verdict = f", but the configuration's vocab_size is {expected:,}"
    elif found["entries"] < expected:
        verdict = f"; the model has {expected - found['entries']:,} more rows, which are never looked up"
    return f"vocabulary: {found['entries']:,} tokens, {found['rules']}{verdict}"


def _arrays(checkpoint):
    """Yields how many arrays there are, and which are not the encoder's, such as those of ELECTRA's other net."""
    from keras_bert.checkpoints.parts import all_head_weights, array_shapes, encoder_parts

    found, encoder = checkpoint.shapes, array_shapes(encoder_parts(checkpoint.config))
    heads = {weight.name for weight in all_head_weights(checkpoint.config)}
    yield f"arrays: {len(found)}, of the encoder {len(encoder.keys() & found.keys())} of {len(encoder)}"
    for what, names in (
        ("missing", [name for name in encoder if name not in found]),  # the pooler, which may be
        ("heads", [name for name in found if name in heads]),
        ("not read", [name for name in found if name not in encoder and name not in heads]),
    ):
        if names:
            more = f" and {len(names) - SHOWN_ARRAYS} more" if len(names) > SHOWN_ARRAYS else ""
            yield f"{what}: {', '.join(names[:SHOWN_ARRAYS])}{more}"


def _shape(config):
    """Returns lines on the family and the sizes of a Config."""
    from keras_bert.families import find_family

    layers, kept = len(config.passes), config.num_block_weights
    shared = f" with {kept} set{'s' if kept > 1 else ''} of weights" if kept < layers else ""
    width = f"embedding size {config.embedding_width}, " if config.embedding_width != config.hidden_size else ""
    longest = f" for {config.max_length} tokens" if config.max_length < config.max_position_embeddings else ""
    return (
        f"family: {find_family(config.family).title}\n"
        f"sizes: {layers} layers{shared}, {width}hidden size {config.hidden_size}, {config.num_attention_heads} heads, "
        f"intermediate size {config.intermediate_size}, vocabulary {config.vocab_size:,}, "
        f"{config.max_position_embeddings} positions{longest}, {config.hidden_act}"
    )


def _counted_heads(config, objectives, checkpoint):
    """Returns the Parts of the heads to count, and what to call them: the model's own, or else pre-training's."""
    from keras_bert.checkpoints.parts import pretraining_parts
    from keras_bert.training.costs import head_parts

    usual = pretraining_parts(config, objectives)
    own = [] if checkpoint is None else head_parts(config, checkpoint.shapes)
    names = [part.name for part in own]
    if names and (len(names) == 1 or names != [part.name for part in usual]):
        return own, f"its {' and '.join(names)}"
    return own or usual, PRETRAINING if own or checkpoint is None else f"{PRETRAINING}, which it lacks"


def _figures(config, args, checkpoint=None):
    """Returns all figures as a dict, bytes and floating-point operations throughout.

    Args:
        config: a Config.
        args: the parsed flags.
        checkpoint: an opened Checkpoint, if there is one.
    """
    import dataclasses

    from keras_bert.checkpoints.parts import encoder_parts, machine_memory, pretraining_parts
    from keras_bert.errors import UserError
    from keras_bert.training import costs
    from keras_bert.training.memory import largest_batch, step_memory

    step = costs.Step(
        train_batch_size=args.train_batch_size,
        max_seq_length=args.max_seq_length or min(DEFAULT_LENGTH, config.max_length),
        max_predictions_per_seq=args.max_predictions_per_seq,
    )
    step.check_fits(config)
    capacity = args.memory or machine_memory()
    objectives, made_for = _made_for(config, args, checkpoint)
    encoder, (heads, counted) = encoder_parts(config), _counted_heads(config, objectives, checkpoint)
    generator = made_for["generator"]
    beside = [] if generator is None else [*encoder_parts(generator), *pretraining_parts(generator, ["masked_lm"])]
    once, again = (costs.count_flops(config, step, remat=remat, **made_for) for remat in (False, True))
    passes = {"forward": once.forward, "training": once.training, "training_with_remat": again.training}
    tokens = step.train_batch_size * step.max_seq_length
    memory, least = {}, []
    for way, options in WAYS.items():
        options = {**options, **made_for, "sharing": args.embedding_sharing, "optimizer": args.optimizer}
        figures = step_memory(config, step, **options)
        least.append(step_memory(config, dataclasses.replace(step, train_batch_size=1), **options).peak)
        memory[way] = {row: getattr(figures, row) for row in MEMORY_ROWS}
        memory[way]["largest_batch"] = largest_batch(config, step, capacity, **options)
    if args.memory and min(least) > args.memory:
        raise UserError(
            f"--memory is {_amount(args.memory, 'B')}, but a step of one example takes at the least "
            f"{_amount(min(least), 'B')}; take shorter sequences, a smaller model, or more memory."
        )
    return {
        "family": config.family,
        "config": config.to_dict(),
        "step": {**dataclasses.asdict(step), "max_predictions_per_seq": step.predictions},
        "parameters": {
            "parts": [{"name": part.name, "each": part.each, "times": part.times} for part in (*encoder, *heads)],
            "heads": counted,
            "encoder": sum(part.total for part in encoder),
            "total": sum(part.total for part in (*encoder, *heads)),
            "pretrainer": sum(part.total for part in (*encoder, *pretraining_parts(config, objectives))),
            **({"generator": sum(part.total for part in beside)} if beside else {}),
        },
        "flops": {
            "products": costs.by_name(costs.step_products(config, step, **made_for)),
            **{f"{name}_per_token": number / tokens for name, number in passes.items()},
            **{f"{name}_per_step": number for name, number in passes.items()},
            "update_per_step": costs.update_flops(config, args.optimizer, generator=generator),
        },
        "memory": memory,
        "capacity": capacity,
        "lengths": _length_figures(config, args, made_for),
    }


def _made_for(config, args, checkpoint):
    """Returns what a model is pre-trained for, and the same with its generator, if it has one, as costs.py takes it."""
    from keras_bert.checkpoints.parts import own_objectives
    from keras_bert.config.generator import GeneratorSize

    objectives = own_objectives(config, None if checkpoint is None else checkpoint.task.get("objectives"))
    chosen = {"mlm": ("masked_lm",), "rtd": ("replaced_tokens",)}.get(args.objective, objectives)
    size = GeneratorSize(
        hidden_size=args.generator_hidden_size, layers=args.generator_layers, sharing=args.embedding_sharing
    )
    generator = size.config(config) if "replaced_tokens" in chosen else None
    return chosen, {"objectives": chosen, "generator": generator}


def _length_figures(config, args, made_for):
    """Returns what one text of each length costs as a dict, of the whole model and of a block of each kind."""
    from keras_bert.training import costs
    from keras_bert.training.memory import block_memory, step_memory
    from keras_bert.training.scores import kinds

    steps = {}
    for length in args.lengths or [length for length in LENGTHS if length <= config.max_length]:
        steps[length] = costs.Step(train_batch_size=1, max_seq_length=length)
        steps[length].check_fits(config)
    flops = {length: costs.count_flops(config, step, **made_for) for length, step in steps.items()}
    options = {"optimizer": args.optimizer, "sharing": args.embedding_sharing, **made_for}
    return {
        "tokens": list(steps),
        "forward": [flops[length].forward for length in steps],
        "training": [flops[length].training for length in steps],
        "peak": {
            dtype: [step_memory(config, step, dtype=dtype, **options).peak for step in steps.values()]
            for dtype in ("float32", "mixed_bfloat16")
        },
        "kinds": [
            {
                "sees": kind.title,
                "blocks": kind.blocks,
                "pays_from": kind.pays_from,
                "forward": [costs.block_flops(config, step, kind.index) for step in steps.values()],
                "activations": [block_memory(config, step, kind.index) for step in steps.values()],
            }
            for kind in kinds(config)
        ],
    }


def _amount(number, unit):
    """Writes a number of bytes or operations with three digits.

    >>> _amount(16e9, "B"), _amount(191594201088, "FLOP"), _amount(0, "B")
    ('16.0 GB', '192 GFLOP', '0 B')
    """
    size, prefix = next(((size, prefix) for size, prefix in PREFIXES if number >= 0.9995 * size), (1, ""))
    digits = 0 if number >= 99.95 * size or size == 1 else 1 if number >= 9.995 * size else 2
    return f"{number / size:,.{digits}f} {prefix}{unit}"


def _tables(figures, args):
    """Yields the figures as lines."""
    yield from _parameter_table(figures["parameters"])
    yield from _flops_table(figures["flops"], figures["step"])
    yield from _update(figures["flops"])
    yield from _memory_table(figures, args)
    if args.lengths or len(figures["lengths"]["tokens"]) > 1:
        yield from _length_table(figures["lengths"])


def _parameter_table(parameters):
    """Yields the parameters by part as lines."""
    total = parameters["total"]
    if "generator" in parameters:
        yield f"\ngenerator of pre-training: {parameters['generator']:,} parameters, with those of its embeddings"
    yield f"\nparameters: {total:,} with {parameters['heads']}, {parameters['encoder']:,} without"
    for part in parameters["parts"]:
        number = part["each"] * part["times"]
        copies = f" = {part['times']} x {part['each']:,}" if part["times"] > 1 else ""
        yield f"  {part['name']:<28}{number:>14,}{number / total:>7.1%}{copies}"


def _flops_table(flops, step):
    """Yields the arithmetic as lines."""
    yield (
        "\narithmetic of pre-training: 2 m k n FLOP a matrix product, the backward pass as two forward passes "
        "(Kaplan et al. 2020, section 2.1)"
    )
    forward, examples, length = sum(flops["products"].values()), step["train_batch_size"], step["max_seq_length"]
    for name, number in flops["products"].items():
        yield f"  {name:<28}{_amount(number / (examples * length), 'FLOP'):>14}{number / forward:>7.1%}"
    names = {"forward": "forward", "training": "training", "training_with_remat": "training with remat"}
    tokens = f"a step of {examples} x {length} tokens, {step['max_predictions_per_seq']} predictions each"
    for per, what in (("token", "a token"), ("step", tokens)):
        passes = (f"{name} {_amount(flops[f'{key}_per_{per}'], 'FLOP')}" for key, name in names.items())
        yield f"  {what}: {', '.join(passes)}"


def _update(flops):
    """Yields a line on the optimizer's update, if it has matrix products."""
    if flops["update_per_step"]:
        yield f"  the update by Muon, whatever the batch: {_amount(flops['update_per_step'], 'FLOP')}"


def _memory_table(figures, args):
    """Yields the memory of a step in every way as lines."""
    memory = figures["memory"]
    yield "\n" + f"{'memory of a pre-training step':<30}" + "".join(f"{way:>17}" for way in memory)
    for row, name in MEMORY_ROWS.items():
        yield f"  {name.format(optimizer=args.optimizer):<28}" + "".join(
            f"{_amount(m[row], 'B'):>17}" for m in memory.values()
        )
    largest = f"largest batch in {_amount(figures['capacity'], 'B')}"
    yield f"  {largest:<28}" + "".join(f"{m['largest_batch'] or 'none':>17}" for m in memory.values())


def _length_table(lengths):
    """Yields what one text of each length costs as lines, of the whole model and of a block of each kind."""

    def row(name, numbers, unit):
        return f"  {name:<29}" + "".join(f"{_amount(number, unit):>{COLUMN}}" for number in numbers)

    yield f"\n{'one text, by its tokens':<31}" + "".join(f"{tokens:>{COLUMN},}" for tokens in lengths["tokens"])
    for name in ("forward", "training"):
        yield row(name, lengths[name], "FLOP")
    for dtype, peaks in lengths["peak"].items():
        yield row(f"memory, {dtype}", peaks, "B")
    for kind in lengths["kinds"]:
        blocks = f"{kind['blocks']} blocks" if kind["blocks"] > 1 else "1 block"
        yield f"one of {blocks} that see {kind['sees']}"
        yield row("forward", kind["forward"], "FLOP")
        yield row("activations, float32", kind["activations"], "B")
    for kind in lengths["kinds"]:
        if kind["pays_from"] is not None:
            yield f"attention to {kind['sees']} pays from {kind['pays_from']:,} tokens on"
