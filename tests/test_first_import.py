"""Whichever of our modules is imported first, and so imports Keras: what registers itself with Keras is there."""

import subprocess
import sys

import pytest

NAMES = ("Encoder", "BertAdamW", "WarmupSchedule", "ReplacedTokenPretrainer")


@pytest.mark.parametrize("module", ["layers", "training.schedules", "training.branches"])
def test_all_classes_are_registered(module):
    code = (
        f"import keras_bert.{module}\nfrom keras.saving import get_registered_object\n"
        f"print(all(get_registered_object('keras_bert>' + name) for name in {NAMES}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "True", done.stderr[-2000:]
