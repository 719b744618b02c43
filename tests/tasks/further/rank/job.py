"""Pairs of texts, the better one first -> a model that scores texts.

    keras-bert rank --train_file=pairs.jsonl --init_checkpoint=model --output_dir=ranker
    keras-bert rank --predict_file=texts.jsonl --init_checkpoint=ranker --output_dir=scores

A line of a .jsonl is {"better": "A fine film.", "worse": "A film."}; of --predict_file {"text": "A film."}.
"""

import numpy as np

from keras_bert.data.batches import padded_batches
from keras_bert.data.texts import text_rows
from keras_bert.errors import UserError
from keras_bert.tasks.classify.examples import Examples
from keras_bert.tasks.job import Job, asking_command
from keras_bert.tasks.split_files import file_flags
from keras_bert.tasks.splitting import split_examples
from keras_bert.tasks.table import READERS, write_table

SCORES = {"eval": "eval_scores.tsv", "test": "test_scores.tsv", "predict": "scores.tsv"}


class Ranking(Job):
    """A run of `keras-bert rank`. Its texts are Examples, the better text and as its pair the worse one."""

    word = "rank"
    flags = file_flags("pairs (.jsonl)", "texts to score (.jsonl)")
    metric, figures = "accuracy", ("accuracy",)
    outputs = tuple(SCORES.values())

    def read(self, checkpoint):
        found = {name.removesuffix("_file"): _read(path, name) for name, path in self.files.items() if path}
        if "train" in found and "eval" not in found:
            share = {"share": self.args.eval_share, "seed": self.args.seed}
            found["train"], found["eval"] = split_examples(found["train"], **share)
        return found

    def head(self, encoder):
        from keras_bert.tasks.rank.task import PairedRanker

        return PairedRanker(encoder)

    def train(self, make_model, options, **watching):
        from keras_bert.tasks.runs import Learnable, best_of_runs

        pairs = self.parts["train"]
        texts = [text for both in zip(pairs.texts, pairs.pairs, strict=True) for text in both]
        rows = text_rows(texts, self.tokenizer, max_seq_length=self.args.max_seq_length)

        def make_dataset(seed, batch_size):
            sizes = {**self.sizes(batch_size), "pad_id": self.tokenizer.pad_id}
            return padded_batches(rows, np.zeros(len(pairs), np.int32), num_choices=2, seed=seed, **sizes)

        learnable = Learnable(
            make_dataset=make_dataset,
            predict=lambda model: self.ask(model, "eval", self.args.eval_batch_size),
            measure=lambda scores: self.measure(None, "eval", scores),
            metric=self.metric,
        )
        return best_of_runs(make_model, learnable, options, **watching)

    def ask(self, model, part, batch_size):
        from keras_bert.tasks.rank.task import scores_of

        asked = self.parts[part]
        return [scores_of(model, self.tokenizer, texts, **self.sizes(batch_size)) for texts in _sides(asked)]

    def measure(self, model, part, answers):
        return {} if part == "predict" else {"accuracy": float(np.mean(answers[0] > answers[1]))}

    def write(self, model, part, answers, folder):
        asked, path = self.parts[part], folder / SCORES[part]
        names = ("better", "worse") if asked.pairs else ("text",)
        columns = dict(zip(names, _sides(asked), strict=True))
        columns |= {f"score of {name}": [float(x) for x in each] for name, each in zip(names, answers, strict=True)}
        write_table(path, columns)
        return [path]

    def next_step(self, saved):
        return asking_command("rank", "texts.jsonl", saved)


def _sides(examples):
    return [examples.texts] if examples.pairs is None else [examples.texts, examples.pairs]


def _read(path, flag):
    names = ["text"] if flag == "predict_file" else ["better", "worse"]
    rows = [row for _, row in READERS[".jsonl"](path, names, None)]
    if not rows:
        raise UserError(f"{path} has no texts; an object a line was expected, with {' and '.join(names)}.")
    texts, *pairs = ([row[name] for row in rows] for name in names)
    return Examples(texts, *pairs, labels=np.arange(len(texts), dtype=np.float32))


JOB = Ranking
