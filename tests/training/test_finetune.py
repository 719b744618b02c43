"""Fine-tuning through model.fit: it learns, counts its steps, and a seed gives the same run wherever it stands."""

import keras
import numpy as np
import pytest

from keras_bert.config import BertConfig
from keras_bert.data.texts import text_dataset
from keras_bert.errors import UserError
from keras_bert.models import BertClassifier, BertEncoder
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from keras_bert.training import xla
from keras_bert.training.finetune import BestEpoch, DivergedError, finetune, finetune_runs

eager = pytest.mark.usefixtures("eagerly")  # for what takes few steps

WORDS = [f"w{i}" for i in range(12)]
TEXTS = [f"{first} {second}" for first in WORDS[:4] for second in WORDS[4:8]]
LABELS = [int(text.split()[0] in WORDS[:2]) for text in TEXTS]  # the first word decides


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(Vocabulary([*SPECIAL_TOKENS, *WORDS]))


def make_model(layers=1, dropout=0.1):
    config = BertConfig(
        vocab_size=len(SPECIAL_TOKENS) + len(WORDS),
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=8,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        initializer_range=0.1,
    )
    return BertClassifier(BertEncoder(config), num_classes=2)


@pytest.fixture(scope="module")
def untrained():
    """A model for what is refused before anything is trained."""
    return make_model()


@pytest.fixture
def make_dataset(tokenizer):
    def make(seed=0, **options):
        sizes = {"batch_size": 4, "max_seq_length": 8, "pad_to_multiple": 8}
        return text_dataset(TEXTS, LABELS, tokenizer, seed=seed, **sizes, **options)

    return make


def test_two_layers_learn_a_small_table(make_dataset):
    keras.utils.set_random_seed(3)
    model = make_model(layers=2, dropout=0.0)
    history = finetune(model, make_dataset(), epochs=20, learning_rate=5e-3).history
    assert len(history["loss"]) == 20
    assert history["accuracy"][-1] == 1.0
    assert history["loss"][-1] < 0.1 < history["loss"][0]


@eager
def test_steps_schedule_and_progress(make_dataset):
    model, seen, called_at = make_model(), [], []

    def evaluate(model):
        called_at.append(int(model.optimizer.iterations))
        return {"double": 2.0 * called_at[-1]}

    history = finetune(
        model,
        make_dataset(),
        num_train_steps=10,
        warmup_proportion=0.25,
        evaluate=evaluate,
        progress=lambda *args: seen.append(args[:-1]),
        stage="a run",
    ).history
    assert history["step"] == [4, 8, 10] == called_at  # 16 examples are 4 batches
    assert history["val_double"] == [8.0, 16.0, 20.0]
    assert seen == [("a run", step, 10, "step") for step in range(11)]  # "compiling..." first
    assert int(model.optimizer.iterations) == 10
    assert float(model.optimizer.learning_rate) == 0.0
    assert model.optimizer.get_config()["learning_rate"]["config"]["num_warmup_steps"] == 2


@eager
def test_a_dataset_without_end_and_one_evaluation(make_dataset):
    model, calls = make_model(), []
    history = finetune(
        model, make_dataset().repeat(), num_train_steps=6, evaluate=lambda _: calls.append(1) or {"figure": 1.0}
    ).history
    assert history["step"] == [6]
    assert int(model.optimizer.iterations) == 6
    history = finetune(
        model,
        make_dataset(),
        epochs=1.75,
        evaluate=lambda _: calls.append(2) or {"figure": 1.0},
        evaluate_each_epoch=False,
        compile_model=False,
    ).history
    assert history["step"] == [4, 7]
    assert history["val_figure"] == [1.0]
    assert calls == [1, 2]


def weights_of(model):
    return [np.asarray(variable) for variable in model.trainable_variables]


@eager
def test_each_of_several_runs_is_the_run_of_its_seed(make_dataset):
    options = {"epochs": 1, "learning_rate": 1e-2}
    runs, functions = {}, set()
    for seed, model, history in finetune_runs(make_model, make_dataset, [7, 8], **options):
        runs[seed] = (weights_of(model), history.history)
        functions.add(model.train_function)
    assert len(functions) == 1  # traced once
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(runs[7][0], runs[8][0], strict=True))

    keras.utils.set_random_seed(8)
    alone = make_model()
    history = finetune(alone, make_dataset(8), seed=8, **options).history
    np.testing.assert_allclose(history["loss"], runs[8][1]["loss"], rtol=1e-5)
    for ours, theirs in zip(weights_of(alone), runs[8][0], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@eager
def test_the_seed_alone_decides_dropout(make_dataset):
    model, losses = make_model(dropout=0.5), []
    for seed in (5, 6, 5):
        options = {"num_train_steps": 2, "learning_rate": 1e-30}  # the weights stay, dropout alone differs
        dataset = make_dataset(shuffle=False)
        history = finetune(model, dataset, seed=seed, compile_model=not losses, **options).history
        losses.append(history["loss"][0])
    assert losses[0] == pytest.approx(losses[2], rel=1e-6)
    assert losses[0] != pytest.approx(losses[1], rel=1e-4)


def poison(model, value=np.nan):
    model.head.bias.assign(np.full(2, value, np.float32))


@eager
def test_a_nan_loss_ends_the_run_at_once(make_dataset):
    model = make_model()
    seen, options = [], {"learning_rate": 1e-3, "compile_model": True}
    late = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: batch == 2 and poison(model))
    sentence = (
        r"The loss is nan at step 3 of 12; lower the learning rate \(--learning_rate, now 0.001\), or let it rise"
    )
    with pytest.raises(DivergedError, match=sentence):
        finetune(model, make_dataset(), callbacks=[late], progress=lambda *args: seen.append(args[1]), **options)
    assert seen == [0, 1, 2]
    with pytest.raises(
        DivergedError, match=r"nan at the first step, before any update: the model's weights, the labels"
    ):
        finetune(model, make_dataset(), compile_model=False)


@eager
def test_a_nan_loss_leaves_the_best_epoch(make_dataset):
    model = make_model()
    late = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: epoch == 2 and poison(model))
    figures = iter([0.8, 0.5])
    options = {"early_stopping": 3, "metric": "f1", "callbacks": [late]}
    history = finetune(model, make_dataset(), epochs=5, evaluate=lambda _: {"f1": next(figures)}, **options)
    assert history.diverged.startswith("The loss is nan at step 9 of 20; ")
    assert history.history["step"] == [4, 8] and len(history.history["loss"]) == 2
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate must be greater than 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be greater than 0"),
        ({"warmup_proportion": 1.5}, "warmup_proportion must be from 0 to 1"),
        ({"epochs": 0.0}, "epochs must be greater than 0"),
        ({"num_train_steps": 0}, "num_train_steps must be at least 1"),
    ],
)
def test_numbers_out_of_range(untrained, make_dataset, options, message):
    with pytest.raises(UserError, match=message):
        finetune(untrained, make_dataset(), **options)


def test_a_dataset_of_unknown_length_needs_steps(untrained, make_dataset):
    with pytest.raises(UserError, match="say num_train_steps"):
        finetune(untrained, make_dataset().repeat())


@pytest.mark.parametrize(
    ("figures", "larger_is_better", "epochs", "best"),
    [
        ([0.1, 0.4, 0.3, 0.4, 0.9], True, 4, 1),  # as good is no better
        ([0.5, 0.4, 0.4, 0.6, 0.1], False, 4, 1),
        ([float("nan"), 0.2, float("nan"), 0.1, 0.9], True, 4, 1),
        ([0.1, 0.2, 0.1, 0.4, 0.3], True, 5, 3),
    ],
)
def test_when_to_stop_and_what_was_best(figures, larger_is_better, epochs, best):
    watch, layer = BestEpoch(2, "f1", larger_is_better), keras.layers.Dense(1)
    layer.build((1,))
    for epoch, figure in enumerate(figures, 1):
        layer.bias.assign([epoch - 1])
        if watch.add({"f1": figure}, layer):
            break
    assert epoch == epochs
    assert watch.weights[1].tolist() == [best]


@eager
def test_early_stopping_puts_the_best_weights_back(make_dataset):
    model, seen, figures = make_model(), [], iter([0.1, 0.4, 0.3, 0.2, 0.9])

    def evaluate(model):
        seen.append(weights_of(model))
        return {"f1": next(figures)}

    options = {"metric": "f1", "learning_rate": 1e-2, "early_stopping": 2}
    history = finetune(model, make_dataset(), epochs=5, evaluate=evaluate, **options).history
    assert history["val_f1"] == [0.1, 0.4, 0.3, 0.2]
    for weights, expected in zip(weights_of(model), seen[1], strict=True):
        np.testing.assert_array_equal(weights, expected)
    assert any(np.abs(a - b).max() > 0 for a, b in zip(seen[1], seen[3], strict=True))


@eager
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"early_stopping": 0, "metric": "f1"}, "at least 1 epoch. Received: 0"),
        ({"early_stopping": 1}, "give evaluate and metric"),
        ({"early_stopping": 1, "metric": "f1", "evaluate": None}, "give evaluate and metric"),
        ({"early_stopping": 1, "metric": "f1", "evaluate_each_epoch": False}, "after each epoch"),
        ({"early_stopping": 1, "metric": "f2"}, "f2 is not measured here; choose one of f1"),
    ],
)
def test_early_stopping_needs_a_figure(make_dataset, options, message):
    with pytest.raises(UserError, match=message):
        finetune(make_model(), make_dataset(), **{"evaluate": lambda _: {"f1": 0.5}} | options)


def moved_by(make_dataset, **options):
    """{path: how far the first step moved each variable}."""
    keras.utils.set_random_seed(1)
    model = make_model(layers=2, dropout=0.0)
    before = {v.path: np.asarray(v) for v in model.trainable_variables}
    options = {"num_train_steps": 1, "learning_rate": 1e-3, "warmup_proportion": 0.0, "weight_decay": 0.0} | options
    finetune(model, make_dataset(shuffle=False), **options)
    return {v.path: np.abs(np.asarray(v) - before[v.path]).max() for v in model.trainable_variables}


@eager
def test_lower_layers_learn_at_lower_rates_and_matrices_decay(make_dataset):
    plain, decayed = moved_by(make_dataset), moved_by(make_dataset, layer_decay=0.5)
    factors = {"classifier/kernel": 1.0, "layer_1/intermediate/kernel": 0.25, "layer_0/intermediate/kernel": 0.125}
    for name, factor in factors.items():
        (path,) = (path for path in plain if path.endswith(name))
        assert decayed[path] == pytest.approx(factor * plain[path], rel=1e-2)
    decayed = moved_by(make_dataset, weight_decay=100.0)
    kernels = [path for path in plain if path.endswith("intermediate/kernel")]
    assert all(decayed[path] > 5 * plain[path] for path in kernels)
    assert all(decayed[path] == pytest.approx(plain[path]) for path in plain if path.endswith("/bias"))


def test_class_weights_move_the_answers(make_dataset):
    model, shares = make_model(dropout=0.0), []
    fresh = model.get_weights()
    for weights in ({0: 1.0, 1: 0.0}, {0: 0.0, 1: 1.0}):
        model.set_weights(fresh)
        options = {"epochs": 8, "learning_rate": 1e-2, "compile_model": not shares}
        finetune(model, make_dataset(), class_weights=weights, **options)
        if not shares:
            model.optimizer.iterations.assign(0)  # its schedule begins anew
        answers = model.predict(make_dataset(shuffle=False), verbose=0).argmax(axis=1)
        shares.append(answers.mean())
    assert shares == [0.0, 1.0]  # what weighs nothing is not learnt


@eager
def test_another_loss_and_the_default_metrics(make_dataset):
    history = finetune(make_model(), make_dataset(), num_train_steps=2).history
    assert {"accuracy", "loss"} <= set(history)
    options = {"num_train_steps": 2, "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}
    history = finetune(make_model(), make_dataset(), **options).history
    assert set(history) == {"loss", "step"}


@eager
def test_runs_go_on_with_the_model_of_earlier_ones(make_dataset):
    stages = []
    options = {"epochs": 1, "progress": lambda stage, *_: stages.append(stage)}
    (_, model, _), *_ = finetune_runs(make_model, make_dataset, [7], **options)
    started = []
    more = {"model": model, "on_start": started.append, "runs_before": 1, "runs_in_all": 3, "learning_rate": 1e-2}
    runs = {}
    for seed, again, _ in finetune_runs(make_model, make_dataset, [7, 8], **options, **more):
        assert again is model
        runs[seed] = weights_of(again)
    assert started == [model]
    assert list(dict.fromkeys(stages)) == ["fine-tune", "run 2 of 3, seed 7", "run 3 of 3, seed 8"]
    keras.utils.set_random_seed(7)
    alone = make_model()
    finetune(alone, make_dataset(7), seed=7, epochs=1, learning_rate=1e-2)
    for ours, theirs in zip(weights_of(alone), runs[7], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.slow
def test_long_runs_compile_the_layers_chains_for_every_length_and_give_the_same_weights(monkeypatch, tokenizer):
    monkeypatch.setattr("keras_bert.layers.common.FUSED_WIDTH", 8)
    texts = [" ".join(WORDS[:count]) for count in (1, 2, 5)]
    weights = []
    for fused_from in (3, 4):
        monkeypatch.setattr("keras_bert.training.finetune.FUSED_FROM_STEPS", fused_from)
        xla._compiled.cache_clear()
        keras.utils.set_random_seed(4)
        model = make_model()
        options = {"batch_size": 1, "max_seq_length": 8, "pad_to_multiple": 1, "seed": 2}
        history = finetune(model, text_dataset(texts, [0, 1, 1], tokenizer, **options), epochs=1, learning_rate=1e-2)
        assert history.history["step"] == [3]
        assert (xla._compiled.cache_info().currsize >= 4) == (fused_from == 3)
        weights.append(model.get_weights())
    for fused, plain in zip(*weights, strict=True):
        np.testing.assert_allclose(fused, plain, atol=1e-4)
