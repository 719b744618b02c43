"""The versions of the packages that setup.py asks for, one a line: the lowest allowed, for pip, or those installed.

python tests/versions.py lowest
python tests/versions.py installed
"""

import ast
import importlib.metadata
import platform
import re
import sys
from pathlib import Path

SETUP = Path(__file__).resolve().parents[1] / "setup.py"


def lower_bounds():
    """Returns {package: lower bound, or "" if it has none}."""
    tree = ast.parse(SETUP.read_text(encoding="utf-8"))
    keywords = [node for node in ast.walk(tree) if isinstance(node, ast.keyword)]
    requirements = next(ast.literal_eval(each.value) for each in keywords if each.arg == "install_requires")
    found = (re.fullmatch(r"([\w-]+)(?:>=([\w.]+))?(?:,<[\w.]+)?", each) for each in requirements)
    return {each[1]: each[2] or "" for each in found}


def main(which):
    """Prints them."""
    if which == "lowest":
        print("\n".join(f"{package}=={version}" for package, version in lower_bounds().items() if version))
    else:
        installed = [f"{package}=={importlib.metadata.version(package)}" for package in lower_bounds()]
        print(f"Python {platform.python_version()}:", *installed)


if __name__ == "__main__":
    main(sys.argv[1])
