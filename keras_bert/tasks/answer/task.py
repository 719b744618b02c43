"""The row of answering questions: what a SpanLabeler is asked, and how it answers."""

from keras_bert.models import SpanLabeler
from keras_bert.tasks.answer.answering import Answerer
from keras_bert.tasks.answer.examples import Context, Example
from keras_bert.tasks.answer.features import check_lengths
from keras_bert.tasks.answer.training import Questions
from keras_bert.tasks.task import STRING, Task, percent


def _spans(model, tokenizer, batch_size, **reading):
    asked = Answerer(model, tokenizer, batch_size=batch_size, **reading)
    lengths = (asked.options[name] for name in ("max_seq_length", "doc_stride", "max_query_length"))
    check_lengths(*lengths, layout=tokenizer.layout)

    def answer(rows):
        contexts = {row["context"]: Context(row["context"]) for row in rows}
        examples = [Example(str(n), row["question"], contexts[row["context"]]) for n, row in enumerate(rows)]
        found = Questions(examples, tokenizer, **asked.options).predict(model)
        return [_span(row["context"], each, asked.threshold or 0.0) for row, each in zip(rows, found, strict=True)]

    return answer


def _span(context, prediction, threshold):
    best = prediction.answer(threshold)
    is_answer = best.start is not None
    answer = {
        "text": context[best.start : best.end] if is_answer else "",
        "score": round(best.probability, 6),
        "start": best.start if is_answer else -1,
        "end": best.end if is_answer else -1,
    }
    return answer if prediction.null_odds is None else {**answer, "null_score": round(prediction.null_odds, 6)}


def _read_span(row, answer):
    yield row["question"]
    yield f"  {answer['text'] or 'no answer'} {percent(answer['score'])}"


def _say_span(model):
    return "a part of the context" + (", or none" if model.null_score_diff_threshold is not None else "")


TASK = Task(
    name="answer",
    older=("squad",),
    model=SpanLabeler,
    fields={"question": STRING, "context": STRING},
    asked="a (question, context) pair of strings",
    reading={"max_seq_length": 384, "doc_stride": 128, "max_query_length": None},
    answerer=_spans,
    flags=("max_seq_length", "doc_stride", "max_query_length"),
    to_read=_read_span,
    says=_say_span,
)
