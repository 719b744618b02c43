"""GLUE and XNLI: fine-tune, measure, and write the files that the GLUE server takes.

    keras-bert glue --task_name RTE --data_dir glue/RTE --init_checkpoint model --output_dir out/RTE
    keras-bert glue --task_name AX --data_dir glue/AX --init_checkpoint out/MNLI --output_dir out/AX
    keras-bert glue --submission out/RTE out/MNLI out/AX --output_dir out

Flags and defaults are run_classifier.py's of google-research/bert. Without any --do_ flag it
trains, measures on the dev set, and labels the test set where there is one. --do_eval and --do_predict alone take the
model of --output_dir, or --init_checkpoint if it has a head. --num_runs trains several seeds and saves the best; quote
their mean.
"""

from pathlib import Path

from keras_bert.cli.finetune import Command
from keras_bert.tasks.glue.job import Glue

COMMAND = Command(Glue, __doc__)
MAIN, add_arguments = COMMAND.MAIN, COMMAND.add_arguments


def run(args):
    """Runs the command: fine-tunes, measures and labels; or packs what other runs wrote."""
    return _zip(args) if args.submission else COMMAND.run(args)


def _zip(args):
    """Puts the prediction files of several runs into submission.zip and says what is missing."""
    from keras_bert.outputs import refuse_existing
    from keras_bert.tasks.glue.submission import ZIP_NAME, zip_submission

    path = Path(args.output_dir) / ZIP_NAME
    if not args.force:
        refuse_existing(path, what="--output_dir", remedy="add --force to replace it")
    found, notes = zip_submission(args.submission, path)
    for name, file in found.items():
        print(f"{name}.tsv: {file.parent}")
    for note in notes:
        print(note)
    print(f"wrote: {path}, {len(found)} files")
    print("next: upload it at https://gluebenchmark.com/submit" + ("" if not notes else ", once it has all files"))
    return {"path": str(path), "found": sorted(found), "notes": notes}
