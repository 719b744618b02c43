"""Which checkpoint's head goes into which model: by the task that the checkpoint names, or else by name and shape."""

import keras
import numpy as np
import pytest

from keras_bert.checkpoints import open_checkpoint, save_checkpoint
from keras_bert.errors import UserError
from keras_bert.models import BertClassifier, BertEncoder, BertMultipleChoice, BertPretrainer, BertTokenClassifier
from keras_bert.models.weights import as_checkpoint, assign_arrays, collect_arrays
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests import reference_bert
from tests.models.conftest import make, randomise

OUTPUT = ["output_weights", "output_bias"]
POOLER = ["bert/pooler/dense/kernel", "bert/pooler/dense/bias"]


def head(report):
    """Returns the names of the head that were loaded, those that are new and those unused."""
    loaded = [name for name in report.loaded if not name.startswith("bert/")]
    return loaded, report.new, report.unused


@pytest.mark.parametrize("format", ["keras_bert", "huggingface"])
def test_a_checkpoint_that_knows_its_task_gives_its_head_to_that_task_alone(format, config, tmp_path):
    saved = randomise(make("token_classifier", config))
    saved.save_pretrained(tmp_path, format=format)
    same = BertTokenClassifier.from_pretrained(tmp_path)
    assert head(same.load_report) == (OUTPUT, POOLER if format == "huggingface" else [], [])
    assert same.labels == saved.labels
    other = BertClassifier.from_pretrained(tmp_path, num_classes=4)
    assert head(other.load_report) == ([], (POOLER if format == "huggingface" else []) + OUTPUT, sorted(OUTPUT))
    before, after = collect_arrays(saved), collect_arrays(other)
    assert np.abs(before["output_weights"] - after["output_weights"]).max() > 0.1
    if format == "keras_bert":  # transformers' class has no pooler
        np.testing.assert_array_equal(before["bert/pooler/dense/kernel"], after["bert/pooler/dense/kernel"])
    pooler = POOLER if format == "huggingface" else []
    assert head(BertEncoder.from_pretrained(tmp_path).load_report) == ([], pooler, sorted(OUTPUT))


def test_google_s_which_does_not_say_gives_by_name_and_shape(config, tmp_path):
    randomise(make("token_classifier", config)).save_pretrained(tmp_path, format="google")
    for kind in (BertTokenClassifier, BertClassifier):
        assert head(kind.from_pretrained(tmp_path, num_classes=4).load_report) == (OUTPUT, [], [])
        assert head(kind.from_pretrained(tmp_path, num_classes=5).load_report) == ([], OUTPUT, sorted(OUTPUT))
    assert head(BertMultipleChoice.from_pretrained(tmp_path).load_report) == ([], OUTPUT, sorted(OUTPUT))


def test_a_masked_lm_s_next_sentence_head_is_new(config, tmp_path):
    model = randomise(make("pretrainer", config))
    checkpoint = as_checkpoint(model)
    masked_lm = {n: shape for n, shape in checkpoint.shapes.items() if "seq_relationship" not in n and n not in POOLER}
    arrays = {name: checkpoint.read(name) for name in masked_lm}
    save_checkpoint(tmp_path, config, arrays, task=model.task(), format="huggingface")
    assert open_checkpoint(tmp_path).task == {"task": "fill_mask"}
    report = BertPretrainer.from_pretrained(tmp_path).load_report
    assert report.new == [*POOLER, "cls/seq_relationship/output_weights", "cls/seq_relationship/output_bias"]
    assert (len(report.loaded), report.unused) == (len(masked_lm), [])


def test_two_models_never_share_their_memory(config, monkeypatch):
    monkeypatch.setattr("keras_bert.models.weights.LARGE", 0)
    one, two = randomise(make("encoder", config), seed=1), randomise(make("encoder", config), seed=2)
    assign_arrays(two, as_checkpoint(one))
    before = collect_arrays(one)
    for variable in two.trainable_variables:
        if keras.backend.backend() == "tensorflow":
            variable.value.assign_add(np.ones(variable.shape, np.float32))  # in place, as a fused optimizer does
        else:
            variable.assign_add(np.ones(variable.shape, np.float32))
    changed = collect_arrays(two)
    for name, array in collect_arrays(one).items():
        np.testing.assert_array_equal(array, before[name])
        np.testing.assert_allclose(changed[name], array + 1, atol=1e-6)


def test_a_vocabulary_larger_than_the_model_beside_the_weights_is_told_before_they_are_loaded(config, tmp_path):
    make("encoder", config).save_pretrained(tmp_path)
    Vocabulary([*SPECIAL_TOKENS, *"abcdefghijklmnopqrst"]).save(tmp_path / "vocab.txt")
    with pytest.raises(UserError, match=r"vocab\.txt has 25 entries, but the checkpoint's vocab_size is 24"):
        BertEncoder.from_pretrained(tmp_path)


def test_the_report_says_that_an_optimizer_s_arrays_were_left_out(tmp_path):
    arrays = reference_bert.random_arrays(reference_bert.CONFIG, rng=np.random.default_rng(4))
    slots = {f"{name}/{slot}": array for name, array in arrays.items() for slot in ("adam_m", "adam_v")}
    reference_bert.write_google(tmp_path, reference_bert.CONFIG, {**arrays, **slots})
    report = BertPretrainer.from_pretrained(tmp_path).load_report
    assert (len(report.loaded), report.new, report.unused) == (len(arrays), [], [])
    assert str(report).endswith(f"; arrays of the optimizer that were left out: {2 * len(arrays)}")


def test_an_unknown_format_is_one_sentence(config, tmp_path):
    with pytest.raises(UserError, match=r"format must be one of .*\. Received: 'h5'\."):
        make("encoder", config).save_pretrained(tmp_path / "model", format="h5")
    assert list(tmp_path.iterdir()) == []
