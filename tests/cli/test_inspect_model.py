"""keras-bert inspect MODEL: what lies there, and what its training costs."""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_bert.checkpoints import save_checkpoint
from keras_bert.checkpoints.parts import array_shapes, encoder_parts, pretraining_parts
from keras_bert.checkpoints.safetensors import open_arrays
from keras_bert.cli.main import main
from keras_bert.config import BertConfig, Config
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from keras_bert.training.costs import Step, count_flops
from keras_bert.training.memory import step_memory
from tests.reference_huggingface import write_tokenizer

ROOT = Path(__file__).resolve().parents[2]
CONFIG = BertConfig(
    vocab_size=9,
    hidden_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=12,
    max_position_embeddings=24,
)


@pytest.fixture
def model_dir(tmp_path):
    """Returns a function that writes a model directory, with an array left out or changed by name."""

    def make(*, config=CONFIG, task=None, changes=None, words=("a", "b", "c", "d")):
        shapes = array_shapes([*encoder_parts(CONFIG), *pretraining_parts(CONFIG)]) | (changes or {})
        arrays = {name: np.zeros(shape, "float32") for name, shape in shapes.items() if shape is not None}
        save_checkpoint(tmp_path / "model", config, arrays, task=task)
        if words is not None:
            tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, *words]), do_lower_case=False)
            tokenizer.save_pretrained(tmp_path / "model")
        return tmp_path / "model"

    return make


@pytest.fixture
def inspect(capsys):
    """Returns a function that runs `keras-bert inspect` and returns its output, or with a status its error."""

    def run(*arguments, status=0):
        capsys.readouterr()
        assert main(["inspect", *map(str, arguments)]) == status
        captured = capsys.readouterr()
        if status:
            assert captured.out == ""
            assert len(captured.err.splitlines()) == 1
        return captured.err if status else captured.out

    return run


def test_a_published_size(inspect):
    output = inspect("--bert_config_file=base", "--max_seq_length=512", "--train_batch_size=32")
    assert "parameters: 110,106,428 with the heads of pre-training, 109,482,240 without" in output
    assert "feed-forward                    56,669,184  51.5% = 12 x 4,722,432" in output
    assert "a step of 32 x 512 tokens, 77 predictions each: forward 3.03 TFLOP, training 9.08 TFLOP" in output
    assert "a token: forward 185 MFLOP, training 554 MFLOP" in output
    assert "Kaplan et al. 2020" in output
    header, *rows = output[output.index("memory of a pre-training step") :].splitlines()
    assert header.split("  ")[-1].strip() == "bfloat16, remat"
    assert [row.split()[0] for row in rows][-2:] == ["together,", "largest"]


def test_the_figures_as_json(inspect):
    shape = ("--train_batch_size=4", "--max_predictions_per_seq=5", "--memory=4GB", "--json")
    figures = json.loads(inspect("--bert_config_file=mini", *shape))
    config = BertConfig.from_name("mini")
    assert figures["step"] == {"train_batch_size": 4, "max_seq_length": 128, "max_predictions_per_seq": 5}
    assert figures["capacity"] == 4_000_000_000
    assert figures["parameters"]["encoder"] == sum(part.total for part in encoder_parts(config))
    assert figures["flops"]["training_per_step"] == pytest.approx(figures["flops"]["training_per_token"] * 4 * 128)
    step = Step(train_batch_size=4, max_seq_length=128, max_predictions_per_seq=5)
    ways = {
        "float32": step_memory(config, step),
        "with remat": step_memory(config, step, remat=True),
        "mixed_bfloat16": step_memory(config, step, dtype="mixed_bfloat16"),
        "bfloat16, remat": step_memory(config, step, dtype="mixed_bfloat16", remat=True),
    }
    assert {way: row["peak"] for way, row in figures["memory"].items()} == {w: m.peak for w, m in ways.items()}
    batches = [row["largest_batch"] for row in figures["memory"].values()]
    assert batches[0] < batches[2] < batches[3]


def test_what_longer_texts_cost_by_kind_of_attention(inspect):
    output = inspect("modernbert-base")
    page = output[output.index("one text, by its tokens") :].splitlines()
    assert page[0].split()[-4:] == ["512", "1,024", "4,096", "8,192"]
    assert max(map(len, page)) < 80
    assert "one of 8 blocks that see all tokens" in page
    assert "one of 14 blocks that see 64 tokens on each side" in page
    assert page[-1] == "attention to 64 tokens on each side pays from 320 tokens on"
    assert "one text, by" not in inspect("base")  # which reads 512 tokens alone
    assert "one of 12 blocks that see all tokens" in inspect("base", "--lengths=128")
    for size, last in (("longformer-base-4096", "1,137"), ("bigbird-roberta-base", "705")):
        page = inspect(size).splitlines()
        assert page[-1].endswith(f" pays from {last} tokens on")
        assert max(map(len, page[-8:])) < 80


def test_the_lengths_as_json(inspect):
    figures = json.loads(inspect("modernbert-base", "--lengths=2048,300", "--json"))["lengths"]
    config = Config.from_name("modernbert-base")
    steps = [Step(train_batch_size=1, max_seq_length=length) for length in (300, 2048)]
    assert figures["tokens"] == [300, 2048]
    assert figures["training"] == [count_flops(config, step).training for step in steps]
    assert figures["peak"]["float32"] == [step_memory(config, step).peak for step in steps]
    everything, window = figures["kinds"]
    assert (everything["blocks"], everything["pays_from"], window["blocks"], window["pays_from"]) == (8, None, 14, 320)
    assert everything["forward"][0] == window["forward"][0] and everything["forward"][1] > window["forward"][1]


def test_lengths_that_cannot_be(inspect, capsys):
    message = "max_seq_length is 16384, but the model reads at most 8192 tokens"
    assert message in inspect("modernbert-base", "--lengths=512,16384", status=2)
    for lengths in ("512,x", "0", "1,2,3,4,5", ""):
        with pytest.raises(SystemExit, match="2"):
            main(["inspect", "modernbert-base", f"--lengths={lengths}"])
        error = capsys.readouterr().err
        assert f"--lengths: expected one to 4 lengths such as 512,4096, received {lengths!r}" in error


def test_a_model_directory(inspect, model_dir):
    path = model_dir(task={"task": "fill_mask"})
    output = inspect(path, "--train_batch_size=2")
    assert f"model: {path}, a Hugging Face directory" in output
    assert "task: fill_mask" in output
    assert "vocabulary: 9 tokens, cased\n" in output
    assert "arrays: 46, of the encoder 39 of 39" in output
    assert "missing" not in output
    assert "other shapes" not in output
    assert "\nheads: cls/predictions/" in output
    assert "sizes: 2 layers, hidden size 8, 2 heads" in output
    assert "a step of 2 x 24 tokens, 4 predictions each" in output  # 24: the model reads no more


def test_flags_before_and_behind_the_model(inspect, model_dir):
    path = model_dir()
    shape = ("--max_seq_length", "16", "--train_batch_size", "3")
    before, behind = inspect(*shape, path), inspect(path, *shape)
    assert before == behind == inspect(*shape[:2], path, *shape[2:])
    assert "a step of 3 x 16 tokens" in before


def test_a_model_without_a_pooler_and_with_a_vocabulary_of_another_size(inspect, model_dir):
    changes = {"bert/pooler/dense/bias": None, "output_weights": (3, 8), "generator/dense/bias": (8,)}
    path = model_dir(changes=changes, task={"task": "classify", "num_classes": 3}, words=("a", "b"))
    output = inspect(path)
    assert "task: classify, num_classes 3" in output
    assert "vocabulary: 7 tokens, cased; the model has 2 more rows, which are never looked up" in output
    assert "arrays: 47, of the encoder 38 of 39" in output
    assert "missing: bert/pooler/dense/bias\n" in output
    assert "\nnot read: generator/dense/bias\n" in output
    assert "\nheads: output_weights, cls/predictions/" in output and " and 3 more\n" in output


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bert/encoder/layer_1/output/dense/bias": None}, "has no bert.encoder.layer.1.output.dense.bias"),
        (
            {"bert/embeddings/word_embeddings": (7, 8)},
            "word_embeddings.weight has shape (7, 8), but its config asks for (9, 8)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_as_loading_does(inspect, model_dir, changes, message):
    assert message in inspect(model_dir(changes=changes), status=2)


def test_google_and_huggingface(inspect, golden, model_dir, tmp_path):
    assert "Google's TF1 checkpoint\ntask: not told\nvocabulary: none beside the weights" in inspect(golden / "model")
    folder = tmp_path / "hf"
    arrays = {name: np.zeros(shape, "float32") for name, shape in array_shapes(encoder_parts(CONFIG)).items()}
    save_checkpoint(folder, CONFIG, arrays, format="huggingface")
    write_tokenizer(folder, [*SPECIAL_TOKENS, *"abcde"], lowercase=False)
    output = inspect(folder)
    assert f"model: {folder}, a Hugging Face directory" in output
    assert "vocabulary: 10 tokens, cased, but the configuration's vocab_size is 9\n" in output
    assert "of the encoder 39 of 39" in output
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "KoBertTokenizer"}))
    assert "its tokenizer cannot be used: " in inspect(folder)


@pytest.mark.parametrize("size", ["L-4_H-256", "uncased_L-4_H-256_A-4", "mini"])
def test_a_size_by_its_name(inspect, size):
    assert inspect(size).splitlines()[1:] == inspect("--bert_config_file=mini").splitlines()[1:]


@pytest.mark.parametrize(
    ("size", "lines"),
    [
        ("roberta-base", ["family: RoBERTa", "positions for 512 tokens", "124,697,433 with the heads of pre-training"]),
        (
            "albert-base",
            [
                "family: ALBERT",
                "12 layers with 1 set of weights, embedding size 128, hidden size 768",
                "  embedding projection                99,072",
            ],
        ),
    ],
)
def test_a_size_of_another_family(inspect, size, lines):
    output = inspect(size)
    for line in lines:
        assert line in output


@pytest.mark.parametrize(
    ("folder", "family", "heads"),
    [
        ("albert/pretraining", "albert", "the heads of pre-training"),
        ("distilbert/sequence_classification", "distilbert", "its classifier"),
        ("electra/discriminator", "electra", "its replaced-token head"),
        ("electra/generator", "electra", "its masked-LM head"),
        ("roberta/multiple_choice", "roberta", "its classifier"),
        ("xlm_roberta/question_answering", "xlm-roberta", "its span head"),
    ],
)
def test_every_weight_of_another_family_is_counted(inspect, shared, folder, family, heads):
    path = shared / "golden" / "families" / "models" / folder
    figures = json.loads(inspect(path, "--json", "--max_seq_length=8"))
    assert (figures["family"], figures["parameters"]["heads"]) == (family, heads)
    stored = open_arrays(path / "model.safetensors").values()
    assert figures["parameters"]["total"] == sum(math.prod(span.shape) for span in stored)
    scores_all = "masked-LM head, vocabulary" in figures["flops"]["products"]
    assert scores_all == (folder != "electra/discriminator")


def test_a_directory_goes_before_a_size_of_its_name(inspect, model_dir, monkeypatch):
    monkeypatch.chdir(model_dir().parent)
    Path("model").rename("tiny")
    assert "model: tiny, a Hugging Face directory" in inspect("tiny")


@pytest.mark.parametrize(
    ("head", "counted"),
    [
        ("sequence_classification", "1,619 with its classifier, 1,592 without\n"),
        ("question_answering", "1,610 with its span head, 1,592 without\n"),
        ("pretraining", "1,722 with the heads of pre-training, 1,592 without\n"),
    ],
)
def test_the_head_that_is_counted_is_the_model_s_own(inspect, golden, head, counted):
    output = inspect(golden / "huggingface" / head)
    assert f"\nparameters: {counted}" in output
    assert "\narithmetic of pre-training: " in output


def test_a_bare_encoder_is_counted_with_the_heads_that_its_pre_training_takes(inspect, model_dir):
    heads = dict.fromkeys(array_shapes(pretraining_parts(CONFIG)))
    assert " with the heads of pre-training, which it lacks, " in inspect(model_dir(changes=heads))


def test_a_model_as_json(inspect, model_dir):
    task = {"task": "classify", "num_classes": 3}
    path = model_dir(changes={"output_weights": (3, 8), "output_bias": (3,)}, task=task)
    figures = json.loads(inspect(path, "--json"))
    assert figures["model"] == {
        **{"path": str(path), "format": "huggingface", "missing": [], "notes": []},
        "task": task,
        "vocabulary": {"entries": 9, "kind": "wordpiece", "do_lower_case": False, "rules": "cased"},
    }
    assert figures["parameters"]["total"] == figures["parameters"]["pretrainer"] + 27
    assert "model" not in json.loads(inspect("tiny", "--json"))


def test_an_index_alone_is_looked_at_and_said_to_be_alone(inspect, golden, tmp_path):
    for name in ("bert_config.json", "bert_model.ckpt.index"):
        shutil.copy(golden / "model" / name, tmp_path)
    output = inspect(tmp_path)
    assert "weights: bert_model.ckpt.data-00000-of-00001 is missing; names and shapes are the index's\n" in output
    assert "of the encoder 39 of 39" in output


def test_a_misspelt_field_is_printed(inspect, model_dir, tmp_path):
    path = model_dir(config=CONFIG.replace(extra={"hiden_size": 8}))
    note = "note: fields of the configuration that are not known and do nothing: hiden_size (hidden_size?)\n"
    assert note in inspect(path)
    assert note in inspect(f"--bert_config_file={path / 'config.json'}")


def test_memory_in_any_case(inspect):
    for amount, size in (("16gib", 16 * 2**30), ("16GIB", 16 * 2**30), ("4 gb", 4 * 10**9), ("4000m", 4 * 10**9)):
        assert json.loads(inspect("tiny", f"--memory={amount}", "--json"))["capacity"] == size


def test_a_config_file(inspect, tmp_path):
    path = tmp_path / "bert_config.json"
    path.write_text(json.dumps(CONFIG.to_dict()))
    assert f"model: {path}\nfamily: BERT\nsizes: 2 layers" in inspect(f"--bert_config_file={path}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bert_config_file=bse"], "--bert_config_file: bse is neither a file nor a size; the sizes are tiny"),
        (
            ["--bert_config_file=base", "--max_seq_length=1024"],
            "max_seq_length is 1024, but the model reads at most 512 tokens;",
        ),
        (["--bert_config_file=base", "--max_predictions_per_seq=200"], "max_predictions_per_seq is 200, but"),
        (["nowhere"], "nowhere does not exist; expected a model directory"),
        (["bse"], "bse does not exist; expected a model directory"),
        ([], "give a model directory or a size, or else a size or file by --bert_config_file."),
        (["nowhere", "--bert_config_file=base"], "give a model directory or a size, or else"),
    ],
)
def test_bad_input_is_one_sentence(inspect, arguments, message):
    assert inspect(*arguments, status=2).startswith(f"keras-bert inspect: {message}")


def test_too_little_memory_says_how_much_is_needed(inspect):
    error = inspect("--bert_config_file=base", "--memory=1GB", status=2)
    least = min(
        step_memory(BertConfig.from_name("base"), Step(train_batch_size=1, max_seq_length=128), **options).peak
        for options in ({}, {"remat": True}, {"dtype": "mixed_bfloat16"}, {"dtype": "mixed_bfloat16", "remat": True})
    )
    assert f"--memory is 1.00 GB, but a step of one example takes at the least {least / 1e9:.2f} GB;" in error


@pytest.mark.parametrize("flag", ["--train_batch_size=0", "--memory=lots", "--memory=0GB", "--optimizer=sgd"])
def test_a_value_that_no_flag_takes(capsys, flag):
    with pytest.raises(SystemExit) as caught:
        main(["inspect", "--bert_config_file=base", flag])
    assert caught.value.code == 2
    assert flag.split("=")[0] in capsys.readouterr().err


def test_no_tensorflow_is_imported(model_dir):
    script = (
        "import sys\nfrom keras_bert.cli.main import main\nassert main(sys.argv[1:]) == 0\n"
        "print(*sorted({'tensorflow', 'keras', 'jax'} & set(sys.modules)), sep=',')"
    )
    path = model_dir()
    shutil.copy(path / "config.json", path.parent)
    for arguments in ([path], ["--bert_config_file", path.parent / "config.json"]):
        command = [sys.executable, "-c", script, "inspect", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
        assert done.stdout.splitlines()[-1] == ""
