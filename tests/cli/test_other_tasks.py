"""A model of one task given to the command of another: one sentence, and nothing is written."""

import json

import keras
import pytest

from keras_bert.checkpoints import open_checkpoint
from keras_bert.cli.main import main
from keras_bert.config import Config
from keras_bert.models import Classifier, Encoder, MultipleChoice, SpanLabeler, TokenClassifier
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.small import small_shape

MODELS = {
    "classify": lambda encoder: Classifier(encoder, 2),
    "tag": lambda encoder: TokenClassifier(encoder, 3, labels=["O", "B-A", "I-A"]),
    "answer": SpanLabeler,
    "choose": MultipleChoice,
}
FILES = {
    "classify": ("t.tsv", "text\tlabel\na b\t0\nb a\t1\n"),
    "tag": ("t.conll", "a O\nb B-A\n"),
    "choose": ("t.jsonl", '{"context": "a", "choices": ["b", "c"], "label": 0}\n'),
}
QUESTIONS = [{"id": "1", "question": "a?", "answers": [{"text": "b", "answer_start": 2}]}]
SQUAD = {"version": "1.1", "data": [{"title": "t", "paragraphs": [{"context": "a b c", "qas": QUESTIONS}]}]}
FILES["answer"] = ("t.json", json.dumps(SQUAD))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model of each task, which keeps lengths as its training does, and a file of each."""
    folder = tmp_path_factory.mktemp("tasks")
    tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, *"abc?"]))
    keras.utils.set_random_seed(0)
    config = Config(vocab_size=len(tokenizer), **small_shape(16, max_position_embeddings=32))
    for task, make in MODELS.items():
        make(Encoder(config)).save_pretrained(folder / task, tokenizer=tokenizer)
        said = open_checkpoint(folder / task).task
        reading = {"max_seq_length": 16, "doc_stride": None, "long_texts": "cut", "max_query_length": 8}
        (folder / task / "task.json").write_text(json.dumps({**said, "reading": reading}))
    for name, text in FILES.values():
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(("model", "task"), [(model, task) for model in MODELS for task in MODELS if model != task])
def test_a_model_of_another_task_is_refused(folder, tmp_path, capsys, model, task):
    flags = [f"--predict_file={folder / FILES[task][0]}", f"--init_checkpoint={folder / model}"]
    assert main([task, *flags, f"--output_dir={tmp_path / 'out'}", "--max_seq_length=16"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith(
        f"keras-bert {task}: Nothing to answer with: {folder / model} was not taught to {task}; give "
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("given", "task"), [(given, task) for given in FILES for task in FILES if given != task])
def test_a_file_of_another_task_is_refused(folder, tmp_path, capsys, given, task):
    asked = "predict_file" if task == "answer" else "eval_file"
    flags = [f"--{asked}={folder / FILES[given][0]}", f"--init_checkpoint={folder / task}"]
    assert main([task, *flags, f"--output_dir={tmp_path / 'out'}"]) == 2
    assert FILES[given][0] in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "out").exists()
