"""GLUE's tasks and XNLI as runs of one command: their files, their splits, and what the GLUE server takes."""

import shlex
from pathlib import Path
from typing import ClassVar

from keras_bert.errors import UserError
from keras_bert.tasks.flag import Flag
from keras_bert.tasks.job import Job, export_command

SPLITS = {"train": "train", "eval": "dev", "predict": "test"}


class Glue(Job):
    """A run of `keras-bert glue`. Its texts are {split: Examples}, the first split being the one that must be there."""

    word = "classify"
    flags = (
        Flag(
            "task_name",
            "CoLA, SST-2, MRPC, STS-B, QQP, MNLI, QNLI, RTE, WNLI, AX (with a model of MNLI) or XNLI, in any case",
        ),
        Flag("data_dir", "the task's directory as GLUE ships it, or the one with all of them"),
        Flag(
            "tfds",
            "take tensorflow_datasets; --data_dir is its directory, or tfds for its default one",
            kind=bool,
            default=False,
        ),
        Flag("language", "XNLI: language of the texts (default: zh, as in run_classifier.py)"),
        Flag("eval_split", "data that --do_eval measures on", choices=("dev", "test"), default="dev"),
        Flag(
            "submission",
            "do only this: pack the files of these output directories into --output_dir's submission.zip",
            group="output",
            many="DIR",
        ),
    )
    main = ("task_name", "data_dir", "init_checkpoint", "output_dir", "num_runs", "submission")
    doing: ClassVar = {"predict": "label the test set"}
    cross_validates = False

    @property
    def outputs(self):
        """The files of the server, and the figures of other splits."""
        from keras_bert.tasks.glue.rows import SUBMISSIONS

        return (*(f"{name}.tsv" for name in SUBMISSIONS), "test_results*.tsv", "eval_results_*.json")

    def settle(self):
        from keras_bert.tasks.glue.rows import TASKS, find_task

        args = self.args
        if not args.task_name:
            raise UserError(f"--task_name is missing; choose one of {', '.join(TASKS)}.")
        self.task = find_task(args.task_name)
        if not args.data_dir and not args.tfds:
            raise UserError(f"--data_dir is missing; name the directory of {self.task.name}'s files, or tfds.")
        self.todo = self._what_to_do()
        self.trains = "train" in self.todo
        self.columns, self.asked = None, {}

    def _what_to_do(self):
        """Returns which of train, eval and predict the flags ask for, or else the task and its files allow."""
        asked = {part: getattr(self.args, f"do_{part}") for part in SPLITS}
        if True in asked.values():
            return [part for part in SPLITS if asked[part]]
        trained = "train" in self.task.tables
        allowed = {
            "train": trained,
            "eval": trained or self._has(self.args.eval_split),
            "predict": self._has("test"),
        }
        todo = [part for part in SPLITS if allowed[part] and asked[part] is not False]
        if not todo:
            raise UserError(
                f"There is nothing to do: {self.args.data_dir} has no {self.task.name} set that the flags leave."
            )
        return todo

    def _has(self, split):
        from keras_bert.tasks.glue.reading import has_examples

        args = self.args
        return has_examples(self.task, args.data_dir, split, tfds=args.tfds, language=args.language)

    def saved_model(self):
        return {"what": f"model of {self.task.trained_as or self.task.name}", "remedy": "add --do_train"}

    @property
    def metric(self):
        """The task's first official figure."""
        return self.task.metrics[0]

    @property
    def pair(self):
        """Whether the task is one of pairs."""
        return self.task.pair

    def check_saved(self, checkpoint):
        from keras_bert.tasks.glue.heads import label_columns

        self.columns = label_columns(self.task, checkpoint)

    @property
    def reads_by_tensorflow(self):
        """Whether reading imports TensorFlow."""
        return self.args.tfds or self.args.data_dir == "tfds"

    def read(self, checkpoint):
        from keras_bert.tasks.glue.reading import read_examples

        args, parts = self.args, {}
        for part in self.todo:
            first = args.eval_split if part == "eval" else SPLITS[part]
            splits = [first, *(split for split in self.task.splits(first) if split != first and self._has(split))]
            options = {"labels": part != "predict", "tfds": args.tfds, "language": args.language, "log": print}
            parts[part] = {split: read_examples(self.task, args.data_dir, split, **options) for split in splits}
        return parts

    def describe(self):
        task = self.task
        what = "a number" if task.regression else f"{task.num_classes} labels: {', '.join(task.labels)}"
        yield f"task: {task.name}, {'pairs of texts' if task.pair else 'texts'}, {what}"
        for splits in self.parts.values():
            yield ", ".join(f"{split}: {len(each):,}" for split, each in splits.items())

    def head(self, encoder):
        from keras_bert.tasks.glue.running import make_head

        return make_head(self.task)(encoder)

    def train(self, make_model, options, **watching):
        from keras_bert.tasks.glue.running import train

        held_out = self._splits("eval", self.args.eval_batch_size, progress=None) if "eval" in self.parts else None
        return train(
            self.task,
            make_model,
            self.tokenizer,
            self.parts["train"]["train"],
            held_out,
            options,
            max_seq_length=self.args.max_seq_length,
            **watching,
        )

    def _splits(self, part, batch_size, **options):
        """Returns the Splits of a part."""
        from keras_bert.tasks.glue.running import Splits

        return Splits(self.task, self.parts[part], self.tokenizer, **self.sizes(batch_size), **options)

    def ask(self, model, part, batch_size):
        self.asked[part] = self._splits(part, batch_size, columns=self.columns, progress=self.progress)
        return self.asked[part].predict(model)

    def measure(self, model, part, answers):
        if part == "predict":
            return {}
        splits = self.asked[part]
        return {"task": self.task.name, **splits.measure(answers), "eval_examples": splits.counts()}

    def write(self, model, part, answers, folder):
        from keras_bert.tasks.glue.submission import write_predictions

        if part == "eval":
            return []
        files = (write_predictions(self.task, split, each, folder) for split, each in answers.items())
        return [path for paths in files for path in paths]

    def results_file(self):
        """Returns the name of the file of figures: another one beside those of another task's model, AX's for MNLI."""
        from keras_bert.files import read_json

        if self.trains:
            return "eval_results.json"
        split = self.args.eval_split
        name = "eval_results.json" if split == "dev" else f"eval_results_{split}.json"
        file = Path(self.args.output_dir) / name
        if file.exists() and read_json(file, what="The results").get("task", self.task.name) != self.task.name:
            return name.replace("eval_results", f"eval_results_{self.task.name}")
        return name

    def report(self, results):
        from keras_bert.tasks.glue.rows import suffix

        for split in self.task.splits("dev"):
            names = [name + suffix(split) for name in (*self.task.metrics, "loss") if name + suffix(split) in results]
            if names:
                yield "held out: " + ", ".join(f"{name} {results[name]:.4f}" for name in names)

    def title(self):
        return self.task.name

    def next_step(self, saved):
        if "predict" in self.todo and self.task.submissions:
            place = Path(self.args.output_dir)
            return (
                f"keras-bert glue --submission {shlex.quote(str(place))} --output_dir {shlex.quote(str(place.parent))}"
            )
        return export_command(saved)
