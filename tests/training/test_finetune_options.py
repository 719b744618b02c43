"""FineTuning: one value of options, whose mistakes are told in a sentence where they are made."""

import dataclasses

import pytest

from keras_bert.errors import UserError
from keras_bert.training.finetune_options import FineTuning


def test_what_is_given_by_name_comes_before_the_options():
    options = FineTuning(seeds=range(3), epochs=2)
    assert options.seeds == (0, 1, 2)
    assert FineTuning.of(options, epochs=1) == dataclasses.replace(options, epochs=1)
    assert FineTuning.of() == FineTuning()


def test_a_point_of_a_grid():
    options = FineTuning(grid=[{"learning_rate": 1e-3}, {"epochs": 1, "train_batch_size": 4}])
    at = options.at(options.grid[1])
    assert (at.grid, at.epochs, at.train_batch_size, at.learning_rate) == (({},), 1, 4, 5e-5)
    assert (
        options.chooses and not at.chooses and FineTuning(seeds=[1, 2]).chooses and FineTuning(early_stopping=1).chooses
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"learning_rte": 1e-3}, "learning_rte is not an option of fine-tuning; did you mean learning_rate?"),
        ({"xyzzy": 1}, "xyzzy is not an option of fine-tuning; there are seeds, grid,"),
        ({"grid": [{"num_train_epochs": 1}]}, "num_train_epochs is not an option of fine-tuning; did you mean"),
        ({"options": {"epochs": 1}}, r"options must be a FineTuning. Received: {'epochs': 1}."),
        ({"seeds": []}, "at least one seed and one point of the grid. Received: 0 and 1."),
        ({"early_stopping": 0}, "early_stopping must be at least 1 epoch. Received: 0."),
        ({"train_batch_size": 0}, "train_batch_size must be a whole number of at least 1. Received: 0."),
        ({"epochs": float("nan")}, "epochs must be greater than 0. Received: nan."),
        ({"learning_rate": "1e-3"}, "learning_rate must be a number. Received: '1e-3'."),
    ],
)
def test_mistakes(given, message):
    with pytest.raises(UserError) as caught:
        FineTuning.of(**given)
    assert message in str(caught.value)
