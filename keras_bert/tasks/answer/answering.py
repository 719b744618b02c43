"""Answers to questions in Python: a fine-tuned SpanLabeler, questions and contexts in, texts and places out."""

import dataclasses

from keras_bert.checkpoints import open_checkpoint
from keras_bert.errors import UserError
from keras_bert.tasks.answer.examples import Context, Example
from keras_bert.tasks.answer.features import default_query_length
from keras_bert.tasks.answer.training import Questions
from keras_bert.text.vocabulary import check_fits, check_special_ids


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer and its place in the context as it was given.

    Attributes:
        text: `context[start:end]`; "" where the model finds no answer.
        score: its probability among the best answers, 0 to 1.
        start, end: the characters of the context from which on and before which it stands; None for no answer.
    """

    text: str
    score: float
    start: int | None = None
    end: int | None = None


class Answerer:
    """Answers questions from contexts of any length.

    Args:
        model: a SpanLabeler. One that was trained on SQuAD 2.0 may find no answer: it has a
            `null_score_diff_threshold`.
        tokenizer: its Tokenizer.
        max_seq_length: the longest window of a context that is read at a time, with the question; None takes 384, or
            all that the model can read.
        doc_stride: by how many tokens the next window begins later.
        max_query_length: longer questions are cut to it; None takes 64, and less with short windows.
        n_best_size: the best answers that share the probability.
        max_answer_length: tokens of the longest answer.
        threshold: the null odds over which there is no answer; None takes the model's.
        batch_size: windows at a time.

    Raises:
        UserError: a vocabulary of another size than the model's, or lengths that it cannot read.

    Example:
        >>> from keras_bert.config import Config
        >>> from keras_bert.models import Encoder, SpanLabeler
        >>> from keras_bert.text.tokenizer import Tokenizer
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
        >>> tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "who", "?", "it", "was", "rollo", "."]))
        >>> model = SpanLabeler(Encoder(Config.from_name("tiny", vocab_size=11)))
        >>> context = "It was Rollo."
        >>> answer = Answerer(model, tokenizer)("Who?", context)
        >>> answer.text == context[answer.start : answer.end]
        True
    """

    def __init__(
        self,
        model,
        tokenizer,
        *,
        max_seq_length=None,
        doc_stride=128,
        max_query_length=None,
        n_best_size=20,
        max_answer_length=30,
        threshold=None,
        batch_size=32,
    ):
        config = model.bert_config
        longest = config.max_length
        check_fits(len(tokenizer), config.vocab_size)
        check_special_ids(tokenizer, config)
        max_seq_length = min(384, longest) if max_seq_length is None else max_seq_length
        if max_seq_length > longest:
            raise UserError(
                f"max_seq_length must be at most {longest}, the most tokens that the model reads. "
                f"Received: {max_seq_length}."
            )
        self.model, self.tokenizer = model, tokenizer
        self.threshold = model.null_score_diff_threshold if threshold is None else threshold
        if max_query_length is None:
            max_query_length = default_query_length(max_seq_length, tokenizer.layout)
        self.options = {
            "max_seq_length": max_seq_length,
            "doc_stride": doc_stride,
            "max_query_length": max_query_length,
            "n_best_size": n_best_size,
            "max_answer_length": max_answer_length,
            "version_2_with_negative": self.threshold is not None,
            "batch_size": batch_size,
        }

    @classmethod
    def from_pretrained(cls, path, **options):
        """Loads the model and the tokenizer of a model directory.

        Args:
            path: what `SpanLabeler.from_pretrained` takes, with a vocabulary beside the weights.
            **options: the constructor's; lengths that are not given are those that `keras-bert answer` trained with.

        Raises:
            UserError: no model there, or one that was never trained to answer questions.
        """
        from keras_bert.text.tokenizer import Tokenizer

        reading = open_checkpoint(path).task.get("reading") or {}
        return cls(load_span_labeler(path), Tokenizer.from_pretrained(path), **{**reading, **options})

    def __call__(self, question, context):
        """Answers a question, or several.

        Args:
            question: a str, or a list of str.
            context: a str, which may hold the answers to all of them, or a list of as many str.

        Returns:
            An Answer, or a list of them.

        Raises:
            UserError: other things than strings, lists of different lengths, or a context without words.
        """
        examples = _examples(question, context)
        if not examples:
            return []
        asked = Questions(examples, self.tokenizer, **self.options)
        windows = asked.features.of_examples(len(examples))
        for number in range(len(examples)):
            if windows[number] == windows[number + 1]:
                raise UserError(f"The context of question {number} has no words to answer from; give some text.")
        answers = [
            _placed(prediction.answer(self.threshold or 0.0), example.context.text)
            for prediction, example in zip(asked.predict(self.model), examples, strict=True)
        ]
        return answers[0] if isinstance(question, str) else answers


def answer(model, tokenizer, question, context, **options):
    """Answers a question from a context, or several: `Answerer(model, tokenizer, **options)(question, context)`."""
    return Answerer(model, tokenizer, **options)(question, context)


def load_span_labeler(path, **options):
    """Loads a SpanLabeler that was trained to answer questions.

    Args:
        path, options: what `SpanLabeler.from_pretrained` takes.

    Raises:
        UserError: what it raises, or a checkpoint without the head.
    """
    from keras_bert.models import SpanLabeler

    model = SpanLabeler.from_pretrained(path, **options)
    missing = [name for name in model.load_report.new if name in {weight.name for weight in model.head_weights()}]
    if missing:
        raise UserError(
            f"{path} cannot answer questions: it lacks {', '.join(missing)}; fine-tune it (keras-bert answer)."
        )
    return model


def _examples(question, context):
    """Returns an Example for each question; one context stands for all of them."""
    questions = _texts(question, "question")
    contexts = [Context(text) for text in _texts(context, "context")]
    if isinstance(context, str):
        contexts *= len(questions)
    if len(questions) != len(contexts) or (isinstance(question, str) and not isinstance(context, str)):
        raise UserError(
            f"Give one context, or one a question. Received: {len(questions)} questions, {len(contexts)} contexts."
        )
    return [Example(str(number), *both) for number, both in enumerate(zip(questions, contexts, strict=True))]


def _texts(given, what):
    """Returns one str or several as a list, or raises a UserError that names what is none."""
    texts = list(given) if isinstance(given, (list, tuple)) else [given]
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise UserError(f"Questions and contexts must be strings. The {what} {number} is {text!r:.80}.")
    return texts


def _placed(candidate, context):
    """Returns an Answer, its text as it stands in the context."""
    if candidate.start is None:
        return Answer("", candidate.probability)
    return Answer(context[candidate.start : candidate.end], candidate.probability, candidate.start, candidate.end)
