"""The SentencePiece engine against its peers, in one run and on one thread: bulk and graph.

    python -m benchmarks.unigram --input_file=wiki.txt --model=spiece.model --family=albert

Each line is a string. Bulk: `SentencePiece.bulk` and sentencepiece's own `encode(list, num_threads=1)`, on the text as
its model gets it, cleaned already. Graph: `GraphSentencePiece` and tensorflow-text's SentencepieceTokenizer alone, that
gets the cleaned text too, in batches of 32 lines and one by one. The seconds are those of the processor, the least of
several runs that take turns. Prints one JSON line; a ratio over 1 means that ours is faster.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3"}

import tensorflow as tf
import tensorflow_text as tf_text

from keras_bert.text.sentence_piece.cleaning import clean
from keras_bert.text.sentence_piece.graph import GraphSentencePiece
from keras_bert.text.sentence_piece.pieces import SentencePiece
from keras_bert.text.sentence_piece.rules import FAMILIES


def least_seconds(functions, repeats):
    """Returns {name: the least processor seconds} of functions that take turns."""
    least = dict.fromkeys(functions, float("inf"))
    for _ in range(repeats):
        for name, function in functions.items():
            begin = time.process_time()
            function()
            least[name] = min(least[name], time.process_time() - begin)
    return least


def over(function, batches):
    """Returns a function that runs another on each batch."""

    def run():
        for batch in batches:
            function(batch)

    return run


def graph_figures(engine, lines, cleaned, *, batch_size, repeats):
    """Returns the figures of the graph for one size of batches."""
    signature = [tf.TensorSpec([None], tf.string)]
    ours = tf.function(GraphSentencePiece(engine), input_signature=signature)
    bare = tf.function(tf_text.SentencepieceTokenizer(engine.model.data).tokenize, input_signature=signature)
    cut = [
        [tf.constant(texts[start : start + batch_size]) for start in range(0, len(texts), batch_size)]
        for texts in (lines, cleaned)
    ]
    differing = sum(
        ids != engine.ids(text)
        for batch, start in zip(cut[0], range(0, len(lines), batch_size), strict=True)
        for ids, text in zip(ours(batch).to_list(), lines[start : start + batch_size], strict=True)
    )
    for batch in cut[1]:
        bare(batch)
    seconds = least_seconds({"ours": over(ours, cut[0]), "bare": over(bare, cut[1])}, repeats)
    tokens = sum(len(engine.ids(text)) for text in lines)
    return {
        "tokens_per_second": round(tokens / seconds["ours"]),
        "milliseconds_per_line": round(1000 * seconds["ours"] / len(lines), 4),
        "bare_milliseconds_per_line": round(1000 * seconds["bare"] / len(lines), 4),
        "seconds_to_bare": round(seconds["ours"] / seconds["bare"], 3),
        "strings_that_differ": differing,
    }


def main():
    """Measures and prints the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input_file", required=True, help="plain text; every line is a string")
    parser.add_argument("--model", required=True, help="a SentencePiece model file")
    parser.add_argument("--family", default="albert", choices=[*FAMILIES])
    parser.add_argument("--lines", type=int, default=4000, help="how many of the file's lines to take")
    parser.add_argument("--graph_lines", type=int, default=512, help="how many of them for the graph")
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    engine = SentencePiece(Path(args.model).read_bytes(), FAMILIES[args.family], source=args.model)
    with Path(args.input_file).open(encoding="utf-8", errors="ignore") as stream:
        lines = [line.rstrip("\n") for line, _ in zip(stream, range(args.lines), strict=False) if line.strip()]
    cleaned = [clean(line, engine.rules) for line in lines]
    peer = engine.processor
    ids, _ = engine.bulk(lines)
    functions = {"ours": lambda: engine.bulk(lines), "peer": lambda: peer.encode(cleaned, num_threads=1)}
    seconds = least_seconds(functions, args.repeats)
    figures = {
        "bulk": {
            "tokens_per_second": round(len(ids) / seconds["ours"]),
            "peer_tokens_per_second": round(len(ids) / seconds["peer"]),
            "speed_to_peer": round(seconds["peer"] / seconds["ours"], 3),
        }
    }
    few = lines[: args.graph_lines], cleaned[: args.graph_lines]
    for size in (32, 1):
        figures[f"graph_batch_{size}"] = graph_figures(engine, *few, batch_size=size, repeats=args.repeats)
    text = {"strings": len(lines), "tokens": len(ids), "threads": 1}
    print(json.dumps({"input_file": args.input_file, "model": engine.identity, **text, **figures}))


if __name__ == "__main__":
    main()
