"""The SavedModel: its signature and its options, the same answers as in Python, and whole or not at all."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.config import BertConfig
from keras_bert.errors import UserError
from keras_bert.models import BertClassifier, BertEncoder
from keras_bert.serving.export import export
from keras_bert.tasks.classify.arrays import predict
from keras_bert.tasks.embed.embedding import embed
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.serving import fresh
from tests.serving.asking import assert_same, requests

LENGTH = 40  # as in conftest.py


def ask(signature, *columns):
    """Asks a loaded signature. Returns {output: array}."""
    inputs = {name: tf.constant(column, tf.string) for name, column in zip(("text", "pair"), columns, strict=False)}
    return {name: value.numpy() for name, value in signature(**inputs).items()}


def load(exported):
    return tf.saved_model.load(str(exported.path)).signatures["serving_default"]


def test_the_graph_names_no_place_on_this_machine(exported):
    for each in exported.values():
        assert str(each.path.parent).encode() not in (each.path / "saved_model.pb").read_bytes()
        assert list((each.path / "assets").iterdir()) == []


def test_the_signature_reads_like_documentation(exported, signatures, config):
    def shown(specs):
        return {name: (spec.dtype.name, spec.shape.as_list()) for name, spec in specs.items()}

    one, labels = {"text": ("string", [None])}, {"label": ("string", [None]), "labels": ("string", [None, 3])}
    classes = (one, {**labels, "probabilities": ("float32", [None, 3])})
    places = {name: ("int32", [None, None]) for name in ("start", "end")}
    expected = {
        "embed": (one, {"embedding": ("float32", [None, config.hidden_size])}),
        "classify": classes,
        "multi_label": classes,
        "score": (one, {"score": ("float32", [None])}),
        "fill_mask": (
            one,
            {
                "tokens": ("string", [None, None, 4]),
                "probabilities": ("float32", [None, None, 4]),
                "num_masks": ("int32", [None]),
            },
        ),
        "ner": (
            one,
            {name: ("string", [None, None]) for name in ("tokens", "label")}
            | {**places, "score": ("float32", [None, None]), "num_tokens": ("int32", [None])},
        ),
        "squad": (
            {name: ("string", [None]) for name in ("question", "context")},
            {"text": ("string", [None])}
            | {name: ("int32", [None]) for name in places}
            | {name: ("float32", [None]) for name in ("score", "null_score")},
        ),
        "multiple_choice": (
            {"context": ("string", [None]), "choices": ("string", [None, None])},
            {"choice": ("int32", [None]), "probabilities": ("float32", [None, None])},
        ),
    }
    for name, (inputs, outputs) in expected.items():
        each = exported[name]
        assert shown(each.inputs) == inputs
        assert shown(each.outputs) == outputs
        signature = signatures[name]
        assert shown(signature.structured_input_signature[1]) == inputs
        assert shown(signature.structured_outputs) == outputs
    assert list(exported["pair"].inputs) == ["text", "pair"]


@pytest.mark.parametrize("count", [1, 33])
def test_any_batch_size(signatures, count):
    for name, inputs in requests(["the [MASK]"] * count).items():
        rows = fresh.ask(signatures[name], inputs)
        assert_same(rows, rows[:1] * count, name)


def test_a_text_is_cut_as_encode_cuts_it(signatures, models, tokenizer):
    long, longer = "paris is the capital " * 30, "of france " * 40
    for name, columns in (("classify", [[long]]), ("pair", [[long], [longer]]), ("pair", [["is"], [longer]])):
        answer = ask(signatures[name], *columns)["probabilities"]
        expected = predict(models[name], tokenizer, *columns, max_seq_length=LENGTH)["probabilities"]
        np.testing.assert_allclose(answer, expected, atol=1e-5)
    whole = predict(models["classify"], tokenizer, [long], max_seq_length=64)["probabilities"]
    assert abs(ask(signatures["classify"], [long])["probabilities"] - whole).max() > 1e-4


def test_strings_of_another_shape_are_read_or_named(signatures):
    one = signatures["classify"]
    expected = one(text=tf.constant(["is paris", "the"]))["probabilities"]
    np.testing.assert_array_equal(one(text=tf.constant([["is paris"], ["the"]]))["probabilities"], expected)
    np.testing.assert_allclose(one(text=tf.constant("the"))["probabilities"], expected[1:], atol=1e-5)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"text must be strings of shape \(B,\), one a row.*\[2 2\]"
    ):
        one(text=tf.constant([["a", "b"], ["c", "d"]]))
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"choices must be strings of shape \(B, C\), a list.*\[2\]"
    ):
        signatures["multiple_choice"](context=tf.constant(["a"]), choices=tf.constant(["b", "c"]))


def test_text_and_pair_of_different_numbers_are_refused(signatures):
    with pytest.raises(tf.errors.InvalidArgumentError):
        ask(signatures["pair"], ["a", "b"], ["c"])


def test_tokens_that_the_tokenizer_keeps_are_kept(models, tokenizer, tmp_path):
    keeping = Tokenizer(tokenizer.vocabulary, keep=("[SEP]",))
    each = export(models["classify"], keeping, tmp_path / "1", max_seq_length=LENGTH)
    answer = ask(load(each), ["paris [SEP] france"])["probabilities"]
    expected = predict(models["classify"], keeping, ["paris [SEP] france"], max_seq_length=LENGTH)["probabilities"]
    plain = predict(models["classify"], tokenizer, ["paris [SEP] france"], max_seq_length=LENGTH)["probabilities"]
    np.testing.assert_allclose(answer, expected, atol=1e-5)
    assert abs(expected - plain).max() > 1e-3


def test_without_normalize_the_vector_is_the_mean(models, tokenizer, texts, tmp_path):
    each = export(models["embed"], tokenizer, tmp_path / "1", max_seq_length=LENGTH, normalize=False)
    expected = embed(models["embed"], tokenizer, texts, max_seq_length=LENGTH, normalize=False)
    np.testing.assert_allclose(ask(load(each), texts)["embedding"], expected, atol=1e-5)


def test_the_golden_strings_give_what_python_gives(shared, tmp_path):
    lines = (shared / "data/vocab/bert-base-uncased/vocab.txt").read_text(encoding="utf-8").splitlines()
    cases = json.loads((shared / "golden/tokenization/google_tokenization.json").read_text(encoding="utf-8"))
    strings = [case["text"] for case in cases]
    assert len(strings) > 100
    tokenizer = Tokenizer(Vocabulary(lines))
    config = BertConfig.from_name("tiny", vocab_size=len(lines), initializer_range=0.3)
    model = BertEncoder(config)
    each = export(model, tokenizer, tmp_path / "1")
    expected = embed(model, tokenizer, strings)
    np.testing.assert_allclose(ask(load(each), strings)["embedding"], expected, atol=1e-5)


def test_the_optimizers_variables_stay_behind(config, tokenizer, tmp_path):
    model = BertClassifier(BertEncoder(config), 2)
    model.compile(keras.optimizers.Adam())
    model.optimizer.build(model.trainable_variables)
    path = export(model, tokenizer, tmp_path / "1", max_seq_length=16).path
    found = [shape for name, shape in tf.train.list_variables(str(path / "variables/variables")) if "VARIABLE" in name]
    numbers = sum(np.prod(shape, dtype=int) for shape in found)
    assert 0.9 * model.count_params() < numbers <= model.count_params()  # biases are constants of the graph


def test_what_stands_there_is_replaced_only_by_force(models, tokenizer, tmp_path):
    path = tmp_path / "1"
    export(models["score"], tokenizer, path, max_seq_length=16)
    with pytest.raises(UserError, match=r"1 exists already"):
        export(models["embed"], tokenizer, path, max_seq_length=16)
    assert "score" in outputs_of(path)
    export(models["embed"], tokenizer, path, max_seq_length=16, force=True)
    assert "embedding" in outputs_of(path)
    assert [file.name for file in tmp_path.iterdir()] == ["1"]


def outputs_of(path):
    return tf.saved_model.load(str(path)).signatures["serving_default"].structured_outputs


def test_force_spares_what_is_no_saved_model(models, tokenizer, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="is not an exported model"):
        export(models["embed"], tokenizer, tmp_path, max_seq_length=16, force=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("error", [tf.errors.ResourceExhaustedError(None, None, "no space left"), KeyboardInterrupt()])
def test_a_failed_export_leaves_nothing(models, tokenizer, tmp_path, monkeypatch, error):
    def half(module, path, **options):
        tf.io.gfile.makedirs(path)
        tf.io.write_file(f"{path}/saved_model.pb", "half")
        raise error

    monkeypatch.setattr(tf.saved_model, "save", half)
    with pytest.raises((UserError, KeyboardInterrupt)) as caught:
        export(models["embed"], tokenizer, tmp_path / "a" / "1", max_seq_length=16)
    assert isinstance(caught.value, KeyboardInterrupt) or "no space left" in str(caught.value)
    assert list((tmp_path / "a").iterdir()) == []


def test_a_place_that_cannot_be_written_is_a_user_error(models, tokenizer, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="Cannot write"):
        export(models["embed"], tokenizer, tmp_path / "file" / "1", max_seq_length=16)


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("embed", {"max_seq_length": 128}, "to 64, the most tokens that the model reads. Received: 128"),
        ("embed", {"max_seq_length": 2}, "must be from 3"),
        ("pair", {"max_seq_length": 3, "pair": True}, "must be from 4"),
        ("embed", {"max_seq_length": 16, "pair": True}, "takes no pairs of texts"),
        ("fill_mask", {"max_seq_length": 16, "top_k": 500}, "top_k must be from 1"),
    ],
)
def test_options_that_cannot_be_are_user_errors(models, tokenizer, tmp_path, name, options, match):
    with pytest.raises(UserError, match=match):
        export(models[name], tokenizer, tmp_path / "1", **options)
    assert list(tmp_path.iterdir()) == []


def test_another_model_or_vocabulary_is_a_user_error(models, tokenizer, tmp_path):
    inputs = keras.Input((1,))
    with pytest.raises(UserError, match="must be one of Encoder, Classifier, Pretrainer"):
        export(keras.Model(inputs, keras.layers.Identity()(inputs)), tokenizer, tmp_path / "1")
    large = Vocabulary([*SPECIAL_TOKENS, *(f"w{number}" for number in range(999))])
    with pytest.raises(UserError, match="vocabulary has 1004 entries"):
        export(models["embed"], Tokenizer(large), tmp_path / "1")
