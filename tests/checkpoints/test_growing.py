"""Growing to an extended vocabulary: each new row by hand, each old one to the last bit, in every format."""

import dataclasses

import numpy as np
import pytest

from keras_bert.checkpoints import grow_checkpoint, open_checkpoint, save_checkpoint
from keras_bert.config import BertConfig
from keras_bert.errors import UserError
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import Vocabulary
from tests.checkpoints.conftest import CONFIG
from tests.reference_huggingface import write_huggingface, write_tokenizer

OLD = "[PAD] [unused0] [UNK] [CLS] [SEP] [MASK] [unused1] my heart ##oca ##rdial ##itis ##o ##a".split()
OLD += "a b ##b ##c c the of . , !".split()
NEW = [
    *("myocardial" if token == "[unused0]" else token for token in OLD),
    *("##ocardial", "heartb", "ß", "a.B", "[unused2]", "##ß"),
]
# The ids that spelled each new entry before.
SPELLED = {
    1: [7, 9, 10],  # my ##oca ##rdial
    24: [9, 10],  # it goes on in a word, so with ##oca
    25: [8, 16],
    26: [2],  # no piece begins with it: [UNK]
    27: [14, 21, 15],  # a . b, lower-cased as the checkpoint's tokenizer does
    28: [2, 2, 2],  # [ unused2 ]
    29: [2],
}
WORDS, BIAS = "bert/embeddings/word_embeddings", "cls/predictions/output_bias"


@pytest.fixture(params=["ours", "google", "huggingface"])
def folder(request, tmp_path, arrays):
    """A checkpoint in each format, with its vocabulary beside it."""
    if request.param == "ours":
        path = tmp_path / "ours"
        save_checkpoint(path, BertConfig.from_dict(CONFIG), arrays)
    else:
        path = request.getfixturevalue(f"{request.param}_folder")
    Vocabulary(OLD).save(path / "vocab.txt")
    return path


@pytest.fixture
def google(google_folder):
    """A checkpoint in Google's format, with its vocabulary beside it."""
    Vocabulary(OLD).save(google_folder / "vocab.txt")
    return open_checkpoint(google_folder)


def test_new_rows_are_means_and_old_rows_stay(folder, arrays):
    checkpoint = open_checkpoint(folder)
    grown = grow_checkpoint(checkpoint, Vocabulary(NEW))
    assert grown.config == checkpoint.config.replace(vocab_size=30)
    assert grown.shapes == {**checkpoint.shapes, WORDS: (30, 8), BIAS: (30,)}
    assert grown.new_entries == ("myocardial", *NEW[24:])
    for name in (WORDS, BIAS):
        found = grown.read(name)
        assert found.dtype == np.float32
        for index in range(30):
            if index in SPELLED:
                expected = sum(arrays[name][piece].astype(np.float64) for piece in SPELLED[index]) / len(SPELLED[index])
                np.testing.assert_allclose(found[index], expected, atol=1e-6)
            else:
                np.testing.assert_array_equal(found[index], arrays[name][index])
    for name in set(arrays) - {WORDS, BIAS}:
        np.testing.assert_array_equal(grown.read(name), arrays[name])


def test_output_weights_of_their_own_grow_too(google, arrays):
    """As RoBERTa's and others' may have them (tie_word_embeddings false)."""
    name, table = "cls/predictions/output_weights", -arrays[WORDS]
    checkpoint = dataclasses.replace(
        google,
        config=google.config.replace(tie_word_embeddings=False),
        shapes={**google.shapes, name: table.shape},
        read=lambda array: table if array == name else google.read(array),
    )
    grown = grow_checkpoint(checkpoint, Vocabulary(NEW))
    assert grown.shapes[name] == (30, 8)
    np.testing.assert_array_equal(grown.read(name), -grown.read(WORDS))


def test_a_cased_checkpoint_spells_new_entries_as_they_are(google_folder, arrays):
    old = Vocabulary(["B" if token == "!" else token for token in OLD])
    old.save(google_folder / "vocab.txt")
    new = Vocabulary(["aB" if token == "[unused0]" else token for token in old.tokens])
    assert Tokenizer.from_pretrained(google_folder).tokenize("B Ba a") == ["B", "B", "##a", "a"]
    grown = grow_checkpoint(open_checkpoint(google_folder), new).read(WORDS)
    np.testing.assert_array_equal(grown[1], arrays[WORDS][2])  # there is no ##B
    np.testing.assert_array_equal(np.delete(grown, 1, 0), np.delete(arrays[WORDS], 1, 0))


def test_16_bit_rows_are_means_in_32_bits(tmp_path, arrays):
    few = {name: array.astype(np.float16) for name, array in arrays.items()}
    folder = write_huggingface(tmp_path / "model", few)
    Vocabulary(OLD).save(folder / "vocab.txt")
    found = grow_checkpoint(open_checkpoint(folder), Vocabulary(NEW)).read(WORDS)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[1], few[WORDS][[7, 9, 10]].astype(np.float32).mean(axis=0))
    np.testing.assert_array_equal(found[7:24], few[WORDS][7:])


def test_the_old_vocabulary_may_lie_in_a_tokenizer_json(huggingface_folder, arrays):
    write_tokenizer(huggingface_folder, OLD, lowercase=False)
    checkpoint = open_checkpoint(huggingface_folder)
    grown = grow_checkpoint(checkpoint, Vocabulary(NEW))
    assert grown.new_entries == ("myocardial", *NEW[24:]) and grown.notes == ()
    rows = grown.read(WORDS)
    np.testing.assert_allclose(rows[1], arrays[WORDS][SPELLED[1]].mean(axis=0), atol=1e-6)
    np.testing.assert_array_equal(rows[27], arrays[WORDS][[14, 21, 2]].mean(axis=0))  # a . [UNK]: there is no B
    assert grow_checkpoint(checkpoint, Vocabulary(OLD)) is checkpoint
    with pytest.raises(
        UserError, match=r"extend .*tokenizer\.json \(as the vocab\.txt that keras-bert convert writes\)"
    ):
        grow_checkpoint(checkpoint, Vocabulary(OLD[:-2]))
    write_tokenizer(huggingface_folder, [*OLD, "more"])
    with pytest.raises(UserError, match=r"tokenizer\.json has 25 entries, but the checkpoint's vocab_size is 24"):
        grow_checkpoint(checkpoint, Vocabulary(NEW))


def test_a_vocabulary_comes_in_three_forms(google, tmp_path):
    vocabulary = Vocabulary(NEW)
    vocabulary.save(tmp_path / "new.txt")
    for given in (vocabulary, Tokenizer(vocabulary), tmp_path / "new.txt", str(tmp_path / "new.txt")):
        grown = grow_checkpoint(google, given)
        assert grown.config.vocab_size == 30
        np.testing.assert_array_equal(grown.read(BIAS), grow_checkpoint(google, vocabulary).read(BIAS))


def test_a_prefix_has_its_vocabulary_in_its_folder(google):
    assert grow_checkpoint(open_checkpoint(google.path), Vocabulary(NEW)).config.vocab_size == 30


def test_the_same_vocabulary_changes_nothing(google):
    assert grow_checkpoint(google, Vocabulary(OLD)) is google


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"##rdial": "x"}, "line 11 is 'x' in place of '##rdial'"),
        ({"heart": "my", "my": "heart"}, "line 8 is 'heart' in place of 'my'"),
        ({"[unused1]": "[unused7]"}, r"line 7 is '\[unused7\]' in place of '\[unused1\]'"),
    ],
)
def test_a_vocabulary_that_is_no_extension(google, change, message):
    vocabulary = Vocabulary([change.get(token, token) for token in NEW])
    with pytest.raises(UserError, match=f"does not extend the checkpoint's: {message}; .*--init_vocab_file"):
        grow_checkpoint(google, vocabulary)


def test_a_vocabulary_that_is_only_a_part(google):
    with pytest.raises(UserError, match=r"it has 22 entries and lacks ',', the next of 24; .*--init_vocab_file"):
        grow_checkpoint(google, Vocabulary(OLD[:-2]))


def test_without_a_vocabulary_beside_the_weights(google_folder):
    checkpoint = open_checkpoint(google_folder)
    with pytest.raises(
        UserError, match=r"has no vocab.txt, without which a vocabulary of 30 entries .* checkpoint's 24"
    ):
        grow_checkpoint(checkpoint, Vocabulary(NEW))
    taken = grow_checkpoint(checkpoint, Vocabulary(["x" if token == "the" else token for token in OLD]))
    assert taken.config == checkpoint.config and taken.shapes == checkpoint.shapes
    assert "taken as given" in taken.notes[0]
    (google_folder / "bpe.codes").touch()
    with pytest.raises(UserError, match=r"cannot be read, BPE \(bpe\.codes\)"):
        grow_checkpoint(checkpoint, Vocabulary(OLD))


def test_a_vocabulary_that_is_not_the_checkpoint_s_own(google):
    Vocabulary([*OLD, "more"]).save(google.path.parent / "vocab.txt")
    with pytest.raises(UserError, match=r"vocab.txt has 25 entries, but the checkpoint's vocab_size is 24"):
        grow_checkpoint(google, Vocabulary(NEW))


def test_rows_past_the_vocabulary_are_taken_first(google, arrays):
    Vocabulary(OLD[:20]).save(google.path.parent / "vocab.txt")  # a checkpoint of 24 rows
    grown = grow_checkpoint(google, Vocabulary(OLD[:20]).with_added(["[my]"]))
    assert grown.config.vocab_size == 24 and grown.new_entries == ("[my]",)
    rows = grown.read(WORDS)
    np.testing.assert_allclose(rows[20], arrays[WORDS][[2, 7, 2]].mean(axis=0), atol=1e-6)  # [ my ]
    np.testing.assert_array_equal(np.delete(rows, 20, 0), np.delete(arrays[WORDS], 20, 0))
