"""What models read of texts: in Python and in the graph the same rows, in any layout, padded with the padding's id.

The models here keep what they are given to read. A token's answer depends on its id alone, the others are zeros.
"""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.config import BertConfig
from keras_bert.data.texts import text_dataset
from keras_bert.models import BertEncoder
from keras_bert.serving.export import export
from keras_bert.tasks import answer as squad
from keras_bert.tasks import choose as choices
from keras_bert.tasks import tag as tagging
from keras_bert.tasks.answer.training import dataset as squad_dataset
from keras_bert.tasks.classify.arrays import predict
from keras_bert.tasks.classify.examples import Examples
from keras_bert.tasks.classify.training import predict_logits
from keras_bert.tasks.embed.embedding import embed
from keras_bert.tasks.embed.vectors import Vectors
from keras_bert.tasks.fill_mask.filling import fill_mask
from keras_bert.tasks.rows import tasks
from keras_bert.tasks.served import Options, Server
from keras_bert.tasks.tag.conll import Sentences
from keras_bert.text.layout import BERT, ROBERTA, Layout
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

# No family's: what is right for BERT or RoBERTa by chance is wrong for it.
ODD = Layout(before=("cls", "cls"), between=("sep", "cls", "sep"), after=("sep", "cls"), segments=True)
LAYOUTS = {"roberta": ROBERTA, "without_segments": BERT.without_segments(), "odd": ODD}
LETTERS = "abcdefghij"
TEXTS = ["a b c d e f g h i j", "a", "", "c d ? e", "b c d e f g h i j a b c d e f g h"]
OTHERS = ["e f", "g h i j a b c d e f g h i j", "", "i", "b c d e f g h i j a b c d"]
SIZE = 14
CONTEXTS = [text or "j" for text in OTHERS]
SPANS = {"max_seq_length": SIZE, "doc_stride": 2, "max_query_length": 3}


class Reader:
    """Keeps what it reads, and answers what a function makes of the inputs: {name: array}, or {None: array}."""

    bert_config = BertConfig.from_name("L-1_H-16", vocab_size=15, max_position_embeddings=64)
    sentence_vectors = None
    kind, num_classes, multi_label, pair, labels = "classes", 3, False, False, ["O", "B-A", "I-A"]

    def __init__(self, answer):
        self.answer, self.seen = answer, []
        names = answer({"input_ids": np.zeros((1, 2), np.int32)}).keys()
        self.output = None if None in names else dict.fromkeys(names)

    def predict_on_batch(self, inputs):
        self.seen.append({name: np.asarray(each) for name, each in inputs.items()})
        answer = {name: np.asarray(each, np.float32) for name, each in self.answer(self.seen[-1]).items()}
        return answer.get(None, answer)

    def __call__(self, inputs, training=False):
        return tf.nest.map_structure(tf.constant, self.predict_on_batch(inputs))


def rows_read(reader, tokenizer):
    """The rows, each once, as tuples of ids and segments; of padding only what must hold of it."""
    rows = set()
    for inputs in reader.seen:
        length = inputs["input_ids"].shape[-1]
        ids, mask, segments = (inputs[name].reshape(-1, length) for name in ("input_ids", "input_mask", "segment_ids"))
        used = mask.sum(axis=1)
        np.testing.assert_array_equal(mask, np.arange(length) < used[:, None])
        assert (ids[mask == 0] == tokenizer.pad_id).all()
        assert not segments[mask == 0].any()
        rows |= {(*ids[row, :n].tolist(), "/", *segments[row, :n].tolist()) for row, n in enumerate(used) if n}
    return rows


def sentences():
    return [text.split() for text in TEXTS if text]


def of_choices():
    return choices.Questions(TEXTS, [""] * len(TEXTS), [list(pair) for pair in zip(OTHERS, TEXTS, strict=True)])


def asked():
    pairs = zip(TEXTS, CONTEXTS, strict=True)
    return [squad.Example(str(n), question, squad.Context(text)) for n, (question, text) in enumerate(pairs)]


# name: the model's answers, what asks in Python, what asks in the graph, and its options.
HEADS = {
    "cut": (
        lambda x: {None: np.zeros((len(x["input_ids"]), 3))},
        lambda model, t: predict(model, t, TEXTS, OTHERS, max_seq_length=SIZE),
        lambda server: tasks()["classify"].served.answer(server, tf.constant(TEXTS), tf.constant(OTHERS)),
        {"pair": True},
    ),
    "windows": (
        lambda x: {None: np.zeros((len(x["input_ids"]), 3))},
        lambda model, t: predict_logits(
            model, Examples(TEXTS, OTHERS), t, max_seq_length=SIZE, long_texts="windows", doc_stride=2
        ),
        lambda server: tasks()["classify"].served.answer(server, tf.constant(TEXTS), tf.constant(OTHERS)),
        {"pair": True, "long_texts": "windows", "doc_stride": 2},
    ),
    "embed": (
        lambda x: {"sequence_output": np.zeros((*x["input_ids"].shape, 16))},
        lambda model, t: embed(model, t, TEXTS, max_seq_length=SIZE, prompt="a b"),
        lambda server: tasks()["embed"].served.answer(server, tf.constant(TEXTS)),
        {"vectors": Vectors(max_seq_length=SIZE, prompt="a b")},
    ),
    "fill_mask": (
        lambda x: {"masked_lm": np.zeros((len(x["input_ids"]), 2, 15))},
        lambda model, t: fill_mask(model, t, ["a [MASK] b", "[MASK] [MASK]"], top_k=2, max_seq_length=SIZE),
        lambda server: tasks()["fill_mask"].served.answer(server, tf.constant(["a [MASK] b", "[MASK] [MASK]"])),
        {"top_k": 2},
    ),
    "ner": (
        lambda x: {None: np.eye(3)[x["input_ids"] % 3]},
        lambda model, t: tagging.predict_tags(model, t, sentences(), max_seq_length=SIZE, joined=False),
        lambda server: tasks()["tag"].served.answer(server, tf.constant(TEXTS)),
        {},
    ),
    "squad": (
        lambda x: {"start_logits": x["input_ids"] == 6, "end_logits": x["input_ids"] == 7},
        lambda model, t: squad.Questions(asked(), t, **SPANS).predict(model),
        lambda server: tasks()["answer"].served.answer(server, tf.constant(TEXTS), tf.constant(CONTEXTS)),
        {"doc_stride": 2, "max_query_length": 3},
    ),
    "multiple_choice": (
        lambda x: {None: np.zeros(x["input_ids"].shape[:2])},
        lambda model, t: choices.predict_choices(model, t, of_choices(), max_seq_length=SIZE),
        lambda server: tasks()["choose"].served.answer(server, tf.constant(TEXTS), tf.constant(of_choices().choices)),
        {},
    ),
}


@pytest.fixture(scope="module")
def tokenizer_and_layer():
    """A tokenizer whose [PAD] is its last entry, and its layer for the graph."""
    tokenizer = Tokenizer(Vocabulary([*LETTERS, *SPECIAL_TOKENS[1:], SPECIAL_TOKENS[0]]), keep=("[MASK]",))
    return tokenizer, tokenizer.graph_layer()


@pytest.fixture(params=LAYOUTS)
def layout(request, tokenizer_and_layer, monkeypatch):
    monkeypatch.setattr(tokenizer_and_layer[0], "layout", LAYOUTS[request.param])
    return LAYOUTS[request.param]


@pytest.mark.parametrize("name", HEADS)
def test_the_graph_reads_what_python_reads(tokenizer_and_layer, layout, name, monkeypatch):
    monkeypatch.setattr("keras_bert.text.graph_packing.ROWS_AT_ONCE", 3)  # so that rows are missing to the last ones
    tokenizer, layer = tokenizer_and_layer
    answer, in_python, in_graph, options = HEADS[name]
    readers = Reader(answer), Reader(answer)
    in_python = in_python(readers[0], tokenizer)
    options = Options(**{"max_seq_length": SIZE, **options})
    in_graph = in_graph(Server(readers[1], tokenizer, layer, options))
    known, found = (rows_read(each, tokenizer) for each in readers)
    special = tokenizer.encode("", "" if name in ("cut", "windows", "squad", "multiple_choice") else None)["input_ids"]
    nothing = {row for row in found if len(row) == 2 * len(special) + 1}  # tagging reads no empty text in Python
    assert known - nothing == found - nothing
    assert len(known) > 1
    assert all(list(row[: len(layout.before)]) == special[: len(layout.before)].tolist() for row in known)
    if name == "ner":  # each word has the tag of its own piece
        tags = [[tag for tag in row if tag] for row in in_graph["label"].numpy().astype(str).tolist()]
        assert [row for row in tags if row] == [list(each) for each in in_python[0]]
        assert in_python[0][1] == ["O"]
        assert in_python[0][0][:3] == ["O", "B-A", "I-A"]
    if name == "squad":
        texts = in_graph["text"].numpy().astype(str).tolist()
        assert [each.answer().text for each in in_python] == texts
        assert texts[1] == texts[4] == "g h"


def test_what_is_trained_on_is_padded_with_the_paddings_id(tokenizer_and_layer, layout):
    tokenizer, _ = tokenizer_and_layer
    sizes = {"max_seq_length": SIZE, "batch_size": 8, "pad_to_multiple": SIZE, "shuffle": False}
    tagged = Sentences(sentences(), [["O"] * len(words) for words in sentences()])
    features = squad.make_features(
        [squad.Example("1", "a b", squad.Context("c d e"), answer="d", span=(1, 1))], tokenizer, training=True, **SPANS
    )
    batches = {
        "texts": text_dataset(TEXTS, None, tokenizer, **sizes),
        "tagging": tagging.dataset(tagged, tokenizer, ["O"], **sizes),
        "choices": choices.dataset(of_choices(), tokenizer, **sizes),
        "squad": squad_dataset(features, tokenizer, **sizes),
    }
    for name, dataset in batches.items():
        batch = next(dataset.as_numpy_iterator())
        x = batch[0] if isinstance(batch, tuple) else batch
        assert (x["input_ids"] == tokenizer.pad_id).any(), name
        rows_read(SimpleNamespace(seen=[x]), tokenizer)


def test_a_prompt_that_is_not_pooled_ends_where_the_text_begins(tokenizer_and_layer, layout):
    made = Vectors(prompt="a b", include_prompt=False, max_seq_length=layout.num_special(1) + 3)
    assert made.prompt_length(tokenizer_and_layer[0]) == len(layout.before) + 2
    made.check(tokenizer_and_layer[0])


def test_a_saved_model_reads_the_layout_too(tokenizer_and_layer, monkeypatch, tmp_path):
    tokenizer, _ = tokenizer_and_layer
    monkeypatch.setattr(tokenizer, "layout", ROBERTA)
    keras.utils.set_random_seed(0)
    model = BertEncoder(Reader.bert_config)
    export(model, tokenizer, tmp_path / "1", max_seq_length=SIZE)
    served = tf.saved_model.load(str(tmp_path / "1")).signatures["serving_default"]
    known = embed(model, tokenizer, TEXTS, max_seq_length=SIZE)
    np.testing.assert_allclose(served(text=tf.constant(TEXTS))["embedding"], known, atol=1e-5)
    monkeypatch.setattr(tokenizer, "layout", ODD)
    assert np.abs(embed(model, tokenizer, TEXTS, max_seq_length=SIZE) - known).max() > 1e-3
