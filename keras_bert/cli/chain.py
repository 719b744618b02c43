"""The stages of quickstart, one method each; what they run is shown as the command that you would type."""

import functools
import json
import math
import subprocess
import sys
from pathlib import Path

from keras_bert.cli.recipes import RECIPES

MASK_EXAMPLES = (
    "Returns a [MASK] of the same shape.",
    "If [MASK], the values are sorted in place.",
    "Raises a [MASK] if the argument is not an integer.",
)
BYTES_PER_TOKEN = 4.4  # of English prose under an 8,000-entry vocabulary
NEW_SHARE = 0.6  # of an example's tokens; the rest is padding, or text that a random next sentence uses again
QUERY = """
import json, sys
import tensorflow as tf, tensorflow_text
serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
answer = serve(text=tf.constant(sys.argv[2:]))
rows = zip(answer["label"].numpy(), answer["probabilities"].numpy())
print(json.dumps([[label.decode(), float(p.max())] for label, p in rows]))
"""


class Chain:
    """The stages of one quickstart, in order. Each method is one stage.

    Args:
        args: the parsed flags.
        folder: the output directory.
        inputs: the user's text files, or None for the docstrings.
        fingerprint: text that tells whether the input is the one of an earlier run.
    """

    def __init__(self, args, folder, inputs, fingerprint):
        from keras_bert.cli.stages import Stages

        self.args, self.folder, self.inputs = args, folder, inputs
        self.stages = Stages(folder / "stages", fingerprint, lambda line: print(f"\n{line}", flush=True))
        self.corpus_folder = folder / "corpus"
        self.recipe = RECIPES[args.family]
        self.vocab = folder / ("vocab.txt" if self.recipe.model == "wordpiece" else "tokenizer")
        self.pretrained = folder / "pretrained"

    def run(self):
        """Runs every stage and returns the results."""
        corpus = self.corpus()
        self.vocabulary()
        self.records(corpus)
        evaluation = self.pretrain()
        unigram = self.stages.run("unigram", "", self.unigram, outputs=[])
        masks = self.fill_mask()
        results = {
            "masked_lm_accuracy": evaluation["masked_lm_accuracy"],
            "unigram_accuracy": unigram,
            "masked_lm_loss": evaluation["masked_lm_loss"],
            **{name: evaluation[name] for name in ("next_sentence_accuracy",) if name in evaluation},
            "sentence_task": self.recipe.sentence_task,
            **self.finetune(corpus),
            "fill_mask": masks,
            "corpus": corpus,
        }
        seconds = self.stages.seconds
        return {
            **results,
            "seconds": {**seconds, "total": round(sum(seconds.values()), 1)},
            "reused": self.stages.reused,
        }

    def command(self, name, argv, *, outputs, key="", resumes=None):
        """Runs a stage that is one of our own commands, shown before it runs; `--force` replaces what is stale.

        `key` is what the command depends on besides its flags and the stages before it. `resumes` is the file by
        which the command knows its own run, and goes on with it by itself where it was interrupted.
        """
        from keras_bert.cli.main import dispatch
        from keras_bert.cli.stages import command_line

        def work():
            print(command_line(argv), flush=True)
            stale = any(Path(output).exists() for output in outputs)
            if resumes and self.stages.interrupted and resumes.exists():
                stale = False
            elif resumes:
                resumes.unlink(missing_ok=True)  # it is of another run, with which this one must not go on
            return dispatch([*map(str, argv), *(["--force"] if stale else [])])

        return self.stages.run(name, "\n".join([*map(str, argv), key]), work, outputs=outputs)

    def corpus(self):
        """Collects the text and splits a tenth off."""
        from keras_bert.cli.docstrings import write_corpus
        from keras_bert.cli.own_text import write_own_corpus
        from keras_bert.cli.progress import Progress

        def work():
            if self.inputs is None:
                print("the docstrings of the installed packages, parsed from their source files", flush=True)
                statistics = write_corpus(self.corpus_folder)
            else:
                print(f"{len(self.inputs)} file(s) of your own", flush=True)
                with Progress() as progress:
                    statistics = write_own_corpus(
                        self.inputs,
                        self.corpus_folder,
                        input_format=self.args.input_format,
                        text_field=self.args.text_field,
                        progress=lambda done, total: progress("reading", done, total, "B"),
                    )
            for side in ("train", "heldout"):
                print(
                    f"{side}: {statistics[f'{side}_documents']:,} documents, "
                    f"{statistics[f'{side}_sentences']:,} sentences, {statistics[f'{side}_words']:,} words"
                )
            return statistics

        key = f"{self.args.input_format} {self.args.text_field}" if self.inputs else ""
        return self.stages.run("corpus", key, work, outputs=[self.corpus_folder / "heldout.txt"])

    def vocabulary(self):
        """Learns the vocabulary."""
        family = [] if self.args.family == "bert" else [f"--model={self.recipe.model}", f"--family={self.args.family}"]
        sizes = [f"--vocab_file={self.vocab}", f"--vocab_size={self.args.vocab_size}"]
        argv = ["train_vocab", *family, f"--input_file={self.corpus_folder / 'train.txt'}", *sizes]
        self.command("vocabulary", argv, outputs=[self.vocab])

    @functools.cached_property
    def tokenizer(self):
        """The Tokenizer of the vocabulary that was learned."""
        from keras_bert.text.tokenizer import Tokenizer

        return Tokenizer(self.vocab) if self.vocab.is_file() else Tokenizer.from_pretrained(self.vocab)

    def records(self, corpus):
        """Writes masked TFRecords of both texts, with as many copies as the steps need to see each about once."""
        args = self.args
        wanted = args.num_train_steps * args.train_batch_size * args.max_seq_length * NEW_SHARE
        copies = min(10, max(1, math.ceil(wanted / (corpus["train_bytes"] / BYTES_PER_TOKEN))))
        predictions = math.ceil(args.max_seq_length * 0.15)
        for side, dupe_factor in (("train", copies), ("heldout", 1)):
            output = self.folder / "records" / f"{side}.tfrecord"
            self.command(
                f"records_{side}",
                [
                    "create_pretraining_data",
                    f"--input_file={self.corpus_folder / side}.txt",
                    f"--output_file={output}",
                    f"--vocab_file={self.vocab}",
                    f"--max_seq_length={args.max_seq_length}",
                    f"--max_predictions_per_seq={predictions}",
                    f"--dupe_factor={dupe_factor}",
                    *([] if self.args.family == "bert" else [f"--sentence_task={self.recipe.sentence_task}"]),
                ],
                outputs=[output],
            )

    def pretrain(self):
        """Pre-trains the model and returns its figures on held-out records."""
        args, config = self.args, self.args.bert_config_file
        if config is None:
            config = self.folder / self.recipe.config
            sizes = {"vocab_size": len(self.tokenizer), "pad_token_id": self.tokenizer.pad_id}
            fields = self.recipe.config_fields(**sizes)
            config.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
        return self.command(
            "pretrain",
            [
                "pretrain",
                f"--input_file={self.folder / 'records' / 'train.tfrecord'}",
                f"--eval_file={self.folder / 'records' / 'heldout.tfrecord'}",
                f"--bert_config_file={config}",
                f"--output_dir={self.pretrained}",
                f"--train_batch_size={args.train_batch_size}",
                f"--learning_rate={args.learning_rate}",
                f"--num_train_steps={args.num_train_steps}",
                f"--num_warmup_steps={args.num_train_steps // 10}",
                f"--eval_every={max(1, args.num_train_steps // 4)}",
                "--max_eval_steps=500",  # all of the docstrings' held-out records, a part of a large corpus'
            ],
            outputs=[self.pretrained / "config.json", self.pretrained / "run.json"],
            resumes=self.pretrained / "run.json",
            key=Path(config).read_text(encoding="utf-8") if Path(config).is_file() else "",
        )

    def unigram(self):
        """Returns the accuracy of always guessing the token that is right most often, on the same masked slots."""
        import numpy as np

        from keras_bert.data.datasets import pretraining_dataset

        records = pretraining_dataset(
            self.folder / "records" / "heldout.tfrecord",
            batch_size=256,
            shuffle=False,
            repeat=False,
            drop_remainder=False,
        )
        counts = sum(
            np.bincount(labels["masked_lm"].numpy()[weights["masked_lm"].numpy() > 0], minlength=1 << 20)
            for _, labels, weights in records
        )
        share, token = float(counts.max() / counts.sum()), self.tokenizer.shown(int(counts.argmax()))
        print(f"for comparison: {token!r}, the most frequent of the masked tokens, would be right in {share:.1%}")
        return round(share, 6)

    def fill_mask(self):
        """Asks the pre-trained model for masked words."""
        texts = [
            *(MASK_EXAMPLES if self.inputs is None else ()),
            *masked_sentences(self.corpus_folder / "heldout.txt", 3),
        ]
        texts = [text.replace("[MASK]", self.tokenizer.mask_token) for text in texts]
        return self.command(
            "fill_mask", ["fill_mask", f"--model_dir={self.pretrained}", "--format=text", *texts], outputs=[]
        )

    def finetune(self, corpus):
        """Fine-tunes from the pre-trained encoder and from scratch, exports the first and queries it."""
        if "classes" not in corpus:
            print("\n== classify: left out, since no two held-out documents are long enough to be told apart")
            return {}
        figures = {}
        for kind, flags in (("pretrained", []), ("scratch", ["--from_scratch"])):
            output = self.folder / f"classifier_{kind}"
            figures[kind] = self.command(
                f"classify_{kind}",
                [
                    "classify",
                    f"--train_file={self.corpus_folder / 'classify_train.tsv'}",
                    f"--eval_file={self.corpus_folder / 'classify_test.tsv'}",
                    f"--init_checkpoint={self.pretrained}",
                    *flags,
                    f"--output_dir={output}",
                    "--max_seq_length=64",
                    "--train_batch_size=32",
                    "--learning_rate=5e-4",
                    "--num_train_epochs=8",
                    "--num_runs=3",
                    "--noeval_each_epoch",
                ],
                outputs=[output / "eval_results.json", output / "config.json"],  # the first and last to be written
            )
        serving = self.folder / "serving" / "classifier" / "1"
        self.command(
            "export",
            ["export", f"--model_dir={self.folder / 'classifier_pretrained'}", f"--output_dir={serving}"],
            outputs=[serving / "saved_model.pb"],
        )
        answers = self.stages.run("query", QUERY, lambda: self.query(serving), outputs=[])
        return {
            "finetune_accuracy_pretrained": figures["pretrained"]["accuracy_mean"],
            "finetune_accuracy_scratch": figures["scratch"]["accuracy_mean"],
            "finetune_accuracy_pretrained_sd": figures["pretrained"]["accuracy_sd"],
            "finetune_accuracy_scratch_sd": figures["scratch"]["accuracy_sd"],
            "finetune_majority_share": corpus["classify_majority_share"],
            "served_answers": answers,
        }

    def query(self, serving):
        """Asks the SavedModel about raw strings from a fresh process that knows nothing of this library."""
        from keras_bert.errors import UserError
        from keras_bert.tasks.table import read_table

        texts = read_table(self.corpus_folder / "classify_test.tsv")[0][:3]
        print(f"a fresh Python process with tensorflow and tensorflow_text alone loads {serving}:{QUERY.rstrip()}")
        done = subprocess.run([sys.executable, "-c", QUERY, str(serving), *texts], capture_output=True, text=True)
        if done.returncode:
            raise UserError(f"The served model did not answer: {done.stderr.strip().splitlines()[-1]}")
        answers = json.loads(done.stdout.strip().splitlines()[-1])
        for text, (label, probability) in zip(texts, answers, strict=True):
            print(f"  {probability:.2f} {label:<12} {text[:90]}")
        return [{"text": t, "label": label, "probability": p} for t, (label, p) in zip(texts, answers, strict=True)]


def masked_sentences(path, count):
    """Returns held-out sentences of 8 to 20 words with their longest word masked, spread over the file.

    Args:
        path: a text file, one sentence a line.
        count: how many; fewer where the file has fewer.
    """
    from keras_bert.files import read_lines

    sentences = [s for s in read_lines(path) if 8 <= len(s.split()) <= 20 and s.isascii()]
    chosen = sentences[:: max(1, len(sentences) // count)][:count]
    masked = []
    for sentence in chosen:
        words = sentence.split()
        plain = [i for i, word in enumerate(words) if word.isalpha()] or [0]
        words[max(plain, key=lambda i: len(words[i]))] = "[MASK]"
        masked.append(" ".join(words))
    return masked
