"""Ask a pre-trained BERT for the words behind [MASK].

    keras-bert fill_mask --model_dir model "Paris is the [MASK] of France."
    cat texts.txt | keras-bert fill_mask --model_dir model > answers.jsonl

Texts come from the command line, or from standard input, one a line; the model is loaded once for all of
them. Answers are lines to read on a terminal, and JSON lines into a file or a pipe.
"""

import sys

from keras_bert_cli.flags import positive_int
from keras_bert_cli.startup import start_tensorflow


def add_arguments(parser):
    """Adds the flags and the texts."""
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="texts with [MASK]; standard input if there are none")
    parser.add_argument(
        "--model_dir", required=True, help="the model: our directory, a Google checkpoint or a Hugging Face directory"
    )
    parser.add_argument("--top_k", type=positive_int, default=5, help="guesses for each [MASK] (default: 5)")
    parser.add_argument(
        "--batch_size",
        type=positive_int,
        default=32,
        help="texts read at a time; with 1 each line is answered as it comes (default: 32)",
    )
    parser.add_argument(
        "--format",
        choices=("auto", "text", "json"),
        default="auto",
        help="lines to read, or JSON lines (default: auto, to read on a terminal and else JSON)",
    )


def run(args):
    """Runs the command: what it resolved goes to stderr, the answers to stdout."""
    start_tensorflow()
    from keras_bert.errors import UserError
    from keras_bert.serving.loading import load
    from keras_bert.serving.predict import fill_mask

    loaded = load(args.model_dir, task="fill_mask")
    print(f"model: {args.model_dir} ({loaded})", file=sys.stderr, flush=True)
    as_json = args.format == "json" or (args.format == "auto" and not sys.stdout.isatty())
    typed = not args.texts and sys.stdin.isatty()
    if typed:
        print("Type a text with [MASK] and press Enter; Ctrl-D ends.", file=sys.stderr, flush=True)
    given = []  # of texts on the command line, to hand back; standard input may have no end
    for texts in _batches(args.texts or _stdin_lines(), 1 if typed else args.batch_size):
        try:
            answers = fill_mask(loaded.model, loaded.tokenizer, texts, top_k=args.top_k, batch_size=args.batch_size)
        except UserError as error:
            if not typed:
                raise
            print(error, file=sys.stderr, flush=True)  # a slip of the hand does not end a conversation
            continue
        for text, answer in zip(texts, answers, strict=True):
            if args.texts:
                given.append({"text": text, "masks": answer})
            for line in _as_json(text, answer) if as_json else _to_read(text, answer):
                print(line, flush=True)
    return given


def _stdin_lines():
    """Yields the lines of standard input that are not blank."""
    from keras_bert.errors import UserError

    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            raise UserError(
                f"Line {number} of standard input is not UTF-8; convert it, for example with iconv."
            ) from error
        if text:
            yield text


def _batches(items, size):
    """Yields lists of up to `size` items as they come.

    >>> list(_batches("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _as_json(text, answer):
    import json

    yield json.dumps({"text": text, "masks": answer}, ensure_ascii=False)


def _to_read(text, answer):
    """Yields the text and a line for each of its masks.

    >>> list(_to_read("a [MASK]", [[{"token": "cat", "probability": 0.5}, {"token": "dog", "probability": 0.125}]]))
    ['a [MASK]', '  cat 50.0 %, dog 12.5 %']
    """
    yield text
    for number, guesses in enumerate(answer, 1):
        which = f"[MASK] {number}: " if len(answer) > 1 else ""
        yield (
            "  "
            + which
            + ", ".join(f"{guess['token']} {guess['probability']:.1%}".replace("%", " %") for guess in guesses)
        )
