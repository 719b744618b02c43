"""Which files a fine-tuning command works on, and what it does with them: named by flags, or found in --data_dir."""

from pathlib import Path

from keras_bert.tasks.flag import Flag

# flag: what its file is called, up to the first dot
NAMES = {
    "train_file": ("train",),
    "eval_file": ("dev", "val", "valid", "validation", "devel"),
    "test_file": ("test",),
}
# --do_...: the files that it is done with
NEEDS = {"train": ("train_file",), "eval": ("eval_file",), "predict": ("test_file", "predict_file")}


def file_flags(kind, unlabelled):
    """Returns the Flags of the files.

    Args:
        kind: what they are, as "CoNLL-style file".
        unlabelled: what --predict_file may be.
    """
    share = "without --eval_file: share of the training file for validation"
    return (
        Flag("data_dir", "folder with the files train.*, dev.* (or val.*) and test.*; or one for each fold"),
        Flag("train_file", f"{kind} to train on"),
        Flag("eval_file", f"{kind} for validation (default: --eval_share of the training file)"),
        Flag("test_file", f"{kind} to measure the best model on, once"),
        Flag("predict_file", unlabelled),
        Flag("eval_share", share, kind=float, default=0.1, rare=True),
    )


def find_files(args):
    """Returns the files to work on, by the flags of `file_flags` and --do_train, --do_eval and --do_predict.

    Where --do_train, --do_eval and --do_predict say nothing, everything is done that the files allow; where one is on,
    the others count as off, as in Google's programs.

    Returns:
        {"train_file", "eval_file", "test_file", "predict_file"}: a path or None. Without a train_file nothing is
        trained.

    Raises:
        UserError: a folder or file that is not there, or nothing to do.
    """
    from keras_bert.errors import UserError

    files = _named_files(args)
    asked = {what: getattr(args, f"do_{what}") for what in NEEDS}
    wanted = set()
    for what, names in NEEDS.items():
        # A model that is trained is measured on a share of its training file, if there is no other.
        if asked[what] and not any(files[name] for name in names) and not (what == "eval" and asked["train"]):
            raise UserError(f"--do_{what} needs a file: give {' or '.join(f'--{name}' for name in names)}.")
        if asked[what] or (asked[what] is None and not any(asked.values())):
            wanted.update(names)
    if "train_file" in wanted and files["train_file"]:
        wanted.add("eval_file")
    files = {name: path if name in wanted else None for name, path in files.items()}
    if not any(files.values()):
        raise UserError("Nothing to do: give --train_file, or --eval_file, --test_file or --predict_file for a model.")
    return files


def _named_files(args):
    """Returns the path that each flag names, or that --data_dir has under its name."""
    from keras_bert.errors import UserError

    files = {name: getattr(args, name) for name in (*NAMES, "predict_file")}
    if args.data_dir:
        found = {name: _find_file(args.data_dir, name) for name in NAMES if files[name] is None}
        if not any((*found.values(), *files.values())):
            raise UserError(f"--data_dir: {args.data_dir} has no file train.*, dev.* or test.*; check the path.")
        files |= found
    return files


def _find_file(folder, flag):
    """Returns the one file of a folder whose name is that of a flag's, or None."""
    from keras_bert.errors import UserError

    folder = Path(folder)
    if not folder.is_dir():
        state = "is a file" if folder.exists() else "does not exist"
        raise UserError(f"--data_dir: {folder} {state}; a folder with train.*, dev.* and test.* was expected.")
    found = sorted(path for path in folder.iterdir() if path.is_file() and path.name.split(".")[0] in NAMES[flag])
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise UserError(f"--data_dir: {folder} has {names}; say which is meant by --{flag}.")
    return found[0] if found else None


def find_folds(args):
    """Returns the folders in --data_dir that hold a training file each, two or more, in order; else none.

    A --data_dir that has files of its own has no folds, and a --train_file that is named is not a fold's.
    """
    folder = Path(getattr(args, "data_dir", None) or "")
    if not folder.name or not folder.is_dir() or args.train_file is not None:
        return []
    if _find_file(folder, "train_file") or (args.eval_file is None and _find_file(folder, "eval_file")):
        return []
    folders = sorted(child for child in folder.iterdir() if child.is_dir())
    folds = [child for child in folders if _find_file(child, "train_file")]
    return folds if len(folds) > 1 else []
