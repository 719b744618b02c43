"""What a model is fine-tuned and asked for: a folder each, `kb.tasks.tag` say. GLUE's are benchmarks of classifying."""

from keras_bert.lazy import lazy_names

PACKAGES = ("answer", "choose", "classify", "glue", "tag")

__getattr__, __dir__, __all__ = lazy_names(__name__, {}, {name: f"{__name__}.{name}" for name in PACKAGES})
