"""What the `train` of a task is given from Python: a mistake is one sentence before any step."""

import dataclasses

import numpy as np
import pytest

import keras_bert as kb
from keras_bert.errors import UserError
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.small import small_shape

pytestmark = pytest.mark.slow

TASKS = ["classify", "tag", "answer", "choose"]
ROWS = {"classify": "Examples", "tag": "Sentences", "answer": "Features", "choose": "Questions"}
MADE = {"classify": "Classifier", "tag": "TokenClassifier", "answer": "SpanLabeler", "choose": "MultipleChoice"}


@pytest.fixture(scope="module")
def tokenizer():
    return kb.Tokenizer(Vocabulary([*SPECIAL_TOKENS, *"abcd"]))


@pytest.fixture(scope="module")
def path(tokenizer, tmp_path_factory):
    path = tmp_path_factory.mktemp("train") / "encoder"
    config = kb.Config(vocab_size=len(tokenizer), **small_shape(max_position_embeddings=16))
    kb.Encoder(config).save_pretrained(path, tokenizer=tokenizer)
    return path


@pytest.fixture(scope="module")
def given(tokenizer):
    """The training and the held-out rows of each task."""
    answer, labels = kb.tasks.answer, np.array([0, 1], np.int32)
    asked = [answer.Example("q", "b", answer.Context("a c"), ("a",), answer="a", span=(0, 0))]
    lengths = {"max_seq_length": 8, "doc_stride": 2, "max_query_length": 2}
    features = answer.make_features(asked, tokenizer, training=True, **lengths)
    examples = kb.tasks.classify.Examples(["a b", "c d"], labels=labels)
    sentences = kb.tasks.tag.Sentences([["a", "b"]], [["B-X", "O"]])
    questions = kb.tasks.choose.Questions(["a", "b"], ["", ""], [["c", "d"], ["d", "c"]], labels)
    return {
        "classify": (examples, examples),
        "tag": (sentences, sentences),
        "answer": (features, answer.Questions(asked, tokenizer, **lengths)),
        "choose": (questions, questions),
    }


def train(task, model, tokenizer, training, held_out, **options):
    options = {"max_seq_length": 8, "num_train_steps": 1, **options}
    if task == "classify":
        options = {"classes": ["no", "yes"], **options}
    return getattr(kb.tasks, task).train(model, tokenizer, training, held_out, **options)


@pytest.mark.parametrize("task", TASKS)
def test_a_path_or_what_makes_a_model_and_nothing_else(task, path, tokenizer, given):
    rows, kind = given[task], MADE[task]
    made = train(task, path, tokenizer, *rows).model
    assert type(made) is getattr(kb, kind)
    for other, received in ((made, kind), (type(made), f"{kind} itself")):
        with pytest.raises(UserError, match=f"model must be a path, or a function .* makes a new {kind} .* {received}"):
            train(task, other, tokenizer, *rows)
    with pytest.raises(UserError, match=f"model must make a {kind}. It made: Encoder"):
        train(task, lambda: made.encoder, tokenizer, *rows)
    with pytest.raises(UserError, match="learning_rat is not an option of fine-tuning; did you mean learning_rate"):
        train(task, path, tokenizer, *rows, learning_rat=1.0)


@pytest.mark.parametrize("task", TASKS)
def test_a_tokenizer_and_a_length_that_the_model_cannot_read(task, path, tokenizer, given):
    rows, other = given[task], kb.Tokenizer(Vocabulary([*SPECIAL_TOKENS, *"abcdefgh"]))
    with pytest.raises(UserError, match="The vocabulary has 13 entries, but the model's vocab_size is 9"):
        train(task, path, other, *rows)
    with pytest.raises(UserError, match="to 16, the most tokens that the model reads"):
        train(task, path, tokenizer, *rows, max_seq_length=17)


@pytest.mark.parametrize("task", TASKS)
def test_rows_of_another_task_or_without_labels(task, path, tokenizer, given):
    (training, held_out), other = given[task], given["tag" if task == "choose" else "choose"][0]
    with pytest.raises(UserError, match=f"training must be {ROWS[task]}. Received: {type(other).__name__}"):
        train(task, path, tokenizer, other, held_out)
    with pytest.raises(
        UserError, match=f"held_out must be {type(held_out).__name__}. Received: {type(other).__name__}"
    ):
        train(task, path, tokenizer, training, other)
    if task == "answer":
        asked = kb.tasks.answer.Questions([dataclasses.replace(held_out.examples[0], answers=None)], tokenizer)
        with pytest.raises(UserError, match="held_out are not all known"):
            train(task, path, tokenizer, training, asked)
        return
    name = "tags" if task == "tag" else "labels"
    for rows in (
        (dataclasses.replace(training, **{name: None}), held_out),
        (training, dataclasses.replace(held_out, **{name: None})),
    ):
        with pytest.raises(UserError, match=f"has no {name}, to learn or to measure"):
            train(task, path, tokenizer, *rows)


def test_classes_that_do_not_fit_the_labels(path, tokenizer, given):
    examples = given["classify"][0]
    numbers = dataclasses.replace(examples, labels=np.array([0.5, 1.5], np.float32))
    with pytest.raises(
        UserError, match="training are classes, but the model answers with regression; give the classes"
    ):
        train("classify", path, tokenizer, examples, examples, classes=None)
    with pytest.raises(UserError, match="training are regression, but the model answers with classes"):
        train("classify", path, tokenizer, numbers, numbers)
    with pytest.raises(UserError, match="training are classes, but those of held_out regression"):
        train("classify", path, tokenizer, examples, numbers)
