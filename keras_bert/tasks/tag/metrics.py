"""Figures of tagged sentences: precision, recall and F1 of whole entities, and accuracy of words, as seqeval has them.

seqeval itself is not asked: there is but a source distribution of it, which pip 23 cannot build beside a new setuptools
and wheel. The tests compare with it.

Legend: N sentences.
"""

from collections import Counter

from keras_bert.tasks.tag.conll_tags import PLAIN, entities, strict_entities


def tagging_metrics(true, said, *, scheme="BIO", strict=False):
    """Measures tags against true ones.

    Args:
        true, said: lists of N sentences' tags.
        scheme: the scheme of both; of "none", plain tags, there are no entities but the words.
        strict: whether only what is tagged by the scheme's rules is an entity, as in seqeval's strict mode; its default
            mode, and conlleval, let one begin with an I too.

    Returns:
        {"f1", "precision", "recall", "accuracy", "by_type"}: an entity is right if its type and all its words are; F1
        and the like are over all entities (micro), 0 where there is nothing to count; the accuracy is that of words.
        by_type has the same and "support", the true entities, of each type. For plain tags "accuracy" and "by_type"
        alone, the latter by tag.

    Example:
        >>> figures = tagging_metrics([["B-PER", "I-PER", "O", "B-LOC"]], [["B-PER", "O", "O", "B-LOC"]])
        >>> figures["f1"], figures["accuracy"], figures["by_type"]["LOC"]["support"]
        (0.5, 0.75, 1)
    """
    words = [(t, s) for of_true, of_said in zip(true, said, strict=True) for t, s in zip(of_true, of_said, strict=True)]
    accuracy = sum(t == s for t, s in words) / max(1, len(words))
    find = strict_entities if strict else entities
    found = [
        {(number, *entity) for number, tags in enumerate(sentences) for entity in _units(tags, scheme, find)}
        for sentences in (true, said)
    ]
    there, told, right = (Counter(kind for _, kind, *_ in units) for units in (*found, found[0] & found[1]))
    kinds = sorted(there | told)
    by_type = {kind: _figures(there[kind], told[kind], right[kind]) for kind in kinds}
    if scheme == PLAIN:
        return {"accuracy": accuracy, "by_type": by_type}
    overall = _figures(there.total(), told.total(), right.total())
    del overall["support"]
    return {**overall, "accuracy": accuracy, "by_type": by_type}


def type_table(by_type):
    """Yields the figures of each type as a line of text, the most frequent first.

    >>> list(type_table({"LOC": {"precision": 1.0, "recall": 0.5, "f1": 0.6667, "support": 2}}))
    ['LOC  precision 1.0000, recall 0.5000, F1 0.6667 of 2']
    """
    width = max(map(len, by_type), default=0)
    for kind, figures in sorted(by_type.items(), key=lambda item: (-item[1]["support"], item[0])):
        numbers = f"precision {figures['precision']:.4f}, recall {figures['recall']:.4f}, F1 {figures['f1']:.4f}"
        yield f"{kind:<{width}}  {numbers} of {figures['support']:,}"


def _units(tags, scheme, find):
    """Returns what is counted in a sentence, (type, start, end): the entities, or each word."""
    if scheme == PLAIN:
        return [(tag, place, place + 1) for place, tag in enumerate(tags)]
    return find(tags, scheme)


def _figures(there, told, right):
    """Returns the figures of so many true units, said ones, and right ones."""
    precision, recall = right / max(1, told), right / max(1, there)
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return {"f1": f1, "precision": precision, "recall": recall, "support": there}
