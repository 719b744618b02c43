"""GLUE's TSV files: every form of them, and what is wrong with a file."""

import gzip

import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.tasks import glue
from tests.tasks.glue.data import NLI_ROWS, PAIRS, SINGLES, write


@pytest.mark.parametrize("name", glue.TASKS)
def test_every_split_of_every_task(folder, name):
    task = glue.find_task(name)
    rows = {2: PAIRS if name not in ("MNLI", "AX", "XNLI") else NLI_ROWS, 1: SINGLES}[1 + task.pair]
    splits = [split for split in task.tables if (name, split) != ("AX", "dev")]
    assert splits
    for split in splits:
        examples = glue.read_examples(name, folder, split)
        expected = rows[::-1] if split == "dev_mismatched" else rows
        first = "zh " if name == "XNLI" else ""
        second = first if split != "train" else ""
        assert examples.texts == [first + row[0] for row in expected]
        assert examples.pairs == ([second + row[1] for row in expected] if task.pair else None)
        if split.startswith("test") and name != "XNLI":
            assert examples.labels is None
        elif name == "STS-B":
            assert examples.labels.dtype == np.float32
            assert examples.labels.tolist() == [5.0, 2.5, 0.0, 4.0]
        else:
            assert examples.labels.dtype == np.int32
            names = [row[-1] for row in expected]
            if name in ("QNLI", "RTE"):
                names = ["entailment" if label == "1" else "not_entailment" for label in names]
            assert [task.labels[label] for label in examples.labels] == names


@pytest.mark.parametrize("name", ["SST-2", "sst-2", "sst2", "SST_2"])
def test_names_in_any_spelling(folder, name):
    assert glue.find_task(name).name == "SST-2"
    assert glue.read_examples(name, folder / "SST-2", "dev").texts == [text for text, _ in SINGLES]


def test_a_misspelt_name_is_told_the_nearest():
    with pytest.raises(UserError, match="There is no GLUE task 'MPRC'; did you mean MRPC"):
        glue.find_task("MPRC")
    with pytest.raises(UserError, match=r"did you mean CoLA\? The tasks are CoLA, SST-2, MRPC, STS-B"):
        glue.find_task("colla")
    with pytest.raises(UserError, match="'squad'"):
        glue.find_task("squad")


def test_a_folder_is_found_by_its_own_name_and_by_others(folder, tmp_path):
    write(tmp_path / "stsb" / "dev.tsv", ["sentence1", "sentence2", "score"], [("a", "b", "1")])
    assert glue.read_examples("sts-b", tmp_path, "dev").labels.tolist() == [1.0]
    write(tmp_path / "diagnostic" / "diagnostic.tsv", ["index", "sentence1", "sentence2"], [(0, "a", "b")])
    assert glue.read_examples("ax", tmp_path, "test").texts == ["a"]
    assert glue.has_examples("ax", tmp_path, "test")
    assert not glue.has_examples("ax", tmp_path, "dev")
    assert not glue.has_examples("ax", tmp_path, "train")
    assert glue.has_examples("mnli", folder, "test_mismatched")


def test_the_languages_of_xnli(folder):
    assert glue.read_examples("xnli", folder, "train", language="de").texts[0] == "de It rains."
    dev = glue.read_examples("xnli", folder, "dev", language="de")
    assert dev.pairs[0] == "de The street gets wet."
    assert len(dev) == len(NLI_ROWS)
    with pytest.raises(UserError, match=r"xnli.dev.tsv has no rows in the language 'fr'"):
        glue.read_examples("xnli", folder, "dev", language="fr")
    with pytest.raises(UserError, match=r"has no multinli/multinli.train.fr.tsv"):
        glue.read_examples("xnli", folder, "train", language="fr")


def test_the_diagnostics_with_answers(tmp_path):
    header = ["Lexical Semantics", "Predicate-Argument Structure", "Logic", "Knowledge", "Domain", "Premise"]
    rows = [("", "", "Negation", "", "Artificial", a, b, label) for a, b, label in NLI_ROWS]
    write(tmp_path / "diagnostic-full.tsv", [*header, "Hypothesis", "Label"], rows)
    examples = glue.read_examples("AX", tmp_path, "dev")
    assert (examples.texts[1], examples.pairs[1]) == NLI_ROWS[1][:2]
    assert examples.labels.tolist() == [1, 0, 2, 0]


def test_line_ends_blank_lines_and_what_stands_after_the_last_column(tmp_path):
    rows = [("a\u2028a", "b", "entailment", "more"), ("",), ("c", "d", "not_entailment")]
    write(tmp_path / "train.tsv", ["sentence1", "sentence2", "label"], rows, end="\r\n")
    examples = glue.read_examples("rte", tmp_path, "train")
    assert (examples.texts, examples.pairs) == (["a\u2028a", "c"], ["b", "d"])
    assert examples.labels.tolist() == [0, 1]


def test_a_header_in_another_case(tmp_path):
    write(tmp_path / "test.tsv", ["index", "Sentence"], [(0, "a")])  # as one copy of CoLA has it
    assert glue.read_examples("cola", tmp_path, "test").texts == ["a"]


def test_a_packed_file_under_the_plain_name(tmp_path):
    (tmp_path / "dev.tsv").write_bytes(gzip.compress(b"sentence\tlabel\na fine day\t1\n"))
    assert glue.read_examples("sst-2", tmp_path, "dev").texts == ["a fine day"]


def refusal(tmp_path, name, text, split="train", **options):
    (tmp_path / f"{split}.tsv").write_text(text)
    with pytest.raises(UserError) as caught:
        glue.read_examples(name, tmp_path, split, **options)
    return str(caught.value)


HEADER = "index\tsentence1\tsentence2\tlabel\n"


def test_a_label_that_is_not_in_the_set(tmp_path):
    error = refusal(tmp_path, "rte", HEADER + "0\ta\tb\tentailment\n\n1\ta\tb\tmaybe\n")
    assert "train.tsv, line 4: the label 'maybe' is not one of RTE's: entailment, not_entailment" in error
    error = refusal(tmp_path, "cola", "gj04\t1\t\tA.\ngj04\tx\t*\tB.\n")
    assert "train.tsv, line 2: the label 'x' is not one of CoLA's: 0, 1" in error
    for score in ("5.1", "-1", "nan", "much"):
        error = refusal(tmp_path, "stsb", f"sentence1\tsentence2\tscore\na\tb\t{score}\n")
        assert f"line 2: the score '{score}' is not a number from 0 to 5" in error


def test_too_few_columns(tmp_path):
    error = refusal(tmp_path, "rte", HEADER + "0\ta\tb\tentailment\n1\ta\tb\n")
    assert "train.tsv, line 3: 3 columns, where RTE needs 4" in error
    error = refusal(tmp_path, "cola", "gj04\t1\tA.\n")
    assert "line 1: 3 columns, where CoLA needs 4" in error


def test_short_lines_of_qqp_are_passed_over_and_counted(tmp_path):
    header = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    (tmp_path / "train.tsv").write_text(header + "0\t1\t2\ta\tb\t1\n1\t1\t2\tbroken\n2\t1\t2\tc\td\t0\n")
    lines = []
    assert glue.read_examples("qqp", tmp_path, "train", log=lines.append).texts == ["a", "c"]
    assert lines == [f"{tmp_path / 'train.tsv'}: lines with too few columns, passed over: 1 (3)"]
    assert "2 columns, where QQP needs 6" in refusal(tmp_path, "qqp", header + "0\t1\n", split="dev")


def test_nothing_to_read(tmp_path):
    assert "train.tsv has no rows; examples of RTE were expected" in refusal(tmp_path, "rte", "")
    assert "train.tsv has no rows" in refusal(tmp_path, "rte", HEADER)
    assert "train.tsv has no rows" in refusal(tmp_path, "cola", "\n")


def test_another_tasks_file(tmp_path):
    error = refusal(tmp_path, "qnli", HEADER + "0\ta\tb\tentailment\n")
    assert "train.tsv has no column 'question'; its first line names 'index', 'sentence1'" in error


def test_labels_that_must_be_there_or_may_be_left(tmp_path, folder):
    error = refusal(tmp_path, "rte", "index\tsentence1\tsentence2\n0\ta\tb\n", split="test", labels=True)
    assert "test.tsv has no column of labels" in error
    assert "--do_predict" in error
    assert "has no column of labels" in refusal(
        tmp_path, "rte", "index\tsentence1\tsentence2\n0\ta\tb\n", split="dev", labels=True
    )
    assert "has no column 'label'" in refusal(tmp_path, "rte", "index\tsentence1\tsentence2\n0\ta\tb\n", split="dev")
    with pytest.raises(UserError, match=r"CoLA/test.tsv has no column of labels"):
        glue.read_examples("cola", folder, "test", labels=True)
    (tmp_path / "test.tsv").write_text(HEADER + "0\ta\tb\tnot_entailment\n")
    assert glue.read_examples("rte", tmp_path, "test").labels.tolist() == [1]
    assert glue.read_examples("rte", tmp_path, "test", labels=False).labels is None


def test_no_such_place(folder, tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path}/none does not exist"):
        glue.read_examples("rte", tmp_path / "none", "dev")
    with pytest.raises(UserError, match=r"has no dev.tsv, nor is there a directory RTE in it"):
        glue.read_examples("rte", tmp_path, "dev")
    (tmp_path / "RTE").mkdir()
    with pytest.raises(UserError, match=r"has no dev.tsv, nor has .*/RTE; RTE's dev set is read from there"):
        glue.read_examples("rte", tmp_path, "dev")
    with pytest.raises(UserError, match=r"AX has no split 'train'; it has test, dev. Fine-tune on MNLI"):
        glue.read_examples("ax", folder, "train")
    with pytest.raises(UserError, match="RTE has no split 'dev_mismatched'"):
        glue.read_examples("rte", folder, "dev_mismatched")


REAL = {
    ("CoLA", "train"): (8551, 6023),
    ("CoLA", "dev"): (1043, 721),
    ("CoLA", "test"): (1063, None),
    ("MRPC", "train"): (3668, 2474),
    ("MRPC", "dev"): (408, 279),
    ("MRPC", "test"): (1725, None),
    ("STS-B", "train"): (5749, None),
    ("STS-B", "dev"): (1500, None),
    ("STS-B", "test"): (1379, None),
    ("QNLI", "dev"): (5463, None),
    ("QNLI", "test"): (5463, None),
    ("WNLI", "train"): (635, 312),
    ("WNLI", "dev"): (71, 31),
    ("WNLI", "test"): (146, None),
    ("AX", "test"): (1104, None),
}


def test_the_real_files(shared):
    for (name, split), (count, positive) in REAL.items():
        examples = glue.read_examples(name, shared / "data" / "glue", split)
        assert len(examples) == count, (name, split)
        assert all(examples.texts)
        assert examples.pairs is None or all(examples.pairs)
        if positive is not None:
            assert int(examples.labels.sum()) == positive, (name, split)
        entry = glue.find_task(name).submissions.get(split)
        assert entry is None or entry.rows == count
