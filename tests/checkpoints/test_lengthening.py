"""Lengthening: what each new array is, by hand; and the old outputs where the new attention spans the text."""

import json

import numpy as np
import pytest

from keras_bert.checkpoints import lengthen_checkpoint, open_checkpoint, write_checkpoint
from keras_bert.checkpoints.base import Checkpoint
from keras_bert.checkpoints.lengthening import POSITIONS, copied_positions
from keras_bert.checkpoints.parts import encoder_weights
from keras_bert.config import Config
from keras_bert.errors import UserError
from keras_bert.models import Classifier, Encoder, Pretrainer, SpanLabeler, TokenClassifier
from keras_bert.models.walk import walk

SMALL = {
    **{"vocab_size": 31, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20},
    "hidden_act": "gelu_erf",
}
ROWS = {"bert": 16, "roberta": 18, "xlm-roberta": 18}  # each reads 16 tokens
BLOCKS = {"block_size": 4, "random_blocks": 1}  # up to 28 tokens attend in full
SEPARATOR = 2


def made(family, model=Pretrainer, **options):
    """Returns a model of ours with random weights, biases too."""
    size = "tiny" if family == "bert" else f"{family}-base"
    config = Config.from_name(size, **SMALL, max_position_embeddings=ROWS[family])
    model, rng = model(Encoder(config), **options), np.random.default_rng(3)
    for found in walk(model):
        found.variable.assign(rng.normal(0.3 if "gamma" in found.weight.name else 0, 0.3, found.variable.shape))
    return model


def lengthened(path, max_length=64, **options):
    options = {"attention_window": 32, **BLOCKS, **options}
    return lengthen_checkpoint(open_checkpoint(path), max_length, sep_token_id=SEPARATOR, **options)


def logits(model, ids):
    """Returns the masked-LM logits at all places, float (B, S, V)."""
    places = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
    return model.predict({"input_ids": ids, "masked_lm_positions": places}, verbose=0)["masked_lm"]


def test_positions_are_copied_over_and_over_but_for_the_first_rows():
    table = np.arange(12.0).reshape(6, 2)
    expected = [table[row] for row in (0, 1, 2, 3, 4, 5, 2, 3, 4, 5, 2)]
    np.testing.assert_array_equal(copied_positions(table, 11, 2), expected)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["roberta", "xlm-roberta"])
def test_a_roberta_becomes_a_longformer(family, tmp_path):
    made(family).save_pretrained(tmp_path / "short")
    old, new = open_checkpoint(tmp_path / "short"), lengthened(tmp_path / "short")
    config = new.config
    assert (config.family, config.max_length, config.max_position_embeddings) == ("longformer", 64, 66)
    assert (config.attention_window, config.sep_token_id, config.type_vocab_size) == ((16,), SEPARATOR, 1)
    assert not config.not_in_huggingface() and not config.extra
    assert {weight.name: weight.shape for weight in encoder_weights(config)}.items() <= new.shapes.items()
    table = old.read(POSITIONS)
    np.testing.assert_array_equal(new.read(POSITIONS), np.concatenate([table[:2], *[table[2:]] * 4]))
    for name, shape in new.shapes.items():
        if name != POSITIONS:
            array = new.read(name)
            assert array.shape == shape
            np.testing.assert_array_equal(array, old.read(name.replace("_global", "")))


@pytest.mark.slow
def test_a_bert_becomes_a_big_bird(tmp_path):
    made("bert").save_pretrained(tmp_path / "short")
    old, new = open_checkpoint(tmp_path / "short"), lengthened(tmp_path / "short", 40)
    config = new.config
    assert (config.family, config.max_length, config.sep_token_id) == ("big_bird", 40, SEPARATOR)
    assert (config.attention, config.hidden_act, config.layer_norm_eps) == ("block_sparse", "gelu_erf", 1e-12)
    assert (config.block_sparse.block_size, config.block_sparse.random_blocks) == (4, 1)
    table = old.read(POSITIONS)
    np.testing.assert_array_equal(new.read(POSITIONS), np.concatenate([table, table, table[:8]]))
    assert old.shapes.keys() == new.shapes.keys()
    for name in old.shapes.keys() - {POSITIONS}:
        np.testing.assert_array_equal(new.read(name), old.read(name))


@pytest.mark.slow
@pytest.mark.parametrize("family", ROWS)
def test_short_texts_have_the_old_outputs_and_longer_ones_finite_ones(family, tmp_path):
    model = made(family)
    model.save_pretrained(tmp_path / "short")
    write_checkpoint(lengthened(tmp_path / "short"), tmp_path / "long")
    again = Pretrainer.from_pretrained(tmp_path / "long")
    assert not again.load_report.new
    rng = np.random.default_rng(0)
    ids = rng.integers(4, 31, (2, 16))
    ids[1, 9:] = model.bert_config.pad_token_id
    real = ids != model.bert_config.pad_token_id
    np.testing.assert_allclose(logits(again, ids)[real], logits(model, ids)[real], atol=1e-5)
    if family == "bert":
        np.testing.assert_array_equal(logits(again, ids)[real], logits(model, ids)[real])
    assert np.isfinite(logits(again, rng.integers(4, 31, (1, 64)))).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "model", "options", "is_kept"),
    [
        ("roberta", Classifier, {"num_classes": 3}, True),
        ("roberta", SpanLabeler, {}, True),
        ("bert", TokenClassifier, {"num_classes": 3}, True),
        ("bert", Classifier, {"num_classes": 3}, False),
        ("bert", SpanLabeler, {}, False),
    ],
)
def test_heads_that_compute_the_same_are_kept_and_the_others_named(family, model, options, is_kept, tmp_path):
    short = made(family, model, **options)
    short.save_pretrained(tmp_path / "short")
    new = lengthened(tmp_path / "short")
    assert (
        [note for note in new.notes if "head is left out" in note] == []
        if is_kept
        else ["the BERT's head is left out, as a BigBird's for its task computes otherwise"]
    )
    write_checkpoint(new, tmp_path / "long")
    again = open_checkpoint(tmp_path / "long")
    heads = {name for name in open_checkpoint(tmp_path / "short").shapes if not name.startswith("bert/")}
    assert heads
    assert (heads & again.shapes.keys()) == (heads if is_kept else set())
    assert again.task.get("task") == (model.TASK if is_kept else None)


@pytest.mark.parametrize(
    ("family", "max_length", "options", "sentence"),
    [
        ("roberta", 16, {}, "reads texts of up to 16 tokens already; ask for more than that. Received: 16."),
        ("bert", 12, {}, "reads texts of up to 16 tokens already; ask for more than that. Received: 12."),
        ("roberta", 64, {"attention_window": 7}, "attention_window must be an even number of tokens, as many on"),
        ("roberta", 64, {"attention_window": 0}, "attention_window must be an even number of tokens, as many on"),
        ("roberta", 64, {"attention_window": 66}, "attention_window is 66 tokens, more than the longest text of 64;"),
        ("bert", 66, {}, "must be a whole number of blocks, as texts are filled up to one. Received: 66 tokens and a"),
        ("bert", 28, {}, "texts of up to 28 tokens attend in full, and so would all of a model for 28;"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(family, max_length, options, sentence, checkpoints):
    with pytest.raises(UserError) as error:
        lengthened(checkpoints[family], max_length, **options)
    assert sentence in str(error.value)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """{family: the directory of an encoder}."""
    folder = tmp_path_factory.mktemp("short")
    for family in ("roberta", "bert"):
        made(family, model=lambda encoder: encoder).save_pretrained(folder / family)
    return {family: folder / family for family in ("roberta", "bert")}


@pytest.mark.parametrize("size", ["distilbert-base", "longformer-base-4096", "modernbert-base"])
def test_other_families_are_refused(size, tmp_path):
    config = Config.from_name(size, **{**SMALL, "num_attention_heads": 2, "pad_token_id": 0})
    shapes = {weight.name: weight.shape for weight in encoder_weights(config)}
    checkpoint = Checkpoint(tmp_path, config, {}, shapes, lambda name: np.zeros(shapes[name], np.float32))
    with pytest.raises(UserError, match="cannot be lengthened: a RoBERTa or an XLM-R can"):
        lengthen_checkpoint(checkpoint, 8192, sep_token_id=SEPARATOR)


@pytest.mark.nightly
@pytest.mark.parametrize("family", ROWS)
def test_transformers_loads_it_and_gives_our_numbers(family, tmp_path):
    transformers = pytest.importorskip("transformers", reason="the parity extra")
    torch = pytest.importorskip("torch", reason="the parity extra")
    made(family).save_pretrained(tmp_path / "short")
    write_checkpoint(lengthened(tmp_path / "short"), tmp_path / "long")
    [architecture] = json.loads((tmp_path / "long" / "config.json").read_text())["architectures"]
    assert architecture == ("BigBirdForPreTraining" if family == "bert" else "LongformerForMaskedLM")
    theirs, report = getattr(transformers, architecture).from_pretrained(tmp_path / "long", output_loading_info=True)
    assert not any(report.values())
    ours, rng = Pretrainer.from_pretrained(tmp_path / "long"), np.random.default_rng(0)
    ids = rng.integers(4, 31, (2, 64))
    ids[1, 50:] = ours.bert_config.pad_token_id
    real = ids != ours.bert_config.pad_token_id
    found = theirs.eval()(input_ids=torch.tensor(ids), attention_mask=torch.tensor(real.astype(int)))
    expected = (found.prediction_logits if family == "bert" else found.logits).detach().numpy()
    np.testing.assert_allclose(logits(ours, ids)[real], expected[real], rtol=1e-5, atol=2e-5)
