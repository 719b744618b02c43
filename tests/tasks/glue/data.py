"""GLUE's directories in small, in every form that the real ones have, written by us."""

import codecs

NLI_ROWS = [("It rains.", "The street gets wet.", "entailment"), ("It rains.", "The sun shines.", "contradiction"),
            ("It rains.", "Anna reads.", "neutral"), ("Bob sleeps.", "Bob is awake.", "contradiction")]  # fmt: skip
PAIRS = [
    ('He said " no "', "She said no", "1"),
    ("One day 's work", '" Another thing', "0"),
    ("a b", "b a", "1"),
    ("c", "d", "0"),
]
SINGLES = [("The cat sat.", "1"), ('Sat the "cat.', "0"), ("Dogs bark.", "1"), ("Bark the.", "0")]


def write(path, header, rows, *, end="\n"):
    """Writes tab-separated rows as they stand, under a header if there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(map(str, row)) for row in ([header] if header else []) + list(rows)]
    path.write_bytes((end.join(lines) + end).encode())


def numbered(rows):
    return [(number, *row) for number, row in enumerate(rows)]


def unlabelled(rows):
    return [row[:-1] for row in rows]


def write_usual(folder, columns, rows, *, test_index="index", train_index="index"):
    """Writes train.tsv, dev.tsv and test.tsv with an index in front, unless its name is None."""
    for split in ("train", "dev"):
        given = numbered(rows) if train_index else rows
        write(folder / f"{split}.tsv", [*([train_index] if train_index else []), *columns], given)
    write(folder / "test.tsv", [test_index, *columns[:-1]], numbered(unlabelled(rows)))


def write_glue(folder):
    """Writes all tasks' directories into a folder."""
    for split in ("train", "dev"):
        write(folder / "CoLA" / f"{split}.tsv", None, [("gj04", label, "*"[int(label) :], t) for t, label in SINGLES])
    write(folder / "CoLA" / "test.tsv", ["index", "sentence"], numbered(unlabelled(SINGLES)))
    write_usual(folder / "SST-2", ["sentence", "label"], SINGLES, train_index=None)
    for split, first in (("train", "Quality"), ("dev", "Quality"), ("test", "index")):
        path = folder / "MRPC" / f"{split}.tsv"
        rows = [(label if first == "Quality" else i, 10, 11, a, b) for i, (a, b, label) in enumerate(PAIRS)]
        write(path, [first, "#1 ID", "#2 ID", "#1 String", "#2 String"], rows)
        path.write_bytes((codecs.BOM_UTF8 if first == "Quality" else b"") + path.read_bytes())
    columns = "genre filename year old_index source1 source2 sentence1 sentence2 score".split()
    scores = [(*["none"] * 6, a, b, score) for (a, b, _), score in zip(PAIRS, ("5.000", "2.5", "0", "4"), strict=True)]
    write_usual(folder / "STS-B", columns, scores)
    rows = [(i, 7, 8, *row) for i, row in enumerate(PAIRS)]
    for split in ("train", "dev"):
        write(folder / "QQP" / f"{split}.tsv", "id qid1 qid2 question1 question2 is_duplicate".split(), rows)
    write(folder / "QQP" / "test.tsv", ["id", "question1", "question2"], numbered(unlabelled(PAIRS)))
    write_mnli(folder / "MNLI")
    two = [(a, b, "entailment" if label == "1" else "not_entailment") for a, b, label in PAIRS]
    write_usual(folder / "QNLI", ["question", "sentence", "label"], two)
    write_usual(folder / "RTE", ["sentence1", "sentence2", "label"], two)
    write_usual(folder / "WNLI", ["sentence1", "sentence2", "label"], PAIRS)
    write(folder / "AX" / "diagnostic.tsv", ["index", "sentence1", "sentence2"], numbered(unlabelled(NLI_ROWS)))
    write_xnli(folder / "XNLI")
    return folder


def write_mnli(folder):
    """Writes MNLI with all its columns; each set of another number of labels by annotators."""
    columns = ("promptID pairID genre sentence1_binary_parse sentence2_binary_parse sentence1_parse sentence2_parse "
               "sentence1 sentence2").split()  # fmt: skip
    filled = [(*["x"] * 7, *row[:-1]) for row in NLI_ROWS]
    for split, annotators in (("train", 1), ("dev_matched", 5), ("dev_mismatched", 5)):
        header = ["index", *columns, *(f"label{i}" for i in range(1, annotators + 1)), "gold_label"]
        rows = [(*f, *["neutral"] * annotators, row[-1]) for f, row in zip(filled, NLI_ROWS, strict=True)]
        write(folder / f"{split}.tsv", header, numbered(rows[::-1] if "mis" in split else rows))
    for split in ("test_matched", "test_mismatched"):
        write(folder / f"{split}.tsv", ["index", *columns], numbered(filled))


def write_xnli(folder):
    """Writes XNLI: training in two languages, and all languages of the other sets in one file."""
    other = {"contradiction": "contradictory"}
    for language in ("zh", "de"):
        rows = [(f"{language} {a}", b, other.get(label, label)) for a, b, label in NLI_ROWS]
        write(folder / "multinli" / f"multinli.train.{language}.tsv", ["premise", "hypo", "label"], rows)
    columns = ("language gold_label sentence1_binary_parse sentence2_binary_parse sentence1_parse sentence2_parse "
               "sentence1 sentence2 promptID pairID genre").split()  # fmt: skip
    for split in ("dev", "test"):
        rows = [
            (language, label, "", "", "", "", f"{language} {a}", f"{language} {b}", 1, number, "facetoface")
            for language in ("de", "zh")
            for number, (a, b, label) in enumerate(NLI_ROWS)
        ]
        write(folder / f"xnli.{split}.tsv", columns, rows)
