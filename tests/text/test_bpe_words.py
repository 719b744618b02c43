"""GPT-2's words by tables: classes of characters, and where words begin."""

import numpy as np

from keras_bert.text.bpe.bulk import BulkBytePairs
from keras_bert.text.bpe.words import CLASSES, PAGE, character_classes, paged
from tests.text.byte_pairs import small_engine


def words(text):
    """Cuts a text as the bulk tokenizer does."""
    bulk = BulkBytePairs(small_engine())
    data = bulk.encode([text])
    pairs = zip(*(array.tolist() for array in bulk.cut(data)), strict=True)
    return [data[start : start + length].decode() for start, length in pairs if data[start] != 0xFF]


def test_examples_worked_by_hand():
    assert words("I don't  know") == ["I", " don", "'t", " ", " know"]
    assert words("it's'll 'd ''s!'s") == ["it", "'s", "'ll", " '", "d", " ''", "s", "!'", "s"]
    assert words("a\t b \u3000c\n\n") == ["a", "\t", " b", " ", "\u3000", "c", "\n\n"]
    assert words("x12é½ 3!? \n") == ["x", "12", "é", "½", " 3", "!?", " \n"]
    assert words("we'res'relly") == ["we", "'re", "s", "'re", "lly"]


def test_classes_of_some_characters():
    names = [CLASSES[number] for number in character_classes()[list(map(ord, " \n\u3000aé한s'1½!\u0301\0"))]]
    assert names == [
        *("SPACE", "WHITE", "WHITE", "LETTER", "LETTER", "LETTER", "STDM", "APOSTROPHE"),
        *("NUMBER", "NUMBER", "OTHER", "OTHER", "OTHER"),
    ]


def test_pages_hold_all_classes():
    classes = character_classes()
    pages, values = paged(classes)
    assert len(values) < 150
    codes = np.arange(0x110000)
    assert np.array_equal(values[pages[codes // PAGE], codes % PAGE], classes)
