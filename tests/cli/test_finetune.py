"""The path of every fine-tuning command: what it refuses before any work, and what it leaves as it is."""

import json
import shutil

import keras
import pytest

from keras_bert.checkpoints import open_checkpoint
from keras_bert.cli.main import main
from keras_bert.config import BertConfig
from keras_bert.models import Classifier, Encoder, MultipleChoice, Pretrainer, SpanLabeler, TokenClassifier
from keras_bert.tasks.split_files import find_folds
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.small import small_shape

pytestmark = pytest.mark.slow

ROWS = [(f"{word} film", "good" if number % 2 else "bad") for number, word in enumerate("abcdefghij" * 2)]
SQUAD = {"context": "a film", "qas": [{"id": "q", "question": "b", "answers": [{"text": "a", "answer_start": 0}]}]}
READING = {"max_seq_length": 8, "long_texts": "cut", "doc_stride": None, "label_separator": ","}
ASKED = {
    "tag": ["--test_file=FOLDER/tags.txt"],
    "classify": ["--test_file=FOLDER/train.tsv"],
    "answer": ["--predict_file=FOLDER/squad.json", "--max_query_length=2"],
    "choose": ["--test_file=FOLDER/choices.jsonl"],
    "glue": ["--task_name=CoLA", "--data_dir=FOLDER/CoLA", "--do_eval"],
}


def write_table(path, rows=ROWS):
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text("text\tlabel\n" + "".join("\t".join(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of every task, and untrained models of each, which read at most 16 tokens."""
    folder = tmp_path_factory.mktemp("finetune")
    write_table(folder / "train.tsv")
    for fold in ("one", "two"):
        write_table(folder / "folds" / fold / "train.tsv")
    (folder / "lines.txt").write_text("a film\nb\n")
    (folder / "tags.txt").write_text("a B-X\nb O\n")
    (folder / "squad.json").write_text(json.dumps({"data": [{"title": "t", "paragraphs": [SQUAD]}]}))
    (folder / "choices.jsonl").write_text(json.dumps({"context": "a", "choices": ["b", "c"], "label": 0}) + "\n")
    (folder / "CoLA").mkdir()
    (folder / "CoLA" / "dev.tsv").write_text("x\t1\t\ta film\n")
    tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, *"abcdefghij", "film"]))
    keras.utils.set_random_seed(0)
    encoder = Encoder(BertConfig(vocab_size=len(tokenizer), **small_shape(max_position_embeddings=16)))
    models = {
        "pretrained": Pretrainer(encoder),
        "tag": TokenClassifier(encoder, 3, labels=["O", "B-X", "I-X"]),
        "classify": Classifier(encoder, 2, labels=["bad", "good"]),
        "several": Classifier(encoder, 2, labels=["bad", "good"], multi_label=True),
        "number": Classifier(encoder, 1),
        "pair": Classifier(encoder, 2, labels=["bad", "good"], pair=True),
        "answer": SpanLabeler(encoder),
        "choose": MultipleChoice(encoder),
    }
    for name, model in models.items():
        model.save_pretrained(folder / name, tokenizer=tokenizer)
        if isinstance(model, Classifier):  # as `keras-bert classify` leaves them
            task = open_checkpoint(folder / name).task
            (folder / name / "task.json").write_text(json.dumps({**task, "reading": READING}))
    return folder


def run(folder, command, output, *flags, model="pretrained"):
    flags = [flag.replace("FOLDER", str(folder)) for flag in flags]
    return main([command, f"--init_checkpoint={folder / model}", f"--output_dir={output}", *flags])


def train(folder, output, *flags):
    """Trains a classifier for a step."""
    short = ["--max_seq_length=8", "--num_train_steps=1", "--train_batch_size=4"]
    return run(folder, "classify", output, *short, *flags)


def refusal(capsys, folder, command, output, *flags, **options):
    """Returns the one sentence by which a command refuses, having written nothing."""
    capsys.readouterr()
    before = sorted(output.rglob("*"))
    assert run(folder, command, output, *flags, **options) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert sorted(output.rglob("*")) == before
    return captured.err


MODELS = ["pretrained", "tag", "classify", "several", "number", "answer", "choose"]
ABLE = {"classify": ("classify", "several", "number")}
UNABLE = [(command, model) for command in ASKED for model in MODELS if model not in ABLE.get(command, (command,))]


@pytest.mark.parametrize(("command", "model"), UNABLE)
def test_a_model_of_another_task_is_refused_before_any_file_is_read(folder, tmp_path, capsys, command, model):
    said = refusal(capsys, folder, command, tmp_path / "out", *ASKED[command], model=model)
    assert str(folder / model) in said
    assert "max_seq_length" not in said


@pytest.mark.parametrize(
    ("model", "flag", "taught"),
    [
        ("classify", "multi_label", "one class a row"),
        ("classify", "regression", "one class a row"),
        ("several", "regression", "several labels a row"),
        ("number", "multi_label", "numbers"),
    ],
)
def test_a_kind_of_labels_that_a_saved_classifier_has_not(folder, tmp_path, capsys, model, flag, taught):
    flags = ["--predict_file=FOLDER/lines.txt", f"--{flag}"]
    said = refusal(capsys, folder, "classify", tmp_path / "out", *flags, model=model)
    assert f"--{flag}: {folder / model} was taught {taught}; leave the flag out" in said


def test_a_metric_that_a_saved_classifier_has_not(folder, tmp_path, capsys):
    flags = ["--test_file=FOLDER/train.tsv", "--metric=acuracy"]
    said = refusal(capsys, folder, "classify", tmp_path / "out", *flags, model="classify")
    assert "'acuracy' is not one of the figures" in said


def test_a_saved_classifier_of_pairs_is_not_asked_about_single_texts(folder, tmp_path, capsys):
    said = refusal(capsys, folder, "classify", tmp_path / "out", "--predict_file=FOLDER/lines.txt", model="pair")
    assert "was trained on pairs of texts; name the column of the second texts by --pair_column" in said


def test_a_saved_classifier_whose_classes_have_no_names(folder, tmp_path, capsys):
    shutil.copytree(folder / "classify", tmp_path / "model")
    task = {"task": "classify", "num_classes": 2, "reading": READING}
    (tmp_path / "model" / "task.json").write_text(json.dumps(task))
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config = {name: value for name, value in config.items() if name not in ("id2label", "label2id")}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    write_table(tmp_path / "test.tsv", [("a", "0"), ("b", "1")])
    flags = [f"--test_file={tmp_path / 'test.tsv'}"]
    assert run(folder, "classify", tmp_path / "out", *flags, model=tmp_path / "model") == 0
    assert "test: accuracy" in capsys.readouterr().out


def test_folds_are_refused_before_the_first_of_them_is_trained(folder, tmp_path, capsys):
    flags = ["--data_dir=FOLDER/folds", "--max_seq_length=8"]
    more = ["--predict_file=FOLDER/lines.txt", f"--predictions_file={tmp_path / 'answers.tsv'}"]
    said = refusal(capsys, folder, "classify", tmp_path / "out", *flags, *more)
    assert "--predictions_file names one file, but" in said and "has 2 folds" in said
    (tmp_path / "out" / "two").mkdir(parents=True)
    (tmp_path / "out" / "two" / "config.json").write_text("{}")
    said = refusal(capsys, folder, "classify", tmp_path / "out", *flags)
    assert "two/config.json exists already; add --force" in said


def test_a_file_that_is_named_is_not_looked_for(folder, tmp_path, capsys):
    both = tmp_path / "both"
    for name in ("train.tsv", "train.old.tsv", "dev.tsv"):
        write_table(both / name)
    assert "say which is meant by --train_file" in refusal(
        capsys, folder, "classify", tmp_path / "out", f"--data_dir={both}"
    )
    assert train(folder, tmp_path / "out", f"--data_dir={both}", f"--train_file={both / 'train.tsv'}") == 0
    # one of a folder of folds is trained on alone
    args = type("Args", (), {"data_dir": str(folder / "folds"), "train_file": None, "eval_file": None})
    assert [fold.name for fold in find_folds(args)] == ["one", "two"]
    args.train_file = str(folder / "folds" / "one" / "train.tsv")
    assert find_folds(args) == []


def test_only_force_removes_what_stood_in_the_folder(folder, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    mine = {"predictions.tsv", "test_predictions.tsv", "scatter.png", "notes.tsv"}
    for name in mine:
        (output / name).write_text("mine")
    assert train(folder, output, "--train_file=FOLDER/train.tsv") == 0
    assert {file.name for file in output.iterdir() if file.stat().st_size == 4} == mine
    assert train(folder, output, "--train_file=FOLDER/train.tsv", "--force") == 0
    assert {file.name for file in output.iterdir() if file.stat().st_size == 4} == {"notes.tsv"}


@pytest.mark.parametrize("force", ["--noforce", "--force"])
def test_predictions_are_kept_however_their_path_is_written(folder, tmp_path, monkeypatch, force):
    monkeypatch.chdir(tmp_path)
    flags = ["--train_file=FOLDER/train.tsv", "--predict_file=FOLDER/lines.txt", force]
    assert train(folder, "out", *flags, f"--predictions_file={tmp_path / 'out' / 'predictions.tsv'}") == 0
    assert (tmp_path / "out" / "predictions.tsv").read_text().count("\n") == 3


def test_two_files_of_answers_have_two_names(folder, tmp_path, capsys):
    flags = ["--test_file=FOLDER/train.tsv", "--predict_file=FOLDER/lines.txt"]
    flags.append(f"--predictions_file={tmp_path / 'out' / 'test_predictions.tsv'}")
    said = refusal(capsys, folder, "classify", tmp_path / "out", *flags, model="classify")
    assert "--predictions_file: the answers on --test_file go to" in said


def test_answers_say_how_many_windows_there_are(folder, tmp_path, capsys):
    flags = ["--predict_file=FOLDER/squad.json", "--max_query_length=2", "--max_seq_length=8"]
    assert run(folder, "answer", tmp_path / "asked", *flags, model="answer") == 0
    assert "windows: 1 to answer" in capsys.readouterr().out.splitlines()
    flags += ["--train_file=FOLDER/squad.json", "--num_train_steps=1", "--do_train", "--do_predict", "--nodo_eval"]
    assert run(folder, "answer", tmp_path / "trained", *flags) == 0
    assert "windows: 1 to train on, 1 to answer" in capsys.readouterr().out.splitlines()


def test_questions_that_are_neither_measured_nor_written(folder, tmp_path, capsys):
    unknown = {**SQUAD, "qas": [{"id": "q", "question": "b"}]}
    (tmp_path / "unknown.json").write_text(json.dumps({"data": [{"title": "t", "paragraphs": [unknown]}]}))
    flags = [f"--predict_file={tmp_path / 'unknown.json'}", "--do_eval", "--max_query_length=2", "--max_seq_length=8"]
    said = refusal(capsys, folder, "answer", tmp_path / "out", *flags, model="answer")
    assert "Nothing to do without --do_predict: " in said and "does not say what is right" in said
