"""The embedded corpus: the docstrings of the Python packages that the installation brought along.

Source files are parsed with `ast`, never imported. The same installed versions give the same corpus,
wherever they lie and whatever the hash seed.
"""

import ast
import gc
import importlib.util
import os
import re
import sysconfig
import warnings
from collections import Counter
from pathlib import Path

from keras_bert.cli.corpus import (
    MIN_SENTENCES,
    Document,
    balanced_table,
    first_words,
    is_heldout,
    write_split,
    write_tables,
)
from keras_bert.cli.docstring_prose import docstring_sentences
from keras_bert.outputs import atomic_path

STANDARD_LIBRARY = "stdlib"
PACKAGES = (  # what our own requirements install and what has good prose; development tools stay out
    "tensorflow",
    "keras",
    "numpy",
    "scipy",
    "sklearn",
    "matplotlib",
    "tensorflow_datasets",
    "tensorflow_text",
)
SKIPPED_FOLDERS = {  # by what they hold
    *("test", "tests", "idlelib", "turtledemo", "lib2to3"),  # tests, demonstrations, copies of older code
    *("_api", "_tf_keras", "api"),  # generated copies of the API of TensorFlow and Keras
    *("externals", "_external", "_vendored", "_vendor", "vendored", "third_party"),  # other people's code
    *("array_api_compat", "array_api_extra"),
    *("site-packages", "dist-packages", "include", "__pycache__"),
}
SKIPPED_PREFIXES, SKIPPED_SUFFIXES = ("test_", "_test", "conftest"), ("_test", "_tests", "_pb2")
SKIPPED_MODULES = ("tensorflow.python.keras.", "scipy._lib.pyprima.")  # near copies of other packages' text
MIN_TEST_EXAMPLES = 40  # a package with fewer held-out examples is not a class
TRAIN_EXAMPLES = 50  # labelled examples of each class to fine-tune on
EXAMPLE_WORDS, MIN_EXAMPLE_WORDS = 60, 10
_PACKAGE_NAMES = re.compile(
    r"tensorflow|keras|numpy|scipy|sklearn|scikit|matplotlib|pyplot|tfds|python|\b(?:tf|np|sp|plt|mpl)\b", re.I
)
NEWDOC = ("add_newdoc", "add_docstring")  # how NumPy and SciPy document what is written in C


def package_roots():
    """Returns {label: folder} of the packages that are installed, found without importing them."""
    roots = {}
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.submodule_search_locations:
            roots[package] = Path(next(iter(spec.submodule_search_locations)))
    roots[STANDARD_LIBRARY] = Path(sysconfig.get_paths()["stdlib"])
    return roots


def collect_docstrings(roots=None):
    """Returns the documents of the embedded corpus: one a docstring, exact copies left out.

    Args:
        roots: {label: folder of source files}; by default what `package_roots` finds.

    Returns:
        A list of Documents with at least two sentences each, ordered by package, module and place.
    """
    documents, seen = [], set()
    for package, root in (package_roots() if roots is None else roots).items():
        for module, path in _modules(package, Path(root)):
            for docstring in _docstrings(path):
                if docstring in seen:
                    continue
                seen.add(docstring)
                sentences = tuple(docstring_sentences(docstring))
                if len(sentences) >= MIN_SENTENCES and sentences not in seen:
                    seen.add(sentences)
                    documents.append(Document(package, module, sentences))
    return documents


def write_corpus(folder, roots=None):
    """Writes train.txt, heldout.txt, classify_train.tsv and classify_test.tsv of the embedded corpus.

    Args:
        folder: the folder to make, whole or not at all; one that exists is replaced.
        roots: {label: folder of source files}; by default what `package_roots` finds.

    Returns:
        A dict of statistics, ready for JSON: see `write_split` and `write_tables`.
    """
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        documents = collect_docstrings(roots)
        statistics, heldout = write_split(temporary, documents)
        train = [document for document in documents if not is_heldout(document.module)]
        return statistics | write_tables(temporary, classification_tables(train, heldout))


def _modules(package, root):
    """Returns the (dotted name, path) of the source files under a package's folder, sorted by name."""
    found = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in SKIPPED_FOLDERS]
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix != ".py" or stem.startswith(SKIPPED_PREFIXES) or stem.endswith(SKIPPED_SUFFIXES):
                continue
            path = Path(folder, name)
            module = ".".join((package, *path.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")
            if not f"{module}.".startswith(SKIPPED_MODULES):
                found.append((module, path))
    return sorted(found)


def _docstrings(path):
    """Returns the docstrings of a source file in the order in which they stand; of none that Python cannot read."""
    try:
        source = path.read_text(encoding="utf-8")
        tree = _parse(source) if '"""' in source or "'''" in source else ast.Module([], [])
    except (SyntaxError, ValueError, RecursionError, OSError):  # ValueError: not UTF-8, or a null byte
        return []
    found, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            found.append(ast.get_docstring(node, clean=False))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            found.append(_newdoc(node.value))
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for block in ("finalbody", "orelse", "handlers", "body"):  # reversed: the last in is the first out
                waiting.extend(reversed(getattr(node, block, ())))
    return [docstring for docstring in found if docstring]


def _parse(source):
    """Returns the syntax tree. The collector would walk the growing tree again and again: a fifth of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's strings
            return ast.parse(source)
    finally:
        if collecting:
            gc.enable()


def _newdoc(call):
    """Returns the docstring that `add_newdoc(place, name, "...")` or `(..., (attribute, "..."))` gives, if it does."""
    name = getattr(call.func, "id", getattr(call.func, "attr", None))
    last = call.args[-1] if name in NEWDOC and call.args else None
    if isinstance(last, ast.Tuple) and last.elts:
        last = last.elts[-1]
    return last.value if isinstance(last, ast.Constant) and isinstance(last.value, str) else None


def classification_tables(train, heldout):
    """Returns (train rows, test rows) of (text, package): which package does a docstring come from?

    Examples that name a package are left out, so that it takes style and subject to tell. Only
    packages with enough held-out examples are classes; both tables are balanced over them. None where
    fewer than two packages have enough.
    """
    train, test = _examples(train), _examples(heldout)
    counts = Counter(label for _, label in test)
    classes = {label for label, count in counts.items() if count >= MIN_TEST_EXAMPLES}
    if len(classes) < 2:
        return None
    per_label = min(counts[label] for label in classes)
    train, test = ([row for row in rows if row[1] in classes] for rows in (train, test))
    return balanced_table(train, per_label=TRAIN_EXAMPLES), balanced_table(test, per_label=per_label)


def _examples(documents):
    """Returns the (text, package) pairs of the documents that are long enough and name no package; no text twice."""
    rows = {}
    for document in documents:
        text = first_words(document.sentences, max_words=EXAMPLE_WORDS)
        if len(text.split()) >= MIN_EXAMPLE_WORDS and not _PACKAGE_NAMES.search(text):
            rows.setdefault(text, document.package)
    return list(rows.items())
