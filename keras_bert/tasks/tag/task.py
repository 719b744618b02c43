"""The row of tagging: what a tagger is asked, and how it answers."""

from keras_bert.models import TokenClassifier
from keras_bert.tasks.inputs import check_length
from keras_bert.tasks.table import shorten
from keras_bert.tasks.tag.conll_tags import OUTSIDE
from keras_bert.tasks.tag.tagging import predict_tags, word_places
from keras_bert.tasks.task import Task, percent


def _tags(model, tokenizer, batch_size, *, max_seq_length, by_character):
    check_length(model.bert_config, max_seq_length, layout=tokenizer.layout)
    options = {"max_seq_length": max_seq_length, "batch_size": batch_size, "joined": by_character}

    def answer(rows):
        texts = [row["text"] for row in rows]
        places = [word_places(text, by_character) for text in texts]
        words = [[text[slice(*place)] for place in of_text] for text, of_text in zip(texts, places, strict=True)]
        found = predict_tags(model, tokenizer, words, **options)
        return [
            {"text": text, "tokens": [_token(text, *each) for each in zip(of_text, *tagged, strict=True)]}
            for text, of_text, *tagged in zip(texts, places, *found, strict=True)
        ]

    return answer


def _token(text, place, tag, score):
    start, end = place
    score = 0.0 if score != score else round(float(score), 6)  # of a word without a piece it is not a number
    return {"token": text[start:end], "start": start, "end": end, "label": tag, "score": score}


def _read_tags(row, answer):
    yield row["text"]
    found = [token for token in answer["tokens"] if token["label"] != OUTSIDE]
    for token in found:
        yield f"  {token['token']}  {token['label']} {percent(token['score'])}"
    if not found:
        yield "  nothing found"


def _say_tags(model):
    return f"one of {len(model.labels)} tags for each word: {shorten(model.labels)}"


TASK = Task(
    name="tag",
    older=("ner",),
    model=TokenClassifier,
    reading={"max_seq_length": 128, "by_character": False},
    made_by_settings=True,
    answerer=_tags,
    flags=("text_column", "max_seq_length", "by_character"),
    to_read=_read_tags,
    says=_say_tags,
)
