"""The table of relative places that all blocks of DeBERTa share (He et al. 2021, section 3.1).

R rows, H hidden.
"""

import keras
from keras import ops

from keras_bert.layers.common import ConfigLayer, layer_norm, truncated_normal


@keras.saving.register_keras_serializable(package="keras_bert")
class RelativeTable(ConfigLayer):
    """A table of embeddings of distances, as it is or after a LayerNorm.

    Args:
        rows: of the table.
        units: width of the table.
        norm_eps: epsilon of the LayerNorm; None for none.
        initializer_range: standard deviation of the truncated normal.
    """

    FIELDS = ("rows", "units", "norm_eps", "initializer_range")

    def __init__(self, rows, units, *, norm_eps=None, initializer_range=0.02, **kwargs):
        super().__init__(**kwargs)
        self.set_fields(rows=rows, units=units, norm_eps=norm_eps, initializer_range=initializer_range)
        self.layer_norm = None
        if norm_eps is not None:
            self.layer_norm = layer_norm(norm_eps, name="LayerNorm", dtype=self.dtype_policy)

    def build(self, _):
        """Makes the table (R, H)."""
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.rows, self.units),
            initializer=truncated_normal(self.initializer_range),
        )
        if self.layer_norm is not None:
            self.layer_norm.build((self.rows, self.units))
        self.built = True

    def call(self, _):
        """Returns float (R, H), whatever it is given: a model's graph begins with its inputs."""
        # A copy: TensorFlow gives the variable itself, which learns nothing from a block that is rematerialized.
        table = ops.convert_to_tensor(self.embeddings) * 1
        return table if self.layer_norm is None else self.layer_norm(table)

    def compute_output_spec(self, _):
        """Gives the shape without running `call`."""
        return keras.KerasTensor((self.rows, self.units), dtype=self.compute_dtype)
