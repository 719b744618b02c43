"""Packed rows: outputs, losses and gradients of every family and head are those of the padded batch.

B batch, S sequence, N texts of a row.
"""

import keras
import numpy as np
import pytest
from keras import ops

from keras_bert.errors import UserError
from keras_bert.layers.attention import MASKED
from tests.families.rows import CONFIGS, LENGTH, SOME_MODELS, batch, build, labels

ROWS = ((0, 3), (1, 2))  # the texts of each row, of 9, 2, 7 and 4 tokens
SIZES = (9, 7, 4, 2)
TEXTS = 3  # one place more than there are texts in a row
ROOM = 13
REAL = np.arange(LENGTH + 1) < np.array(SIZES)[:, None]  # each text has padding after it, which MobileBERT reads


@pytest.fixture(autouse=True)
def attended_in_full(monkeypatch):
    """Has BigBird's blocks so long that short texts attend in full: packed rows have no others."""
    blocks = {"block_size": 2, "random_blocks": 1}
    monkeypatch.setitem(CONFIGS, "big_bird", CONFIGS["big_bird"].replace(block_sparse=blocks))


def laid_out(values, fill):
    """Returns (2, S) of what the tokens of the four texts have, (4, LENGTH)."""
    rows = np.full((2, ROOM), fill, values.dtype)
    for row, texts in enumerate(ROWS):
        rows[row, : sum(SIZES[text] for text in texts)] = np.concatenate([values[t, : SIZES[t]] for t in texts])
    return rows


def by_text(values, fill=0):
    """Returns (2, N, ...) of what the four texts have, (4, ...)."""
    rows = np.full((2, TEXTS, *values.shape[1:]), fill, values.dtype)
    for row, texts in enumerate(ROWS):
        rows[row, : len(texts)] = values[list(texts)]
    return rows


STARTS = by_text(np.array([0, 0, 7, 9], np.int32))  # of each text in its row
WEIGHTS = by_text(np.ones(4, np.float32))


def packed(x, model):
    """Returns the inputs of a padded batch as packed rows."""
    numbers = np.array([1, 1, 2, 2])[:, None] * REAL
    rows = {
        "input_ids": laid_out(x["input_ids"], model.bert_config.pad_token_id),
        "sequence_ids": laid_out(numbers, 0),
        "sequence_starts": STARTS,
    }
    if "segment_ids" in x:
        rows["segment_ids"] = laid_out(x["segment_ids"], 0)
    if "global_attention_mask" in x:
        rows["global_attention_mask"] = laid_out(x["global_attention_mask"], 0)
    if "masked_lm_positions" in x:
        rows["masked_lm_positions"] = of_slots(x["masked_lm_positions"] + np.array([[0], [0], [7], [9]]))
    return {name: values.astype(np.int32) for name, values in rows.items()}


def of_slots(values):
    """Returns (2, 2 * P) of what the masked slots of the four texts have, (4, P)."""
    return np.stack([values[list(texts)].reshape(-1) for texts in ROWS])


def pairs_of(name, one, many):
    """Yields the arrays of a padded batch and of packed rows that are to be equal, text by text."""
    for row, texts in enumerate(ROWS):
        for place, text in enumerate(texts):
            own = slice(STARTS[row, place], STARTS[row, place] + SIZES[text])
            if name == "masked_lm":
                yield one[text], many[row, 2 * place : 2 * place + 2]
            elif name in ("start_logits", "end_logits"):
                yield one[text, : SIZES[text]], many[row, place, own]
                outside = np.delete(many[row, place], range(own.start, own.stop))
                yield np.full_like(outside, MASKED), outside
            elif many.shape[1] == ROOM:  # of each token
                yield one[text, : SIZES[text]], many[row, own]
            else:
                yield one[text], many[row, place]


def named(outputs):
    return outputs if isinstance(outputs, dict) else {"": outputs}


def assert_same_outputs(one, many):
    one, many = named(one), named(many)
    assert one.keys() == many.keys()
    for name in one:
        for ours, theirs in pairs_of(name, np.asarray(one[name]), np.asarray(many[name])):
            np.testing.assert_allclose(theirs, ours, atol=5e-6, rtol=0, err_msg=name)


def losses_of(model, x, given, weights, *, mask=None):
    """Returns the model's own loss and the gradients of its weights."""
    import tensorflow as tf

    model.compile("sgd")
    with tf.GradientTape() as tape:
        outputs = model(x, training=False)
        if mask is not None:
            outputs = {name: ops.where(mask, logits, MASKED) for name, logits in outputs.items()}
        loss = model.compute_loss(x, given, outputs, weights, training=False)
    found = tape.gradient(loss, model.trainable_variables)
    return float(loss), [None if each is None else tf.convert_to_tensor(each).numpy() for each in found]


def targets(model):
    """Returns labels and weights for the padded batch and for the packed rows."""
    y = labels(model)
    if model.TASK == "tag":
        y = np.where(REAL, np.pad(y, ((0, 0), (0, 1))), -100)
        return (y, None), (laid_out(y, -100), None)
    if model.TASK == "answer":
        rows = {name: by_text(places) + STARTS for name, places in y.items()}
        return (y, None), (rows, dict.fromkeys(y, WEIGHTS))
    if model.TASK == "classify":
        return (y, np.array([1, 2, 3, 0.5], np.float32)), (by_text(y), by_text(np.array([1, 2, 3, 0.5], np.float32)))
    one = {"masked_lm": np.array([[1, 1], [0.5, 1], [1, 0], [1, 1]], np.float32), "next_sentence": np.ones(4)}
    one["replaced_tokens"] = REAL.astype(np.float32)
    if "replaced_tokens" in y:
        y["replaced_tokens"] = np.pad(y["replaced_tokens"], ((0, 0), (0, 1)))
    many = {"masked_lm": of_slots(one["masked_lm"]), "next_sentence": WEIGHTS}
    many["replaced_tokens"] = laid_out(one["replaced_tokens"], 0)
    change = {"masked_lm": of_slots, "next_sentence": by_text, "replaced_tokens": lambda each: laid_out(each, 0)}
    rows = {name: change[name](np.asarray(each)) for name, each in y.items()}
    return (y, {name: one[name] for name in y}), (rows, {name: many[name] for name in y})


def models(family, kind):
    """Returns a model of one text a row and one of packed rows, with the same weights."""
    if family != "big_bird":
        return build(family, kind), build(family, kind, packed=True)
    with pytest.MonkeyPatch.context() as patch:  # rows up to 14 tokens, in which each token sees all
        whole = CONFIGS[family].replace(block_sparse={"block_size": 2, "random_blocks": 1})
        patch.setitem(CONFIGS, family, whole)
        return build(family, kind), build(family, kind, packed=True)


HEADS = [each for each in SOME_MODELS if each.values[1] != "choose"]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "kind"), HEADS)
def test_rows_give_what_the_padded_batch_gives(family, kind):
    one, many = models(family, kind)
    x = batch(one, length=LENGTH + 1)
    rows = packed(x, one)
    assert_same_outputs(one(x), many(rows))
    (y, weights), (y_rows, weight_rows) = targets(one)
    mask = x["input_mask"] > 0 if one.TASK == "answer" else None
    loss, gradients = losses_of(one, x, y, weights, mask=mask)
    packed_loss, packed_gradients = losses_of(many, rows, y_rows, weight_rows)
    np.testing.assert_allclose(packed_loss, loss, rtol=1e-6)
    for ours, theirs, variable in zip(gradients, packed_gradients, many.trainable_variables, strict=True):
        if ours is None:
            assert theirs is None, variable.path
            continue
        np.testing.assert_allclose(theirs, ours, atol=1e-6 * max(1.0, np.abs(ours).max()), err_msg=variable.path)


@pytest.mark.slow
@pytest.mark.parametrize("family", CONFIGS)
def test_encoders_pool_each_text(family):
    one, many = models(family, "encoder")
    x = batch(one, length=LENGTH + 1)
    expected, found = one(x), many(packed(x, one))
    assert found.keys() == expected.keys()
    assert_same_outputs(dict(expected), dict(found))
    if "pooled_output" in found:
        first = many({name: value for name, value in packed(x, one).items() if name != "sequence_starts"})
        np.testing.assert_array_equal(first["pooled_output"], found["pooled_output"][:, :1])
    assert keras.tree.map_structure(lambda spec: spec.shape[-1], many.output)


def test_rows_in_which_bigbird_would_not_attend_in_full_are_refused():
    model = build("big_bird", "encoder", packed=True)
    x = {name: np.ones((1, 15), np.int32) for name in ("input_ids", "sequence_ids")}
    assert np.isfinite(model({name: each[:, :14] for name, each in x.items()})["sequence_output"]).all()
    with pytest.raises(UserError, match=r"^Rows of 15 tokens are packed, but BigBird's texts of over 14 tokens attend"):
        model(x)
