"""Compares the three tokenizers on random texts: the Python one, the bulk one of the data tool, the one in the graph.

    python -m benchmarks.fuzz_tokenizers --strings 1000000 --vocab_file vocab.txt

The texts are those of tests/text/fuzzing.py. Prints one JSON line; if a text gets other ids from one of them, before
it the shortest text that still does, and the exit status is 1.
"""

import argparse
import json
import os
import random
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from keras_bert.cli.progress import Progress
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import Vocabulary
from tests.text.fuzzing import RULES, Rivals, TextMaker, spelling_vocabulary

BATCH_SIZES = [1, 10, 100, 1000, 2000, 4000]
BATCHES_PER_LONG_TEXT = 20  # of so many batches one is tokenized once more as a single text


def tokenizers(vocab_files):
    """Returns a Tokenizer for each set of rules with a vocabulary that spells much, and one for each vocabulary."""
    spelling = spelling_vocabulary()
    made = [Tokenizer(spelling, **rules) for rules in RULES]
    for path in vocab_files:
        vocabulary = Vocabulary.from_file(path)
        made.append(Tokenizer(vocabulary, do_lower_case=not vocabulary.looks_cased))
    return made


def fuzz(all_rivals, *, strings, rng, progress):
    """Compares on `strings` texts or a few more.

    Returns:
        The number of texts, of tokens and of differences, and a text that shows one (or None) with its `Rivals`.
    """
    makers = [TextMaker(rng, rivals.tokenizer.vocabulary) for rivals in all_rivals]
    done = tokens = differences = batches = 0
    example = None
    while done < strings:
        number = rng.randrange(len(all_rivals))
        rivals, texts = all_rivals[number], makers[number].batch(rng.choice(BATCH_SIZES))
        if batches % BATCHES_PER_LONG_TEXT == 0:
            texts.append("".join(text for text in texts if isinstance(text, str)))
        count, found = rivals.differing(texts)
        if found:
            text = min((text for text, *_ in found), key=len)
            if example is None or len(text) < len(example[0]):
                example = text, rivals
        done, tokens, differences = done + len(texts), tokens + count, differences + len(found)
        batches += 1
        progress("comparing", min(done, strings), strings, "string")
    return done, tokens, differences, example


def main(argv=None):
    """Runs the comparison; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strings", type=int, default=100_000, help="how many texts to compare on")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other texts")
    parser.add_argument("--vocab_file", action="append", default=[], help="a vocab.txt to use besides; may come often")
    args = parser.parse_args(argv)
    begin = time.monotonic()
    all_rivals = [Rivals(tokenizer) for tokenizer in tokenizers(args.vocab_file)]
    with Progress() as progress:
        strings, tokens, differences, example = fuzz(
            all_rivals, strings=args.strings, rng=random.Random(args.seed), progress=progress
        )
    if example:
        text, rivals = example
        text, rival, expected, ids = rivals.differing([rivals.shortest(text)])[1][0]
        print(f"{rival} differs on {text!a}: {expected} expected, {ids} received")
    seconds = round(time.monotonic() - begin, 1)
    line = {"strings": strings, "tokens": tokens, "differences": differences, "seconds": seconds, "seed": args.seed}
    print(json.dumps(line))
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
