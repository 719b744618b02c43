"""Attention by loops over every query, in float64: what the layers' formulations must equal."""

import numpy as np


def random_heads(length, *, batch=3, heads=2, size=4, seed=0, count=3):
    """Returns `count` float32 arrays (B, S, A, D), large enough that softmax tells keys apart."""
    rng = np.random.default_rng([seed, length])
    return [rng.normal(size=(batch, length, heads, size)).astype("float32") * 2 for _ in range(count)]


def random_mask(length, *, batch=3, seed=0):
    """Returns int32 (B, S): a full row, one with padding at its end, and one with holes as well; first tokens real."""
    rng = np.random.default_rng([seed, length])
    mask = np.ones((batch, length), "int32")
    mask[1, max(length * 2 // 3, 1) :] = 0
    mask[2] = rng.random(length) < 0.6
    mask[:, 0] = 1
    return mask


def attend(query, key, value, counts, scale):
    """Mixes values by softmax, each key counted so many times.

    Args:
        query: (B, Q, A, D).
        key, value: (B, S, A, D).
        counts: function of (batch row, head, place of the query) -> (S,), how often it sees each key.
        scale: factor of the scores.

    Returns:
        float64 (B, Q, A, D), and the probabilities (B, A, Q, S); NaN where nothing is seen.
    """
    query, key, value = (np.asarray(x, np.float64) for x in (query, key, value))
    batch, length, heads, _ = query.shape
    context, weights = np.full(query.shape, np.nan), np.full((batch, heads, length, key.shape[1]), np.nan)
    for b in range(batch):
        for a in range(heads):
            for q in range(length):
                seen = np.asarray(counts(b, a, q), np.float64)
                if not seen.any():
                    continue
                score = key[b, :, a] @ query[b, q, a] * scale
                weight = seen * np.exp(score - score[seen > 0].max())
                weights[b, a, q] = weight / weight.sum()
                context[b, q, a] = weights[b, a, q] @ value[b, :, a]
    return context, weights


def assert_real_rows_equal(found, expected, mask, *, atol=4e-6):
    """Compares (B, S, A, D) where the mask is 1; everything found must be finite."""
    found = np.asarray(found, np.float32)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[mask > 0], expected[mask > 0], atol=atol, rtol=0)
