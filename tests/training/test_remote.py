"""Remote files, by TensorFlow's file:// and its file system in memory: fetched whole; a run mirrored and got back."""

import os
import uuid

import pytest
import tensorflow as tf

from keras_bert.errors import UserError
from keras_bert.training import remote
from keras_bert.training.remote import Mirror, fetched, fetched_model

gfile = tf.io.gfile


@pytest.fixture
def bucket(tmp_path):
    return f"file://{tmp_path}/bucket"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def put(path, text):
    gfile.makedirs(path.rpartition("/")[0])
    with gfile.GFile(path, "w") as file:
        file.write(text)


def get(path):
    with gfile.GFile(path) as file:
        return file.read()


def put_records(bucket):
    for number in range(2):
        put(f"{bucket}/wiki/a.tfrecord-0000{number}-of-00002", f"shard {number}")
    put(f"{bucket}/wiki/b.tfrecord", "other")
    for name in ("a.manifest.json", "a.vocab.txt", "b.manifest.json"):
        put(f"{bucket}/wiki/{name}", name)


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_a_glob_brings_its_shards_and_what_lies_beside_them(bucket, cache):
    put_records(bucket)
    seen = []
    patterns = f"{bucket}/wiki/a.tfrecord*,here.tfrecord"
    paths = fetched(patterns, cache, progress=lambda *done, note: seen.append((*done, note)))
    folder = cache / "file" / bucket.removeprefix("file:///") / "wiki"
    assert paths == [*(f"{folder}/a.tfrecord-0000{i}-of-00002" for i in range(2)), "here.tfrecord"]
    assert contents(folder) == {
        "a.tfrecord-00000-of-00002": "shard 0",
        "a.tfrecord-00001-of-00002": "shard 1",
        "a.manifest.json": "a.manifest.json",
        "a.vocab.txt": "a.vocab.txt",
    }
    assert seen[0] == ("fetch", 1, 4, "files", "a.manifest.json") and seen[-1][1:3] == (4, 4)


def test_a_folder_and_a_list_bring_every_record_once(bucket, cache):
    put_records(bucket)
    names = [path.rpartition("/")[2] for path in fetched([f"{bucket}/wiki", f"{bucket}/wiki/b.tfrecord"], cache)]
    assert sorted(names) == ["a.tfrecord-00000-of-00002", "a.tfrecord-00001-of-00002", "b.tfrecord"]


def test_what_is_here_is_left_unless_it_is_of_another_size_or_older(bucket, cache):
    put_records(bucket)
    (path,) = map(remote.Path, fetched(f"{bucket}/wiki/b.tfrecord", cache))
    path.write_text("OTHER")
    fetched(f"{bucket}/wiki/b.tfrecord", cache)
    assert path.read_text() == "OTHER"
    os.utime(path, (1, 1))
    fetched(f"{bucket}/wiki/b.tfrecord", cache)
    assert path.read_text() == "other"
    path.write_text("cut")
    fetched(f"{bucket}/wiki/b.tfrecord", cache)
    assert path.read_text() == "other"


def test_a_file_that_comes_in_part_leaves_nothing(bucket, cache, monkeypatch):
    put_records(bucket)
    monkeypatch.setattr(gfile, "copy", lambda source, target, overwrite: remote.Path(target).write_text("ot"))
    with pytest.raises(UserError, match=r"b\.manifest\.json came in part \(2 of 15 bytes\); try again"):
        fetched(f"{bucket}/wiki/b.tfrecord", cache)
    assert contents(cache) == {}


def test_what_is_not_there_is_a_user_error(bucket, cache):
    with pytest.raises(UserError, match="No file matches 'file://"):
        fetched(f"{bucket}/none*", cache)
    with pytest.raises(UserError, match="holds no model"):
        fetched_model(f"{bucket}/none", cache)
    with pytest.raises(UserError, match=r"nowhere://x cannot be read .*not implemented"):
        fetched("nowhere://x", cache)


def test_a_model_is_a_folder_or_a_prefix_with_what_stands_beside_it(bucket, cache):
    for name in (
        "bert_model.ckpt.index",
        "bert_model.ckpt.data-00000-of-00001",
        "bert_config.json",
        "vocab.txt",
        "x.md",
    ):
        put(f"{bucket}/bert/{name}", name)
    assert fetched_model("local/model", cache) == "local/model"
    prefix = remote.Path(fetched_model(f"{bucket}/bert/bert_model.ckpt", cache / "a"))
    assert prefix.name == "bert_model.ckpt"
    assert len(contents(prefix.parent)) == 4 and "x.md" not in contents(prefix.parent)
    assert len(contents(remote.Path(fetched_model(f"{bucket}/bert/", cache / "b")))) == 5


def make_run(folder, steps=(10, 20)):
    for step in steps:
        checkpoint = folder / "checkpoints" / f"step-{step}"
        checkpoint.mkdir(parents=True)
        (checkpoint / "state.safetensors").write_text(f"state {step}")
        (checkpoint / "notes.json").write_text(f"notes {step}")
    (folder / "train_log.jsonl").write_text("a line\n")
    (folder / ".hidden.partial").write_text("half")
    return folder


@pytest.mark.parametrize("in_memory", [False, True])
def test_a_run_is_pushed_and_pulled_without_what_is_hidden(bucket, tmp_path, in_memory):
    run = make_run(tmp_path / "run")
    bucket = f"ram://{uuid.uuid4().hex}" if in_memory else bucket
    Mirror(run, f"{bucket}/run").push()
    Mirror(tmp_path / "again", f"{bucket}/run").pull()
    expected = {name: text for name, text in contents(run).items() if not name.startswith(".")}
    assert contents(tmp_path / "again") == expected and len(expected) == 5


def test_a_push_copies_what_changed_alone_and_notes_last(bucket, tmp_path, monkeypatch):
    copied, copy = [], gfile.copy

    def watched(source, target, overwrite):
        copied.append(target.removeprefix(f"{bucket}/run/"))
        copy(source, target, overwrite=overwrite)

    monkeypatch.setattr(gfile, "copy", watched)
    run = make_run(tmp_path / "run")
    mirror = Mirror(run, f"{bucket}/run")
    mirror.push()
    assert len(copied) == 5 and [name.endswith("notes.json") for name in copied] == [False, False, False, True, True]
    copied.clear()
    mirror.push()
    Mirror(run, f"{bucket}/run").push()  # as a run that is started again
    assert copied == []
    (run / "train_log.jsonl").write_text("a line\nanother\n")
    mirror.push()
    assert copied == ["train_log.jsonl"] and get(f"{bucket}/run/train_log.jsonl") == "a line\nanother\n"


def test_a_checkpoint_removed_here_is_removed_there_if_it_was_pushed_from_here(bucket, tmp_path):
    run = make_run(tmp_path / "run")
    put(f"{bucket}/run/checkpoints/step-5/notes.json", "of another machine")
    mirror = Mirror(run, f"{bucket}/run")
    mirror.push()
    for name in ("state.safetensors", "notes.json"):
        (run / "checkpoints" / "step-10" / name).unlink()
    mirror.push()
    left = [
        name for name in ("step-5", "step-10", "step-20") if gfile.exists(f"{bucket}/run/checkpoints/{name}/notes.json")
    ]
    assert left == ["step-5", "step-20"]


def test_a_pull_leaves_checkpoints_without_notes_and_what_is_newer_here(bucket, tmp_path):
    run = make_run(tmp_path / "run")
    Mirror(run, f"{bucket}/run").push()
    gfile.remove(f"{bucket}/run/checkpoints/step-20/notes.json")
    again = tmp_path / "again"
    again.mkdir()
    (again / "train_log.jsonl").write_text("a line\nthat was not pushed\n")
    Mirror(again, f"{bucket}/run").pull()
    assert contents(again) == {
        "train_log.jsonl": "a line\nthat was not pushed\n",
        "checkpoints/step-10/state.safetensors": "state 10",
        "checkpoints/step-10/notes.json": "notes 10",
    }
    os.utime(again / "train_log.jsonl", (1, 1))
    Mirror(again, f"{bucket}/run").pull()
    assert (again / "train_log.jsonl").read_text() == "a line\n"


def test_a_damaged_checkpoint_here_is_fetched_again_as_a_whole(bucket, tmp_path):
    run = make_run(tmp_path / "run")
    mirror = Mirror(run, f"{bucket}/run")
    mirror.push()
    state = run / "checkpoints" / "step-20" / "state.safetensors"
    state.write_text("cut")
    os.utime(state, (1, 1))
    mirror.pull()
    assert state.read_text() == "state 20"


def test_a_pull_of_nothing_is_no_error(bucket, tmp_path):
    Mirror(tmp_path / "run", f"{bucket}/run").pull()
    assert not (tmp_path / "run").exists()


def test_a_place_that_cannot_be_written_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="nowhere://run cannot be written"):
        Mirror(make_run(tmp_path / "run"), "nowhere://run").push()
