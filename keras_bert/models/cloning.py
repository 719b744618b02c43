"""keras.models.clone_model for our models: fresh weights, the same class, the same default loss, the same ties.

Keras 3.15 calls clones of all layers one after another, and hands the symbolic inputs and outputs of the new graph to
the model's class if its constructor can take them, else to a plain functional model, which has forgotten what it is
and for which a layer that is used in two places has become two. So our constructors can take them; if the graph is
nothing but the model's own again, the clone is made from the model's config, as `from_config` makes it. If the
caller has changed anything (`clone_function`, `call_function`, `input_tensors`), it is a plain functional model, as
Keras makes it.
"""

import functools
import weakref

import keras


class Cloneable:
    """Mixed into a functional model with a `get_config` of its own."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = _taking_a_graph(cls.__init__)

    def __new__(cls, *args, **kwargs):
        if not _is_graph(args):
            return super().__new__(cls, *args, **kwargs)
        plain = keras.Model(*args, **kwargs)
        source = _source(args[1])
        return cls.from_config(source.get_config()) if _is_clone(plain, source) else plain

    def _run_through_graph(self, *args, **kwargs):
        # Keras' Function: what clone_model makes the new graph with. Its outputs remember whose graph it was.
        outputs = super()._run_through_graph(*args, **kwargs)
        for tensor in keras.tree.flatten(outputs):
            if isinstance(tensor, keras.KerasTensor):
                tensor.keras_bert_source = weakref.ref(self)
        return outputs


def _taking_a_graph(init):
    """Wraps a constructor, so that Keras sees one of any arguments and people still see its own."""

    @functools.wraps(init)
    def __init__(self, *args, **kwargs):
        if not _is_graph(args):  # else __new__ has made it
            init(self, *args, **kwargs)

    return __init__


def _is_graph(args):
    tensors = keras.tree.flatten(args) if len(args) == 2 else []
    return bool(tensors) and all(isinstance(tensor, keras.KerasTensor) for tensor in tensors)


def _source(outputs):
    """Returns the model whose layers' clones gave these outputs, or None."""
    found = {getattr(tensor, "keras_bert_source", None) for tensor in keras.tree.flatten(outputs)}
    reference = found.pop()
    return reference() if reference and not found else None


def _is_clone(plain, source):
    """Says whether every layer of a functional model is a copy of the source's in its place, and none is shared."""
    if source is None or len(plain.operations) != len(source.operations):
        return False
    return all(
        type(one) is type(two) and one is not two and one.get_config() == two.get_config()
        for one, two in zip(plain.operations, source.operations, strict=True)
    )
