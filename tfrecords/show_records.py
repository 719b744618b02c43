"""Pre-training records as text, for people to look at.

`python -m tfrecords.show_records` is the command `keras-bert inspect records`.
"""

import sys

import numpy as np

from keras_bert.data.columns import read_columns
from keras_bert.data.records import count_records
from keras_bert.data.values import check_values
from keras_bert.text.tokenizer import Tokenizer
from tfrecords.contents import original_ids

RELATIONS = {
    "nsp": ("b is the next of the same document", "b is random, of another document"),
    "sop": ("a and b are in order", "a and b are swapped"),
}


def record_text(record, vocabulary, *, sentence_task="nsp", mark=str):
    """Returns a record as two lines of text, or one where there is nothing to say about it.

    A token to predict stands in braces: {cat} behind a [MASK], {cat kept} as it is, {cat -> tree} replaced. The texts
    of a packed row follow one another, numbered.

    Args:
        record: dict of the features as arrays of their lengths; without masked_lm_ ones where masking is dynamic.
        vocabulary: a keras_bert.text.vocabulary.Vocabulary; None shows ids, {2005 -> 103} for what stands there now.
        sentence_task: what the record's label means.
        mark: function from a token in its braces to what is shown, for colours.

    Example:
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
        >>> vocabulary = Vocabulary([*SPECIAL_TOKENS, "the", "cat", "sat"])
        >>> record = {"input_ids": [2, 5, 4, 3, 7, 3, 0], "input_mask": [1, 1, 1, 1, 1, 1, 0],
        ...           "masked_lm_positions": [2, 0], "masked_lm_ids": [6, 0], "masked_lm_weights": [1, 0],
        ...           "next_sentence_labels": [0]}
        >>> print(record_text(record, vocabulary))
        [CLS] the {cat} [SEP] sat [SEP]
        (b is the next of the same document; {word} stands behind [MASK])
    """
    if "sequence_ids" in record:
        options = {"sentence_task": sentence_task, "mark": mark}
        texts = [record_text(text, vocabulary, **options) for text in texts_of(record)]
        return "\n".join(f"{number}: {text}" for number, text in enumerate(texts, 1))
    shown, mask = (vocabulary.token, vocabulary.token(vocabulary.mask_id)) if vocabulary else (str, None)
    real = int(sum(record["input_mask"]))
    words = [shown(int(index)) for index in record["input_ids"][:real]]
    names = ("masked_lm_positions", "masked_lm_ids", "masked_lm_weights")
    for position, label, weight in zip(*(record.get(name, ()) for name in names), strict=True):
        if weight:
            word, now = shown(int(label)), words[position]
            words[position] = mark({mask: f"{{{word}}}", word: f"{{{word} kept}}"}.get(now, f"{{{word} -> {now}}}"))
    notes = [RELATIONS[sentence_task][int(record["next_sentence_labels"][0])]] if sentence_task in RELATIONS else []
    if "masked_lm_ids" in record:
        notes.append(f"{{word}} stands behind {mask}" if vocabulary else "{id -> what stands there}")
    return " ".join(words) + (f"\n({'; '.join(notes)})" if notes else "")


def original_text(record, vocabulary, *, decode=None):
    """Returns the text of each segment of a record as it was before masking, pieces joined to words.

    Args:
        record: as in `record_text`.
        vocabulary: a Vocabulary.
        decode: the `decode` of its Tokenizer; None decodes as WordPiece.

    Example:
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
        >>> vocabulary = Vocabulary([*SPECIAL_TOKENS, "cat", "##s", "sat"])
        >>> record = {"input_ids": [2, 5, 4, 3, 7, 3, 0], "input_mask": [1, 1, 1, 1, 1, 1, 0],
        ...           "segment_ids": [0, 0, 0, 0, 1, 1, 0],
        ...           "masked_lm_positions": [2, 0], "masked_lm_ids": [6, 0], "masked_lm_weights": [1, 0]}
        >>> original_text(record, vocabulary)
        ['cats', 'sat']
    """
    if "sequence_ids" in record:
        return [segment for text in texts_of(record) for segment in original_text(text, vocabulary, decode=decode)]
    batch = {name: np.asarray(values)[None] for name, values in record.items()}
    ids, segments = original_ids(batch)[0], batch["segment_ids"][0]
    real = batch["input_mask"][0] > 0
    texts = vocabulary.layout.texts_of(ids[real], segments[real], vocabulary)
    return list(map(decode or Tokenizer(vocabulary).decode, texts))


def texts_of(record):
    """Returns the texts of a packed row as records of their own, without padding; another record as the only one."""
    if "sequence_ids" not in record:
        return [record]
    record = {name: np.asarray(values) for name, values in record.items()}
    texts = []
    for number in range(int(record["sequence_ids"].max())):
        own = np.flatnonzero(record["sequence_ids"] == number + 1)
        text = {name: record[name][own] for name in ("input_ids", "input_mask", "segment_ids")}
        text["next_sentence_labels"] = record["next_sentence_labels"][number : number + 1]
        if "masked_lm_ids" in record:
            slots = (record["masked_lm_weights"] > 0) & np.isin(record["masked_lm_positions"], own)
            for name in ("masked_lm_positions", "masked_lm_ids", "masked_lm_weights"):
                text[name] = record[name][slots]
            text["masked_lm_positions"] = text["masked_lm_positions"] - own[0]
        texts.append(text)
    return texts


def examples(files, *, skip=0, vocab_size=None):
    """Yields (path, number counting from 1, record) of the records after the first `skip` of all.

    Args:
        files: paths of TFRecord files.
        skip: how many to pass over.
        vocab_size: to check the ids; None where it is not known.

    Yields:
        The file, the record's number in it, and the dict of its features, arrays of their lengths.

    Raises:
        UserError: a file cannot be read, is damaged or empty, or holds what is not a pre-training record.
    """
    passed = skip
    for path in files:
        if passed and passed >= (own := count_records(path)):
            passed -= own
            continue
        number = passed + 1
        for batch in read_columns(path, first=passed, batch_size=8):
            check_values(batch, vocab_size, path=path, number=number)
            for row in range(len(batch["input_ids"])):
                yield path, number + row, {name: values[row] for name, values in batch.items()}
            number += len(batch["input_ids"])
        passed = 0


if __name__ == "__main__":
    from keras_bert.cli.main import main

    sys.exit(main(["inspect", "records", *sys.argv[1:]]))
