"""Masked-LM corruption: what may be chosen, how much of it, what is chosen together, and what becomes of it."""

import itertools
import json

import numpy as np
import pytest
from scipy.stats import chi2_contingency, chisquare

from keras_bert.data import masking
from keras_bert.data.draws import BatchDraws, RecordDraws
from keras_bert.data.masking import ACTIONS, MASKINGS, choose, mask_tokens, word_starts
from keras_bert.errors import UserError

BY_WORD = [name for name, kind in MASKINGS.items() if kind.whole_words]
NGRAM = MASKINGS["ngram"].weights


@pytest.fixture(params=MASKINGS)
def strategy(request):
    return request.param


def sequences(vocabulary, *, count=2000, seq_length=64, seed=0):
    """[CLS] a ... [SEP] b ... [SEP] [PAD] ... of random words, [UNK] among them."""
    rng = np.random.default_rng(seed)
    tokens = rng.choice([vocabulary.unk_id, *range(7, len(vocabulary))], (count, seq_length))
    tokens[:, 0] = vocabulary.cls_id
    ends = rng.integers(5, seq_length + 1, count)
    for row, end in zip(tokens, ends, strict=True):
        row[rng.integers(2, end - 2)] = row[end - 1] = vocabulary.sep_id
        row[end:] = vocabulary.pad_id
    return tokens.astype(np.int32)


def mask(tokens, vocabulary, strategy, *, seed=1, **options):
    options = {"max_predictions": 8, **options}
    return mask_tokens(tokens, vocabulary, masking=strategy, rng=np.random.default_rng(seed), **options)


def chosen_places(batch):
    """bool (B, S): the tokens that were chosen."""
    chosen = np.zeros(batch.input_ids.shape, bool)
    rows, slots = np.nonzero(batch.weights)
    chosen[rows, batch.positions[rows, slots]] = True
    return chosen


def words_of(tokens, vocabulary):
    """For each row a list of segments, each a list of words, each a list of places: worked out token by token."""
    for row in tokens.tolist():
        segments = [[]]
        for place, token in enumerate(row):
            if token in (vocabulary.pad_id, vocabulary.cls_id, vocabulary.sep_id):
                segments.append([])
            elif vocabulary.token(token).startswith("##") and segments[-1]:
                segments[-1][-1].append(place)
            else:
                segments[-1].append([place])
        yield segments


def test_unmasking_gives_the_original(vocabulary, strategy):
    tokens = sequences(vocabulary)
    before = tokens.copy()
    batch = mask(tokens, vocabulary, strategy)
    restored = batch.input_ids.copy()
    rows, slots = np.nonzero(batch.weights)
    restored[rows, batch.positions[rows, slots]] = batch.ids[rows, slots]
    np.testing.assert_array_equal(restored, tokens)
    np.testing.assert_array_equal(tokens, before)
    assert (batch.input_ids != tokens).any()


def test_slots_are_ascending_and_padded_with_zeros(vocabulary, strategy):
    batch = mask(sequences(vocabulary), vocabulary, strategy)
    count = batch.weights.sum(axis=1).astype(int)
    for positions, ids, weights, actions, n in zip(
        batch.positions, batch.ids, batch.weights, batch.actions, count, strict=True
    ):
        assert (np.diff(positions[:n]) > 0).all()
        assert weights.tolist() == [1.0] * n + [0.0] * (8 - n)
        assert not positions[n:].any()
        assert not ids[n:].any()
        assert (actions[:n] >= 0).all()
        assert (actions[n:] == -1).all()
    dtypes = [a.dtype for a in (batch.input_ids, batch.positions, batch.ids, batch.weights, batch.actions)]
    assert dtypes == [np.int32, np.int32, np.int32, np.float32, np.int8]


def test_special_tokens_are_never_chosen_and_unknown_ones_are(vocabulary, strategy):
    batch = mask(sequences(vocabulary), vocabulary, strategy)
    chosen = set(batch.ids[batch.weights > 0].tolist())
    assert not chosen & {vocabulary.pad_id, vocabulary.cls_id, vocabulary.sep_id}
    assert vocabulary.unk_id in chosen


def googles_number(tokens, vocabulary, *, most):
    """int (B,): how many tokens create_masked_lm_predictions wants."""
    real = (tokens != vocabulary.pad_id).sum(axis=1)
    return np.array([min(most, max(1, round(int(n) * 0.15))) for n in real])


def test_number_of_predictions_is_googles(vocabulary):
    tokens = sequences(vocabulary)
    expected = googles_number(tokens, vocabulary, most=8)
    np.testing.assert_array_equal(mask(tokens, vocabulary, "token").weights.sum(axis=1), expected)
    assert {1, 8} < set(expected.tolist())  # both bounds were met


@pytest.mark.parametrize("strategy", BY_WORD)
def test_words_fill_the_number_but_for_what_does_not_fit(vocabulary, strategy):
    tokens = sequences(vocabulary, seq_length=128)
    wanted = googles_number(tokens, vocabulary, most=20)
    chosen = chosen_places(mask(tokens, vocabulary, strategy, max_predictions=20))
    room = wanted - chosen.sum(axis=1)
    assert room.min() == 0
    assert room.sum() < 0.01 * wanted.sum()
    if strategy == "whole_word":  # a word that was passed over does not fit
        for row, segments in enumerate(words_of(tokens, vocabulary)):
            assert all(chosen[row, word].all() or len(word) > room[row] for word in itertools.chain(*segments))


@pytest.mark.parametrize("strategy", BY_WORD)
def test_whole_words_are_chosen_whole(vocabulary, strategy):
    tokens = sequences(vocabulary)
    chosen = chosen_places(mask(tokens, vocabulary, strategy))
    long_words = 0
    for row, segments in enumerate(words_of(tokens, vocabulary)):
        for word in itertools.chain(*segments):
            assert chosen[row, word].all() or not chosen[row, word].any()
            long_words += len(word) > 1 and chosen[row, word[0]]
    assert long_words > 100


def test_eighty_ten_ten(vocabulary, strategy):
    tokens = sequences(vocabulary, count=4000)
    batch = mask(tokens, vocabulary, strategy, max_predictions=20, seed=3)
    counts = np.bincount(batch.actions[batch.weights > 0], minlength=3)
    assert chisquare(counts, counts.sum() * np.array([0.8, 0.1, 0.1])).pvalue > 1e-3
    new = np.take_along_axis(batch.input_ids, batch.positions, axis=1)
    for action, holds in (
        ("masked", new == vocabulary.mask_id),
        ("kept", new == batch.ids),
        ("random", np.isin(new, vocabulary.replacement_ids)),
    ):
        assert holds[batch.actions == ACTIONS.index(action)].all()


def test_actions_are_drawn_for_each_token_of_a_word(vocabulary):
    a, b = vocabulary.id("a0"), vocabulary.id("##b0")
    tokens = np.tile([vocabulary.cls_id, a, b, vocabulary.sep_id], (20000, 1))
    actions = mask(tokens, vocabulary, "whole_word", rate=0.5).actions[:, :2]
    assert actions.min() == 0
    counts = np.zeros((3, 3))
    np.add.at(counts, tuple(actions.T), 1)
    assert chi2_contingency(counts).pvalue > 1e-3


def test_replacements_are_all_ordinary_tokens_alike(vocabulary):
    batch = mask(sequences(vocabulary, count=8000), vocabulary, "token", seed=4)
    new = np.take_along_axis(batch.input_ids, batch.positions, axis=1)[batch.actions == ACTIONS.index("random")]
    counts = np.bincount(new, minlength=len(vocabulary))
    assert not counts[:7].any()  # specials and [unused]
    assert chisquare(counts[7:]).pvalue > 1e-3


@pytest.mark.parametrize("strategy", ["token", "whole_word"])
def test_every_place_is_chosen_alike(vocabulary, strategy):
    tokens = np.full((20000, 22), 7)
    tokens[:, 0], tokens[:, [10, 21]] = vocabulary.cls_id, vocabulary.sep_id
    tokens[0, 5] = vocabulary.id("##b0")  # so that not all words are of one token, which goes another way
    counts = chosen_places(mask(tokens, vocabulary, strategy, seed=5)).sum(axis=0)
    assert counts[[0, 10, 21]].tolist() == [0, 0, 0]
    assert chisquare(np.delete(counts, [0, 10, 21])).pvalue > 1e-3


def test_a_word_does_not_reach_across_a_separator(vocabulary):
    piece = vocabulary.id("##b0")
    tokens = np.array(
        [[vocabulary.cls_id, 7, piece, vocabulary.sep_id, piece, piece, 8, vocabulary.sep_id], [piece] * 8]
    )
    candidates = ~np.isin(tokens, [vocabulary.cls_id, vocabulary.sep_id])
    starts = word_starts(tokens, candidates, vocabulary)
    assert [np.flatnonzero(row).tolist() for row in starts] == [[1, 4, 6], [0]]


# Two segments: words of 1, 2, 1, 1 tokens and of 1, 3, 1.
STARTS = np.array([0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 0, 1, 0], bool)
CANDIDATES = np.array([0, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 0], bool)
SEGMENTS = [[[1], [2, 3], [4], [5]], [[7], [8, 9, 10], [11]]]


def one_row_as_albert_would(segments, wanted, weights, rng):
    """The chosen places, worked out for one row step by step as in create_masked_lm_predictions of ALBERT."""
    ngrams = [
        [list(itertools.chain(*words[first : first + n])) for n in range(1, len(weights) + 1)]
        for words in segments
        for first in range(len(words))
    ]
    rng.shuffle(ngrams)
    chosen = []
    for lengths in ngrams:
        n = rng.choice(len(weights), p=np.array(weights) / sum(weights))
        while n >= 0 and len(chosen) + len(lengths[n]) > wanted:
            n -= 1
        if n >= 0 and not set(lengths[n]) & set(chosen):
            chosen += lengths[n]
    return tuple(sorted(chosen))


@pytest.mark.parametrize("wanted", [1, 3, 4, 6])
@pytest.mark.parametrize("weights", [(1,), NGRAM, (0, 0, 1)], ids=["whole_word", "ngram", "three"])
def test_the_choice_is_distributed_as_alberts(weights, wanted):
    count = 8000
    rng = np.random.default_rng(7)
    rows = (np.tile(a, (count, 1)) for a in (STARTS, CANDIDATES))
    places = choose(*rows, np.full(count, wanted), weights=weights, draws=BatchDraws(rng))
    ours = [tuple((part % 13).tolist()) for part in np.split(places, np.searchsorted(places, np.arange(1, count) * 13))]
    theirs = [one_row_as_albert_would(SEGMENTS, wanted, weights, rng) for _ in range(count)]
    outcomes = sorted({*ours, *theirs})
    table = np.array([[sample.count(outcome) for outcome in outcomes] for sample in (ours, theirs)])
    common = table.sum(axis=0) >= 10
    table = np.column_stack([table[:, common], table[:, ~common].sum(axis=1)])
    assert chi2_contingency(table[:, table.any(axis=0)]).pvalue > 1e-3


def test_backing_off_by_hand():
    """Of three words two are wanted and three drawn: the first choice backs off to two, but for the last word."""
    starts = np.ones((6000, 3), bool)
    places = choose(starts, starts, np.full(6000, 2), weights=(0, 0, 1), draws=BatchDraws(np.random.default_rng(8)))
    left_out = 3 - (places.reshape(-1, 2) % 3).sum(axis=1)  # 2: {0, 1}, 1: {0, 2}, 0: {1, 2}
    assert chisquare(np.bincount(left_out), 6000 * np.array([1 / 2, 1 / 6, 1 / 3])).pvalue > 1e-3


def test_lengths_of_ngrams_where_there_is_room():
    starts = np.ones((20, 1 << 16), bool)  # so long that hardly two n-grams touch
    places = choose(starts, starts, np.full(20, 200), weights=NGRAM, draws=BatchDraws(np.random.default_rng(9)))
    runs = np.diff(np.flatnonzero(np.diff(places, prepend=-9, append=places[-1] + 9) > 1))
    counts = np.bincount(runs, minlength=4)[1:4]
    assert chisquare(counts, counts.sum() * np.array([6, 3, 2]) / 11).pvalue > 1e-3


def test_rows_with_nothing_or_little_to_choose(vocabulary, strategy):
    cls, sep, pad, a, b = vocabulary.cls_id, vocabulary.sep_id, vocabulary.pad_id, 7, vocabulary.id("##b0")
    rows = [
        [cls, a, sep, pad, pad, pad],
        [cls, sep, sep, pad, pad, pad],
        [pad] * 6,
        [cls, a, b, b, b, sep],  # one word of four tokens, of which one is wanted
        [cls, a, b, sep, b, sep],
    ]
    chosen = chosen_places(mask(rows, vocabulary, strategy))
    counts = chosen.sum(axis=1).tolist()
    assert counts == ([1, 0, 0, 1, 1] if strategy == "token" else [1, 0, 0, 0, 1])
    assert chosen[0, 1]
    assert strategy == "token" or chosen[4, 4]  # the only word of one token


def test_rows_of_words_that_are_too_long(vocabulary, strategy):
    tokens = np.full((40, 64), vocabulary.id("##b0"))
    tokens[:, 0], tokens[:, -1], tokens[:, 1] = vocabulary.cls_id, vocabulary.sep_id, 7
    tokens[20:, 1:-1:31] = 8  # two words of 31 tokens
    counts = chosen_places(mask(tokens, vocabulary, strategy)).sum(axis=1)
    assert set(counts.tolist()) == ({8} if strategy == "token" else {0})


def test_more_predictions_than_tokens(vocabulary, strategy):
    batch = mask([[2, 7, vocabulary.id("##b0"), 3, 9, 3, 0, 0, 0]], vocabulary, strategy, rate=1.0, max_predictions=12)
    assert batch.positions[0].tolist() == [1, 2, 4] + [0] * 9
    assert batch.weights[0].tolist() == [1.0] * 3 + [0.0] * 9


def test_rows_without_a_first_special_token(vocabulary, strategy):
    """An n-gram does not go on in the next row."""
    tokens = np.full((50, 3), 7)
    chosen = chosen_places(mask(tokens, vocabulary, strategy, rate=2 / 3))
    assert chosen.sum(axis=1).tolist() == [2] * 50


def test_no_rows(vocabulary, strategy):
    batch = mask(np.zeros((0, 16), int), vocabulary, strategy)
    assert (batch.input_ids.shape, batch.positions.shape) == ((0, 16), (0, 8))


def test_batches_of_many_blocks(vocabulary, strategy, monkeypatch):
    monkeypatch.setattr(masking, "TOKENS_AT_ONCE", 200)
    tokens = sequences(vocabulary, count=100)  # three at a time
    batch = mask(tokens, vocabulary, strategy)
    assert (batch.weights.sum(axis=1) > 0).all()
    rows, slots = np.nonzero(batch.weights)
    np.testing.assert_array_equal(tokens[rows, batch.positions[rows, slots]], batch.ids[rows, slots])


def test_same_generator_same_masks(vocabulary, strategy):
    tokens = sequences(vocabulary, count=50)
    np.testing.assert_array_equal(
        mask(tokens, vocabulary, strategy).input_ids, mask(tokens, vocabulary, strategy).input_ids
    )
    assert (mask(tokens, vocabulary, strategy).input_ids != mask(tokens, vocabulary, strategy, seed=2).input_ids).any()


def test_an_unknown_strategy_is_named(vocabulary):
    with pytest.raises(UserError, match=r"token, whole_word, ngram\. Received: 'spans'"):
        mask([[2, 7, 3]], vocabulary, "spans")


@pytest.mark.parametrize("masking", MASKINGS)
def test_a_record_s_own_draws_make_its_masks_its_own(unmasked, vocabulary, masking, monkeypatch):
    tokens = unmasked(50, padded=True)["input_ids"]
    numbers = np.arange(50) << 32 | 3
    options = {"max_predictions": 5, "masking": masking}

    def masks(rows, seed=1):
        batch = mask_tokens(tokens[rows], vocabulary, rng=RecordDraws(numbers[rows], seed=seed), **options)
        return np.concatenate([batch.input_ids, batch.positions, batch.ids, batch.weights, batch.actions], axis=1)

    every = masks(np.arange(50))
    for rows in (np.arange(7), np.arange(20, 45), np.array([49, 3, 3]), np.arange(0)):
        np.testing.assert_array_equal(masks(rows), every[rows])
    monkeypatch.setattr("keras_bert.data.masking.TOKENS_AT_ONCE", 200)  # in blocks of six
    np.testing.assert_array_equal(masks(np.arange(50)), every)
    assert (masks(np.arange(50), seed=2) != every).any(axis=1).mean() > 0.8


@pytest.mark.parametrize("seed", [0, -5, 1 << 70])
def test_a_record_s_own_draws_are_random(seed):
    draws = RecordDraws(np.arange(3000), seed=seed)
    bits = draws.bits((3000, 31))
    assert bits.dtype == np.uint32
    assert bits.shape == (3000, 31)
    shares = np.unpackbits(np.ascontiguousarray(bits).view(np.uint8)).reshape(-1, 32).mean(axis=0)
    assert abs(shares - 0.5).max() < 5 * 0.5 / np.sqrt(bits.size)
    rows = np.repeat(np.arange(3000), 4)
    places = np.tile(np.arange(4), 3000)
    uniform = draws.uniform(1, rows, places).reshape(-1, 4)
    assert chisquare(np.bincount((uniform.reshape(-1) * 20).astype(int), minlength=20)).pvalue > 1e-3
    both = np.histogram2d(uniform[:, 0], uniform[:, 1], bins=5, range=[[0, 1], [0, 1]])[0]  # neighbouring places
    assert chisquare(both.reshape(-1)).pvalue > 1e-3
    both = np.histogram2d(uniform[:-1, 0], uniform[1:, 0], bins=5, range=[[0, 1], [0, 1]])[0]  # neighbouring records
    assert chisquare(both.reshape(-1)).pvalue > 1e-3
    assert (draws.uniform(2, rows, places) != uniform.reshape(-1)).all()
    chosen = draws.choice(np.array([3, 5, 9]), rows, places)
    assert chisquare(np.unique(chosen, return_counts=True)[1]).pvalue > 1e-3


@pytest.mark.parametrize(
    "run", ["default", "short_sequence", "favor_longer", "unigram", "no_whole_words", "few_predictions"]
)
def test_n_grams_are_those_of_albert_s_code(shared, run):
    """Each place is chosen as often as by google-research/albert. Without [SEP], past which its n-grams go on."""
    golden = json.loads((shared / "golden" / "google" / "albert" / "ngram_masking.json").read_text())
    own = golden["runs"][run]
    tokens = golden["short_tokens" if run == "short_sequence" else "tokens"]
    inside = np.array([token not in ("[CLS]", "[SEP]") for token in tokens])
    is_start = np.array(own["token_boundary"], bool)[inside] | (run == "no_whole_words")
    times, theirs = 4000, own["settings"]["times"]
    starts = np.tile(is_start, (times, 1))
    weights = own["pvals"] if own["settings"]["ngram"] > 1 else (1,)
    wanted, draws = np.full(times, own["num_to_predict"]), BatchDraws(np.random.default_rng(0))
    places = choose(starts, np.ones_like(starts), wanted, weights=tuple(weights), draws=draws)
    chosen = np.zeros(starts.size, bool)
    chosen[places] = True
    chosen = chosen.reshape(starts.shape)
    assert (chosen.sum(axis=1) == own["num_to_predict"]).all()
    shares, expected = chosen.mean(axis=0), np.array(own["hits_per_position"])[inside] / theirs
    deviation = np.sqrt(expected * (1 - expected) * (1 / times + 1 / theirs))
    assert np.abs((shares - expected) / deviation).max() < 4.5
    words = chosen[:, is_start]
    for found, name in (
        (np.bincount(words.sum(axis=1)), "masked_words"),
        (np.bincount(runs_of(words)), "runs_of_masked_words"),
    ):
        assert mean_of(dict(enumerate(found))) == pytest.approx(mean_of(own[name]), rel=0.02)


def runs_of(chosen):
    """Returns the lengths of the runs of True in the rows of a bool array."""
    padded = np.pad(chosen, ((0, 0), (1, 1))).astype(np.int8)
    steps = np.diff(padded, axis=1)
    return np.nonzero(steps == -1)[1] - np.nonzero(steps == 1)[1]


def mean_of(counts):
    """Returns the mean of what was counted, {value: how often}."""
    return sum(int(value) * count for value, count in counts.items()) / sum(counts.values())
