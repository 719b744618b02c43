"""Texts, one a line -> sentence embeddings: as JSON lines, in a .npy or JSONL file, and a search among them.

    keras-bert embed --model_dir model --input_file sentences.txt --output_file sentences.npy
    keras-bert embed --model_dir model --input_file sentences.txt --query "Who plays the guitar?" --top_k 3
    keras-bert embed --model_dir model "Rain is expected." "Will it stay dry?" > vectors.jsonl
    cat sentences.txt | keras-bert embed --model_dir model > vectors.jsonl

Without --input_file texts come from the command line or from standard input. Without --output_file and --query a line
{"text", "embedding"} for each of them goes to standard output, in order, as soon as no more has come; a blank line is a
text, too. Row i of the .npy file, float32 (lines, hidden size), is line i of the text.
Beside sentence-transformers' files (modules.json) the pooling, the length, the cut and the default prompt are what they
say. In a search a model with prompts reads the texts after its "document" prompt and each --query after its "query"
prompt, as `encode_document` and `encode_query` do.
"""

import shlex
import sys
from pathlib import Path

from keras_bert.cli import streams
from keras_bert.cli.flags import Group, add_bool, positive_int
from keras_bert.cli.json_lines import write_json_lines
from keras_bert.cli.startup import start_tensorflow

KINDS = (".npy", ".jsonl")
POOLINGS = ("mean", "cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
SHOWN = 200  # characters of a text that was found
SHOWN_NUMBERS = 6  # of a vector on a terminal
MAIN = ("model_dir", "input_file", "output_file", "query", "top_k", "pooling")


def add_arguments(parser):
    """Adds the flags."""
    model, answers, output = Group(parser, "model"), Group(parser, "answers"), Group(parser, "output")
    model.add_argument(
        "--model_dir", required=True, help="the model: our directory, a Google checkpoint or a Hugging Face directory"
    )
    streams.add_stream_flags(parser, "a text")
    data = Group(parser, "data")
    data.add_argument("--input_file", help="texts, one a line; files, also compressed, and quoted globs")
    output.add_argument("--output_file", help="where to write the vectors: NAME.npy or NAME.jsonl")
    answers.add_argument(
        "--pooling",
        choices=POOLINGS,
        help=f"{', '.join(POOLINGS)}: of the last hidden states (default: the model's, or mean)",
    )
    add_bool(answers, "normalize", default=None, help="give each vector length 1 (default: as the model, or true)")
    answers.add_argument("--prompt", metavar="TEXT", help="text before each text; '' for none (default: the model's)")
    answers.add_argument("--prompt_name", help="instead, one of the model's prompts by name, such as query or document")
    data.add_argument("--max_seq_length", type=positive_int, help="longer texts are cut (default: the model's, or 128)")
    answers.add_argument(
        "--query", action="append", default=[], metavar="TEXT", help="find the nearest texts; may be repeated"
    )
    answers.add_argument("--top_k", type=positive_int, default=5, help="texts to find for each query")
    add_bool(output, "force", default=False, help="replace --output_file")


def run(args):
    """Runs the command: says what it resolved, embeds, and prints the vectors, or writes them and searches.

    Returns:
        {"texts", "embedding", "found"}, or of printed vectors the answers to the TEXTs.
    """
    from keras_bert.files import expand_inputs

    _check(args)
    source = streams.Source(args.texts, expand_inputs(args.input_file) if args.input_file else [])
    is_stream = not args.output_file and not args.query
    texts = None if is_stream else _read_texts(args, source)

    start_tensorflow()
    from keras_bert.cli.progress import Progress
    from keras_bert.serving.loading import load
    from keras_bert.tasks.embed.embedding import embed
    from keras_bert.tasks.embed.vectors import vectors_of
    from keras_bert.tasks.inputs import check_length

    loaded = load(args.model_dir, task="embed")
    options = {name: getattr(args, name) for name in ("pooling", "normalize", "max_seq_length")}
    of_queries = {**options, "prompt_name": "query"}
    options |= {"prompt": args.prompt, "prompt_name": args.prompt_name}
    if args.query and args.prompt is None and args.prompt_name is None:
        options["prompt_name"] = "document"
    made = vectors_of(loaded.model, **options)
    check_length(loaded.model.bert_config, made.max_seq_length, layout=loaded.tokenizer.layout)
    messages = sys.stderr if is_stream else sys.stdout
    print(f"model: {args.model_dir} ({loaded})", file=messages)
    print(f"vectors: {made}", file=messages, flush=True)
    if is_stream:
        return _print_vectors(args, source, loaded, options)
    print(f"texts: {len(texts):,}", flush=True)
    with Progress() as progress:
        vectors = embed(loaded.model, loaded.tokenizer, texts, batch_size=args.batch_size, progress=progress, **options)
    if args.output_file:
        _write(Path(args.output_file), texts, vectors)
        print(f"wrote: {args.output_file}, {len(vectors):,} vectors of {vectors.shape[1]}")
        if args.input_file:
            print(f"next: {_next(args)}")
    queries = embed(loaded.model, loaded.tokenizer, args.query, **of_queries)
    found = _search(args, texts, vectors, queries)
    return {"texts": texts, "embedding": vectors, "found": found}


def _read_texts(args, source):
    """Returns all texts, or raises a UserError if none of them is one."""
    from keras_bert.errors import UserError

    texts = [each[1] for each in source.given("a text") if each is not None]
    if not any(text.strip() for text in texts):
        where = f"--input_file: {args.input_file}" if args.input_file else source
        raise UserError(f"{where} has no text; one text a line was expected.")
    return texts


def _print_vectors(args, source, loaded, options):
    """Prints the vectors of texts as they come."""
    from keras_bert.tasks.embed.embedding import embed

    def answer(texts):
        vectors = embed(loaded.model, loaded.tokenizer, texts, batch_size=args.batch_size, **options)
        return [_as_object(*each) for each in zip(texts, vectors, strict=True)]

    pairs = streams.answered(source.given("a text"), answer, batch_size=args.batch_size, typed=source.is_typed)
    return streams.print_answers(pairs, to_read, args)


def to_read(text, answer):
    """Yields a text and how its vector begins.

    >>> list(to_read("a", {"text": "a", "embedding": [0.25, -0.5]}))
    ['a', '  0.2500 -0.5000 (2 numbers)']
    """
    numbers = answer["embedding"]
    more = " ..." if len(numbers) > SHOWN_NUMBERS else ""
    yield text
    yield f"  {' '.join(f'{number:.4f}' for number in numbers[:SHOWN_NUMBERS])}{more} ({len(numbers)} numbers)"


def _as_object(text, vector):
    return {"text": text, "embedding": [float(f"{value:.8g}") for value in vector]}


def _check(args):
    """Raises a UserError, before any work, if the results would have no place to go to."""
    from keras_bert.checkpoints import check_place
    from keras_bert.errors import UserError
    from keras_bert.outputs import refuse_existing

    if args.output_file:
        if Path(args.output_file).suffix not in KINDS:
            raise UserError(f"--output_file: {args.output_file} must end in {' or '.join(KINDS)}, which says its form.")
        if not args.force:
            refuse_existing(args.output_file, what="--output_file", remedy="add --force to replace it")
        check_place(Path(args.output_file).parent)


def _write(path, texts, vectors):
    """Writes the vectors, whole or not at all."""
    import numpy as np

    from keras_bert.outputs import atomic_path

    if path.suffix == ".jsonl":
        write_json_lines(path, map(_as_object, texts, vectors))
        return
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.save(file, vectors)


def _next(args):
    """Returns the next command to run."""
    return (
        f"keras-bert embed --model_dir {shlex.quote(args.model_dir)} --input_file {shlex.quote(args.input_file)} "
        '--query "..."'
    )


def _search(args, texts, vectors, queries):
    """Prints the texts nearest to each query and returns them: [{"query", "nearest": [{"line", "score", "text"}]}]."""
    from keras_bert.tasks.embed.embedding import similar

    lines = [number for number, text in enumerate(texts) if text.strip()]  # a blank one is nobody's answer
    rows, scores = similar(queries, vectors[lines], args.top_k)
    found = []
    for query, places, cosines in zip(args.query, rows, scores, strict=True):
        print(f"nearest to {query!r}:")
        nearest = []
        for place, cosine in zip((lines[row] for row in places), cosines, strict=True):
            text = texts[place] if len(texts[place]) <= SHOWN else texts[place][: SHOWN - 3] + "..."
            print(f"  {cosine:.4f}  line {place + 1}: {text}")
            nearest.append({"line": int(place) + 1, "score": float(cosine), "text": texts[place]})
        found.append({"query": query, "nearest": nearest})
    return found
