"""Several workers that train together: who is who, how they meet, and what happens when one of them is lost.

Under MultiWorkerMirroredStrategy each step adds gradients up over all workers, so none goes on without the others.
TensorFlow's coordination service misses a worker after some ten seconds without a heartbeat, or as soon as its
connections break, and then ends the operation that waits for it (seen with TensorFlow 2.21: an UnavailableError that
says "Collective ops is aborted"). Here that becomes one sentence. A thread of our own looks after the workers' ports
as well, and ends the process with the same sentence where TensorFlow goes on waiting.
"""

import contextlib
import dataclasses
import os
import socket
import sys
import threading
import time

from keras_bert.errors import UserError

START_SECONDS = 300  # how long workers wait for each other; a scheduler may start them minutes apart
CONNECT_SECONDS = 60  # how long TensorFlow may take once all have met
LOOK_EVERY, LOOKS = 5, 3  # seconds between two looks at a worker's port, and looks in vain until it counts as lost
GRACE_SECONDS = 30  # for TensorFlow to notice by itself; LOOK_EVERY * LOOKS + GRACE_SECONDS is under a minute
# An error that a lost worker brings about is of one of these kinds and says one of these things.
KINDS = ("UnavailableError", "AbortedError", "DeadlineExceededError", "FailedPreconditionError", "InternalError")
MARKS = ("Collective ops is aborted", "remote target /job:", "coordination service", "CoordinationService")


class LostWorkerError(UserError):
    """Another worker is gone, or never came. The same command, started again everywhere, resumes."""

    exit_status = 75  # EX_TEMPFAIL of sysexits.h: try again


@dataclasses.dataclass(frozen=True)
class Place:
    """A worker's place: its index, and the "host:port" of all workers, the chief's first.

    >>> place = Place(1, ("a:2222", "b:2222", "c:2222"))
    >>> place.others
    {0: 'a:2222', 2: 'c:2222'}
    """

    index: int
    addresses: tuple[str, ...]

    @property
    def others(self):
        """{index: address} of the other workers."""
        return {index: address for index, address in enumerate(self.addresses) if index != self.index}


ALONE = Place(0, ("",))


def place_in(strategy):
    """Returns the Place of this process under a strategy; `ALONE` under any that is not of several workers."""
    if getattr(strategy, "cluster_resolver", None) is None:
        return ALONE
    import tensorflow as tf

    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return ALONE
    return _place_by(strategy.cluster_resolver)


def num_workers(strategy):
    """Returns how many processes train together."""
    return len(place_in(strategy).addresses)


def worker_index(strategy):
    """Returns this process' number among them, the chief's being 0."""
    return place_in(strategy).index


def is_chief(strategy):
    """Returns whether this process is the one that writes checkpoints, logs and the model."""
    return worker_index(strategy) == 0


def _place_by(resolver):
    """Returns the Place that TF_CONFIG gives, or raises a UserError."""
    jobs = {job: tuple(tasks) for job, tasks in resolver.cluster_spec().as_dict().items()}
    chiefs, workers = jobs.get("chief", ()), jobs.get("worker", ())
    kind, index = resolver.task_type or "worker", resolver.task_id or 0
    own = {"chief": chiefs, "worker": workers}.get(kind, ())
    if not 0 <= index < len(own):
        raise UserError(
            f'TF_CONFIG\'s task must be a "worker" or the "chief", numbered below their {len(own)} address(es). '
            f"Received: {kind} {index}."
        )
    return Place(index + (len(chiefs) if kind == "worker" else 0), chiefs + workers)


def multi_worker_strategy(*, start_seconds=START_SECONDS, log=None):
    """Waits until all workers of TF_CONFIG are there, and returns their MultiWorkerMirroredStrategy.

    TensorFlow waits an hour for them, deaf to Ctrl-C and SIGTERM; so we meet before.

    Args:
        start_seconds: how long to wait for the others.
        log: called with a line on whom this worker is waiting for.

    Raises:
        UserError: TensorFlow has started already, a TF_CONFIG without a place for this process, or its port in use.
        LostWorkerError: another worker does not come.
    """
    import tensorflow as tf

    place = _place_by(tf.distribute.cluster_resolver.TFConfigClusterResolver())
    if place.others:
        _meet(place, start_seconds, log or (lambda line: None))
        _limit_connecting(place)
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:  # "Collective ops must be configured at program startup"
        raise UserError(f"Call strategy() before anything else uses TensorFlow ({error}).") from error
    except tf.errors.OpError as error:
        raise LostWorkerError(
            f"The workers {', '.join(place.addresses)} did not find together ({_reason(error)}); "
            "stop those that still run, and start all with the same command."
        ) from error


def _limit_connecting(place):
    """Lets TensorFlow wait for a minute, where it would wait for an hour: one may die after we have met."""
    import tensorflow as tf
    from tensorflow.python.eager import context  # no public function sets the time-out

    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    jobs = resolver.cluster_spec().as_dict()
    config = tf.compat.v1.ConfigProto().experimental.coordination_config
    counts = {job: len(jobs[job]) for job in ("chief", "worker") if job in jobs}
    context.context().configure_coordination_service(
        "standalone",
        service_leader=f"/job:{next(iter(counts))}/replica:0/task:0",
        cluster_register_timeout_in_ms=CONNECT_SECONDS * 1000,
        coordinated_jobs=[config.coordinated_job_list.add(name=job, num_tasks=n) for job, n in counts.items()],
    )


def _meet(place, seconds, log):
    """Holds this worker's port open until all others have been seen to hold theirs."""
    missing, deadline, told = place.others, time.monotonic() + seconds, False
    with _open_port(place.addresses[place.index]):
        while missing := {index: address for index, address in missing.items() if not _answers(address)}:
            names = ", ".join(f"{index} ({address})" for index, address in missing.items())
            if time.monotonic() > deadline:
                raise LostWorkerError(
                    f"Waited {seconds:g} seconds for worker {names} in vain; see whether it runs and whether this "
                    "machine reaches it there, and start all workers with the same command."
                )
            if not told:
                log(f"worker {place.index} of {len(place.addresses)} is waiting for worker {names}")
                told = True
            time.sleep(0.5)


def _open_port(address):
    """Returns a socket that listens at the port of "host:port", on all of this machine's addresses."""
    port = _host_and_port(address)[1]
    try:
        if socket.has_dualstack_ipv6():
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        return socket.create_server(("", port))
    except OSError as error:
        raise UserError(
            f"This worker's port, {port} by TF_CONFIG ({address}), cannot be opened ({os.strerror(error.errno)}); "
            "end what uses it, an earlier worker perhaps, or give each worker a port of its own."
        ) from error


def _answers(address):
    """Returns whether something listens at "host:port"."""
    try:
        socket.create_connection(_host_and_port(address), timeout=LOOK_EVERY).close()
    except OSError:
        return False
    return True


def _host_and_port(address):
    """Splits "host:port".

    >>> _host_and_port("[::1]:2222")
    ('::1', 2222)
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f"An address in TF_CONFIG must be host:port. Received: {address!r}.")
    return host.strip("[]"), int(port)


def check_agreement(strategy, number, *, what):
    """Raises a UserError on all workers unless all give the same number; waits for all of them.

    Args:
        strategy: a tf.distribute strategy; with one worker nothing is done.
        number: an int of 64 bits.
        what: what it is, for the message, such as "the step to resume from".
    """
    if num_workers(strategy) == 1:
        return
    by_worker = _gatherer(strategy)(number)
    if len(set(by_worker)) > 1:
        given = ", ".join(f"{each} on worker {index}" for index, each in enumerate(by_worker))
        raise UserError(
            f"The workers do not agree on {what}: {given}; start all with the same command, "
            "in an output directory that all of them see."
        )


def stop_of_any(strategy, stop):
    """Returns a `stop` for the loop that says the same on all workers, which are asked together: what any of them says.

    Args:
        strategy: a tf.distribute strategy; with one worker `stop` itself is returned.
        stop: callable() -> None, or (why, exit status above 0), this worker's own.
    """
    if num_workers(strategy) == 1:
        return stop
    gather = _gatherer(strategy)

    def any_stop():
        own = stop()
        statuses = gather(own[1] if own else 0)
        index = next((index for index, status in enumerate(statuses) if status), None)
        return own or (None if index is None else (f"worker {index} was asked to stop", statuses[index]))

    return any_stop


def _gatherer(strategy):
    """Returns a function from this worker's int to the list of all workers', which waits for them."""
    import tensorflow as tf

    replicas, workers = strategy.num_replicas_in_sync, num_workers(strategy)

    @tf.function
    def gather(own):
        def on_replica(own):
            context = tf.distribute.get_replica_context()
            row = tf.one_hot(context.replica_id_in_sync_group, replicas, dtype=tf.int64) * own
            return context.all_reduce(tf.distribute.ReduceOp.SUM, row)

        return strategy.experimental_local_results(strategy.run(on_replica, args=(own,)))[0]

    return lambda own: gather(tf.constant(own, tf.int64)).numpy()[:: replicas // workers].tolist()


@contextlib.contextmanager
def lost_workers_named(strategy, *, step=lambda: 0):
    """Turns what TensorFlow raises, or fails to raise, when another worker is gone into a LostWorkerError.

    To be put around everything that workers do together. It ends when all have come to its end, so that the first to
    be ready is not missed as lost.

    Args:
        strategy: a tf.distribute strategy; with one worker nothing is done.
        step: called for the number of steps done.
    """
    place = place_in(strategy)
    if not place.others:
        yield
        return
    import tensorflow as tf

    kinds = tuple(getattr(tf.errors, kind) for kind in KINDS)
    watch = _Watch(place, step)
    try:
        with watch:
            yield
            check_agreement(strategy, 0, what="the end")
    except kinds as error:
        if not any(mark in str(error) for mark in MARKS):
            raise
        raise LostWorkerError(_sentence(place, step(), _reason(error))) from error


class _Watch(threading.Thread):
    """Looks at the other workers' ports; ends the process if one stays closed and nothing else has ended it."""

    def __init__(self, place, step):
        super().__init__(name="watch over the other workers", daemon=True)
        self.place, self.step, self.over = place, step, threading.Event()

    def __enter__(self):
        self.start()

    def __exit__(self, *_):
        self.over.set()

    def run(self):
        vain = dict.fromkeys(self.place.others, 0)
        while not self.over.wait(LOOK_EVERY):
            for index, address in self.place.others.items():
                vain[index] = 0 if _answers(address) else vain[index] + 1
                if vain[index] == LOOKS and not self.over.wait(GRACE_SECONDS):
                    reason = f"nothing answers at {address} any more"
                    print(_sentence(self.place, self.step(), reason, index), file=sys.stderr, flush=True)
                    os._exit(LostWorkerError.exit_status)  # an exception here would not reach what hangs


def _sentence(place, step, reason, index=None):
    """Says that a worker is lost, and what to do.

    >>> print(_sentence(Place(0, ("a:1", "b:1")), 40, "Socket closed"))
    Worker 0 of 2 lost another worker after step 40 (Socket closed); the checkpoints saved so far are safe, and \
starting all workers with the same command resumes from the last one.
    """
    lost = "another worker" if index is None else f"worker {index}"
    when = f"after step {step}" if step else "before the first step"
    return (
        f"Worker {place.index} of {len(place.addresses)} lost {lost} {when} ({reason}); the checkpoints saved so far "
        "are safe, and starting all workers with the same command resumes from the last one."
    )


def _reason(error):
    """Returns the telling line of a TensorFlow error.

    >>> _reason(ValueError("Graph execution error:\\nCollective ops is aborted by: Socket closed\\nThe error"))
    'Socket closed'
    """
    lines = str(error).splitlines() or [type(error).__name__]
    told = next((line.split("is aborted by: ")[1] for line in lines if "is aborted by: " in line), lines[0])
    return told.strip().rstrip(":.")[:160]
