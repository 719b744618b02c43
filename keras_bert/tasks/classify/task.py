"""The row of classifying: what a classifier is asked, and how it answers."""

from keras_bert.models import Classifier
from keras_bert.tasks.classify.examples import Examples
from keras_bert.tasks.classify.training import predict_logits, prediction_columns
from keras_bert.tasks.inputs import check_length
from keras_bert.tasks.table import shorten
from keras_bert.tasks.task import STRING, Task, percent
from keras_bert.tasks.windows import check_windows

SHOWN = 5  # classes on a terminal


def _classes(model, tokenizer, batch_size, **reading):
    check_length(model.bert_config, reading["max_seq_length"], layout=tokenizer.layout)
    lengths = (reading[name] for name in ("max_seq_length", "long_texts", "doc_stride"))
    check_windows(*lengths, texts=1 + model.pair, layout=tokenizer.layout)

    def answer(rows):
        pairs = [row["pair"] for row in rows] if "pair" in rows[0] else None
        examples = Examples([row["text"] for row in rows], pairs)
        logits = predict_logits(model, examples, tokenizer, batch_size=batch_size, **reading)
        columns = prediction_columns(examples, logits, model.labels, kind=model.kind)
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    return answer


def _read_classes(row, answer):
    yield " | ".join(row[name] for name in ("text", "pair") if name in row)
    if "score" in answer:
        yield f"  {answer['score']:.4f}"
        return
    best = sorted(answer["probabilities"].items(), key=lambda pair: -pair[1])
    chosen = f"{', '.join(answer['labels']) or 'none'}: " if "labels" in answer else ""
    more = ", ..." if len(best) > SHOWN else ""
    yield f"  {chosen}{', '.join(f'{name} {percent(share)}' for name, share in best[:SHOWN])}{more}"


def _say_classes(model):
    if model.kind == "regression":
        return "a number"
    one = "one of {} classes" if model.kind == "classes" else "any of {} labels"
    return f"{one.format(len(model.labels))}: {shorten(model.labels)}"


TASK = Task(
    name="classify",
    model=Classifier,
    fields={"text": STRING, "pair": STRING},
    asked="a string, or a pair of strings",
    reading={"max_seq_length": 128, "long_texts": "cut", "doc_stride": None},
    made_by_settings=True,
    takes_pairs=True,
    answerer=_classes,
    flags=("text_column", "pair_column", "max_seq_length", "long_texts", "doc_stride"),
    columns={"text_column": "text", "pair_column": None, "label_separator": ","},  # where keras-bert classify kept none
    to_read=_read_classes,
    says=_say_classes,
    longer=None,
)
