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

from keras_bert.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        f"{__name__}.conll": ("Sentences", "read_conll", "write_conll"),
        f"{__name__}.conll_tags": ("convert", "entities", "tag_names"),
        f"{__name__}.files": ("read_files", "scheme_of", "write_entities", "write_tags"),
        f"{__name__}.metrics": ("tagging_metrics", "type_table"),
        f"{__name__}.pieces": ("encode_words",),
        f"{__name__}.tagging": ("dataset", "evaluate", "main_metric", "predict_tags", "tag", "train"),
    },
)
