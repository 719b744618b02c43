"""The flags that the fine-tuning commands share, what they resolve to, and what is printed of it."""

import argparse
import types

import pytest

from keras_bert.cli import finetune_flags, finetune_notes, saved_models
from keras_bert.cli.finetune_model import check_output, find_model
from keras_bert.config import BertConfig
from keras_bert.errors import UserError
from keras_bert.models import BertEncoder
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from keras_bert.training.finetune_options import FineTuning


def parse(*flags, **defaults):
    parser = argparse.ArgumentParser(allow_abbrev=False)
    finetune_flags.add_model_flags(parser)
    finetune_flags.add_training_flags(parser, **defaults)
    finetune_flags.add_do_flags(parser)
    finetune_flags.add_output_flags(parser)
    return parser.parse_args(["--output_dir=out", *flags])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "one", "two"]))
    config = BertConfig.from_name("L-1_H-16", vocab_size=7, max_position_embeddings=16)
    BertEncoder(config).save_pretrained(folder, tokenizer=tokenizer)
    return folder


def test_google_s_defaults_and_a_task_s_own():
    args = parse()
    assert (saved_models.settle_reading(args, None), args.train_batch_size) == ({"max_seq_length": 128}, 32)
    assert (args.eval_batch_size, args.predict_batch_size) == (8, 8)
    assert (args.learning_rate, args.num_train_epochs, args.warmup_proportion) == (5e-5, 3.0, 0.1)
    assert (args.do_train, args.do_eval, args.do_predict) == (None, None, None)
    args = parse("--do_train", "--nodo_eval", "--do_predict=False", max_seq_length=384, learning_rate=3e-5)
    assert (args.do_train, args.do_eval, args.do_predict) == (True, False, False)
    assert (saved_models.settle_reading(args, None), args.learning_rate) == ({"max_seq_length": 384}, 3e-5)


def test_a_saved_model_is_asked_with_the_length_it_was_trained_with():
    saved = types.SimpleNamespace(task={"reading": {"max_seq_length": 12}})
    for do_train, flags, length in ((False, [], 12), (False, ["--max_seq_length=20"], 20), (True, [], 128)):
        args = parse(*flags)
        args.do_train = do_train
        assert saved_models.settle_reading(args, saved) == {"max_seq_length": length}
        assert args.max_seq_length == length
    args = parse("--nodo_train")
    saved_models.settle_reading(args, types.SimpleNamespace(task={}))  # of a model that says nothing
    assert args.max_seq_length == 128


def test_flags_as_options_of_the_runs():
    args = parse("--num_runs=3", "--seed=5", "--layer_decay=0.9", "--early_stopping=2", "--train_batch_size=16")
    assert finetune_flags.training_options(args) == FineTuning(
        seeds=(5, 6, 7), train_batch_size=16, layer_decay=0.9, early_stopping=2
    )
    args = parse("--reinit_layers=2", "--freeze_encoder", "--dtype=mixed_bfloat16")
    made = {"dtype": "mixed_bfloat16", "reinit_layers": 2, "freeze_encoder": True}
    assert finetune_flags.maker_options(args) == made


def test_a_seed_is_a_natural_number(capsys):
    with pytest.raises(SystemExit):
        parse("--seed=-1")
    assert "at least 0, received '-1'" in capsys.readouterr().err


def test_every_run_s_seed_is_one_that_numpy_takes():
    assert finetune_flags.training_options(parse("--seed=4294967294", "--num_runs=2")).seeds[-1] == 2**32 - 1
    with pytest.raises(UserError, match="--seed: a seed is a number below 2"):
        finetune_flags.training_options(parse("--seed=4294967295", "--num_runs=2"))


def test_texts_on_both_sides_are_said(capsys):
    finetune_notes.print_shared(["a b", "c"], ["d"])
    assert capsys.readouterr().out == ""
    finetune_notes.print_shared([("a b", "c"), ("c", "d")], [("c", "d"), ("a  b", "c"), ("c", "")])
    assert capsys.readouterr().out.startswith("note: 2 of 3 held-out texts stand in the training file too")


def test_the_paper_s_grid():
    points = parse("--grid=paper").grid
    assert len(points) == len({tuple(point.values()) for point in points}) == 18
    assert {point["train_batch_size"] for point in points} == {16, 32}
    assert {point["learning_rate"] for point in points} == {5e-5, 3e-5, 2e-5}
    assert {point["epochs"] for point in points} == {2.0, 3.0, 4.0}
    assert finetune_flags.training_options(parse("--grid=paper")).grid == points


def test_a_grid_of_one_s_own():
    assert parse("--grid=train_batch_size=8; num_train_epochs=1,2.5").grid == (
        {"train_batch_size": 8, "epochs": 1.0},
        {"train_batch_size": 8, "epochs": 2.5},
    )


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ("papers", ["'papers'", "'paper'", "learning_rate"]),
        ("learning_rates=1e-5", ["did you mean learning_rate?"]),
        ("learning_rate=fast", ["'learning_rate=fast'", "over 0"]),
        ("learning_rate=", ["over 0"]),
        ("learning_rate=1e-5,-1", ["over 0"]),
        ("num_train_epochs=2,2", ["different"]),
        ("num_train_epochs=2;num_train_epochs=3", ["once"]),
        ("train_batch_size=1.5", ["over 0"]),
    ],
)
def test_a_grid_that_is_none(capsys, grid, words):
    with pytest.raises(SystemExit) as error:
        parse(f"--grid={grid}")
    assert error.value.code == 2
    message = capsys.readouterr().err
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--num_train_steps=5", "--grid=num_train_epochs=1,2"], "--num_train_steps takes the place of"),
        (["--early_stopping=1", "--eval_each_epoch=False"], "--early_stopping needs a figure after each epoch"),
    ],
)
def test_flags_that_do_not_go_together(flags, message):
    with pytest.raises(UserError, match=message):
        finetune_flags.training_options(parse(*flags))


def test_the_model_that_is_meant(model, tmp_path):
    args = parse(f"--init_checkpoint={model}", "--max_seq_length=16", "--dropout=0.25")
    tokenizer, config, checkpoint = find_model(args)
    assert (tokenizer.vocab_size, config.hidden_dropout_prob, config.attention_probs_dropout_prob) == (7, 0.25, 0.25)
    assert checkpoint.config.hidden_dropout_prob == 0.1
    args = parse(f"--init_checkpoint={model}", "--max_seq_length=16", "--from_scratch")
    assert find_model(args)[2] is None
    args = parse("--bert_config_file=tiny", f"--vocab_file={model / 'vocab.txt'}")
    _, config, checkpoint = find_model(args)
    assert (config.vocab_size, config.hidden_size, checkpoint) == (7, 128, None)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--max_seq_length=16"], "name a model by --init_checkpoint"),
        (["--bert_config_file=tiny"], "needs --vocab_file"),
        (["--init_checkpoint=MODEL", "--max_seq_length=16", "--nodo_lower_case"], "lower-cases"),
        (["--init_checkpoint=MODEL", "--bert_config_file=tiny"], "hidden_size 128, but .* has 16"),
    ],
)
def test_a_model_that_does_not_fit(model, flags, message):
    flags = [flag.replace("MODEL", str(model)) for flag in flags]
    with pytest.raises(UserError, match=message):
        find_model(parse(*flags))


def test_special_tokens_grow_the_model_or_take_its_free_rows(model, tmp_path):
    args = parse(f"--init_checkpoint={model}", "--max_seq_length=16", "--special_tokens=one,[X],[Y]")
    tokenizer, config, checkpoint = find_model(args)
    assert tokenizer.ids(["one", "[X]", "[Y]"]) == [5, 7, 8]
    assert (config.vocab_size, checkpoint.new_entries) == (9, ("[X]", "[Y]"))
    padded = BertConfig.from_name("L-1_H-16", vocab_size=16, max_position_embeddings=16)
    BertEncoder(padded).save_pretrained(tmp_path, tokenizer=Tokenizer.from_pretrained(model))
    args = parse(f"--init_checkpoint={tmp_path}", "--max_seq_length=16", "--special_tokens=[X]")
    tokenizer, config, _ = find_model(args)
    assert (len(tokenizer), config.vocab_size) == (8, 16)


def test_a_place_for_the_output(model, tmp_path):
    def check(*flags):
        check_output(parse(*flags))

    check(f"--output_dir={tmp_path / 'a' / 'b'}")
    assert not (tmp_path / "a").exists()
    with pytest.raises(UserError, match=r"config\.json exists already; add --force"):
        check(f"--output_dir={model}")
    check(f"--output_dir={model}", "--force")
    check(f"--output_dir={model}", f"--init_checkpoint={model}", "--nodo_train")
    with pytest.raises(UserError, match="--output_dir and --init_checkpoint are both"):
        check(f"--output_dir={model}", f"--init_checkpoint={model}", "--force")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("may stand beside a model")
    check(f"--output_dir={tmp_path / 'mine'}")
    (tmp_path / "mine" / "vocab.txt").write_text("somebody's")
    with pytest.raises(UserError, match=r"vocab\.txt exists already; name another folder, or add --force"):
        check(f"--output_dir={tmp_path / 'mine'}")
    check(f"--output_dir={tmp_path / 'mine'}", "--force")
    (tmp_path / "file").write_text("here")
    with pytest.raises(UserError, match="is not a directory"):
        check(f"--output_dir={tmp_path / 'file' / 'out'}")


def test_what_is_printed_of_a_model(capsys, model):
    args = parse(f"--init_checkpoint={model}", "--num_runs=2", "--grid=learning_rate=1e-4,1e-5", "--num_train_epochs=1")
    encoder = BertEncoder.from_pretrained(model)
    finetune_notes.print_model(args, encoder)
    printed = capsys.readouterr().out
    assert "model: 1 layers, hidden size 16" in printed
    assert f"from {model}" in printed
    assert "newly initialised: none" in printed
    assert "schedule: 1 epochs of batch 32, peak rate 5e-05, a grid of 2 points, 2 runs" in printed
    encoder.pooler.trainable = encoder.token_embedding.trainable = False
    fresh = types.SimpleNamespace(
        bert_config=encoder.bert_config, count_params=lambda: 1234, trainable_variables=encoder.pooler.variables
    )
    finetune_notes.print_model(parse("--freeze_encoder"), fresh)
    printed = capsys.readouterr().out
    assert "1,234 weights, fresh" in printed
    assert "frozen: the encoder; 272 weights train" in printed  # a kernel (16, 16) and a bias


def test_what_is_printed_of_the_runs(capsys):
    runs = [{"seed": seed, "accuracy": figure} for seed, figure in ((1, 0.5), (2, 0.7))]
    results = {
        "runs": runs,
        "seed": 2,
        "accuracy": 0.7,
        "accuracy_mean": 0.6,
        "accuracy_sd": 0.1414,
        "global_step": 100,
    }
    finetune_notes.print_runs(results, "accuracy")
    assert capsys.readouterr().out == (
        "2 runs: accuracy 0.6000 ± 0.1414 (0.5000, 0.7000); the best, seed 2, is saved\n"
    )
    finetune_notes.print_runs(results | {"runs": runs[:1]}, "accuracy")
    assert capsys.readouterr().out == ""
    finetune_notes.print_runs(results | {"runs": runs[:1], "global_step": 99}, "accuracy")
    assert "note: these were 99 steps; small tables often want more of them (--num_train" in capsys.readouterr().out
    failed = {"seed": 3, "failed": "The loss is nan at step 2 of 9; lower it."}
    finetune_notes.print_runs(results | {"runs": [*runs, failed]}, "accuracy")
    assert capsys.readouterr().out.splitlines() == [
        "failed: seed 3, left out of the means: The loss is nan at step 2 of 9; lower it.",
        "2 runs: accuracy 0.6000 ± 0.1414 (0.5000, 0.7000); the best, seed 2, is saved",
    ]
    runs = [run | {"learning_rate": rate} for rate in (1e-4, 1e-5) for run in runs]
    finetune_notes.print_runs(results | {"runs": runs, "learning_rate": 1e-5}, "accuracy")
    assert capsys.readouterr().out.splitlines() == [
        "learning_rate 0.0001: accuracy 0.6000",
        "learning_rate 1e-05: accuracy 0.6000 (the best)",
        "2 runs: accuracy 0.6000 ± 0.1414 (0.5000, 0.7000); the best, seed 2, is saved",
    ]


def test_a_misspelt_field_of_the_config_is_printed(capsys):
    fresh = BertEncoder(BertConfig.from_name("L-1_H-16", vocab_size=7, extra={"hiden_act": "relu"}))
    finetune_notes.print_model(parse(), fresh)
    assert "note: fields of the configuration that are not known and do nothing: hiden_act" in capsys.readouterr().out
