r"""Questions a second from SQuAD's JSON to features, ours and of google-research/bert's algorithm, on the same file.

The peer is official.nlp.data.squad_lib of tf-models-official, whose read_squad_examples and
convert_examples_to_features are run_squad.py's. It wants packages that ours does not, so it gets an environment of its
own:

    python -m venv peer
    peer/bin/pip install tensorflow==2.21.0 tf-keras==2.21.0 six sentencepiece
    peer/bin/pip install --no-deps tf-models-official==2.20.0
    python -m benchmarks.squad_features --peer_python=peer/bin/python \
        --input_file=train-v1.1.json --vocab_file=vocab.txt

--peer_path takes a checkout of google-research/bert instead (its tokenization.py and run_squad.py, under TensorFlow 1).
Each side runs in a process of its own, one thread, and its clock begins when everything is imported; the first lines
of each side's features are compared. Prints one JSON line: for both the seconds to read and to convert, questions a
second over both, and the ratios.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from keras_bert.tasks.answer.examples import load_json

LENGTHS = {"max_seq_length": 384, "doc_stride": 128, "max_query_length": 64}
COMPARED = 200  # features whose ids and labels must be the same on both sides

COMMON = """
import json, os, sys, time
input_file, vocab_file, do_lower_case, compared = sys.argv[1], sys.argv[2], sys.argv[3] == "true", int(sys.argv[4])
lengths = {"max_seq_length": 384, "doc_stride": 128, "max_query_length": 64}

def report(examples, features, first, begin, read, end):
    figures = {"questions": examples, "features": features, "read_seconds": read - begin, "convert_seconds": end - read}
    print(json.dumps({"figures": figures, "first": first}))
"""

OURS = """
from keras_bert.tasks.answer import make_features, read_examples
from keras_bert.text.tokenizer import Tokenizer

if os.path.isdir(vocab_file):
    tokenizer = Tokenizer.from_pretrained(vocab_file)
else:
    tokenizer = Tokenizer(vocab_file, do_lower_case=do_lower_case)
begin = time.perf_counter()
examples = read_examples(input_file, training=True)
read = time.perf_counter()
features = make_features(examples, tokenizer, training=True, **lengths)
rows = features.rows()
end = time.perf_counter()
labels = zip(*features.labels.values())
first = [[row.tolist(), *map(int, pair)] for row, pair, _ in zip(rows["input_ids"], labels, range(compared))]
report(len(examples), len(features), first, begin, read, end)
"""

TF_MODELS = """
from absl import logging
from official.nlp.data import squad_lib
from official.nlp.tools import tokenization

logging.set_verbosity(logging.ERROR)
tokenizer = tokenization.FullTokenizer(vocab_file=vocab_file, do_lower_case=do_lower_case)
begin = time.perf_counter()
examples = squad_lib.read_squad_examples(input_file, is_training=True, version_2_with_negative=False)
read = time.perf_counter()
features = []
squad_lib.convert_examples_to_features(
    examples=examples, tokenizer=tokenizer, is_training=True, output_fn=features.append, **lengths
)
"""

GOOGLE = """
sys.path.insert(0, os.environ["PEER_PATH"])
import run_squad, tokenization
import tensorflow as tf

run_squad.FLAGS(["run_squad", "--vocab_file=" + vocab_file, "--bert_config_file=none", "--output_dir=none"])
tf.logging.set_verbosity(tf.logging.ERROR)
tokenizer = tokenization.FullTokenizer(vocab_file=vocab_file, do_lower_case=do_lower_case)
begin = time.perf_counter()
examples = run_squad.read_squad_examples(input_file, is_training=True)
read = time.perf_counter()
features = []
run_squad.convert_examples_to_features(
    examples=examples, tokenizer=tokenizer, is_training=True, output_fn=features.append, **lengths
)
"""

PEER_END = """
end = time.perf_counter()
first = [
    [feature.input_ids[: sum(feature.input_mask)], feature.start_position, feature.end_position]
    for feature in features[:compared]
]
report(len(examples), len(features), first, begin, read, end)
"""


def main():
    """Runs the peer, then us, on the same file, and prints the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input_file", required=True, help="SQuAD 1.1 JSON to train on, plain or packed")
    parser.add_argument(
        "--vocab_file", required=True, help="vocab.txt, or without a peer a directory with a tokenizer of any kind"
    )
    parser.add_argument("--do_lower_case", choices=("true", "false"), default="true")
    parser.add_argument("--peer_python", help="the interpreter of the peer's environment; without it only we run")
    parser.add_argument("--peer_path", help="a checkout of google-research/bert, to run in that environment instead")
    parser.add_argument("--max_questions", type=int, help="cut the file after the article with this question")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "squad.json")
        path.write_text(json.dumps(cut(load_json(args.input_file), args.max_questions)), encoding="utf-8")
        peer = None
        if args.peer_python:
            peer = measure(args.peer_python, (GOOGLE if args.peer_path else TF_MODELS) + PEER_END, path, args)
        ours = measure(sys.executable, OURS, path, args)
    line = {**LENGTHS, "ours": ours["figures"], "peer": peer and peer["figures"]}
    if peer:
        if ours["first"] != peer["first"] or ours["figures"]["features"] != peer["figures"]["features"]:
            sys.exit("The features of both sides differ: what is compared must be the same.")
        for name in ("convert_questions_per_second", "questions_per_second"):
            line[f"{name}_ratio"] = round(ours["figures"][name] / peer["figures"][name], 1)
    print(json.dumps(line))


def cut(contents, max_questions):
    """Returns a SQuAD file's contents, without the articles after `max_questions` questions.

    >>> article = {"paragraphs": [{"qas": [1, 2]}]}
    >>> len(cut({"data": [article] * 4}, 3)["data"])
    2
    """
    articles, count = [], 0
    for article in contents["data"]:
        if max_questions is None or count < max_questions:
            articles.append(article)
            count += sum(len(paragraph["qas"]) for paragraph in article["paragraphs"])
    return {**contents, "data": articles}


def measure(python, script, path, args):
    """Runs one side. Returns its figures and its first features."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"), "1")
    environment = {**os.environ, **threads, "TF_CPP_MIN_LOG_LEVEL": "2", "PEER_PATH": args.peer_path or ""}
    if python == sys.executable:
        environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])
    command = [python, "-c", COMMON + script, str(path), args.vocab_file, args.do_lower_case, str(COMPARED)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{python} failed:\n{done.stderr[-3000:]}")
    measured = json.loads(done.stdout.strip().splitlines()[-1])
    figures = measured["figures"]
    seconds = figures["read_seconds"] + figures["convert_seconds"]
    figures["questions_per_second"] = round(figures["questions"] / seconds, 1)
    figures["convert_questions_per_second"] = round(figures["questions"] / figures["convert_seconds"], 1)
    for name in ("read_seconds", "convert_seconds"):
        figures[name] = round(figures[name], 2)
    return measured


if __name__ == "__main__":
    main()
