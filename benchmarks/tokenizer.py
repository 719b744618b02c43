"""Tokens a second of our three tokenizers and of others, one thread each, and on how many strings their ids differ.

    python -m benchmarks.tokenizer --input_file=wiki.txt --vocab_file=vocab.txt

Each line is a string; strings go in batches. The seconds are those of the processor, the least of several runs; the
Python and the bulk tokenizer begin each run with an empty cache. Peers: tensorflow-text's FastBertTokenizer and
BertTokenizer, Hugging Face's BertWordPieceTokenizer, all as they come. Prints one JSON line.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text
import tokenizers

from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.wordpiece.bulk import BulkTokenizer


def in_graph(function):
    """Returns a function from a list of str to a list of arrays through a tf.function, and how to prepare its input."""
    traced = tf.function(function, input_signature=[tf.TensorSpec([None], tf.string)])
    return traced, tf.constant, lambda ragged: np.split(ragged.values.numpy(), ragged.row_splits.numpy()[1:-1])


def contenders(vocab_file, lower_case):
    """Returns name -> function that makes (what is timed, what prepares a batch for it, what makes its rows of ids)."""
    tokenizer = Tokenizer(vocab_file, lower_case)

    def same(value):
        return value

    def python():
        fresh = Tokenizer(tokenizer.vocabulary, lower_case)
        return lambda texts: list(map(fresh.token_ids, texts)), same, same

    def bulk():
        return BulkTokenizer(tokenizer).token_ids, same, lambda pair: np.split(pair[0], np.cumsum(pair[1])[:-1])

    def fast_bert():
        vocabulary = list(tokenizer.vocabulary.tokens)
        peer = tf_text.FastBertTokenizer(vocabulary, token_out_type=tf.int32, lower_case_nfd_strip_accents=lower_case)
        return in_graph(peer.tokenize)

    def bert():
        peer = tf_text.BertTokenizer(vocab_file, lower_case=lower_case, token_out_type=tf.int64)
        return in_graph(lambda texts: peer.tokenize(texts).merge_dims(1, 2))

    def hugging_face():
        peer = tokenizers.BertWordPieceTokenizer(vocab_file, lowercase=lower_case)
        return (
            lambda texts: peer.encode_batch(texts, add_special_tokens=False),
            same,
            lambda encodings: [encoding.ids for encoding in encodings],
        )

    return {
        "python": python,
        "bulk": bulk,
        "graph": lambda: in_graph(tokenizer.graph_layer()),
        "tensorflow_text.FastBertTokenizer": fast_bert,
        "tensorflow_text.BertTokenizer": bert,
        "tokenizers.BertWordPieceTokenizer": hugging_face,
    }


def measure(make, batches, expected, repeats):
    """Returns the rate, and the number of strings on which the ids are not the expected ones."""
    run, prepare, rows = make()
    prepared = [prepare(batch) for batch in batches]
    ids = [row for batch in prepared for row in rows(run(batch))]
    differing = sum(list(row) != right for row, right in zip(ids, expected, strict=True))
    seconds = []
    for _ in range(repeats):
        run, *_ = make() if make.__name__ in ("python", "bulk") else (run,)  # a fresh cache
        begin = time.process_time()
        for batch in prepared:
            run(batch)
        seconds.append(time.process_time() - begin)
    return {"tokens_per_second": round(sum(map(len, ids)) / min(seconds)), "strings_that_differ": differing}


def main():
    """Measures one after the other and prints the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input_file", required=True, help="plain text; every line is a string")
    parser.add_argument("--vocab_file", required=True)
    parser.add_argument("--do_lower_case", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--megabytes", type=float, default=3, help="how much of the file to take")
    parser.add_argument("--batch_size", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    with Path(args.input_file).open("rb") as stream:
        lines = stream.read(int(args.megabytes * 1e6)).decode(errors="ignore").splitlines()
    batches = [lines[start : start + args.batch_size] for start in range(0, len(lines), args.batch_size)]
    reference = Tokenizer(args.vocab_file, args.do_lower_case)
    expected = [reference.token_ids(text) for text in lines]
    results = {
        name: measure(make, batches, expected, args.repeats)
        for name, make in contenders(args.vocab_file, args.do_lower_case).items()
    }
    text = {"strings": len(lines), "tokens": sum(map(len, expected)), "batch_size": args.batch_size}
    print(json.dumps({"input_file": args.input_file, **text, "threads": 1, **results}))


if __name__ == "__main__":
    main()
