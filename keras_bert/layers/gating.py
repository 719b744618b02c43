"""tmp"""

from keras import ops

from keras_bert.layers.common import ACTIVATIONS, wide
from keras_bert.layers.fusion import fusible


@fusible
def gated(x, bias, *, activation):
    y = wide(x) if bias is None else wide(x) + wide(bias)
    h = x.shape[-1] // 2
    return ops.cast(ACTIVATIONS[activation](y[..., :h]) * y[..., h:], x.dtype)
