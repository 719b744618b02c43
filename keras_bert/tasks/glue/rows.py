r"""The table of GLUE's tasks (Wang et al. 2018) and XNLI (Conneau et al. 2018): a task is one row.

Labels stand in the order of google-research/bert's run_classifier.py, where it has the task; else in that of TFDS.
"""

import dataclasses
import difflib
import re

from keras_bert.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """One file of a task, an unquoted TSV.

    Attributes:
        file: its path inside the task's directory; "{language}" stands for the language.
        texts: the columns of the text, or of the text and its pair: names in the header, whatever their case, or places
            from 0.
        label: the column of the label; None where there never is one.
        header: whether the first line is a header.
        only: a column and the language that it must hold, for a file with several.
        may_lack_label: whether the label's column may be missing, as GLUE keeps the answers of its test sets.
        passes_over_short: whether lines with too few columns are passed over (and counted), as they are in the file
            that GLUE ships.
        renamed: labels that stand for others.
    """

    file: str
    texts: tuple[str | int, ...]
    label: str | int | None = "label"
    header: bool = True
    only: str | None = None
    may_lack_label: bool = False
    passes_over_short: bool = False
    renamed: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tfds:
    """The same task in tensorflow_datasets.

    Attributes:
        name: builder and configuration.
        texts: the features of the text, or of the text and its pair.
        labels: our labels in the order of its classes; None for the row's own order.
        splits: {our split: its split}.
    """

    name: str
    texts: tuple[str, ...]
    labels: tuple[str, ...] | None = None
    splits: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Submission:
    """A file that the GLUE server takes: its name without ".tsv", and the number of rows of the test set."""

    name: str
    rows: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class GlueTask:
    """One row of the table.

    Attributes:
        name: as GLUE writes it.
        labels: their names in order; none for a regression.
        metrics: the official figures; the first one chooses the best of several runs.
        tables: {split: Table}. A split is "train", "dev" or "test"; MNLI's mismatched ones are "dev_mismatched" and
            "test_mismatched".
        tfds: the task in tensorflow_datasets.
        submissions: {split: Submission}, the files that the GLUE server takes.
        folders: names of its directory besides its own.
        span: the lowest and highest number of a regression.
        language: the language where nothing is said; None for a task in one language.
        trained_as: the task whose models it is asked of, where it has no training set.
    """

    name: str
    labels: tuple[str, ...] = ()
    metrics: tuple[str, ...]
    tables: dict[str, Table]
    tfds: Tfds
    submissions: dict[str, Submission] = dataclasses.field(default_factory=dict)
    folders: tuple[str, ...] = ()
    span: tuple[float, float] | None = None
    language: str | None = None
    trained_as: str | None = None

    @property
    def pair(self):
        """Whether an example has two texts."""
        return len(next(iter(self.tables.values())).texts) == 2

    @property
    def regression(self):
        """Whether the label is a number."""
        return not self.labels

    @property
    def num_classes(self):
        """The outputs of a model: the number of labels, 1 for a regression."""
        return len(self.labels) or 1

    def splits(self, kind):
        """Returns the splits of one kind: "train", "dev" or "test", the plain one first.

        >>> TASKS["MNLI"].splits("dev"), TASKS["AX"].splits("train")
        (['dev', 'dev_mismatched'], [])
        """
        return [split for split in self.tables if split == kind or split.startswith(f"{kind}_")]


def suffix(split):
    """Returns what the names of a split's figures and files end in.

    >>> suffix("dev"), suffix("dev_mismatched")
    ('', '_mismatched')
    """
    return split[split.index("_") :] if "_" in split else ""


def _tables(*texts, label="label", **train):
    """Returns the tables of a task whose files are called train.tsv, dev.tsv and test.tsv."""
    return {
        "train": Table(file="train.tsv", texts=texts, label=label, **train),
        "dev": Table(file="dev.tsv", texts=texts, label=label),
        "test": Table(file="test.tsv", texts=texts, label=label, may_lack_label=True),
    }


def _tfds(name, *texts, **options):
    """Returns the task in tensorflow_datasets' own "glue"."""
    splits = {"train": "train", "dev": "validation", "test": "test"}
    return Tfds(name=f"glue/{name}", texts=texts, **{"splits": splits, **options})


BINARY = ("0", "1")
ENTAILMENT = ("entailment", "not_entailment")
NLI = ("contradiction", "entailment", "neutral")  # as run_classifier.py has them
TFDS_NLI = ("entailment", "neutral", "contradiction")
_MNLI = {"texts": ("sentence1", "sentence2"), "label": "gold_label"}
_XNLI = {**_MNLI, "only": "language"}

_ROWS = (
    GlueTask(
        name="CoLA",
        labels=BINARY,
        metrics=("matthews_correlation",),
        tables={
            "train": Table(file="train.tsv", texts=(3,), label=1, header=False),
            "dev": Table(file="dev.tsv", texts=(3,), label=1, header=False),
            "test": Table(file="test.tsv", texts=("sentence",), label=None),
        },
        tfds=_tfds("cola", "sentence"),
        submissions={"test": Submission("CoLA", 1063)},
    ),
    GlueTask(
        name="SST-2",
        labels=BINARY,
        metrics=("accuracy",),
        tables=_tables("sentence"),
        tfds=_tfds("sst2", "sentence"),
        submissions={"test": Submission("SST-2", 1821)},
    ),
    GlueTask(
        name="MRPC",
        labels=BINARY,
        metrics=("accuracy", "f1"),
        tables=_tables("#1 String", "#2 String", label="Quality"),
        tfds=_tfds("mrpc", "sentence1", "sentence2"),
        submissions={"test": Submission("MRPC", 1725)},
    ),
    GlueTask(
        name="STS-B",
        metrics=("pearson", "spearman"),
        tables=_tables("sentence1", "sentence2", label="score"),
        tfds=_tfds("stsb", "sentence1", "sentence2"),
        submissions={"test": Submission("STS-B", 1379)},
        span=(0.0, 5.0),
    ),
    GlueTask(
        name="QQP",
        labels=BINARY,
        metrics=("accuracy", "f1"),
        tables=_tables("question1", "question2", label="is_duplicate", passes_over_short=True),
        tfds=_tfds("qqp", "question1", "question2"),
        submissions={"test": Submission("QQP", 390965)},
    ),
    GlueTask(
        name="MNLI",
        labels=NLI,
        metrics=("accuracy",),
        tables={
            "train": Table(file="train.tsv", **_MNLI),
            "dev": Table(file="dev_matched.tsv", **_MNLI),
            "dev_mismatched": Table(file="dev_mismatched.tsv", **_MNLI),
            "test": Table(file="test_matched.tsv", may_lack_label=True, **_MNLI),
            "test_mismatched": Table(file="test_mismatched.tsv", may_lack_label=True, **_MNLI),
        },
        tfds=_tfds(
            "mnli",
            "premise",
            "hypothesis",
            labels=TFDS_NLI,
            splits={
                "train": "train",
                "dev": "validation_matched",
                "dev_mismatched": "validation_mismatched",
                "test": "test_matched",
                "test_mismatched": "test_mismatched",
            },
        ),
        submissions={"test": Submission("MNLI-m", 9796), "test_mismatched": Submission("MNLI-mm", 9847)},
    ),
    GlueTask(
        name="QNLI",
        labels=ENTAILMENT,
        metrics=("accuracy",),
        tables=_tables("question", "sentence"),
        tfds=_tfds("qnli", "question", "sentence"),
        submissions={"test": Submission("QNLI", 5463)},
    ),
    GlueTask(
        name="RTE",
        labels=ENTAILMENT,
        metrics=("accuracy",),
        tables=_tables("sentence1", "sentence2"),
        tfds=_tfds("rte", "sentence1", "sentence2"),
        submissions={"test": Submission("RTE", 3000)},
    ),
    GlueTask(
        name="WNLI",
        labels=BINARY,
        metrics=("accuracy",),
        tables=_tables("sentence1", "sentence2"),
        tfds=_tfds("wnli", "sentence1", "sentence2"),
        submissions={"test": Submission("WNLI", 146)},
    ),
    GlueTask(
        name="AX",
        labels=NLI,
        metrics=("matthews_correlation",),
        tables={
            "test": Table(file="diagnostic.tsv", texts=("sentence1", "sentence2"), label=None),
            # not in GLUE's download: the authors' file with the answers
            "dev": Table(file="diagnostic-full.tsv", texts=("Premise", "Hypothesis"), label="Label"),
        },
        tfds=_tfds("ax", "premise", "hypothesis", labels=TFDS_NLI, splits={"test": "test"}),
        submissions={"test": Submission("AX", 1104)},
        folders=("diagnostic",),
        trained_as="MNLI",
    ),
    GlueTask(
        name="XNLI",
        labels=NLI,
        metrics=("accuracy",),
        tables={
            "train": Table(
                file="multinli/multinli.train.{language}.tsv",
                texts=(0, 1),
                label=2,
                renamed={"contradictory": "contradiction"},
            ),
            "dev": Table(file="xnli.dev.tsv", **_XNLI),
            "test": Table(file="xnli.test.tsv", **_XNLI),
        },
        tfds=Tfds(
            name="xnli",
            texts=("premise", "hypothesis"),
            labels=TFDS_NLI,
            splits={"dev": "validation", "test": "test"},
        ),
        language="zh",  # run_classifier.py's
    ),
)
TASKS = {task.name: task for task in _ROWS}
SUBMISSIONS = {entry.name: entry for task in _ROWS for entry in task.submissions.values()}


def plain(name):
    """Returns a name without case, hyphens and the like, by which tasks and their folders are known.

    >>> plain("SST-2"), plain("sts_b")
    ('sst2', 'stsb')
    """
    return re.sub("[^a-z0-9]", "", str(name).lower())


def find_task(name):
    """Returns the row of a task.

    Args:
        name: "MRPC", "mrpc", "sst-2", "SST2" ...; or a GlueTask, which is returned as it is.

    Raises:
        UserError: there is no such task; the nearest is named.
    """
    if isinstance(name, GlueTask):
        return name
    known = {plain(each): task for each, task in TASKS.items()}
    if plain(name) in known:
        return known[plain(name)]
    near = difflib.get_close_matches(plain(name), known, n=1, cutoff=0.5)
    guess = f"did you mean {known[near[0]].name}? " if near else ""
    raise UserError(f"There is no GLUE task {str(name)!r}; {guess}The tasks are {', '.join(TASKS)}.")


def find_table(task, split):
    """Returns the Table of a task's split, or raises a UserError that names the splits it has."""
    if split in task.tables:
        return task.tables[split]
    instead = f" Fine-tune on {task.trained_as}." if split == "train" and task.trained_as else ""
    raise UserError(f"{task.name} has no split {split!r}; it has {', '.join(task.tables)}.{instead}")
