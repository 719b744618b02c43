"""What an early sample of the instances tells before the records are written: what would be a waste, and the space."""

import errno
import os
import re
import shutil

import pytest

from keras_bert.errors import UserError


def warnings_of(make, **options):
    told = []
    make(log=told.append, force=True, **options)
    return [line.removeprefix("warning: ") for line in told if line.startswith("warning: ")]


def test_what_would_be_a_waste_is_told_before_the_records_are_written(make, corpus_file, vocab_file, documents):
    assert warnings_of(make) == warnings_of(make, max_predictions_per_seq=10) == []
    (told,) = warnings_of(make, max_predictions_per_seq=16)
    assert told.startswith("--max_predictions_per_seq=16 is more than an instance can use: 15% of 32 tokens are 5")
    assert told.endswith("set --max_predictions_per_seq=5")
    corpus_file.write_text("\n\n".join(sentence for document in documents for sentence in document))
    (told,) = warnings_of(make)
    assert told.startswith("100% of the next sentences are random") and "choose --sentence_task=none" in told
    assert warnings_of(make, sentence_task="none") == []
    corpus_file.write_text("привет ka01 lo01 lo01\nдень ka01 lo01 lo01\n\nдень ka01 mi01 ka01\nпривет ka01 ka02 lo01\n")
    (told,) = warnings_of(make)
    assert re.match(r"2\d% of the tokens are \[UNK\].*keras-bert train_vocab", told)


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_how_much_space_is_missing_is_known_before_the_records_are_written(make, tmp_path, monkeypatch, compression):
    def fill_the_disk(job, part):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    real = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("tfrecords.stages.write", fill_the_disk)
        patch.setattr("shutil.disk_usage", lambda _: real._replace(free=1000))
        with pytest.raises(UserError, match="free space, about") as raised:
            make(compression=compression, dupe_factor=40)
    missing = 1e6 * float(re.search(r"about ([\d.]+) MB more", str(raised.value))[1])
    make(compression=compression, dupe_factor=40)
    assert missing == pytest.approx((tmp_path / "out" / "a.tfrecord").stat().st_size - 1000, rel=0.05)


def test_a_full_disk_before_the_first_stage_has_done_anything_keeps_nothing(make, tmp_path, monkeypatch):
    def fill_the_disk(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tfrecords.create_pretraining_data._tokenize", fill_the_disk)
    with pytest.raises(UserError, match="free space, or choose another"):
        make()
    assert not list((tmp_path / "out").iterdir())  # the run's tokenizer is no finished work
