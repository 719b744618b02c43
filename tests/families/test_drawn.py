"""transformers itself beside random configurations of the newer families: outputs, loss, gradients, files."""

import numpy as np
import pytest

from keras_bert.families import FAMILIES
from tests.families.drawing import DRAWS

pytestmark = pytest.mark.nightly
DRAWN = 2  # of each head


def cases():
    """Yields (family, how transformers' class's name ends, seed)."""
    for family in DRAWS:
        suffixes = sorted({head.suffix for head in FAMILIES[family].heads})
        yield from ((family, suffix, seed) for seed in range(DRAWN) for suffix in suffixes)


@pytest.mark.parametrize(("family", "suffix", "seed"), list(cases()))
def test_what_transformers_computes(family, suffix, seed, tmp_path):
    pytest.importorskip("torch", reason="the parity extra")
    pytest.importorskip("transformers", reason="the parity extra")
    from tests.families import parity

    fields, lengths = DRAWS[family](np.random.default_rng(seed))
    theirs = parity.build(family, suffix, fields, seed=seed)
    is_steep = fields.get("normalization_type") == "no_norm"  # values grow from block to block, and rounding with them
    parity.check(theirs, family, suffix, lengths, tmp_path, seed=seed, tolerance=2e-4 if is_steep else 1e-5)
