"""Model directory -> SavedModel that answers raw strings: tokenizer, vocabulary and class names travel inside.

For TF Serving, or for anything that loads a SavedModel and has tensorflow-text's operations.
"""

from keras_bert_cli.flags import add_bool, positive_int
from keras_bert_cli.startup import start_tensorflow

DEFAULT_LENGTH = 128


def add_arguments(parser):
    """Adds the flags."""
    parser.add_argument(
        "--model_dir", required=True, help="the model: our directory, a Google checkpoint or a Hugging Face directory"
    )
    parser.add_argument(
        "--output_dir", required=True, help="directory to make; TF Serving wants a number last: serving/sentiment/1"
    )
    parser.add_argument(
        "--task",
        help="embed (a vector for each text), classify, or fill_mask (default: what the model was saved for; "
        "embed for a bare encoder)",
    )
    parser.add_argument(
        "--max_seq_length",
        type=positive_int,
        help=f"longer texts are cut to this many tokens (default: {DEFAULT_LENGTH}, or all that the model can read)",
    )
    parser.add_argument("--top_k", type=positive_int, default=5, help="fill_mask: guesses for a [MASK] (default: 5)")
    add_bool(parser, "pair", default=False, help="classify: two texts at a time, even if task.json does not say so")
    add_bool(parser, "normalize", default=True, help="embed: give each vector length 1")
    add_bool(parser, "force", default=False, help="replace a SavedModel that stands at --output_dir")


def run(args):
    """Runs the command: prints what it resolved, what it wrote, the signature, and how to query it."""
    start_tensorflow()
    from keras_bert.serving.export import check_output, export
    from keras_bert.serving.heads import HEADS
    from keras_bert.serving.loading import load

    check_output(args.output_dir, force=args.force, what="--output_dir")
    loaded = load(args.model_dir, task=args.task)
    length = args.max_seq_length or min(DEFAULT_LENGTH, loaded.model.bert_config.max_position_embeddings)
    pair = args.pair or loaded.pair
    what = loaded.task
    if loaded.task == "classify":
        labels = loaded.model.labels
        what += ", a score" if len(labels) == 1 else f", {len(labels)} classes: {_some(labels)}"
    print(f"model: {args.model_dir} ({loaded})")
    print(f"task: {what}; {'pairs of texts' if pair else 'texts'} of up to {length} tokens", flush=True)
    exported = export(
        loaded.model,
        loaded.tokenizer,
        args.output_dir,
        max_seq_length=length,
        top_k=args.top_k,
        pair=pair,
        normalize=args.normalize,
        force=args.force,
    )
    size = sum(file.stat().st_size for file in exported.path.rglob("*") if file.is_file())
    print(f"wrote {exported.path} ({size / 1e6:.1f} MB), signature serving_default:")
    signature = {"input": exported.inputs, "output": exported.outputs}
    signature = {kind: {name: _describe(spec) for name, spec in specs.items()} for kind, specs in signature.items()}
    for kind, specs in signature.items():
        for name, what in specs.items():
            print(f"  {kind:<6}  {name:<13}  {what}")
    print("query it from Python:\n")
    print(snippet(exported, HEADS[exported.task].example))
    return {"path": str(exported.path), "task": exported.task, **signature}


def snippet(exported, example):
    """Returns a Python program that asks the SavedModel, from any directory."""
    arguments = ", ".join(
        f"{name}=tf.constant([{text!r}])"
        for name, text in zip(exported.inputs, (example, "A second text."), strict=False)
    )
    return (
        "import tensorflow as tf\n"
        "import tensorflow_text  # the tokenizer's operations\n"
        "\n"
        f"model = tf.saved_model.load({str(exported.path.resolve())!r})\n"
        f'print(model.signatures["serving_default"]({arguments}))\n'
    )


def _some(labels, most=8):
    names = [str(label) for label in labels]
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _describe(spec):
    """Writes a tensor's type and shape; the unknown first axis is the batch."""
    axes = ["batch", *("any" if size is None else str(size) for size in list(spec.shape)[1:])]
    return f"{spec.dtype.name} ({', '.join(axes)})"
