"""The package itself: names on demand, and the older project of the same import name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import keras_bert

ROOT = Path(__file__).resolve().parents[1]


def run_python(script):
    """Runs a script in a fresh interpreter and returns it finished."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("name", keras_bert.__all__)
def test_every_public_name_is_there(name):
    value = getattr(keras_bert, name)
    assert name in dir(keras_bert)
    assert value is getattr(keras_bert, name)
    if name in keras_bert._SUBMODULES:
        assert value.__name__ == keras_bert._SUBMODULES[name]
    elif name != "__version__":
        assert value.__name__ in (name, name.removeprefix("Bert"))  # which older names have before
        assert value.__module__.startswith("keras_bert.")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'keras_bert' has no attribute 'Bert'"):
        _ = keras_bert.Bert


def test_the_import_alone_brings_neither_keras_nor_tensorflow():
    done = run_python(
        "import sys, keras_bert\n"
        "keras_bert.BertConfig.from_name('tiny'), keras_bert.UserError, dir(keras_bert)\n"
        "print(sorted({'keras', 'tensorflow', 'tensorflow_text', 'numpy'} & set(sys.modules)))"
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_the_older_project_of_that_name_is_noticed():
    done = run_python(
        "import importlib.metadata\n"
        "importlib.metadata.version = lambda name: {'keras-bert': '0.89.0'}[name]\n"
        "import keras_bert"
    )
    assert done.returncode == 1
    error = done.stderr.strip().splitlines()[-1]
    assert error.startswith("ImportError: The distribution keras-bert, an older project")
    assert "pip uninstall keras-bert" in error
