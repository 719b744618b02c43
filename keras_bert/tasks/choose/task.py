"""The row of multiple choice: what a chooser is asked, and how it answers."""

from keras_bert.models import MultipleChoice
from keras_bert.tasks.choose.choices import predict_choices
from keras_bert.tasks.choose.files import Questions
from keras_bert.tasks.inputs import check_length
from keras_bert.tasks.task import STRING, STRINGS, Task, percent


def _choices(model, tokenizer, batch_size, *, max_seq_length):
    check_length(model.bert_config, max_seq_length, pair=True, layout=tokenizer.layout)
    options = {"max_seq_length": max_seq_length, "batch_size": batch_size}

    def answer(rows):
        counts = [len(row["choices"]) for row in rows]
        answers = [None] * len(rows)
        for count in set(counts):
            places = [place for place, of_row in enumerate(counts) if of_row == count]
            contexts, choices = ([rows[place][name] for place in places] for name in ("context", "choices"))
            shares = predict_choices(model, tokenizer, Questions(contexts, [""] * len(places), choices), **options)
            for place, of_row in zip(places, shares, strict=True):
                rounded = [round(float(share), 6) for share in of_row]
                answers[place] = {"choice": int(of_row.argmax()), "probabilities": rounded}
        return answers

    return answer


def _read_choice(row, answer):
    yield row["context"]
    best = sorted(zip(row["choices"], answer["probabilities"], strict=True), key=lambda pair: -pair[1])
    for choice, share in best:
        yield f"  {choice} {percent(share)}"


TASK = Task(
    name="choose",
    older=("swag", "multiple_choice"),
    model=MultipleChoice,
    fields={"context": STRING, "choices": STRINGS},
    asked="a context and a list of two or more choices, strings all of them",
    made_by_settings=True,
    answerer=_choices,
    flags=("max_seq_length",),
    to_read=_read_choice,
    says=lambda model: "one of the choices",
    longer="cut",
)
