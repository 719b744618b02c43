r"""Seconds and memory of `keras-bert train_vocab` and of Hugging Face's trainer, and which vocabulary spells better.

The peer is BertWordPieceTokenizer of the `tokenizers` package with the settings of its documentation. Each learns from
the same files in a process of its own, start-up included. Both vocabularies are then measured with our tokenizer.

    python -m benchmarks.train_vocab --input_file='corpus/*.train.txt' --heldout_file='corpus/*.dev.txt'

Prints one JSON line: for both seconds, peak memory (the resident sets of all processes together), and on each held-out
file pieces a word and the share of [UNK]; and the ratios, ours to the peer's.
"""

import argparse
import glob
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring import run_measured
from keras_bert.files import read_lines
from keras_bert.text.learning.counting import coverage
from keras_bert.text.tokenizer import Tokenizer

PEER = """
import sys
from tokenizers import BertWordPieceTokenizer

vocab_file, vocab_size, *files = sys.argv[1:]
tokenizer = BertWordPieceTokenizer(lowercase=True)
tokenizer.train(files, vocab_size=int(vocab_size), min_frequency=2, limit_alphabet=1000, show_progress=False)
ids = tokenizer.get_vocab()
with open(vocab_file, "w", encoding="utf-8") as stream:
    stream.writelines(f"{token}\\n" for token in sorted(ids, key=ids.get))
"""


def main():
    """Runs the peer, then us, and prints the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input_file", required=True, help="plain text files: a quoted glob")
    parser.add_argument("--heldout_file", required=True, help="plain text files to measure on: a quoted glob")
    parser.add_argument("--vocab_size", type=int, default=30522)
    args = parser.parse_args()
    files, heldout = sorted(glob.glob(args.input_file)), sorted(glob.glob(args.heldout_file))
    with tempfile.TemporaryDirectory() as folder:
        vocab_file = Path(folder, "vocab.txt")
        command = [sys.executable, "-c", PEER, str(vocab_file), str(args.vocab_size), *files]
        peer = run_measured(command) | spelling(vocab_file, heldout)
        command = [sys.executable, "-m", "keras_bert.cli.main", "train_vocab", f"--input_file={','.join(files)}"]
        flags = [f"--vocab_file={vocab_file}", f"--vocab_size={args.vocab_size}", f"--heldout_file={','.join(heldout)}"]
        ours = run_measured([*command, *flags, "--force"]) | spelling(vocab_file, heldout)
    line = {
        "text_mb": round(sum(Path(file).stat().st_size for file in files) / 1e6, 1),
        "vocab_size": args.vocab_size,
        "ours": ours,
        "peer": peer,
        "seconds_ratio": round(ours["seconds"] / peer["seconds"], 2),
        "pieces_ratio": {
            name: round(ours["heldout"][name]["pieces_per_word"] / peer["heldout"][name]["pieces_per_word"], 4)
            for name in ours["heldout"]
        },
    }
    print(json.dumps(line))


def spelling(vocab_file, heldout):
    """Returns how a vocabulary spells each file: pieces a word and the share of words that become [UNK]."""
    tokenizer = Tokenizer(vocab_file)
    measured = {Path(file).name: coverage([tokenizer], read_lines(file))[0] for file in heldout}
    return {
        "heldout": {
            name: {"pieces_per_word": round(each.pieces_per_word, 5), "unknown_share": round(each.unknown_share, 6)}
            for name, each in measured.items()
        }
    }


if __name__ == "__main__":
    main()
