"""google-research/bert's own features, predictions, n-best lists and null odds, made by its run_squad.py."""

import gzip
import json

import numpy as np
import pytest

from keras_bert.tasks.answer import find_answers, make_features, read_examples, texts_of, write_predictions
from keras_bert.text.tokenizer import Tokenizer

CASES = ("v1_dev", "v1_train_short", "v2_dev")
N_BEST_SIZE, MAX_ANSWER_LENGTH, THRESHOLD = 20, 30, 0.0  # with which they were made


@pytest.fixture(scope="module")
def vocabulary(shared):
    return Tokenizer(shared / "data" / "vocab" / "bert-base-uncased" / "vocab.txt")


def load(shared, case, tokenizer):
    """Returns the golden file's settings and features, and our examples and features."""
    folder = shared / "golden" / "squad" / case
    golden = json.loads(gzip.decompress((folder / "features.json.gz").read_bytes()))
    training = golden["is_training"]
    examples = read_examples(
        folder / "input.json", training=training, version_2_with_negative=golden["version_2_with_negative"]
    )
    lengths = {name: golden[name] for name in ("max_seq_length", "doc_stride", "max_query_length")}
    return golden, examples, make_features(examples, tokenizer, training=training, **lengths)


@pytest.mark.parametrize("case", CASES)
def test_features_are_equal(shared, vocabulary, case):
    golden, examples, features = load(shared, case, vocabulary)
    assert [example.id for example in examples] == golden["qas_ids"]
    assert len(features) == len(golden["features"])
    rows = features.rows()
    for number, expected in enumerate(golden["features"]):
        first, last = features.bounds[number : number + 2]
        padding = [0] * (golden["max_seq_length"] - (last - first))
        words, flags = features.words[first:last].tolist(), features.is_max_context[first:last].tolist()
        ours = {
            "example_index": features.example_index[number],
            "doc_span_index": features.span_index[number],
            "input_ids": rows["input_ids"][number].tolist() + padding,
            "input_mask": [1] * (last - first) + padding,
            "segment_ids": rows["segment_ids"][number].tolist() + padding,
            "token_to_orig_map": {str(place): word for place, word in enumerate(words) if word >= 0},
            "token_is_max_context": {str(place): flags[place] for place, word in enumerate(words) if word >= 0},
            "start_position": features.labels["start_logits"][number] if golden["is_training"] else None,
            "end_position": features.labels["end_logits"][number] if golden["is_training"] else None,
        }
        assert ours == expected


@pytest.mark.parametrize("case", ["v1_dev", "v2_dev"])
def test_predictions_n_best_lists_and_null_odds_are_equal(shared, vocabulary, case, tmp_path):
    golden, examples, features = load(shared, case, vocabulary)
    folder = shared / "golden" / "squad" / case
    predictions = find_answers(
        examples,
        features,
        np.load(folder / "logits.npz"),
        vocabulary,
        n_best_size=N_BEST_SIZE,
        max_answer_length=MAX_ANSWER_LENGTH,
        version_2_with_negative=golden["version_2_with_negative"],
    )
    written = write_predictions(tmp_path, predictions, threshold=THRESHOLD)
    for name in written:
        ours, expected = (json.loads((place / name).read_text()) for place in (tmp_path, folder))
        assert list(ours) == list(expected)
        if name != "nbest_predictions.json":
            assert ours == expected
            continue
        for key, entries in expected.items():
            assert [entry.pop("text") for entry in ours[key]] == [entry.pop("text") for entry in entries]
            for mine, theirs in zip(ours[key], entries, strict=True):
                assert mine == pytest.approx(theirs, abs=1e-6)
    assert len(written) == (3 if golden["version_2_with_negative"] else 2)


@pytest.mark.parametrize("case", ["v1_dev", "v2_dev"])
def test_every_answer_stands_where_we_say(shared, vocabulary, case):
    golden, examples, features = load(shared, case, vocabulary)
    logits = np.load(shared / "golden" / "squad" / case / "logits.npz")
    is_v2 = golden["version_2_with_negative"]
    predictions = find_answers(examples, features, logits, vocabulary, version_2_with_negative=is_v2)
    checked = 0
    for example, prediction in zip(examples, predictions, strict=True):
        for candidate in prediction.candidates:
            if candidate.start is not None:
                found = example.context.text[candidate.start : candidate.end]
                assert " ".join(found.split()) == candidate.text
                checked += 1
    assert checked > 500
    assert len(texts_of(predictions)) == len(examples)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["squad/dev-v1.1.json", "korean/korquad/KorQuAD_v1.0_dev.json"])
def test_right_answers_measure_as_right(shared, name):
    from keras_bert.tasks.answer import squad_metrics
    from keras_bert.tasks.answer.metrics import metric_of

    examples = read_examples(shared / "data" / name, training=True)
    figures = squad_metrics(examples, {each.id: each.answer for each in examples}, metric=metric_of(examples))
    assert figures["exact_match"] == pytest.approx(100, abs=0.1)
    assert len(examples.lost) < 10
