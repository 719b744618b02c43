"""A model directory, ready to answer: which task it does, its model and its tokenizer."""

import dataclasses

import keras

from keras_bert.checkpoints import open_checkpoint
from keras_bert.errors import UserError, note, shorten
from keras_bert.tasks.inputs import check_vocabulary
from keras_bert.tasks.rows import WORDS, find_task, task_saved_as, tasks
from keras_bert.text.tokenizer import Tokenizer

# What export takes of task.json's "reading".
SETTINGS = ("max_seq_length", "by_character", "long_texts", "doc_stride", "max_query_length")


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A model that can answer.

    Attributes:
        task: a word of the table of tasks.
        model: the model, with the checkpoint's weights.
        tokenizer: its Tokenizer, or None.
        pair: whether it was trained on two texts at a time, as task.json says.
        settings: how it reads texts, as `export` takes it: what its training kept in task.json. How an encoder makes
            vectors is the model's own.
    """

    task: str
    model: keras.Model
    tokenizer: Tokenizer | None
    pair: bool
    settings: dict

    def __str__(self):
        config = self.model.bert_config
        return f"{config.num_hidden_layers} layers of {config.hidden_size}, vocabulary {config.vocab_size:,}"


def load(path, *, task=None, dtype=None, takes_text=True):
    """Loads the model and the tokenizer of a model directory for a task.

    Args:
        path: what `from_pretrained` takes, with a vocabulary beside the weights.
        task: a word of the table of tasks; None takes what task.json says, and "embed" without one.
        dtype: a Keras dtype policy or its name; the global one if None.
        takes_text: whether it will be given text. Of a model that takes ids a tokenizer that is missing, or of a kind
            that cannot be read, is said in a note and left out.

    Returns:
        A Loaded.

    Raises:
        UserError: no model or no vocabulary there, a vocabulary of another size than the model's, an
            unknown task, or one whose weights the checkpoint lacks.
    """
    chosen = None if task is None else find_task(task)
    checkpoint = open_checkpoint(path)
    kind = checkpoint.task.get("task")
    task = chosen or task_saved_as(kind)
    if task is None:
        raise UserError(f"{path}: task.json says {kind!r}, which is not one of {', '.join(WORDS)}; choose --task.")
    missing = _missing(checkpoint, task)
    if missing:
        made_for = f"; it was saved for {kind!r}" if kind else ""
        able = [name for name, other in tasks().items() if not _missing(checkpoint, other)]
        raise UserError(
            f"{path} cannot do {task.name}: it lacks {missing}{made_for}. It can do: {', '.join(able) or 'none'}."
        )
    tokenizer = _tokenizer(path, takes_text=takes_text)
    if tokenizer is not None:
        check_vocabulary(checkpoint.config, tokenizer)
    model = task.model.from_pretrained(path, **({} if dtype is None else {"dtype": dtype}))
    needed = task.weights(checkpoint.config, checkpoint.task)
    random = [name for name in model.load_report.new if name in needed]
    if random:
        raise UserError(f"{path} cannot do {task.name}: it lacks {', '.join(random)}, or has them in another shape.")
    reading = (checkpoint.task.get("reading") or {}) if task.saved_as else {}
    settings = {name: reading[name] for name in SETTINGS if reading.get(name) is not None}
    return Loaded(task.name, model, tokenizer, bool(checkpoint.task.get("pair", False)), settings)


def _tokenizer(path, *, takes_text):
    """Returns the Tokenizer of a model directory; None, and a note, where none can be read and none is needed."""
    try:
        return Tokenizer.from_pretrained(path)
    except UserError as error:
        if takes_text:
            raise
        note(f"No tokenizer goes with the model: {error}")
        return None


def _missing(checkpoint, task):
    """Returns what a task needs and the checkpoint lacks first, in words, or None."""
    needed = task.weights(checkpoint.config, checkpoint.task)
    if missing := [name for name in needed if name not in checkpoint.shapes]:
        return f"the weights {shorten(missing, most=4)}"
    if task.made_by_settings and checkpoint.task.get("task") != task.saved_as:
        return f"a task.json that says {task.saved_as!r}"
    return None
