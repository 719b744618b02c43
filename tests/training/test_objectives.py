"""What a Pretrainer is made for decides what is trained, summed, logged and drawn: one task or two, of any family."""

import json
import math
from argparse import Namespace

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.cli.pretrain import _find_config, _sentence_task
from keras_bert.config import Config
from keras_bert.data.datasets import pretraining_dataset
from keras_bert.errors import UserError
from keras_bert.families import find_family
from keras_bert.models import Encoder, Pretrainer
from keras_bert.models.replaced_tokens import WEIGHTS
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import Vocabulary
from keras_bert.training import logs
from keras_bert.training.evaluation import evaluate_pretraining
from keras_bert.training.optimizers import adamw
from keras_bert.training.pretrain import pretrain
from keras_bert.training.steps import make_eval_step, make_train_steps
from keras_bert.training.sums import BERT_TASKS, columns, metrics_from_sums, uniform_guess
from keras_bert.training.trainer import make_trainer
from tests.reference_bert import log_softmax
from tests.training.conftest import ONCE, SEQ_LENGTH, altered

DEFAULT = tf.distribute.get_strategy()
RUN = {"train_batch_size": 8, "eval_batch_size": 8, "num_train_steps": 2, "num_warmup_steps": 1}
SHAPE = {"num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
# {size: fields of its own, and what a run of it measures}
FAMILIES = {
    "roberta-base": ({"max_position_embeddings": SEQ_LENGTH + 1, "pad_token_id": 0}, {"masked_lm"}),
    "albert-base": ({"embedding_size": 8}, {"masked_lm", "next_sentence"}),
}


def tiny(name, **fields):
    """Returns the Config of a family whose vocabulary is the records'."""
    return Config.from_name(name, vocab_size=20, **SHAPE, **{"max_position_embeddings": SEQ_LENGTH, **fields})


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("name", FAMILIES)
def test_a_run_trains_and_measures_what_the_family_is_made_for(name, records, tokenizer, tmp_path, monkeypatch):
    fields, tasks = FAMILIES[name]
    panels = []
    monkeypatch.setattr(logs, "draw_curves", lambda *_, curves, **options: panels.extend(curves))
    monkeypatch.setattr("keras_bert.training.pretrain._write_other_formats", lambda folder: None)
    train, dev = (altered(files, tmp_path / "records", sentence_task="sop") for files in records)
    folder, notes = tmp_path / "run", []
    results = pretrain(
        train[:1],
        folder,
        tiny(name, **fields),
        eval_files=dev,
        tokenizer=tokenizer,
        steps_per_loop=1,
        max_eval_steps=2,
        progress=lambda *call: notes.append(call[-1]),
        **RUN,
    )
    figures = {f"{task}_{figure}" for task in tasks for figure in ("loss", "accuracy")} | {"loss"}
    assert results.keys() == figures | {"masked_lm_perplexity"}
    rows = [json.loads(line) for line in (folder / "train_log.jsonl").read_text().splitlines()]
    for row in rows:
        assert {key for key in row if key.endswith(("loss", "accuracy")) and not key.startswith("eval")} == figures
        assert row["loss"] == pytest.approx(sum(row[f"{task}_loss"] for task in tasks), rel=1e-6)
        assert row["gradient_norm"] > 0 and row["tokens_per_second"] > row["examples_per_second"]
    assert ("sentence-order accuracy" in panels) == ("next_sentence" in tasks)
    assert any("masked-LM accuracy" in note for note in notes)
    model = Pretrainer.from_pretrained(folder)
    assert model.load_report.new == model.load_report.unused == []
    assert set(model.objectives) == tasks
    again = evaluate_pretraining(folder, dev, tokenizer=tokenizer, eval_batch_size=8, max_eval_steps=2)
    assert again == pytest.approx(results, rel=1e-4)


@pytest.mark.usefixtures("eagerly")
def test_a_step_without_a_sentence_task_is_fit_s_step(records):
    config = tiny("distilbert-base", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model = Pretrainer(Encoder(config))
    batches = pretraining_dataset(records[0], batch_size=8, **ONCE).take(1)
    start = model.get_weights()
    model.compile(adamw(1e-2))
    history = model.fit(batches, verbose=0).history  # which has segments and labels that the model does not read
    assert history.keys() == {"loss"}
    by_fit = model.get_weights()
    assert model.evaluate(batches, verbose=0) < history["loss"][0]

    model.set_weights(start)
    optimizer = adamw(1e-2)
    optimizer.build(model.trainable_variables)
    ((x, y, weights),) = batches.as_numpy_iterator()
    losses = -np.take_along_axis(log_softmax(model.predict_on_batch(x)["masked_lm"]), y["masked_lm"][..., None], -1)
    sums = make_eval_step(model, DEFAULT)((x, y, weights)).numpy()
    assert sums[[0, 2]] == pytest.approx([(losses[..., 0] * weights["masked_lm"]).sum(), weights["masked_lm"].sum()])
    for accumulation in (1, 2):
        model.set_weights(start)
        train_steps = make_train_steps(model, optimizer, DEFAULT, accumulation=accumulation)
        ((row),) = train_steps(iter(batches.repeat()), 1).numpy()
        assert row.shape == (len(columns(model.objectives)),) == (5,)
        assert metrics_from_sums(row[:3], model.task_weights)["loss"] == pytest.approx(history["loss"][0], rel=1e-5)
        assert row[:3] == pytest.approx(sums, rel=1e-5)
        for variable in optimizer.variables:
            variable.assign(tf.zeros_like(variable))
        if accumulation == 1:
            for one, two in zip(model.get_weights(), by_fit, strict=True):
                np.testing.assert_allclose(one, two, atol=1e-5)


@pytest.mark.usefixtures("eagerly")
def test_a_pooler_that_no_objective_reads_is_no_obstacle(records, config):
    model = Pretrainer(Encoder(config), objectives=["masked_lm"])
    optimizer = adamw(1e-2, weight_decay=0.0)
    optimizer.build(model.trainable_variables)
    pooler = model.encoder.pooler.get_weights()
    batches = pretraining_dataset(records[0], batch_size=8, shuffle=False)
    rows = make_train_steps(model, optimizer, DEFAULT)(iter(batches), 4).numpy()
    assert rows[-1, 0] / rows[-1, 2] < rows[0, 0] / rows[0, 2]
    np.testing.assert_array_equal(model.encoder.pooler.get_weights()[0], pooler[0])


def test_a_discriminator_trains_by_fit_and_not_without_a_generator():
    config = tiny("electra-small", embedding_size=8, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model = Pretrainer(Encoder(config))
    rng = np.random.default_rng(0)
    x = {"input_ids": rng.integers(5, 20, (4, 6)), "input_mask": np.array([[1] * 6] * 3 + [[1, 1, 0, 0, 0, 0]])}
    labels, weights = rng.integers(0, 2, (4, 6)), x["input_mask"].astype(np.float32)
    logits = model.predict_on_batch(x)["replaced_tokens"]
    losses = np.logaddexp(0, logits) - logits * labels  # as of torch's BCEWithLogitsLoss
    model.compile("sgd", run_eagerly=True)
    (loss,) = model.fit(x, {"replaced_tokens": labels}, sample_weight={"replaced_tokens": weights}, verbose=0).history[
        "loss"
    ]
    assert loss == pytest.approx((losses * weights).sum() / weights.sum(), rel=1e-5)
    with pytest.raises(UserError, match=r"make a ReplacedTokenPretrainer, which has both, or train this model on labe"):
        make_trainer(model, adamw(1e-3), DEFAULT)


def test_a_loss_is_held_against_the_guess_at_all_that_is_trained():
    config = tiny("distilbert-base")
    assert uniform_guess({"masked_lm": 1.0}, config) == pytest.approx(math.log(20))
    assert uniform_guess(BERT_TASKS, config) == pytest.approx(math.log(20) + math.log(2))
    assert uniform_guess(WEIGHTS, config) == pytest.approx(math.log(20) + 50 * math.log(2))


@pytest.mark.parametrize("name", ["roberta-base", "albert-base", "distilbert-base"])
def test_the_command_finds_a_size_of_any_family_and_pads_as_the_vocabulary_does(name, records, tokenizer):
    args = Namespace(init_checkpoint=None, bert_config_file=name)
    padded = Tokenizer(Vocabulary(["[UNK]", "[PAD]", *tokenizer.vocabulary.tokens[2:]]))
    for own in (tokenizer, padded):
        config, origin = _find_config(args, own)
        assert (config.vocab_size, config.pad_token_id) == (20, own.pad_id)
        assert origin == "fresh weights"
    said = _sentence_task(records[0], find_family(config.family).objectives)
    assert said == ("next-sentence" if name == "albert-base" else "none, this model learns from masked tokens alone")


def test_a_config_file_that_pads_otherwise_is_refused_where_positions_are_counted_by_it(tokenizer, tmp_path):
    args = Namespace(init_checkpoint=None, bert_config_file=str(tmp_path / "config.json"))
    fields = tiny("roberta-base", max_position_embeddings=SEQ_LENGTH + 2).to_huggingface()
    (tmp_path / "config.json").write_text(json.dumps(fields))
    with pytest.raises(UserError, match=r"padding is token 0, but the model's pad_token_id is 1, which its positions"):
        _find_config(args, tokenizer)
    (tmp_path / "config.json").write_text(json.dumps(tiny("distilbert-base", pad_token_id=3).to_huggingface()))
    with pytest.warns(UserWarning, match=r"padding is token 0, but the model's pad_token_id is 3; give input_mask"):
        assert _find_config(args, tokenizer)[0].family == "distilbert"
