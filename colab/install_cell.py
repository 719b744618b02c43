#@title Install keras_bert { display-mode: "form" }
#@markdown **Choose the runtime first**, with Runtime > Change runtime type: T4 GPU or v5e-1 TPU for the real setting; a CPU
#@markdown will do for the small one. Then run this cell. It takes keras_bert as installed, from the clone that this notebook
#@markdown lies in, or from where it is published. If it finds none of these, it asks for an address: of a git repository, or
#@markdown of a `.zip` or `.whl` file.
SOURCE = ""  #@param {type:"string"}
#@markdown What drives a TPU, if the runtime has one:
TPU_BACKEND = "jax"  #@param ["jax", "tensorflow"]

import importlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

PUBLISHED = ""  # where the project is published, once it is: the one place (colab/install_cell.py)

on_tpu = bool(os.environ.get("TPU_ACCELERATOR_TYPE") or os.environ.get("TPU_NAME") or list(Path("/dev").glob("accel*")))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # the commands below are processes of their own
if on_tpu and TPU_BACKEND == "jax":
    os.environ["KERAS_BACKEND"] = "jax"


def is_installed():
    if any(importlib.metadata.distributions(name="keras-bert")):  # also imported as keras_bert
        raise SystemExit(
            "PyPI's keras-bert, an older project with the same import name, is installed: "
            "run `!pip uninstall -y keras-bert`, then this cell again."
        )
    try:
        import keras_bert as kb
    except ImportError:
        return False
    if not any(importlib.metadata.distributions(name="keras3-bert")):  # the clone itself, without what it needs
        return False
    print(f"keras_bert {kb.__version__} is installed.")
    return True


def find_source():
    if SOURCE.strip():
        return SOURCE.strip()
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / "requirements-tpu.txt").exists() and (folder / "keras_bert" / "errors.py").exists():
            return str(folder)
    if PUBLISHED:
        return PUBLISHED
    raise SystemExit(
        "keras_bert is not installed, this notebook does not lie in a clone of it, and no published address is known: "
        "type the address of a git repository, of a .zip or of a .whl file into SOURCE above, and run this cell again."
    )


def fetch(source):
    """Returns a folder or a wheel, of a path or an address."""
    address = source.removeprefix("git+")
    is_address = "://" in address or address.startswith("git@")
    if not is_address and not Path(address).exists():  # by a name alone, pip would install somebody else's package
        raise SystemExit(f"SOURCE must be an address or a path that exists, of git, a .zip or a .whl. Received: {source!r}.")
    kind = Path(address.partition("?")[0].partition("#")[0]).suffix
    if kind == ".whl" or (kind != ".zip" and not is_address):
        return address
    place = Path(tempfile.mkdtemp())
    if kind == ".zip":
        file = urllib.request.urlretrieve(address, place / "source.zip")[0] if is_address else address
        shutil.unpack_archive(file, place / "source")
        return str(next((place / "source").rglob("requirements-tpu.txt")).parent)
    subprocess.run(["git", "clone", "--quiet", "--depth=1", address, str(place / "source")], check=True)
    return str(place / "source")


def install(*packages):
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *packages], check=True)


def install_from(source):
    if not on_tpu or TPU_BACKEND == "jax":
        install(*(["jax[tpu]==0.10.2"] if on_tpu else []), source)
    elif source.endswith(".whl"):
        raise SystemExit("For TensorFlow on a TPU give SOURCE as git or .zip: a .whl lacks requirements-tpu.txt.")
    else:  # two calls, or pip would put plain tensorflow over the TPU's build
        install("-r", f"{source}/requirements-tpu.txt")  # tensorflow-tpu 2.20.0 and libtpu 0.0.17
        install("--no-deps", "tensorflow-text==2.20.1", source)


if is_installed():
    if SOURCE.strip():
        print("So SOURCE was not read; `!pip uninstall -y keras3-bert` makes room for it.")
else:
    source = find_source()
    print(f"Installing keras_bert from {source}; this takes a few minutes.")
    try:
        install_from(fetch(source))
    except (OSError, ValueError, StopIteration, subprocess.CalledProcessError) as error:
        raise SystemExit(f"keras_bert cannot be installed from {source} ({error or 'not our project'}); check SOURCE above.")
    importlib.invalidate_caches()
