"""Names of a package that are loaded when they are first used, so that importing it costs nothing."""

import importlib
import sys


def lazy_names(package, exports, submodules=()):
    """Makes what a package needs to hand on names of its modules, each loaded on first use (PEP 562).

    Args:
        package: the package's __name__.
        exports: {module: names of it}, modules named as after `import`.
        submodules: {name: module}, modules handed on as such.

    Returns:
        __getattr__, __dir__, __all__: for the package to keep under these names.
    """
    submodules = dict(submodules)
    module_of = {name: module for module, names in exports.items() for name in names}
    names = sorted([*module_of, *submodules])

    def load(name):
        if name in submodules:
            value = importlib.import_module(submodules[name])
        elif name in module_of:
            value = getattr(importlib.import_module(module_of[name]), name)
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(sys.modules[package], name, value)
        return value

    return load, lambda: names, names
