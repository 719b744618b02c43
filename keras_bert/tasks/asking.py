"""Fine-tuned models asked in Python, whatever they are for: what `kb.predict` and `keras-bert predict` give.

The answers' names are those of the SavedModel's outputs; the probabilities of classes stand by name.
"""

from collections.abc import Iterable, Mapping, Set

from keras_bert.data.texts import with_pairs
from keras_bert.errors import UserError
from keras_bert.tasks.inputs import check_vocabulary
from keras_bert.tasks.rows import task_saved_as


def reading_of(model, given=None):
    """Returns how a model reads texts, {name: value}: as given, else as its training kept it, else its task's way.

    Args:
        model: a fine-tuned model.
        given: {name: value}; None as a value says nothing. Names that the task does not know are left out.
    """
    task, given, kept = task_saved_as(model.TASK), given or {}, getattr(model, "reading", None) or {}
    reading = {}
    for name, value in task.reading.items():
        known = [each[name] for each in (given, kept) if each.get(name) is not None]
        reading[name] = known[0] if known else value
    if given.get("max_seq_length") is None:
        reading["max_seq_length"] = min(reading["max_seq_length"], model.bert_config.max_length)
    return reading


def answerer(model, tokenizer, *, batch_size=32, **reading):
    """Returns a function that asks a model: callable(list of rows, dicts with the task's fields) -> list of dicts.

    Args:
        model: a fine-tuned model.
        tokenizer: its Tokenizer.
        batch_size: rows that the model reads at a time.
        **reading: all that the task's `reading` names.
    """
    check_vocabulary(model.bert_config, tokenizer)
    return task_saved_as(model.TASK).answerer(model, tokenizer, batch_size, **reading)


def predict(model, tokenizer, texts, pairs=None, *, batch_size=32, **reading):
    """Asks a fine-tuned model, whatever it was trained for.

    | model | `texts`, and `pairs` | an answer |
    |---|---|---|
    | Classifier | texts, or pairs of texts | {"text", "label", "probability", "probabilities": {class: p}} |
    | of several labels | | {"text", "labels": [...], "probabilities": {class: p}} |
    | a regressor | | {"text", "score"} |
    | TokenClassifier | texts | {"text", "tokens": [{"token", "start", "end", "label", "score"}, ...]} |
    | SpanLabeler | questions, contexts | {"text", "score", "start", "end"}; -1 for no answer |
    | MultipleChoice | contexts, lists of choices | {"choice", "probabilities": [...]} |

    Args:
        model: one of these.
        tokenizer: its Tokenizer.
        texts: iterable of str, of (text, pair) tuples, or of dicts: {"text", "pair"}, {"question", "context"} or
            {"context", "choices"}.
        pairs: as many second texts, contexts or lists of choices, instead of tuples; or None.
        batch_size: texts that the model reads at a time.
        **reading: "max_seq_length", and by the model "long_texts" ("cut" or "windows"), "doc_stride",
            "max_query_length" and "by_character". What is left out is as the training command kept it in the model
            directory, else the command's default. Longer texts are cut, those of taggers and readers read in windows.

    Returns:
        A list with a dict for each text, in order; what `keras-bert predict` writes.

    Raises:
        UserError: a model that answers nothing by itself, texts of another kind than it takes, or an option or a
            length that it does not know.

    Example:
        >>> from keras_bert.config import Config
        >>> from keras_bert.models import Classifier, Encoder
        >>> from keras_bert.text.tokenizer import Tokenizer
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
        >>> tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "good", "bad"]))
        >>> encoder = Encoder(Config.from_name("L-1_H-64", vocab_size=7))
        >>> [answer] = predict(Classifier(encoder, 2, labels=["no", "yes"]), tokenizer, ["good"])
        >>> sorted(answer), sorted(answer["probabilities"])
        (['label', 'probabilities', 'probability', 'text'], ['no', 'yes'])
    """
    task = task_saved_as(getattr(model, "TASK", None))
    if task is None or task.answerer is None:
        raise UserError(
            f"kb.predict asks fine-tuned models. Received: {type(model).__name__}; kb.embed gives vectors, "
            "kb.fill_mask the words behind [MASK], and model.predict what a Keras model computes."
        )
    unknown = [name for name in reading if name not in task.reading]
    if unknown:
        raise UserError(
            f"{unknown[0]} means nothing to {type(model).__name__}, which takes {', '.join(task.reading)}; leave it "
            "out."
        )
    rows = _rows(texts, pairs, task)
    answer = answerer(model, tokenizer, batch_size=batch_size, **reading_of(model, reading))
    return answer(rows) if rows else []


def _rows(texts, pairs, task):
    """Returns {field: value} of each text, or raises a UserError that names the first that the task is not asked by."""
    if (
        isinstance(texts, (str, bytes, Mapping, Set))
        or not isinstance(texts, Iterable)
        or getattr(texts, "ndim", 1) != 1
    ):
        raise UserError(f"texts must be a list, a text for each answer. Received: {texts!r:.80}.")
    texts = with_pairs(texts, pairs)
    rows = [_row(text, tuple(task.fields)) for text in texts]
    for number, row in enumerate(rows):
        if row is None or row.keys() != rows[0].keys():
            kind = "of the fields that the first one has" if row else task.asked
            raise UserError(f"texts[{number}] must be {kind}. Received: {texts[number]!r:.80}.")
    return rows


def _row(text, fields):
    """Returns {field: value} of a text, a tuple or a dict; None if it is of another kind."""
    if isinstance(text, Mapping):
        values = {name: text[name] for name in fields if name in text}
    else:
        values = dict(zip(fields, text if isinstance(text, (tuple, list)) else (text,), strict=False))
        if isinstance(text, (tuple, list)) and len(text) != len(values):
            return None
    needed = 1 if "pair" in fields else len(fields)
    fits = all(_are_choices(value) if name == "choices" else isinstance(value, str) for name, value in values.items())
    return values if fits and len(values) >= needed and fields[0] in values else None


def _are_choices(value):
    return isinstance(value, (list, tuple)) and len(value) > 1 and all(isinstance(choice, str) for choice in value)
