"""Packed rows against batches of one length and batches of like length: fine-tuning on MNLI's and QNLI's lengths.

    python -m benchmarks.packed_rows --glue_dir=glue --vocab_file=uncased/vocab.txt

Three ways to feed the same texts to the same classifier (--size, L-4_H-256 unless told, random weights), in turn, one
pass over all texts a round: `fixed`, each padded to --max_seq_length; `buckets`, batches of like length, padded to a
multiple of 8; `packed`, several texts in each row. A batch holds --batch_size texts, packed about as many. Clocked is
training from the dataset's first batch to the last update, after a pass that traces each shape; the best round counts,
by the clock and by the processor's time, which other processes disturb less.
Without --glue_dir lengths are drawn that have the same mean and spread. The last line is one JSON line: by task and way
real tokens a slot and a second; and the ratios that matter.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

WAYS = ("fixed", "buckets", "packed")
LIKE = {"MNLI": (3.66, 0.42), "QNLI": (3.88, 0.40)}  # mean and deviation of the logarithm of a pair's tokens
IDS = range(1000, 29000)  # ordinary tokens of the vocabulary


def main():
    """Measures the three ways on each task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glue_dir", type=Path, help="GLUE's directories, MNLI and QNLI among them")
    parser.add_argument("--vocab_file", help="with --glue_dir: the vocabulary to tokenize with")
    parser.add_argument("--size", default="L-4_H-256", help="of the model")
    parser.add_argument("--texts", type=int, default=1024, help="of each task")
    parser.add_argument("--batch_size", type=int, default=32, help="texts a step")
    parser.add_argument("--max_seq_length", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jit_compile", action="store_true")
    args = parser.parse_args()
    line = {}
    for task in LIKE:
        rows, labels = rows_of(task, args)
        line[task] = measured(rows, labels, args)
        print(task, json.dumps(line[task]), flush=True)
    settings = ("size", "texts", "batch_size", "max_seq_length", "rounds", "jit_compile")
    print(json.dumps({name: getattr(args, name) for name in settings} | {"real_data": bool(args.glue_dir)} | line))


def rows_of(task, args):
    """Returns ids and segments of a task's first texts, and labels."""
    rng = np.random.default_rng(0)
    if args.glue_dir:
        from keras_bert.data.texts import text_rows
        from keras_bert.text.tokenizer import Tokenizer
        from keras_bert.text.vocabulary import Vocabulary

        pairs = read_pairs(sorted((args.glue_dir / task).glob("dev*.tsv"))[-1])
        chosen = [pairs[number] for number in rng.permutation(len(pairs))[: args.texts]]
        tokenizer = Tokenizer(Vocabulary.from_file(args.vocab_file))
        rows = text_rows(chosen, tokenizer, max_seq_length=args.max_seq_length)
    else:
        lengths = np.exp(rng.normal(*LIKE[task], args.texts)).astype(int)
        lengths = np.clip(lengths, 6, args.max_seq_length)
        ids = [rng.integers(IDS[0], IDS[-1], length) for length in lengths]
        rows = {"input_ids": ids, "segment_ids": [(np.arange(len(each)) > len(each) // 2).astype(int) for each in ids]}
    return rows, rng.integers(0, 3, len(rows["input_ids"]))


def read_pairs(path):
    """Returns the pairs of texts of a GLUE file, by the names of its columns; the files may be parts of GLUE's."""
    header, *lines = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    names = ("sentence1", "sentence2") if "sentence1" in header else ("question", "sentence")
    places = [header.index(name) for name in names]
    return [tuple(line[place] for place in places) for line in lines if len(line) > max(places)]


def measured(rows, labels, args):
    """Returns the figures of each way, and their ratios."""
    real = sum(map(len, rows["input_ids"]))
    runs = {way: Run(way, rows, labels, args) for way in WAYS}
    seconds, cpu_seconds = ({way: [] for way in WAYS} for _ in range(2))
    for _ in range(args.rounds):
        for way, run in runs.items():
            begin = time.process_time()
            seconds[way].append(run.one_pass()[0])
            cpu_seconds[way].append(time.process_time() - begin)
    best, cpu = ({way: min(each) for way, each in figures.items()} for figures in (seconds, cpu_seconds))
    figures = {
        way: {
            "real_tokens_a_slot": round(real / runs[way].slots, 4),
            "real_tokens_a_second": round(real / best[way]),
            "steps": runs[way].steps,
            "seconds": [round(each, 2) for each in seconds[way]],
            "cpu_seconds": [round(each, 2) for each in cpu_seconds[way]],
        }
        for way in WAYS
    }
    return {
        "mean_tokens": round(real / len(labels), 1),
        **figures,
        "packed_over_fixed_tokens_a_second": round(best["fixed"] / best["packed"], 3),
        "packed_over_buckets_seconds": round(best["packed"] / best["buckets"], 3),
        "by_cpu_seconds": [round(cpu["fixed"] / cpu["packed"], 3), round(cpu["packed"] / cpu["buckets"], 3)],
    }


class Run:
    """A classifier that is trained on batches of one way.

    Args:
        way: one of WAYS.
        rows, labels: of all texts.
        args: the command's flags.

    Attributes:
        slots, steps: of a pass.
    """

    def __init__(self, way, rows, labels, args):
        import keras

        import keras_bert as kb
        from keras_bert.config import Config
        from keras_bert.data.batches import padded_batches

        keras.utils.set_random_seed(1)
        size, batch_size, packs = args.max_seq_length, args.batch_size, way == "packed"
        if packs:  # rows that hold as many texts
            mean = np.mean([len(ids) for ids in rows["input_ids"]])
            batch_size = max(1, round(batch_size * mean / size))
        multiple = {"fixed": size}.get(way, 8)
        options = {"batch_size": batch_size, "max_seq_length": size, "pad_to_multiple": multiple, "pack": packs}
        self._dataset = padded_batches(rows, labels, **options)
        encoder = kb.Encoder(Config.from_name(args.size), packed=packs)
        self._model = kb.Classifier(encoder, 3)
        optimizer = kb.adamw(2e-5, num_train_steps=1000, num_warmup_steps=100)
        self._model.compile(optimizer, jit_compile=args.jit_compile)
        self.one_pass()  # traces
        _, self.slots, self.steps = self.one_pass()

    def one_pass(self):
        """Trains on all texts once. Returns the seconds, slots and steps that it took."""
        begin, slots, steps = time.perf_counter(), 0, 0
        for x, *targets in self._dataset:
            loss = self._model.train_on_batch(x, *targets)
            slots, steps = slots + int(np.prod(x["input_ids"].shape)), steps + 1
        float(loss)
        return time.perf_counter() - begin, slots, steps


if __name__ == "__main__":
    main()
