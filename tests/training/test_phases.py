"""Phases as text, the options of a run, and a run whose records get longer."""

import json

import pytest

from keras_bert.checkpoints.safetensors import open_arrays
from keras_bert.errors import UserError
from keras_bert.training.loop import Position
from keras_bert.training.options import FREE, PretrainOptions
from keras_bert.training.phases import Phase, parse_phases
from keras_bert.training.pretrain import _make_model, pretrain
from keras_bert.training.strategies import strategy
from tests.training.conftest import SEQ_LENGTH

pytestmark = pytest.mark.usefixtures("quick_runs")


def test_the_paper_s_phases():
    assert parse_phases("128:90%:256,512:10%", num_train_steps=1_000_000) == [
        Phase(128, 900_000, 256),
        Phase(512, 100_000, 32),
    ]
    assert parse_phases("64:3, 32:2:8", train_batch_size=4) == [Phase(64, 3, 4), Phase(32, 2, 8)]
    assert parse_phases(None, num_train_steps=7) == [Phase(None, 7, 32)]
    assert parse_phases("") == [Phase(None, 100_000, 32)]


@pytest.mark.parametrize(
    ("text", "steps", "message"),
    [
        ("128", None, r"LENGTH:STEPS.* Received: '128'"),
        ("128:x", None, r"Received: '128:x'"),
        ("128:10:4:2", None, r"Received: '128:10:4:2'"),
        ("0:10", None, r"Received: '0:10'"),
        ("128:10,512:0", None, r"Received: '512:0' in '128:10,512:0'"),
        ("128:90%,512:20%", 1000, r"have 1100 steps together, but num_train_steps is 1000"),
        ("128:90%", None, r"have 90000 steps together, but num_train_steps is 100000"),
        ("128:10,512:5", 20, r"have 15 steps together, but num_train_steps is 20"),
    ],
)
def test_phases_that_cannot_be(text, steps, message):
    with pytest.raises(UserError, match=message):
        parse_phases(text, num_train_steps=steps)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 0.0}, r"learning_rate must be over 0. Received: 0\.0"),
        ({"optimizer": "adam"}, r"optimizer must be one of adamw, lamb, muon. Received: 'adam'"),
        ({"on_divergence": "go"}, r"on_divergence must be one of stop, rewind"),
        ({"dtype": "float16"}, r"dtype must be one of float32, mixed_bfloat16"),
        ({"gradient_accumulation_steps": 0}, r"gradient_accumulation_steps must be at least 1"),
        ({"keep_checkpoints": 0}, r"keep_checkpoints must be at least 1"),
        ({"max_minutes": 0.0}, r"max_minutes must be over 0. Received: 0.0"),
        ({"max_minutes": 1.0, "num_train_steps": 5}, r"less than all of it. Received: 10000 and 5"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(UserError, match=message):
        PretrainOptions(**options)


def test_what_a_run_keeps_to():
    one = PretrainOptions(num_train_steps=10, train_batch_size=8)
    same = PretrainOptions(phases=[Phase(None, 10, 8)], eval_every=5, save_checkpoints_steps=2, keep_checkpoints=1)
    assert one.fixed() == same.fixed()
    assert one.fixed() != PretrainOptions(num_train_steps=10, train_batch_size=4).fixed()
    assert one.fixed() != PretrainOptions(num_train_steps=10, train_batch_size=8, seed=1).fixed()
    assert PretrainOptions.__dataclass_fields__.keys() > FREE
    json.dumps(one.fixed())


@pytest.mark.parametrize("optimizer", ["adamw", "lamb"])
@pytest.mark.parametrize("corrected", [False, True])
def test_the_optimizer_that_is_meant(config, optimizer, corrected):
    options = PretrainOptions(optimizer=optimizer, bias_correction=corrected)
    _, made = _make_model(config, None, None, strategy("one_device"), options, packed=False)
    assert (type(made).__name__, made.bias_correction) == ({"adamw": "BertAdamW", "lamb": "Lamb"}[optimizer], corrected)


@pytest.fixture(scope="module")
def two_lengths(records, tokenizer, tmp_path_factory):
    """Training files of records of 24 and of 12 tokens, and held-out ones of both, by one folder each."""
    from tfrecords.create_pretraining_data import create_pretraining_data

    folder = tmp_path_factory.mktemp("lengths")
    tokenizer.vocabulary.save(folder / "vocab.txt")
    text = "\n\n".join("\n".join(" ".join([f"w{n % 15}"] * 4) for _ in range(4)) for n in range(40)) + "\n"
    (folder / "text.txt").write_text(text)
    paths = []
    for name in ("train", "dev"):
        path = folder / f"{name}12.tfrecord"
        create_pretraining_data(
            [folder / "text.txt"], path, folder / "vocab.txt", max_seq_length=12, max_predictions_per_seq=2
        )
        paths.append(str(path))
    return [*records[0], paths[0]], [*records[1], paths[1]]


RUN = {"num_warmup_steps": 2, "steps_per_loop": 4, "save_checkpoints_steps": 3, "learning_rate": 1e-3}


@pytest.mark.slow
def test_two_phases_in_one_run_and_resumed_in_either(two_lengths, config, tmp_path):
    train, dev = two_lengths
    phases = {**RUN, "phases": f"12:6:16,{SEQ_LENGTH}:5:8", "gradient_accumulation_steps": 2, "eval_every": 4}
    pretrain(train, tmp_path / "whole", config, eval_files=dev, **phases)
    rows = [json.loads(line) for line in (tmp_path / "whole" / "train_log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [4, 6, 8, 11]  # a row for the end of each phase, so that none is of both
    assert [row["step"] for row in rows if "eval_loss" in row] == [4, 8, 11]
    assert [row["learning_rate"] for row in rows] == pytest.approx([1e-3 * left / 11 for left in (8, 6, 4, 1)])
    asked = iter([None, None, ("SIGTERM", 143), None, None, None, ("SIGTERM", 143)])
    for _ in range(2):
        with pytest.raises(Exception, match="SIGTERM: stopped at step"):
            pretrain(train, tmp_path / "parts", config, eval_files=dev, stop=lambda: next(asked), **phases)
    pretrain(train, tmp_path / "parts", config, eval_files=dev, **phases)
    first, second = (
        {name: span.path.read_bytes()[span.offset : span.offset + span.size] for name, span in spans.items()}
        for spans in (
            open_arrays(tmp_path / name / "checkpoints/step-00000011/state.safetensors") for name in ("whole", "parts")
        )
    )
    assert first == second


def test_phases_share_a_time_budget(two_lengths, config, tmp_path, ticking, monkeypatch):
    advance, phases = Position.advance, []

    def noted(self, phase, rows, names, **options):
        phases.append(phase)
        advance(self, phase, rows, names, **options)

    monkeypatch.setattr(Position, "advance", noted)
    options = {**RUN, "phases": f"12:75:16,{SEQ_LENGTH}:25:8", "max_minutes": 0.05, "steps_per_loop": 1}
    pretrain(two_lengths[0], tmp_path / "run", config, **options)
    assert phases == [0] * 18 + [1] * 6  # an eighth of a second each


def test_records_of_two_lengths_want_phases(two_lengths, config, tmp_path):
    train, dev = two_lengths
    with pytest.raises(UserError, match=r"2 lengths, 12, 24; give the steps .* such as 12:90%,24:10%"):
        pretrain(train, tmp_path / "run", config, num_train_steps=2, **RUN)
    with pytest.raises(UserError, match=r"no records of 16 tokens, but of 12, 24"):
        pretrain(train, tmp_path / "run", config, phases="12:1,16:1", **RUN)
    with pytest.raises(UserError, match=r"no held-out records of 12 tokens, but of 24"):
        pretrain(train, tmp_path / "run", config, eval_files=dev[:1], phases="12:1,24:1", **RUN)
    with pytest.raises(UserError, match=r"A batch of 9 cannot be shared by 1 device\(s\) and 2 micro-batch"):
        pretrain(train, tmp_path / "run", config, phases="12:1:9", gradient_accumulation_steps=2, **RUN)
    assert not (tmp_path / "run").exists()
