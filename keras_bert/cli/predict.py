"""A fine-tuned model -> its answers: for texts in the shell, JSON lines, or a table.

    keras-bert predict --model_dir classifier "A fine film." "Two hours of my life."
    cat reviews.txt | keras-bert predict --model_dir classifier > answers.jsonl
    keras-bert predict --model_dir reader '{"question": "Who came?", "context": "Rollo came in 911."}'
    keras-bert predict --model_dir classifier --input_file new.tsv --output_file answers.tsv
    keras-bert predict --model_dir classifier --input_file test.tsv --label_column label --output_file test_answers.tsv

Without --input_file texts come from the command line or from standard input; without --output_file answers go to
standard output, one for each text and in order, as soon as no more has come. The model is loaded once.

    head            asked by                 answers with
    classify        a text; {"text", "pair"} {"text", "label", "probability",
                                             "probabilities": {class: p}};
                                             several {"labels"}, or {"score"}
    tag             a text                   {"text", "tokens": [{"token",
                                             "start", "end", "label", "score"}]}
    answer          {"question", "context"}  {"text", "score", "start", "end"},
                                             SQuAD 2.0 {"null_score"} too
    choose          {"context", "choices"}   {"choice", "probabilities"}

A line is a text, even if it is blank or begins with a brace; with --input_format=json it is an object, and blank lines
are skipped. Lengths, windows and columns are those of the training (task.json keeps them), unless flags say otherwise.
Answers to a table with labels are measured by --label_column.
"""

import sys
import time
from pathlib import Path

from keras_bert.cli import streams
from keras_bert.cli.flags import Group, add_bool, positive_int
from keras_bert.cli.json_lines import write_json_lines
from keras_bert.cli.predict_inputs import inputs_of
from keras_bert.cli.progress import Progress, clock
from keras_bert.cli.startup import start_tensorflow

MAIN = ("model_dir", "input_file", "output_file", "input_format", "label_column", "format")


def add_arguments(parser):
    """Adds the flags; None takes what the model was trained with."""
    data, model = Group(parser, "data"), Group(parser, "model")
    output, trained = Group(parser, "output"), "(default: as in training)"
    rare = Group(parser, "model", rare=True)
    model.add_argument(
        "--model_dir", required=True, help="a model that classify, tag, answer, choose or glue fine-tuned"
    )
    streams.add_stream_flags(parser, "a text, or an object", batch_size=("--batch_size", "--predict_batch_size"))
    data.add_argument(
        "--input_file", help="a table (.tsv, .csv, .jsonl) for classifiers, or any other file with one text a line"
    )
    output.add_argument("--output_file", help="where to write the answers: .tsv of classifiers, or .jsonl")
    data.add_argument(
        "--input_format",
        choices=("text", "json"),
        help="what a line or TEXT is (default: text; json for .jsonl files, and for models that take more than a text)",
    )
    data.add_argument("--text_column", help=f"column, or key of an object, of the text {trained}")
    data.add_argument("--pair_column", help=f"the same of the second text, for pairs {trained}")
    data.add_argument("--id_column", help="the same of what is copied next to the answers")
    data.add_argument(
        "--label_column",
        help="tables of classifiers: column of the labels to measure the answers by, or several columns as a,b,c",
    )
    model.add_argument("--max_seq_length", type=positive_int, help=f"tokens that the model reads at once {trained}")
    model.add_argument(
        "--long_texts",
        choices=("cut", "windows"),
        help=f"classifiers: longer texts are cut, or read in overlapping windows {trained}",
    )
    rare.add_argument("--doc_stride", type=positive_int, help=f"tokens from one window to the next {trained}")
    rare.add_argument("--max_query_length", type=positive_int, help=f"answer: longer questions are cut {trained}")
    add_bool(rare, "by_character", default=None, help=f"tag: tag characters, not words {trained}")
    Group(parser, "devices").add_argument(
        "--dtype", default="float32", choices=("float32", "mixed_bfloat16"), help="arithmetic"
    )
    add_bool(output, "force", default=False, help="replace --output_file")


def run(args):
    """Runs the command: says what it resolved, and answers.

    Returns:
        The path of the output file, or the answers to the texts of the command line.
    """
    begin = time.monotonic()
    source = streams.Source(args.texts, [args.input_file] if args.input_file else [])
    _check_files(args)
    start_tensorflow()
    from keras_bert.tasks.asking import answerer, reading_of

    task, saved, reading = load_task(args.model_dir, dtype=args.dtype)
    reading |= _given_reading(args, task, saved)
    inputs = inputs_of(source, args, task, saved, reading)
    _check_length(saved, reading, inputs)
    texts = {name: reading[name] for name in reading_of(saved.model)}
    answer = answerer(saved.model, saved.tokenizer, batch_size=args.batch_size, **texts)
    if args.output_file and task.columns is not None:
        count = _label(args, task, saved, reading, inputs)
    else:
        _print_resolved(args, task, saved, reading, inputs, file=sys.stdout if args.output_file else sys.stderr)
        pairs = streams.answered(
            inputs.rows(), _with_ids(answer), batch_size=args.batch_size, typed=inputs.source.is_typed
        )
        if not args.output_file:
            return streams.print_answers(pairs, task.to_read, args)
        count = write_json_lines(args.output_file, (found for _, found in pairs))
    print(f"wrote in {clock(time.monotonic() - begin)}: {args.output_file}, {count:,} predictions")
    return str(args.output_file)


def load_task(path, *, dtype):
    """Loads a fine-tuned model of any task.

    Args:
        path: a model directory with a task.json and a vocabulary.
        dtype: the name of a Keras dtype policy.

    Returns:
        task, saved, reading: a Task; what has the `model` and its `tokenizer`; and how it reads texts, as its
        training kept it, or else the task's defaults.

    Raises:
        UserError: no model is there, it is damaged, or it was not fine-tuned; then it says what can be asked of it.
    """
    from keras_bert.checkpoints import open_checkpoint
    from keras_bert.errors import UserError
    from keras_bert.serving.loading import load
    from keras_bert.tasks.asking import reading_of
    from keras_bert.tasks.rows import fine_tuned, task_saved_as

    said = open_checkpoint(path).task
    kind = said.get("task")
    task = task_saved_as(kind)
    if task is None or task.answerer is None:
        why = f"was saved for {kind}" if kind else "has no task.json"
        raise UserError(
            f"{path} has no answers to predict, for it {why}; keras-bert embed asks it for vectors, keras-bert "
            f"fill_mask a pre-trained one for words, and {', '.join(fine_tuned())} fine-tune it."
        )
    saved = load(path, dtype=dtype)
    kept, columns = said.get("reading") or {}, task.columns or {}
    reading = {name: value if kept.get(name) is None else kept[name] for name, value in columns.items()}
    return task, saved, {**reading, **reading_of(saved.model)}


def _check_files(args):
    """Raises a UserError, before any work, if the input is not there or the answers would have no place to go to."""
    from keras_bert.checkpoints import check_place, open_checkpoint
    from keras_bert.files import require_file
    from keras_bert.outputs import refuse_existing
    from keras_bert.tasks.table import check_writable

    for note in open_checkpoint(args.model_dir).notes:  # and says what is wrong before TensorFlow starts
        print(f"note: {note}", file=sys.stderr, flush=True)
    if args.input_file:
        require_file(args.input_file, what="--input_file")
    if args.output_file:
        check_writable(args.output_file, what="--output_file")
        check_place(Path(args.output_file).parent)
        if not args.force:
            refuse_existing(args.output_file, what="--output_file", remedy="add --force to replace it")


def _given_reading(args, task, saved):
    """Returns {name: value} of the flags that say how texts are read.

    Raises:
        UserError: one that means nothing to the model, or an output that its answers do not fit into.
    """
    from keras_bert.errors import UserError
    from keras_bert.tasks.rows import tasks

    if args.label_column and not (args.output_file and task.columns is not None):
        remedy = "give --output_file" if task.columns is not None else "leave it out"
        raise UserError(f"--label_column: only a classifier's table of answers is measured; {remedy}.")
    flags = dict.fromkeys(flag for each in tasks().values() for flag in each.flags)
    given = {name: getattr(args, name) for name in flags if getattr(args, name) is not None}
    for name in given:
        if name not in task.flags:
            kind = type(saved.model).__name__
            raise UserError(f"--{name} means nothing to {args.model_dir}, a {kind}; leave it out.")
    if args.output_file and task.columns is None and Path(args.output_file).suffix.lower() != ".jsonl":
        raise UserError(f"--output_file: tables are for classifiers' answers; call {args.output_file} NAME.jsonl.")
    return given


def _check_length(saved, reading, inputs):
    from keras_bert.tasks.inputs import check_length

    pair = len(inputs.fields.keys() - {"id"}) > 1
    check_length(saved.model.bert_config, reading["max_seq_length"], pair=pair, layout=saved.tokenizer.layout)


def _with_ids(answer):
    """Returns a function that answers rows, and copies their ids, if they have such, into the answers."""

    def answer_with_ids(rows):
        answers = answer(rows)
        if "id" not in rows[0]:
            return answers
        return [{"id": row["id"], **found} for row, found in zip(rows, answers, strict=True)]

    return answer_with_ids


def _label(args, task, saved, reading, inputs):
    """Labels all rows and writes them as a table. Returns how many they are."""
    from keras_bert.tasks.classify.kinds import KINDS
    from keras_bert.tasks.classify.training import predict_logits, write_predictions

    model, kind = saved.model, KINDS[saved.model.kind]
    examples = inputs.examples()
    what = f"{len(examples):,} {'texts' if examples.pairs is None else 'pairs'} of {inputs.source}"
    _print_resolved(args, task, saved, reading, what)
    with Progress() as progress:
        logits = predict_logits(
            model,
            examples,
            saved.tokenizer,
            batch_size=args.batch_size,
            progress=progress,
            **{name: reading[name] for name in ("max_seq_length", "long_texts", "doc_stride")},
        )
    how = {"kind": model.kind, "label_separator": reading["label_separator"]}
    write_predictions(args.output_file, examples, logits, model.labels, **how)
    if examples.labels is not None:
        print(f"measured by the column {args.label_column}: {kind.describe(kind.measure(examples.labels, logits))}")
    return len(examples)


def _print_resolved(args, task, saved, reading, what, *, file=None):
    config = saved.model.bert_config
    shape = f"{config.num_hidden_layers} layers, hidden size {config.hidden_size}"
    print(f"model: {args.model_dir} ({shape}, {args.dtype}), answers with {task.says(saved.model)}", file=file)
    longer = task.longer or ("cut" if reading["long_texts"] == "cut" else "read in windows")
    print(f"input: {what}; longer than {reading['max_seq_length']}: {longer}", file=file, flush=True)
