"""A further task is one folder and one row: paired ranking, which keras_bert does not have, by all of its commands."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
import keras_bert.tasks
from keras_bert.checkpoints import open_checkpoint
from keras_bert.cli import main as command
from keras_bert.models import Encoder, Pretrainer
from keras_bert.tasks import rows
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.small import small_shape

WORDS = ["good", "bad", *(f"w{number}" for number in range(12))]


@pytest.fixture(scope="module", autouse=True)
def further():
    """The folder where tasks are looked for, and the row."""
    what = "fine-tune on pairs of texts, the better one first"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            keras_bert.tasks, "__path__", [*keras_bert.tasks.__path__, str(Path(__file__).parent / "further")]
        )
        for table in (rows.WORDS, command.FINE_TUNED, command.COMMANDS):
            patch.setitem(table, "rank", what)
        yield


@pytest.fixture(scope="module")
def ranker(tmp_path_factory):
    """A model that learnt that good is better than bad, beside its files."""
    folder = tmp_path_factory.mktemp("rank")
    pairs = [{"better": f"w{i} good w{j}", "worse": f"w{j} bad w{i}"} for i in range(12) for j in range(4)]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    (folder / "texts.jsonl").write_text('{"text": "good w3"}\n{"text": "bad w3"}\n')
    keras.utils.set_random_seed(0)
    tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, *WORDS]))
    config = kb.Config(vocab_size=len(tokenizer), **small_shape(32, max_position_embeddings=16))
    Pretrainer(Encoder(config)).save_pretrained(folder / "pretrained", tokenizer=tokenizer)
    flags = ["--max_seq_length=8", "--num_train_epochs=6", "--train_batch_size=8", "--learning_rate=3e-3"]
    flags += [f"--train_file={folder / 'pairs.jsonl'}", f"--init_checkpoint={folder / 'pretrained'}", "--dropout=0"]
    assert command.main(["rank", *flags, f"--output_dir={folder / 'ranker'}"]) == 0
    return folder / "ranker"


def test_it_learns_and_answers(ranker, capsys):
    assert json.loads((ranker / "eval_results.json").read_text())["accuracy"] == 1.0
    task = json.loads((ranker / "task.json").read_text())
    assert (task["task"], task["head"], task["reading"]) == ("rank", "choose", {"max_seq_length": 8})
    config = json.loads((ranker / "config.json").read_text())
    assert config["architectures"] == ["BertForMultipleChoice"]
    texts = ranker.parent / "texts.jsonl"
    out = ranker.parent / "scores"
    assert command.main(["rank", f"--predict_file={texts}", f"--init_checkpoint={ranker}", f"--output_dir={out}"]) == 0
    written = [line.split("\t") for line in (out / "scores.tsv").read_text().splitlines()]
    assert [row[0] for row in written] == ["text", "good w3", "bad w3"]
    assert float(written[1][1]) > float(written[2][1])
    capsys.readouterr()
    assert command.main(["predict", f"--model_dir={ranker}", "good w3", "bad w3"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    model, tokenizer = rows.tasks()["rank"].model.from_pretrained(ranker), kb.Tokenizer.from_pretrained(ranker)
    assert kb.predict(model, tokenizer, ["good w3", "bad w3"]) == found
    served = kb.export(model, tokenizer, ranker.parent / "served" / "1", max_seq_length=8)
    said = tf.saved_model.load(str(served.path)).signatures["serving_default"](text=tf.constant(["good w3", "bad w3"]))
    np.testing.assert_allclose(said["score"].numpy(), [float(row[1]) for row in written[1:]], atol=1e-5)


def test_a_model_of_another_task_is_refused_in_one_sentence(ranker, capsys):
    texts, out = ranker.parent / "texts.jsonl", ranker.parent / "none"
    for name, what in (("choose", "was not taught to choose"), ("tag", "was not taught to tag")):
        flags = [f"--predict_file={texts}", f"--init_checkpoint={ranker}", f"--output_dir={out}"]
        assert command.main([name, *flags]) == 2
        assert what in capsys.readouterr().err
    assert not out.exists()
    assert open_checkpoint(ranker).task["head"] == "choose"


def test_its_help(capsys):
    with pytest.raises(SystemExit):
        command.main(["rank", "--help"])
    printed = capsys.readouterr().out
    assert printed.startswith("usage: keras-bert rank [flags]\n\nPairs of texts, the better one first")
    with pytest.raises(SystemExit):
        command.main(["rank", "--trian_file=a"])
    assert "did you mean --train_file?" in capsys.readouterr().err
