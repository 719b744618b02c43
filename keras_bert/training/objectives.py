"""What a run trains: one row an objective, which says for what, and how its model is made, begun with and saved.

What a step sums up for each task is the model's (`task_weights`, `batch_counts`, `batch_sums`); what the sums are
called and mean is in sums.py.
"""

import dataclasses
from collections.abc import Callable

from keras_bert.checkpoints import open_checkpoint
from keras_bert.checkpoints.parts import own_objectives
from keras_bert.config.generator import check_replaced_tokens
from keras_bert.data.manifests import SENTENCE_TASKS, sentence_task
from keras_bert.errors import UserError
from keras_bert.models import Encoder, Pretrainer, ReplacedTokenPretrainer
from keras_bert.training.sums import TASKS

GENERATOR_OPTIONS = ("generator_hidden_size", "generator_layers", "embedding_sharing")  # of a run, for rtd alone


@dataclasses.dataclass(frozen=True)
class Objective:
    """A row of what runs train.

    Attributes:
        title: what it is, in words.
        tasks: (the outputs that a model has of its own) -> the tasks that are trained.
        make: (config, tasks, options, **the encoder's options) -> a model with fresh weights.
        load: (path, tasks, options, generator, vocabulary, **the encoder's options) -> a model to begin with.
        check: (config) raises a UserError if a family cannot be trained so.
        has_generator: whether there is one, of which options speak.
    """

    title: str
    tasks: Callable
    make: Callable
    load: Callable
    check: Callable = lambda config: None
    has_generator: bool = False


def _make(config, tasks, options, **given):
    return Pretrainer(Encoder(config, dtype=options.dtype, **given), objectives=tasks)


def _load(path, tasks, options, *, generator=None, vocabulary=None, **given):
    given |= {"dtype": options.dtype, "vocabulary": vocabulary, "objectives": list(tasks)}
    return Pretrainer.from_pretrained(path, **given)


def _make_pair(config, tasks, options, **given):
    size = options.generator_size()
    given |= {"embedding_sharing": size.sharing, "dtype": options.dtype, "seed": options.seed}
    return ReplacedTokenPretrainer(config, generator_config=size.config(config), **given)


def _load_pair(path, tasks, options, **given):
    given |= {"dtype": options.dtype, "seed": options.seed}
    return ReplacedTokenPretrainer.from_pretrained(path, size=options.generator_size(), **given)


OBJECTIVES = {
    "family": Objective("what the family is pre-trained for", tuple, _make, _load),
    "mlm": Objective("masked tokens alone", lambda own: ("masked_lm",), _make, _load),
    "rtd": Objective(
        "replaced tokens",
        lambda own: ("masked_lm", "replaced_tokens"),
        _make_pair,
        _load_pair,
        check=check_replaced_tokens,
        has_generator=True,
    ),
}


def objective_of(options, config, init_checkpoint=None):
    """Returns the Objective of a run, and the names of its tasks.

    Args:
        options: PretrainOptions.
        config: the Config of a model with fresh weights.
        init_checkpoint: the checkpoint that it begins with, which has a Config of its own. A model that says which
            tokens were replaced is trained for it unless `objective` is another.

    Raises:
        UserError: the family cannot be trained so, or options of a generator where there is none.
    """
    own = None
    if init_checkpoint is not None:
        checkpoint = open_checkpoint(init_checkpoint)
        config, own = checkpoint.config, checkpoint.task.get("objectives")
    own, row = own_objectives(config, own), OBJECTIVES[options.objective]
    if options.objective == "family" and "replaced_tokens" in own:
        row = OBJECTIVES["rtd"]
    row.check(config)
    if not row.has_generator:
        defaults = {field.name: field.default for field in dataclasses.fields(options)}
        for name in GENERATOR_OPTIONS:
            if getattr(options, name) != defaults[name]:
                raise UserError(
                    f"{name} is about a generator, which only objective rtd has (--objective=rtd); leave it out. "
                    f"Received: {getattr(options, name)}."
                )
    return row, row.tasks(own)


def check_records(tasks, files):
    """Raises a UserError if records have no labels for any of the tasks."""
    if all(TASKS[task].of_records for task in tasks) and SENTENCE_TASKS[sentence_task(files)] is None:
        raise UserError(
            f"{files[0]} has no sentence pairs to learn from, and the model is trained for nothing else; make the "
            "records again with --sentence_task, or train it for masked tokens (--objective=mlm)."
        )
