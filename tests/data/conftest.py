"""Record files made by TensorFlow's own writer, as google-research/bert and tensorflow/models make them."""

import json

import numpy as np
import pytest

from keras_bert.data.records import ALIASES, manifest_path, vocab_path
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary


@pytest.fixture(scope="session")
def vocabulary():
    """[PAD] [UNK] [CLS] [SEP] [MASK], two unused, then "a0" ... "a39" and "##b0" ... "##b9"."""
    words = [f"a{i}" for i in range(40)] + [f"##b{i}" for i in range(10)]
    return Vocabulary([*SPECIAL_TOKENS, "[unused0]", "[unused1]", *words])


@pytest.fixture
def instances():
    """Returns a function that makes B instances of random but plausible features."""

    def make(count=6, *, seq_length=16, predictions=4, seed=0):
        rng = np.random.default_rng(seed)
        return {
            "input_ids": rng.integers(0, 30522, (count, seq_length)),
            "input_mask": np.sort(rng.integers(0, 2, (count, seq_length)))[:, ::-1],
            "segment_ids": rng.integers(0, 2, (count, seq_length)),
            "masked_lm_positions": np.sort(rng.integers(0, seq_length, (count, predictions))),
            "masked_lm_ids": rng.integers(0, 30522, (count, predictions)),
            "masked_lm_weights": np.sort(rng.integers(0, 2, (count, predictions)))[:, ::-1].astype(np.float32),
            "next_sentence_labels": rng.integers(0, 2, (count, 1)),
        }

    return make


def google_example(features, *, aliases=False):
    """Returns one instance as google-research/bert's write_instance_to_example_files builds it."""
    import tensorflow as tf

    example = tf.train.Example()
    for name, values in features.items():
        feature = example.features.feature[ALIASES.get(name, name) if aliases else name]
        if name == "masked_lm_weights":
            feature.float_list.value.extend(values)
        else:
            feature.int64_list.value.extend(values)
    return example.SerializeToString()


@pytest.fixture
def write_google_file():
    """Returns a function that writes instances with tf.io.TFRecordWriter."""
    import tensorflow as tf

    def write(path, instances, *, compression="", **options):
        with tf.io.TFRecordWriter(str(path), compression) as writer:
            for row in range(len(instances["input_ids"])):
                writer.write(google_example({name: values[row] for name, values in instances.items()}, **options))
        return path

    return write


@pytest.fixture(scope="session")
def unmasked(vocabulary):
    """Returns a function that makes B unmasked instances: [CLS] a ... [SEP] b ... [SEP] and, if asked, padding."""

    def make(count, *, seq_length=32, seed=0, padded=False):
        rng = np.random.default_rng(seed)
        places = np.arange(seq_length)
        ends = rng.integers(6, seq_length + 1, (count, 1)) if padded else np.full((count, 1), seq_length)
        middle = ends // 2
        tokens = rng.choice(vocabulary.replacement_ids, (count, seq_length))
        tokens[:, 0] = vocabulary.cls_id
        tokens[(places == middle) | (places == ends - 1)] = vocabulary.sep_id
        tokens[places >= ends] = vocabulary.pad_id
        return {
            "input_ids": tokens,
            "input_mask": (places < ends).astype(int),
            "segment_ids": ((places > middle) & (places < ends)).astype(int),
            "next_sentence_labels": rng.integers(0, 2, (count, 1)),
        }

    return make


@pytest.fixture
def write_dynamic(write_google_file, vocabulary):
    """Returns a function that writes unmasked instances with a manifest and the vocabulary beside them."""

    def write(path, instances, *, compression="", **fields):
        write_google_file(path, instances, compression=compression)
        manifest = {"masking": "token", "masked_lm_prob": 0.15, "max_predictions_per_seq": 5, "dynamic": True}
        manifest |= {"vocab_size": len(vocabulary), "vocab_sha256": vocabulary.fingerprint, "do_lower_case": True}
        manifest_path(path).write_text(json.dumps({**manifest, "sentence_task": "nsp", **fields}))
        vocabulary.save(vocab_path(path))
        return path

    return write
