"""A saved classifier -> predictions for a table, or for a file with one text a line.

    keras-bert predict --model_dir classifier --input_file new.tsv --output_file answers.tsv

Columns, lengths and windows are those of the training (task.json keeps them), unless flags say otherwise. The output
has the texts, the answer and every class's probability: .tsv, or .jsonl with an object a text.
"""

import time
from pathlib import Path

from keras_bert_cli.flags import add_bool, positive_int
from keras_bert_cli.startup import start_tensorflow


def add_arguments(parser):
    """Adds the flags; None takes what the model was trained with."""
    parser.add_argument("--model_dir", required=True, help="a model that keras-bert classify wrote")
    parser.add_argument(
        "--input_file", required=True, help="a table (.tsv, .csv, .jsonl), or any other file with one text a line"
    )
    parser.add_argument("--output_file", required=True, help="the predictions: .tsv or .jsonl")
    parser.add_argument("--text_column", help="column of the text")
    parser.add_argument("--pair_column", help="column of the second text, for pairs")
    parser.add_argument("--id_column", help="a column to copy beside the predictions")
    parser.add_argument("--max_seq_length", type=positive_int, help="tokens that the model reads at a time")
    parser.add_argument("--long_texts", choices=("cut", "windows"), help="what becomes of longer texts")
    parser.add_argument("--doc_stride", type=positive_int, help="tokens from one window to the next")
    parser.add_argument("--predict_batch_size", type=positive_int, default=32, help="texts at a time (default: 32)")
    parser.add_argument(
        "--dtype", default="float32", choices=("float32", "mixed_bfloat16"), help="arithmetic (default: float32)"
    )
    add_bool(parser, "force", default=False, help="replace the output file if it is there")


def run(args):
    """Runs the command: prints what it resolved, predicts, and says what it wrote. Returns the path."""
    from keras_bert.checkpoints import check_place
    from keras_bert.files import refuse_existing
    from keras_bert.tasks.examples import read_inputs
    from keras_bert.tasks.table import check_writable, is_table, write_table
    from keras_bert_cli.progress import Progress, clock

    begin = time.monotonic()
    output = Path(args.output_file)
    check_writable(output, what="--output_file")
    check_place(output.parent)
    if not args.force:
        refuse_existing(output, what="--output_file", remedy="add --force to replace it")
    start_tensorflow()
    from keras_bert.tasks.saved import load_classifier

    saved = load_classifier(args.model_dir, dtype=args.dtype)
    flags = {name: value for name, value in vars(args).items() if name in DEFAULTS and value is not None}
    reading = {**DEFAULTS, **saved.reading, **flags}
    reading["max_seq_length"] = min(reading["max_seq_length"], _most_tokens(args, saved))
    pair_column = reading["pair_column"] if args.pair_column or is_table(args.input_file) else None
    examples = read_inputs(
        args.input_file, text_column=reading["text_column"], pair_column=pair_column, id_column=args.id_column
    )
    _print_resolved(args, saved, examples, reading)
    with Progress() as progress:
        columns = saved.predictions(
            examples,
            batch_size=args.predict_batch_size,
            progress=progress,
            **{name: reading[name] for name in ("max_seq_length", "long_texts", "doc_stride")},
        )
    write_table(output, columns, separator=reading["label_separator"])
    print(f"wrote in {clock(time.monotonic() - begin)}: {output}, {len(examples):,} predictions")
    return str(output)


# What a model was trained with that keras-bert classify did not write.
DEFAULTS = {
    "text_column": "text",
    "pair_column": None,
    "label_separator": ",",
    "max_seq_length": 128,
    "long_texts": "cut",
    "doc_stride": None,
}


def _most_tokens(args, saved):
    """Returns the model's positions; a --max_seq_length past them is an error."""
    from keras_bert.serving.inputs import check_length

    if args.max_seq_length:
        check_length(saved.model.bert_config, args.max_seq_length, pair=saved.model.pair)
    return saved.model.bert_config.max_position_embeddings


def _print_resolved(args, saved, examples, reading):
    from keras_bert.tasks.table import shorten

    model = saved.model
    answers = {
        "classes": f"one of {len(model.labels)} classes: {shorten(model.labels)}",
        "multi_label": f"any of {len(model.labels)} labels: {shorten(model.labels)}",
        "regression": "a number",
    }
    config = model.bert_config
    shape = f"{config.num_hidden_layers} layers, hidden size {config.hidden_size}"
    print(f"model: {args.model_dir} ({shape}, {args.dtype}), answers with {answers[model.kind]}")
    kind = "texts" if examples.pairs is None else "pairs"
    longer = "cut" if reading["long_texts"] == "cut" else "read in windows"
    print(f"input: {len(examples):,} {kind} of {args.input_file}; longer than {reading['max_seq_length']}: {longer}")
