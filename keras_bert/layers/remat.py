"""Rematerialization: what a block computes inside is computed again in the backward pass, not kept (Chen et al. 2016).

`keras.RematScope` asks for it. Left to itself, Keras 3.15 wraps the `call` of every layer that is made in the scope:
on TensorFlow that fails in a graph for any call with a keyword, such as `training`, and dropout draws another mask
the second time, so that the gradients are not those of the loss. Here a whole TransformerBlock is what is computed
again, its parts and the other layers are left as they are, and dropout sees the same random state both times.
"""

import contextvars

import keras
from keras import ops


class SameRandomState(keras.StatelessScope):
    """Lets variables have given values inside; others are what they are outside, in Keras' own scopes too.

    Attributes:
        draws: {index of a given variable: how often it was assigned}.
    """

    def __init__(self, variables, values):
        super().__init__(list(zip(variables, values, strict=True)), initialize_variables=False)
        self.index = {id(variable): i for i, variable in enumerate(variables)}
        self.draws = dict.fromkeys(range(len(variables)), 0)

    def get_current_value(self, variable):
        """Returns the value inside, or else that of the scope around."""
        value = super().get_current_value(variable)
        if value is None and self.original_scope is not None:
            value = self.original_scope.get_current_value(variable)
        return value

    def add_update(self, update):
        """Counts an assignment and keeps it inside."""
        self.draws[self.index[id(update[0])]] += 1
        super().add_update(update)


# Ids of the layers whose calls this thread runs by `rematerialized`; another thread may call the same layer.
_running = contextvars.ContextVar("running", default=frozenset())


def rematerialized(layer, layer_call):
    """Returns `layer_call` as a function that runs again in the backward pass, with the same dropout masks.

    Args:
        layer: a layer whose only state that changes in a call is that of Keras' seed generators. It is called as a
            whole, which sets its compute dtype the second time too, and gets its bare `layer_call` back from here.
        layer_call: its bound `call`.
    """
    if id(layer) in _running.get():
        return layer_call

    def call(*args, **kwargs):
        states = [v for v in layer.non_trainable_variables if v.path.endswith("seed_generator_state")]
        before = [state * 1 for state in states]  # copies: TensorFlow gives the variable itself for its value
        draws = {}
        floats = [i for i, x in enumerate(args) if x is not None and keras.backend.is_float_dtype(x.dtype)]

        def run(*inputs):  # the floats alone: TensorFlow warns of gradients for any other
            chosen = dict(zip(floats, inputs, strict=True))
            token = _running.set(_running.get() | {id(layer)})
            try:
                with SameRandomState(states, before) as scope:
                    outputs = layer(*[chosen.get(i, x) for i, x in enumerate(args)], **kwargs)
            finally:
                _running.reset(token)
            draws.update(scope.draws)
            return outputs

        outputs = keras.remat(run)(*[args[i] for i in floats])
        for i, state in enumerate(states):  # goes on as after as many SeedGenerator.next()
            state.assign(before[i] + ops.convert_to_tensor([0, draws[i]], dtype=state.dtype))
        return outputs

    return call
