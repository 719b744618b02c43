"""The squad command: from SQuAD files to a model that answers, and what it refuses."""

import contextlib
import io
import json

import keras
import numpy as np
import pytest

from keras_bert.checkpoints import open_checkpoint
from keras_bert.cli.main import main
from keras_bert.config import BertConfig
from keras_bert.models import BertEncoder, BertPretrainer, BertSpanLabeler
from keras_bert.tasks.answer import Answerer
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.small import NO_DROPOUT, small_shape

LETTERS = list("abcdefghij")
CONFIG = small_shape(max_position_embeddings=32, **NO_DROPOUT)
SMALL = ["--max_seq_length=16", "--doc_stride=6", "--max_query_length=4"]
FILES = ["eval_results.json", "nbest_predictions.json", "predictions.json"]


def write_squad(path, count, *, seed, impossible=0.0, answers=True, lost=0):
    """Writes contexts of letters, in most of which there is a year, the answer."""
    rng = np.random.default_rng(seed)
    paragraphs = []
    for number in range(count):
        words = [str(word) for word in rng.choice(LETTERS, rng.integers(4, 12))]
        qa = {"id": f"q{number}", "question": "When?", "answers": [], "is_impossible": True}
        if rng.random() >= impossible:
            words[rng.integers(len(words))] = "(911)."
            start = " ".join(words).index("911") if number >= lost else 0
            qa |= {"answers": [{"text": "911" if number >= lost else "912", "answer_start": start}]}
            qa["is_impossible"] = False
        if not answers:
            del qa["answers"], qa["is_impossible"]
        paragraphs.append({"context": " ".join(words), "qas": [qa]})
    path.write_text(json.dumps({"version": "1.1", "data": [{"title": "t", "paragraphs": paragraphs}]}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """SQuAD files and a pre-trained model, whose weights are random."""
    folder = tmp_path_factory.mktemp("squad")
    write_squad(folder / "train.json", 96, seed=0, lost=7)
    write_squad(folder / "dev.json", 16, seed=1)
    write_squad(folder / "train2.json", 96, seed=0, impossible=0.5)
    write_squad(folder / "dev2.json", 16, seed=1, impossible=0.5)
    write_squad(folder / "test.json", 4, seed=2, answers=False)
    vocabulary = Vocabulary([*SPECIAL_TOKENS, *LETTERS, "911", "(", ")", ".", "when", "?"])
    keras.utils.set_random_seed(0)
    config = BertConfig(vocab_size=len(vocabulary), **CONFIG)
    BertPretrainer(BertEncoder(config)).save_pretrained(folder / "pretrained", tokenizer=Tokenizer(vocabulary))
    return folder


def squad(folder, output, *flags, model="pretrained", **files):
    """Runs the command; `files` are train_file and predict_file."""
    names = [f"--{name}={folder / file}" for name, file in files.items()]
    start = [f"--init_checkpoint={folder / model}"] if model else []
    return main(["squad", *names, *start, f"--output_dir={output}", *SMALL, *flags])


TRAIN = ["--train_batch_size=16", "--learning_rate=1e-2", "--num_train_epochs=12", "--eval_each_epoch=False"]


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    """Trains a model on SQuAD 1.1. Returns its folder and what the command said."""
    output, said = tmp_path_factory.mktemp("trained") / "qa", io.StringIO()
    with contextlib.redirect_stdout(said):
        assert squad(folder, output, *TRAIN, train_file="train.json", predict_file="dev.json") == 0
    return output, said.getvalue()


@pytest.fixture(scope="module")
def trained(run):
    return run[0]


def load(path):
    return json.loads(path.read_text())


def test_it_learns_and_writes(trained):
    results = load(trained / "eval_results.json")
    assert results["exact_match"] == results["f1"] == 100.0
    assert (results["total"], results["train_examples"]) == (16, 89)
    assert load(trained / "predictions.json") == {f"q{number}": "911" for number in range(16)}
    assert load(trained / "nbest_predictions.json")["q0"][0]["text"] == "911"
    assert not (trained / "null_odds.json").exists()
    assert (trained / "curves.png").stat().st_size > 1000
    reading = {"max_seq_length": 16, "doc_stride": 6, "max_query_length": 4}
    assert open_checkpoint(trained).task == {"task": "answer", "reading": reading}
    assert Answerer.from_pretrained(trained)("When?", "a (911). c").start == 3


def test_a_trained_model_answers_other_files(folder, trained, tmp_path, capsys):
    assert squad(folder, tmp_path / "out", model=trained, predict_file="test.json") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES[1:]
    said = capsys.readouterr().out
    assert "not measured" in said
    assert set(load(tmp_path / "out" / "predictions.json").values()) == {"911"}
    assert squad(folder, tmp_path / "out", model=trained, predict_file="dev.json") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES
    assert load(tmp_path / "out" / "eval_results.json")["f1"] == 100.0


def test_without_a_checkpoint_the_model_in_the_output_answers(folder, trained, capsys):
    before = (trained / "model.safetensors").read_bytes()
    assert squad(folder, trained, model=None, predict_file="dev.json") == 0
    assert "exact match 100.00, F1 100.00 (16 questions)" in capsys.readouterr().out
    assert (trained / "model.safetensors").read_bytes() == before
    assert len(load(trained / "eval_results.json")["runs"]) == 1  # what the training told stays


def test_one_action_leaves_the_others_off(folder, trained):
    # As run_squad.py: --init_checkpoint is what the model in --output_dir began from.
    before = (trained / "model.safetensors").read_bytes()
    files = {"train_file": "train.json", "predict_file": "dev.json"}
    assert squad(folder, trained, "--do_predict", model="pretrained", **files) == 0
    assert (trained / "model.safetensors").read_bytes() == before


def test_what_it_says(run):
    output, said = run
    assert "train.json, 89 questions about 89 contexts" in said
    assert "left out: 7 questions whose answer does not stand where the file says" in said
    assert said.count("could not find answer '912'") == 5
    assert "and 2 more, which --verbose_logging lists" in said
    assert "held out: exact match 100.00, F1 100.00 (16 questions)" in said
    assert f"Answerer.from_pretrained('{output}')" in said


@pytest.mark.slow
def test_squad_2_finds_its_threshold_and_keeps_it(folder, tmp_path, capsys):
    output, flags = tmp_path / "qa", ["--version_2_with_negative", "--verbose_logging"]
    short = [*flags, "--num_train_steps=2", "--train_batch_size=4"]
    assert squad(folder, output, *short, train_file="train2.json") == 0  # without anything to measure on
    assert open_checkpoint(output).task["null_score_diff_threshold"] == 0.0
    assert load(output / "eval_results.json")["global_step"] == 2
    assert BertSpanLabeler.from_pretrained(output).null_score_diff_threshold == 0.0
    assert not (output / "predictions.json").exists()
    capsys.readouterr()
    assert squad(folder, output, *short, train_file="train2.json") == 2
    assert "add --force to replace that model" in capsys.readouterr().err

    flags = [*flags, *TRAIN, "--num_train_epochs=20"]
    assert squad(folder, output, *flags, "--force", train_file="train2.json", predict_file="dev2.json") == 0
    results = load(output / "eval_results.json")
    assert results["f1"] == results["best_f1"] > 80
    threshold = open_checkpoint(output).task["null_score_diff_threshold"]
    assert threshold == results["null_score_diff_threshold"]
    odds, texts = (load(output / name) for name in ("null_odds.json", "predictions.json"))
    assert {name: bool(text) for name, text in texts.items()} == {name: odd <= threshold for name, odd in odds.items()}
    assert set(texts.values()) == {"", "911"}
    assert "without one: F1" in capsys.readouterr().out

    again, flags = tmp_path / "again", ["--version_2_with_negative", "--null_score_diff_threshold=-1e6"]
    assert squad(folder, again, *flags, model=output, predict_file="dev2.json") == 0
    assert set(load(again / "predictions.json").values()) == {""}
    assert load(again / "eval_results.json")["NoAns_f1"] == 100.0
    assert squad(folder, again, flags[0], model=output, predict_file="dev2.json") == 0
    assert load(again / "predictions.json") == texts  # by the threshold that was kept


@pytest.mark.slow
def test_what_was_there_before_is_removed(folder, tmp_path):
    """A model trained anew does not keep the answers of the one before it."""
    output, flags = tmp_path / "qa", ["--num_train_steps=2", "--train_batch_size=4", "--num_runs=2", "--force"]
    output.mkdir()
    (output / "null_odds.json").write_text("{}")
    assert squad(folder, output, *flags, train_file="train.json", predict_file="dev.json") == 0
    assert not (output / "null_odds.json").exists()
    assert len(load(output / "eval_results.json")["runs"]) == 2


@pytest.mark.parametrize(
    ("flags", "files", "words"),
    [
        ([], {}, ["Nothing to do", "--train_file", "--predict_file"]),
        (["--do_train"], {"predict_file": "dev.json"}, ["--do_train needs --train_file"]),
        (["--do_predict"], {"train_file": "train.json"}, ["--do_predict needs --predict_file"]),
        ([], {"predict_file": "dev.json"}, ["pretrained was not taught to answer", "keras-bert answer"]),
        ([], {"train_file": "nowhere.json"}, ["nowhere.json does not exist"]),
        ([], {"train_file": "train2.json"}, ["has no answer", "--version_2_with_negative"]),
        (["--max_query_length=13"], {"train_file": "train.json"}, ["max_query_length + 3", "16 and 13"]),
        (["--max_seq_length=33"], {"train_file": "train.json"}, ["to 32", "33"]),
        (["--num_runs=2"], {"train_file": "train.json"}, ["held-out examples"]),
    ],
)
def test_what_does_not_fit_is_one_sentence(folder, tmp_path, capsys, flags, files, words):
    assert squad(folder, tmp_path / "out", *flags, **files) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert all(word in error for word in words), error
    assert not (tmp_path / "out").exists()


def test_no_model_and_no_place(folder, tmp_path, capsys):
    assert squad(folder, tmp_path / "out", model=None, predict_file="dev.json") == 2
    assert (
        "holds no model; add --train_file, or name a fine-tuned model by --init_checkpoint" in capsys.readouterr().err
    )
    assert squad(folder, folder / "pretrained", train_file="train.json", predict_file="dev.json") == 2
    assert "--force" in capsys.readouterr().err


def test_absl_s_booleans(folder, trained, tmp_path):
    flags = ["--nodo_train", "--do_predict=true", "--do_eval=False"]
    files = {"train_file": "train.json", "predict_file": "dev.json"}
    assert squad(folder, tmp_path / "out", *flags, model=trained, **files) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES[1:]
