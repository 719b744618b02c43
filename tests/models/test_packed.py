"""Models of packed rows: training from strings, weights of the places without a text, saving, and what is refused."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_bert as kb
from keras_bert.config import Config
from keras_bert.errors import UserError
from keras_bert.models import Classifier, Encoder, MultipleChoice, SpanLabeler, TokenClassifier
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

WORDS = [f"w{number}" for number in range(20)]
TOKENIZER = Tokenizer(Vocabulary([*SPECIAL_TOKENS, *WORDS]))
CONFIG = Config.from_name(
    "L-1_H-64",
    vocab_size=25,
    max_position_embeddings=32,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)
SIZES = {"batch_size": 4, "max_seq_length": 32}


def texts(count=80, seed=0):
    """Texts of 1 to 12 words of the first ten or of the others, and which; neighbours in a row say nothing of it."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    words = [rng.integers(0, 10, rng.integers(1, 13)) + 10 * label for label in labels]
    return [" ".join(WORDS[word] for word in each) for each in words], labels.astype(np.int32)


def classifier(packed, classes=2, **options):
    keras.utils.set_random_seed(3)
    return Classifier(Encoder(CONFIG, packed=packed), classes, **options)


def twin(model, **options):
    """Returns the model that reads one text a row with the same weights."""
    other = classifier(False, model.num_classes, **options)
    other.set_weights(model.get_weights())
    return other


@pytest.mark.nightly
def test_fit_on_packed_rows_learns_what_each_text_says():
    given, labels = texts(200)
    model = classifier(True)
    model.compile(kb.adamw(3e-4, num_train_steps=90, num_warmup_steps=10), metrics=["accuracy"])
    dataset = kb.text_dataset(given, labels, TOKENIZER, **SIZES, pack=True)
    history = model.fit(dataset, epochs=6, verbose=0).history
    assert history["accuracy"][-1] > 0.97
    assert history["loss"][-1] < 0.2 < 0.5 < history["loss"][0]
    one = twin(model)
    one.compile(metrics=["accuracy"])
    padded = one.evaluate(kb.text_dataset(given, labels, TOKENIZER, batch_size=200, max_seq_length=32), verbose=0)
    rows = model.evaluate(dataset, verbose=0, return_dict=True)
    assert rows["accuracy"] == pytest.approx(padded[1], abs=1e-6)
    logits = model.predict(kb.text_dataset(given, None, TOKENIZER, **SIZES, pack=True), verbose=0)
    x = kb.text_dataset(given, None, TOKENIZER, **SIZES, pack=True).as_numpy_iterator()
    counts = np.concatenate([each["sequence_ids"].max(axis=1) for each in x])
    of_texts = logits[np.arange(logits.shape[1]) < counts[:, None]]  # in the order of the texts
    expected = one.predict(kb.text_dataset(given, None, TOKENIZER, batch_size=40, max_seq_length=32), verbose=0)
    np.testing.assert_allclose(of_texts, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("given", [True, False], ids=["weighted", "without weights"])
def test_places_without_a_text_count_in_no_loss_and_no_metric(given):
    strings, labels = texts(30)
    ((x, y, weights),) = kb.text_dataset(
        strings, labels, TOKENIZER, batch_size=30, max_seq_length=32, pack=True, max_texts_per_row=9
    ).as_numpy_iterator()
    assert (weights == 0).sum() > 40
    model = classifier(True)
    model.compile(metrics=["accuracy"])
    found = model.evaluate(x, y, sample_weight=weights if given else None, batch_size=30, verbose=0, return_dict=True)
    logits = np.asarray(model(x))[weights > 0]
    loss = ops.sparse_categorical_crossentropy(y[weights > 0], logits, from_logits=True)
    assert found["loss"] == pytest.approx(float(ops.mean(loss)), abs=1e-6)
    assert found["accuracy"] == pytest.approx((logits.argmax(-1) == y[weights > 0]).mean(), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["regression", "multi_label"])
def test_numbers_and_several_labels(kind):
    strings, labels = texts(30)
    labels = labels + 0.5 if kind == "regression" else np.stack([labels, 1 - labels, labels], axis=1).astype(np.float32)
    options = {"classes": 1} if kind == "regression" else {"classes": 3, "multi_label": True}
    model = classifier(True, **options)
    ((x, y, weights),) = kb.text_dataset(
        strings, labels, TOKENIZER, batch_size=30, max_seq_length=32, pack=True
    ).as_numpy_iterator()
    model.compile()
    found = model.evaluate(x, y, sample_weight=weights, batch_size=30, verbose=0)
    one = classifier(False, **options)
    one.set_weights(model.get_weights())
    one.compile()
    ((x, y),) = kb.text_dataset(strings, labels, TOKENIZER, batch_size=30, max_seq_length=32).as_numpy_iterator()
    assert found == pytest.approx(one.evaluate(x, y, batch_size=30, verbose=0), rel=1e-5)


@pytest.mark.nightly
@pytest.mark.parametrize("settings", [{"jit_compile": True}, {"dtype": "mixed_bfloat16"}], ids=["xla", "bfloat16"])
def test_it_trains_compiled_and_in_bfloat16(settings):
    keras.utils.set_random_seed(3)
    model = Classifier(Encoder(CONFIG, packed=True, dtype=settings.pop("dtype", None)), 2)
    model.compile("adam", **settings)
    dataset = kb.text_dataset(*texts(40), TOKENIZER, **SIZES, pack=True, drop_remainder=True)
    assert np.isfinite(model.fit(dataset, verbose=0).history["loss"]).all()


@pytest.mark.slow
def test_saved_as_keras_it_reads_packed_rows_and_as_a_directory_one_text_a_row(tmp_path):
    model = classifier(True)
    x = next(kb.text_dataset(texts(12)[0], None, TOKENIZER, **SIZES, pack=True).as_numpy_iterator())
    model.save(tmp_path / "a.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "a.keras")(x), model(x))
    np.testing.assert_array_equal(keras.models.clone_model(model)(x).shape, model(x).shape)
    model.save_pretrained(tmp_path / "a", tokenizer=TOKENIZER)
    np.testing.assert_array_equal(Classifier.from_pretrained(tmp_path / "a", packed=True)(x), model(x))
    one = Classifier.from_pretrained(tmp_path / "a")
    assert sorted(one.input) == ["input_ids", "input_mask", "segment_ids"]


def row(**changes):
    return {
        "input_ids": np.array([[2, 5, 3, 2, 6, 7, 3, 0]]),
        "segment_ids": np.zeros((1, 8), int),
        "sequence_ids": np.array([[1, 1, 1, 2, 2, 2, 2, 0]]),
        "sequence_starts": np.array([[0, 3, 0]]),
    } | {name: np.array([values]) for name, values in changes.items()}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"sequence_ids": [1, 1, 2, 2, 1, 1, 1, 0]},
            "sequence_ids has 1 in row 0, place 4, where 3 was expected: the te",
        ),
        ({"sequence_ids": [1, 1, 1, 3, 3, 3, 3, 0]}, "sequence_ids has 3 in row 0, place 3, where 2 was"),
        ({"sequence_ids": [1, 1, 1, -1, 2, 2, 2, 0]}, "sequence_ids has -1 in row 0"),
        ({"sequence_starts": [[0], [3]]}, r"sequence_starts has shape \(1, 2, 1\), but there are 1 rows"),
        ({"sequence_starts": [0, 4, 0]}, "sequence_starts has 4 in row 0, place 1, where 3 was expected"),
        ({"sequence_starts": [0, 3, 7]}, "sequence_starts has 7 in row 0, place 2, where 0 was expected"),
    ],
)
def test_texts_that_do_not_lie_one_by_one_are_named(packed_encoder, changes, message):
    packed_encoder(row())
    with pytest.raises(UserError, match=message):
        packed_encoder(row(**changes))


@pytest.fixture(scope="module")
def packed_encoder():
    return Encoder(CONFIG, packed=True)


@pytest.mark.slow
def test_rows_of_the_other_kind_are_refused(packed_encoder):
    one = {"input_ids": np.array([[2, 5, 3]]), "input_mask": np.ones((1, 3), int)}
    with pytest.raises(UserError, match=r"Encoder was made with packed=True .* make batches with pack=True"):
        packed_encoder(one)
    with pytest.raises(UserError, match="save_pretrained the model and load it without packed"):
        kb.predict(classifier(True), TOKENIZER, ["w1"])
    with pytest.raises(
        UserError, match=r"These rows are packed .* Encoder reads one text a row; make its encoder with"
    ):
        Encoder(CONFIG)(row())
    dataset = kb.text_dataset(*texts(12), TOKENIZER, **SIZES, pack=True)
    model = classifier(False)
    model.compile()
    with pytest.raises(UserError, match="These rows are packed"):
        model.fit(dataset, verbose=0)
    with pytest.raises(UserError, match="MultipleChoice reads a choice a row"):
        MultipleChoice(packed_encoder)


@pytest.mark.nightly
def test_tags_and_spans_train_on_packed_rows():
    from keras_bert.data.batches import padded_batches

    rows = {"input_ids": [[2, 5, 6, 3], [2, 7, 3], [2, 8, 9, 10, 3]]}
    rows["segment_ids"] = [[0] * len(ids) for ids in rows["input_ids"]]
    options = {"batch_size": 2, "max_seq_length": 8, "pack": True}
    tags = padded_batches(rows, [[-100, 1, 0, -100], [-100, 1, -100], [-100, 0, 0, 1, -100]], **options)
    tagger = TokenClassifier(Encoder(CONFIG, packed=True), 2)
    tagger.compile("adam")
    assert np.isfinite(tagger.fit(tags, verbose=0).history["loss"]).all()
    places = {"start_logits": np.array([1, 0, 2]), "end_logits": np.array([2, 0, 3])}
    spans = padded_batches(rows, places, **options, labels_are_places=True)
    model = SpanLabeler(Encoder(CONFIG, packed=True))
    model.compile(keras.optimizers.Adam(1e-2), metrics={name: ["accuracy"] for name in places})
    history = model.fit(spans.repeat(40), epochs=1, verbose=0)
    assert model.evaluate(spans, verbose=0, return_dict=True)["start_logits_accuracy"] == 1.0
    assert history.history["loss"][0] < 1.0
