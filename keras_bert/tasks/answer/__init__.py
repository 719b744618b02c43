"""Answering questions from a context: SQuAD 1.1 and 2.0, KorQuAD 1 (Devlin et al. 2018, sections 4.2 and 4.3).

read_examples -> make_features -> a SpanLabeler's logits -> find_answers -> squad_metrics

examples = kb.squad.read_examples("train-v1.1.json", training=True)
features = kb.squad.make_features(examples, tokenizer, training=True)
model.fit(kb.squad.dataset(features, tokenizer), epochs=2)
kb.squad.answer(model, tokenizer, "Who came?", "Rollo came in 911.").text
"""

from keras_bert.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        f"{__name__}.answering": ("Answer", "Answerer", "answer", "load_span_labeler"),
        f"{__name__}.answers": ("Candidate", "Prediction", "find_answers", "texts_of", "write_predictions"),
        f"{__name__}.examples": ("Context", "Example", "Examples", "LostAnswer", "read_examples"),
        f"{__name__}.features": ("Features", "make_features"),
        f"{__name__}.original_text": ("final_text",),
        f"{__name__}.metrics": ("exact_match", "f1", "find_threshold", "squad_metrics", "squad_v2_metrics"),
        f"{__name__}.training": ("Questions", "dataset", "train"),
    },
)
