"""The GLUE server's files and their zip."""

import zipfile

import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.tasks import glue
from keras_bert.tasks.glue.rows import SUBMISSIONS

SERVER = "CoLA SST-2 MRPC STS-B QQP MNLI-m MNLI-mm QNLI RTE WNLI AX".split()


def test_the_servers_files_have_their_names():
    assert sorted(SUBMISSIONS) == sorted(SERVER)


def test_labels_are_written_by_name(tmp_path):
    logits = np.log([[0.25, 0.75], [0.9, 0.1], [0.5, 0.5]])
    paths = glue.write_predictions("rte", "test", logits, tmp_path)
    assert [path.name for path in paths] == ["RTE.tsv", "test_results.tsv"]
    expected = "index\tprediction\n0\tnot_entailment\n1\tentailment\n2\tentailment\n"
    assert paths[0].read_bytes() == expected.encode()
    # no header, the probabilities in the order of the labels, as run_classifier.py writes them
    assert paths[1].read_text() == "0.25\t0.75\n0.9\t0.1\n0.5\t0.5\n"


def test_scores_are_kept_within_the_span(tmp_path):
    paths = glue.write_predictions("sts-b", "test", [[-0.5], [2.34567], [5.25]], tmp_path)
    assert paths[0].read_text() == "index\tprediction\n0\t0.000\n1\t2.346\n2\t5.000\n"
    assert paths[1].read_text() == "-0.5\n2.34567\n5.25\n"


def test_both_sets_of_mnli_and_xnli(tmp_path):
    logits = np.eye(3)
    for split in ("test", "test_mismatched"):
        glue.write_predictions("mnli", split, logits, tmp_path)
    glue.write_predictions("xnli", "test", logits, tmp_path / "xnli")
    written = sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    assert written == ["MNLI-m.tsv", "MNLI-mm.tsv", "test_results.tsv", "test_results_mismatched.tsv"]
    expected = "index\tprediction\n0\tcontradiction\n1\tentailment\n2\tneutral\n"
    assert (tmp_path / "MNLI-mm.tsv").read_text() == (tmp_path / "xnli" / "XNLI.tsv").read_text() == expected


def write_rows(folder, name, rows):
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.tsv").write_text("index\tprediction\n" + "".join(f"{i}\t0\n" for i in range(rows)))


def test_the_zip_of_several_runs(tmp_path):
    write_rows(tmp_path / "a", "WNLI", 146)
    write_rows(tmp_path / "b", "RTE", 12)
    write_rows(tmp_path / "b", "XNLI", 3)  # not the server's
    found, notes = glue.zip_submission([tmp_path / "a", tmp_path / "b", tmp_path / "b"], tmp_path / "out" / "s.zip")
    assert found == {"RTE": tmp_path / "b" / "RTE.tsv", "WNLI": tmp_path / "a" / "WNLI.tsv"}
    with zipfile.ZipFile(tmp_path / "out" / "s.zip") as archive:
        assert archive.namelist() == ["RTE.tsv", "WNLI.tsv"]
        assert archive.read("RTE.tsv") == (tmp_path / "b" / "RTE.tsv").read_bytes()
        assert archive.testzip() is None
    missing = [name for name in SUBMISSIONS if name not in ("RTE", "WNLI")]
    assert notes == [
        "missing: " + ", ".join(f"{name}.tsv" for name in missing),
        "RTE.tsv has 12 rows, where the server's test set has 3,000",
    ]


def test_what_cannot_be_zipped(tmp_path):
    out = tmp_path / "s.zip"
    with pytest.raises(UserError, match="none is not a directory"):
        glue.zip_submission([tmp_path / "none"], out)
    (tmp_path / "a").mkdir()
    with pytest.raises(UserError, match=r"none of CoLA.tsv, SST-2.tsv.* is in .*a; run glue with --do_predict first"):
        glue.zip_submission([tmp_path / "a"], out)
    write_rows(tmp_path / "a", "RTE", 2)
    write_rows(tmp_path / "b", "RTE", 2)
    with pytest.raises(UserError, match=r"RTE.tsv is in .*a and in .*b; leave out the one"):
        glue.zip_submission([tmp_path / "a", tmp_path / "b"], out)
    (tmp_path / "b" / "RTE.tsv").write_text("0\t1\n")
    with pytest.raises(UserError, match=r"does not begin with a line 'index<TAB>prediction'"):
        glue.zip_submission([tmp_path / "b"], out)
    assert not out.exists()
