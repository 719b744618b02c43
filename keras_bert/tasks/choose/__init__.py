"""Multiple choice: which of several endings fits, as in SWAG (Devlin et al. 2018, section 4.4).

    [CLS] He sat down at the table. [SEP] He began to eat. [SEP]      a row, and a number, for each choice:
    [CLS] He sat down at the table. [SEP] He flew away. [SEP]         the highest is the answer

    train = kb.swag.read_choices("swag/train.csv")
    model = kb.MultipleChoice.from_pretrained("uncased_L-12_H-768_A-12")
    model.compile(kb.adamw(2e-5, num_train_steps=13800, num_warmup_steps=1380), metrics=["accuracy"])
    model.fit(kb.swag.dataset(train, tokenizer), epochs=3)
    kb.swag.evaluate(model, tokenizer, kb.swag.read_choices("swag/val.csv"))["accuracy"]

Legend: N questions, C choices, B batch, S sequence.
"""

from keras_bert.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        f"{__name__}.choices": (
            "choice_logits",
            "choice_metrics",
            "dataset",
            "encode_choices",
            "evaluate",
            "predict_choices",
            "train",
        ),
        f"{__name__}.files": ("Questions", "read_choices", "split_choices", "write_answers"),
    },
)
