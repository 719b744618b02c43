r"""Instances a second of the data tool and of its peer, from the same text with the same settings, start-up included.

The peer is official.nlp.data.create_pretraining_data of tf-models-official, google-research/bert's algorithm. It wants
packages that ours does not, so it gets an environment of its own:

    python -m venv peer
    peer/bin/pip install tensorflow==2.21.0 tf-keras==2.21.0 six sentencepiece
    peer/bin/pip install --no-deps tf-models-official==2.20.0
    python -m benchmarks.create_pretraining_data --peer_python=peer/bin/python \
        --input_file=wiki.txt --vocab_file=vocab.txt

Prints one JSON line: for each setting the seconds, instances a second and peak memory (the resident sets of all
processes together) of both, and the ratio.
"""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.measuring import measure_data_tool

PREDICTIONS = {128: 20, 512: 77}


def main():
    """Runs each setting, the peer first, and prints the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input_file", required=True, help="text, one sentence a line, blank lines between documents")
    parser.add_argument("--vocab_file", required=True)
    parser.add_argument("--peer_python", help="the interpreter of the peer's environment; without it only we run")
    parser.add_argument("--max_seq_lengths", default="128,512")
    parser.add_argument("--whole_word", default="false,true", help="values of --do_whole_word_mask")
    parser.add_argument("--dupe_factor", type=int, default=10)
    args = parser.parse_args()
    settings = []
    for length in map(int, args.max_seq_lengths.split(",")):
        for whole_word in args.whole_word.split(","):
            flags = [
                f"--input_file={args.input_file}",
                f"--vocab_file={args.vocab_file}",
                "--do_lower_case=True",
                f"--do_whole_word_mask={whole_word}",
                f"--max_seq_length={length}",
                f"--max_predictions_per_seq={PREDICTIONS[length]}",
                f"--dupe_factor={args.dupe_factor}",
                "--random_seed=12345",
            ]
            peer = None
            if args.peer_python:
                peer = measure_data_tool([args.peer_python, "-m", "official.nlp.data.create_pretraining_data", *flags])
            ours = measure_data_tool([sys.executable, "-m", "tfrecords.create_pretraining_data", *flags])
            ratio = peer and round(ours["instances_per_second"] / peer["instances_per_second"], 1)
            settings.append(
                {
                    "max_seq_length": length,
                    "whole_word": whole_word == "true",
                    "ours": ours,
                    "peer": peer,
                    "ratio": ratio,
                }
            )
    megabytes = Path(args.input_file).stat().st_size / 1e6
    print(json.dumps({"text_mb": round(megabytes, 1), "dupe_factor": args.dupe_factor, "settings": settings}))


if __name__ == "__main__":
    main()
