"""Replaced-token detection against the numbers of Google's and transformers' code, and what the samples depend on."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy.stats import chisquare

from keras_bert.checkpoints import open_checkpoint
from keras_bert.config import Config
from keras_bert.config.generator import GeneratorSize
from keras_bert.errors import UserError
from keras_bert.families.electra import google_heads, google_names
from keras_bert.models import Encoder, Pretrainer, replaced_tokens
from keras_bert.models.replaced_tokens import ReplacedTokenPretrainer
from keras_bert.models.weights import assign_arrays, model_variables
from keras_bert.training.optimizers import adamw
from keras_bert.training.sums import columns
from tests.families.test_google import ELECTRA, INPUTS, check, read
from tests.gradients import needs_tensorflow

ADDED = np.float32(1e-9)  # what google-research/electra adds to both logarithms of its noise
WITHOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
SIZES = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32}
CONFIG = Config.from_name("electra-small", embedding_size=8, max_position_embeddings=12, **SIZES, **WITHOUT)


def google_s_nets(folder, heads):
    """Returns a ReplacedTokenPretrainer of a checkpoint of Google's, without dropout."""
    generator = open_checkpoint(folder / "model.ckpt-0", net="generator").config.replace(**WITHOUT)
    config = open_checkpoint(folder / "model.ckpt-0", overrides={"num_attention_heads": heads}).config.replace(
        **WITHOUT
    )
    model = ReplacedTokenPretrainer(config, generator_config=generator)
    for net, part in (("generator", model.generator), ("discriminator", model.discriminator)):
        assign_arrays(part, open_checkpoint(folder / "model.ckpt-0", net=net))
    return model


@pytest.fixture(params=ELECTRA)
def golden(request, shared, monkeypatch):
    """(model, golden arrays) of Google's code, whose uniform draws take the place of ours."""
    folder = shared / "golden" / "google" / "electra" / request.param
    a = read(folder)
    noise = -np.log(-np.log(a["in/gumbel_uniform"] + ADDED) + ADDED)
    model = google_s_nets(folder, ELECTRA[request.param])
    monkeypatch.setattr(model, "sampled", lambda logits, *_: ops.argmax(logits + noise, axis=-1))
    return model, a


def means_of(sums):
    """Returns {task: its mean loss}."""
    return {task: float(loss) / float(count) for task, (loss, _, count) in sums.items()}


def test_both_nets_give_the_losses_of_google_s_code(golden):
    model, a = golden
    x = {name: a[f"in/{name}"] for name in INPUTS} | {"input_ids": a["out/masked_input_ids"]}
    x["masked_lm_positions"] = a["out/masked_lm_positions"]
    labels, weights = a["out/masked_lm_ids"], a["out/masked_lm_weights"]
    means = means_of(model.batch_sums((x, {"masked_lm": labels}, {"masked_lm": weights}), step=0))
    check(means["masked_lm"], a["out/mlm_loss"])
    check(means["replaced_tokens"], a["out/disc_loss"])
    check(sum(model.task_weights[task] * mean for task, mean in means.items()), a["out/total_loss"])
    samples = model.sampled(model(x)["masked_lm"], x, labels, 0)
    corrupted, replaced = replaced_tokens.corrupt(x, samples, labels, weights)
    np.testing.assert_array_equal(samples, a["out/sampled_ids"])
    np.testing.assert_array_equal(corrupted, a["out/corrupted_ids"])
    np.testing.assert_array_equal(replaced, a["out/replaced"])


def google_s_batches(a, mask_id):
    """Returns the batches of its training, of its own draws masked by its rule (golden/google/README.md)."""
    batches = []
    for i in range(len(a["train/in/input_ids"])):
        x = {name: a[f"train/in/{name}"][i] for name in INPUTS}
        places, shown = a["train/in/position_draw"][i], a["train/in/mask_uniform"][i] < 0.85
        slots = np.clip(np.round(0.15 * x["input_mask"].sum(1)), 1, places.shape[1])
        real = np.arange(places.shape[1]) < slots[:, None]
        positions = places * real
        labels = np.take_along_axis(x["input_ids"], positions, 1) * real
        masked, rows = x["input_ids"].copy(), np.nonzero(shown & real)
        masked[rows[0], positions[rows]] = mask_id
        x |= {"input_ids": masked, "masked_lm_positions": positions.astype(np.int32)}
        batches.append((x, {"masked_lm": labels.astype(np.int32)}, {"masked_lm": real.astype(np.float32)}))
    return batches


@needs_tensorflow
@pytest.mark.slow
def test_twenty_steps_go_the_way_of_google_s_code(golden):
    import tensorflow as tf

    from keras_bert.training.steps import make_replica_step

    model, a = golden
    [mask_id] = np.unique(a["out/masked_input_ids"][a["out/masked_input_ids"] != a["in/input_ids"]])
    optimizer = adamw(1e-3, num_train_steps=20, num_warmup_steps=5, warmup="multiplies")
    optimizer.build(model.trainable_variables)
    before = {name: ops.convert_to_numpy(variable).copy() for name, variable in named(model).items()}
    step, names = make_replica_step(model, optimizer), columns(model.task_weights)
    batches = google_s_batches(a, mask_id)
    for t in range(20):
        batch = tf.nest.map_structure(tf.convert_to_tensor, batches[t % len(batches)])
        row = dict(zip(names, step(batch).numpy().tolist(), strict=True))
        for task, key in (("masked_lm", "mlm_loss"), ("replaced_tokens", "disc_loss")):
            np.testing.assert_allclose(row[f"{task}_loss"] / row[f"{task}_count"], a[f"train/{key}"][t], rtol=1e-3)
        np.testing.assert_allclose(row["gradient_norm"], a["train/global_norm"][t], rtol=1e-3)
    tables = {}
    for net, prefix in (("discriminator", ""), ("generator", "generator/")):
        for name, places in {**google_names(net).table(model.bert_config), **google_heads(net)}.items():
            tables.setdefault(name, prefix + places[0].name)
    for name, norm in zip(a["grad/names"].tolist(), a["train/change_norms"].tolist(), strict=True):
        if not name.endswith("key/bias"):  # whose gradients are noise around 0
            moved = np.linalg.norm(ops.convert_to_numpy(named(model)[tables[name]]) - before[tables[name]])
            np.testing.assert_allclose(moved, norm, rtol=2e-3, err_msg=name)


def named(model):
    """Returns {name: variable} of both nets."""
    of_nets = ((prefix, model_variables(net)) for prefix, net in model.nets.items())
    return {prefix + name: variable for prefix, found in of_nets for name, (variable, _) in found.items()}


def test_both_nets_give_the_losses_of_transformers(shared, monkeypatch):
    folder = shared / "golden" / "families" / "models" / "electra"
    a = read(folder / "discriminator")
    model = ReplacedTokenPretrainer.from_pretrained(
        folder / "discriminator", generator=folder / "generator", size=GeneratorSize(sharing="none")
    )
    masked, mask = a["joint/masked_positions"], a["in/attention_mask"]
    weights = np.sort(masked.astype(np.float32), axis=1)[:, ::-1]  # as many slots as the fullest row has
    positions = np.argsort(~masked, axis=1, kind="stable").astype(np.int32)
    x = {"input_ids": a["joint/masked_ids"], "input_mask": mask, "segment_ids": a["in/token_type_ids"]}
    x = {name: array.astype(np.int32) for name, array in x.items()} | {"masked_lm_positions": positions}
    labels, samples = (np.take_along_axis(a[n], positions, 1) for n in ("joint/original_ids", "in/input_ids"))
    monkeypatch.setattr(model, "sampled", lambda *_: ops.convert_to_tensor(samples))
    means = means_of(model.batch_sums((x, {"masked_lm": labels}, {"masked_lm": weights.copy()}), step=0))
    check(means["masked_lm"], a["joint/generator_loss"])
    check(means["replaced_tokens"], a["joint/discriminator_loss"])
    total = means["masked_lm"] + 50 * means["replaced_tokens"]
    check(total, a["joint/total_loss_weight_50"])


def a_batch(rows=6, seed=0):
    """Returns a batch of CONFIG's vocabulary, with padding in its rows and among its slots."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(5, 60, (rows, 12)).astype(np.int32)
    mask = (np.arange(12) < rng.integers(6, 13, rows)[:, None]).astype(np.int32)
    positions = np.stack([rng.choice(6, 3, replace=False) for _ in range(rows)]).astype(np.int32)
    weights = np.ones((rows, 3), np.float32)
    weights[0, 2] = positions[0, 2] = 0
    labels = np.take_along_axis(ids, positions, 1)
    np.put_along_axis(ids, positions, np.where(weights > 0, 4, np.take_along_axis(ids, positions, 1)), 1)
    x = {"input_ids": ids, "input_mask": mask, "segment_ids": np.zeros_like(ids), "masked_lm_positions": positions}
    return x, {"masked_lm": labels}, {"masked_lm": weights}


def test_samples_follow_the_generator_s_probabilities():
    model = ReplacedTokenPretrainer(CONFIG)
    probabilities = np.full(700, 0.1 / 696, np.float32)  # of all stretches, the last of which is not full
    probabilities[[3, 300, 301, 699]] = 0.4, 0.25, 0.2, 0.05
    rows, slots = 200, 100
    logits = ops.convert_to_tensor(np.broadcast_to(np.log(probabilities), (rows, slots, 700)).copy())
    x = {"input_ids": np.random.default_rng(0).integers(0, 60, (rows, 12)).astype(np.int32)}
    drawn = ops.convert_to_numpy(model.sampled(logits, x, np.zeros((rows, slots), np.int32), 3))
    assert chisquare(np.bincount(drawn.ravel(), minlength=700), probabilities * drawn.size).pvalue > 1e-4
    # Neither neighbours in a row nor in a column have anything to do with one another.
    for one, other in ((drawn[:, 1:], drawn[:, :-1]), (drawn[1:], drawn[:-1])):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 4 / np.sqrt(one.size)


def test_samples_depend_on_row_step_and_seed_alone():
    model, (x, y, _) = ReplacedTokenPretrainer(CONFIG, seed=1), a_batch()
    keys = {step: ops.convert_to_numpy(model.noise_keys(x, y["masked_lm"], step)) for step in (0, 1)}
    assert len(np.unique(keys[0])) == keys[0].size
    assert not np.any(keys[0] == keys[1])
    part = {name: array[2:4] for name, array in x.items()}
    np.testing.assert_array_equal(model.noise_keys(part, y["masked_lm"][2:4], 1), keys[1][2:4])
    other = ReplacedTokenPretrainer(CONFIG, seed=2)
    assert not np.any(ops.convert_to_numpy(other.noise_keys(x, y["masked_lm"], 0)) == keys[0])
    drawn = [ops.convert_to_numpy(model.noise_keys(x, y["masked_lm"])) for _ in range(2)]  # `fit` names no step
    assert not np.any(drawn[0] == drawn[1])


@needs_tensorflow
@pytest.mark.parametrize("sharing", ["shared", "disentangled", "none"])
def test_gradients_of_the_embeddings(sharing):
    import tensorflow as tf

    model = ReplacedTokenPretrainer(CONFIG, embedding_sharing=sharing)
    tables = [net.encoder.token_embedding.embeddings.value for net in (model.generator, model.discriminator)]
    with tf.GradientTape(persistent=True) as tape:
        sums = model.batch_sums(a_batch(), step=0)
    has = {task: [tape.gradient(loss, table) is not None for table in tables] for task, (loss, _, _) in sums.items()}
    both = sharing == "shared"
    assert has == {"masked_lm": [True, both], "replaced_tokens": [both, True]}


@pytest.mark.parametrize("sharing", ["shared", "disentangled", "none"])
def test_saved_nets_come_back(sharing, tmp_path):
    model, batch = ReplacedTokenPretrainer(CONFIG, embedding_sharing=sharing), a_batch()
    if sharing == "disentangled":
        own = model.encoder.token_embedding.embeddings
        own.assign(np.random.default_rng(0).normal(0, 0.1, own.shape))
    model.save_pretrained(tmp_path)
    again = ReplacedTokenPretrainer.from_pretrained(tmp_path, size=GeneratorSize(sharing=sharing))
    expected = {task: [float(x) for x in sums] for task, sums in model.batch_sums(batch, step=5).items()}
    for task, sums in again.batch_sums(batch, step=5).items():
        assert [float(x) for x in sums] == pytest.approx(expected[task], rel=1e-5)
    x = {name: array for name, array in batch[0].items() if name != "masked_lm_positions"}
    alone = Pretrainer.from_pretrained(tmp_path)
    assert alone.objectives == ["replaced_tokens"] and alone.load_report.new == []
    np.testing.assert_allclose(alone(x)["replaced_tokens"], model.discriminator(x)["replaced_tokens"], atol=1e-5)
    fills = Pretrainer.from_pretrained(tmp_path / "generator")
    np.testing.assert_allclose(fills(batch[0])["masked_lm"], model(batch[0])["masked_lm"], atol=1e-5)
    copy = ReplacedTokenPretrainer.from_config(model.get_config())
    assert copy.generator_config == model.generator_config and copy.embedding_sharing == sharing
    model.save_pretrained(tmp_path, keep_generator=False)
    assert not (tmp_path / "generator").exists()


@pytest.mark.parametrize("name", ["bert", "roberta", "albert", "deberta-v2", "modernbert"])
def test_other_families(name, tmp_path):
    row = {"bert": "tiny", "deberta-v2": "deberta-v3-small"}.get(name, f"{name}-base")
    sizes = {**SIZES, **WITHOUT, "max_position_embeddings": 16, "pad_token_id": 0}
    sizes |= {"embedding_size": 8} if name == "albert" else {}
    config = Config.from_name(row, **sizes)
    model, batch = ReplacedTokenPretrainer(config), a_batch()
    sums = model.batch_sums(batch, step=0)
    assert means_of(sums)["masked_lm"] == pytest.approx(np.log(60), rel=0.1)
    assert means_of(sums)["replaced_tokens"] == pytest.approx(np.log(2), rel=0.1)
    model.save_pretrained(tmp_path)
    again = ReplacedTokenPretrainer.from_pretrained(tmp_path)
    for task, found in again.batch_sums(batch, step=0).items():
        assert [float(x) for x in found] == pytest.approx([float(x) for x in sums[task]], rel=1e-5)


def test_fit_trains_both():
    model, (x, y, weights) = ReplacedTokenPretrainer(CONFIG), a_batch(32)
    model.compile(adamw(1e-2), run_eagerly=True)
    history = model.fit(x, y, sample_weight=weights, batch_size=16, epochs=5, verbose=0).history
    assert set(history) == {"loss", "masked_lm_loss", "replaced_tokens_loss"}
    assert history["masked_lm_loss"][-1] < history["masked_lm_loss"][0]
    total = history["masked_lm_loss"][0] + 50 * history["replaced_tokens_loss"][0]
    assert history["loss"][0] == pytest.approx(total, rel=1e-4)
    assert model.evaluate(x, y, sample_weight=weights, verbose=0) is not None


def test_a_keras_file_has_both_nets(tmp_path):
    model, batch = ReplacedTokenPretrainer(CONFIG, embedding_sharing="disentangled"), a_batch()
    model.encoder.token_embedding.embeddings.assign(np.random.default_rng(0).normal(0, 0.1, (60, 8)))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for task, sums in again.batch_sums(batch, step=5).items():
        assert [float(x) for x in sums] == [float(x) for x in model.batch_sums(batch, step=5)[task]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ReplacedTokenPretrainer(CONFIG, generator_config=CONFIG.replace(vocab_size=70)), "vocabulary of 70 "),
        (lambda: ReplacedTokenPretrainer(CONFIG, generator_config=CONFIG.replace(type_vocab_size=3)), "3 and 2"),
        (lambda: ReplacedTokenPretrainer(CONFIG, generator_config=CONFIG.replace(embedding_size=4)), "4 wide .* 8"),
        (lambda: ReplacedTokenPretrainer(CONFIG, embedding_sharing="half"), "one of shared, disentangled, none"),
        (lambda: ReplacedTokenPretrainer(Config.from_name("mobilebert")), "MobileBERT is not pre-trained by"),
        (lambda: GeneratorSize(hidden_size=0.5).config(Config.from_name("tiny")), "generator_hidden_size=1 and fewer"),
        (lambda: GeneratorSize(layers=0), "generator_layers must be a fraction over 0"),
    ],
)
def test_nets_that_do_not_go_together(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_a_generator_of_another_vocabulary_is_refused(tmp_path):
    Pretrainer(Encoder(CONFIG.replace(vocab_size=61)), objectives=["masked_lm"]).save_pretrained(tmp_path / "generator")
    Pretrainer(Encoder(CONFIG)).save_pretrained(tmp_path / "model")
    with pytest.raises(UserError, match="vocabulary of 61 tokens and the discriminator one of 60"):
        ReplacedTokenPretrainer.from_pretrained(tmp_path / "model", generator=tmp_path / "generator")
    Pretrainer(Encoder(CONFIG), objectives=["masked_lm"]).save_pretrained(tmp_path / "other")
    with pytest.raises(UserError, match="is a generator of its own size; leave generator_layers out"):
        ReplacedTokenPretrainer.from_pretrained(
            tmp_path / "model", generator=tmp_path / "other", size=GeneratorSize(layers=0.5)
        )
    with pytest.raises(UserError, match="predicts no masked tokens"):
        ReplacedTokenPretrainer.from_pretrained(tmp_path / "model", generator=tmp_path / "model")
