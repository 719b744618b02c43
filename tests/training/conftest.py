"""A small corpus whose masked words can be guessed from their neighbours, as masked TFRecords."""

import numpy as np
import pytest

from keras_bert.config import BertConfig
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

WORDS = [f"w{n}" for n in range(15)]
SEQ_LENGTH, PREDICTIONS = 24, 4


@pytest.fixture(scope="session")
def tokenizer():
    return Tokenizer(Vocabulary([*SPECIAL_TOKENS, *WORDS]))


@pytest.fixture(scope="session")
def config():
    """One layer of width 32 without dropout and with large first weights: a hundred steps are enough for it."""
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "initializer_range": 0.2}
    shape = {"num_hidden_layers": 1, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    return BertConfig(vocab_size=len(SPECIAL_TOKENS) + len(WORDS), max_position_embeddings=SEQ_LENGTH, **shape, **none)


@pytest.fixture(scope="session")
def records(tmp_path_factory, tokenizer):
    """(training files, held-out files) of sentences that say one word again and again."""
    from tfrecords.create_pretraining_data import create_pretraining_data

    folder = tmp_path_factory.mktemp("records")
    tokenizer.vocabulary.save(folder / "vocab.txt")
    rng = np.random.default_rng(0)
    found = []
    for name, documents in (("train", 150), ("dev", 30)):
        text = []
        for _ in range(documents):
            words = rng.choice(WORDS, 2, replace=False)
            text.append("\n".join(" ".join([word] * 8) for word in (*words, *words)))
        (folder / f"{name}.txt").write_text("\n\n".join(text) + "\n")
        create_pretraining_data(
            [folder / f"{name}.txt"],
            folder / f"{name}.tfrecord",
            folder / "vocab.txt",
            max_seq_length=SEQ_LENGTH,
            max_predictions_per_seq=PREDICTIONS,
            dupe_factor=2,
            num_shards=2 if name == "train" else 1,
        )
        found.append(sorted(str(path) for path in folder.glob(f"{name}.tfrecord*")))
    return found
