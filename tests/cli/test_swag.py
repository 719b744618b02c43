"""The swag command: from questions to a model that chooses, and what it refuses."""

import json

import keras
import numpy as np
import pytest

from keras_bert.checkpoints import open_checkpoint
from keras_bert.cli.main import main
from keras_bert.config import BertConfig
from keras_bert.models import BertEncoder, BertMultipleChoice, BertPretrainer
from keras_bert.tasks.choose import predict_choices, read_choices
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.small import small_shape

ENDINGS = ["ran", "sat", "ate", "flew"]
CONFIG = small_shape(32, max_position_embeddings=16)
HEADER = "id,sent1,sent2,ending0,ending1,ending2,ending3,label"
# "good" is always right.
ROWS = [
    [f"dog {ENDINGS[i]}", "it", *(("good" if i == n else ending) for n, ending in enumerate(ENDINGS)), i]
    for i in range(4)
]


def write_csv(path, rows):
    path.write_text("\n".join([HEADER, *(",".join(map(str, [n, *row])) for n, row in enumerate(rows))]) + "\n")


def write_tsv(path, rows):
    path.write_text("".join("\t".join(map(str, ["o", f"{row[0]} {row[1]}", *row[2:]])) + "\n" for row in rows))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """SWAG's files, CODAH's folds, questions without labels, and a pre-trained model, whose weights are random."""
    folder = tmp_path_factory.mktemp("swag")
    (folder / "data").mkdir()
    for name, rows in (("train.csv", ROWS * 4), ("val.csv", ROWS), ("test.csv", ROWS[:3])):
        write_csv(folder / "data" / name, rows)
    write_csv(folder / "data" / "train_full.csv", ROWS)  # SWAG has such files beside
    for number in range(2):
        fold = folder / "cv_split" / f"fold_{number}"
        fold.mkdir(parents=True)
        for name, rows in (("train", ROWS * 2), ("test", ROWS[: 2 + number])):
            write_tsv(fold / f"{name}.tsv", rows)
    lines = [{"context": row[0], "start": row[1], "choices": row[2:6]} for row in ROWS]
    (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    vocabulary = Vocabulary([*SPECIAL_TOKENS, *ENDINGS, "dog", "it", "good"])
    keras.utils.set_random_seed(0)
    config = BertConfig(vocab_size=len(vocabulary), **CONFIG)
    BertPretrainer(BertEncoder(config)).save_pretrained(folder / "pretrained", tokenizer=Tokenizer(vocabulary))
    return folder


def swag(folder, output, *flags, model="pretrained"):
    """Runs the command with short texts."""
    start = [f"--output_dir={output}", f"--init_checkpoint={folder / model}"]
    return main(["swag", *start, "--max_seq_length=12", *flags])


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """A model that knows what is good, from a folder."""
    output = tmp_path_factory.mktemp("trained") / "chooser"
    flags = ["--num_train_epochs=10", "--train_batch_size=4", "--learning_rate=3e-3", "--dropout=0"]
    questions = [f"--predict_file={folder / 'questions.jsonl'}", "--start_column=start"]
    # SWAG's own columns are not JSONL's, so the questions are asked by a second command below.
    assert swag(folder, output, *flags, f"--data_dir={folder / 'data'}") == 0
    assert swag(output.parent, output.parent / "answers", *questions, model="chooser") == 0
    return output


def test_it_learns_and_says_so(trained):
    results = json.loads((trained / "eval_results.json").read_text())
    assert results["accuracy"] == results["accuracy_mean"] == 1.0
    assert results["test"]["accuracy"] == 1.0
    assert results["loss"] < 0.5
    assert (results["train_examples"], results["eval_examples"], results["global_step"]) == (16, 4, 40)
    assert results["history"]["val_accuracy"][-1] == 1.0
    assert sorted(file.name for file in trained.iterdir()) == [
        *("config.json", "curves.png", "eval_predictions.tsv", "eval_results.json", "model.safetensors"),
        *("task.json", "test_predictions.tsv", "tokenizer_config.json", "vocab.txt"),
    ]
    assert open_checkpoint(trained).task["task"] == "choose"


def test_the_saved_model_answers_as_the_predictions_say(folder, trained):
    answers = trained.parent / "answers"
    assert [file.name for file in answers.iterdir()] == ["predictions.tsv"]
    rows = [line.split("\t") for line in (answers / "predictions.tsv").read_text().splitlines()]
    assert rows[0] == ["context", "label", "answer", "probability", *(f"probability of {i}" for i in range(4))]
    assert [row[:3] for row in rows[1:]] == [[f"dog {ending}", str(i), "it good"] for i, ending in enumerate(ENDINGS)]
    model, tokenizer = BertMultipleChoice.from_pretrained(trained), Tokenizer.from_pretrained(trained)
    questions = read_choices(folder / "questions.jsonl", labels=None, start="start")
    written = np.array([row[4:] for row in rows[1:]], float)
    np.testing.assert_allclose(predict_choices(model, tokenizer, questions, max_seq_length=12), written, atol=1e-5)


def test_the_folds_of_a_folder_make_one_mean(folder, tmp_path, capsys, monkeypatch):
    ran = []

    def run(job):
        ran.append((job.args.data_dir, job.args.output_dir))
        return {"accuracy": 0.0, "test": {"accuracy": 0.5 + 0.25 * len(ran)}} if len(ran) == 1 else {"accuracy": 0.25}

    monkeypatch.setattr("keras_bert.cli.finetune.run_once", run)
    assert swag(folder, tmp_path / "folds", f"--data_dir={folder / 'cv_split'}") == 0
    names = ["fold_0", "fold_1"]
    assert ran == [(str(folder / "cv_split" / name), str(tmp_path / "folds" / name)) for name in names]
    results = json.loads((tmp_path / "folds" / "eval_results.json").read_text())
    assert results["folds"] == {"fold_0": 0.75, "fold_1": 0.25}
    assert (results["accuracy_mean"], results["accuracy_sd"]) == (0.5, pytest.approx(0.125**0.5))
    assert "2 folds: accuracy 0.5000 ± 0.3536 (0.7500, 0.2500)" in capsys.readouterr().out


@pytest.mark.usefixtures("eagerly")
@pytest.mark.slow
def test_folds_are_cross_validated(folder, tmp_path, capsys):
    flags = ["--num_train_steps=1", "--eval_share=0.25"]
    assert swag(folder, tmp_path / "folds", f"--data_dir={folder / 'cv_split'}", *flags) == 0
    results = json.loads((tmp_path / "folds" / "eval_results.json").read_text())
    each = []
    for number in range(2):
        fold = tmp_path / "folds" / f"fold_{number}"
        own = json.loads((fold / "eval_results.json").read_text())
        each.append(own["test"]["accuracy"])
        assert (own["train_examples"], own["eval_examples"]) == (6, 2)  # a share, by the sentence before
    assert results["folds"] == {"fold_0": each[0], "fold_1": each[1]}
    assert results["accuracy_mean"] == pytest.approx(np.mean(each))
    assert results["accuracy_sd"] == pytest.approx(np.std(each, ddof=1))
    assert f"2 folds: accuracy {np.mean(each):.4f}" in capsys.readouterr().out


def test_a_test_file_may_lack_labels(folder, trained, tmp_path, capsys):
    flags = [f"--test_file={folder / 'questions.jsonl'}", "--start_column=start"]
    assert swag(trained.parent, tmp_path / "out", *flags, model="chooser") == 0
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["test_predictions.tsv"]
    printed = capsys.readouterr().out
    assert "test: 4 questions of 4 choices, no labels" in printed
    assert f"next: keras-bert choose --predict_file=questions.jsonl --init_checkpoint={trained}" in printed


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], ["Nothing to do"]),
        (["--train_file=nowhere.csv"], ["nowhere.csv does not exist"]),
        (["--train_file={}/questions.jsonl"], ["questions.jsonl has no labels", "--predict_file"]),
        (["--data_dir={}/data", "--label_column=gold"], ["the columns of .csv files are fixed"]),
        (["--predict_file={}/questions.jsonl"], ["was not taught to choose", "--train_file"]),
        (["--data_dir={}/data", "--max_seq_length=3"], ["max_seq_length", "3"]),
        (["--do_eval", "--train_file={}/data/train.csv"], ["--do_eval needs a file", "--eval_file"]),
    ],
)
def test_what_does_not_fit_is_one_sentence(folder, tmp_path, capsys, flags, words):
    assert swag(folder, tmp_path / "out", *(flag.format(folder) for flag in flags)) == 2
    assert not (tmp_path / "out").exists()
    error = capsys.readouterr().err.strip()
    assert error.count("\n") == 0
    assert all(word in error for word in words), error
