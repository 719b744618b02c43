"""Equal to Python: every head's SavedModel with every kind of tokenizer, all of them in one process."""

import pytest

from tests.serving.asking import PYTHON, assert_same, in_fresh_process, in_python, requests
from tests.text.kinds import TEXTS

HEADS = tuple(PYTHON)
SAMPLE = {
    "wordpiece": ("classify",),
    "roberta": ("ner", "multiple_choice"),
    "albert": ("squad", "fill_mask"),
}
MORE = ["the " * 100, "Paris is the capital of France.", "1999, 2,000,\x00 b", "a\udcffb \udcc3( c"]


@pytest.mark.parametrize(
    "heads",
    [
        pytest.param(SAMPLE, id="sample", marks=pytest.mark.slow),
        pytest.param(
            dict.fromkeys(("wordpiece", "roberta", "modern", "albert", "xlm_roberta", "big_bird"), HEADS),
            id="all",
            marks=pytest.mark.nightly,
        ),
    ],
)
def test_models_in_one_process_that_does_not_know_this_library(of_kind, heads, tmp_path):
    asked, expected = {}, {}
    for kind, names in heads.items():
        made = of_kind(kind)
        mask = made.tokenizer.mask_token
        every = requests([*TEXTS, *MORE, f"{mask} is the {mask} of France"], mask=mask)
        every["sentence"] = every["embed"]
        assert every.keys() == made.models.keys() == set(HEADS)
        for name in names:
            path = made.exported(name).path
            asked[path] = every[name]
            expected[path] = f"{kind}, {name}", in_python(name, made.models[name], made.tokenizer, every[name])
    for found in in_fresh_process(asked, tmp_path, "--together"):
        for answers, (what, known) in zip(found, expected.values(), strict=True):
            assert_same(answers, known, what)
            assert len({str(row) for row in answers}) > len(answers) / 2, what  # all alike they would show nothing
