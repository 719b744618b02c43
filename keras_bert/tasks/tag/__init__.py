"""Tags for words, as in named-entity recognition (Devlin et al. 2018, section 5.3), from files to entities in raw text.

    train = kb.ner.read_conll("train.txt")
    names = kb.ner.tag_names(train.tags)
    model = kb.TokenClassifier.from_pretrained("uncased_L-12_H-768_A-12", labels=names)
    model.compile(kb.adamw(5e-5, num_train_steps=1200, num_warmup_steps=120))
    model.fit(kb.ner.dataset(train, tokenizer, names), epochs=3)
    kb.ner.evaluate(model, tokenizer, kb.ner.read_conll("test.txt", labels=names))["f1"]
    kb.ner.tag(model, tokenizer, "Jim Henson was a puppeteer.")

Legend: N sentences.
"""

from keras_bert.tasks.tag.conll import Sentences, read_conll, write_conll
from keras_bert.tasks.tag.conll_tags import convert, entities, tag_names
from keras_bert.tasks.tag.files import read_files, scheme_of, write_entities, write_tags
from keras_bert.tasks.tag.metrics import tagging_metrics, type_table
from keras_bert.tasks.tag.pieces import encode_words
from keras_bert.tasks.tag.tagging import dataset, evaluate, main_metric, predict_tags, tag, train_tagger

__all__ = [
    "Sentences",
    "convert",
    "dataset",
    "encode_words",
    "entities",
    "evaluate",
    "main_metric",
    "predict_tags",
    "read_conll",
    "read_files",
    "scheme_of",
    "tag",
    "tag_names",
    "tagging_metrics",
    "train_tagger",
    "type_table",
    "write_conll",
    "write_entities",
    "write_tags",
]
