"""The examples of README and docs/ run as they stand, but for sizes: a page in order, in a folder of tiny inputs.

README's first examples in Python, and those of models.md and finetuning.md, are run by tests/test_readme.py.
"""

import numpy as np
import pytest

from keras_bert.cli.main import OLDER
from tests.pages import ALL, DOCS, EXCUSED, RUN_ELSEWHERE, blocks_of, commands_of, name_of, our_command
from tests.running import SMALLER, run_command

# Where a page needs others: chain.md learns on real text, scaling.md is about lengths and batches.
SMALLER_IN = {
    "chain.md": {
        "train_vocab": "--force",
        "create_pretraining_data": "--dupe_factor=1",
        "pretrain": "--num_train_steps=6 --num_warmup_steps=1 --eval_every=3 --max_eval_steps=2 --force",
        "classify": "--num_train_epochs=1 --num_runs=1 --train_batch_size=64 --force",
    },
    "migrating.md": {
        "create_pretraining_data": "--dupe_factor=1",
        "pretrain": "--train_batch_size=4 --num_train_steps=2 --num_warmup_steps=1",
    },
    "own_language.md": {"train_vocab": "--force"},
    "scaling.md": {
        "create_pretraining_data": "--dupe_factor=20",
        "pretrain": "--num_train_steps=4 --num_warmup_steps=1",
    },
}
# {page: {text of a command: a smaller one}}, where a flag cannot be overruled by another
INSTEAD = {
    "colab.md": {"pad_to_multiple=128": "pad_to_multiple=128, batch_size=4"},
    "data.md": {"batch_size=256": "batch_size=2"},
    "own_language.md": {
        "--vocab_file=ko.txt --vocab_size=32000": "--vocab_file=ko.txt --vocab_size=120",
        "--vocab_file=ko_unigram --vocab_size=32000": "--vocab_file=ko_unigram --vocab_size=52",
    },
    "README.md": {"quickstart_output/pretrained": "model"},
    "scaling.md": {"128:90%:32,512:10%:8": "128:50%:4,512:50%:2", "--max_minutes=0.2": "--max_minutes=0.02"},
}
RUN = [path for path in ALL if name_of(path) not in EXCUSED and blocks_of(path)]


@pytest.mark.slow
@pytest.mark.parametrize("path", RUN, ids=name_of)
def test_the_examples_run_in_order(path, world_folder):
    run_page(path, world_folder)


def run_page(path, names):
    """Runs a page's blocks in order, in the working directory. Python's share one namespace, `names` at first."""
    page = name_of(path)
    for block in blocks_of(path):
        if (page, block.language) in RUN_ELSEWHERE or block.language == "text" or block.marker:
            continue
        code = block.code
        for large, small in INSTEAD.get(page, {}).items():
            code = code.replace(large, small)
        if block.language == "python":
            exec(compile(code, str(block), "exec"), names)
        else:
            for line in commands_of(code):
                run_command(line, SMALLER | SMALLER_IN.get(page, {}), where=str(block))


def test_every_table_is_of_something_that_is_there():
    pages = {name_of(path): path.read_text(encoding="utf-8") for path in RUN}
    assert set(SMALLER_IN) | set(INSTEAD) <= set(pages)
    for page, texts in INSTEAD.items():
        assert all(text in pages[page] for text in texts)
    commands = {our_command(line)[0] for path in RUN for line in ours_of(path)}
    assert set(SMALLER) - set(OLDER) <= commands


def ours_of(path):
    """Returns our own command lines of a page."""
    blocks = (block for block in blocks_of(path) if block.language == "console")
    return [line for block in blocks for line in commands_of(block.code) if our_command(line)]


@pytest.mark.slow
def test_the_weights_of_keras_hub_give_its_outputs():
    keras_hub = pytest.importorskip("keras_hub")
    import keras

    keras.utils.set_random_seed(3)
    sizes = {"vocabulary_size": 50, "num_layers": 2, "num_heads": 2, "hidden_dim": 16, "intermediate_dim": 32}
    backbone = keras_hub.models.BertBackbone(**sizes, max_sequence_length=16)
    for variable in backbone.weights:  # biases and LayerNorms begin alike
        variable.assign(keras.random.normal(variable.shape, stddev=0.2))
    [block] = [block for block in blocks_of(DOCS / "migrating.md") if "def from_keras_hub" in block.code]
    names = {"backbone": backbone}
    exec(compile(block.code, str(block), "exec"), names)
    rng = np.random.default_rng(0)
    ids, segments = rng.integers(0, 50, (3, 9)), np.repeat([[0] * 4 + [1] * 5], 3, axis=0)
    mask = (np.arange(9) < [[9], [5], [7]]).astype("int32")
    theirs = backbone.predict({"token_ids": ids, "padding_mask": mask, "segment_ids": segments}, verbose=0)
    ours = names["encoder"].predict({"input_ids": ids, "input_mask": mask, "segment_ids": segments}, verbose=0)
    np.testing.assert_allclose(ours["pooled_output"], theirs["pooled_output"], atol=1e-5)
    np.testing.assert_allclose(ours["sequence_output"][mask == 1], theirs["sequence_output"][mask == 1], atol=1e-5)
