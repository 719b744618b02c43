"""Training from user code: fit and train_on_batch in each of Keras' ways, on arrays and on records."""

import keras
import numpy as np
import pytest

from keras_bert.models import BertEncoder, BertPretrainer
from keras_bert.training.optimizers import adamw
from tests import reference_bert
from tests.models.conftest import as_batch

WAYS = {
    "graph": {},
    "eager": {"run_eagerly": True},
    "xla": {"jit_compile": True},
    "steps": {"jit_compile": False, "steps_per_execution": 2},
}


def total_loss(model, instances):
    """Google's loss of a batch, in NumPy: sum over the slots that weigh / their number, and the mean of the next."""
    outputs = {name: reference_bert.log_softmax(array) for name, array in predicted(model, instances).items()}
    weights = instances["masked_lm_weights"]
    chosen = np.take_along_axis(outputs["masked_lm"], instances["masked_lm_ids"][..., None], -1)[..., 0]
    right = np.take_along_axis(outputs["next_sentence"], instances["next_sentence_labels"], -1)
    return -(chosen * weights).sum() / weights.sum() - right.mean()


def predicted(model, instances):
    outputs = model(as_batch(instances)[0])
    return {name: keras.ops.convert_to_numpy(array) for name, array in outputs.items()}


@pytest.mark.parametrize(
    "way", [pytest.param(w, marks=[pytest.mark.slow] if w in ("xla", "steps") else []) for w in WAYS]
)
def test_every_way_of_keras_trains_by_google_s_loss(config, instances, batch, way):
    keras.utils.set_random_seed(0)
    model = BertPretrainer(BertEncoder(config))
    model.compile(adamw(1e-2, num_train_steps=8, num_warmup_steps=1), **WAYS[way])
    expected = total_loss(model, instances)
    x, y, weights = batch
    history = model.fit(x, y, sample_weight=weights, batch_size=4, epochs=2, shuffle=False, verbose=0).history
    assert history["loss"][0] == history["loss"][1] == pytest.approx(expected, rel=1e-5)  # the first rate is 0
    model.fit(x, y, sample_weight=weights, batch_size=4, epochs=3, verbose=0)
    after = total_loss(model, instances)
    assert after < expected
    metrics = model.evaluate(x, y, sample_weight=weights, return_dict=True, verbose=0)
    assert metrics["loss"] == pytest.approx(after, rel=1e-5)
    assert metrics["loss"] == pytest.approx(metrics["masked_lm_loss"] + metrics["next_sentence_loss"], rel=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="records are read by TensorFlow")
def test_a_dataset_of_records_trains_by_google_s_loss(config, instances, tmp_path):
    import tensorflow as tf

    from keras_bert.data.datasets import pretraining_dataset

    def feature(array):
        floats = array.dtype == np.float32
        kind = tf.train.Feature(float_list=tf.train.FloatList(value=array))
        return kind if floats else tf.train.Feature(int64_list=tf.train.Int64List(value=array))

    path = tmp_path / "records.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in range(4):
            features = {name: feature(array[row]) for name, array in instances.items()}
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    dataset = pretraining_dataset(path, batch_size=4, shuffle=False)
    model = BertPretrainer(BertEncoder(config))
    model.compile(adamw(1e-2, num_train_steps=8, num_warmup_steps=1))
    expected = total_loss(model, instances)
    assert model.fit(dataset, steps_per_epoch=1, verbose=0).history["loss"] == [pytest.approx(expected, rel=1e-5)]
    assert model.evaluate(dataset, steps=1, verbose=0)[0] == pytest.approx(expected, rel=1e-5)
