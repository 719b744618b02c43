"""Ask a pre-trained BERT for the words behind [MASK].

    keras-bert fill_mask --model_dir model "Paris is the [MASK] of France."
    cat texts.txt | keras-bert fill_mask --model_dir model > answers.jsonl

Texts come from the command line, or from standard input, one a line; the model is loaded once for all of
them, and blank lines are skipped. Answers are lines to read on a terminal, and JSON lines into a file or a pipe:
{"text": ..., "masks": [[{"token": ..., "probability": ...}, ...], ...]}.
"""

import sys

from keras_bert.cli import streams
from keras_bert.cli.flags import Group, positive_int
from keras_bert.cli.startup import start_tensorflow

MAIN = ("model_dir", "top_k", "format")


def add_arguments(parser):
    """Adds the flags and the texts."""
    Group(parser, "model").add_argument(
        "--model_dir", required=True, help="the model: our directory, a Google checkpoint or a Hugging Face directory"
    )
    Group(parser, "answers").add_argument("--top_k", type=positive_int, default=5, help="guesses for each [MASK]")
    streams.add_stream_flags(parser, "a text with [MASK]")


def run(args):
    """Runs the command: what it resolved goes to stderr, the answers to stdout. Returns those to the TEXTs."""
    start_tensorflow()
    from keras_bert.serving.loading import load
    from keras_bert.tasks.fill_mask.filling import fill_mask
    from keras_bert.tasks.inputs import check_top_k

    source = streams.Source(args.texts)
    loaded = load(args.model_dir, task="fill_mask")
    check_top_k(loaded.model.bert_config, loaded.tokenizer, args.top_k)
    print(f"model: {args.model_dir} ({loaded})", file=sys.stderr, flush=True)

    def answer(texts):
        options = {"top_k": args.top_k, "batch_size": args.batch_size}
        masks = fill_mask(loaded.model, loaded.tokenizer, texts, **options)
        return [{"text": text, "masks": of_text} for text, of_text in zip(texts, masks, strict=True)]

    given = source.given("a text with [MASK]", skip_blank=True)
    pairs = streams.answered(given, answer, batch_size=args.batch_size, typed=source.is_typed)
    return streams.print_answers(pairs, to_read, args)


def to_read(text, answer):
    """Yields the text and a line for each of its masks.

    >>> answer = {"masks": [[{"token": "cat", "probability": 0.5}, {"token": "dog", "probability": 0.125}]]}
    >>> list(to_read("a [MASK]", answer))
    ['a [MASK]', '  cat 50.0 %, dog 12.5 %']
    """
    from keras_bert.tasks.task import percent

    yield text
    masks = answer["masks"]
    for number, guesses in enumerate(masks, 1):
        which = f"[MASK] {number}: " if len(masks) > 1 else ""
        shares = (f"{guess['token']} {percent(guess['probability'])}" for guess in guesses)
        yield f"  {which}{', '.join(shares)}"
