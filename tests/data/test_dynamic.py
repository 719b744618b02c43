"""Masking while training: the data tool's masks, fresh each time and the same again for the same seed."""

import itertools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import chi2_contingency, chisquare

from keras_bert.data.datasets import pretraining_dataset
from keras_bert.data.dynamic import Ramp
from keras_bert.data.masking import MASKINGS, mask_tokens
from keras_bert.data.records import manifest_path, vocab_path
from keras_bert.errors import UserError
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from keras_bert.training.options import PretrainOptions
from keras_bert.training.phases import Phase

ONCE = {"shuffle": False, "repeat": False, "drop_remainder": False}


def batches_of(dataset):
    return list(dataset.as_numpy_iterator())


def ids_of(dataset, count=None):
    """Returns the corrupted tokens of all batches, (N, S)."""
    return np.concatenate([x["input_ids"] for x, _, _ in itertools.islice(dataset.as_numpy_iterator(), count)])


def undone(x, y, weights):
    """Returns the tokens with the masked ones put back."""
    restored = x["input_ids"].copy()
    rows, slots = np.nonzero(weights["masked_lm"])
    restored[rows, x["masked_lm_positions"][rows, slots]] = y["masked_lm"][rows, slots]
    return restored


@pytest.fixture
def records(unmasked, write_dynamic, tmp_path):
    """(path, instances) of 40 unmasked records, some padded."""
    instances = unmasked(40, padded=True)
    return write_dynamic(tmp_path / "d.tfrecord", instances), instances


def test_unmasking_gives_the_records(records):
    path, instances = records
    batches = batches_of(pretraining_dataset(path, batch_size=16, **ONCE))
    assert [len(x["input_ids"]) for x, _, _ in batches] == [16, 16, 8]
    np.testing.assert_array_equal(np.concatenate([undone(*batch) for batch in batches]), instances["input_ids"])
    for name in ("input_mask", "segment_ids"):
        np.testing.assert_array_equal(np.concatenate([x[name] for x, _, _ in batches]), instances[name])
    labels = np.concatenate([y["next_sentence"] for _, y, _ in batches])
    np.testing.assert_array_equal(labels, instances["next_sentence_labels"][:, 0])
    assert (ids_of(pretraining_dataset(path, batch_size=16, **ONCE)) != instances["input_ids"]).any(axis=1).mean() > 0.8


@pytest.mark.parametrize("options", [{}, ONCE], ids=["training", "once"])
def test_batches_look_like_those_of_masked_records(records, unmasked, vocabulary, write_google_file, options):
    path, _ = records
    instances = unmasked(40)
    masked = mask_tokens(instances["input_ids"], vocabulary, max_predictions=5, rng=np.random.default_rng(0))
    instances |= {"input_ids": masked.input_ids, "masked_lm_positions": masked.positions}
    instances |= {"masked_lm_ids": masked.ids, "masked_lm_weights": masked.weights}
    static = write_google_file(path.with_name("static.tfrecord"), instances)
    dynamic = pretraining_dataset(path, batch_size=16, **options)
    assert dynamic.element_spec == pretraining_dataset(static, batch_size=16, **options).element_spec
    x, y, weights = next(dynamic.as_numpy_iterator())
    assert x["masked_lm_positions"].shape == y["masked_lm"].shape == weights["masked_lm"].shape == (16, 5)


def outcome(before, after, positions, weights, vocabulary):
    """Counts what became of the chosen tokens: masked, unchanged, replaced."""
    rows, slots = np.nonzero(weights)
    old, new = before[rows, positions[rows, slots]], after[rows, positions[rows, slots]]
    return [
        (new == vocabulary.mask_id).sum(),
        (new == old).sum(),
        (~np.isin(new, [vocabulary.mask_id]) & (new != old)).sum(),
    ]


@pytest.mark.parametrize("masking", MASKINGS)
def test_the_distribution_is_that_of_masked_records(unmasked, write_dynamic, vocabulary, tmp_path, masking):
    instances = unmasked(6000)
    path = write_dynamic(tmp_path / "d.tfrecord", instances, masking=masking)
    tokens = instances["input_ids"]
    drawn = mask_tokens(tokens, vocabulary, max_predictions=5, masking=masking, rng=np.random.default_rng(9))
    static = tokens, drawn.input_ids, drawn.positions, drawn.weights
    parts = batches_of(pretraining_dataset(path, batch_size=64, **ONCE))
    joined = [
        np.concatenate([batch[part][name] for batch in parts])
        for part, name in ((0, "input_ids"), (0, "masked_lm_positions"), (2, "masked_lm"))
    ]
    dynamic = tokens, *joined
    places = [np.bincount(p[w > 0], minlength=tokens.shape[1]) for _, _, p, w in (static, dynamic)]
    chosen = places[0] > 0
    assert ((places[1] > 0) == chosen).all()  # [CLS] and [SEP] are never chosen
    assert chi2_contingency(np.array(places)[:, chosen]).pvalue > 1e-3
    sizes = [np.bincount(w.sum(axis=1).astype(int), minlength=6) for *_, w in (static, dynamic)]  # predictions a record
    sizes = np.array(sizes)[:, np.sum(sizes, axis=0) > 0]
    assert sizes.shape[1] == 1 or chi2_contingency(sizes).pvalue > 1e-3
    counts = outcome(*dynamic, vocabulary)
    unchanged = 0.1 / len(vocabulary.replacement_ids)  # a random token may be the one that stood there
    assert chisquare(counts, np.sum(counts) * np.array([0.8, 0.1 + unchanged, 0.1 - unchanged])).pvalue > 1e-3
    if masking == "token":
        assert np.sum(counts) == 6000 * 5  # 15 % of 32 tokens each
        assert chisquare(places[1][chosen]).pvalue > 1e-3  # every place alike


def test_masks_are_fresh_in_each_epoch_and_each_iteration(unmasked, write_dynamic, tmp_path):
    path = write_dynamic(tmp_path / "d.tfrecord", unmasked(8))
    endless = ids_of(pretraining_dataset(path, batch_size=8, shuffle=False), 3).reshape(3, -1)
    assert len({epoch.tobytes() for epoch in endless}) == 3
    once = pretraining_dataset(path, batch_size=8, **ONCE)
    assert len({ids_of(once).tobytes() for _ in range(3)}) == 3


@pytest.mark.filterwarnings("error:Your input ran out of data")  # as Keras says of any dataset of unknown size
def test_masks_are_fresh_in_each_epoch_of_fit(records):
    seen = []

    class Spy(keras.Model):
        def train_step(self, data):
            seen.append(data[0]["input_ids"].numpy())
            return {"loss": 0.0}

    model = Spy()
    model.compile(run_eagerly=True)
    model.fit(pretraining_dataset(records[0], batch_size=40, **ONCE), epochs=3, shuffle=False, verbose=0)
    assert len(seen) == len({ids.tobytes() for ids in seen}) == 3


def test_two_records_that_are_alike_are_masked_apart(unmasked, write_dynamic, tmp_path):
    instances = {name: np.repeat(values, 6, axis=0) for name, values in unmasked(1).items()}
    for shard in range(2):
        path = write_dynamic(tmp_path / f"d.tfrecord-{shard:05d}-of-00002", instances)
    for options in ({}, {"remask": False}):
        ids = ids_of(pretraining_dataset(str(path.with_name("d.tfrecord*")), batch_size=1, **ONCE, **options))
        assert len({row.tobytes() for row in ids}) > 8


@pytest.mark.parametrize("options", [{"shuffle": True}, {"shuffle": False, "remask": False}])
def test_the_seed_decides_the_masks_whatever_the_parallelism(unmasked, write_dynamic, tmp_path, options):
    for shard in range(3):
        write_dynamic(tmp_path / f"d.tfrecord-{shard:05d}-of-00003", unmasked(30, seed=shard))

    def ids(seed, threads):
        dataset = pretraining_dataset(str(tmp_path / "d.tfrecord*"), batch_size=8, seed=seed, **options)
        chosen = tf.data.Options()
        chosen.threading.private_threadpool_size = threads
        chosen.autotune.enabled = threads > 1
        return ids_of(dataset.with_options(chosen), 30)  # more than two epochs

    expected = ids(3, 8)
    for threads in (1, 8):
        np.testing.assert_array_equal(ids(3, threads), expected)
    assert (ids(4, 8) != expected).any()


def test_held_out_records_keep_their_masks(records):
    path, instances = records
    dataset = pretraining_dataset(path, batch_size=16, remask=False, **ONCE)
    expected = ids_of(dataset)
    np.testing.assert_array_equal(ids_of(dataset), expected)
    keras.utils.set_random_seed(7)  # of another run
    np.testing.assert_array_equal(ids_of(pretraining_dataset(path, batch_size=16, remask=False, **ONCE)), expected)
    assert (expected != instances["input_ids"]).any()


def test_workers_share_the_records_out(unmasked, write_dynamic, tmp_path):
    from tensorflow.python.data.experimental.ops.distribute import _AutoShardDataset  # what a strategy applies

    for shard in range(2):
        instances = unmasked(40, seed=shard)
        instances["segment_ids"][:, 0] = np.arange(40) + 40 * shard
        write_dynamic(tmp_path / f"d.tfrecord-{shard:05d}-of-00002", instances)
    for remask in (True, False):
        dataset = pretraining_dataset(str(tmp_path / "d.tfrecord*"), batch_size=8, remask=remask, **ONCE)
        read = [
            np.concatenate(
                [x["segment_ids"][:, 0] for x, _, _ in _AutoShardDataset(dataset, 2, worker).as_numpy_iterator()]
            )
            for worker in range(2)
        ]
        assert [len(ids) for ids in read] == [40, 40]
        assert sorted(np.concatenate(read)) == list(range(80))


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_the_manifest_s_settings_hold_unless_others_are_given(unmasked, write_dynamic, tmp_path, compression):
    fields = {"masked_lm_prob": 0.5, "max_predictions_per_seq": 9}
    path = write_dynamic(tmp_path / "d.tfrecord", unmasked(16), compression=compression, **fields)

    def predictions(**options):
        _, _, weights = next(pretraining_dataset(path, batch_size=16, **options).as_numpy_iterator())
        return weights["masked_lm"].shape[1], weights["masked_lm"].sum(axis=1).max()

    assert predictions() == (9, 9)
    assert predictions(max_predictions=20) == (20, 16)  # half of 32 tokens
    assert predictions(max_predictions=20, masked_lm_prob=0.15) == (20, 5)
    assert predictions(masked_lm_prob=0.75) == (24, 24)  # a share that is given gets the slots that it needs
    assert predictions(masked_lm_prob=0.15) == (9, 5)


def test_a_share_that_goes_from_batch_to_batch(unmasked, write_dynamic, tmp_path):
    path = write_dynamic(tmp_path / "d.tfrecord", unmasked(16))

    def counts(**options):
        ramp = Ramp(0.5, 0.125, batches=4, offset=1)
        dataset = pretraining_dataset(path, batch_size=4, masked_lm_prob=ramp, **options)
        assert dataset.element_spec[2]["masked_lm"].shape == (4, 16)
        return [int(weights["masked_lm"].sum(axis=1).max()) for _, _, weights in dataset.take(5).as_numpy_iterator()]

    assert counts() == [12, 8, 4, 4, 4]  # of 32 tokens: 0.375, 0.25 and then 0.125
    assert counts(start_batch=1) == [8, 4, 4, 4, 4]
    assert counts(skip_batches=(1,)) == [12, 4, 4, 4, 4]


def test_the_shares_of_a_run_are_those_of_its_steps():
    phases = [Phase(128, 6, 4), Phase(512, 4, 4)]
    options = PretrainOptions(phases=phases, num_warmup_steps=1, masked_lm_prob=(0.3, 0.15))
    assert options.masks(first_step=6)["masked_lm_prob"] == Ramp(0.3, 0.15, batches=10, offset=6)
    assert options.masks()["masked_lm_prob"] == 0.15
    for wrong in ({"masked_lm_prob": (0.3, 0.2, 0.1)}, {"masked_lm_prob": (0.3, 0.15), "max_minutes": 1.0}):
        with pytest.raises(UserError, match="masked_lm_prob"):
            PretrainOptions(**wrong, num_warmup_steps=1)


def test_whole_words_by_the_manifest_or_by_request(write_dynamic, unmasked, vocabulary, tmp_path):
    instances = unmasked(200)
    instances["input_ids"][:, 2:31:2] = vocabulary.id("##b0")  # words of two pieces
    instances["input_ids"][:, 1:31:2] = vocabulary.id("a0")
    path = write_dynamic(tmp_path / "d.tfrecord", instances, masking="whole_word")

    def chosen_whole(**options):
        x, _, weights = next(pretraining_dataset(path, batch_size=200, **ONCE, **options).as_numpy_iterator())
        rows = zip(x["masked_lm_positions"], weights["masked_lm"], strict=True)
        words = [((positions[weight > 0] + 1) // 2) for positions, weight in rows]
        return np.mean([(np.unique(word, return_counts=True)[1] == 2).all() for word in words])

    assert chosen_whole() == 1
    assert chosen_whole(masking="token") < 0.2


def test_the_vocabulary_lies_beside_or_is_given(records, vocabulary, tmp_path):
    path, _ = records
    vocabulary.save(tmp_path / "other" / "vocab.txt")
    expected = ids_of(pretraining_dataset(path, batch_size=40, remask=False, **ONCE))
    vocab_path(path).unlink()
    for given in (vocabulary, Tokenizer(vocabulary), tmp_path / "other" / "vocab.txt"):
        found = ids_of(pretraining_dataset(path, batch_size=40, vocabulary=given, remask=False, **ONCE))
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(UserError, match=r"d\.tfrecord holds unmasked records.*vocabulary.*--vocab_file"):
        pretraining_dataset(path, batch_size=4)


def test_without_a_manifest_the_number_of_predictions_is_to_be_given(records, vocabulary):
    path, _ = records
    manifest_path(path).unlink()
    with pytest.raises(UserError, match=r"unmasked records.*max_predictions.*--max_predictions_per_seq"):
        pretraining_dataset(path, batch_size=4)
    x, _, weights = next(pretraining_dataset(path, batch_size=40, max_predictions=3, **ONCE).as_numpy_iterator())
    assert x["masked_lm_positions"].shape == (40, 3)
    assert weights["masked_lm"].sum(axis=1).min() >= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"masking": "sentence"}, "masking must be one of token, whole_word, ngram. Received: 'sentence'"),
        ({"masked_lm_prob": 0.0}, "masked_lm_prob must lie above 0"),
        ({"masked_lm_prob": 1.5}, "not above 1. Received: 1.5"),
        ({"max_predictions": 0}, "max_predictions must be at least 1. Received: 0"),
        ({"vocab_size": 20}, "has 57 tokens, but the model has 20"),
        ({"vocabulary": Vocabulary([*SPECIAL_TOKENS, "a0"])}, "another vocabulary .57 tokens"),
    ],
)
def test_settings_that_make_no_sense(records, options, message):
    with pytest.raises(UserError, match=message):
        pretraining_dataset(records[0], batch_size=4, **options)


def test_a_vocabulary_that_leaves_nothing_to_replace(records):
    manifest_path(records[0]).write_text(json.dumps({"max_predictions_per_seq": 5}))
    with pytest.raises(UserError, match="special tokens only"):
        pretraining_dataset(records[0], batch_size=4, vocabulary=Vocabulary(SPECIAL_TOKENS))


def test_ids_past_the_vocabulary_are_found_without_a_manifest(records):
    manifest_path(records[0]).write_text(json.dumps({"max_predictions_per_seq": 5}))
    with pytest.raises(UserError, match=r"vocabulary of at least 57 tokens, but the model has 6"):
        pretraining_dataset(records[0], batch_size=4, vocabulary=Vocabulary([*SPECIAL_TOKENS, "a0"]))


def test_masked_records_cannot_be_masked_otherwise(instances, write_google_file, tmp_path):
    path = write_google_file(tmp_path / "a.tfrecord", instances(6))
    message = r"a\.tfrecord holds records that are masked already, so masking='whole_word' cannot be had.*--dynamic"
    with pytest.raises(UserError, match=message):
        pretraining_dataset(path, batch_size=2, masking="whole_word")
    with pytest.raises(UserError, match=r"masked_lm_prob=0\.2"):
        pretraining_dataset(path, batch_size=2, masked_lm_prob=0.2)


def test_manifests_that_disagree_on_the_masking(unmasked, write_dynamic, tmp_path):
    write_dynamic(tmp_path / "a.tfrecord", unmasked(4))
    write_dynamic(tmp_path / "b.tfrecord", unmasked(4), masking="ngram")
    pattern = str(tmp_path / "*.tfrecord")
    with pytest.raises(UserError, match=r"a\.tfrecord.*masking 'token'.*b\.tfrecord.*'ngram'.*choose one.*--masking"):
        pretraining_dataset(pattern, batch_size=2)
    assert len(ids_of(pretraining_dataset(pattern, batch_size=8, masking="token"), 1)) == 8


def test_masked_and_unmasked_records_do_not_mix(records, instances, write_google_file):
    path, _ = records
    other = write_google_file(path.with_name("e.tfrecord"), instances(4, seq_length=32, predictions=5))
    with pytest.raises(UserError, match=r"e\.tfrecord.*5 predictions.*d\.tfrecord.*unmasked.*one kind at a time"):
        pretraining_dataset([str(path), str(other)], batch_size=2)
