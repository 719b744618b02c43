"""The trainer on JAX: data-parallel over the devices that there are (see trainer.py).

A step is one program for all devices: each computes the gradients of its share of the batch, they are added up once,
and all make the same update. B batch.
"""

import contextlib
import itertools

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from keras_bert.errors import UserError
from keras_bert.layers.dropout import masks_of_replica
from keras_bert.training.sums import SUMS, columns, total_loss

AXIS = "replica"
AHEAD = 1  # steps that wait for the device while one runs, so that the next batch is there when it is done


def _tpus():
    try:
        return jax.devices("tpu")
    except RuntimeError as error:  # "Unknown backend: 'tpu' requested, but no platforms that are instances of tpu ..."
        kinds = ", ".join(sorted({device.platform for device in jax.devices()}))
        raise UserError(
            f"JAX sees no TPU, but {kinds}; choose a TPU runtime and install jax[tpu], or use --strategy auto."
        ) from error


def _no_workers():
    raise UserError(
        "On JAX a run is one process with all devices of its machine (--strategy auto); for several workers leave "
        "KERAS_BACKEND=jax away."
    )


# {strategy: function that gives its devices}
DEVICES = {
    "auto": jax.devices,
    "one_device": lambda: jax.devices()[:1],
    "mirrored": jax.devices,
    "multi_worker": _no_workers,
    "tpu": _tpus,
}


class JaxDevices:
    """The devices that share each batch; what `keras_bert.strategy` gives on JAX.

    Args:
        name: "auto" and "mirrored" take all devices of JAX's first platform, "one_device" one, "tpu" all TPU cores.
        devices: the devices themselves, in place of a name: those of a TPU topology to compile for, say.

    Attributes:
        replicated, shared: shardings of what all devices have, and of what is cut along its first axis.

    Raises:
        UserError: an unknown name, no TPU where one was asked for, or several workers.
    """

    def __init__(self, name="auto", *, devices=None):
        if jax.process_count() > 1:
            _no_workers()
        if devices is None and name not in DEVICES:
            raise UserError(f"No strategy is called {name!r}; choose one of {', '.join(DEVICES)}.")
        self.mesh = jax.sharding.Mesh(np.array(DEVICES[name]() if devices is None else devices), (AXIS,))
        self.replicated = NamedSharding(self.mesh, PartitionSpec())
        self.shared = NamedSharding(self.mesh, PartitionSpec(AXIS))

    @property
    def num_replicas_in_sync(self):
        """How many devices share a batch."""
        return self.mesh.size

    def scope(self):
        """Does nothing, so that code for tf.distribute's strategies runs here."""
        return contextlib.nullcontext()


def step_function(model, optimizer, devices, *, accumulation=1):
    """Builds one update as a pure function under `jax.jit`.

    Args:
        model: a Pretrainer, or what else has its `task_weights`, `batch_counts` and `batch_sums`.
        optimizer: a built optimizer of ours.
        devices: JaxDevices.
        accumulation: micro-batches that each device's share of the batch is cut into, one after the other.

    Returns:
        A function (state, batch) -> (new state, float32 (C + 2,), `sums.columns`). The state is three lists of
        arrays, the values of `state_variables`; the arrays given are overwritten. See `step_arguments`.
    """
    several, tasks = devices.num_replicas_in_sync > 1, model.task_weights
    [iterations] = [i for i, variable in enumerate(optimizer.variables) if variable is optimizer.iterations]

    def gradients_of(trainable, fixed, batch, counts, step):
        """Returns the gradients of a micro-batch's share of the global loss, its (C,) sums and the random state."""

        def loss(trainable):
            sums, new_fixed = _batch_sums(model, trainable, fixed, batch, training=True, step=step)
            return total_loss(sums, counts, tasks), (sums, new_fixed)

        gradients, (sums, new_fixed) = jax.grad(loss, has_aux=True)(trainable)
        return gradients, sums, new_fixed

    def accumulated(trainable, fixed, batch, counts, step):
        def add(carry, part):
            gradients, sums, fixed = carry
            more, more_sums, fixed = gradients_of(trainable, fixed, part, counts, step)
            return (jax.tree.map(jnp.add, gradients, more), sums + more_sums, fixed), None

        parts = jax.tree.map(lambda x: x.reshape(accumulation, x.shape[0] // accumulation, *x.shape[1:]), batch)
        start = jax.tree.map(jnp.zeros_like, trainable), jnp.zeros(len(SUMS) * len(tasks)), fixed
        return jax.lax.scan(add, start, parts)[0]

    def on_each_device(trainable, fixed, batch, step):
        own_counts = model.batch_counts(batch)
        counts = jax.lax.psum(jnp.stack([own_counts[task] for task in tasks]), AXIS)
        with masks_of_replica(jax.lax.axis_index(AXIS) if several else None):
            compute = gradients_of if accumulation == 1 else accumulated
            gradients, sums, fixed = compute(trainable, fixed, batch, jnp.maximum(counts, 1.0), step)
        sums = jnp.append(sums, batch[0]["input_mask"].sum().astype("float32"))
        return *jax.lax.psum((gradients, sums), AXIS), fixed

    every, share = PartitionSpec(), PartitionSpec(AXIS)
    on_devices = jax.shard_map(
        on_each_device,
        mesh=devices.mesh,
        in_specs=(every, every, share, every),
        out_specs=every,
        check_vma=False,  # so that gradients are of each device's share, and psum adds them up once
    )

    def step(state, batch):
        trainable, fixed, slots = state
        gradients, sums, fixed = on_devices(trainable, fixed, batch, slots[iterations])
        norm = jnp.sqrt(sum(jnp.square(gradient).sum() for gradient in gradients))
        trainable, slots = optimizer.stateless_apply(slots, gradients, trainable)
        return [trainable, fixed, slots], jnp.append(sums, norm)

    return jax.jit(step, donate_argnums=0, out_shardings=devices.replicated)


def step_arguments(model, optimizer, devices, batch):
    """Returns the shapes of what a `step_function` takes: (state, batch) of jax.ShapeDtypeStructs.

    Args:
        model, optimizer, devices: those of the step.
        batch: (inputs, labels, weights) of arrays, or of whatever has a shape (B, ...) and NumPy's or JAX's dtype.

    Example: `step_function(...).lower(*step_arguments(...)).compile()`
    """
    state = [
        [jax.ShapeDtypeStruct(v.shape, v.dtype, sharding=devices.replicated) for v in variables]
        for variables in state_variables(model, optimizer)
    ]
    batch = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=devices.shared), batch)
    return state, batch


def state_variables(model, optimizer):
    """Returns three lists of Keras variables: what is trained, what else changes (dropout's state), the optimizer's."""
    return [list(model.trainable_variables), list(model.non_trainable_variables), list(optimizer.variables)]


def _eval_function(model, devices):
    """Builds (trainable values, other values, batch) -> the (C,) sums of the batch."""

    def on_each_device(trainable, fixed, batch):
        return jax.lax.psum(_batch_sums(model, trainable, fixed, batch, training=False, step=0)[0], AXIS)

    every, share = PartitionSpec(), PartitionSpec(AXIS)
    specs = {"in_specs": (every, every, share), "out_specs": every, "check_vma": False}
    return jax.jit(jax.shard_map(on_each_device, mesh=devices.mesh, **specs))


def _batch_sums(model, trainable, fixed, batch, **options):
    """Returns float32 (C,), the tasks' sums over a device's batch, and the model's other values afterwards."""
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    with keras.StatelessScope(state_mapping=list(zip(variables, [*trainable, *fixed], strict=True))) as scope:
        sums = model.batch_sums(batch, **options)
    after = [scope.get_current_value(variable) for variable in model.non_trainable_variables]
    return jnp.concatenate([jnp.stack(sums[task]) for task in model.task_weights]), after


class JaxTrainer:
    """Trains on JAX devices. Arguments and methods: see `make_trainer`; `strategy` is a JaxDevices.

    The Keras variables hold the state. During `train` their arrays are overwritten; afterwards they have the new ones.

    Attributes:
        step: the `step_function`.
    """

    def __init__(self, model, optimizer, strategy, *, accumulation=1, jit_compile=True):
        self.optimizer, self.devices, self.tasks = optimizer, strategy, model.task_weights
        self._variables = state_variables(model, optimizer)
        self._own = [[None] * len(variables) for variables in self._variables]
        self.step = step_function(model, optimizer, strategy, accumulation=accumulation)
        self._eval_step = _eval_function(model, strategy)

    def batches(self, make_dataset):
        """Yields the batches, each shared by the devices."""
        for batch in make_dataset(1, 0).as_numpy_iterator():
            yield jax.device_put(batch, self.devices.shared)

    def train(self, batches, n):
        """Updates the model n times. Returns float32 (n, C + 2)."""
        state, rows = self._take(), []
        try:
            for _ in range(n):
                state, row = self.step(state, next(batches))
                rows.append(row)
                _wait(rows)
        finally:
            self._give(state)
        return np.reshape(np.array(jax.device_get(rows), np.float32), (n, len(columns(self.tasks))))

    def evaluate(self, make_dataset, max_batches=None):
        """Returns float64 (C,), the sums over all batches, or over some."""
        trainable, fixed, _ = self._take()
        rows = []
        for batch in itertools.islice(self.batches(make_dataset), max_batches):
            rows.append(self._eval_step(trainable, fixed, batch))
            _wait(rows)
        return np.sum(jax.device_get(rows), axis=0, dtype=np.float64) if rows else np.zeros(len(SUMS) * len(self.tasks))

    def set_learning_rate(self, rate):
        """Sets the optimizer's rate."""
        self.optimizer.learning_rate.assign(rate)

    def agreed(self, number):
        """Returns the number: on JAX there is one process."""
        return number

    def pull(self):
        """Does nothing: between two calls the Keras variables are what is trained."""

    def push(self):
        """Does nothing, likewise."""

    def _take(self):
        """Returns the variables' values on all devices; those that others may hold too are copied first."""
        for variables, arrays in zip(self._variables, self._own, strict=True):
            for i, variable in enumerate(variables):
                if variable.value is not arrays[i]:
                    arrays[i] = jax.device_put(variable.value, self.devices.replicated, may_alias=False)
                    variable.assign(arrays[i])  # one by one, so that no two copies of the model are there
        return self._own

    def _give(self, state):
        """Gives the variables their new values."""
        self._own = state
        for variables, arrays in zip(self._variables, state, strict=True):
            for variable, array in zip(variables, arrays, strict=True):
                variable.assign(array)


def _wait(rows):
    """Waits until no more than AHEAD of the steps that gave these rows are still to come."""
    if len(rows) > AHEAD:
        rows[-1 - AHEAD].block_until_ready()
