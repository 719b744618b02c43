"""Relative places: rows of the table against a definition by hand, scores against loops over all pairs of tokens."""

import math

import numpy as np
import pytest
from keras import ops

from keras_bert.layers import disentangled
from keras_bert.layers.disentangled import (
    content_to_position,
    disentangled_weights,
    position_to_content,
    relative_rows,
)
from tests.gradients import WAYS, gradients, run

B, S, A, D = 2, 5, 3, 4
TABLES = [(None, 3), (None, 50), (0, 1), (4, 10), (8, 24), (32, 64), (256, 512), (5, 9)]


def row(distance, buckets, max_distance):
    """The row of one distance, as the paper and DeBERTa's code have it."""
    span = buckets or max_distance
    if buckets and abs(distance) > buckets // 2:
        middle = buckets // 2
        share = math.log(abs(distance) / middle) / math.log((max_distance - 1) / middle)
        distance = int(math.copysign(middle + math.ceil(share * (middle - 1)), distance))
    return min(max(distance + span, 0), 2 * span - 1)


def rows(length, buckets, max_distance):
    return [row(distance, buckets, max_distance) for distance in range(length - 1, -length - 1, -1)]


def test_rows_by_hand():
    # 4 buckets of up to 10: 0, 1 and 2 are themselves, 3 to 9 are 3, those behind are past the table's end
    upwards = [4, 5, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7]
    downwards = [4, 3, 2, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]
    expected = upwards[:0:-1] + downwards
    np.testing.assert_array_equal(relative_rows(12, buckets=4, max_distance=10), expected)
    # one row a distance: all from 2 on share row 3, all from -2 on row 0
    np.testing.assert_array_equal(relative_rows(4, buckets=None, max_distance=2), [3, 3, 3, 2, 1, 0, 0, 0])


@pytest.mark.parametrize(("buckets", "max_distance"), TABLES)
@pytest.mark.parametrize("length", [1, 2, 7, 40])
def test_rows_are_those_of_the_definition(length, buckets, max_distance):
    expected = rows(length, buckets, max_distance)
    np.testing.assert_array_equal(relative_rows(length, buckets=buckets, max_distance=max_distance), expected)
    unknown = relative_rows(ops.convert_to_tensor(length), buckets=buckets, max_distance=max_distance)
    np.testing.assert_array_equal(unknown, expected)


@pytest.mark.slow
@pytest.mark.parametrize(("buckets", "max_distance"), [*TABLES, (256, 1024), (6, 13), (512, 1024)])
def test_rows_up_to_4096_are_those_of_the_definition(buckets, max_distance):
    expected = rows(4096, buckets, max_distance)
    for length in (4096, ops.convert_to_tensor(4096)):
        np.testing.assert_array_equal(relative_rows(length, buckets=buckets, max_distance=max_distance), expected)


@pytest.mark.nightly
@pytest.mark.parametrize(("buckets", "max_distance"), [(4, 10), (8, 24), (32, 64), (256, 512), (256, 1024), (6, 13)])
def test_rows_up_to_4096_are_those_of_transformers(buckets, max_distance):
    torch = pytest.importorskip("torch", reason="the parity extra")
    theirs = pytest.importorskip("transformers.models.deberta_v2.modeling_deberta_v2", reason="the parity extra")
    distances = theirs.make_log_bucket_position(torch.arange(4095, -4097, -1), buckets, max_distance).long()
    expected = torch.clamp(distances + buckets, 0, 2 * buckets - 1).numpy()
    np.testing.assert_array_equal(relative_rows(4096, buckets=buckets, max_distance=max_distance), expected)


def test_a_table_cut_down_to_the_length_gives_the_same_rows():
    """As DeBERTa v1 has it: span = min(S, max_distance), and of the table the 2 * span rows around its middle."""
    for length in (1, 2, 5, 6, 7, 20):
        span = min(length, 6)
        cut = np.arange(12)[6 - span : 6 + span]
        expected = [cut[min(max(d + span, 0), 2 * span - 1)] for d in range(length - 1, -length - 1, -1)]
        np.testing.assert_array_equal(relative_rows(length, buckets=None, max_distance=6), expected)


def arrays(dtype=np.float32, length=S):
    rng = np.random.default_rng(0)
    shapes = ((B, length, A, D), (B, length, A, D), (2 * length, A, D), (2 * length, A, D))
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def naive(query, key, keys_of_rows, queries_of_rows):
    """(B, A, S, S) of c2p and p2c, pair by pair."""
    length = query.shape[1]
    c2p, p2c = np.zeros((2, B, A, length, length), query.dtype)
    for i in range(length):
        for j in range(length):
            place = length - 1 - (i - j)
            c2p[:, :, i, j] = (query[:, i] * keys_of_rows[place]).sum(-1)
            p2c[:, :, i, j] = (key[:, j] * queries_of_rows[place]).sum(-1)
    return c2p, p2c


def gathered(query, key, keys_of_rows, queries_of_rows):
    """The same by plain operations, whose gradients are the backend's."""
    length = ops.shape(query)[1]
    place = length - 1 - ops.expand_dims(ops.arange(length), 1) + ops.arange(length)  # (S, S)
    pairs = [ops.take(x, place, axis=0) for x in (keys_of_rows, queries_of_rows)]  # (S, S, A, D)
    return ops.einsum("biad,ijad->baij", query, pairs[0]), ops.einsum("bjad,ijad->baij", key, pairs[1])


def both(query, key, keys_of_rows, queries_of_rows):
    return content_to_position(query, keys_of_rows), position_to_content(key, queries_of_rows)


@pytest.mark.parametrize("length", [1, 2, S])
def test_scores_are_those_of_each_pair(length):
    given = arrays(length=length)
    for ours, expected in zip(run(both, *given), naive(*given), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_gradients_are_those_of_the_gather():
    given = arrays()
    for ours, expected in zip(gradients(both, *given), gradients(gathered, *given), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-6, rtol=1e-5)


@pytest.fixture(params=[2, 3, 4])
def small_blocks(request, monkeypatch):
    """Blocks of that many tokens, of 12."""
    monkeypatch.setattr(disentangled, "BLOCK_SIZE", request.param)


def test_blocks_change_nothing(small_blocks):
    given = arrays(length=12)
    for ours, expected in zip(run(both, *given), naive(*given), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5)
    for ours, expected in zip(gradients(both, *given), gradients(gathered, *given), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5, rtol=1e-5)


def test_blocks_divide_the_length():
    sizes = {length: disentangled._block_size(length) for length in (1, 32, 64, 100, 128, 131, 384, 500, 512, 4096)}
    whole = {length: length for length in (1, 32, 131)}
    assert sizes == {**whole, 64: 64, 100: 50, 128: 64, 384: 64, 500: 50, 512: 64, 4096: 64}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("length", [1, 12])
def test_scores_and_gradients_in_every_way(small_blocks, length, way):
    given = arrays(length=length)
    for ours, expected in zip(run(both, *given, way=way), naive(*given), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5)
    theirs = gradients(gathered, *given)
    for ours, expected in zip(gradients(both, *given, way=way), theirs, strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5, rtol=1e-5)


def at_positions(positions):
    def function(query, key, keys_of_rows, queries_of_rows):
        places = ops.convert_to_tensor(positions)
        taken = ops.take_along_axis(query, places[..., None, None], axis=1)
        return content_to_position(taken, keys_of_rows, places), position_to_content(key, queries_of_rows, places)

    return function


def rows_at(positions):
    def function(*given):
        index = ops.convert_to_tensor(positions)[:, None, :, None]
        return [ops.take_along_axis(scores, index, axis=2) for scores in gathered(*given)]

    return function


POSITIONS = [np.array([[0, 4], [3, 3]]), np.array([[0], [0]])]


@pytest.mark.parametrize("positions", POSITIONS, ids=["two of each", "the first"])
def test_chosen_queries_get_the_rows_of_the_whole(positions):
    given = arrays()
    for ours, expected in zip(run(at_positions(positions), *given), run(rows_at(positions), *given), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5)
    theirs = gradients(rows_at(positions), *given)
    for ours, expected in zip(gradients(at_positions(positions), *given), theirs, strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_chosen_queries_in_every_way(way):
    given, function = arrays(), at_positions(POSITIONS[0])
    for ours, expected in zip(run(function, *given, way=way), run(rows_at(POSITIONS[0]), *given), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_bfloat16_scores_are_close_and_stay_bfloat16():
    given = arrays()
    rough = both(*[ops.cast(ops.convert_to_tensor(x), "bfloat16") for x in given])
    for ours, expected in zip(rough, naive(*given), strict=True):
        assert "bfloat16" in str(ours.dtype)
        np.testing.assert_allclose(ops.convert_to_numpy(ops.cast(ours, "float32")), expected, atol=0.1)


def weights_by_hand(scores, mask, ids, scale):
    """Softmax over the keys that a query may see."""
    visible = np.broadcast_to(mask[:, None, None, :] == 1, scores.shape)
    if ids is not None:
        visible = visible & (ids[:, :, None] == ids[:, None, :])[:, None]
    exp = np.exp(scores * scale) * visible
    return exp / exp.sum(-1, keepdims=True)


@pytest.mark.parametrize("packed", [False, True])
def test_weights_are_the_softmax_of_the_scaled_sum_over_what_is_seen(packed):
    rng = np.random.default_rng(0)
    content, c2p, p2c = rng.normal(size=(3, B, A, S, S)).astype(np.float32)
    ids = np.array([[1, 1, 2, 2, 2], [1, 1, 1, 1, 0]]) if packed else None
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]])
    for terms in ((c2p, p2c), (c2p, None), (None, p2c), (None, None)):
        total = content + sum(x for x in terms if x is not None)
        ours = disentangled_weights(content, *terms, mask, mask, ids, ids, None, scale=0.3, rate=0.5, fuse=False)
        real = np.broadcast_to(mask[:, None, :, None] == 1, ours.shape)
        with np.errstate(invalid="ignore"):
            expected = weights_by_hand(total, mask, ids, 0.3)
        np.testing.assert_allclose(np.asarray(ours)[real], expected[real], atol=1e-6)
        np.testing.assert_allclose(np.asarray(ours)[~real], 1 / S, atol=1e-6)  # padding sees all alike


def test_scores_of_padding_and_of_other_texts_have_no_gradient():
    ids = np.array([[1, 1, 2, 2, 0], [1, 1, 1, 1, 1]])
    mask = (ids > 0).astype(int)
    scores = np.random.default_rng(0).normal(size=(3, B, A, S, S)).astype(np.float32)

    def weights(*scores):
        return disentangled_weights(*scores, mask, mask, ids, ids, None, scale=0.3, rate=0.5, fuse=False)

    unseen = np.broadcast_to(((ids[:, :, None] != ids[:, None]) | (mask[:, :, None] == 0))[:, None], scores.shape[1:])
    for gradient in gradients(weights, *scores):
        assert not gradient[unseen].any()
        assert np.abs(gradient[~unseen]).max() > 1e-3
