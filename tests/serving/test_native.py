"""answer.c, the program beside this file, built with cc: raw strings answered without Python, with Python's numbers."""

import importlib.util
import json
import re
import shutil
import subprocess
from inspect import isfunction
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_bert.tasks.classify.arrays import predict
from keras_bert.tasks.fill_mask.filling import fill_mask
from tests.text.kinds import KINDS, slow_but, small_tokenizer

LENGTH = 40  # as in conftest.py
SOURCE = Path(__file__).with_name("answer.c")
TENSORFLOW = Path(tf.sysconfig.get_lib())
OPS_FOLDER = Path(importlib.util.find_spec("tensorflow_text").origin).parent / "python/ops"
OPS = [OPS_FOLDER / name for name in ("_fast_wordpiece_tokenizer.so", "_normalize_ops.so")]
WITH_OPS = [word for path in OPS for word in ("--ops", str(path))]
TEXTS = [
    b"Paris is the [MASK] of France.",
    b"",
    b"   ",
    "Ünïcödé, 東京 한국!".encode(),
    b"a\x00b the\r",
    b"par\xffis \xc3( the \xed\xa0\x80 of \xf0\x9f",  # what is not UTF-8 is dropped
    b"the paris " * 100,
    ("é한x" * 333 + "z").encode(),
]
INPUTS = {
    "echo": [tf.TensorSpec((None,), tf.string, "text")],
    "two": [tf.TensorSpec((None,), tf.string, "text"), tf.TensorSpec((None,), tf.string, "pair")],
    "numbers": [tf.TensorSpec((None, 2), tf.float32, "values")],
}
STRINGS = tf.TensorSpec([None], tf.string)
FLOATS = np.array([1 / 3, -16777217.0, 1e-45, np.inf, np.nan], np.float32)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The path of the program."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler, cc, on this machine")
    libraries = [TENSORFLOW / f"libtensorflow_{name}.so.2" for name in ("cc", "framework")]
    if not all(library.exists() for library in libraries):
        pytest.skip("this TensorFlow brings no libtensorflow_cc.so.2 to link with")
    path = tmp_path_factory.mktemp("native") / "answer"
    options = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-isystem", TENSORFLOW / "include"]
    done = run(compiler, *options, SOURCE, "-o", path, f"-Wl,-rpath,{TENSORFLOW}", *libraries, env=None)
    assert done.returncode == 0, done.stderr.decode()
    return path


@pytest.fixture(scope="module")
def paths(exported, tmp_path_factory):
    """{name: the SavedModel} of every model, and of `echo` for the inputs of each row of INPUTS."""
    folder = tmp_path_factory.mktemp("serving")
    for name, specs in INPUTS.items():
        module = tf.Module()
        module.answer = tf.function(echo, input_signature=specs)
        tf.saved_model.save(module, str(folder / name), signatures={"serving_default": module.answer})
    return {name: each.path for name, each in exported.items()} | {name: folder / name for name in INPUTS}


def echo(values, *others):
    """Answers with what it was given, and in every type and number of dimensions."""
    count = tf.shape(values)[0]
    return {
        "echo": values,
        "long": tf.fill([count, 1], tf.constant(-(2**63), tf.int64)),
        "place": tf.range(count)[:, None, None] * 10 + tf.reshape(tf.range(6), (3, 2)),  # (B, 3, 2)
        "floats": tf.broadcast_to(FLOATS, (count, len(FLOATS))),
        "nothing": tf.zeros((count, 0)),
    }


def run(*command, lines=b"", env=()):
    """Runs a program, in an environment without variables unless told otherwise."""
    env = None if env is None else dict(env)
    return subprocess.run(list(map(str, command)), input=lines, capture_output=True, env=env)


def answers_of(done):
    """Returns the answers that the program printed, {output: list of what each text got}."""
    assert done.returncode == 0, done.stderr.decode()
    rows = [json.loads(line.decode()) for line in done.stdout.split(b"\n")[:-1]]
    return {name: [row[name] for row in rows] for name in rows[0]}


def decoded(texts):
    return [text.decode(errors="ignore") for text in texts]


def read(strings):
    """Returns bytes, or lists of them, as str; each byte that is not UTF-8 is one U+FFFD."""
    if isinstance(strings, list):
        return [read(each) for each in strings]
    return re.sub("[\ud800-\udfff]", "\ufffd", strings.decode(errors="surrogateescape"))


def assert_classes(answers, expected, labels):
    assert answers["label"] == expected["label"]
    assert answers["labels"] == [labels] * len(expected["label"])
    np.testing.assert_allclose(answers["probabilities"], expected["probabilities"], atol=1e-5)


def test_there_is_no_python_in_it(program):
    if shutil.which("ldd") is None:
        pytest.skip("there is no ldd, which lists a program's libraries, on this machine")
    for binary in (program, *OPS):
        libraries = run(shutil.which("ldd"), binary, env=None).stdout.decode()
        assert "libtensorflow_framework" in libraries
        assert "libpython" not in libraries


def test_lines_are_classified_as_in_python(program, paths, models, tokenizer):
    answers = answers_of(run(program, *WITH_OPS, paths["classify"], lines=b"\n".join(TEXTS) + b"\n"))
    expected = predict(models["classify"], tokenizer, decoded(TEXTS), max_seq_length=LENGTH)
    assert_classes(answers, expected, models["classify"].labels)
    assert np.ptp(expected["probabilities"], axis=0).max() > 0.01  # the texts do differ in their answers


def test_arguments_are_texts_as_well(program, paths, models, tokenizer):
    texts = [b"the capital\nof France", *(text for text in TEXTS if b"\0" not in text), b"--ops"]
    expected = predict(models["classify"], tokenizer, decoded(texts), max_seq_length=LENGTH)
    command = [*map(str, (program, *WITH_OPS, paths["classify"])), *texts]
    answers = answers_of(subprocess.run(command, capture_output=True, env={}))
    assert_classes(answers, expected, models["classify"].labels)


def test_two_texts_at_a_time_in_the_order_that_is_asked_for(program, paths, models, tokenizer):
    firsts, seconds = TEXTS, TEXTS[::-1]
    expected = predict(models["pair"], tokenizer, decoded(firsts), decoded(seconds), max_seq_length=LENGTH)
    for order, columns in ((("text", "pair"), (firsts, seconds)), (("pair", "text"), (seconds, firsts))):
        options = [word for name in order for word in ("--input", name)]
        lines = b"\n".join(text for row in zip(*columns, strict=True) for text in row)  # the last without LF
        answers = answers_of(run(program, *WITH_OPS, *options, paths["pair"], lines=lines))
        assert_classes(answers, expected, models["pair"].labels)


def test_masks_are_filled_as_in_python(program, paths, models, tokenizer):
    texts = ["[MASK] is the [MASK] of France", "no mask", "[MASK]"]
    answers = answers_of(run(program, *WITH_OPS, paths["fill_mask"], *texts))
    assert answers["num_masks"] == [2, 0, 1]
    for row, masks in ((0, 2), (2, 1)):
        [guesses] = fill_mask(models["fill_mask"], tokenizer, [texts[row]], top_k=4, max_seq_length=LENGTH)
        tokens, probabilities = answers["tokens"][row], answers["probabilities"][row]
        assert tokens == [[guess["token"] for guess in mask] for mask in guesses] + [[""] * 4] * (2 - masks)
        known = [[guess["probability"] for guess in mask] for mask in guesses]
        np.testing.assert_allclose(probabilities[:masks], known, atol=1e-5)
    assert answers["tokens"][1] == [[""] * 4] * 2


@pytest.mark.slow
def test_every_model_of_texts_answers_as_with_tensorflow(program, exported, signatures):
    """The numbers that the same SavedModel gives in Python, of all that take one string for each input."""
    served = {
        name: each for name, each in exported.items() if all(spec.shape.rank == 1 for spec in each.inputs.values())
    }
    assert len(served) >= 8
    for name, each in served.items():
        assert_as_with_tensorflow(program, WITH_OPS, each, signatures[name], name)


def assert_as_with_tensorflow(program, options, exported, signature, what, mask="[MASK]"):
    texts = [text.replace(b"[MASK]", mask.encode()) for text in TEXTS]
    columns = {key: [*texts[i:], *texts[:i]] for i, key in enumerate(exported.inputs)}
    options = [*options, *(word for key in columns for word in ("--input", key))]
    lines = b"\n".join(text for row in zip(*columns.values(), strict=True) for text in row)
    answers = answers_of(run(program, *options, exported.path, lines=lines))
    expected = signature(**{key: tf.constant(texts) for key, texts in columns.items()})
    assert answers.keys() == expected.keys(), what
    for key, tensor in expected.items():
        if tensor.dtype.is_floating:
            np.testing.assert_allclose(answers[key], tensor, atol=1e-5, err_msg=f"{what}: {key}")
        else:
            values = tensor.numpy().tolist()
            assert answers[key] == (read(values) if tensor.dtype == tf.string else values), f"{what}: {key}"


NIGHTLY_KINDS = [pytest.param(kind, marks=pytest.mark.nightly) for kind in ("albert", "modern", "big_bird")]
# {kind of tests/text/kinds.py: how the table of docs/serving.md names its tokenizer}
GUIDE = {
    "wordpiece": "WordPiece (BERT",
    "roberta": "byte-level BPE (RoBERTa",
    "modern": "byte-level BPE of normalized text (ModernBERT",
    "xlm_roberta": "SentencePiece Unigram (XLM-RoBERTa",
    "deberta_v2": "SentencePiece Unigram (XLM-RoBERTa",
    "albert": "SentencePiece Unigram of cleaned text (ALBERT",
    "kobert": "SentencePiece Unigram of cleaned text (ALBERT",
    "big_bird": "SentencePiece BPE (BigBird",
}


def libraries_in_guide(kind):
    """Returns the paths of the libraries that the guide names for a kind of tokenizer."""
    guide = (Path(__file__).parents[2] / "docs/serving.md").read_text(encoding="utf-8")
    [row] = [line for line in guide.splitlines() if line.startswith(f"| {GUIDE[kind]}")]
    return [OPS_FOLDER / name for name in re.findall(r"`(_\w+\.so)`", row)]


@pytest.mark.parametrize("kind", [*slow_but((), ["roberta"]), *NIGHTLY_KINDS])
def test_every_kind_of_tokenizer_answers_by_the_libraries_that_the_guide_names(program, of_kind, kind):
    made, libraries = of_kind(kind), libraries_in_guide(kind)
    for name in ("classify", "ner", "squad", "fill_mask"):
        exported = made.exported(name)
        signature = tf.saved_model.load(str(exported.path)).signatures["serving_default"]
        options = [word for path in libraries for word in ("--ops", path)]
        mask = made.tokenizer.mask_token
        assert_as_with_tensorflow(program, options, exported, signature, f"{kind}, {name}", mask)
    for missing in libraries:
        options = [word for path in libraries if path != missing for word in ("--ops", path)]
        done = run(program, *options, made.exported("classify").path, "text")
        assert done.returncode == 2 and b"an operation that is in no library" in done.stderr


@pytest.mark.slow
def test_the_guide_names_the_libraries_of_every_kind(tmp_path):
    assert GUIDE.keys() == set(KINDS)
    modules = {path: vars(tf.load_op_library(str(path))) for path in OPS_FOLDER.glob("*.so")}
    libraries = {path: {name for name, each in names.items() if isfunction(each)} for path, names in modules.items()}
    for kind in KINDS:
        layer = small_tokenizer(kind).graph_layer()
        module = tf.Module()
        module.graph = layer.graph if hasattr(layer, "graph") else layer
        module.ids = ids_and_pieces(layer)
        tf.saved_model.save(module, str(tmp_path / kind))
        used = {path for name in operations(tmp_path / kind) for path, names in libraries.items() if name in names}
        assert used == set(libraries_in_guide(kind)), kind


def ids_and_pieces(layer):
    return tf.function(lambda text: (layer(text), layer.pieces(text)), input_signature=[STRINGS])


def operations(path):
    """Returns the names of all operations of a SavedModel, as the modules of op libraries have them."""
    [graph] = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes()).meta_graphs
    nodes = [*graph.graph_def.node, *(node for each in graph.graph_def.library.function for node in each.node_def)]
    return {node.op.replace(">", "_") for node in nodes}


def test_every_type_is_written_as_json(program, paths):
    broken = [b"\xc0\xaf", b"\xe0\x80\xaf", b"\xed\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf8\x88", b"\xe2\x82", b"\x80"]
    texts = [bytes(range(10)) + bytes(range(11, 256)), '"\\/\t\x7f é한😀\U0010ffff'.encode(), b"", *broken]
    answers = answers_of(run(program, paths["echo"], lines=b"\n".join(texts) + b"\n"))
    assert list(answers) == ["echo", "floats", "long", "nothing", "place"]
    assert answers["echo"] == read(texts)
    count = len(texts)
    assert answers["long"] == [[-(2**63)]] * count
    assert answers["place"] == [
        [[10 * i, 10 * i + 1], [10 * i + 2, 10 * i + 3], [10 * i + 4, 10 * i + 5]] for i in range(count)
    ]
    floats = [None if not np.isfinite(value) else value for value in FLOATS]
    assert [[x if x is None else np.float32(x) for x in row] for row in answers["floats"]] == [floats] * count
    assert answers["nothing"] == [[]] * count


def test_no_lines_and_many_lines(program, paths):
    done = run(program, paths["echo"])
    assert (done.returncode, done.stdout) == (0, b"")
    answers = answers_of(run(program, paths["echo"], lines=b"\n" * 5000))
    assert answers["echo"] == [""] * 5000
    assert answers["place"][-1][-1] == [49994, 49995]


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ("", "usage: answer"),
        ("--help", "usage: answer"),
        ("--op x {echo}", "unknown option --op; there are --ops LIBRARY and --input NAME"),
        ("{nowhere} text", "nowhere/saved_model.pb: No such file or directory; give the directory"),
        ("--ops {nowhere} {echo}", "cannot load the operations: .*nowhere"),
        ("{classify} text", "an operation that is in no library given by --ops: Op type not registered"),
        ("{numbers} text", "the model takes values; this program gives one string"),
        ("{two} one two", "takes pair, text; name each by --input"),
        ("--input text {two} one two", "takes pair, text; name each by --input"),
        ("--input text --input title {two} one two", "--input title is none, or one too many"),
        ("--input text --input text {two} one two", "--input text is none, or one too many"),
        ("--input text --input pair {two} one two three", "3 texts were given, but the model takes 2 at a time"),
        ("{empty} text", "empty: "),
        ("{unnamed} text", "has no signature serving_default"),
    ],
)
def test_a_mistake_is_one_sentence_and_status_2(program, paths, tmp_path, words, match):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/saved_model.pb").write_bytes(b"no protocol buffer")
    tf.saved_model.save(tf.Module(), str(tmp_path / "unnamed"))
    places = {name: tmp_path / name for name in ("nowhere", "empty", "unnamed")} | paths
    done = run(program, *words.format(**places).split())
    assert done.returncode == 2
    assert done.stdout == b""
    assert re.search(f"^answer: .*{match}", done.stderr.decode(), re.MULTILINE), done.stderr.decode()
