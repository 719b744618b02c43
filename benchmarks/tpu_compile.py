"""Compiles the pre-training step for a TPU chip without one: its memory, and what it would ask of its host.

    python -m benchmarks.tpu_compile
    python -m benchmarks.tpu_compile --backend=jax --chip=v5e --shape=32x512 --remat
    python -m benchmarks.tpu_compile --chip=v6e --largest

This is evidence from lowering and from the compiler, and not a run: no step is executed, and no figure here is a
speed. The step is the one that `keras-bert pretrain` runs: forward, loss, gradients, accumulation, clipping, AdamW and
its schedule. TensorFlow lowers it for the only device that it has here, a CPU, JAX for the TPU itself; then the
compiler in the `libtpu` package builds it for one chip. Prints a JSON line for each compile; minutes each.
Wants `pip install jax==0.10.2 libtpu==0.0.51` beside this package.

Legend: B batch, S sequence, P predictions.
"""

import argparse
import collections
import contextlib
import json
import os
import re
import tempfile
import time
from pathlib import Path

TOPOLOGIES = {"v5e": "v5e:2x2", "v6e": "v6e:2x2"}  # the smallest that libtpu describes; one chip of it is compiled for
HBM_GB = {"v5e": 15.75, "v6e": 32.0}  # of 2^30 bytes: what the compiler gives a program of the 16; the data sheet's
PREDICTIONS = {128: 20, 512: 76}  # of each length: 15 % of it, as google-research/bert's README sets them
GB = 2**30
HOST_OPERATIONS = re.compile(r" (infeed|outfeed|send|recv)\(")
CUSTOM_CALL = re.compile(r'custom_call_target="([^"]*)"')
HOST_TARGET = re.compile(r"callback|host|python", re.IGNORECASE)
DYNAMIC_SHAPE = re.compile(r"[\[,]<=\d")
# What must be set before JAX is imported: no TPU is looked for, by PCI or by asking Google Cloud's metadata server,
# and a second process may load libtpu.
ENVIRONMENT = {"JAX_PLATFORMS": "cpu", "TPU_SKIP_MDS_QUERY": "1", "ALLOW_MULTIPLE_LIBTPU_LOAD": "1"}


def main():
    """Compiles what the flags ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=("tensorflow", "jax"), default="tensorflow")
    parser.add_argument(
        "--chip", choices=tuple(TOPOLOGIES), action="append", help="again for another; both if left out"
    )
    parser.add_argument("--shape", default="128x128", help="B x S")
    parser.add_argument("--size", default="base", help="a size of Config.from_name")
    parser.add_argument("--objective", choices=("family", "rtd"), default="family", help="what it is trained for")
    parser.add_argument("--overrides", type=json.loads, default={}, help="other fields of its Config, as JSON")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--accumulation", type=int, default=1, help="micro-batches of a step")
    parser.add_argument("--remat", action="store_true", help="blocks are computed again in the backward pass")
    parser.add_argument("--largest", action="store_true", help="search the largest B that fits, a multiple of 8")
    args = parser.parse_args()
    os.environ.update(ENVIRONMENT, KERAS_BACKEND=args.backend)
    batch_size, length = map(int, args.shape.split("x"))
    model, optimizer = model_and_optimizer(args)

    def compiled(chip, batch_size):
        begin = time.perf_counter()
        specs = batch_specs(model, batch_size, length)
        build = BUILDERS[args.backend](model, optimizer, specs, chip, args.accumulation)
        settings = {"chip": chip, "shape": f"{batch_size}x{length}"}
        settings |= {
            name: getattr(args, name) for name in ("backend", "size", "objective", "dtype", "accumulation", "remat")
        }
        figures = settings | {"lowering_seconds": round(time.perf_counter() - begin, 1)} | figures_of(build, chip)
        print(json.dumps(figures), flush=True)
        return figures

    for chip in args.chip or TOPOLOGIES:
        if args.largest:
            print(
                json.dumps({"chip": chip, "largest_batch": largest(lambda b, chip=chip: compiled(chip, b), batch_size)})
            )
        else:
            compiled(chip, batch_size)


def model_and_optimizer(args):
    """Returns a Pretrainer, or a ReplacedTokenPretrainer, and its built AdamW."""
    import keras

    import keras_bert as kb

    with keras.RematScope(mode="full") if args.remat else contextlib.nullcontext():
        dtype = "mixed_bfloat16" if args.dtype == "bfloat16" else "float32"
        config = kb.Config.from_name(args.size, **args.overrides)
        if args.objective == "rtd":
            model = kb.ReplacedTokenPretrainer(config, dtype=dtype)
        else:
            model = kb.Pretrainer(kb.Encoder(config, dtype=dtype))
    optimizer = kb.adamw(1e-4, num_train_steps=1_000_000, num_warmup_steps=10_000)
    optimizer.build(model.trainable_variables)
    return model, optimizer


def batch_specs(model, batch_size, length):
    """Returns (inputs, labels, weights) of a Pretrainer's batch as keras.KerasTensors."""
    from keras import KerasTensor

    tokens, slots, pairs = (batch_size, length), (batch_size, PREDICTIONS.get(length, length * 3 // 20)), (batch_size,)
    net = getattr(model, "generator", model)
    inputs = {name: KerasTensor(slots if name == "masked_lm_positions" else tokens, "int32") for name in net.input}
    shapes = {name: {"masked_lm": slots, "next_sentence": pairs}[name] for name in net.objectives}
    labels = {name: KerasTensor(shape, "int32") for name, shape in shapes.items()}
    weights = {name: KerasTensor(shape, "float32") for name, shape in shapes.items()}
    return inputs, labels, weights


def tensorflow_builder(model, optimizer, batch, chip, accumulation):
    """Lowers the step by TensorFlow. Returns a function of the compiler's options that compiles it for a chip."""
    import tensorflow as tf

    from keras_bert.layers.fusion import unfused
    from keras_bert.training.steps import make_replica_step

    step = make_replica_step(model, optimizer, accumulation=accumulation)
    flat = [tf.TensorSpec(x.shape, x.dtype) for x in tf.nest.flatten(batch)]
    with unfused():  # without the chains that TensorFlow compiles for a CPU
        flat_step = tf.function(lambda *tensors: step(tf.nest.pack_sequence_as(batch, tensors)), jit_compile=True)
        lowered = flat_step.experimental_get_compiler_ir(*flat)(stage="stablehlo_serialized")
    return lambda options: compile_stablehlo(lowered, chip, options)


def jax_builder(model, optimizer, batch, chip, accumulation):
    """Lowers the step by JAX. Returns a function of the compiler's options that compiles it for a chip."""
    from keras_bert.training.jax_trainer import JaxDevices, step_arguments, step_function

    devices = JaxDevices(devices=[chip_device(chip)])
    step = step_function(model, optimizer, devices, accumulation=accumulation)
    lowered = step.lower(*step_arguments(model, optimizer, devices, batch))
    return lambda options: lowered.compile(compiler_options=options).runtime_executable()


BUILDERS = {"tensorflow": tensorflow_builder, "jax": jax_builder}


def chip_device(chip):
    """Returns a device of JAX that can be compiled for and nothing else."""
    from jax.experimental import topologies

    return topologies.get_topology_desc(platform="tpu", topology_name=TOPOLOGIES[chip]).devices[0]


def compile_stablehlo(serialized, chip, options):
    """Compiles a StableHLO module, as TensorFlow writes it, by the way that JAX's own programs go."""
    import numpy as np
    from jax._src import compiler
    from jax._src.interpreters import mlir
    from jaxlib import xla_client
    from jaxlib.mlir import ir

    device = chip_device(chip)
    options = compiler.get_compile_options(
        num_replicas=1,
        num_partitions=1,
        device_assignment=np.array([[device.id]]),
        env_options_overrides=options,
        backend=device.client,
    )
    with mlir.make_ir_context():
        module = ir.Module.parse(serialized)
        without_copies(module.operation)
        return compiler.backend_compile_and_load(
            device.client, module, xla_client.DeviceList((device,)), options, host_callbacks=[]
        )


def without_copies(operation):
    """Replaces each mhlo.copy, which TensorFlow writes and the client does not know, by what it copies."""
    for block in (block for region in operation.regions for block in region.blocks):
        for each in [each.operation for each in block.operations]:
            without_copies(each)
            if each.name == "mhlo.copy":
                each.results[0].replace_all_uses_with(each.operands[0])
                each.erase()


def figures_of(build, chip):
    """Compiles, and returns what the program tells of itself; where it does not fit, what the compiler says."""
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        try:
            program = build({"xla_dump_to": folder, "xla_dump_hlo_as_text": True})
        except Exception as error:  # a JaxRuntimeError, which only this message tells from others
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            return {"fits": False, "limit_gb": HBM_GB[chip], "compiler_says": str(error).splitlines()[0][:300]}
        # As the compiler writes it: program.hlo_modules() cannot read back what base becomes for a v6e ("RET_CHECK").
        (text,) = (path.read_text() for path in Path(folder).glob("*.after_codegen.txt"))
    memory = program.get_compiled_memory_stats()
    arguments, temporaries = memory.argument_size_in_bytes, memory.temp_size_in_bytes
    results = memory.output_size_in_bytes - memory.alias_size_in_bytes
    targets = collections.Counter(CUSTOM_CALL.findall(text))
    return {
        "fits": True,
        "arguments_gb": round(arguments / GB, 3),
        "temporaries_gb": round(temporaries / GB, 3),
        "total_gb": round((arguments + results + temporaries + memory.generated_code_size_in_bytes) / GB, 3),
        "limit_gb": HBM_GB[chip],
        "host_operations": len(HOST_OPERATIONS.findall(text)) + sum(bool(HOST_TARGET.search(each)) for each in targets),
        "dynamic_shapes": len(DYNAMIC_SHAPE.findall(text)),
        "custom_calls": dict(targets),
        "compile_seconds": round(time.perf_counter() - begin, 1),
    }


def largest(compiled, batch_size):
    """Returns the largest batch, a multiple of 8, that fits.

    The compiler computes more and more again to make a batch fit, so that memory does not grow by the example: the
    first figures give a place to begin at, and bisection does the rest.

    Args:
        compiled: B -> figures.
        batch_size: the B to begin with.
    """
    fitting, failing, batch_size = 0, None, max(8, batch_size // 8 * 8)
    while failing is None or failing - fitting > 8:
        figures = compiled(batch_size)
        if figures["fits"]:
            fitting = batch_size
            room = (figures["limit_gb"] - figures["arguments_gb"]) / figures["temporaries_gb"]
            upwards = fitting + max(8, int(fitting * min(max(room - 1, 0.25), 3)) // 8 * 8)
        else:
            failing = batch_size
        batch_size = upwards if failing is None else (fitting + failing) // 16 * 8
    return fitting


if __name__ == "__main__":
    main()
