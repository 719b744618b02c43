"""Pre-training runs without what most tests of them do not look at: another tracing, and a SavedModel at the end."""

import contextlib
import json

import keras
import pytest

from keras_bert.training import pretrain
from keras_bert.training.options import FREE


@contextlib.contextmanager
def shared_graphs():
    """Lets runs with the same options share a model, an optimizer and traced steps.

    Each run begins with the values that new variables have: those that were drawn by the seed when they were made.
    """
    models, trainers = {}, {}
    make_model, make_trainer = pretrain._make_model, pretrain.make_trainer

    def shared_model(config, init_checkpoint, vocabulary, strategy, options, **reading):
        if init_checkpoint is not None or strategy.num_replicas_in_sync > 1:
            return make_model(config, init_checkpoint, vocabulary, strategy, options, **reading)
        fixed = {name: value for name, value in vars(options).items() if name not in FREE}
        key = json.dumps([config.to_dict(), fixed, reading], default=str)
        if key not in models:
            made = make_model(config, init_checkpoint, vocabulary, strategy, options, **reading)
            models[key] = (made, [keras.ops.convert_to_numpy(variable) for variable in variables_of(made)])
        made, values = models[key]
        keras.utils.set_random_seed(options.seed)
        for variable, value in zip(variables_of(made), values, strict=True):
            variable.assign(value)
        return made

    def shared_trainer(model, optimizer, strategy, **options):
        key = (id(model), json.dumps(options))
        if key not in trainers:
            trainers[key] = make_trainer(model, optimizer, strategy, **options)
        return trainers[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrain, "_make_model", shared_model)
        patch.setattr(pretrain, "make_trainer", shared_trainer)
        patch.setattr(pretrain, "_write_other_formats", lambda folder: None)
        yield


def variables_of(made):
    """Returns all variables of a model, seeds of dropout included, and of its optimizer."""
    model, optimizer = made
    return [*model.variables, *optimizer.variables]
