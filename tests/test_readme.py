"""README's first examples in Python, and two pages', run as they stand, but for sizes: a tiny model, a few steps."""

import re
from pathlib import Path

import pytest

import keras_bert as kb
from tests.cli.conftest import make_documents
from tests.pages import blocks_of
from tests.world import write_tasks

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
SMALLER = {
    '"base"': '"tiny"',
    "batch_size=256": "batch_size=2",
    "steps_per_epoch=10_000, epochs=100": "steps_per_epoch=2, epochs=1",
    "num_train_steps=1_000_000, num_warmup_steps=10_000": "num_train_steps=2, num_warmup_steps=1",
}


@pytest.fixture
def surroundings(tmp_path, monkeypatch):
    """A folder with what the examples name: records, and a checkpoint with its vocabulary."""
    from keras_bert.text.learning.wordpiece import learn_vocab
    from keras_bert.text.vocabulary import Vocabulary
    from tfrecords.create_pretraining_data import create_pretraining_data

    monkeypatch.chdir(tmp_path)
    documents = make_documents(12)
    Path("text.txt").write_text("\n\n".join("\n".join(document) for document in documents))
    lines = [line for document in documents for line in document]
    Vocabulary(learn_vocab(lines, vocab_size=150)).save("vocab.txt")
    lengths = {"max_seq_length": 32, "max_predictions_per_seq": 5, "dupe_factor": 1}
    create_pretraining_data("text.txt", "records/r.tfrecord", "vocab.txt", **lengths)
    tokenizer = kb.Tokenizer("vocab.txt")
    config = kb.BertConfig.from_name("tiny", vocab_size=tokenizer.vocab_size)
    kb.BertEncoder(config).save_pretrained("uncased_L-12_H-768_A-12", tokenizer=tokenizer)
    return {"texts": lines[:8], "labels": [0, 1] * 4}


@pytest.mark.slow
def test_the_python_examples_run_in_order(surroundings):
    blocks = [block.code for block in blocks_of(README) if block.marker == "run by tests/test_readme.py"]
    assert len(blocks) == 4
    assert all(large in "".join(blocks) for large in SMALLER)
    for block in blocks:
        for large, small in SMALLER.items():
            block = block.replace(large, small)
        exec(compile(block, "README.md", "exec"), surroundings)
    assert Path("model", "saved_model", "saved_model.pb").is_file()
    assert Path("my_model", "vocab.txt").is_file()
    assert Path("serving/sentiment/1/saved_model.pb").is_file()
    classifier = surroundings["classifier"]
    again = kb.BertClassifier.from_pretrained("my_model")
    batch = kb.text_dataset(surroundings["texts"], None, surroundings["tokenizer"], max_seq_length=128, batch_size=8)
    assert (classifier.predict(batch, verbose=0) == again.predict(batch, verbose=0)).all()


@pytest.mark.slow
def test_the_examples_of_models_run_in_order(surroundings):
    import numpy as np

    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.S)
    assert len(blocks) == 4
    names = dict(surroundings)
    for block in blocks:
        exec(compile(block, "models.md", "exec"), names)
    assert Path("for_transformers", "config.json").is_file()
    assert Path("for_google", "bert_model.ckpt.index").is_file()
    np.testing.assert_allclose(np.asarray(names["outputs"]["attention_scores"][0]).sum(-1), 1, atol=1e-5)


@pytest.mark.slow
def test_the_examples_of_fine_tuning_run_in_order(surroundings):
    tokenizer = kb.Tokenizer.from_pretrained("uncased_L-12_H-768_A-12")
    kb.BertEncoder.from_pretrained("uncased_L-12_H-768_A-12").save_pretrained("model", tokenizer=tokenizer)
    write_tasks(Path(), surroundings["texts"])
    text = (ROOT / "docs" / "finetuning.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.S)
    assert len(blocks) == 4
    names = {}
    for block in blocks:
        exec(compile(block, "finetuning.md", "exec"), names)
    assert names["answer"].text == names["context"][names["answer"].start : names["answer"].end] != ""
    assert [run["seed"] for run in names["best"].results["runs"]] == [1, 2]
    assert "input_mask" in kb.Classifier.from_pretrained("from_packed_rows").input
    assert kb.Classifier.from_pretrained("same_or_not").labels == ["different", "same"]


def test_the_readme_names_the_two_set_up_commands_and_every_command():
    from keras_bert.cli.main import COMMANDS

    text = README.read_text(encoding="utf-8")
    assert "make quickstart" in text
    assert "make test" in text
    assert all(f"keras-bert {command}" in text for command in COMMANDS)


def test_the_path_through_the_code_leads_to_the_gradient():
    text = README.read_text(encoding="utf-8")
    path = re.search(r"^(\w+) files in this order explain the whole program:\n(.*?)\n\n", text, flags=re.M | re.S)
    files = re.findall(r"\]\((keras_bert/\S+?\.py)\)", path[2])
    assert ["Four", "Five", "Six", "Seven"].index(path[1]) + 4 == len(files)
    gradient = re.search(r"\((\S+?)\), where the gradient is taken", path[2])[1]
    assert "tf.GradientTape()" in (ROOT / gradient).read_text(encoding="utf-8")
