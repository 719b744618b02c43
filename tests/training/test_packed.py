"""Pre-training on packed records: from the data tool's rows to a model that reads one text a row."""

import math
from pathlib import Path

import numpy as np
import pytest

from keras_bert.config import Config
from keras_bert.data.datasets import pretraining_dataset
from keras_bert.errors import UserError
from keras_bert.models import Encoder, Pretrainer
from keras_bert.training.pretrain import pretrain
from tests.training.conftest import ONCE
from tfrecords.create_pretraining_data import create_pretraining_data

ROW = 64  # tokens; instances have up to as many, most fewer


@pytest.fixture(scope="module")
def packed(records, config, tmp_path_factory):
    """(packed records, the same text with one instance a record, a Config that reads both)."""
    folder, source, found = tmp_path_factory.mktemp("packed"), Path(records[0][0]).parent, {}
    for pack in ("isolated", "none"):
        create_pretraining_data(
            [source / "dev.txt"],
            folder / f"{pack}.tfrecord",
            source / "vocab.txt",
            max_seq_length=ROW,
            max_predictions_per_seq=10,
            dupe_factor=2,
            short_seq_prob=0.9,
            pack=pack,
        )
        found[pack] = folder / f"{pack}.tfrecord"
    return found["isolated"], found["none"], config.replace(max_position_embeddings=ROW)


@pytest.mark.nightly
def test_a_run_on_packed_rows(packed, tokenizer, tmp_path):
    rows, plain, config = packed
    options = {"learning_rate": 3e-3, "train_batch_size": 8, "eval_batch_size": 8, "num_train_steps": 60}
    results = pretrain(
        rows, tmp_path / "run", config, eval_files=rows, tokenizer=tokenizer, num_warmup_steps=5, **options
    )
    assert results["masked_lm_loss"] < 0.8 * math.log(config.vocab_size)
    assert 0 < results["next_sentence_loss"] < 1
    model = Pretrainer.from_pretrained(tmp_path / "run")
    assert "input_mask" in model.input
    x, _, _ = next(pretraining_dataset(plain, batch_size=8, **ONCE).as_numpy_iterator())
    assert np.isfinite(model(x)["next_sentence"]).all()
    packed_model = Pretrainer.from_pretrained(tmp_path / "run", packed=True)
    x, y, weights = next(pretraining_dataset(rows, batch_size=8, **ONCE).as_numpy_iterator())
    assert packed_model(x)["next_sentence"].shape == (*y["next_sentence"].shape, 2)
    assert weights["next_sentence"].sum() > 8


@pytest.mark.slow
def test_packed_and_plain_records_are_not_mixed(packed, tmp_path):
    rows, plain, config = packed
    with pytest.raises(UserError, match=r"isolated.tfrecord has packed rows and .*none.tfrecord has one text a row"):
        pretrain(rows, tmp_path / "run", config, eval_files=plain, num_train_steps=2)
    model = Pretrainer(Encoder(config))
    x, _, _ = next(pretraining_dataset(rows, batch_size=2, **ONCE).as_numpy_iterator())
    with pytest.raises(UserError, match="These rows are packed"):
        model(x)


def test_rows_that_a_model_cannot_read_are_refused_before_the_first_step(packed, tmp_path):
    rows, _, config = packed
    sizes = {name: getattr(config, name) for name in ("vocab_size", "hidden_size", "num_hidden_layers")}
    sizes |= {"num_attention_heads": config.num_attention_heads, "intermediate_size": config.intermediate_size}
    blocks = {"block_size": 4, "random_blocks": 1}
    big_bird = Config.from_name("bigbird-roberta-base", **sizes, block_sparse=blocks, max_position_embeddings=ROW)
    with pytest.raises(UserError, match=f"Rows of {ROW} tokens are packed, but BigBird's texts of over 28 tokens"):
        pretrain(rows, tmp_path / "run", big_bird, num_train_steps=2, num_warmup_steps=1, train_batch_size=8)
