"""A small text of our own for the commands: documents that each keep to a subject."""

import shutil

import numpy as np
import pytest

from keras_bert.cli.main import main
from tests.sharing import made_once

SUBJECTS = {
    "sea": "ship sail harbour captain wave storm anchor island sailor tide deck rope".split(),
    "kitchen": "soup bread oven butter pepper onion kettle spoon recipe plate cheese flour".split(),
    "garden": "rose seed spade hedge lawn apple tree worm basket bloom root fence".split(),
    "station": "train ticket platform engine guard whistle rail bridge tunnel signal coach clock".split(),
}
FRAMES = (
    "The {0} stood near the {1} until the {2} was gone.",
    "Nobody had seen a {0} with such a {1} before.",
    "When the {0} came, she put the {1} beside the {2}.",
    "It was the {0} and not the {1} that mattered.",
    "He asked whether the {0} belonged to the {1} or the {2}.",
)


def make_documents(number, *, sentences=14, seed=0):
    """Returns documents of distinct sentences, a subject each."""
    rng = np.random.default_rng(seed)
    documents = []
    for index in range(number):
        words = list(SUBJECTS.values())[index % len(SUBJECTS)]
        lines = (str(rng.choice(FRAMES)).format(*rng.choice(words, 3, replace=False)) for _ in range(sentences))
        documents.append([f"{line[:-1]} in the year {1500 + 20 * index + i}." for i, line in enumerate(lines)])
    return documents


@pytest.fixture
def text_file(tmp_path):
    """Forty documents in Google's input format: one sentence a line, a blank line between documents."""
    return write_text(tmp_path)


def write_text(folder):
    """Writes text.txt with forty documents. Returns its path."""
    path = folder / "text.txt"
    path.write_text("\n\n".join("\n".join(document) for document in make_documents(40)) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def made_records(tmp_path_factory):
    """A folder with a text, its vocabulary of 160 entries and records of length 32."""

    def make(folder):
        text, vocab = write_text(folder), folder / "vocab.txt"
        assert main(["train_vocab", f"--input_file={text}", f"--vocab_file={vocab}", "--vocab_size=160"]) == 0
        flags = ["--max_seq_length=32", "--max_predictions_per_seq=5", "--dupe_factor=1"]
        made = [f"--input_file={text}", f"--output_file={folder / 'records' / 'r.tfrecord'}", f"--vocab_file={vocab}"]
        assert main(["create_pretraining_data", *made, *flags]) == 0

    return made_once(tmp_path_factory, "cli_records", make)[0]


@pytest.fixture
def records(made_records, tmp_path):
    """A test's own copy of the records, with their vocabulary beside them."""
    shutil.copytree(made_records, tmp_path, dirs_exist_ok=True)
    return tmp_path / "records" / "r.tfrecord"


def pretrain(records, output, *flags):
    """Runs the command for a few steps."""
    small = ["--bert_config_file=tiny", "--train_batch_size=4", "--num_train_steps=3", "--num_warmup_steps=1"]
    return main(["pretrain", f"--input_file={records}", f"--output_dir={output}", *small, *flags])
