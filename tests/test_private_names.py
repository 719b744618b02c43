"""Private names of other packages: what the source uses is what keras_bert/private_names.py lists."""

import ast
import importlib
import inspect
import re
import textwrap
from functools import cache

import keras
import pytest

from keras_bert.errors import UserError
from keras_bert.private_names import PRIVATE_NAMES, SEEN_ON, require
from tests.test_rooms import PACKAGES, ROOT, SOURCES
from tests.versions import lower_bounds

PRIVATE_PART = re.compile(r"(^|\.)(_[^_.][^.]*|src|externals|internal|vendored)(\.|$)|^tensorflow\.(python|core)(\.|$)")
DOCUMENTED = {"os._exit"}  # with an underscore, and public all the same
LISTED = {each.name for each in PRIVATE_NAMES}
ATTRIBUTES = {each.name for each in PRIVATE_NAMES if each.owner}
MODULES = LISTED - ATTRIBUTES


def is_private(name):
    return name.startswith("_") and not name.endswith("__") and name != "_"


def own_names(tree):
    """Yields the names that a source defines: functions, classes, variables, attributes."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr


def imported_modules(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module != "__future__":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
            yield from (each.value for each in node.args if isinstance(each, ast.Constant))


def used_attributes(tree):
    """Yields (name, whether it is asked of `super()`) of attributes, those that getattr and its like name too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) not in DOCUMENTED:
            yield node.attr, ast.unparse(node.value) == "super()"
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "setattr", "hasattr"):
            yield from ((each.value, False) for each in node.args[1:2] if isinstance(each, ast.Constant))


def foreign_names(sources):
    """Returns the private names of other packages in {module: source}: attributes, and modules."""
    trees = [ast.parse(source) for source in sources.values()]
    ours = {name for tree in trees for name in own_names(tree)}
    by_module = [set(own_names(tree)) for tree in trees]
    found = set()
    for index, tree in enumerate(trees):
        others = set().union(*by_module[:index], *by_module[index + 1 :])
        for name, of_base in used_attributes(tree):  # a method asked of `super()` is in another module, if it is ours
            if is_private(name) and name not in (others if of_base else ours):
                found.add(name)
        for name in imported_modules(tree):
            if name.split(".")[0] not in PACKAGES and PRIVATE_PART.search(name):
                found.add(name)
    return found


@cache
def names_of_class(cls):
    """Returns the private names of a class and of its instances."""
    found = set(vars(cls)) - {"_abc_impl"}  # which abc.ABCMeta puts into every class of its own
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError):  # written in C
        tree = ast.Module([], [])
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
            found.add(node.attr)
    return {name for name in found if is_private(name)}


def shared_names(classes):
    """Returns the private names that classes of ours have in common with their bases of other packages."""
    tensor = keras.Input((1,))
    functional = type(
        keras.Model(tensor, keras.layers.Identity()(tensor))
    )  # the class of a keras.Model that is made of tensors
    found = set()
    for cls in classes:
        bases = cls.__mro__ + (functional.__mro__ if issubclass(cls, keras.Model) else ())
        ours = {base for base in bases if base.__module__.split(".")[0] in (*PACKAGES, "tests")}
        theirs = set(bases) - ours - {object}
        found |= set().union(*map(names_of_class, ours)) & set().union(*map(names_of_class, theirs))
    return found


@pytest.fixture(scope="module")
def classes():
    """Our classes; all modules are imported for it, but the one that needs JAX."""
    pytest.importorskip("tensorflow")
    modules = [importlib.import_module(name) for name in SOURCES if name != "keras_bert.training.jax_trainer"]
    values = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    return [value for value in values if value.__module__.split(".")[0] in PACKAGES]


@pytest.fixture(scope="module")
def in_source():
    return foreign_names({name: path.read_text(encoding="utf-8") for name, path in SOURCES.items()})


def listed(name):
    return name in ATTRIBUTES or any(name == module or name.startswith(f"{module}.") for module in MODULES)


def test_every_private_name_in_the_source_is_listed(in_source, classes):
    assert [name for name in sorted(in_source) if not listed(name)] == []
    assert shared_names(classes) - LISTED == set()


def test_every_listed_name_is_used(in_source, classes):
    used = in_source | shared_names(classes)
    assert [name for name in LISTED if not any(each == name or each.startswith(f"{name}.") for each in used)] == []


@pytest.mark.parametrize(
    "source",
    [
        "layer._flatten_layers()",
        "getattr(layer, '_layers')",
        "class A(B):\n    def _hook(self):\n        return super()._hook()",
        "from keras.src import backend",
        "import tensorflow.python.eager.context",
        "def f():\n    from tensorflow.core.protobuf import config_pb2",
        "importlib.import_module('keras._tf_keras.keras')",
    ],
)
def test_the_walk_finds_a_private_name(source):
    assert foreign_names({"tfrecords.other": "import os", "tfrecords.new": source})


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos._exit(1)",
        "class A:\n    def __init__(self):\n        self._x = 1\na._x, super().__init__, A._made",
        "from tensorflow import nn\nimport keras.src_of_ours",
    ],
)
def test_the_walk_lets_others_pass(source):
    assert foreign_names({"tfrecords.other": "def _made(): pass", "tfrecords.new": source}) == set()


def test_a_class_that_shares_a_private_name_with_a_base_is_found():
    class Mine(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self._convert_input_args, self._mine = False, True

    class Model(keras.Model):
        def _run_through_graph(self):
            pass

    assert shared_names([Mine]) == {"_convert_input_args"}
    assert shared_names([Model]) == {"_run_through_graph"}


@pytest.mark.parametrize("each", PRIVATE_NAMES, ids=lambda each: each.name)
def test_the_installed_versions_have_it(each):
    if not each.owner:
        importlib.import_module(each.name)
        return
    module, _, name = each.owner.rpartition(".")
    owner = getattr(importlib.import_module(module), name)
    has = hasattr(owner, each.name) or each.name in names_of_class(owner)
    assert has or (each.name == "_all_reduce_sum_gradients" and keras.backend.backend() != "tensorflow")


def test_a_hook_that_is_gone_is_named():
    with pytest.raises(UserError, match=r"^keras \S+ has no dict\._clip_gradients, .*; install keras 3\.12\.0 to "):
        require(dict, "_clip_gradients")


def test_the_oldest_versions_and_the_pinned_ones_were_seen():
    pins = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    for package in SEEN_ON.keys() - {"python"}:
        lowest = lower_bounds()[package]
        assert SEEN_ON[package][0].startswith(lowest), package
        assert pins[package] in SEEN_ON[package], f"run `make test-versions`, and add {package} {pins[package]}"


def on_batch_values(source):
    """Returns the lines that read what train_on_batch or test_on_batch returns: a mean on some versions of Keras."""
    parents = {child: node for node in ast.walk(ast.parse(source)) for child in ast.iter_child_nodes(node)}
    calls = [node for node in parents if isinstance(node, ast.Call)]
    named = [node for node in calls if getattr(node.func, "attr", "") in ("train_on_batch", "test_on_batch")]
    return [node.lineno for node in named if not isinstance(parents[node], (ast.Expr, ast.Lambda))]


def test_no_test_takes_a_mean_for_the_loss_of_a_batch():
    assert on_batch_values("losses = [model.train_on_batch(x, y)[0] for _ in range(3)]")
    assert not on_batch_values("for _ in range(3):\n    model.train_on_batch(x, y)")
    helper = ROOT / "tests" / "small.py"  # whose batch_loss resets the metrics first
    paths = [path for path in (ROOT / "tests").rglob("*.py") if path != helper]
    found = {path.relative_to(ROOT): on_batch_values(path.read_text(encoding="utf-8")) for path in paths}
    assert {path: lines for path, lines in found.items() if lines} == {}
