"""Tags for words in Python: batches, training, tags of words, measuring, and entities in raw text.

N sentences.
"""

import re

import numpy as np

from keras_bert.data.batches import padded_batches
from keras_bert.errors import UserError
from keras_bert.tasks.inputs import check_labelled
from keras_bert.tasks.tag.conll import Sentences
from keras_bert.tasks.tag.conll_tags import PLAIN, entities, tag_names
from keras_bert.tasks.tag.files import scheme_of
from keras_bert.tasks.tag.metrics import tagging_metrics
from keras_bert.tasks.tag.pieces import encode_words
from keras_bert.text import characters
from keras_bert.text.characters import regex_class
from keras_bert.text.vocabulary import check_fits, check_special_ids

LONGEST = 128  # pieces of a window, where nobody says


def word_pattern(class_of):
    """Returns a regular expression for what newspapers' tokenizers take for a word.

    Marks inside stay ("U.S", "don't"), those around it are words themselves, and so are ideographs.

    Args:
        class_of: callable(ranges) -> the inside of a character class, as the engine writes it.
    """
    cjk, mark = class_of(characters.CJK), class_of(characters.PUNCTUATION)
    letter = f"[^{class_of(characters.WHITE_SPACE)}{cjk}{mark}]"
    return f"{letter}+(?:[{mark}]+{letter}+)*|[{cjk}{mark}]"


_WORD = re.compile(word_pattern(regex_class))


def main_metric(names):
    """Returns the figure that a tagger is chosen by: "f1", or "accuracy" where its tags are plain."""
    return "accuracy" if scheme_of(names) == PLAIN else "f1"


def dataset(sentences, tokenizer, names, *, max_seq_length=LONGEST, batch_size=32, shuffle=None, seed=0, **options):
    """Makes batches for `fit` and `evaluate`.

    Args:
        sentences: Sentences with tags.
        tokenizer: a Tokenizer.
        names: the tags' names, whose places are the labels.
        max_seq_length: longer sentences become several windows, and each word is learnt in one.
        batch_size: B.
        shuffle: a new order each pass; None shuffles.
        seed: of that order.
        **options: further ones of `padded_batches`.

    Returns:
        A tf.data.Dataset of ({"input_ids", "input_mask", "segment_ids": int32 (B, S)}, labels int32 (B, S)); labels are
        -100 but at the first piece of a word.
    """
    pieces = encode_words(sentences.words, tokenizer, max_seq_length=max_seq_length, joined=sentences.joined)
    options |= {"max_seq_length": max_seq_length, "batch_size": batch_size, "shuffle": shuffle, "seed": seed}
    return padded_batches(pieces.rows, pieces.token_labels(sentences.tags, names), pad_id=tokenizer.pad_id, **options)


def train(
    model,
    tokenizer,
    training,
    held_out,
    options=None,
    *,
    names=None,
    max_seq_length=LONGEST,
    eval_batch_size=8,
    strict=False,
    on_start=None,
    progress=None,
    **given,
):
    """Fine-tunes a tagger once for each seed and keeps the best on the held-out sentences, by F1 (or accuracy).

    Args:
        model: callable() -> TokenClassifier before training, such as `model_maker` gives; or the path of a checkpoint.
        tokenizer: the Tokenizer of its vocabulary.
        training, held_out: Sentences with tags.
        options: a FineTuning; None for its defaults.
        names: the tags' names; None takes those of `training`.
        max_seq_length: longer sentences become windows.
        eval_batch_size: rows of the held-out sentences at a time.
        strict: see `tagging_metrics`.
        on_start, progress, **given: see `best_of_runs`.

    Returns:
        A BestRun, whose results have the figures of `tagging_metrics` and "loss", the mean cross-entropy of a word's
        tag, and whose outputs are the tags of the held-out sentences.
    """
    from keras_bert.models import TokenClassifier
    from keras_bert.tasks.runs import Learnable, best_of_runs, maker_of
    from keras_bert.training.finetune_options import FineTuning

    check_labelled(training, Sentences, what="training", labels="tags")
    check_labelled(held_out, Sentences, what="held_out", labels="tags")
    # Keras' accuracy would count the pieces that have no label
    options = FineTuning.of(options, **{"metrics": (), **given})
    names = tag_names(training.tags, training.scheme) if names is None else list(names)
    taught, asked = (
        encode_words(each.words, tokenizer, max_seq_length=max_seq_length, joined=training.joined)
        for each in (training, held_out)
    )
    labels, scheme = taught.token_labels(training.tags, names), scheme_of(names)

    def make_dataset(seed, batch_size):
        options = {"pad_id": tokenizer.pad_id, "max_seq_length": max_seq_length, "seed": seed}
        return padded_batches(taught.rows, labels, batch_size=batch_size, **options)

    def predict(model):
        return _logits(model, tokenizer, asked, max_seq_length=max_seq_length, batch_size=eval_batch_size)

    def measure(logits):
        figures = tagging_metrics(held_out.tags, asked.word_tags(logits, names)[0], scheme=scheme, strict=strict)
        del figures["by_type"]
        return {**figures, "loss": asked.cross_entropy(logits, held_out.tags, names)}

    learnable = Learnable(make_dataset=make_dataset, predict=predict, measure=measure, metric=main_metric(names))

    def head(encoder):
        return TokenClassifier(encoder, len(names), labels=names)

    make_model = maker_of(model, TokenClassifier, tokenizer, max_seq_length=max_seq_length, head=head)
    best = best_of_runs(make_model, learnable, options, on_start=on_start, progress=progress)
    best.outputs, _ = asked.word_tags(best.outputs, names)
    best.results["by_type"] = tagging_metrics(held_out.tags, best.outputs, scheme=scheme, strict=strict)["by_type"]
    return best


def predict_tags(model, tokenizer, sentences, *, max_seq_length=None, batch_size=32, joined=None, progress=None):
    """Tags sentences of words.

    Args:
        model: a TokenClassifier.
        tokenizer: its Tokenizer.
        sentences: Sentences, or lists of str.
        max_seq_length: longer sentences become windows; None takes 128, or all that the model reads if that is less.
        batch_size: rows at a time.
        joined: whether the words stand together as they are; None looks whether there are spaces among them.
        progress: called as progress(stage, done, total, "example") after each batch.

    Returns:
        tags, scores: lists of N lists of tags (the model's, in BIO), and of float arrays of their probabilities (NaN
        for a word without a piece).
    """
    if not isinstance(sentences, Sentences):
        sentences = Sentences([list(words) for words in sentences])
    joined = sentences.joined if joined is None else joined
    max_seq_length = _length(model, tokenizer, max_seq_length)
    pieces = encode_words(sentences.words, tokenizer, max_seq_length=max_seq_length, joined=joined)
    sizes = {"max_seq_length": max_seq_length, "batch_size": batch_size}
    logits = _logits(model, tokenizer, pieces, **sizes, progress=progress)
    return pieces.word_tags(logits, model.labels)


def evaluate(model, tokenizer, sentences, *, strict=False, **options):
    """Measures a model on tagged sentences.

    Args:
        model: a TokenClassifier.
        tokenizer: its Tokenizer.
        sentences: Sentences with tags.
        strict: see `tagging_metrics`.
        **options: those of `predict_tags`.

    Returns:
        The figures of `tagging_metrics`.
    """
    tags, _ = predict_tags(model, tokenizer, sentences, **options)
    return tagging_metrics(sentences.tags, tags, scheme=scheme_of(model.labels), strict=strict)


def tag(model, tokenizer, texts, *, by_character=False, max_seq_length=None, batch_size=32, progress=None):
    """Finds the entities of raw texts.

    Args:
        model: a TokenClassifier with tags of entities, or plain ones, of which each word then has one.
        tokenizer: its Tokenizer.
        texts: a str, or a list of str.
        by_character: whether the model was taught characters, spaces among them, as with KLUE's files.
        max_seq_length, batch_size, progress: see `predict_tags`.

    Returns:
        A list of {"text", "type", "start", "end", "score"} for each text (of one str the one list): the place in the
        text, `text[start:end]`, and the mean probability of the words' tags.

    Example:
        >>> from keras_bert.config import Config
        >>> from keras_bert.models import Encoder, TokenClassifier
        >>> from keras_bert.text.tokenizer import Tokenizer
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
        >>> tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "jim", "sings"]))
        >>> encoder = Encoder(Config.from_name("L-1_H-64", vocab_size=7))
        >>> model = TokenClassifier(encoder, 2, labels=["B-WHO", "I-WHO"])
        >>> [(found["text"], found["type"]) for found in tag(model, tokenizer, "jim")]
        [('jim', 'WHO')]
    """
    if isinstance(texts, str):
        options = {"by_character": by_character, "max_seq_length": max_seq_length, "batch_size": batch_size}
        return tag(model, tokenizer, [texts], progress=progress, **options)[0]
    texts = list(texts)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise UserError(f"texts must be strings. Entry {number} is {text!r:.80}.")
    if not texts:
        return []
    places = [word_places(text, by_character) for text in texts]
    words = [[text[start:end] for start, end in spans] for text, spans in zip(texts, places, strict=True)]
    options = {"max_seq_length": max_seq_length, "batch_size": batch_size, "progress": progress}
    tags, scores = predict_tags(model, tokenizer, words, joined=by_character, **options)
    found = entities if scheme_of(model.labels) != PLAIN else _single_words
    return [
        [_entity(text, spans, each, of_words) for each in found(of_text)]
        for text, spans, of_text, of_words in zip(texts, places, tags, scores, strict=True)
    ]


def word_places(text, by_character=False):
    """Returns the (start, end) of each word of a text, or of each character.

    >>> word_places("Don't go, Jim!")
    [(0, 5), (6, 8), (8, 9), (10, 13), (13, 14)]
    """
    if by_character:
        return [(place, place + 1) for place in range(len(text))]
    return [match.span() for match in _WORD.finditer(text)]


def _single_words(tags):
    return [(tag, place, place + 1) for place, tag in enumerate(tags)]


def _entity(text, places, entity, scores):
    """Returns an entity of words as one of the text."""
    kind, first, last = entity
    start, end = places[first][0], places[last - 1][1]
    scores = scores[first:last]
    score = float(np.nanmean(scores)) if not np.isnan(scores).all() else None
    return {"text": text[start:end], "type": kind, "start": start, "end": end, "score": score}


def _logits(model, tokenizer, pieces, *, max_seq_length, batch_size, progress=None):
    """Returns a float32 array (S_r, C) for each row of pieces."""
    from keras_bert.tasks.predicting import predict_rows

    sizes = {"max_seq_length": max_seq_length, "batch_size": batch_size, "pad_id": tokenizer.pad_id}
    return predict_rows(model, pieces.rows, per_token=True, progress=progress, stage="tag", **sizes)


def _length(model, tokenizer, max_seq_length):
    """Returns the longest window, or raises a UserError if the model cannot read it or has another vocabulary."""
    config = model.bert_config
    check_fits(len(tokenizer), config.vocab_size)
    check_special_ids(tokenizer, config)
    if max_seq_length is None:
        return min(LONGEST, config.max_length)
    if max_seq_length > config.max_length:
        raise UserError(
            f"max_seq_length is {max_seq_length}, but the model reads {config.max_length} pieces at most; "
            "take a smaller one, longer texts become windows."
        )
    return max_seq_length
