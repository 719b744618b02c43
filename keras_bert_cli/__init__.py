"""The `keras-bert` command, beside the library so that `--help` needs no TensorFlow."""
