"""The row of paired ranking, and its model: a score for each text, learnt from which of two is better."""

import keras

from keras_bert.data.texts import text_rows
from keras_bert.models import MultipleChoice
from keras_bert.tasks.predicting import predict_rows
from keras_bert.tasks.task import Task


@keras.saving.register_keras_serializable(package="further")
class PairedRanker(MultipleChoice):
    """The head of multiple choice: of two texts the better one is the choice (Bradley and Terry 1952)."""

    TASK, HEAD = "rank", "choose"


def scores_of(model, tokenizer, texts, *, max_seq_length, batch_size=32, progress=None):
    """Returns a score for each text, float32 (N,)."""
    rows = text_rows(texts, tokenizer, max_seq_length=max_seq_length)
    options = {"max_seq_length": max_seq_length, "batch_size": batch_size, "pad_id": tokenizer.pad_id}
    return predict_rows(model, rows, num_choices=1, progress=progress, stage="score", **options)[:, 0]


def _scores(model, tokenizer, batch_size, *, max_seq_length):
    def answer(rows):
        texts = [row["text"] for row in rows]
        scores = scores_of(model, tokenizer, texts, max_seq_length=max_seq_length, batch_size=batch_size)
        return [{"text": text, "score": round(float(score), 6)} for text, score in zip(texts, scores, strict=True)]

    return answer


def _read(row, answer):
    yield f"{row['text']}  {answer['score']:.4f}"


TASK = Task(
    name="rank",
    model=PairedRanker,
    made_by_settings=True,
    answerer=_scores,
    flags=("max_seq_length",),
    to_read=_read,
    says=lambda model: "a score, the higher the better",
    longer="cut",
)
