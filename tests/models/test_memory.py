"""What loading costs: the peak of the process' resident memory, measured in a fresh process (Linux)."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_bert.checkpoints import FORMATS, write_checkpoint
from keras_bert.checkpoints.base import Checkpoint
from keras_bert.config import BertConfig
from tests import reference_bert

# 186 MB of weights, of which the word embeddings are a fifth, as in BERT-base.
CONFIG = BertConfig(vocab_size=16500, hidden_size=512, num_attention_heads=8, intermediate_size=2048)
# VmHWM is of this program alone; getrusage's maximum begins with that of the process that started it.
SCRIPT = """
import sys
import keras_bert
from keras_bert import BertEncoder
def resident(field):
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith(field))
BertEncoder.from_pretrained(sys.argv[1])  # TensorFlow warms up
before = resident("VmRSS:")
model = BertEncoder.from_pretrained(sys.argv[2])
print(resident("VmHWM:") - before, 4 * model.count_params())
"""


@pytest.mark.nightly
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("format", FORMATS)
def test_loading_takes_little_more_than_the_weights(format, tmp_path, golden):
    shapes = reference_bert.shapes(CONFIG.to_dict())
    shapes = {name: shape for name, shape in shapes.items() if name.startswith("bert/")}
    ones = Checkpoint(Path(), CONFIG, {}, shapes, lambda name: np.ones(shapes[name], np.float32))
    write_checkpoint(ones, tmp_path / "model", format=format)
    command = [sys.executable, "-c", SCRIPT, golden / "model", tmp_path / "model"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    grown, weights = map(int, done.stdout.split())
    assert weights == 4 * sum(map(math.prod, shapes.values()))
    assert grown < 1.55 * weights, f"{grown / weights:.2f} times"  # 1.4; with a copy of the embeddings more 1.7
