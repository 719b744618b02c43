"""What a run of the data tool leaves that is interrupted, killed, or out of disk; and how it goes on."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keras_bert.cli.main import main
from keras_bert.errors import UserError
from tests.tfrecords.tool import REPOSITORY, command, small_pieces


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("stage", ["tokenizing", "planning", "writing"])
def test_an_interrupted_run_changes_nothing_and_goes_on(make, tmp_path, monkeypatch, error, stage):
    small_pieces(monkeypatch)
    make("whole.tfrecord", num_shards=2)
    make("old.tfrecord", num_shards=2, random_seed=1)
    out = tmp_path / "out"

    def visible():
        return {path.name: path.read_bytes() for path in out.iterdir() if path.name[0] != "."}

    def stop(now, done, total, unit):
        if now == stage and done > total / 2:
            raise error

    before = visible()
    for name in ("new.tfrecord", "old.tfrecord"):
        with pytest.raises(error):
            make(name, num_shards=2, force=True, progress=stop)
    assert before == visible()
    told, done = [], []
    make("new.tfrecord", num_shards=2, log=told.append, progress=lambda stage, *rest: done.append((stage, *rest)))
    assert any(line.startswith("going on") for line in told)
    for shard in ("-00000-of-00002", "-00001-of-00002"):
        assert (out / f"new.tfrecord{shard}").read_bytes() == (out / f"whole.tfrecord{shard}").read_bytes()
    assert (
        json.loads((out / "new.manifest.json").read_text())["statistics"]
        == (json.loads((out / "whole.manifest.json").read_text())["statistics"])
    )
    if stage == "writing":
        assert not any(stage == "tokenizing" for stage, *_ in done)
        first = next(count for stage, count, *_ in done if stage == "writing")
        assert first > json.loads((out / "new.manifest.json").read_text())["instances"] / 2
    assert not (out / ".new.unfinished").exists()


def test_a_run_that_was_killed_while_renaming_goes_on(make, tmp_path, monkeypatch):
    make("whole.tfrecord", num_shards=3)
    replace, calls = os.replace, []

    def stop(source, target):
        replace(source, target)
        if Path(target).name == "new.tfrecord-00001-of-00003" and Path(target).parent.name == "out":
            calls.append(target)
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        make("new.tfrecord", num_shards=3)
    monkeypatch.setattr(os, "replace", replace)
    assert len(calls) == 1
    make("new.tfrecord", num_shards=3)
    for number in range(3):
        shard = f"tfrecord-0000{number}-of-00003"
        assert (tmp_path / "out" / f"new.{shard}").read_bytes() == (tmp_path / "out" / f"whole.{shard}").read_bytes()


def test_other_settings_start_afresh(make, tmp_path, corpus_file):
    def stop(stage, done, total, unit):
        if stage == "writing":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(progress=stop)
    told = []
    make(random_seed=5, log=told.append)
    make("b.tfrecord", random_seed=5)
    assert not any(line.startswith("going on") for line in told)
    assert (tmp_path / "out" / "a.tfrecord").read_bytes() == (tmp_path / "out" / "b.tfrecord").read_bytes()


@pytest.mark.parametrize("wait", [0.1, *(pytest.param(wait, marks=pytest.mark.slow) for wait in (0.0, 0.2, 0.4))])
def test_killed_at_any_moment(corpus_file, vocab_file, tmp_path, wait):
    """A kill leaves no torn file under a final name, and the same command ends with the bytes of a whole run."""
    corpus_file.write_text((corpus_file.read_text() + "\n") * 10)
    flags = ("--dupe_factor=40", "--num_shards=2", "--num_workers=2", "--max_predictions_per_seq=5")
    whole, cut = (command(corpus_file, vocab_file, tmp_path / n / "a.tfrecord", *flags) for n in ("whole", "cut"))
    assert main(whole) == 0
    begun = [sys.executable, "-m", "keras_bert.cli.main", *cut]
    process = subprocess.Popen(begun, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (tmp_path / "cut" / ".a.unfinished").exists() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(wait)
    process.kill()
    process.wait()
    expected = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir() if ".tfrecord" in path.name}
    for path in (tmp_path / "cut").glob("a.tfrecord*"):
        assert path.read_bytes() == expected[path.name]
    if (tmp_path / "cut" / ".a.unfinished").exists():
        assert main(cut) == 0
    assert {p.name: p.read_bytes() for p in (tmp_path / "cut").iterdir() if ".tfrecord" in p.name} == expected
    assert not (tmp_path / "cut" / ".a.unfinished").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files by the Linux way")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_keeps_what_is_finished(corpus_file, vocab_file, tmp_path, capsys, monkeypatch, workers):
    """No file may grow past a limit, which to the tool is a disk that takes no more."""
    import resource

    monkeypatch.setattr("tfrecords.runners._forking_is_safe", lambda: True)
    argv = command(corpus_file, vocab_file, tmp_path / "out" / "a.tfrecord", f"--num_workers={workers}")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        assert main(argv) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    told = [line for line in capsys.readouterr().err.splitlines() if "Cannot write" in line]
    assert len(told) == 1
    kept = tmp_path / "out" / ".a.unfinished"
    assert "File too large" in told[0] and f"the finished work is kept in {kept}, and the same command" in told[0]
    assert os.listdir(tmp_path / "out") == [kept.name]
    assert (kept / "corpus").is_dir() and not list(kept.rglob("*.partial"))
    monkeypatch.setattr("tfrecords.stages.tokenize", lambda *_: pytest.fail("done already"))
    assert main(argv) == 0
    assert not kept.exists()


@pytest.mark.parametrize("mistake", [{"num_workers": 0}, {"num_workers": 2, "runner": "x"}, {"runner": "DirectRunner"}])
def test_a_mistake_about_the_workers_keeps_what_is_finished(make, tmp_path, monkeypatch, mistake):
    def stop(stage, done, total, unit):
        if stage == "writing":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(progress=stop)
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(UserError, match=r"--num_workers|pip install"):
        make(**mistake)
    assert (tmp_path / "out" / ".a.unfinished" / "corpus").is_dir()


def test_a_killed_worker_keeps_what_is_finished(make, tmp_path, monkeypatch):
    small_pieces(monkeypatch)
    monkeypatch.setattr("tfrecords.stages.make_features", lambda *_, **__: os._exit(1))  # in the workers
    with pytest.raises(UserError, match=r"--num_workers: the finished work is kept in"):
        make(num_workers=2)
    assert (tmp_path / "out" / ".a.unfinished" / "corpus").is_dir()
