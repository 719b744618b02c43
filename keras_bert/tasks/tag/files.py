"""The files of one tagger: tags found in the training set, held-out sentences, predictions. Imports no TensorFlow."""

import dataclasses
import json
from pathlib import Path

import numpy as np

from keras_bert.errors import UserError
from keras_bert.outputs import atomic_path
from keras_bert.tasks.classify.examples import Examples
from keras_bert.tasks.splitting import split_examples
from keras_bert.tasks.table import read_table
from keras_bert.tasks.tag.conll import Sentences, read_conll, write_conll
from keras_bert.tasks.tag.conll_tags import PLAIN, convert, entities, split_tag, tag_names


@dataclasses.dataclass(frozen=True)
class TaggingFiles:
    """What the files hold; None for those that are not given.

    Attributes:
        names: the tags of the model.
        train, evaluation, test: Sentences with tags.
        prediction: Sentences without, or a list of raw texts.
    """

    names: list[str]
    train: Sentences | None = None
    evaluation: Sentences | None = None
    test: Sentences | None = None
    prediction: Sentences | list[str] | None = None

    @property
    def by_character(self):
        """Whether the words stand together as they are, as the first file with tags has it."""
        given = [each for each in (self.train, self.evaluation, self.test) if each is not None]
        return bool(given) and given[0].joined


def scheme_of(names):
    """Returns "BIO" for a model whose tags mark entities, and "none" for one with plain tags.

    >>> scheme_of(["O", "B-LOC", "I-LOC"]), scheme_of(["DT", "NN"])
    ('BIO', 'none')
    """
    return PLAIN if any(split_tag(name) is None for name in names) else "BIO"


def read_files(
    *,
    train_file=None,
    eval_file=None,
    test_file=None,
    predict_file=None,
    names=None,
    scheme=None,
    text_column="text",
    eval_share=0.1,
    seed=12345,
    **columns,
):
    """Reads the files of a tagger.

    Args:
        train_file, eval_file, test_file: CoNLL-style files, as `read_conll` takes them. Without an eval_file a share of
            the training set is held out.
        predict_file: one whose tags, if it has any, are not looked at; or a table of raw texts (.jsonl or .csv).
        names: the tags of a model that is not trained, instead of a train_file.
        scheme: how the files write tags; None finds out from the first of them, and the others have to be the same.
        text_column: the column of a table.
        eval_share, seed: of `split_examples`, without an eval_file.
        **columns: "token_column" and "tag_column" of `read_conll`.

    Returns:
        TaggingFiles.

    Raises:
        UserError: what `read_conll` and `read_table` raise, or a training set without entities.
    """
    train = evaluation = None
    if train_file is not None:
        train = read_conll(train_file, scheme=scheme, **columns)
        names, scheme = tag_names(train.tags, train.scheme), train.scheme
        if len(names) < 2:
            raise UserError(f"{train_file}: all words have the tag {names[0]}; a tagger needs examples of another.")
        if eval_file is None:
            train, evaluation = _split(train, share=eval_share, seed=seed)
    elif scheme is None and scheme_of(names) == PLAIN:
        scheme = PLAIN
    if eval_file is not None:
        evaluation = read_conll(eval_file, scheme=scheme, labels=names, **columns)
        scheme = evaluation.scheme
    test = None if test_file is None else read_conll(test_file, scheme=scheme, labels=names, **columns)
    prediction = None
    if predict_file is not None:
        prediction = _read_untagged(predict_file, text_column, columns.get("token_column", 0))
    return TaggingFiles(names, train, evaluation, test, prediction)


def write_tags(path, sentences, tags, *, scheme=None):
    """Writes sentences with the predicted tags behind the true ones, if they have such, as a CoNLL-style file.

    Args:
        path: the file.
        sentences: Sentences.
        tags: lists of as many tags, as the model says them.
        scheme: how to write them; None writes them as the sentences' own file does.
    """
    scheme = sentences.scheme if scheme is None else scheme
    columns = [tags] if sentences.tags is None else [sentences.tags, tags]
    if scheme not in (PLAIN, "BIO"):
        columns = [[convert(of_one, "BIO", scheme) for of_one in column] for column in columns]
    write_conll(path, sentences.words, *columns)


def write_entities(path, texts, found):
    """Writes texts and their entities as JSONL, an object a text: {"text", "entities": [{"text", "type", ...}]}.

    Args:
        path: the file.
        texts: list of str.
        found: what `tag` gives for them.
    """
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        for text, of_text in zip(texts, found, strict=True):
            file.write(json.dumps({"text": text, "entities": of_text}, ensure_ascii=False) + "\n")


def describe(sentences):
    """Returns what there is in sentences with tags, in words.

    >>> describe(Sentences([["Ann", "runs"]], [["B-PER", "O"]]))
    '1 sentences, 2 words, 1 entities (BIO)'
    """
    unit = "characters" if sentences.joined else "words"
    counts = f"{len(sentences):,} sentences, {sum(map(len, sentences.words)):,} {unit}"
    if sentences.scheme == PLAIN:
        return counts
    return f"{counts}, {sum(len(entities(tags)) for tags in sentences.tags):,} entities ({sentences.scheme})"


def _read_untagged(path, text_column, token_column):
    """Returns Sentences without tags, or the texts of a table."""
    if {".jsonl", ".csv"} & set(Path(path).suffixes):  # a .tsv may be KLUE's
        return read_table(path, text_column=text_column, label_column=None)[0]
    return read_conll(path, tags=False, token_column=token_column)


def _split(sentences, *, share, seed):
    """Returns the training and the held-out sentences; those with the same words stay together."""
    numbers = np.arange(len(sentences), dtype=np.float32)
    both = split_examples(
        Examples([" ".join(words) for words in sentences.words], labels=numbers), share=share, seed=seed
    )
    return [sentences[each.labels.astype(int)] for each in both]
