"""The ner command: from CoNLL-style files to a model that finds entities, and what it refuses."""

import json

import keras
import pytest

from keras_bert.checkpoints import open_checkpoint
from keras_bert.cli.main import main
from keras_bert.config import BertConfig
from keras_bert.models import BertEncoder, BertPretrainer, BertTokenClassifier
from keras_bert.tasks.tag import tag, tagging_metrics
from keras_bert.tasks.tag.conll import read_conll
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.small import small_shape

PEOPLE = ["ann", "bob", "cem", "dora"]
PLACES = ["rome", "oslo", "lima", "bern"]
CONFIG = small_shape(32, max_position_embeddings=16)
SENTENCES = [
    [(person.title(), "I-PER"), ("Lee", "I-PER"), ("in", "O"), (place, "I-LOC"), (".", "O")]
    for person in PEOPLE
    for place in PLACES
]


def write_conll(path, sentences, separator=" "):
    blocks = ["\n".join(separator.join(row) for row in rows) for rows in sentences]
    path.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files by their usual names, a raw text, and a pre-trained model, whose weights are random."""
    folder = tmp_path_factory.mktemp("ner")
    (folder / "data").mkdir()
    write_conll(folder / "data" / "train.txt", SENTENCES)
    write_conll(folder / "data" / "dev.txt", SENTENCES[::3])
    write_conll(folder / "data" / "test.txt", [SENTENCES[0] * 3, SENTENCES[5]])
    write_conll(folder / "untagged.txt", [[(word,) for word, _ in rows] for rows in SENTENCES[:2]])
    (folder / "texts.jsonl").write_text('{"text": "Bob Lee in Oslo."}\n{"text": ""}\n')
    vocabulary = Vocabulary([*SPECIAL_TOKENS, *PEOPLE, *PLACES, "lee", "in", "."])
    keras.utils.set_random_seed(0)
    config = BertConfig(vocab_size=len(vocabulary), **CONFIG)
    BertPretrainer(BertEncoder(config)).save_pretrained(folder / "pretrained", tokenizer=Tokenizer(vocabulary))
    return folder


def ner(folder, output, *flags, model="pretrained"):
    """Runs the command with short sentences."""
    start = [f"--init_checkpoint={folder / model}"] if model else []
    return main(["ner", f"--output_dir={output}", *start, "--max_seq_length=12", *flags])


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """Two runs that learn who and where by heart, from a folder, in IOB1."""
    output = tmp_path_factory.mktemp("trained") / "tagger"
    flags = ["--num_runs=2", "--num_train_epochs=8", "--train_batch_size=4", "--learning_rate=3e-3", "--dropout=0"]
    predict = f"--predict_file={folder / 'untagged.txt'}"
    assert ner(folder, output, *flags, f"--data_dir={folder / 'data'}", predict) == 0
    return output


def test_it_learns_and_says_so(trained):
    results = json.loads((trained / "eval_results.json").read_text())
    assert results["f1"] == results["precision"] == results["recall"] == results["accuracy"] == 1.0
    assert results["by_type"]["LOC"] == {"f1": 1.0, "precision": 1.0, "recall": 1.0, "support": 6}
    assert results["test"]["f1"] == 1.0
    assert results["test"]["by_type"]["PER"]["support"] == 4
    assert [run["seed"] for run in results["runs"]] == [12345, 12346]
    assert results["f1_mean"] == pytest.approx(sum(run["f1"] for run in results["runs"]) / 2)
    assert results["labels"] == ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
    assert (results["train_sentences"], results["eval_sentences"]) == (16, 6)
    assert results["history"]["val_f1"][-1] == 1.0


def test_it_writes_a_model_directory_and_predictions_as_the_files_are(folder, trained):
    assert sorted(file.name for file in trained.iterdir()) == [
        *("config.json", "curves.png", "eval_predictions.txt", "eval_results.json", "model.safetensors"),
        *("predictions.txt", "task.json", "task.safetensors", "test_predictions.txt", "tokenizer_config.json"),
        "vocab.txt",
    ]
    task = open_checkpoint(trained).task
    assert task["task"] == "tag"
    assert task["labels"] == ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
    assert task["reading"] == {"max_seq_length": 12, "by_character": False}
    rows = [line.split("\t") for line in (trained / "test_predictions.txt").read_text().split("\n") if line]
    assert rows == [[word, tag, tag] for word, tag in SENTENCES[0] * 3 + SENTENCES[5]]
    rows = [line.split("\t") for line in (trained / "predictions.txt").read_text().split("\n") if line]
    assert rows == [list(row) for row in SENTENCES[0] + SENTENCES[1]]
    test = folder / "data" / "test.txt"
    said = read_conll(trained / "test_predictions.txt", scheme="IOB1").tags
    assert tagging_metrics(read_conll(test).tags, said)["f1"] == 1.0


def test_the_saved_model_finds_entities_in_raw_texts(folder, trained, tmp_path, capsys):
    assert ner(trained.parent, tmp_path / "out", f"--predict_file={folder / 'texts.jsonl'}", model="tagger") == 0
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["predictions.jsonl"]
    rows = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert rows[1] == {"text": "", "entities": []}
    found = [(each["text"], each["type"], each["start"], each["end"]) for each in rows[0]["entities"]]
    assert found == [("Bob Lee", "PER", 0, 7), ("Oslo", "LOC", 11, 15)]
    model, tokenizer = BertTokenClassifier.from_pretrained(trained), Tokenizer.from_pretrained(trained)
    again = tag(model, tokenizer, "Bob Lee in Oslo.", max_seq_length=12)
    assert [each["score"] for each in again] == pytest.approx([each["score"] for each in rows[0]["entities"]], abs=1e-5)
    assert "as it was fine-tuned" in capsys.readouterr().out


def test_it_measures_without_training(folder, trained, capsys):
    before = (trained / "eval_results.json").read_text()
    model = (trained / "model.safetensors").read_bytes()
    assert ner(folder, trained, f"--data_dir={folder / 'data'}", "--do_eval") == 0  # the model in --output_dir
    printed = capsys.readouterr().out
    assert "held out: f1 1.0000" in printed
    assert "training" not in printed
    assert (trained / "model.safetensors").read_bytes() == model
    results = json.loads((trained / "eval_results.json").read_text())
    assert results["f1"] == 1.0
    assert results["runs"] == json.loads(before)["runs"]
    (trained / "eval_results.json").write_text(before)


@pytest.mark.usefixtures("eagerly")
def test_characters_with_plain_tags_of_which_a_share_is_held_out(folder, tmp_path, capsys):
    rows = [[("경", "N"), ("찰", "N"), (" ", "-"), ("또" if n % 2 else "은", "V")] for n in range(8)]
    train = write_conll(tmp_path / "klue.tsv", rows, separator="\t")
    flags = [f"--train_file={train}", "--eval_share=0.5", f"--predict_file={folder / 'texts.jsonl'}", "--strict"]
    assert ner(folder, tmp_path / "out", *flags, "--scheme=none", "--num_train_steps=1") == 0
    results = json.loads((tmp_path / "out" / "eval_results.json").read_text())
    assert open_checkpoint(tmp_path / "out").task["reading"]["by_character"] is True
    assert (results["train_sentences"], results["eval_sentences"]) == (4, 4)
    assert results["labels"] == ["-", "N", "V"]
    assert results["accuracy_mean"] == results["accuracy"]
    assert "f1" not in results
    lines = (tmp_path / "out" / "eval_predictions.txt").read_text(encoding="utf-8").split("\n")
    assert [tuple(line.split("\t")[:2]) for line in lines[:3]] == rows[0][:3]
    found = json.loads((tmp_path / "out" / "predictions.jsonl").read_text().split("\n")[0])["entities"]
    assert "".join(each["text"] for each in found) == "Bob Lee in Oslo."  # a tag for each character
    printed = capsys.readouterr().out
    assert "training: 4 sentences, 16 characters" in printed
    assert f"next: keras-bert tag --predict_file=texts.jsonl --init_checkpoint={tmp_path / 'out'}" in printed


def refusal(capsys, folder, output, *flags, **options):
    """Returns the one sentence of a command that ends with status 2 and writes nothing."""
    assert ner(folder, output, *flags, **options) == 2
    assert not (output / "eval_results.json").exists()
    error = capsys.readouterr().err.strip()
    assert error.count("\n") == 0
    return error


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], ["Nothing to do", "--train_file"]),
        (["--do_train"], ["--do_train needs a file", "--train_file"]),
        (["--data_dir=nowhere"], ["nowhere does not exist"]),
        (["--data_dir={}"], ["has no file train.*"]),
        (["--train_file=nowhere.txt"], ["nowhere.txt does not exist"]),
        (["--train_file={}/untagged.txt"], ["untagged.txt, line 1: 1 columns"]),
        (["--train_file={}/data/train.txt", "--tag_column=7"], ["no --tag_column 7"]),
        (["--train_file={}/data/train.txt", "--eval_share=1.5"], ["between 0 and 1"]),
        (["--train_file={}/data/train.txt", "--eval_file={}/texts.jsonl"], ["texts.jsonl, line 2: 2 columns"]),
        (["--data_dir={}/data", "--max_seq_length=17"], ["17", "16"]),
        (["--predict_file={}/texts.jsonl"], ["was not taught to tag", "--train_file"]),
        (["--data_dir={}/data", "--predict_file={}/texts.jsonl", "--text_column=body"], ["no column 'body'"]),
    ],
)
def test_what_does_not_fit_is_one_sentence(folder, tmp_path, capsys, flags, words):
    error = refusal(capsys, folder, tmp_path / "out", *(flag.format(folder) for flag in flags))
    assert all(word in error for word in words), error
    assert not (tmp_path / "out").exists()


def test_tags_that_training_lacks(folder, tmp_path, capsys):
    dev = write_conll(tmp_path / "dev.txt", [SENTENCES[0], [("U.N.", "I-ORG")]])
    flags = [f"--train_file={folder / 'data' / 'train.txt'}", f"--eval_file={dev}"]
    error = refusal(capsys, folder, tmp_path / "out", *flags)
    assert "dev.txt, line 7: the tag 'I-ORG' is not one of the training set's: O, B-LOC, I-LOC, B-PER, I-PER" in error


def test_two_files_of_one_kind_and_a_model_in_the_way(folder, tmp_path, capsys):
    for name in ("train.txt", "train.conll"):
        write_conll(tmp_path / name, SENTENCES[:1])
    assert "has train.conll and train.txt" in refusal(capsys, folder, tmp_path / "out", f"--data_dir={tmp_path}")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "bert_config.json").write_text("{}")
    assert "--force" in refusal(capsys, folder, tmp_path / "out", f"--data_dir={folder / 'data'}")
