"""Starting TensorFlow without its start-up notes, which would bury what a command has to say."""

import contextlib
import os
import re
import sys
import tempfile

# TensorFlow writes these below Python, before its own log level holds.
NOTES = re.compile(
    r"WARNING: All log messages before absl::InitializeLog"
    r"|[IWE]0000 .*(port\.cc|cudart_stub\.cc|cuda_platform\.cc|cpu_feature_guard\.cc|cuda_executor\.cc)"
    r"|To enable the following instructions"
)


def start_tensorflow():
    """Imports TensorFlow and looks for devices; whatever else is written meanwhile is shown after it."""
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with hidden_notes(meanwhile="loading TensorFlow..."):
        import tensorflow as tf

        if os.environ.get("KERAS_BACKEND") == "jax":  # TensorFlow only reads records then, and leaves the GPU alone
            tf.config.set_visible_devices([], "GPU")
        tf.config.list_physical_devices()


@contextlib.contextmanager
def hidden_notes(*, meanwhile=""):
    """Holds back what is written to file descriptor 2 and then shows it, but for TensorFlow's notes.

    Args:
        meanwhile: a text that stands on a terminal until then.
    """
    meanwhile = meanwhile if sys.stderr.isatty() else ""
    sys.stderr.write(meanwhile)
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            if meanwhile:
                sys.stderr.write(f"\r{' ' * len(meanwhile)}\r")
                sys.stderr.flush()
            held.seek(0)
            lines = held.read().decode(errors="replace").splitlines(keepends=True)
            sys.stderr.write("".join(line for line in lines if not NOTES.match(line)))
