"""Quickstart on a small text of our own: every stage for real, few steps, and what a second run reuses."""

import contextlib
import io
import json

import pytest

from keras_bert.cli.chain import masked_sentences
from keras_bert.cli.main import main
from keras_bert.cli.stages import Stages
from keras_bert.text.tokenizer import Tokenizer
from tests.cli.conftest import make_documents

SMALL = ["--vocab_size=160", "--num_train_steps=6", "--train_batch_size=4", "--max_seq_length=32"]
FIGURES = {
    "masked_lm_accuracy",
    "masked_lm_loss",
    "next_sentence_accuracy",
    "unigram_accuracy",
    "finetune_accuracy_pretrained",
    "finetune_accuracy_scratch",
    "seconds",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One finished quickstart: its folder, its text and what it printed."""
    folder = tmp_path_factory.mktemp("quickstart")
    text = folder / "text.txt"
    documents = make_documents(60, sentences=40)
    text.write_text("\n\n".join("\n".join(document) for document in documents) + "\n", encoding="utf-8")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(["quickstart", f"--input_file={text}", f"--output_dir={folder / 'out'}", *SMALL]) == 0
    return folder, text, printed.getvalue()


@pytest.mark.slow
def test_it_writes_every_figure_and_every_result(finished):
    folder, _, _ = finished
    results = json.loads((folder / "out" / "results.json").read_text())
    assert results.keys() >= FIGURES
    assert 0 < results["unigram_accuracy"] < 1
    assert results["seconds"]["total"] == pytest.approx(sum(v for k, v in results["seconds"].items() if k != "total"))
    assert {a["label"] for a in results["served_answers"]} <= set(results["corpus"]["classes"])
    for made in ("vocab.txt", "records/train.tfrecord", "pretrained/model.safetensors", "pretrained/loss_curve.png",
                 "classifier_pretrained/model.safetensors", "serving/classifier/1/saved_model.pb"):  # fmt: skip
        assert (folder / "out" / made).stat().st_size > 0


@pytest.mark.slow
def test_it_shows_each_command_before_it_runs(finished):
    for command in ("train_vocab", "create_pretraining_data", "pretrain", "fill_mask", "classify", "export"):
        assert f"$ keras-bert {command}" in finished[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "vocab_size"), [pytest.param("roberta", 400, marks=pytest.mark.nightly), ("albert", 120)]
)
def test_other_families_go_the_same_way(finished, tmp_path, family, vocab_size):
    _, text, _ = finished
    flags = [f"--family={family}", *SMALL[1:], f"--vocab_size={vocab_size}"]
    assert main(["quickstart", f"--input_file={text}", f"--output_dir={tmp_path}", *flags]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    figures = FIGURES - ({"next_sentence_accuracy"} if family == "roberta" else set())
    assert results.keys() >= figures and ("next_sentence_accuracy" in results) == (family == "albert")
    assert {answer["label"] for answer in results["served_answers"]} <= set(results["corpus"]["classes"])
    tokenizer = Tokenizer.from_pretrained(tmp_path / "classifier_pretrained")
    assert tokenizer.kind == {"roberta": "bpe", "albert": "sentencepiece"}[family]


@pytest.mark.slow
def test_a_second_run_reuses_all_and_a_changed_flag_redoes_what_follows(finished, capsys):
    folder, text, _ = finished
    again = ["quickstart", f"--input_file={text}", f"--output_dir={folder / 'out'}"]
    assert main([*again, *SMALL]) == 0
    first = json.loads((folder / "out" / "results.json").read_text())
    assert set(first["reused"]) == set(first["seconds"]) - {"total"}
    capsys.readouterr()
    (folder / "out" / "classifier_scratch" / "config.json").unlink()  # as if killed while it was writing
    assert main([*again, *SMALL, "--learning_rate=2e-3"]) == 0
    second = json.loads((folder / "out" / "results.json").read_text())
    assert second["reused"] == ["corpus", "vocabulary", "records_train", "records_heldout"]
    printed = capsys.readouterr().out
    assert "pretrain: done again" in printed
    commands = [line.split() for line in printed.splitlines() if line.startswith("$ keras-bert ")]
    assert [words[2] for words in commands] == ["pretrain", "fill_mask", "classify", "classify", "export"]
    assert "--learning_rate=0.002" in printed


def test_a_text_of_one_document_is_an_error_with_the_remedy(tmp_path, capsys):
    path = tmp_path / "one.txt"
    path.write_text("\n".join(make_documents(1)[0]), encoding="utf-8")
    assert main(["quickstart", f"--input_file={path}", f"--output_dir={tmp_path / 'out'}"]) == 2
    assert "blank line" in capsys.readouterr().err


def test_an_output_that_is_a_file_is_an_error(tmp_path, text_file, capsys):
    taken = tmp_path / "taken"
    taken.write_text("here already")
    assert main(["quickstart", f"--input_file={text_file}", f"--output_dir={taken}"]) == 2
    assert str(taken) in capsys.readouterr().err
    assert taken.read_text() == "here already"


def test_ctrl_c_leaves_the_stage_undone(tmp_path):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Stages(tmp_path, "v1", lambda line: None).run("work", "key", interrupted, outputs=[])
    for key, said, known in (("key", "once more, as it was interrupted", True), ("other", "done again", False)):
        lines = []
        stages = Stages(tmp_path, "v1", lines.append)
        stages.run("work", key, lambda: None, outputs=[])  # not reused
        assert stages.interrupted == known
        assert said in lines[0]


def test_a_stage_is_done_again_when_its_output_is_gone(tmp_path):
    calls = []
    for _ in range(3):
        stages = Stages(tmp_path / "notes", "v1", lambda line: None)
        stages.run("work", "key", lambda: calls.append((tmp_path / "out").write_text("x")), outputs=[tmp_path / "out"])
        if len(calls) == 1 and stages.reused:
            (tmp_path / "out").unlink()
    assert len(calls) == 2


def test_masked_sentences_hide_the_longest_word(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("short one\nthe quick brown fox jumps over the extraordinarily lazy dog\n", encoding="utf-8")
    assert masked_sentences(path, 3) == ["the quick brown fox jumps over the [MASK] lazy dog"]
