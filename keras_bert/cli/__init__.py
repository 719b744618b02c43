"""The `keras-bert` command. `--help` needs no TensorFlow: the library is imported when a command runs."""
