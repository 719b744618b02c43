"""The glue command: from GLUE's files to a model, its figures and the server's files, and what it refuses."""

import json
import shutil
import zipfile

import keras
import numpy as np
import pytest

from keras_bert.checkpoints import open_checkpoint
from keras_bert.cli.main import main
from keras_bert.config import BertConfig
from keras_bert.models import BertClassifier, BertEncoder, BertPretrainer
from keras_bert.tasks import glue
from keras_bert.tasks.classify.arrays import predict
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.small import NO_DROPOUT, small_shape
from tests.tasks.glue.data import write, write_glue

COLOURS, ANIMALS = ["red", "green", "blue", "grey"], ["dog", "cat", "cow", "hen"]
ROWS = [(f"a {a}", f"the {c} {a}", "entailment" if c == "red" else "not_entailment") for a in ANIMALS for c in COLOURS]
CONFIG = small_shape(max_position_embeddings=32, **NO_DROPOUT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """GLUE's directories in small, RTE with sentences that a small model learns, and a pre-trained model."""
    folder = tmp_path_factory.mktemp("glue")
    write_glue(folder / "glue")
    for split in ("train", "dev"):
        rows = [(i, *row) for i, row in enumerate(ROWS)]
        write(folder / "glue" / "RTE" / f"{split}.tsv", ["index", "sentence1", "sentence2", "label"], rows)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [*COLOURS, *ANIMALS, "the", *letters, *(f"##{c}" for c in letters), *".,\"'"]
    vocabulary = Vocabulary([*SPECIAL_TOKENS, *words])
    keras.utils.set_random_seed(0)
    config = BertConfig(vocab_size=len(vocabulary), **CONFIG)
    BertPretrainer(BertEncoder(config)).save_pretrained(folder / "pretrained", tokenizer=Tokenizer(vocabulary))
    return folder


def run(folder, task, output, *flags, data="glue", start="pretrained"):
    """Runs the command with short texts."""
    start = [f"--init_checkpoint={folder / start}"] if start else []
    places = [f"--data_dir={folder / data}", f"--output_dir={output}", *start]
    return main(["glue", f"--task_name={task}", *places, "--max_seq_length=32", *map(str, flags)])


def results_of(output, name="eval_results.json"):
    return json.loads((output / name).read_text())


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """Two runs on RTE without any --do_ flag."""
    output = tmp_path_factory.mktemp("trained") / "RTE"
    flags = ["--num_runs=2", "--num_train_epochs=12", "--train_batch_size=4", "--learning_rate=1e-2"]
    flags += ["--noeval_each_epoch"]
    assert run(folder, "rte", output, *flags) == 0
    return output


def test_it_trains_measures_and_labels(trained):
    results = results_of(trained)
    assert results["task"] == "RTE"
    assert results["accuracy"] == max(run["accuracy"] for run in results["runs"]) > 0.9
    assert results["accuracy_mean"] == pytest.approx(np.mean([run["accuracy"] for run in results["runs"]]))
    assert results["seeds"] == [12345, 12346]
    assert (results["train_examples"], results["eval_examples"]) == (16, 16)
    assert results["global_step"] == 48
    names = {file.name for file in trained.iterdir()}
    assert {"RTE.tsv", "test_results.tsv", "curves.png", "task.json", "vocab.txt", "model.safetensors"} <= names
    task = open_checkpoint(trained).task
    assert task["labels"] == ["entailment", "not_entailment"]


def test_the_files_say_what_the_saved_model_answers(folder, trained):
    test = glue.read_examples("rte", folder / "glue", "test")
    model, tokenizer = BertClassifier.from_pretrained(trained), Tokenizer.from_pretrained(trained)
    answer = predict(model, tokenizer, test.texts, test.pairs, max_seq_length=32)
    lines = (trained / "RTE.tsv").read_text().splitlines()
    assert lines == ["index\tprediction", *(f"{i}\t{label}" for i, label in enumerate(answer["label"]))]
    written = np.array([line.split("\t") for line in (trained / "test_results.tsv").read_text().splitlines()], float)
    np.testing.assert_allclose(written, answer["probabilities"], atol=1e-5)


def test_eval_and_predict_alone_take_the_model_of_output_dir(folder, trained, tmp_path, capsys):
    output = tmp_path / "copy"
    shutil.copytree(trained, output)
    before = results_of(output)
    (output / "RTE.tsv").unlink()
    weights = (output / "model.safetensors").read_bytes()
    assert run(folder, "RTE", output, "--do_eval", "--do_predict") == 0  # --init_checkpoint is what it was trained from
    printed = capsys.readouterr().out
    assert f"model: {output}, as it was fine-tuned" in printed
    assert f"accuracy {before['accuracy']:.4f}" in printed
    after = results_of(output)
    assert after["accuracy"] == before["accuracy"]
    assert after["runs"] == before["runs"]
    assert (output / "RTE.tsv").read_text() == (trained / "RTE.tsv").read_text()
    assert (output / "model.safetensors").read_bytes() == weights


def test_eval_alone_elsewhere_takes_the_checkpoint_with_a_head(folder, trained, tmp_path):
    assert run(folder, "rte", tmp_path / "out", "--do_eval", start=trained) == 0
    results = results_of(tmp_path / "out")
    assert results["accuracy"] == results_of(trained)["accuracy"]
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["eval_results.json"]


def test_tensorflow_datasets_by_name(folder, trained, tmp_path, capsys):
    tfds = pytest.importorskip("tensorflow_datasets")
    with tfds.testing.mock_data(num_examples=6, policy=tfds.testing.MockPolicy.USE_CODE):
        assert run(folder, "rte", tmp_path / "out", "--do_eval", "--data_dir=tfds", start=trained) == 0
    assert results_of(tmp_path / "out")["eval_examples"] == 6
    assert "dev: 6" in capsys.readouterr().out


@pytest.mark.usefixtures("eagerly")
def test_a_command_line_of_googles_on_a_regression(folder, tmp_path):
    """The flags that run_classifier.py's README gives, and some that mean nothing any more."""
    source = folder / "pretrained"
    google = [f"--vocab_file={source / 'vocab.txt'}", f"--bert_config_file={source / 'config.json'}"]
    flags = ["--do_train=true", "--do_eval=true", "--do_lower_case=true", "--train_batch_size=4"]
    flags += ["--learning_rate=2e-5", "--num_train_epochs=1.0"]
    old = ["--save_checkpoints_steps=10", "--iterations_per_loop=5", "--use_tpu=false"]
    assert run(folder, "STS-B", tmp_path / "out", *google, *flags, *old, data="glue/STS-B") == 0
    results = results_of(tmp_path / "out")
    assert {"pearson", "spearman", "loss", "pearson_mean"} <= set(results)
    assert BertClassifier.from_pretrained(tmp_path / "out").num_classes == 1
    assert not (tmp_path / "out" / "STS-B.tsv").exists()  # --do_predict is not among them
    assert run(folder, "STS-B", tmp_path / "out", "--do_predict", start=None) == 0
    lines = (tmp_path / "out" / "STS-B.tsv").read_text().splitlines()
    assert all(0 <= float(line.split("\t")[1]) <= 5 for line in lines[1:])


@pytest.mark.usefixtures("eagerly")
def test_training_alone_measures_nothing(folder, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    for name in ("bert_config.json", "CoLA.tsv"):  # of another model
        (tmp_path / "out" / name).write_text("{}")
    flags = ["--do_train", "--num_train_steps=2", "--train_batch_size=2", "--force"]
    assert run(folder, "cola", tmp_path / "out", *flags) == 0
    assert not (tmp_path / "out" / "CoLA.tsv").exists()
    results = results_of(tmp_path / "out")
    assert "matthews_correlation" not in results
    assert results["global_step"] == 2
    assert BertClassifier.from_pretrained(tmp_path / "out").labels == ["0", "1"]
    capsys.readouterr()
    assert run(folder, "cola", tmp_path / "two", "--do_train", "--num_train_steps=2", "--num_runs=2") == 2
    assert "choose by held-out examples" in capsys.readouterr().err


@pytest.mark.usefixtures("eagerly")
@pytest.mark.slow
def test_mnli_both_sets_and_what_is_asked_of_its_model(folder, tmp_path, capsys):
    output = tmp_path / "MNLI"
    assert run(folder, "mnli", output, "--num_train_steps=2", "--train_batch_size=2") == 0
    results = results_of(output)
    assert {"accuracy", "accuracy_mismatched", "loss_mismatched"} <= set(results)
    assert (output / "MNLI-m.tsv").exists()
    assert (output / "MNLI-mm.tsv").exists()
    printed = capsys.readouterr().out
    assert "dev: 4, dev_mismatched: 4" in printed
    assert "held out: accuracy_mismatched" in printed

    assert run(folder, "AX", tmp_path / "AX", start=output) == 0
    assert sorted(file.name for file in (tmp_path / "AX").iterdir()) == ["AX.tsv", "test_results_AX.tsv"]
    assert run(folder, "AX", output, "--do_train", "--force") == 2
    assert "AX has no split 'train'" in capsys.readouterr().err
    header = ["Premise", "Hypothesis", "Label"]
    write(folder / "glue" / "AX" / "diagnostic-full.tsv", header, [("It rains.", "Anna reads.", "neutral")])
    assert run(folder, "AX", output, "--do_eval", start=None) == 0
    assert results_of(output) == results
    assert "matthews_correlation" in results_of(output, "eval_results_AX.json")

    flags = ["--language=de", "--do_eval", "--do_predict", "--eval_split=test"]  # its test set has labels
    assert run(folder, "xnli", tmp_path / "XNLI", *flags, start=output) == 0
    assert "accuracy" in results_of(tmp_path / "XNLI", "eval_results_test.json")
    assert len((tmp_path / "XNLI" / "XNLI.tsv").read_text().splitlines()) == 5


def test_the_zip(folder, trained, tmp_path, capsys):
    assert main(["glue", "--submission", str(trained), f"--output_dir={tmp_path}"]) == 0
    printed = capsys.readouterr().out
    assert "missing: CoLA.tsv, SST-2.tsv, MRPC.tsv, STS-B.tsv, QQP.tsv, MNLI-m.tsv, MNLI-mm.tsv, QNLI.tsv" in printed
    assert "RTE.tsv has 4 rows, where the server's test set has 3,000" in printed
    with zipfile.ZipFile(tmp_path / "submission.zip") as archive:
        assert archive.namelist() == ["RTE.tsv"]
    assert main(["glue", "--submission", str(trained), f"--output_dir={tmp_path}"]) == 2
    assert "submission.zip exists already; add --force" in capsys.readouterr().err
    assert main(["glue", "--submission", str(trained), f"--output_dir={tmp_path}", "--force"]) == 0


def refusal(capsys, folder, task, output, *flags, **options):
    """Returns the one sentence of a command that ends with status 2 and writes nothing."""
    assert run(folder, task, output, *flags, **options) == 2
    assert not output.exists()
    error = capsys.readouterr().err.strip()
    assert error.count("\n") == 0
    return error


@pytest.mark.parametrize(
    ("task", "flags", "words"),
    [
        ("MPRC", [], ["There is no GLUE task 'MPRC'; did you mean MRPC?"]),
        ("", [], ["--task_name is missing", "CoLA"]),
        ("rte", ["--data_dir="], ["--data_dir is missing"]),
        ("rte", ["--data_dir=nowhere"], ["nowhere does not exist"]),
        ("rte", ["--do_eval"], ["has no head for RTE", "--do_train"]),
        ("rte", ["--do_predict", "--init_checkpoint="], ["holds no model of RTE"]),
        ("rte", ["--init_checkpoint=nowhere"], ["nowhere"]),
        ("rte", ["--do_train", "--do_eval", "--eval_split=test"], ["test.tsv has no column of labels"]),
        ("rte", ["--max_seq_length=33"], ["33", "to 32"]),
        ("rte", ["--use_tpu"], ["--use_tpu"]),
        ("xnli", ["--language=fr"], ["has no multinli/multinli.train.fr.tsv"]),
    ],
)
def test_what_does_not_fit_is_one_sentence(folder, tmp_path, capsys, task, flags, words):
    error = refusal(capsys, folder, task, tmp_path / "out", *flags)
    assert all(word in error for word in words), error


def test_bad_files_are_named_before_any_work(folder, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(folder / "glue" / "RTE", data / "RTE")
    (data / "RTE" / "dev.tsv").write_text("index\tsentence1\tsentence2\tlabel\n0\ta\tb\tmaybe\n")
    error = refusal(capsys, folder, "rte", tmp_path / "out", data=data)
    assert "dev.tsv, line 2: the label 'maybe' is not one of RTE's: entailment, not_entailment" in error
    (data / "RTE" / "dev.tsv").write_text("index\tsentence1\tsentence2\n0\ta\tb\n")
    assert "dev.tsv has no column of labels" in refusal(capsys, folder, "rte", tmp_path / "out", data=data)
    (data / "RTE" / "dev.tsv").write_text("")
    assert "dev.tsv has no rows" in refusal(capsys, folder, "rte", tmp_path / "out", data=data)


def test_a_model_that_stands_there_is_kept(folder, trained, capsys):
    before = (trained / "model.safetensors").read_bytes()
    assert run(folder, "rte", trained) == 2
    assert "--force" in capsys.readouterr().err
    assert (trained / "model.safetensors").read_bytes() == before


def test_a_head_of_another_task(folder, trained, tmp_path, capsys):
    error = refusal(capsys, folder, "mnli", tmp_path / "out", "--do_eval", start=trained)
    assert "answers entailment, not_entailment, but MNLI's labels are contradiction, entailment, neutral" in error
