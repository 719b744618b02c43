"""What must be right before a TPU is asked for: found in a second, named with its remedy, before a minute is lost.

The versions of docs/tpu.md are those that were seen to go together; versions come from the packages' metadata, so
nothing is imported to be looked at. The PCI numbers are those of jax/_src/hardware_utils.py.
"""

import glob
import importlib.metadata
import os
import threading
from pathlib import Path

from keras_bert.errors import UserError

PACKAGES = ("tensorflow", "tensorflow-tpu", "libtpu", "tensorflow-text", "keras", "jax")
LIBTPU = {"2.20": "0.0.17"}  # {release of tensorflow-tpu: the libtpu that does not abort with it}
OLDEST_KERAS = (3, 12)
INSTALL = (
    "pip install tensorflow-tpu==2.20.0 libtpu==0.0.17 && pip install --no-deps tensorflow-text==2.20.1 (docs/tpu.md)"
)
JAX_WAY = 'pip install "jax[tpu]" and KERAS_BACKEND=jax'
GOOGLE = "0x1ae0"  # its number as a PCI vendor
TPU_DEVICES = {"0x0027", "0x0056", "0x005e", "0x0062", "0x0063", "0x006f", "0x0076"}
PATH_SECONDS = 60  # for all paths together: gfile itself tries again for minutes where the network swallows packets


def installed_versions(names=PACKAGES):
    """Returns {distribution: version} of those that are installed."""
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def tpu_address(tpu=None):
    """Returns where the TPU is: "local" in this machine, else a name or address, or None where nothing tells of one.

    Args:
        tpu: what the user named; then that is it.
    """
    named = tpu or os.environ.get("TPU_NAME") or os.environ.get("COLAB_TPU_ADDR")
    if named:
        is_colabs = not tpu and not os.environ.get("TPU_NAME")
        return f"grpc://{named}" if is_colabs and "://" not in named else named
    return "local" if os.environ.get("TPU_ACCELERATOR_TYPE") or has_tpu_chip() else None


def has_tpu_chip(pci="/sys/bus/pci/devices"):
    """Says whether a TPU is plugged into this machine."""
    for vendor in glob.glob(f"{pci}/*/vendor"):
        device = Path(vendor).with_name("device")
        if Path(vendor).read_text().strip() == GOOGLE and device.read_text().strip() in TPU_DEVICES:
            return True
    return False


def check_tpu(tpu=None, *, backend="tensorflow"):
    """Refuses what cannot end in training on a TPU. Returns its `tpu_address`.

    Args:
        tpu: the TPU's name or address; None looks for one.
        backend: Keras' backend.

    Raises:
        UserError: no TPU, or packages that do not go together.
    """
    versions, address = installed_versions(), tpu_address(tpu)
    if backend == "tensorflow" and {"tensorflow", "tensorflow-tpu"} <= versions.keys():
        raise UserError(
            f"tensorflow {versions['tensorflow']} and tensorflow-tpu {versions['tensorflow-tpu']} are both installed, "
            "and the one has overwritten files of the other; run pip uninstall -y tensorflow tensorflow-tpu, then "
            f"{INSTALL}"
        )
    if address is None:
        second = "" if backend == "jax" else f" There a second way is JAX: {JAX_WAY}."
        raise UserError(
            "No TPU is visible; in Colab choose v5e-1 TPU under Runtime > Change runtime type, elsewhere start on a "
            f"TPU VM or name the TPU with --tpu_name, or use --strategy one_device.{second}"
        )
    if backend == "tensorflow":
        check_versions(versions, local=address == "local")
    elif backend == "jax" and "libtpu" not in versions:
        raise UserError('JAX needs libtpu to use the TPU that is here; run pip install "jax[tpu]".')
    return address


def check_versions(versions, *, local=True):
    """Raises a UserError for versions that do not drive a TPU together.

    Args:
        versions: {distribution: version}.
        local: whether the TPU is in this machine; a remote one needs no TPU build.
    """
    tensorflow = versions.get("tensorflow-tpu") or versions.get("tensorflow", "")
    if local and "tensorflow-tpu" not in versions:
        raise UserError(
            f"tensorflow {tensorflow or '(none)'} drives no TPU; run pip uninstall -y tensorflow, then {INSTALL}, or "
            f"use JAX: {JAX_WAY}, or --strategy one_device."
        )
    release = ".".join(tensorflow.split(".")[:2])
    libtpu = versions.get("libtpu", "none")
    if local and release not in LIBTPU:
        raise UserError(f"tensorflow-tpu must be 2.20.0. Received: {tensorflow}; run {INSTALL}")
    if local and libtpu != LIBTPU[release]:
        raise UserError(
            f"tensorflow-tpu {tensorflow} needs libtpu {LIBTPU[release]}, and aborts with newer ones. Received: "
            f"{libtpu}; run pip install libtpu=={LIBTPU[release]}"
        )
    text = versions.get("tensorflow-text")
    if text and text.split(".")[:2] != release.split("."):
        raise UserError(
            f"tensorflow-text {text} does not load with TensorFlow {tensorflow}; run "
            f"pip install --no-deps 'tensorflow-text=={release}.*'"
        )
    keras = versions.get("keras", "0.0")
    if tuple(map(int, keras.split(".")[:2])) < OLDEST_KERAS:
        oldest = ".".join(map(str, OLDEST_KERAS))
        raise UserError(f"keras must be at least {oldest}. Received: {keras}; run pip install 'keras>={oldest}'")


def check_paths(paths, *, writable=(), seconds=PATH_SECONDS):
    """Refuses places that cannot be read or written, those of gs:// and other schemes among them.

    Local paths are left to whoever reads them.

    Args:
        paths: {flag: path, pattern or prefix, several with commas between them; or a list of them; or None}.
        writable: the flags among them that name a folder to write to, which need not exist.
        seconds: how long all of it may take.

    Raises:
        UserError: a place that is missing, not readable or not writable, or that does not answer in time.
    """
    places = [
        (flag, part)
        for flag, value in paths.items()
        for entry in ([value] if isinstance(value, (str, os.PathLike)) else value or ())
        for part in os.fspath(entry).split(",")
        if part
    ]
    problems = [None] * len(places)

    def look(i, flag, place):
        problems[i] = _problem(place, write=flag in writable)

    threads = [
        (flag, place, threading.Thread(target=look, args=(i, flag, place), daemon=True))
        for i, (flag, place) in enumerate(places)
        if "://" in place
    ]
    for *_, thread in threads:
        thread.start()
    for flag, place, thread in threads:
        thread.join(seconds / len(threads))
        if thread.is_alive():
            raise UserError(
                f"{flag}: {place} does not answer within {seconds} seconds; check the network and the bucket's name."
            )
    for (flag, place), problem in zip(places, problems, strict=True):
        if problem:
            raise UserError(f"{flag}: {place} {problem}")


def _problem(place, *, write):
    """Returns what is wrong with a remote place, or None."""
    import tensorflow as tf

    gfile, errors = tf.io.gfile, tf.errors
    try:
        if write:
            probe = f"{place.rstrip('/')}/.keras_bert_can_write"
            gfile.makedirs(place)
            with gfile.GFile(probe, "wb") as file:
                file.write(b"1")
            gfile.remove(probe)
        elif not gfile.exists(place) and not gfile.glob(place + "*"):  # a checkpoint's prefix is not a file itself
            return "does not exist, or holds nothing; check the path."
    except errors.UnimplementedError:
        return f"is of a kind that TensorFlow cannot open here ({place.split('://')[0]}://); use gs:// or a local path."
    except errors.NotFoundError:
        return "does not exist; check the bucket's name and the path."
    except errors.OpError as error:
        return (
            f"cannot be {'written' if write else 'read'} ({str(error).splitlines()[0].strip()}); check its name, the "
            "network, and that you are signed in (gcloud auth application-default login, in Colab "
            "google.colab.auth.authenticate_user()) with a right to it."
        )
    return None
