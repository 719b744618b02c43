"""Learning rates step by step, worked by hand."""

import math

import keras
import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.training.optimizers import adamw, lamb
from keras_bert.training.schedules import DECAYS, WarmupLinearDecay, WarmupSchedule
from tests import reference_bert


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.0),
        (1, 2.5e-4),
        (3, 7.5e-4),
        (4, 8e-4),
        (5, 7.5e-4),
        (10, 5e-4),
        (19, 5e-5),
        (20, 0.0),
        (21, 0.0),
        (99, 0.0),
    ],
)
def test_the_rate_rises_then_falls_on_the_line_from_step_0(step, expected):
    schedule = WarmupLinearDecay(1e-3, num_train_steps=20, num_warmup_steps=4)
    assert float(schedule(step)) == pytest.approx(expected, abs=1e-9)
    assert float(schedule(keras.ops.array(step, "int64"))) == pytest.approx(expected, abs=1e-9)
    assert float(schedule(float(step))) == pytest.approx(expected, abs=1e-9)


def test_without_a_warm_up_the_first_rate_is_the_peak():
    assert float(WarmupLinearDecay(1e-3, num_train_steps=20)(0)) == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # the rates at steps 0 (of the warm-up), 4 (4/5 left), 10 (1/2), 15 (1/4), 20 and 30, of a peak of 1
        ({"decay": "linear"}, [0, 0.8, 0.5, 0.25, 0, 0]),
        ({"decay": "linear", "end_learning_rate": 0.2}, [0, 0.84, 0.6, 0.4, 0.2, 0.2]),
        ({"decay": "polynomial"}, [0, 0.8, 0.5, 0.25, 0, 0]),
        ({"decay": "polynomial", "power": 2.0}, [0, 0.64, 0.25, 0.0625, 0, 0]),
        ({"decay": "polynomial", "power": 0.5}, [0, 0.8**0.5, 0.5**0.5, 0.5, 0, 0]),
        ({"decay": "polynomial", "power": 2.0, "end_learning_rate": 0.2}, [0, 0.712, 0.4, 0.25, 0.2, 0.2]),
        ({"decay": "cosine"}, [0, (1 + math.cos(math.pi / 5)) / 2, 0.5, (1 - 0.5**0.5) / 2, 0, 0]),
        ({"decay": "cosine", "end_learning_rate": 0.2}, [0, 0.6 + 0.4 * math.cos(math.pi / 5), 0.6, None, 0.2, 0.2]),
        ({"decay": "constant"}, [0, 1, 1, 1, 1, 1]),
        ({"decay": "wsd", "num_decay_steps": 10}, [0, 1, 1, 1 - 0.5**0.5, 0, 0]),
        ({"decay": "wsd", "num_decay_steps": 16}, [0, 1, 1 - (6 / 16) ** 0.5, 1 - (11 / 16) ** 0.5, 0, 0]),
        ({"decay": "wsd"}, [0, 1, 1, 1, 0, 0]),  # over a tenth, the last two
    ],
)
def test_every_decay_by_hand(options, expected):
    schedule = WarmupSchedule(1.0, num_train_steps=20, num_warmup_steps=4, **options)
    for step, rate in zip((0, 4, 10, 15, 20, 30), expected, strict=True):
        if rate is not None:
            assert float(schedule(step)) == pytest.approx(rate, abs=1e-7)
    assert [float(schedule(step)) for step in (1, 2, 3)] == [0.25, 0.5, 0.75]  # the warm-up is the same for all


def test_a_constant_rate_needs_no_end():
    schedule = WarmupSchedule(2e-5, num_warmup_steps=10, decay="constant")
    assert [float(schedule(step)) for step in (0, 5, 10, 10**7)] == pytest.approx([0, 1e-5, 2e-5, 2e-5], rel=1e-6)


@pytest.mark.parametrize("total", [1_000_000, 3_000_000_000 if keras.backend.backend() == "tensorflow" else 10**9])
def test_a_schedule_of_millions_of_steps_keeps_its_digits(total):
    options = {"learning_rate": 1e-4, "num_train_steps": total, "num_warmup_steps": 10_000}
    schedule = WarmupSchedule(**options)
    for step in (1, 9_999, 10_000, total // 2 + 1, total - 3, total - 1):
        step_number = keras.ops.array(step, "int64")
        assert float(schedule(step_number)) == pytest.approx(reference_bert.rate(step, **options), rel=3e-7)
    cosine = float(WarmupSchedule(decay="cosine", **options)(keras.ops.array(total - 1, "int64")))
    assert cosine == pytest.approx(1e-4 * math.sin(math.pi / 2 / total) ** 2, rel=1e-6)


@pytest.mark.parametrize("decay", DECAYS)
def test_a_schedule_comes_back_from_its_config(decay):
    power = {"power": 3.0} if decay == "polynomial" else {}
    end = {} if decay == "constant" else {"end_learning_rate": 1e-4}
    schedule = WarmupSchedule(1e-3, num_train_steps=20, num_warmup_steps=4, decay=decay, **power, **end)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert type(again) is WarmupSchedule
    assert again.get_config() == schedule.get_config()
    assert [float(again(step)) for step in (2, 7, 30)] == [float(schedule(step)) for step in (2, 7, 30)]


def test_the_linear_schedule_keeps_the_arguments_of_its_first_release():
    schedule = WarmupLinearDecay(1e-3, num_train_steps=20, num_warmup_steps=4)
    assert schedule.get_config() == {"learning_rate": 1e-3, "num_train_steps": 20, "num_warmup_steps": 4}
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert type(again) is WarmupLinearDecay
    assert float(again(10)) == pytest.approx(5e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decay": "step"}, "No schedule is called 'step'; choose one of linear, polynomial, cosine, constant"),
        ({"decay": "cosine"}, "A cosine schedule needs num_train_steps. Received: None"),
        ({"num_train_steps": 0}, "num_train_steps must be a whole number of at least 1. Received: 0"),
        ({"num_train_steps": 34.5}, "num_train_steps must be a whole number of at least 1. Received: 34.5"),
        ({"num_train_steps": float("inf")}, "num_train_steps must be a whole number of at least 1. Received: inf"),
        ({"num_train_steps": 9, "num_warmup_steps": -1}, "num_warmup_steps must be a whole .* least 0. Received: -1"),
        ({"num_train_steps": 9, "num_warmup_steps": "2"}, "num_warmup_steps must be a whole .* least 0. Received: '2'"),
        ({"num_train_steps": 9, "power": 2.0}, "is of polynomial schedules alone. Received: 2.0 for linear"),
        ({"num_train_steps": 9, "decay": "polynomial", "power": 0.0}, "power must be over 0.* Received: 0.0"),
        ({"decay": "constant", "end_learning_rate": 1e-5}, "has no end_learning_rate. Received: 1e-05"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        WarmupSchedule(1e-3, **options)


@pytest.mark.parametrize("make", [adamw, lamb])
def test_the_optimizers_take_a_schedule_by_name(make):
    options = {"num_train_steps": 20, "num_warmup_steps": 4, "schedule": "polynomial", "power": 2.0}
    optimizer = make(1.0, end_learning_rate=0.2, **options)
    optimizer.iterations.assign(10)
    assert float(optimizer.learning_rate) == pytest.approx(0.4)
    assert float(make(2e-5).learning_rate) == pytest.approx(2e-5)  # a constant rate
    warm = make(2e-5, num_warmup_steps=10, schedule="constant")
    warm.iterations.assign(5)
    assert float(warm.learning_rate) == pytest.approx(1e-5)
    with pytest.raises(UserError, match=r"num_warmup_steps needs num_train_steps too\. Received: 10 and None"):
        make(2e-5, num_warmup_steps=10)
    with pytest.raises(UserError, match=r"end_learning_rate needs num_train_steps too\. Received: 1e-06 and None"):
        make(2e-5, end_learning_rate=1e-6)
    with pytest.raises(UserError, match=r"power needs num_train_steps too\. Received: 2\.0 and None"):
        make(2e-5, power=2.0)
    with pytest.raises(UserError, match="takes the place of the options of ours"):
        make(WarmupSchedule(1e-3, num_train_steps=9), num_train_steps=9)
    with pytest.raises(UserError, match="No schedule is called 'triangle'"):
        make(2e-5, num_train_steps=10, schedule="triangle")


@pytest.mark.parametrize("make", [adamw, lamb])
@pytest.mark.parametrize(
    ("learning_rate", "options", "message"),
    [
        (0.0, {}, r"learning_rate must be a number over 0, or a schedule\. Received: 0\.0"),
        (-1e-3, {"num_train_steps": 9}, r"learning_rate must be a number over 0, .* Received: -0\.001"),
        (float("nan"), {}, "Received: nan"),
        ("1e-4", {}, "Received: '1e-4'"),
        (
            1e-3,
            {"num_train_steps": 9, "num_warmup_steps": 10},
            r"must be at most num_train_steps, .* Received: 10 and 9",
        ),
        (1e-3, {"num_train_steps": 9.5}, r"num_train_steps must be a whole number of at least 1\. Received: 9\.5"),
        (1e-3, {"layer_decay": 0}, r"layer_decay must be over 0 and at most 1\. Received: 0\."),
        (1e-3, {"layer_decay": 1.5}, r"layer_decay must be over 0 and at most 1\. Received: 1\.5"),
        (1e-3, {"layer_decay": "0.9"}, r"layer_decay must be over 0 and at most 1\. Received: '0\.9'"),
    ],
)
def test_the_optimizers_refuse_what_cannot_be_at_once(make, learning_rate, options, message):
    with pytest.raises(UserError, match=message):
        make(learning_rate, **options)


@pytest.mark.parametrize("make", [adamw, lamb])
def test_the_optimizers_take_what_is_sensible(make):
    assert float(make(1).learning_rate) == 1.0
    assert make(1e-3, layer_decay=1).layer_decay == 1
    optimizer = make(1e-3, num_train_steps=np.int64(9), num_warmup_steps=9.0)
    optimizer.iterations.assign(3)
    assert float(optimizer.learning_rate) == pytest.approx(1e-3 / 3)
    assert keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer)).get_config()
    assert float(make(keras.optimizers.schedules.ExponentialDecay(0.5, 10, 0.9)).learning_rate) == 0.5


def test_the_peak_of_a_stable_phase_is_a_number_whatever_rounds():
    """XLA multiplies by 1 / n where it should divide by n."""
    assert float(DECAYS["wsd"](keras.ops.convert_to_tensor(1.0 + 1e-6), 1.0)) == 1.0


def test_electra_s_warm_up_is_decayed_too():
    """Source: google-research/electra, model/optimization.py."""
    schedule = WarmupSchedule(1e-3, num_train_steps=20, num_warmup_steps=5, warmup="multiplies")
    for step in range(22):
        expected = 1e-3 * max(0.0, 1 - step / 20) * min(1.0, step / 5)
        assert float(schedule(step)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"decay": "linear", "num_decay_steps": 3}, "num_decay_steps is of wsd schedules alone"),
        ({"decay": "wsd", "num_decay_steps": 17}, r"Warm-up and decay must fit .* 4 \+ 17 of 20"),
        ({"decay": "wsd", "num_decay_steps": 0}, "num_decay_steps must be a whole number of at least 1"),
        ({"warmup": "adds"}, "warmup must be one of replaces, multiplies"),
    ],
)
def test_options_of_the_later_schedules_that_make_no_sense(options, said):
    with pytest.raises(UserError, match=said):
        WarmupSchedule(1.0, num_train_steps=20, num_warmup_steps=4, **options)
