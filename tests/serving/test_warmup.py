"""Warm-up requests, read back with protobuf's own parser and the published field numbers."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.unknown_fields import UnknownFieldSet
from tensorflow.core.framework.tensor_pb2 import TensorProto

from keras_bert.errors import UserError
from keras_bert.serving.warmup import MAX_REQUESTS, write_warmup

# {message: {field: (number, type)}} of tensorflow/serving, apis/{prediction_log,predict,model}.proto. A map is sent as
# its entries, and a TensorProto like any other bytes. An asterisk stands for "repeated".
MESSAGES = {
    "PredictionLog": {"log_metadata": (1, "bytes"), "predict_log": (6, "PredictLog")},
    "PredictLog": {"request": (1, "PredictRequest"), "response": (2, "bytes")},
    "PredictRequest": {"model_spec": (1, "ModelSpec"), "inputs": (2, "Input*"), "output_filter": (3, "string*")},
    "ModelSpec": {"name": (1, "string"), "version": (2, "bytes"), "signature_name": (3, "string")},
    "Input": {"key": (1, "string"), "value": (2, "bytes")},
}
PAIR = {name: tf.TensorSpec((None,), tf.string, name=name) for name in ("text", "pair")}
EXAMPLES = [
    {"text": ["Paris is the capital.", ""], "pair": np.array(["한국", "is " * 100])},
    {"text": [b"a\x00\xff" * 50], "pair": ["b"]},  # sizes from 128 to 255, beside smaller and larger ones
]


@pytest.fixture(scope="module")
def prediction_log():
    """The message PredictionLog, made of the table."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="warmup.proto", package="warmup", syntax="proto3")
    for message, fields in MESSAGES.items():
        described = file.message_type.add(name=message)
        for name, (number, kind) in fields.items():
            field = described.field.add(name=name, number=number)
            field.label = kinds.LABEL_REPEATED if kind.endswith("*") else kinds.LABEL_OPTIONAL
            kind = kind.removesuffix("*")
            if kind in MESSAGES:
                field.type, field.type_name = kinds.TYPE_MESSAGE, f".warmup.{kind}"
            else:
                field.type = kinds.TYPE_BYTES if kind == "bytes" else kinds.TYPE_STRING
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("warmup.PredictionLog"))


def records(path):
    """Returns the messages of a TFRecord file, whose checksums TensorFlow looks at."""
    return [record.numpy() for record in tf.data.TFRecordDataset(str(path))]


def arrays(request):
    """Returns {name: array} of the inputs of a PredictRequest."""
    return {each.key: tf.make_ndarray(TensorProto.FromString(each.value)) for each in request.inputs}


def encoded(example):
    """Returns the strings of an example as the bytes that a server reads."""
    return {name: [t if isinstance(t, bytes) else t.encode() for t in texts] for name, texts in example.items()}


def test_the_requests_are_those_of_the_examples(prediction_log, tmp_path):
    path = write_warmup(tmp_path, PAIR, EXAMPLES)
    assert path == tmp_path / "assets.extra/tf_serving_warmup_requests"
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    for record, example in zip(records(path), EXAMPLES, strict=True):
        log = prediction_log.FromString(record)
        assert [field.name for field, _ in log.ListFields()] == ["predict_log"]
        assert [field.name for field, _ in log.predict_log.ListFields()] == ["request"]
        request = log.predict_log.request
        assert [field.name for field, _ in request.ListFields()] == ["model_spec", "inputs"]
        assert [(field.name, value) for field, value in request.model_spec.ListFields()] == [
            ("signature_name", "serving_default")
        ]
        for message in (log, log.predict_log, request, request.model_spec, *request.inputs):
            assert len(UnknownFieldSet(message)) == 0
        assert {name: array.tolist() for name, array in arrays(request).items()} == encoded(example)


def test_tensorflow_servings_own_messages_read_the_same(tmp_path):
    prediction_log_pb2 = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    for record, example in zip(records(write_warmup(tmp_path, PAIR, EXAMPLES)), EXAMPLES, strict=True):
        log = prediction_log_pb2.PredictionLog.FromString(record)
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        assert (request.model_spec.name, request.model_spec.signature_name) == ("", "serving_default")
        inputs = {name: tf.make_ndarray(tensor).tolist() for name, tensor in request.inputs.items()}
        assert inputs == encoded(example)


def test_ids_keep_their_type_and_shape(prediction_log, tmp_path):
    names = ("input_ids", "input_mask", "segment_ids")
    specs = {name: tf.TensorSpec((None, None), tf.int32, name=name) for name in names}
    ids = np.arange(300, dtype=np.int64).reshape(2, 150)  # more than 127 bytes; a wider type than the spec's
    example = dict(zip(names, (ids, [[1] * 150] * 2, np.zeros((2, 150), np.int32)), strict=True))
    [record] = records(write_warmup(tmp_path, specs, [example]))
    inputs = arrays(prediction_log.FromString(record).predict_log.request)
    assert sorted(inputs) == sorted(names)
    for name, array in inputs.items():
        assert array.dtype == np.int32
        np.testing.assert_array_equal(array, example[name])


def test_as_many_requests_as_a_server_reads(tmp_path):
    spec = {"text": PAIR["text"]}
    path = write_warmup(tmp_path, spec, [{"text": [str(i)]} for i in range(MAX_REQUESTS)])
    assert MAX_REQUESTS == 1000 == len(records(path))
    for count in (0, 1001):
        with pytest.raises(UserError, match=f"1 to 1000 examples, each a request. Received: {count}"):
            write_warmup(tmp_path, spec, [{"text": ["a"]}] * count)
    assert len(records(path)) == 1000  # what stood there stands there
    write_warmup(tmp_path, spec, [{"text": ["b"]}])
    assert len(records(path)) == 1


@pytest.mark.parametrize(
    ("example", "match"),
    [
        ({"text": ["a"]}, r"example 1 must give the model's text, pair. Received: text\."),
        ({"text": ["a"], "pair": ["b"], "title": ["c"]}, "Received: text, pair, title"),
        ({"text": ["a"], "pair": [3]}, r"example 1: pair must be string of shape \(None,\). Received: \[3\]"),
        ({"text": "a", "pair": ["b"]}, r"1: text must be string of shape \(None,\). Received: 'a'"),
        ({"text": [["a"]], "pair": ["b"]}, r"Received: \[\['a'\]\]"),
        ({"text": [["a"], ["b", "c"]], "pair": ["b"]}, r"Received: \[\['a'\], \['b', 'c'\]\]"),
        ({"text": ["a", "b"], "pair": ["b"]}, "as many rows for each input. Received: {'text': 2, 'pair': 1}"),
    ],
)
def test_an_example_that_the_model_would_refuse_is_a_user_error(tmp_path, example, match):
    with pytest.raises(UserError, match=match):
        write_warmup(tmp_path, PAIR, [EXAMPLES[0], example])
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_a_user_error(tmp_path):
    (tmp_path / "assets.extra").write_text("in the way")
    with pytest.raises(UserError, match="Cannot write"):
        write_warmup(tmp_path, PAIR, EXAMPLES)
