"""The command itself: help without the library, unknown commands, exit statuses."""

import errno
import importlib
import inspect
import os
import subprocess
import sys
import types
import warnings
from pathlib import Path

import pytest

from keras_bert.cli.main import COMMANDS, command_parser, every_command, main
from keras_bert.errors import UserError, note

ROOT = Path(__file__).resolve().parents[2]


def modules_after(*arguments):
    """Runs the command in a fresh interpreter. Returns its output and the top-level modules that it imported."""
    script = (
        "import sys\nfrom keras_bert.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print('MODULES', *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}, check=True)
    output, _, modules = done.stdout.rpartition("MODULES")
    return output, set(modules.split())


def test_help_lists_every_command_and_imports_nothing_heavy():
    output, modules = modules_after("--help")
    shown = " ".join(output.split())
    for name, text in COMMANDS.items():
        assert f"  {name} " in output
        assert text in shown
    assert not modules & {"tensorflow", "keras", "numpy", "tfrecords", "tensorflow_text"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_imports_nothing_heavy(name):
    output, modules = modules_after(name, "--help")
    assert f"keras-bert {name}" in output
    assert not modules & {"tensorflow", "keras", "numpy", "tfrecords", "tensorflow_text"}


def test_the_search_for_a_flag_s_command_imports_nothing_heavy():
    assert not modules_after("ner", "--doc_stride=3")[1] & {"tensorflow", "keras", "numpy", "tfrecords"}


@pytest.mark.parametrize("words", every_command(), ids="-".join)
def test_every_command_has_flags_a_run_and_a_help(words):
    _, module = command_parser(words)
    assert list(inspect.signature(module.add_arguments).parameters) == ["parser"]
    assert list(inspect.signature(module.run).parameters) == ["args"]
    assert f"    keras-bert {words[0]}" in module.__doc__


def test_without_arguments_the_help_is_shown(capsys):
    assert main([]) == 2
    assert "keras-bert COMMAND" in capsys.readouterr().out
    assert main(["--help"]) == 0


@pytest.mark.parametrize(
    ("typed", "meant"), [("quikstart", "quickstart"), ("pretrian", "pretrain"), ("fillmask", "fill_mask")]
)
def test_an_unknown_command_suggests_the_nearest(capsys, typed, meant):
    with pytest.raises(SystemExit) as caught:
        main([typed])
    assert caught.value.code == 2
    assert f"unknown command {typed}; did you mean {meant}?" in capsys.readouterr().err


def test_an_unknown_command_far_from_any(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["xyzzy"])
    assert caught.value.code == 2
    assert capsys.readouterr().err == "keras-bert: unknown command xyzzy (keras-bert --help_all lists what there is)\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["classify", "--trainfile=a.tsv"], "unknown flag --trainfile; did you mean --train_file?"),
        (["classify", "--learning-rate", "1e-4"], "unknown flag --learning-rate; did you mean --learning_rate?"),
        (["squad", "--xyzzy"], "unknown flag --xyzzy"),
        (["inspect", "base", "--max-seq_length=128"], "unknown flag --max-seq_length; did you mean --max_seq_length?"),
        (["inspect", "records", "a", "--skipp=1"], "unknown flag --skipp; did you mean --skip?"),
        (["export", "--output_dir=a"], "the following arguments are required: --model_dir"),
    ],
)
def test_a_mistake_in_the_flags_is_one_line_that_names_it(capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    prog = " ".join(["keras-bert", *arguments[: 1 + (arguments[1] == "records")]])
    assert error == f"{prog}: {message} ({prog} --help_all lists what there is)\n"


def test_a_glob_that_the_shell_expanded_is_told_to_be_quoted(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a b.txt", "b.txt", "c.txt", "d.csv"):
        (tmp_path / name).touch()
    for extra, told in (
        (["a b.txt", "b.txt", "c.txt"], "; quote the glob, so that the shell does not expand it: --input_file='*.txt'"),
        (["b.txt", "d.csv"], "; quote the glob, so that the shell does not expand it, or put commas between several"),
        (["b.txt", "nothing"], "unexpected arguments: nothing"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(["create_pretraining_data", "--input_file", *extra, "--vocab_file=v", "--output_file=o"])
        assert caught.value.code == 2
        assert told in capsys.readouterr().err


@pytest.fixture
def command_that(monkeypatch):
    """Puts a function in the place of a command's `run`."""

    def put(run):
        module = types.ModuleType("keras_bert.cli.export", "A command for the test.")
        module.add_arguments = lambda parser: parser.add_argument("--steps", type=int, default=3)
        module.run = run
        monkeypatch.setattr(importlib, "import_module", {"keras_bert.cli.export": module}.__getitem__)

    return put


def fail_with(error):
    def run(args):
        raise error

    return run


def test_a_command_gets_its_flags(command_that):
    seen = []
    command_that(lambda args: seen.append(args.steps))
    assert main(["export"]) == main(["export", "--steps=5"]) == 0
    assert seen == [3, 5]


def test_a_user_error_is_one_line_and_status_2(command_that, capsys):
    command_that(fail_with(UserError("--model_dir: x does not exist; check the path.")))
    assert main(["export"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "keras-bert export: --model_dir: x does not exist; check the path.\n"
    assert captured.out == ""


def test_a_note_of_the_library_is_a_line(command_that, capsys):
    command_that(lambda args: note("t.csv: 2 rows have the label 'nan'."))
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        shown = warnings.showwarning
        assert main(["export"]) == 0
        assert warnings.showwarning is shown
    assert capsys.readouterr().err == "note: t.csv: 2 rows have the label 'nan'.\n"


def test_ctrl_c_is_status_130(command_that, capsys):
    command_that(fail_with(KeyboardInterrupt()))
    assert main(["export"]) == 130
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert "keras-bert export: interrupted; it cannot be resumed: the same command starts over. No half" in error


def test_ctrl_c_says_whether_the_run_can_be_resumed(monkeypatch, capsys, tmp_path):
    from keras_bert.cli import create_pretraining_data, pretrain, quickstart

    for module in (pretrain, quickstart, create_pretraining_data):
        monkeypatch.setattr(module, "run", fail_with(KeyboardInterrupt()))
    command = ["pretrain", "--input_file=a", f"--output_dir={tmp_path}"]

    def said(*argv):
        assert main([*argv]) == 130
        return capsys.readouterr().err

    assert "there is no checkpoint yet: the same command starts over" in said(*command)
    for step in (99_999_000, 100_000_000):
        (tmp_path / "checkpoints" / f"step-{step}").mkdir(parents=True)
    assert f"the same command resumes from {tmp_path}/checkpoints/step-100000000" in said(*command)
    assert "the same command, without --force, resumes from" in said(*command, "--force")
    assert "it cannot be resumed" in said(*command, "--do_train=false")
    assert "the same command resumes from the newest checkpoint in gs://a/b" in said(
        *command[:2], "--output_dir=gs://a/b"
    )
    assert "the same command resumes at the stage" in said("quickstart", f"--output_dir={tmp_path}")
    made = ["--input_file=a", "--output_file=b", "--vocab_file=c"]
    assert "the same command resumes with what is finished" in said("create_pretraining_data", *made)


@pytest.mark.parametrize(("name", "lock"), [("glue", "out/.lock"), ("export", ".out.lock")])
def test_a_command_has_its_output_directory_to_itself(monkeypatch, capsys, tmp_path, name, lock):
    seen, left = [], tmp_path / "out" / ".eval_results.json.999999999.partial"

    def run(args):
        seen.append((tmp_path / lock).exists())
        left.parent.mkdir(exist_ok=True)
        assert not left.exists() or name == "export"
        assert main(argv) == 2  # the same once more, meanwhile

    module = types.ModuleType(f"keras_bert.cli.{name}", "A command for the test.")
    module.add_arguments = lambda parser: parser.add_argument("--output_dir")
    module.run, argv = run, [name, f"--output_dir={tmp_path / 'out'}"]
    monkeypatch.setattr(importlib, "import_module", {module.__name__: module}.__getitem__)
    left.parent.mkdir()
    left.write_text("half")
    assert main(argv) == 0
    assert seen == [True]
    error = capsys.readouterr().err
    assert error.startswith(
        f"keras-bert {name}: --output_dir {tmp_path / 'out'} is in use by process {os.getpid()} on "
    )
    assert error.endswith("; wait until it ends, or name another --output_dir.\n")
    assert not (tmp_path / lock).exists()


@pytest.mark.parametrize("name", [None, "out/vectors.npy"])
def test_a_full_disk_is_one_line_and_status_2(command_that, capsys, monkeypatch, name):
    """Standard output may be sent to a file, and a disk may be full wherever something is written."""
    dropped = []
    monkeypatch.setattr("keras_bert.cli.main._drop_output", lambda: dropped.append(True))
    command_that(fail_with(OSError(errno.ENOSPC, "No space left on device", name)))
    assert main(["export"]) == 2
    told = capsys.readouterr().err.replace(f": '{name}'", "")
    assert told.startswith(f"keras-bert export: Cannot write {name or 'the output'} (No space left on device); free")
    assert told.count("\n") == 1 and dropped == [True]


def test_a_programming_error_keeps_its_traceback(command_that):
    command_that(fail_with(ValueError("a bug")))
    with pytest.raises(ValueError, match="a bug"):
        main(["export"])
