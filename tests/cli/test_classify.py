"""The classify command: from tables to a model that answers, and what it refuses."""

import json

import keras
import numpy as np
import pytest

from keras_bert.checkpoints import open_checkpoint
from keras_bert.cli.main import main
from keras_bert.config import BertConfig
from keras_bert.models import BertClassifier, BertEncoder, BertPretrainer
from keras_bert.tasks.classify.arrays import predict
from keras_bert.tasks.table import read_table, write_tsv
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.small import small_shape

COLOURS = ["red", "green", "blue", "grey"]
ANIMALS = ["dog", "cat", "cow", "hen"]
TEXTS = [f"{colour} {animal}" for colour in COLOURS for animal in ANIMALS]
LABELS = [text.split()[0] for text in TEXTS]
CONFIG = small_shape(32, num_hidden_layers=2, max_position_embeddings=16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A vocabulary, a configuration, tables, and a pre-trained model, whose weights are random."""
    folder = tmp_path_factory.mktemp("classify")
    vocabulary = Vocabulary([*SPECIAL_TOKENS, *COLOURS, *ANIMALS, "a", "the"])
    vocabulary.save(folder / "vocab.txt")
    (folder / "config.json").write_text(json.dumps({**CONFIG, "vocab_size": len(vocabulary)}))
    write_tsv(folder / "train.tsv", {"text": TEXTS, "label": LABELS})
    shuffled = [TEXTS[5 * i % 16] for i in range(16)]
    write_tsv(folder / "unlabelled.tsv", {"id": [str(i) for i in range(16)], "text": shuffled})
    write_tsv(folder / "pairs.tsv", {"left": COLOURS, "right": ANIMALS, "kind": ["1", "0", "1", "0"]})
    keras.utils.set_random_seed(0)
    config = BertConfig(vocab_size=len(vocabulary), **CONFIG)
    BertPretrainer(BertEncoder(config)).save_pretrained(folder / "pretrained", tokenizer=Tokenizer(vocabulary))
    return folder


def classify(folder, output, *flags, source=("bert_config_file", "vocab_file"), train="train.tsv", dev="train.tsv"):
    """Runs the command with short texts; `source` says where the model comes from."""
    places = {"bert_config_file": "config.json", "vocab_file": "vocab.txt", "init_checkpoint": "pretrained"}
    start = [f"--{name}={folder / places[name]}" for name in source]
    tables = [f"--train_file={folder / train}", f"--output_dir={output}"]
    tables += [f"--eval_file={folder / dev}"] if dev else []
    return main(["classify", *tables, *start, "--max_seq_length=16", *flags])


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """Two runs on a table that a model of two layers learns by heart."""
    output = tmp_path_factory.mktemp("trained") / "colours"
    flags = ["--num_runs=2", "--num_train_epochs=15", "--train_batch_size=4", "--learning_rate=3e-3", "--dropout=0"]
    assert classify(folder, output, *flags, f"--predict_file={folder / 'unlabelled.tsv'}") == 0
    return output


def test_it_learns_and_says_so(trained):
    results = json.loads((trained / "eval_results.json").read_text())
    assert results["accuracy"] == results["f1_macro"] == max(run["accuracy"] for run in results["runs"]) == 1.0
    assert results["loss"] < 0.5
    assert results["majority_share"] == 0.25
    assert results["seeds"] == [12345, 12346]
    accuracies = [run["accuracy"] for run in results["runs"]]
    assert results["accuracy_mean"] == pytest.approx(np.mean(accuracies))
    assert results["accuracy_sd"] == pytest.approx(np.std(accuracies, ddof=1))
    assert results["global_step"] == 60
    assert results["history"]["step"] == list(range(4, 61, 4))
    assert results["history"]["val_accuracy"][-1] == 1.0


def test_it_writes_a_model_directory_with_pictures(trained):
    assert sorted(file.name for file in trained.iterdir()) == [
        *("config.json", "confusion.png", "curves.png", "eval_results.json", "model.safetensors"),
        *("predictions.tsv", "task.json", "tokenizer_config.json", "vocab.txt"),
    ]
    for name in ("confusion.png", "curves.png"):
        assert (trained / name).read_bytes()[:4] == b"\x89PNG"
    task = open_checkpoint(trained).task
    table = {
        **{"text_column": "text", "pair_column": None, "label_column": "label", "label_separator": ","},
        **{"max_seq_length": 16, "long_texts": "cut", "doc_stride": None},
    }
    assert task == {"task": "classify", "num_classes": 4, "labels": sorted(COLOURS), "reading": table}


def test_the_saved_model_answers_as_the_predictions_say(folder, trained):
    texts, _, labels, _ = read_table(trained / "predictions.tsv")
    assert texts == read_table(folder / "unlabelled.tsv", label_column=None)[0]
    assert labels == [text.split()[0] for text in texts]
    model, tokenizer = BertClassifier.from_pretrained(trained), Tokenizer.from_pretrained(trained)
    answer = predict(model, tokenizer, texts, max_seq_length=16)
    assert answer["label"] == labels
    for column, name in enumerate(model.labels):
        written = read_table(trained / "predictions.tsv", text_column=f"probability of {name}")[0]
        np.testing.assert_allclose(np.array(written, float), answer["probabilities"][:, column], atol=1e-5)


def test_a_seed_gives_the_same_model_again(folder, trained, tmp_path, capsys):
    seed = json.loads((trained / "eval_results.json").read_text())["seed"]
    flags = ["--num_train_epochs=15", "--train_batch_size=4", "--learning_rate=3e-3", "--dropout=0"]
    assert classify(folder, tmp_path / "again", *flags, f"--seed={seed}", "--noeval_each_epoch") == 0
    results, again = (json.loads((place / "eval_results.json").read_text()) for place in (trained, tmp_path / "again"))
    assert again["accuracy_sd"] is None
    assert again["loss"] == pytest.approx(results["loss"], rel=1e-3)
    assert len(again["history"]["val_loss"]) == 1
    printed = capsys.readouterr().out
    assert "16 texts in 4 classes: blue (4), green (4), grey (4), red (4)" in printed
    assert "2 layers, hidden size 32" in printed
    assert f"next: keras-bert export --model_dir {tmp_path / 'again'} --output_dir serving/again/1" in printed


@pytest.mark.usefixtures("eagerly")
def test_pairs_from_a_pretrained_model_and_force(folder, tmp_path, capsys):
    columns = ["--text_column=left", "--pair_column=right", "--label_column=kind", "--num_train_steps=1"]
    output = tmp_path / "pairs"
    output.mkdir()
    (output / "bert_config.json").write_text("{}")
    (output / "predictions.tsv").write_text("of another model")
    options = {"source": ["init_checkpoint"], "train": "pairs.tsv", "dev": "pairs.tsv"}
    assert classify(folder, output, *columns, **options) == 2
    assert "--force" in capsys.readouterr().err
    assert (output / "bert_config.json").read_text() == "{}"

    assert classify(folder, output, *columns, "--force", **options) == 0
    assert "newly initialised: output_weights, output_bias" in capsys.readouterr().out
    assert not (output / "predictions.tsv").exists()
    model = BertClassifier.from_pretrained(output)
    assert model.pair
    assert model.labels == ["0", "1"]
    saved = BertPretrainer.from_pretrained(folder / "pretrained").encoder.token_embedding.embeddings
    # One step of warm-up at 5e-5 moves a weight by little; from scratch nothing would be left of it.
    np.testing.assert_allclose(model.encoder.token_embedding.embeddings, saved, atol=1e-3)


@pytest.mark.usefixtures("eagerly")
def test_from_scratch_keeps_the_shape_and_not_the_weights(folder, tmp_path, capsys):
    flags = ["--from_scratch", "--num_train_steps=1"]
    assert classify(folder, tmp_path / "scratch", *flags, source=["init_checkpoint"]) == 0
    assert "weights, fresh" in capsys.readouterr().out
    model = BertClassifier.from_pretrained(tmp_path / "scratch")
    assert model.bert_config.hidden_size == CONFIG["hidden_size"]
    saved = BertPretrainer.from_pretrained(folder / "pretrained").encoder.token_embedding.embeddings
    assert np.abs(np.asarray(model.encoder.token_embedding.embeddings) - np.asarray(saved)).max() > 0.05


def refusal(capsys, folder, output, *flags, **options):
    """Returns the one sentence of a command that ends with status 2 and writes no model."""
    assert classify(folder, output, *flags, **options) == 2
    assert not (output / "model.safetensors").exists()
    error = capsys.readouterr().err.strip()
    assert error.count("\n") == 0
    return error


@pytest.mark.parametrize(
    ("flags", "source", "words"),
    [
        ([], [], ["--init_checkpoint", "--bert_config_file"]),
        ([], ["bert_config_file"], ["needs --vocab_file"]),
        (["--init_checkpoint=nowhere"], [], ["nowhere does not exist"]),
        (["--vocab_file=nowhere.txt"], ["init_checkpoint"], ["nowhere.txt does not exist"]),
        (["--bert_config_file=enormous"], ["vocab_file"], ["enormous", "tiny"]),
        (["--bert_config_file=tiny"], ["init_checkpoint"], ["hidden_size 128", "has 32"]),
        (["--max_seq_length=17"], ["init_checkpoint"], ["17", "to 16"]),
        (["--max_seq_length=2"], ["init_checkpoint"], ["max_seq_length"]),
        (["--dropout=1.5"], ["init_checkpoint"], ["hidden_dropout_prob", "1.5"]),
        (["--do_lower_case=False"], ["init_checkpoint"], ["--do_lower_case=False", "lower-cases"]),
        (["--text_column=sentence"], ["init_checkpoint"], ["no column 'sentence'", "'text', 'label'"]),
        (["--predict_file=nowhere.tsv"], ["init_checkpoint"], ["nowhere.tsv does not exist"]),
        (["--learning_rate=-1"], ["init_checkpoint"], ["learning_rate", "-1"]),
        (["--num_train_epochs=0"], ["init_checkpoint"], ["epochs must be greater than 0"]),
        (["--metric=f1_makro"], ["init_checkpoint"], ["f1_makro", "did you mean f1_macro?"]),
        (["--class_weights=pink=2"], ["init_checkpoint"], ["'pink' is not one of the classes: blue, green, grey, red"]),
        (["--multi_label", "--regression"], ["init_checkpoint"], ["--multi_label and --regression"]),
        (["--regression"], ["init_checkpoint"], ["train.tsv, line 2: the label 'red' is not a number"]),
        (["--predictions_file=a.tsv"], ["init_checkpoint"], ["--predictions_file without --predict_file"]),
    ],
)
def test_what_does_not_fit_is_one_sentence(folder, tmp_path, capsys, flags, source, words):
    error = refusal(capsys, folder, tmp_path / "out", *flags, source=source)
    assert all(word in error for word in words), error
    assert not (tmp_path / "out").exists()


def test_a_vocabulary_of_another_size(folder, tmp_path, capsys):
    Vocabulary([*SPECIAL_TOKENS, "one", "two"]).save(tmp_path / "vocab.txt")
    flag = f"--vocab_file={tmp_path / 'vocab.txt'}"
    error = refusal(capsys, folder, tmp_path / "out", flag, source=["init_checkpoint"])
    assert "does not extend the checkpoint's: line 6 is 'one' in place of 'red'" in error
    Vocabulary([*SPECIAL_TOKENS, *"abcdefghijk"]).save(tmp_path / "vocab.txt")
    error = refusal(capsys, folder, tmp_path / "out", flag, source=["bert_config_file"])
    assert "The vocabulary has 16 entries" in error
    assert "vocab_size is 15" in error


def test_lower_casing_under_a_cased_vocabulary(folder, tmp_path, capsys):
    Vocabulary([*SPECIAL_TOKENS, "One", "two"]).save(tmp_path / "vocab.txt")
    flags = [f"--vocab_file={tmp_path / 'vocab.txt'}", "--do_lower_case", "--bert_config_file=tiny"]
    error = refusal(capsys, folder, tmp_path / "out", *flags, source=[])
    assert "Lower-casing never leaves 1 of the vocabulary's 2 entries, such as 'One'" in error


def test_one_class_and_unknown_labels(folder, tmp_path, capsys):
    write_tsv(folder / "one.tsv", {"text": ["red dog"], "label": ["red"]})
    write_tsv(folder / "pink.tsv", {"text": ["red dog", "pink cat"], "label": ["red", "pink"]})
    error = refusal(capsys, folder, tmp_path / "out", train="one.tsv")
    assert "all 1 rows have the label 'red'" in error
    error = refusal(capsys, folder, tmp_path / "out", dev="pink.tsv")
    assert "pink.tsv, line 3: the label 'pink'" in error
    assert "blue, green, grey, red" in error


def test_an_output_that_has_no_place(folder, tmp_path, capsys):
    (tmp_path / "file").write_text("here")
    assert "is not a directory" in refusal(capsys, folder, tmp_path / "file" / "out")
    assert "--init_checkpoint are both" in refusal_of_itself(capsys, folder)


def refusal_of_itself(capsys, folder):
    output = folder / "pretrained"
    before = (output / "model.safetensors").read_bytes()
    assert classify(folder, output, "--force", source=["init_checkpoint"]) == 2
    assert (output / "model.safetensors").read_bytes() == before
    return capsys.readouterr().err


QUICK = ["--train_batch_size=4", "--learning_rate=3e-3", "--dropout=0"]


def test_several_labels_in_windows_without_a_held_out_table(folder, tmp_path, capsys):
    rows = [{"text": f"{text} " * 6, "label": text.split()} for text in TEXTS]
    (folder / "several.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = tmp_path / "several"
    flags = ["--multi_label", "--eval_share=0.25", "--class_weights=balanced", "--long_texts=windows", "--seed=3"]
    flags += [f"--predict_file={folder / 'unlabelled.tsv'}", f"--predictions_file={tmp_path / 'p.jsonl'}"]
    flags += ["--id_column=id", "--num_train_epochs=12", "--early_stopping=12", "--max_seq_length=10"]
    assert classify(folder, output, *flags, *QUICK, train="several.jsonl", dev=None) == 0
    printed = capsys.readouterr().out
    assert "training: 12 texts with 8 labels: " in printed
    assert "held out: 4, a share of 0.25 of --train_file by seed 3; to label: 16" in printed
    assert "always the most frequent set of labels: accuracy 0.25" in printed
    assert "24 windows of 12 training texts" in printed
    results = json.loads((output / "eval_results.json").read_text())
    assert results["metric"] == "f1_micro"
    assert (results["train_examples"], results["eval_examples"]) == (12, 4)
    assert (output / "labels.png").exists()
    model = BertClassifier.from_pretrained(output)
    assert (model.kind, model.labels) == ("multi_label", sorted(COLOURS + ANIMALS))
    predictions = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert [row["id"] for row in predictions] == [str(i) for i in range(16)]
    assert list(predictions[0]["probabilities"]) == model.labels
    assert all(row["labels"] == [n for n, p in row["probabilities"].items() if p >= 0.5] for row in predictions)


def test_numbers(folder, tmp_path, capsys):
    scores = [str(100 * COLOURS.index(text.split()[0])) for text in TEXTS]
    write_tsv(folder / "scores.tsv", {"text": TEXTS, "score": scores})
    flags = ["--regression", "--label_column=score", "--num_train_epochs=15", *QUICK]
    flags += [f"--predict_file={folder / 'unlabelled.tsv'}"]
    assert classify(folder, tmp_path / "n", *flags, train="scores.tsv", dev="scores.tsv") == 0
    assert "training: 16 texts with numbers from 0 to 300, mean 150" in capsys.readouterr().out
    results = json.loads((tmp_path / "n" / "eval_results.json").read_text())
    assert results["pearson"] > 0.9
    assert results["mean_squared_error"] < 0.5 * results["label_variance"]
    assert (tmp_path / "n" / "scatter.png").read_bytes()[:4] == b"\x89PNG"
    texts, _, answers, _ = read_table(tmp_path / "n" / "predictions.tsv", label_column="score")
    model, tokenizer = BertClassifier.from_pretrained(tmp_path / "n"), Tokenizer.from_pretrained(tmp_path / "n")
    served = predict(model, tokenizer, texts, max_seq_length=16)["score"]
    np.testing.assert_allclose(np.array(answers, float), served, rtol=1e-3, atol=0.1)


def test_predictions_are_not_written_over_what_is_there(folder, tmp_path, capsys):
    (tmp_path / "p.tsv").write_text("mine")
    flags = [f"--predict_file={folder / 'unlabelled.tsv'}", f"--predictions_file={tmp_path / 'p.tsv'}"]
    assert "p.tsv exists already; add --force" in refusal(capsys, folder, tmp_path / "out", *flags)
    assert (tmp_path / "p.tsv").read_text() == "mine"
    flags[1] = "--predictions_file=p.csv"
    assert "p.csv must end in .tsv or .jsonl" in refusal(capsys, folder, tmp_path / "out", *flags)


@pytest.mark.parametrize("text", ["balance", "a=", "=1", "a=1,b"])
def test_class_weights_that_are_none(text, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["classify", "--train_file=t.tsv", "--output_dir=o", f"--class_weights={text}"])
    assert caught.value.code == 2
    assert "expected none, balanced, or weights such as a=1,b=3" in capsys.readouterr().err
