"""Google's own TF1 checkpoints of ALBERT and ELECTRA: their layers, logits, losses and gradient norms are ours.

The golden files come from google-research/albert and google-research/electra (../shared/golden/google/README.md).
"""

import keras
import numpy as np
import pytest

from keras_bert.checkpoints import find_format, open_checkpoint
from keras_bert.errors import UserError
from keras_bert.families import FAMILIES
from keras_bert.families.electra import google_heads, google_names
from keras_bert.models import Encoder, Pretrainer
from keras_bert.models.walk import walk

TOLERANCE = 1e-5  # of the largest value
ALBERT = ("groups1", "groups2_inner2", "unprojected")
# The heads of the discriminators, which no file says.
ELECTRA = {"small_projected": 4, "base_unprojected": 3}
DISCRIMINATOR_WEIGHT = 50  # Clark et al. 2020, section 2
INPUTS = ("input_ids", "input_mask", "segment_ids")


def read(folder):
    """Returns the golden arrays of a folder."""
    with np.load(folder / "golden.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


def check(found, expected, mask=None):
    """Compares where the mask is 1, relative to the largest value."""
    found, expected = keras.ops.convert_to_numpy(found), np.asarray(expected)
    if mask is not None:
        found, expected = found[mask > 0], expected[mask > 0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * max(1.0, np.abs(expected).max()))


def with_layers(checkpoint, **options):
    """Returns a Pretrainer of a checkpoint and the encoder's outputs on an input, all layers among them."""
    model = Pretrainer.from_pretrained(checkpoint, **options)
    assert model.load_report.new == []
    encoder = Encoder(model.bert_config, return_all_layers=True)
    encoder.set_weights(model.encoder.get_weights())
    return model, encoder


def gradients(model, x, loss):
    """Returns {neutral name: gradient} of a loss of the model's outputs, and the loss."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        total = loss(model(x))
    weights = {found.weight.name: found.variable.value for found in walk(model)}
    found = tape.gradient(total, weights)
    return {name: np.asarray(tf.convert_to_tensor(array)) for name, array in found.items()}, float(total)


def masked_lm_loss(logits, a, scope):
    """Returns the mean over weighted slots, as both codes have it but for an epsilon."""
    ids, weights = (a[f"{scope}/masked_lm_{name}"] for name in ("ids", "weights"))
    losses = keras.losses.sparse_categorical_crossentropy(ids, logits, from_logits=True)  # (B, P)
    return keras.ops.sum(losses * weights) / weights.sum()


def check_norms(found, table, names, norms):
    """Compares the norms of gradients by the file's names; those of key biases are noise around 0."""
    checked = 0
    for name, norm in zip(names.tolist(), norms.tolist(), strict=True):
        if name in table and not name.endswith("key/bias"):
            [place] = table[name]
            check(np.linalg.norm(found[place.name]), norm)
            checked += 1
    assert checked > 20


@pytest.mark.parametrize("variant", [*ALBERT[:1], *(pytest.param(each, marks=pytest.mark.slow) for each in ALBERT[1:])])
def test_albert_gives_the_numbers_of_google_s_code(shared, variant):
    folder = shared / "golden" / "google" / "albert" / variant
    a = read(folder)
    model, encoder = with_layers(folder / "model.ckpt-0")
    x = {name: a[f"in/{name}"] for name in INPUTS}
    outputs, mask = encoder(x), x["input_mask"]
    check(outputs["pooled_output"], a["out/pooled_output"])
    assert len(outputs["encoder_outputs"]) == sum(name.startswith("out/layer_") for name in a)
    for index, layer in enumerate(outputs["encoder_outputs"]):
        check(layer, a[f"out/layer_{index}"], mask)

    x["masked_lm_positions"] = a["in/masked_lm_positions"]
    logits = model(x)
    log_probs = keras.ops.log_softmax(logits["masked_lm"])
    check(keras.ops.reshape(log_probs, a["out/masked_lm_log_probs"].shape), a["out/masked_lm_log_probs"])
    check(keras.ops.log_softmax(logits["next_sentence"]), a["out/sentence_order_log_probs"])

    def loss(logits):
        labels = a["in/next_sentence_labels"][:, 0]
        order = keras.losses.sparse_categorical_crossentropy(labels, logits["next_sentence"], from_logits=True)
        return masked_lm_loss(logits["masked_lm"], a, "in") + keras.ops.mean(order)

    found, total = gradients(model, x, loss)
    check(total, a["out/total_loss"])
    row = FAMILIES["albert"]
    table = {**row.google.table(model.bert_config), **row.google_heads}
    check_norms(found, table, a["grad/names"], a["grad/norms"])


@pytest.mark.parametrize("variant", ELECTRA)
def test_electra_s_nets_give_the_numbers_of_google_s_code(shared, variant):
    folder = shared / "golden" / "google" / "electra" / variant
    a, heads = read(folder), {"num_attention_heads": ELECTRA[variant]}
    x = {name: a[f"in/{name}"] for name in INPUTS}
    mask, shared_norms = x["input_mask"], {}

    discriminator, encoder = with_layers(folder / "model.ckpt-0", overrides=heads)
    x["input_ids"] = a["out/corrupted_ids"]
    for index, layer in enumerate(encoder(x)["encoder_outputs"]):
        check(layer, a[f"out/discriminator_layer_{index}"], mask)
    check(discriminator(x)["replaced_tokens"], a["out/discriminator_logits"], mask)

    def replaced(logits):
        losses = keras.ops.binary_crossentropy(
            a["out/replaced"].astype("f4"), logits["replaced_tokens"], from_logits=True
        )
        return DISCRIMINATOR_WEIGHT * keras.ops.sum(losses * mask) / mask.sum()

    found, total = gradients(discriminator, x, replaced)
    check(total / DISCRIMINATOR_WEIGHT, a["out/disc_loss"])
    table = {**google_names("discriminator").table(discriminator.bert_config), **google_heads("discriminator")}
    own = {name: places for name, places in table.items() if not name.startswith("electra/embeddings/")}
    check_norms(found, own, a["grad/names"], a["grad/norms"])
    shared_norms = {name: found[places[0].name] for name, places in table.items() if name not in own}

    generator, encoder = with_layers(folder / "model.ckpt-0", net="generator")
    x["input_ids"] = a["out/masked_input_ids"]
    for index, layer in enumerate(encoder(x)["encoder_outputs"]):
        check(layer, a[f"out/generator_layer_{index}"], mask)
    x["masked_lm_positions"] = a["out/masked_lm_positions"]
    check(generator(x)["masked_lm"], a["out/generator_logits"])
    found, total = gradients(generator, x, lambda logits: masked_lm_loss(logits["masked_lm"], a, "out"))
    check(total, a["out/mlm_loss"])
    table = {**google_names("generator").table(generator.bert_config), **google_heads("generator")}
    own = {name: places for name, places in table.items() if not name.startswith("electra/embeddings/")}
    check_norms(found, own, a["grad/names"], a["grad/norms"])
    for name, gradient in shared_norms.items():  # both nets train the embeddings
        both = gradient + found[table[name][0].name]
        check(np.linalg.norm(both), a["grad/norms"][a["grad/names"].tolist().index(name)])


@pytest.mark.parametrize(("family", "variant"), [("albert", "groups1"), ("electra", "base_unprojected")])
def test_slots_of_the_optimizer_are_left_out(shared, family, variant):
    folder = shared / "golden" / "google" / family / variant
    trained, before = open_checkpoint(folder), open_checkpoint(folder / "model.ckpt-0")
    assert find_format(folder) == "google"
    assert trained.path.name == "model.ckpt-20"  # of several the last
    assert trained.shapes == before.shapes
    assert any("arrays of the optimizer that were left out" in note for note in trained.notes)
    names = ("bert/embeddings/word_embeddings", "bert/encoder/layer_0/attention/self/query/kernel")
    a = read(folder)
    for name in names:
        assert not np.array_equal(trained.read(name), before.read(name))
    if family == "electra":
        final = {n.removeprefix("train/final/"): x for n, x in a.items() if n.startswith("train/final/electra")}
        table = google_names("discriminator").table(trained.config)
        for name in final.keys() & table.keys():
            check(trained.read(table[name][0].name), final[name])


def test_electra_s_heads_are_those_of_its_code_unless_somebody_says(shared):
    folder = shared / "golden" / "google" / "electra" / "small_projected"
    config = open_checkpoint(folder).config
    assert (config.num_attention_heads, config.embedding_size, config.hidden_act) == (1, 48, "gelu_erf")
    assert open_checkpoint(folder, overrides={"num_attention_heads": 4}).config.num_attention_heads == 4
    assert open_checkpoint(folder, net="generator").config.hidden_size == 32
    with pytest.raises(UserError, match=r"net must be one of discriminator, generator. Received: 'both'"):
        open_checkpoint(folder, net="both")
    with pytest.raises(UserError, match=r"Received: 64 and 5"):
        open_checkpoint(folder, overrides={"num_attention_heads": 5})
    with pytest.raises(UserError, match=r"has shape \(64, 256\), but its config asks for \(64, 128\)"):
        open_checkpoint(folder, overrides={"intermediate_size": 128})
