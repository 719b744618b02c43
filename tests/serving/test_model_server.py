"""tensorflow_model_server itself, where it is installed: REST and gRPC answers are those of Python."""

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.serving.export import export
from keras_bert.serving.warmup import write_warmup
from keras_bert.tasks.classify.arrays import predict
from keras_bert.tasks.fill_mask.filling import fill_mask

LENGTH = 40
SECONDS_TO_LOAD = 120
NAMES = ("classify", "pair", "fill_mask")
WITHOUT_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
INVALID = b"par\xffis \xc3("  # what is not UTF-8 is dropped


@pytest.fixture(scope="module")
def server(models, tokenizer, tmp_path_factory):
    """{"rest", "grpc": port} of a server that has loaded three models."""
    program = shutil.which("tensorflow_model_server")
    if program is None:
        pytest.skip("there is no tensorflow_model_server on the PATH")
    folder = tmp_path_factory.mktemp("serving")
    for name in NAMES:
        each = export(models[name], tokenizer, folder / name / "1", max_seq_length=LENGTH, top_k=4, pair=name == "pair")
        write_warmup(each.path, each.inputs, [dict.fromkeys(each.inputs, texts) for texts in (["a"], ["[MASK]", ""])])
    entries = [
        f'config {{ name: "{name}" base_path: "{folder / name}" model_platform: "tensorflow" }}' for name in NAMES
    ]
    (folder / "models.config").write_text(f"model_config_list {{ {' '.join(entries)} }}")
    ports = {"rest": free_port(), "grpc": free_port()}
    command = [program, f"--model_config_file={folder / 'models.config'}"]
    command += [f"--rest_api_port={ports['rest']}", f"--port={ports['grpc']}"]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until_loaded(process, ports["rest"], folder / "log")
        yield ports
    finally:
        process.terminate()
        process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def wait_until_loaded(process, port, log):
    """Waits until all models answer, which is after their warm-up: one that fails keeps its model from loading."""
    deadline = time.monotonic() + SECONDS_TO_LOAD
    waiting = list(NAMES)
    while waiting:
        told = log.read_text(errors="replace")[-3000:]
        assert process.poll() is None, f"the server ended: {told}"
        assert time.monotonic() < deadline, f"{waiting} is not loaded: {told}"
        try:
            [version] = ask(port, waiting[0])["model_version_status"]
            assert version["status"]["error_code"] == "OK", version
            loaded = version["state"] == "AVAILABLE"
        except (urllib.error.URLError, ConnectionError):  # it does not listen yet, or does not know the model yet
            loaded = False
        if loaded:
            waiting.pop(0)
        else:
            time.sleep(0.2)


def ask(port, path, request=None):
    """Gets a page of the REST interface, or posts a request to it. Returns the answer."""
    data = None if request is None else json.dumps(request).encode()
    with WITHOUT_PROXY.open(f"http://localhost:{port}/v1/models/{path}", data, timeout=60) as answer:
        return json.loads(answer.read())


def test_rows_are_answered_over_rest(server, models, tokenizer, texts):
    sent = [*texts, {"b64": base64.b64encode(INVALID).decode()}]
    predictions = ask(server["rest"], "classify:predict", {"instances": [{"text": text} for text in sent]})[
        "predictions"
    ]
    known = predict(models["classify"], tokenizer, [*texts, INVALID.decode(errors="ignore")], max_seq_length=LENGTH)
    assert [row["label"] for row in predictions] == known["label"]
    assert all(row["labels"] == models["classify"].labels for row in predictions)
    np.testing.assert_allclose([row["probabilities"] for row in predictions], known["probabilities"], atol=1e-5)


def test_columns_are_answered_over_rest(server, models, tokenizer, texts):
    inputs = {"text": texts, "pair": texts[::-1]}
    outputs = ask(server["rest"], "pair:predict", {"signature_name": "serving_default", "inputs": inputs})["outputs"]
    known = predict(models["pair"], tokenizer, texts, texts[::-1], max_seq_length=LENGTH)
    assert outputs["label"] == known["label"]
    np.testing.assert_allclose(outputs["probabilities"], known["probabilities"], atol=1e-5)


def test_masks_are_filled_over_rest(server, models, tokenizer):
    texts = ["[MASK] is the [MASK] of France", "[MASK]"]
    predictions = ask(server["rest"], "fill_mask:predict", {"instances": texts})["predictions"]
    assert [row["num_masks"] for row in predictions] == [2, 1]
    guesses = fill_mask(models["fill_mask"], tokenizer, texts, top_k=4, max_seq_length=LENGTH)
    for row, masks in zip(predictions, guesses, strict=True):
        assert row["tokens"][: len(masks)] == [[guess["token"] for guess in mask] for mask in masks]
        known = [[guess["probability"] for guess in mask] for mask in masks]
        np.testing.assert_allclose(row["probabilities"][: len(masks)], known, atol=1e-5)


def test_a_wrong_request_is_an_error_and_no_end(server):
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(server["rest"], "classify:predict", {"instances": [{"txt": "a"}]})
    assert caught.value.code == 400
    assert "error" in json.loads(caught.value.read())
    assert len(ask(server["rest"], "classify:predict", {"instances": [{"text": "a"}]})["predictions"]) == 1


def test_grpc_answers_the_same(server, models, tokenizer, texts):
    grpc = pytest.importorskip("grpc")
    predict_pb2 = pytest.importorskip("tensorflow_serving.apis.predict_pb2")
    services = pytest.importorskip("tensorflow_serving.apis.prediction_service_pb2_grpc")
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "classify", "serving_default"
    request.inputs["text"].CopyFrom(tf.make_tensor_proto([text.encode() for text in texts] + [INVALID]))
    with grpc.insecure_channel(f"localhost:{server['grpc']}", [("grpc.enable_http_proxy", 0)]) as channel:
        answer = services.PredictionServiceStub(channel).Predict(request, timeout=60)
    outputs = {name: tf.make_ndarray(tensor) for name, tensor in answer.outputs.items()}
    known = predict(models["classify"], tokenizer, [*texts, INVALID.decode(errors="ignore")], max_seq_length=LENGTH)
    assert [label.decode() for label in outputs["label"]] == known["label"]
    np.testing.assert_allclose(outputs["probabilities"], known["probabilities"], atol=1e-5)
