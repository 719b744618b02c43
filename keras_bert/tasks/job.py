"""What a fine-tuning command does for a task: a Job reads its files, trains its model, measures, writes and says.

A further one is a subclass in the `job` module of a task's folder; keras_bert/cli/finetune.py runs any of them by one
path. The module's docstring is the command's help. Imports no TensorFlow before `train`.
"""

import abc
import shlex
from pathlib import Path
from typing import ClassVar

from keras_bert.errors import UserError
from keras_bert.tasks.flag import Flag
from keras_bert.tasks.split_files import find_files

PARTS = ("eval", "test", "predict")  # what a model is asked about, in this order
SHOWN_AS = {"train": "training", "eval": "held out", "test": "test", "predict": "to answer"}


class Job(abc.ABC):
    """One run of a fine-tuning command.

    A subclass gives what is abstract here, and whatever else is different for its task. The texts of a file are of any
    type of its own, and are named by the part that they play: "train", "eval", "test" or "predict".

    Args:
        args: the command's flags, as parsed.

    Attributes:
        word: the task's.
        flags: the command's own Flags.
        main: names of the six flags that its help shows first.
        training: {option of `add_training_flags`: its default}, where it is not Google's for classifiers.
        doing: {"train", "eval" or "predict": what --do_... does}, where it is not what most commands do.
        metric: the figure that chooses among runs.
        figures: the figures that are shown, in order.
        outputs: glob patterns of the files that it may write beside the model.
        cross_validates: whether a --data_dir of folders with a training file each is one of folds.
        needs_word: whether only what task.json calls by the task's word can answer.
        pair: whether each row has two texts.
        reads_by_tensorflow: whether `read` imports TensorFlow.
        trains: whether there is something to train on.
        parts: {part: texts}, once they are read.
        tokenizer, progress: what `train` and `ask` work with.
    """

    word: str
    flags: tuple[Flag, ...] = ()
    main: tuple[str, ...] = ("data_dir", "train_file", "eval_file", "predict_file", "init_checkpoint", "output_dir")
    training: ClassVar[dict] = {}
    doing: ClassVar[dict] = {}
    metric = "accuracy"
    figures: tuple[str, ...] = ("accuracy", "loss")
    outputs: tuple[str, ...] = ()
    cross_validates = True
    needs_word = True
    pair = False
    reads_by_tensorflow = False

    def __init__(self, args):
        self.args, self.parts = args, {}
        self.tokenizer = self.progress = None
        self.settle()

    def settle(self):
        """Decides what is to be done, before any work.

        Raises:
            UserError: flags that contradict, files that are not there, or nothing to do.
        """
        self.files = find_files(self.args)
        self.trains = self.files["train_file"] is not None

    def saved_model(self):
        """Returns what is looked for where nothing is trained, and what would make it."""
        return {"what": "model", "remedy": "add --train_file"}

    def check_saved(self, checkpoint):
        """Raises a UserError if a Checkpoint that is to answer was not taught to, or lacks what answers come from."""
        from keras_bert.checkpoints.parts import head_task, needed_weights

        path, said = self.args.init_checkpoint, checkpoint.task.get("task")
        remedy = f"give --train_file, or as --init_checkpoint what `keras-bert {self.word}` wrote."
        if said != self.word and (said is not None or self.needs_word):
            raise UserError(f"Nothing to answer with: {path} was not taught to {self.word}; {remedy}")
        needed = needed_weights(checkpoint.config, head_task(checkpoint.task) or self.word)
        if missing := [name for name in needed if name not in checkpoint.shapes]:
            raise UserError(f"{path} cannot {self.word}: it lacks {', '.join(missing)}; {remedy}")

    @abc.abstractmethod
    def read(self, checkpoint):
        """Returns {part: texts} of the files, None for those that are not there.

        Args:
            checkpoint: the opened Checkpoint that is to answer; None where a model is trained.
        """

    @abc.abstractmethod
    def head(self, encoder):
        """Returns the model before training, on an Encoder."""

    @abc.abstractmethod
    def train(self, make_model, options, **watching):
        """Fine-tunes; returns a BestRun whose results are complete. See `best_of_runs`."""

    @abc.abstractmethod
    def ask(self, model, part, batch_size):
        """Returns what a model answers to a part, of any type."""

    @abc.abstractmethod
    def measure(self, model, part, answers):
        """Returns {name: figure} of answers; {} where nobody says what is right."""

    @abc.abstractmethod
    def write(self, model, part, answers, folder):
        """Writes answers into a folder, and returns the paths of the files."""

    def describe(self):
        """Yields lines about what was read."""
        for part, texts in self.parts.items():
            yield f"{SHOWN_AS[part]}: {len(texts):,}"

    def texts(self, part):
        """Returns what tells a part's texts from one another, str or tuples; [] if nothing is to be said of them."""
        return []

    def results_file(self):
        """Returns the name of the file of figures."""
        return "eval_results.json"

    def report(self, results):
        """Yields lines about figures."""
        for line, _ in self.measured(results):
            yield line

    def measured(self, results):
        """Yields (line, figures) of the held-out texts and of the test file, of those that were measured."""
        for part, figures in (("eval", results), ("test", results.get("test", {}))):
            if shown := [f"{name} {figures[name]:.4f}" for name in self.figures if name in figures]:
                yield f"{SHOWN_AS[part]}: {', '.join(shown)}", figures

    def reading(self):
        """Returns what else than the numbers of its flags is kept with the model of how it reads."""
        return {}

    def title(self):
        """Returns the heading of the pictures."""
        return Path(self.args.output_dir).resolve().name

    @abc.abstractmethod
    def next_step(self, saved):
        """Returns the next command to run; `saved` is the path of the model."""

    def sizes(self, batch_size):
        """Returns the options of what asks a model."""
        return {"max_seq_length": self.args.max_seq_length, "batch_size": batch_size}


def export_command(model):
    """Returns the command that exports a model, whose path is given.

    >>> export_command("out/films")
    'keras-bert export --model_dir out/films --output_dir serving/films/1'
    """
    served = f"serving/{Path(model).resolve().name}/1"
    return f"keras-bert export --model_dir {shlex.quote(str(model))} --output_dir {shlex.quote(served)}"


def asking_command(task, file, model):
    """Returns the command that asks a model about a file.

    >>> asking_command("tag", "texts.jsonl", "my tagger")
    "keras-bert tag --predict_file=texts.jsonl --init_checkpoint='my tagger' --output_dir=answers"
    """
    return f"keras-bert {task} --predict_file={file} --init_checkpoint={shlex.quote(str(model))} --output_dir=answers"
