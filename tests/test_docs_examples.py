"""The examples of docs/ run as they stand, but for sizes: page by page and in order, in a folder of tiny inputs.

README's examples, and those in Python of models.md and finetuning.md, are run by tests/test_readme.py.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_bert_cli.main import main
from tests.pages import DOCS, EXCUSED, PAGES, ROOT, RUN_ELSEWHERE, blocks_of, commands_of, name_of, our_command
from tests.world import make_world

# {command: flags that make it small, or let it run twice}, behind its own; the last of two flags counts.
SMALLER = {
    "train_vocab": "--vocab_size=160 --force",
    "create_pretraining_data": "--max_seq_length=32 --max_predictions_per_seq=5 --dupe_factor=2 --force",
    "pretrain": "--bert_config_file=tiny --train_batch_size=4 --num_train_steps=4 --num_warmup_steps=1 --force",
    "classify": "--max_seq_length=16 --num_train_epochs=1 --num_runs=1 --force",
    "glue": "--max_seq_length=32 --num_train_epochs=1 --force",
    "squad": "--max_seq_length=48 --max_query_length=8 --doc_stride=8 --num_train_epochs=1 --force",
    "ner": "--max_seq_length=16 --num_train_epochs=1 --force",
    "swag": "--max_seq_length=16 --num_train_epochs=1 --force",
    "predict": "--force",
    "embed": "--force",
    "export": "--force",
}
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
    "own_language.md": {"train_vocab": "--vocab_size=120 --force"},
    "scaling.md": {
        "create_pretraining_data": "--dupe_factor=20",
        "pretrain": "--num_train_steps=4 --num_warmup_steps=1",
    },
}
# {page: {text of a command: a smaller one}}, where a flag cannot be overruled by another
INSTEAD = {
    "colab.md": {"pad_to_multiple=128": "pad_to_multiple=128, batch_size=4"},
    "data.md": {"batch_size=256": "batch_size=2"},
    "scaling.md": {"128:90%:32,512:10%:8": "128:50%:4,512:50%:2", "--max_minutes=0.2": "--max_minutes=0.02"},
}
NEEDS_A_PROCESS = re.compile(r"^[A-Z_]+=|--deterministic|[|<>&;]")  # a setting of the whole process, or a shell
RUN = [path for path in PAGES if name_of(path) not in EXCUSED and blocks_of(path)]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with all that the examples name, and the names that those in Python take for given."""
    folder = tmp_path_factory.mktemp("world")
    return folder, make_world(folder)


@pytest.fixture
def page_folder(world, tmp_path, monkeypatch):
    """A copy of the world of one page's own, as the working directory. Returns the given names."""
    folder, names = world
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BERT_BASE_DIR", "uncased_L-12_H-768_A-12")
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return dict(names)


@pytest.mark.slow
@pytest.mark.parametrize("path", RUN, ids=name_of)
def test_the_examples_run_in_order(path, page_folder):
    run_page(path, page_folder)


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


def run_command(line, smaller, *, where):
    """Runs a command line, ours in this process where that is possible, and asserts that it ends well."""
    words = our_command(os.path.expandvars(line))
    small = smaller.get(words[0], "") if words else ""
    if words and not NEEDS_A_PROCESS.search(line):
        assert main([*words, *shlex.split(small)]) == 0, f"{where}: {line}"
    else:
        done = subprocess.run(["bash", "-c", f"{line} {small}"], capture_output=True, text=True)
        assert done.returncode == 0, f"{where}: {line}\n{done.stderr[-3000:]}"


def test_every_table_is_of_something_that_is_there():
    pages = {name_of(path): path.read_text(encoding="utf-8") for path in RUN}
    assert set(SMALLER_IN) | set(INSTEAD) <= set(pages)
    for page, texts in INSTEAD.items():
        assert all(text in pages[page] for text in texts)
    commands = {our_command(line)[0] for path in RUN for line in ours_of(path)}
    assert set(SMALLER) <= commands


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
