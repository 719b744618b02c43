"""Answering questions from a context: SQuAD 1.1 and 2.0, KorQuAD 1 (Devlin et al. 2018, sections 4.2 and 4.3).

read_examples -> make_features -> a SpanLabeler's logits -> find_answers -> squad_metrics

examples = kb.squad.read_examples("train-v1.1.json", training=True)
features = kb.squad.make_features(examples, tokenizer, training=True)
model.fit(kb.squad.dataset(features, tokenizer), epochs=2)
kb.squad.answer(model, tokenizer, "Who came?", "Rollo came in 911.").text
"""

from keras_bert.tasks.answer.answering import Answer, Answerer, answer, load_span_labeler
from keras_bert.tasks.answer.answers import Candidate, Prediction, find_answers, texts_of, write_predictions
from keras_bert.tasks.answer.examples import Context, Example, Examples, LostAnswer, read_examples
from keras_bert.tasks.answer.features import Features, make_features
from keras_bert.tasks.answer.final_text import final_text
from keras_bert.tasks.answer.metrics import exact_match, f1, find_threshold, squad_metrics, squad_v2_metrics
from keras_bert.tasks.answer.training import Questions, dataset, train_span_labeler

__all__ = [
    "Answer",
    "Answerer",
    "Candidate",
    "Context",
    "Example",
    "Examples",
    "Features",
    "LostAnswer",
    "Prediction",
    "Questions",
    "answer",
    "dataset",
    "exact_match",
    "f1",
    "final_text",
    "find_answers",
    "find_threshold",
    "load_span_labeler",
    "make_features",
    "read_examples",
    "squad_metrics",
    "squad_v2_metrics",
    "texts_of",
    "train_span_labeler",
    "write_predictions",
]
