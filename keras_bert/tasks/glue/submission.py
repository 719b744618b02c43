r"""Predictions in files: those of the GLUE server and their zip, and google-research/bert's test_results.tsv.

N examples, C classes. The server's file has a header and a row an example: `index<TAB>prediction`, the prediction being
the label's name, or for STS-B a number from 0 to 5 (gluebenchmark.com, FAQ).
"""

import zipfile
from pathlib import Path

import numpy as np
from scipy.special import softmax

from keras_bert.errors import UserError
from keras_bert.files import read_lines
from keras_bert.outputs import atomic_path
from keras_bert.tasks.glue.figures import answers, as_scores
from keras_bert.tasks.glue.rows import SUBMISSIONS, find_task, suffix
from keras_bert.tasks.table import shorten, write_tsv

ZIP_NAME = "submission.zip"


def prediction_files(task, split):
    """Returns the names of the files that `write_predictions` writes.

    >>> from keras_bert.tasks.glue.rows import find_task
    >>> prediction_files(find_task("mnli"), "test_mismatched")
    ['MNLI-mm.tsv', 'test_results_mismatched.tsv']
    """
    entry = task.submissions.get(split)
    # XNLI has no place on the server; its answers are written in the same form
    name = f"{task.name}{suffix(split)}" if entry is None else entry.name
    # AX may be asked in the directory of MNLI's model, beside its results
    end = f"_{task.name}" if task.trained_as else suffix(split)
    return [f"{name}.tsv", f"test_results{end}.tsv"]


def write_predictions(task, split, logits, output_dir):
    """Writes the GLUE server's file and run_classifier.py's test_results.tsv.

    Args:
        task: a GlueTask, or its name.
        split: the split predicted, as a rule "test".
        logits: float (N, C), or (N, 1) of a regression.
        output_dir: the folder.

    Returns:
        The paths of both files. In test_results.tsv a row has the C probabilities in the order of the task's labels,
        or the number of a regression as the model gave it.
    """
    task = find_task(task)
    if task.regression:
        lowest, highest = task.span
        scores = as_scores(logits)
        predictions = [f"{score:.3f}" for score in np.clip(scores, lowest, highest)]
        rows = scores[:, None]
    else:
        predictions = [task.labels[answer] for answer in answers(logits)]
        rows = softmax(np.asarray(logits, np.float64), axis=1)
    paths = [Path(output_dir, name) for name in prediction_files(task, split)]
    write_tsv(paths[0], {"index": [str(i) for i in range(len(predictions))], "prediction": predictions})
    with atomic_path(paths[1]) as temporary:
        temporary.write_text("".join("\t".join(f"{value:.8g}" for value in row) + "\n" for row in rows))
    return paths


def zip_submission(folders, path):
    """Puts the prediction files of several runs into one zip, as the GLUE server takes it.

    Args:
        folders: output directories, each with one or more of the server's files.
        path: the zip; written whole or not at all.

    Returns:
        found, notes: {name: path} of what went in; a list of str, one for each file that is missing or has not as
        many rows as the server's test set.

    Raises:
        UserError: no such folder, none of the files in any of them, one in two of them, or one of another form.
    """
    found = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise UserError(f"--submission: {folder} is not a directory; name the output directories of glue runs.")
        for name in SUBMISSIONS:
            file = folder / f"{name}.tsv"
            if file.is_file() and name in found and found[name].resolve() != file.resolve():
                raise UserError(
                    f"--submission: {name}.tsv is in {found[name].parent} and in {folder}; leave out the one that is "
                    "not to be submitted."
                )
            if file.is_file():
                found[name] = file
    if not found:
        raise UserError(
            f"--submission: none of {shorten([f'{name}.tsv' for name in SUBMISSIONS])} is in "
            f"{shorten(map(str, folders))}; run glue with --do_predict first."
        )
    rows = {name: _count_rows(file) for name, file in found.items()}
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(found):
            archive.write(found[name], f"{name}.tsv")
    missing = [name for name in SUBMISSIONS if name not in found]
    notes = [f"missing: {', '.join(f'{name}.tsv' for name in missing)}"] if missing else []
    for name, entry in SUBMISSIONS.items():
        if name in found and rows[name] != entry.rows:
            notes.append(f"{name}.tsv has {rows[name]:,} rows, where the server's test set has {entry.rows:,}")
    return {name: found[name] for name in sorted(found)}, notes


def _count_rows(path):
    """Returns the number of predictions in one of the server's files, or raises a UserError if it is none."""
    lines = list(read_lines(path))
    if not lines or lines[0].split("\t") != ["index", "prediction"]:
        raise UserError(
            f"{path} does not begin with a line 'index<TAB>prediction', as the GLUE server wants it; write it again "
            "by glue --do_predict."
        )
    return len(lines) - 1
