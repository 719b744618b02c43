"""A saved model's labels in the order of a GLUE task's. Imports no TensorFlow.

C classes.
"""

from keras_bert.checkpoints.parts import needed_weights
from keras_bert.errors import UserError

KIND = "classify"  # models/classifier.py, Classifier.TASK


def label_columns(task, checkpoint):
    """Returns where a saved model has the task's labels.

    Args:
        task: a GlueTask.
        checkpoint: an opened Checkpoint.

    Returns:
        A list of C int, which columns of its logits are the task's, in the task's order.

    Raises:
        UserError: the checkpoint has no head of a classifier, or one with other labels.
    """
    saved = checkpoint.task
    if saved.get("task") != KIND:
        raise UserError(
            f"{checkpoint.path} has no head for {task.name}, so it cannot answer; fine-tune it first (--do_train)."
        )
    missing = [name for name in needed_weights(checkpoint.config, KIND) if name not in checkpoint.shapes]
    if missing:
        raise UserError(f"{checkpoint.path} lacks {', '.join(missing)}, weights of the classifier; save it again.")
    count = saved.get("num_classes")
    # LABEL_0 is what transformers calls a label that nobody named
    names = [str(name).removeprefix("LABEL_") for name in saved.get("labels") or range(count or 0)]
    wanted = list(task.labels)
    if count != task.num_classes or (wanted and sorted(names) != sorted(wanted)):
        answers = ", ".join(names) if count != 1 else "a number"
        raise UserError(
            f"{checkpoint.path} answers {answers}, but {task.name}'s labels are "
            f"{', '.join(wanted) or 'numbers'}; name a model that was fine-tuned on {task.trained_as or task.name}, or "
            "correct the names in its task.json."
        )
    return [names.index(name) for name in wanted] or [0]
