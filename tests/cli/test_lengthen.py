"""`keras-bert lengthen`: what it prints and writes, the commands that it names next, and what is refused."""

import json
import shlex

import numpy as np
import pytest

from keras_bert.cli.main import main
from keras_bert.config import Config
from keras_bert.models import Encoder, Pretrainer
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.text.kinds import small_tokenizer

SMALL = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 3, "intermediate_size": 20}
WORDS = "the quick brown fox jumps over a lazy dog while others sleep".split()


def run(capsys, *flags):
    """Returns the exit status and what is printed, of both streams."""
    status = main(["lengthen", *map(str, flags)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def save(folder, tokenizer, **fields):
    """Saves a small model for 16 tokens."""
    family = fields.pop("family", "bert")
    size = "tiny" if family == "bert" else f"{family}-base"
    config = Config.from_name(size, **SMALL, vocab_size=len(tokenizer), **fields)
    Pretrainer(Encoder(config)).save_pretrained(folder, tokenizer=tokenizer)


@pytest.fixture
def bert(tmp_path):
    tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, *WORDS]), do_lower_case=True)
    save(tmp_path / "bert", tokenizer, max_position_embeddings=16)
    return tmp_path / "bert"


@pytest.fixture
def roberta(tmp_path):
    save(tmp_path / "roberta", small_tokenizer("roberta"), family="roberta", max_position_embeddings=18, pad_token_id=1)
    return tmp_path / "roberta"


@pytest.mark.slow
def test_a_bert_and_the_commands_that_follow(bert, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = ["--block_size=4", "--num_random_blocks=1", "--attention_window=8"]
    asked = ("--init_checkpoint=bert", "--output_dir=long", "--max_position_embeddings=32", *flags)
    status, out, _ = run(capsys, *asked)
    assert status == 0
    assert "becomes: a BigBird, texts of up to 32 tokens (blocks of 4 see" in out
    assert "note: --attention_window has no effect: the window is a Longformer's" in out
    assert "wrote long (0.0 MB): config.json, model.safetensors, tokenizer_config.json, vocab.txt" in out
    config = json.loads((tmp_path / "long" / "config.json").read_text())
    assert (config["model_type"], config["max_position_embeddings"], config["block_size"]) == ("big_bird", 32, 4)
    assert config["sep_token_id"] == Tokenizer.from_pretrained(bert).sep_id == 3
    fields = json.loads((tmp_path / "long" / "tokenizer_config.json").read_text())
    assert (fields["tokenizer_class"], fields["model_max_length"]) == ("BertTokenizer", 32)
    (tmp_path / "corpus").mkdir()
    rng = np.random.default_rng(0)
    lines = [" ".join(rng.choice(WORDS, 9)) for _ in range(60)]
    (tmp_path / "corpus" / "a.txt").write_text("\n\n".join("\n".join(lines[i : i + 10]) for i in range(0, 60, 10)))
    records, pretrain = (
        next(line for line in out.splitlines() if line.startswith(start)).partition("keras-bert ")[2]
        for start in ("next: ", "then: ")
    )
    assert "--max_seq_length=32 --max_predictions_per_seq=5 " in records
    assert main(shlex.split(records)) == 0
    assert main([*shlex.split(pretrain), "--num_train_steps=2", "--num_warmup_steps=1", "--train_batch_size=2"]) == 0
    assert json.loads((tmp_path / "long-trained" / "config.json").read_text())["model_type"] == "big_bird"


@pytest.mark.slow
def test_a_roberta_keeps_its_tokenizer(roberta, tmp_path, capsys):
    asked = ("--output_dir", tmp_path / "long", "--max_position_embeddings=32", "--attention_window=8")
    status, out, _ = run(capsys, "--init_checkpoint", roberta, *asked)
    assert status == 0
    assert "becomes: a Longformer, texts of up to 32 tokens (a token sees 8 others, global tokens see all)" in out
    assert " --sentence_task=none --dynamic" in out
    config = json.loads((tmp_path / "long" / "config.json").read_text())
    assert (config["model_type"], config["max_position_embeddings"]) == ("longformer", 34)
    assert config["attention_window"] == [8]
    fields = json.loads((tmp_path / "long" / "tokenizer_config.json").read_text())
    assert (fields["tokenizer_class"], fields["model_max_length"]) == ("RobertaTokenizer", 32)
    again, before = Tokenizer.from_pretrained(tmp_path / "long"), Tokenizer.from_pretrained(roberta)
    assert again.fingerprint == before.fingerprint


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--max_position_embeddings=16"], "reads texts of up to 16 tokens already; ask for more than that."),
        (["--attention_window=7", "--max_position_embeddings=32"], "must be an even number of tokens"),
        (["--attention_window=64", "--max_position_embeddings=32"], "attention_window is 64 tokens, more than the"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_nothing_is_written(flags, said, roberta, tmp_path, capsys):
    status, out, err = run(capsys, "--init_checkpoint", roberta, "--output_dir", tmp_path / "long", *flags)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("keras-bert lengthen: ") and said in err
    assert not (tmp_path / "long").exists()


def test_blocks_places_and_vocabularies_are_checked(bert, tmp_path, capsys):
    model = ("--init_checkpoint", bert, "--max_position_embeddings=40")
    blocks = ("--block_size=4", "--num_random_blocks=1")
    for place, more, said in (
        ("long", ("--block_size=16",), "must be a whole number of blocks"),
        ("long", ("--block_size=8", "--num_random_blocks=0"), "attend in full, and so would all of a model for 40"),
        ("bert", blocks, "is where --init_checkpoint lies"),
    ):
        status, _, err = run(capsys, *model, "--output_dir", tmp_path / place, *more)
        assert status == 2 and said in err and err.count("\n") == 1
    (bert / "vocab.txt").rename(tmp_path / "vocab.txt")
    status, _, err = run(capsys, *model, "--output_dir", tmp_path / "long", *blocks)
    assert status == 2 and "has no tokenizer that says which token ends a text" in err
    status, _, _ = run(
        capsys, *model, "--output_dir", tmp_path / "long", *blocks, "--vocab_file", tmp_path / "vocab.txt"
    )
    assert status == 0


@pytest.mark.nightly
def test_transformers_reads_the_tokenizer_that_was_copied(roberta, tmp_path, capsys):
    transformers = pytest.importorskip("transformers", reason="the parity extra")
    asked = ("--output_dir", tmp_path / "long", "--max_position_embeddings=32", "--attention_window=8")
    assert run(capsys, "--init_checkpoint", roberta, *asked)[0] == 0
    theirs, ours = transformers.AutoTokenizer.from_pretrained(tmp_path / "long"), Tokenizer.from_pretrained(roberta)
    assert theirs.model_max_length == 32
    for text in ("hello world", "the quick brown fox, 1,000 times"):
        ids = ours.encode(text, max_seq_length=None)["input_ids"]
        assert theirs(text)["input_ids"] == ids.tolist()
