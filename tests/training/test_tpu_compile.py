"""The training step goes through the TPU's own compiler: evidence from lowering and compiling, not a run."""

import importlib.util
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.tpu_compile import CUSTOM_CALL, DYNAMIC_SHAPE, HOST_OPERATIONS, HOST_TARGET, largest

ROOT = Path(__file__).resolve().parents[2]
MISSING = [name for name in ("jax", "libtpu") if importlib.util.find_spec(name) is None]
needs_compiler = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (extra tpu-compile)")
HARMLESS = {
    "AllocateBuffer",
    "ConcatBitcast",
    "AssumeGatherIndicesInBound",
    "GatherScatterIndicesBitpacked",
    "X64SplitLow",
    "X64SplitHigh",
    "X64Combine",
}
# libtpu 0.0.51 writes the number of a bug of its makers' where a v6e's program needs a name.
HARMLESS_ON = {"v5e": HARMLESS, "v6e": HARMLESS | {"TODO(b/522284627)"}}


# Each shape for each chip, by the one way or the other; two at a time, as a compile keeps one core busy for minutes.
# One is base, the others a small model, which takes a part of the time.
COMPILES = [
    ("--size=base", "--backend=tensorflow", "--chip=v5e", "--shape=128x128"),
    ("--size=small", "--backend=jax", "--chip=v5e", "--shape=32x512", "--remat"),
    ("--size=small", "--backend=tensorflow", "--chip=v6e", "--shape=32x512", "--remat"),
    ("--size=small", "--backend=jax", "--chip=v6e", "--shape=128x128"),
]
# Small models of the other kinds of attention and of blocks, of texts so long that windows and blocks are cut.
TINY = {"vocab_size": 512, "num_hidden_layers": 3, "hidden_size": 128, "num_attention_heads": 2}
TINY |= {"intermediate_size": 256, "max_position_embeddings": 1026}
BLOCKS = {
    "mobilebert": {"bottleneck": {"size": 64, "feed_forwards": 2}, "embedding_size": 64},
    "deberta-base": {"relative": {"max_distance": 256, "key_bias": False}},
    "deberta-v3-small": {"conv": {"kernel": 3, "activation": "gelu_erf"}},
    "longformer-base-4096": {"attention_window": [32]},
    "bigbird-roberta-base": {"block_sparse": {"block_size": 16, "random_blocks": 1, "drawn": True}},
    "modernbert-base": {"attention_window": [None, 32, 32], "pad_token_id": 3},
}
STATE_GB = {"--size=base": 1.23, "--size=small": 0.325}  # weights, m and v of 110 and 29 million parameters


def start(*flags):
    """Runs benchmarks/tpu_compile.py. Returns the finished process."""
    command = [sys.executable, "-m", "benchmarks.tpu_compile", *flags]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def processes():
    """{flags: finished process} of all compiles."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(COMPILES, pool.map(lambda flags: start(*flags), COMPILES), strict=True))


@pytest.mark.nightly
@needs_compiler
@pytest.mark.parametrize("flags", COMPILES, ids=" ".join)
def test_the_step_compiles_fits_and_never_asks_its_host(processes, flags):
    done = processes[flags]
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["fits"] and figures["arguments_gb"] == pytest.approx(STATE_GB[flags[0]], rel=0.05)
    assert figures["arguments_gb"] < figures["total_gb"] < 15.75
    assert figures["host_operations"] == 0 and figures["dynamic_shapes"] == 0
    assert set(figures["custom_calls"]) <= HARMLESS_ON[figures["chip"]]


@pytest.mark.nightly
@needs_compiler
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
@pytest.mark.parametrize("size", BLOCKS)
def test_steps_of_other_kinds_of_attention_compile_and_never_ask_their_host(size, backend):
    overrides = json.dumps({**TINY, **BLOCKS[size]})
    flags = (f"--size={size}", f"--overrides={overrides}", f"--backend={backend}", "--chip=v5e", "--shape=2x512")
    done = start(*flags)
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["fits"] and figures["host_operations"] == 0 and figures["dynamic_shapes"] == 0
    assert set(figures["custom_calls"]) <= HARMLESS_ON["v5e"]


@pytest.mark.nightly
@needs_compiler
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_a_step_of_generator_and_discriminator_compiles_and_never_asks_its_host(backend):
    overrides = json.dumps({**TINY, "embedding_size": 64})
    flags = ("--size=electra-small", f"--overrides={overrides}", "--objective=rtd", "--chip=v5e", "--shape=8x128")
    done = start(*flags, f"--backend={backend}")
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["fits"] and figures["host_operations"] == 0 and figures["dynamic_shapes"] == 0
    assert set(figures["custom_calls"]) <= HARMLESS_ON["v5e"]


HLO = """
  %a = (f32[2]{0}, token[]) infeed(%token), infeed_config=""
  ROOT %b = f32[<=8,2]{1,0} custom-call(%a), custom_call_target="xla_python_cpu_callback"
  %c = s32[4]{0} all-reduce(%b), replica_groups=[1,1]<=[1]
  %send = (f32[2]{0}, u32[], token[]) send(%b), channel_id=1
"""


def test_host_work_and_dynamic_shapes_are_found_in_a_program():
    assert HOST_OPERATIONS.findall(HLO) == ["infeed", "send"]
    assert [bool(HOST_TARGET.search(target)) for target in CUSTOM_CALL.findall(HLO)] == [True]
    assert not any(HOST_TARGET.search(target) for target in HARMLESS_ON["v6e"])
    assert len(DYNAMIC_SHAPE.findall(HLO)) == 1


@pytest.mark.parametrize("most", [8, 88, 1000, 1008])
@pytest.mark.parametrize("begin", [1, 128, 4096])
def test_the_largest_batch_is_found_in_few_compiles(most, begin):
    tried = []

    def figures(batch_size):
        tried.append(batch_size)
        fits = batch_size <= most
        return {"fits": fits, "limit_gb": 15.75, "arguments_gb": 1.2, "temporaries_gb": 0.02 * batch_size}

    assert largest(figures, begin) == most // 8 * 8
    assert len(tried) == len(set(tried)) <= 12


def test_none_fits_is_0():
    assert largest(lambda batch_size: {"fits": False}, 128) == 0
