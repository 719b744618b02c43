"""Tokens a second of our byte-level BPE, in bulk and in the graph, and of others, one thread each.

    python -m benchmarks.bpe --input_file=wiki.txt --folder=roberta

The folder has vocab.json and merges.txt, or tokenizer.json. Each line is cut to sentences after . ! and ?. The seconds
are those of the processor, the least of several runs. "graph" is called with batches, and with one sentence at a time;
"bulk", which begins each run with an empty table of words, and the tokenizers library with all sentences. Prints one
JSON line.
"""

import argparse
import json
import os
import re
import time
from pathlib import Path

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}

import numpy as np
import tensorflow as tf
import tokenizers

from keras_bert.text.bpe.bulk import BulkBytePairs
from keras_bert.text.bpe.files import read_tokenizer_json, read_vocab_and_merges
from keras_bert.text.bpe.graph_ids import GraphBytePairs

SINGLE_SENTENCES = 500


def read_engine(folder):
    """Returns the BytePairs of a directory."""
    path = folder / "tokenizer.json"
    return read_tokenizer_json(path).engine if path.is_file() else read_vocab_and_merges(folder)


def library_of(engine):
    """Returns the model as the tokenizers library has it."""
    library = tokenizers.Tokenizer(tokenizers.models.BPE(engine.token_ids, list(engine.merges)))
    library.normalizer = tokenizers.normalizers.NFC() if engine.normalizer else None
    library.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=engine.add_prefix_space)
    return library


def least_seconds(runs, repeats):
    """Returns the least processor time of each of several functions, called in turns."""
    seconds = [[] for _ in runs]
    for _ in range(repeats):
        for run, of_run in zip(runs, seconds, strict=True):
            begin = time.process_time()
            run()
            of_run.append(time.process_time() - begin)
    return [min(of_run) for of_run in seconds]


def main():
    """Measures and prints the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input_file", required=True, help="plain text in UTF-8")
    parser.add_argument("--folder", required=True, type=Path, help="directory of the tokenizer's files")
    parser.add_argument("--sentences", type=int, default=6400, help="how many to take")
    parser.add_argument("--batch_size", type=int, default=32, help="of the graph")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    text = Path(args.input_file).read_text(encoding="utf-8", errors="ignore")
    sentences = [each for line in text.split("\n") for each in re.split(r"(?<=[.!?]) +", line.strip()) if each]
    sentences = sentences[: args.sentences]
    engine = read_engine(args.folder)
    library = library_of(engine)

    right = [encoding.ids for encoding in library.encode_batch(sentences, add_special_tokens=False)]
    tokens = sum(map(len, right))
    flat, lengths = engine.bulk(sentences)
    rows = np.split(flat, np.cumsum(lengths)[:-1])
    graph = tf.function(GraphBytePairs(engine).__call__, input_signature=[tf.TensorSpec([None], tf.string)])
    size = args.batch_size
    batches = [tf.constant(sentences[first : first + size]) for first in range(0, len(sentences), size)]
    single = [tf.constant([sentence]) for sentence in sentences[:SINGLE_SENTENCES]]
    in_graph = [row for batch in batches for row in graph(batch).to_list()]

    peer, bulk = least_seconds(
        [
            lambda: library.encode_batch(sentences, add_special_tokens=False),
            lambda: BulkBytePairs(engine).token_ids(sentences),
        ],
        args.repeats,
    )
    of_batches, of_single = least_seconds(
        [lambda: list(map(graph, batches)), lambda: list(map(graph, single))], args.repeats
    )
    line = {
        "input_file": args.input_file,
        "sentences": len(sentences),
        "tokens": tokens,
        "threads": 1,
        "tokenizers.encode_batch": {"tokens_per_second": round(tokens / peer)},
        "bulk": {
            "tokens_per_second": round(tokens / bulk),
            "times_the_peer": round(peer / bulk, 3),
            "sentences_that_differ": sum(row.tolist() != ids for row, ids in zip(rows, right, strict=True)),
        },
        "graph": {
            "batch_size": size,
            "tokens_per_second": round(tokens / of_batches),
            "milliseconds_a_single_sentence": round(of_single / len(single) * 1e3, 3),
            "sentences_that_differ": sum(row != ids for row, ids in zip(in_graph, right, strict=True)),
        },
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
