"""A predicted stretch of tokens back to the original text.

WordPiece's as run_squad.py does it (get_final_text):

    tokens "steve smith", the words they are of "Steve Smith's" -> "Steve Smith"

The predicted text is looked for in the words as the tokenizer normalizes them; where these have as many characters as
the original, spaces aside, the characters are taken to correspond. Where not, the words stand as they are. The tokens
of other kinds stand where their offsets say.
"""

import bisect

from keras_bert.tasks.answer.word_places import WordPlaces


def texts_for(tokenizer, *, log=None):
    """Returns what finds the texts of a Tokenizer's tokens; see `Texts`."""
    return Texts(tokenizer, log=log) if tokenizer.kind == "wordpiece" else PlacedTexts(tokenizer)


class Texts:
    """Finds texts for stretches of a context's tokens; what the words become is kept from one to the next.

    Args:
        tokenizer: the Tokenizer that made the tokens.
        log: callable(line), told of each text that could not be aligned, or None.
    """

    def __init__(self, tokenizer, *, log=None):
        self.tokenizer, self.log = tokenizer, log
        self._normal = {}  # word -> its basic tokens, joined by spaces

    def find(self, features, context, first, last):
        """Returns the text of tokens and where it stands.

        Args:
            features: the Features.
            context: the Context.
            first, last: the places of the first and the last token among all of the Features.

        Returns:
            text, start, end: str and the characters of the context from which on and before which it stands;
            context.text[start:end] is the text, but for white space, of which the text has single spaces.
        """
        first_word, last_word = features.words[first].item(), features.words[last].item()
        words = context.words[first_word : last_word + 1]
        original = " ".join(words)
        normal = " ".join(filter(None, map(self._normalized, words)))
        start, end = final_span(self.joined(features.ids[first : last + 1].tolist()), original, normal, log=self.log)
        begins, place = [], 0
        for word in words:
            begins.append(place)
            place += len(word) + 1

        def in_context(place):
            word = bisect.bisect_right(begins, place) - 1
            return context.starts[first_word + word] + place - begins[word]

        return original[start:end], in_context(start), in_context(end - 1) + 1

    def joined(self, ids):
        """Returns tokens as run_squad.py joins them: pieces to words, words by single spaces."""
        tokens = self.tokenizer.vocabulary.tokens
        text = " ".join([tokens[index] for index in ids]).replace(" ##", "").replace("##", "")
        return " ".join(text.split())

    def _normalized(self, word):
        normal = self._normal.get(word)
        if normal is None:
            normal = self._normal[word] = " ".join(self.tokenizer.basic_tokens(word))
        return normal


class PlacedTexts:
    """Finds texts by where tokens stand in their words.

    Args:
        tokenizer: the Tokenizer that made the tokens.
    """

    def __init__(self, tokenizer):
        self._places = WordPlaces(tokenizer)

    def find(self, features, context, first, last):
        """Returns the text of tokens and where it stands; see `Texts.find`.

        Tokens at either end that have no character of their own, such as "▁", count for nothing: "Normandy ▁" is
        "Normandy". Of tokens that have none at all the words are the text.
        """
        tokens = [
            (word, *self._places[context.words[word]][piece])
            for word, piece in zip(
                *(each[first : last + 1].tolist() for each in (features.words, features.pieces)), strict=True
            )
        ]
        filled = [(word, start, end) for word, start, end in tokens if start < end]
        if filled:
            (first_word, start, _), (last_word, _, end) = filled[0], filled[-1]
        else:
            first_word, last_word, start = tokens[0][0], tokens[-1][0], 0
            end = len(context.words[last_word])
        parts = context.words[first_word : last_word + 1]
        parts[-1] = parts[-1][:end]
        parts[0] = parts[0][start:]
        return " ".join(parts), context.starts[first_word] + start, context.starts[last_word] + end


def final_text(predicted, original, tokenizer):
    """Returns the part of the original text that a predicted text was made of, or all of it where they do not align.

    Args:
        predicted: tokens, pieces joined to words and words by single spaces.
        original: the words they are of, joined by single spaces.
        tokenizer: the Tokenizer.

    Example:
        >>> from keras_bert.text.tokenizer import Tokenizer
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
        >>> final_text("steve smith", "Steve Smith's", Tokenizer(Vocabulary(SPECIAL_TOKENS)))
        'Steve Smith'
    """
    start, end = final_span(predicted, original, " ".join(tokenizer.basic_tokens(original)))
    return original[start:end]


def final_span(predicted, original, normal, *, log=None):
    """Returns the start and the end in the original of what a predicted text was made of.

    Args:
        predicted, original: see `final_text`.
        normal: the original's basic tokens, joined by single spaces.
        log: callable(line), told why the whole original is returned, or None.
    """
    at = normal.find(predicted)
    reason = None
    if at < 0 or not predicted:
        reason = f"Unable to find text: {predicted!r} in {original!r}"
    elif len(original) - original.count(" ") != len(normal) - normal.count(" "):
        reason = f"Length not equal after stripping spaces: {original!r} vs {normal!r}"
    if reason is not None:
        if log is not None:
            log(reason)
        return 0, len(original)
    places = [place for place, character in enumerate(original) if character != " "]
    first = at - normal.count(" ", 0, at)
    return places[first], places[first + len(predicted) - predicted.count(" ") - 1] + 1
