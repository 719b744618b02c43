"""Models before training, and the best of several runs: by seed, by a grid, with what belongs to its weights."""

import json

import keras
import numpy as np
import pytest

from keras_bert.checkpoints import open_checkpoint
from keras_bert.config import BertConfig, Config
from keras_bert.data.texts import text_dataset, text_rows
from keras_bert.errors import UserError
from keras_bert.models import (
    BertClassifier,
    BertEncoder,
    BertPretrainer,
    BertTokenClassifier,
    Classifier,
    Encoder,
    Pretrainer,
)
from keras_bert.models.weights import as_checkpoint, collect_arrays
from keras_bert.tasks.predicting import predict_rows
from keras_bert.tasks.runs import Learnable, best_of_runs, model_maker, write_model, write_results
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from keras_bert.training.finetune import DivergedError, finetune

eager = pytest.mark.usefixtures("eagerly")  # for what takes few steps

WORDS = [f"w{i}" for i in range(12)]
TEXTS = [f"{first} {second}" for first in WORDS[:4] for second in WORDS[4:8]]
LABELS = np.array([int(text.split()[0] in WORDS[:2]) for text in TEXTS])


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(Vocabulary([*SPECIAL_TOKENS, *WORDS]))


@pytest.fixture(scope="module")
def config(tokenizer):
    shape = {"max_position_embeddings": 8, "initializer_range": 0.2, "hidden_dropout_prob": 0.3}
    return BertConfig.from_name("L-2_H-16", vocab_size=tokenizer.vocab_size, **shape)


@pytest.fixture(scope="module")
def make_dataset(tokenizer):
    sizes = {"max_seq_length": 8, "pad_to_multiple": 8}
    return lambda seed, size: text_dataset(TEXTS, LABELS, tokenizer, seed=seed, batch_size=size, **sizes)


def classifier(encoder):
    return BertClassifier(encoder, 2, labels=["no", "yes"])


@pytest.fixture(scope="module")
def pretrained(config, tmp_path_factory, tokenizer):
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("pretrained")
    BertPretrainer(BertEncoder(config)).save_pretrained(folder, tokenizer=tokenizer)
    return open_checkpoint(folder)


def differing(model, checkpoint):
    """The names of the encoder's arrays that are not the checkpoint's."""
    arrays = {name: array for name, array in collect_arrays(model).items() if name.startswith("bert/")}
    return [name for name, array in arrays.items() if not np.array_equal(array, checkpoint.read(name))]


def test_the_encoder_comes_from_the_checkpoint(config, pretrained):
    model = model_maker(config, classifier, checkpoint=pretrained)()
    assert differing(model, pretrained) == []
    assert model.load_report.new == ["output_weights", "output_bias"]
    assert not hasattr(model_maker(config, classifier)(), "load_report")


def test_a_head_is_kept_for_the_very_same_task_alone(config, tokenizer, tmp_path):
    keras.utils.set_random_seed(0)
    saved = classifier(BertEncoder(config))
    saved.save_pretrained(tmp_path / "m", tokenizer=tokenizer)
    checkpoint = open_checkpoint(tmp_path / "m")
    same = model_maker(config, classifier, checkpoint=checkpoint)()
    assert same.load_report.new == []
    np.testing.assert_array_equal(same.head.kernel, saved.head.kernel)
    heads = {
        "other classes": lambda encoder: BertClassifier(encoder, 2, labels=["no", "perhaps"]),
        "another task": lambda encoder: BertTokenClassifier(encoder, 2, labels=["no", "yes"]),
    }
    for head in heads.values():
        other = model_maker(config, head, checkpoint=checkpoint)()
        assert other.load_report.new == ["output_weights", "output_bias"]
        assert np.abs(np.asarray(other.head.kernel) - np.asarray(saved.head.kernel)).max() > 0.01
        assert differing(other, checkpoint) == []


def test_what_the_heads_of_a_family_share_is_taken_over_from_pre_training(tmp_path):
    sizes = {"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = Config.from_name("modernbert-base", **sizes, intermediate_size=12, pad_token_id=0)
    pretrained = Pretrainer(Encoder(config))
    pretrained.save_pretrained(tmp_path)
    shared = pretrained.masked_lm_transform.dense.kernel
    model = model_maker(config, lambda encoder: Classifier(encoder, 2), checkpoint=open_checkpoint(tmp_path))()
    assert model.load_report.new == ["output_weights", "output_bias"]
    assert any(v.shape == shared.shape and np.array_equal(v, shared) for v in model.trainable_variables)


def test_the_top_begins_anew(config, pretrained):
    keras.utils.set_random_seed(1)
    model = model_maker(config, classifier, checkpoint=pretrained, reinit_layers=1)()
    anew = differing(model, pretrained)
    kernels = {name for name in anew if name.endswith("kernel")}
    assert all(name.startswith(("bert/encoder/layer_1/", "bert/pooler/")) for name in anew)
    assert len(kernels) == 7  # query, key, value, three dense layers and the pooler's
    assert set(anew) < set(model.load_report.new)
    assert len(model.load_report.new) == 16 + 2 + 2  # a block, the pooler, the head
    assert not set(model.load_report.new) & set(model.load_report.loaded)
    other = model_maker(config, classifier, checkpoint=pretrained, reinit_layers=1)()
    drawn = [np.asarray(each.encoder.blocks[1].intermediate.kernel) for each in (model, other)]
    assert np.abs(drawn[0] - drawn[1]).max() > 0.01  # each make draws
    assert 0.1 < drawn[0].std() < 0.3  # the config's initializer_range, truncated


def test_blocks_that_share_weights_begin_anew_together(config):
    """Four block runs with two sets of weights: the upper two are the upper set."""
    albert = config.replace(family="albert", num_hidden_layers=4, num_hidden_groups=2, embedding_size=8)
    saved = as_checkpoint(classifier(BertEncoder(albert)))
    model = model_maker(albert, classifier, checkpoint=saved, reinit_layers=2)()
    kernels = {name for name in differing(model, saved) if name.endswith("kernel")}
    assert len(kernels) == 7
    assert all(name.startswith(("bert/encoder/layer_1/", "bert/pooler/")) for name in kernels)
    message = r"reinit_layers=1 would .* runs 4 blocks with 2 sets of weights; choose one of 0, 2, 4\."
    with pytest.raises(UserError, match=message):
        model_maker(albert, classifier, reinit_layers=1)


def test_a_head_with_a_hidden_layer_is_loaded_for_its_own_task_alone(config):
    roberta = config.replace(family="roberta", pooler=None, classifier_act="tanh")
    saved = as_checkpoint(classifier(BertEncoder(roberta)))
    same = model_maker(roberta, classifier, checkpoint=saved)()
    np.testing.assert_array_equal(same.hidden_layer.kernel, saved.read("output_dense/kernel"))
    other = model_maker(roberta, lambda encoder: BertClassifier(encoder, 3), checkpoint=saved)()
    assert other.load_report.new == ["output_dense/kernel", "output_dense/bias", "output_weights", "output_bias"]


@eager
def test_a_frozen_encoder_gives_the_same_features_again(config, pretrained, make_dataset):
    model = model_maker(config, classifier, checkpoint=pretrained, freeze_encoder=True)()
    assert [v.path.split("/")[-1] for v in model.trainable_variables] == ["kernel", "bias"]
    ((x, _),) = make_dataset(0, 16).take(1).as_numpy_iterator()
    features = [model.encoder(x, training=training)["pooled_output"] for training in (True, True, False)]
    np.testing.assert_array_equal(features[0], features[1])
    np.testing.assert_allclose(features[0], features[2], atol=1e-6)
    dropped = [np.asarray(model(x, training=True)) for _ in range(2)]
    assert np.abs(dropped[0] - dropped[1]).max() > 1e-3  # the head's own dropout stays
    assert model.bert_config.hidden_dropout_prob == 0.3
    finetune(model, make_dataset(0, 8), epochs=1, learning_rate=1e-2)
    assert differing(model, pretrained) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reinit_layers": 3}, "from 0 to 2, the model's blocks. Received: 3"),
        ({"reinit_layers": -1}, "Received: -1"),
        ({"reinit_layers": 1, "freeze_encoder": True}, "freeze_encoder never trains the 1 fresh blocks"),
    ],
)
def test_options_that_make_no_sense(config, options, message):
    with pytest.raises(UserError, match=message):
        model_maker(config, classifier, **options)


def scripted(figures):
    """A `predict` that copies the head's kernel, and a `measure` that gives these figures one after the other."""
    remaining = iter(figures)
    return {
        "predict": lambda model: np.array(model.head.kernel),
        "measure": lambda kernel: {"f1": next(remaining), "sum": float(kernel.sum())},
        "metric": "f1",
    }


@pytest.fixture
def run(config, make_dataset):
    """Runs with the figures given, in order of evaluation; by default one epoch of two batches each."""

    def run(figures, seeds, *, metric="f1", larger_is_better=True, **options):
        options = {"epochs": 1, "learning_rate": 1e-2, "train_batch_size": 8} | options
        chosen_by = {"metric": metric, "larger_is_better": larger_is_better}
        learnable = Learnable(make_dataset=make_dataset, **scripted(figures) | chosen_by)
        small = config.replace(num_hidden_layers=1)
        return best_of_runs(model_maker(small, classifier), learnable, seeds=seeds, **options)

    return run


def assert_whole(best):
    """The outputs and figures are those of the weights that the model has."""
    np.testing.assert_array_equal(best.outputs, best.model.head.kernel)
    assert best.results["sum"] == float(best.outputs.sum())


@eager
@pytest.mark.parametrize(
    ("figures", "larger_is_better", "seed"),
    [
        ([0.3, 0.9, 0.6], True, 5),
        ([0.3, 0.9, 0.6], False, 4),
        ([0.9, 0.9, 0.6], True, 4),
        ([float("nan"), float("nan"), 0.1], True, 6),
    ],
)
def test_the_best_seed_is_kept(run, figures, larger_is_better, seed):
    best = run(figures, [4, 5, 6], larger_is_better=larger_is_better)
    assert_whole(best)
    assert best.results["seed"] == seed
    assert best.results["f1"] == figures[seed - 4]
    assert best.results["seeds"] == [row["seed"] for row in best.results["runs"]] == [4, 5, 6]
    np.testing.assert_equal([row["f1"] for row in best.results["runs"]], figures)
    np.testing.assert_allclose(best.results["f1_mean"], np.mean(figures))
    np.testing.assert_allclose(best.results["f1_sd"], np.std(figures, ddof=1))
    assert best.results["global_step"] == 2
    assert best.results["history"]["val_f1"] == [best.results["f1"]]


@eager
def test_the_best_point_is_the_one_with_the_best_mean(run):
    grid = [{"learning_rate": 1e-3}, {"learning_rate": 1e-2}, {"learning_rate": 3e-2}]
    best = run([0.9, 0.1, 0.7, 0.6, 0.2, 0.2], [1, 2], grid=grid)
    assert_whole(best)
    results = best.results
    assert (results["learning_rate"], results["seed"], results["f1"]) == (1e-2, 1, 0.7)
    assert results["f1_mean"] == pytest.approx(0.65)
    assert [(row["learning_rate"], row["seed"]) for row in results["runs"]] == [
        (point["learning_rate"], seed) for point in grid for seed in (1, 2)
    ]


class Poison(keras.callbacks.Callback):
    """Spoils some runs, counted from 0, at their second step."""

    def __init__(self, *runs):
        super().__init__()
        self.runs, self.number = runs, -1

    def on_train_begin(self, logs=None):
        self.number += 1

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 1 and self.number in self.runs:
            self.model.head.bias.assign([np.nan, np.nan])


@eager
def test_a_run_with_a_nan_loss_loses_no_other(run):
    grid = [{"learning_rate": 1e-3}, {"learning_rate": 1e-2}]
    best = run([0.9, 0.6, 0.4], [1, 2], grid=grid, callbacks=[Poison(0)])
    assert_whole(best)
    results = best.results
    assert (results["learning_rate"], results["seed"], results["f1_mean"]) == (1e-2, 1, 0.5)  # no run failed there
    assert results["runs"][0] == {"seed": 1, "learning_rate": 1e-3, "failed": results["runs"][0]["failed"]}
    assert results["runs"][0]["failed"].startswith("The loss is nan at step 2 of 2; lower the learning rate")
    assert [row.get("f1") for row in results["runs"]] == [None, 0.9, 0.6, 0.4]
    with pytest.raises(
        DivergedError, match=r"Each of the 2 runs failed, the first like this: The loss is nan at step 2"
    ):
        run([], [1, 2], callbacks=[Poison(0, 1)])


@eager
def test_a_grid_of_batch_sizes_and_epochs(run, config, make_dataset):
    stages, started, functions, sizes = [], [], set(), []

    def make(seed, batch_size):
        sizes.append((seed, batch_size))
        return make_dataset(seed, batch_size)

    def predict(model):
        functions.add(model.train_function)
        return np.array(model.head.kernel)

    best = best_of_runs(
        model_maker(config, classifier),
        Learnable(make_dataset=make, **scripted([0.1, 0.2, 0.3, 0.4]) | {"predict": predict}),
        seeds=[1, 2],
        grid=[{"train_batch_size": 4, "epochs": 1}, {"epochs": 2}],
        train_batch_size=8,
        progress=lambda stage, done, total, *_: stages.append((stage, total)),
        on_start=started.append,
        evaluate_each_epoch=False,
    )
    assert sizes == [(1, 4), (2, 4), (1, 8), (2, 8)]
    assert list(dict.fromkeys(stages)) == [(f"run {n} of 4, seed {2 - n % 2}", 4) for n in (1, 2, 3, 4)]
    assert started == [best.model]
    assert len(functions) == 2  # traced once a point
    assert [set(row) for row in best.results["runs"]] == [
        *[{"seed", "train_batch_size", "epochs", "f1", "sum"}] * 2,
        *[{"seed", "epochs", "f1", "sum"}] * 2,
    ]
    assert best.results["f1_sd"] == pytest.approx(np.std([0.3, 0.4], ddof=1))


@eager
def test_early_stopping_keeps_what_belongs_to_the_best_epoch(run):
    best = run([0.2, 0.8, 0.1, 0.3, 0.5, 0.6, 0.1, 0.1], [1, 2], early_stopping=2, epochs=5)
    assert_whole(best)
    results = best.results
    assert (results["seed"], results["f1"], results["global_step"]) == (1, 0.8, 4)
    assert [row["f1"] for row in results["runs"]] == [0.8, 0.6]
    assert results["history"]["val_f1"] == [0.2, 0.8, 0.1, 0.3]


@eager
def test_a_single_run_has_no_spread(run):
    results = run([0.5], [3]).results
    assert (results["f1_mean"], results["f1_sd"], len(results["runs"])) == (0.5, None, 1)


@eager
def test_nothing_to_run_and_a_metric_that_is_not_there(run):
    for options in ({"seeds": []}, {"seeds": [1], "grid": []}):
        with pytest.raises(UserError, match="at least one seed and one point"):
            run([0.5], **options)
    with pytest.raises(UserError, match="accuracy is not measured here; choose one of f1, sum"):
        run([0.5], [1], metric="accuracy")


def test_it_learns_and_what_is_written_comes_back(config, make_dataset, tokenizer, tmp_path):
    rows = text_rows(TEXTS, tokenizer, max_seq_length=8)
    best = best_of_runs(
        model_maker(config.replace(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0), classifier),
        Learnable(
            make_dataset=make_dataset,
            predict=lambda model: predict_rows(model, rows, batch_size=16, max_seq_length=8, pad_id=0),
            measure=lambda logits: {"accuracy": float((logits.argmax(axis=1) == LABELS).mean())},
            metric="accuracy",
        ),
        seeds=[1],
        train_batch_size=4,
        epochs=12,
        learning_rate=5e-3,
    )
    assert best.results["accuracy"] == 1.0
    results = best.results | {"note": "größer"}
    write_model(tmp_path / "out", best.model, tokenizer, results, metric="accuracy", title="a test")
    assert json.loads((tmp_path / "out" / "eval_results.json").read_text(encoding="utf-8")) == results
    assert (tmp_path / "out" / "curves.png").read_bytes().startswith(b"\x89PNG")
    again = BertClassifier.from_pretrained(tmp_path / "out")
    outputs = predict_rows(again, rows, batch_size=8, max_seq_length=8, pad_id=0)
    np.testing.assert_allclose(outputs, best.outputs, atol=1e-5)
    write_results(tmp_path / "out", {"a": 1}, "other.json")
    assert json.loads((tmp_path / "out" / "other.json").read_text()) == {"a": 1}
