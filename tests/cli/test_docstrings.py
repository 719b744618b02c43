"""The embedded corpus, on a small tree of packages that the test writes."""

import subprocess
import sys
from pathlib import Path

import pytest

from keras_bert.cli.corpus import Document, is_heldout
from keras_bert.cli.docstring_prose import docstring_sentences, is_prose
from keras_bert.cli.docstrings import (
    PACKAGES,
    STANDARD_LIBRARY,
    classification_tables,
    collect_docstrings,
    package_roots,
    write_corpus,
)

NUMPY_STYLE = '''
    Return the sum of the given numbers. The order of the
    numbers does not matter.

    Parameters
    ----------
    values : array_like, optional
        The numbers to be added together.
    axis : int
        Along which axis they are added.

    Returns
    -------
    ndarray
        The total of all the numbers.

    See Also
    --------
    prod : Return the product of the given numbers.

    Notes
    -----
    Rounding errors may add up, see [1]_ for `the proof <https://example.org>`_.

    .. math:: s = x + y + z and so on it goes

    ====== ==========================
    name   what the name stands for
    ====== ==========================

    References
    ----------
    .. [1] A. Author, "How to add the numbers up", 1901.

    Examples
    --------
    Here the numbers are one and two::

        the_sum_of_this(is, code, not, a, sentence)

    The `__call__` method adds them, see the [other docs][guide].

    >>> add([1, 2])
    3
    """
'''

GOOGLE_STYLE = """Draws `count` values from a **normal** distribution.

Some are [larger](https://example.org/larger) than others, as :func:`~package.draw` says.

```python
draw(count=3) returns some values in a list
```

Args:
  count: How many values to
    draw at once.
  seed, name (optional): For values that come again.

Returns:
  A list of the values that were drawn.

Raises:
  ValueError: If `count` is negative.

Reference:
  - [Draws and their distributions, an overview](https://example.org)
"""


def test_numpy_style_leaves_the_prose():
    assert docstring_sentences(NUMPY_STYLE) == [
        "Return the sum of the given numbers.",
        "The order of the numbers does not matter.",
        "The numbers to be added together.",
        "Along which axis they are added.",
        "The total of all the numbers.",
        "Rounding errors may add up, see for the proof.",
        "Here the numbers are one and two:",
        "The __call__ method adds them, see the other docs.",
    ]


def test_google_style_leaves_the_prose():
    assert docstring_sentences(GOOGLE_STYLE) == [
        "Draws count values from a normal distribution.",
        "Some are larger than others, as package.draw says.",
        "How many values to draw at once.",
        "For values that come again.",
        "A list of the values that were drawn.",
        "If count is negative.",
    ]


def test_sphinx_fields_and_bullets_are_sentences_of_their_own():
    text = "Moves the file.\n\n:param str source: where the file lies\n:param target: where it goes to\n\n" + (
        "* the first of the items\n* the second\n  of the items\n"
    )
    assert docstring_sentences(text) == [
        "Moves the file.",
        "where the file lies",
        "where it goes to",
        "the first of the items",
        "the second of the items",
    ]


@pytest.mark.parametrize(
    "sentence",
    [
        "too short",
        "See https://example.org for all of the details.",
        "Le café est très bon ce matin.",
        "f(x) = a*x + b, c[0] := d[1]",
        "The %(name)s of the distribution is described below.",
        "word " * 101,
    ],
)
def test_what_is_not_prose(sentence):
    assert not is_prose(sentence)


def write_module(root, path, *docstrings):
    path = root / path
    path.parent.mkdir(parents=True, exist_ok=True)
    functions = (f'def f{i}():\n    """{text}"""\n' for i, text in enumerate(docstrings))
    path.write_text("\n".join(functions), encoding="utf-8")


def two_sentences(name):
    return f"The {name} opens the door. The {name} closes the door."


def test_documents_are_docstrings_in_order_and_without_copies(tmp_path):
    (tmp_path / "b.py").write_text(
        '"""The module is described here. It has two sentences."""\n'
        "raise SystemExit('a module that is parsed must not be run')\n"
        "class Box:\n"
        '    """The class is described here. It has two sentences."""\n'
        "    def open(self):\n"
        '        """The method is described here. It has two sentences."""\n'
        "if True:\n"
        "    async def later():\n"
        "        '''The coroutine is described here. It has two sentences.'''\n"
        "def short():\n"
        '    """The function has one sentence only."""\n'
        'add_newdoc("place", "name", """The builtin is described here. It has two sentences.""")\n'
        'add_newdoc("place", "name", ("attr", """The attribute is described here. It has two sentences."""))\n'
    )
    write_module(tmp_path, "a/__init__.py", two_sentences("cat"))
    write_module(tmp_path, "c.py", two_sentences("cat"))  # an exact copy
    for skipped in ("tests/x.py", "test_x.py", "x_test.py", "_api/v2/x.py", "a/_vendored/x.py"):
        write_module(tmp_path, skipped, two_sentences(f"dog of {skipped}"))
    (tmp_path / "broken.py").write_text('def f(:\n    """Not Python at all. It has two sentences."""\n')
    (tmp_path / "latin1.py").write_bytes('"""The caf\xe9 opens early. The caf\xe9 closes late."""'.encode("latin-1"))
    documents = collect_docstrings({"pack": tmp_path})
    assert [d.module for d in documents] == ["pack.a"] + ["pack.b"] * 6
    assert documents[0] == Document("pack", "pack.a", ("The cat opens the door.", "The cat closes the door."))
    assert [d.sentences[0].split()[1] for d in documents[1:]] == [
        "module",
        "class",
        "method",
        "coroutine",
        "builtin",
        "attribute",
    ]


@pytest.fixture
def roots(tmp_path):
    """Two packages of 120 modules each that share boilerplate across modules."""
    roots = {}
    shared = "This sentence of boilerplate stands in each and every module."
    for package, animal in (("zoo", "tiger"), ("farm", "horse")):
        roots[package] = tmp_path / "site" / package
        for m in range(120):
            own = f"The {animal} number {m} of the {package} eats a great deal of food each day."
            texts = [f"{own} {shared} The {animal} runs {'very ' * i}fast {m} times a day." for i in range(15)]
            write_module(roots[package], f"m{m}.py", *texts)
    return roots


def read_documents(path):
    return [document.split("\n") for document in path.read_text(encoding="utf-8").split("\n\n") if document]


def test_no_held_out_sentence_stands_in_the_training_text(roots, tmp_path):
    statistics = write_corpus(tmp_path / "corpus", roots)
    train, heldout = (read_documents(tmp_path / "corpus" / f"{name}.txt") for name in ("train", "heldout"))
    assert statistics["train_documents"] == len(train)
    assert statistics["heldout_documents"] == len(heldout) > 0
    text = " ".join(sentence for document in train for sentence in document)
    long = [sentence for document in heldout for sentence in document if len(sentence) > 30]
    assert long
    assert not [sentence for sentence in long if sentence in text]
    assert "stands in each and every module" in text
    assert all(len(document) >= 2 for document in heldout)


def test_the_split_is_by_module(roots, tmp_path):
    write_corpus(tmp_path / "corpus", roots)
    train, heldout = ((tmp_path / "corpus" / f"{name}.txt").read_text() for name in ("train", "heldout"))
    for package, animal in (("zoo", "tiger"), ("farm", "horse")):
        for m in range(120):
            stands_in = [f"The {animal} number {m} of" in text for text in (train, heldout)]
            assert stands_in == ([False, True] if is_heldout(f"{package}.m{m}") else [True, False])


def test_the_corpus_is_the_same_wherever_the_packages_lie_and_whatever_the_hash_seed(roots, tmp_path):
    write_corpus(tmp_path / "corpus", roots)
    moved = tmp_path / "elsewhere"
    (tmp_path / "site").rename(moved)
    script = (
        "import sys; from pathlib import Path; from keras_bert.cli.docstrings import write_corpus\n"
        "folder = Path(sys.argv[1])\n"
        "write_corpus(folder / 'again', {name: folder / 'elsewhere' / name for name in sys.argv[2:]})"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), *roots],
        check=True,
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )
    names = sorted(path.name for path in (tmp_path / "corpus").iterdir())
    assert names == ["classify_test.tsv", "classify_train.tsv", "heldout.txt", "train.txt"]
    for name in names:
        assert (tmp_path / "corpus" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_the_table_is_balanced_and_names_no_package(roots, tmp_path):
    statistics = write_corpus(tmp_path / "corpus", roots)
    rows = {}
    for name in ("train", "test"):
        lines = (tmp_path / "corpus" / f"classify_{name}.tsv").read_text().splitlines()
        assert lines[0] == "text\tlabel"
        rows[name] = [line.split("\t") for line in lines[1:]]
        labels = [label for _, label in rows[name]]
        assert labels.count("zoo") == labels.count("farm") == len(labels) / 2 > 0
    assert not {text for text, _ in rows["train"]} & {text for text, _ in rows["test"]}
    assert statistics["classes"] == ["farm", "zoo"]
    assert statistics["classify_majority_share"] == 0.5


def test_examples_that_name_a_package_are_left_out():
    def documents(package, text):
        return [Document(package, "m", (f"{text} in the number {i} of all the examples here.",)) for i in range(50)]

    named = documents("a", "Converts it to a tf.Tensor") + documents("b", "Calls the NumPy function")
    plain = documents("a", "Converts it to a number") + documents("b", "Calls the platform's function")
    assert classification_tables(named, named) is None
    assert [len(rows) for rows in classification_tables(named + plain, named + plain)] == [100, 100]


def test_packages_are_found_without_importing_them():
    script = (
        "import sys; from keras_bert.cli.docstrings import package_roots; package_roots()\n"
        "print([name for name in ('tensorflow', 'keras', 'scipy', 'sklearn', 'matplotlib') if name in sys.modules])"
    )
    environment = {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "[]"
    roots = package_roots()
    assert list(roots) == [*(p for p in PACKAGES if p in roots), STANDARD_LIBRARY]
    assert (roots["numpy"] / "__init__.py").is_file()
    assert (roots[STANDARD_LIBRARY] / "ast.py").is_file()


@pytest.mark.slow
def test_the_corpus_of_this_installation(tmp_path):
    statistics = write_corpus(tmp_path / "corpus")
    train, heldout = (read_documents(tmp_path / "corpus" / f"{name}.txt") for name in ("train", "heldout"))
    assert statistics["train_documents"] == len(train) > 15_000
    assert 0.05 < len(heldout) / len(train) < 0.15
    assert {"tensorflow", "keras", "numpy", STANDARD_LIBRARY} <= set(statistics["classes"])
    assert statistics["classify_train_examples"] >= 200
    text = " ".join(sentence for document in train for sentence in document)
    long = [sentence for document in heldout for sentence in document if len(sentence) > 30]
    assert not [sentence for sentence in long[::20] if sentence in text]
    assert not set(long) & {sentence for document in train for sentence in document}
    assert text.count(" the ") > 0.03 * text.count(" ")  # it is English
    assert sum(text.count(mark) for mark in (">>>", "```", "http://")) == 0
