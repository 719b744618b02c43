"""What the fine-tuning commands do with a model that was fine-tuned before: how it reads, and what it measures."""

from pathlib import Path

CONFIGURATIONS = ("config.json", "bert_config.json")  # today's, and that of older directories and Google's


def find_configuration(folder):
    """Returns the path of the file by which a folder is a model's directory, or None."""
    places = (Path(folder) / name for name in CONFIGURATIONS)
    return next((place for place in places if place.exists()), None)


def settle_reading(args, checkpoint):
    """Gives the flags of reading that were left out their values: a saved model's own, if it is to answer.

    Returns:
        {name: value}, to be kept with the model.
    """
    answers = checkpoint is not None and not getattr(args, "do_train", True)
    kept = checkpoint.task.get("reading") or {} if answers else {}
    for name, default in args.reading.items():
        if getattr(args, name) is None:
            setattr(args, name, default if kept.get(name) is None else kept[name])
    return {name: getattr(args, name) for name in args.reading}


def take_saved_model(args, *, what="model", remedy="add --train_file"):
    """Makes the flags of a command that does not train name its model: that in --output_dir, or --init_checkpoint.

    Args:
        args: the flags.
        what: what is looked for.
        remedy: what would make it if it is missing.

    Raises:
        UserError: neither is there.
    """
    from keras_bert.errors import UserError

    saved = args.output_dir if find_configuration(args.output_dir) else args.init_checkpoint
    if not saved:
        raise UserError(
            f"Nothing to answer with: {args.output_dir} holds no {what}; {remedy}, or name a fine-tuned model by "
            "--init_checkpoint."
        )
    args.init_checkpoint, args.from_scratch = str(saved), False
    args.bert_config_file = args.dropout = args.electra_net = args.num_attention_heads = None


def update_results(output_dir, results, name="eval_results.json"):
    """Writes the figures of a model that was not trained now into a file, beside others of the same model."""
    from keras_bert.files import read_json
    from keras_bert.tasks.runs import write_results

    file = Path(output_dir) / name
    known = read_json(file, what="The results") if find_configuration(output_dir) and file.exists() else {}
    write_results(output_dir, {**known, **results}, name=name)
