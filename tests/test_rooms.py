"""The house of rooms: who may import whom, read off the source with ast."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("keras_bert", "tfrecords")
# In the order in which data flow: a room imports only from itself and from rooms before it.
ROOMS = (
    *(
        "errors",
        "lazy",
        "private_names",
        "locks",
        "outputs",
        "kinds",
        "files",
        "cells",
        "progress",
        "families",
        "config",
    ),
    *("text", "data", "layers", "checkpoints", "models", "training", "tasks", "serving", "cli"),
)
OPEN_TO_TFRECORDS = {"errors", "locks", "outputs", "files", "cells", "families", "config", "text", "data"}
KERAS_ONLY = {"layers", "models"}  # what trains on the JAX backend too
TENSORFLOW_AT_IMPORT = {"training", "tasks", "serving"}  # elsewhere it is imported on first use
TEXT_OPS = re.compile(r"keras_bert\.text\.(\w+\.)?graph(_\w+)?")  # the modules that need TensorFlow and tensorflow_text
# `python -m tfrecords.create_pretraining_data` is the command of the same name, flags and all.
TOOLS_AS_PROGRAMS = {
    (f"tfrecords.{name}", "keras_bert.cli.main") for name in ("create_pretraining_data", "show_records")
}


def module_name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


SOURCES = {module_name(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}


def is_main_block(node):
    """Says whether a statement is `if __name__ == "__main__":`, which no import of the module runs."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


def imports(source, module, *, is_package):
    """Yields (imported module, at module level?) of every import statement, wherever it stands."""
    tree = ast.parse(source)
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) or is_main_block(function)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module if is_package else module.rpartition(".")[0]
                base = importlib.util.resolve_name("." * node.level + base, package)
            # `from keras_bert.models import encoder` imports a module, `... import BertEncoder` a name of one
            names = [f"{base}.{a.name}" if f"{base}.{a.name}" in SOURCES else base for a in node.names]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", None) == "import_module" and node.args:
            names = [node.args[0].value] if isinstance(node.args[0], ast.Constant) else []
        for name in names:
            yield name, id(node) not in inside


def complaints(module, imported, at_module_level):
    """Yields what is wrong with one import, if anything is."""
    package, _, rest = module.partition(".")
    room = rest.split(".")[0]
    target, _, target_rest = imported.partition(".")
    target_room = target_rest.split(".")[0]
    if package == "keras_bert":
        if target == "tfrecords" and room != "cli":
            yield "the library does not know tfrecords"
        if target == "keras_bert" and room:
            if target_room not in ROOMS:
                yield "a room imports from rooms, not from the package that hands them on"
            elif ROOMS.index(target_room) > ROOMS.index(room):
                yield f"{target_room} comes after {room}"
        if room in KERAS_ONLY and target in ("tensorflow", "tensorflow_text", "jax", "torch"):
            yield f"{room} is keras.ops only"
    if package == "tfrecords":
        as_program = (module, imported) in TOOLS_AS_PROGRAMS and not at_module_level
        if target == "keras_bert" and target_room not in OPEN_TO_TFRECORDS and not as_program:
            yield f"the writing side uses text and data, not {target_room or 'the whole library'}"
    if target == "tensorflow_text" and not TEXT_OPS.fullmatch(module):
        yield "tensorflow_text is imported in the text room's graph modules alone"
    if target == "tensorflow_text" and at_module_level:
        yield "tensorflow_text is imported on first use"
    may_import = room in TENSORFLOW_AT_IMPORT or TEXT_OPS.fullmatch(module)
    if target == "tensorflow" and at_module_level and not may_import:
        yield "TensorFlow is imported on first use here"


def complaints_about(source, module, *, is_package=False):
    return [
        f"{module} imports {imported}: {complaint}"
        for imported, at_module_level in imports(source, module, is_package=is_package)
        for complaint in complaints(module, imported, at_module_level)
    ]


def test_imports_follow_the_rooms():
    found = []
    for module, path in SOURCES.items():
        found += complaints_about(path.read_text(encoding="utf-8"), module, is_package=path.name == "__init__.py")
    assert not found, "\n".join(found)


def test_no_files_import_each_other_in_a_circle():
    files = {module: path for module, path in SOURCES.items() if path.name != "__init__.py"}  # which only hand names on
    imported = {
        module: {name for name, _ in imports(path.read_text(encoding="utf-8"), module, is_package=False)} & set(files)
        for module, path in files.items()
    }
    left = dict(imported)  # what imports nothing that is left cannot be in a circle
    while done := [module for module, names in left.items() if not names & left.keys()]:
        for module in done:
            del left[module]
    assert not left, f"in a circle, or above one: {', '.join(left)}"


def test_every_room_stands_in_the_list():
    rooms = {module.split(".")[1] for module in SOURCES if module.startswith("keras_bert.")}
    assert rooms <= set(ROOMS)
    assert rooms >= {"errors", "text", "data", "layers", "models", "training"}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("keras_bert.text.wordpiece.pieces", "from keras_bert.data import records"),
        ("keras_bert.text.wordpiece.pieces", "import keras_bert.models.encoder"),
        ("keras_bert.text.wordpiece.pieces", "def f():\n    from keras_bert.data.records import FEATURES"),
        ("keras_bert.text.wordpiece.pieces", "from ...data import records"),
        ("keras_bert.models.encoder", "import keras_bert as kb"),
        ("keras_bert.models.encoder", "def f():\n    import tensorflow as tf"),
        ("keras_bert.layers.heads", "from tensorflow import nn"),
        ("keras_bert.data.records", "import tensorflow as tf"),
        ("keras_bert.training.steps", "def f():\n    import tensorflow_text"),
        ("keras_bert.text.wordpiece.graph", "import tensorflow_text"),
        ("keras_bert.data.records", "def f():\n    import tfrecords.writer"),
        ("keras_bert.data.records", "from keras_bert.cli.flags import add_bool"),
        ("tfrecords.writer", "from keras_bert.models import BertEncoder"),
        ("tfrecords.writer", "import keras_bert"),
        ("tfrecords.writer", "def f():\n    from keras_bert.cli.main import main"),
        ("tfrecords.writer", "import importlib\nimportlib.import_module('keras_bert.training.pretrain')"),
    ],
)
def test_the_walk_finds_a_wrong_import(module, source):
    assert complaints_about(source, module)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("keras_bert.models.encoder", "import keras\nfrom keras_bert.layers import TransformerBlock"),
        ("keras_bert.data.records", "def f():\n    import tensorflow as tf"),
        ("keras_bert.text.wordpiece.graph", "def f():\n    import tensorflow_text"),
        ("keras_bert.training.steps", "import tensorflow as tf\nfrom .optimizers import adamw"),
        ("tfrecords.writer", "from keras_bert.data.wire import frame\nfrom tfrecords.instances import assemble"),
        ("keras_bert.cli.pretrain", "def run(args):\n    import tensorflow, tfrecords"),
    ],
)
def test_the_walk_lets_a_right_import_pass(module, source):
    assert complaints_about(source, module) == []


def run_python(script, **environment):
    """Runs a script in a fresh interpreter that finds the project. Returns its last line of output."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2", **environment}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip().splitlines()[-1]


BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""


def test_the_library_imports_without_tensorflow_text():
    script = (
        f"BLOCKED = {{'tensorflow_text'}}\n{BLOCKER}\n"
        "import keras_bert\nfrom keras_bert.models import BertEncoder\n"
        "from keras_bert.text.tokenizer import Tokenizer\n"
        "print('tensorflow_text' in sys.modules)"
    )
    assert run_python(script) == "False"


@pytest.mark.nightly
def test_the_models_work_with_jax_alone():
    pytest.importorskip("jax")
    script = (
        f"BLOCKED = {{'tensorflow', 'tensorflow_text', 'tensorflow_datasets', 'torch'}}\n{BLOCKER}\n"
        "import numpy as np\nimport keras_bert\nfrom keras_bert.config import BertConfig\n"
        "from keras_bert.models import BertEncoder\n"
        "config = BertConfig.from_name('tiny')\n"
        "ones = np.ones((2, 8), 'int32')\n"
        "outputs = BertEncoder(config)({'input_ids': ones, 'input_mask': ones, 'segment_ids': 0 * ones})\n"
        "assert outputs['sequence_output'].shape == (2, 8, config.hidden_size)\n"
        "print(type(outputs['pooled_output']).__module__)"
    )
    assert run_python(script, KERAS_BACKEND="jax").startswith("jax")
