"""Model directory -> SavedModel that answers raw strings: tokenizer, vocabulary and class names travel inside.

    keras-bert export --model_dir=classifier --output_dir=serving/sentiment/1
    keras-bert export --model_dir=classifier --format=onnx --output_dir=sentiment_onnx

For TF Serving, or for anything that loads a SavedModel and has tensorflow-text's operations. An ONNX or LiteRT
file takes ids and has the vocabulary beside it.
"""

import textwrap

from keras_bert.cli.embed import POOLINGS
from keras_bert.cli.flags import Group, add_bool, positive_int
from keras_bert.cli.startup import start_tensorflow

# A Python program for each format that asks what was written.
QUERIES = {
    "saved_model": """\
        import tensorflow as tf
        {text}
        model = tf.saved_model.load({path!r})
        print(model.signatures["serving_default"]({tensors}))
        """,
    "onnx": """\
        import numpy as np
        import onnxruntime

        session = onnxruntime.InferenceSession({file!r})
        print(session.run(None, dict({arrays})))
        """,
    "litert": """\
        import numpy as np
        from ai_edge_litert.interpreter import Interpreter

        answer = Interpreter({file!r}).get_signature_runner("serving_default")
        print(answer({arrays}))
        """,
}

MAIN = ("model_dir", "output_dir", "task", "format", "precision", "max_seq_length")


def add_arguments(parser):
    """Adds the flags."""
    model, answers, output = Group(parser, "model"), Group(parser, "answers"), Group(parser, "output")
    model.add_argument(
        "--model_dir", required=True, help="the model: our directory, a Google checkpoint or a Hugging Face directory"
    )
    output.add_argument(
        "--output_dir", required=True, help="directory to make; TF Serving wants a number last: serving/sentiment/1"
    )
    model.add_argument(
        "--task",
        help="embed, classify, tag, answer, choose or fill_mask (default: what the model was saved for, or embed)",
    )
    output.add_argument(
        "--format",
        choices=tuple(QUERIES),
        default="saved_model",
        help="saved_model, or a file for ONNX Runtime (onnx) or LiteRT (litert)",
    )
    output.add_argument(
        "--precision",
        choices=("float32", "bfloat16", "int8"),
        help="of a SavedModel's numbers: bfloat16 is half the size of float32, int8 a quarter (default: float32)",
    )
    output.add_argument(
        "--inputs",
        choices=("text", "ids"),
        help="text: raw strings; ids: for clients that tokenize themselves (default: text if the format can)",
    )
    model.add_argument(
        "--max_seq_length",
        type=positive_int,
        help="longer texts are cut or read in windows (default: as in training, or 128, for answer 384)",
    )
    answers.add_argument("--top_k", type=positive_int, default=5, help="fill_mask: guesses for a [MASK]")
    add_bool(answers, "pair", default=False, help="classify: two texts at a time, even if task.json does not say so")
    answers.add_argument(
        "--pooling",
        choices=POOLINGS,
        help=f"embed: {', '.join(POOLINGS)} of the last hidden states (default: the model's, or mean)",
    )
    answers.add_argument(
        "--prompt", metavar="TEXT", help="embed: text before each text; '' for none (default: the model's)"
    )
    answers.add_argument("--prompt_name", help="embed: instead, one of the model's prompts by name")
    add_bool(
        answers, "normalize", default=None, help="embed: give each vector length 1 (default: as the model, or true)"
    )
    add_bool(answers, "by_character", default=None, help="tag: tag characters, not words (default: as in training)")
    answers.add_argument(
        "--long_texts",
        choices=("cut", "windows"),
        help="classify: longer texts are cut, or read in overlapping windows (default: as in training)",
    )
    add_bool(output, "force", default=False, help="replace an exported model that is already in --output_dir")


def run(args):
    """Runs the command: prints what it resolved, what it wrote, the signature, and how to query it."""
    from keras_bert.checkpoints import open_checkpoint

    for note in open_checkpoint(args.model_dir).notes:  # and says what is wrong before TensorFlow starts
        print(f"note: {note}", flush=True)
    start_tensorflow()
    from keras_bert.serving.export import check_output, export
    from keras_bert.serving.loading import load
    from keras_bert.tasks.embed.vectors import vectors_of
    from keras_bert.tasks.rows import tasks

    check_output(args.output_dir, force=args.force, what="--output_dir")
    takes_text = (args.inputs or ("text" if args.format == "saved_model" else "ids")) == "text"
    loaded = load(args.model_dir, task=args.task, takes_text=takes_text)
    flags = ("max_seq_length", "pooling", "normalize", "prompt", "prompt_name", "by_character", "long_texts")
    given = {name: getattr(args, name) for name in flags if getattr(args, name) is not None}
    options = {**loaded.settings, **given}
    if loaded.task == "embed":
        named = ("max_seq_length", "pooling", "normalize", "prompt", "prompt_name")
        vectors = vectors_of(loaded.model, **{name: given[name] for name in named if name in given})
        print(f"vectors: {vectors}")
        options["max_seq_length"] = vectors.max_seq_length
    options.setdefault("max_seq_length", tasks()[loaded.task].length(loaded.model.bert_config))
    options |= {name: getattr(args, name) for name in ("top_k", "inputs", "format", "precision")}
    options["pair"] = args.pair or loaded.pair
    print(f"model: {args.model_dir} ({loaded})")
    print(f"task: {_describe_task(loaded, options)}", flush=True)
    exported = export(loaded.model, loaded.tokenizer, args.output_dir, force=args.force, **options)
    size = sum(file.stat().st_size for file in exported.path.rglob("*") if file.is_file())
    print(f"wrote {exported.path} ({size / 1e6:.1f} MB), signature serving_default:")
    signature = {"input": exported.inputs, "output": exported.outputs}
    signature = {kind: {name: _describe(spec) for name, spec in specs.items()} for kind, specs in signature.items()}
    for kind, specs in signature.items():
        for name, what in specs.items():
            print(f"  {kind:<6}  {name:<13}  {what}")
    print("query it from Python:\n")
    print(snippet(exported))
    return {"path": str(exported.path), "task": exported.task, **signature}


def snippet(exported):
    """Returns a Python program that asks an exported model, from any directory."""
    from keras_bert.serving.formats import FORMATS

    path = exported.path.resolve()
    rows = {name: value if isinstance(value, list) else value.tolist() for name, value in exported.example.items()}
    is_text = any(spec.dtype.name == "string" for spec in exported.inputs.values())
    return textwrap.dedent(QUERIES[exported.format]).format(
        text="import tensorflow_text  # the tokenizer's operations\n" if is_text else "",
        path=str(path),
        file=str(path / FORMATS[exported.format].file),
        tensors=", ".join(f"{name}=tf.constant({row!r})" for name, row in rows.items()),
        arrays=", ".join(f"{name}=np.array({row!r}, np.int32)" for name, row in rows.items()),
    )


def _describe_task(loaded, options):
    """Returns the task, what it knows of answers, and what it takes, in words."""
    what = loaded.task
    labels = getattr(loaded.model, "labels", None)
    if labels:
        kind = "tags" if loaded.task == "tag" else "classes"
        what += ", a score" if len(labels) == 1 else f", {len(labels)} {kind}: {_some(labels)}"
    takes = {"answer": "questions and contexts", "choose": "contexts with choices"}
    takes = takes.get(loaded.task, "pairs of texts" if options["pair"] else "texts")
    if loaded.task == "tag" and options.get("by_character"):
        takes = "texts, tagged character by character,"
    in_windows = loaded.task in ("tag", "answer") or options.get("long_texts") == "windows"
    windows = "in windows of" if in_windows else "of up to"
    return f"{what}; {takes} {windows} {options['max_seq_length']} tokens"


def _some(labels, most=8):
    names = [str(label) for label in labels]
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _describe(spec):
    """Writes a tensor's type and shape; the unknown first axis is the batch."""
    axes = ["batch", *("any" if size is None else str(size) for size in list(spec.shape)[1:])]
    return f"{spec.dtype.name} ({', '.join(axes)})"
