"""Small classifiers of all kinds with random weights, as keras-bert classify leaves them, and what they say."""

import json

import keras

from keras_bert.checkpoints import open_checkpoint
from keras_bert.config import BertConfig
from keras_bert.models import BertClassifier, BertEncoder
from keras_bert.tasks.classify.arrays import predict
from keras_bert.tasks.table import write_tsv
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

TEXTS = ["red dog", "blue cat dog", "", "green hen red cat blue dog"]
HEADS = {
    "single": {"num_classes": 3, "labels": ["a", "b", "c"]},
    "pair": {"num_classes": 2, "labels": ["no", "yes"], "pair": True},
    "several": {"num_classes": 3, "labels": ["a", "b", "c"], "multi_label": True},
    "number": {"num_classes": 1},
}
TABLE = {"text_column": "sentence", "pair_column": "other", "label_separator": "|", "max_seq_length": 8}


def make_classifiers(folder):
    """Writes a model directory for each of HEADS and a bare encoder's, and the texts as a table and as lines."""
    words = sorted({word for text in TEXTS for word in text.split()})
    tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, *words]))
    positions = {"max_position_embeddings": 16, "initializer_range": 0.3}
    config = BertConfig.from_name("L-1_H-16", vocab_size=tokenizer.vocab_size, **positions)
    keras.utils.set_random_seed(3)  # by which the texts differ in their answers
    for name, head in HEADS.items():
        BertClassifier(BertEncoder(config), **head).save_pretrained(folder / name, tokenizer=tokenizer)
        task = open_checkpoint(folder / name).task
        table = {**TABLE, "pair_column": "other" if name == "pair" else None, "long_texts": "cut", "doc_stride": None}
        (folder / name / "task.json").write_text(json.dumps({**task, "reading": table}))
    BertEncoder(config).save_pretrained(folder / "encoder", tokenizer=tokenizer)
    write_tsv(folder / "t.tsv", {"no": list("1234"), "sentence": TEXTS, "other": TEXTS[::-1]})
    (folder / "t.txt").write_text("\n".join(TEXTS) + "\n")


def expected(folder, model, pairs=None, length=8):
    """Returns what serving says of the same texts."""
    loaded, tokenizer = BertClassifier.from_pretrained(folder / model), Tokenizer.from_pretrained(folder / model)
    return predict(loaded, tokenizer, TEXTS, pairs, max_seq_length=length)
