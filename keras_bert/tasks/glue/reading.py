"""A task's examples and batches, from the files that GLUE ships or from tensorflow_datasets.

N examples, B batch, S sequence. Nothing here needs TensorFlow but `dataset` and what tensorflow_datasets gives.
"""

from keras_bert.data.texts import text_dataset
from keras_bert.tasks.glue.files import has_file, read_files
from keras_bert.tasks.glue.from_tfds import has_split, read_tfds
from keras_bert.tasks.glue.rows import find_task

TFDS = "tfds"  # as a data_dir: tensorflow_datasets, in its own default directory


def read_examples(task, data_dir, split, *, tfds=False, labels=None, language=None, log=None):
    """Reads one split of a task.

    Args:
        task: its name, whatever the case and hyphens ("MRPC", "sst2"), or a GlueTask.
        data_dir: the task's directory or one with such directories; "tfds" for tensorflow_datasets.
        split: "train", "dev" or "test"; of MNLI also "dev_mismatched" and "test_mismatched".
        tfds: take tensorflow_datasets, with `data_dir` as its directory (None for its default).
        labels: True for labels that must be there, False to leave them unread, None to take them where they are.
        language: of XNLI, as "de"; None for Chinese, as in run_classifier.py.
        log: callable(line), told of lines that were passed over.

    Returns:
        Examples: `texts` and `pairs` (None for single texts), lists of N str; `labels` int32 (N,), the places of
        the task's labels, float32 (N,) for STS-B, or None where the answers are kept.

    Raises:
        UserError: no such task, split, directory or file, no rows, a column that is not there, a line with too few
            columns, or a label that is not one of the task's.
    """
    task = find_task(task)
    if tfds or data_dir == TFDS:
        return read_tfds(task, data_dir if tfds else None, split, labels=labels, language=language)
    return read_files(task, data_dir, split, labels=labels, language=language, log=log)


def has_examples(task, data_dir, split, *, tfds=False, language=None):
    """Says whether a split is there to be read. See `read_examples`; of tensorflow_datasets, whether it has one."""
    task = find_task(task)
    if tfds or data_dir == TFDS:
        return has_split(task, split)
    return split in task.tables and has_file(task, data_dir, split, language=language)


def dataset(
    task,
    split,
    tokenizer,
    *,
    data_dir,
    max_seq_length=128,
    batch_size=32,
    shuffle=None,
    seed=0,
    tfds=False,
    language=None,
    **options,
):
    """Makes the batches of one split, for `fit`, `evaluate` or `predict`.

    Args:
        task, split, data_dir, tfds, language: see `read_examples`.
        tokenizer: a Tokenizer.
        max_seq_length: longer texts are cut to it.
        batch_size: B.
        shuffle: a new order each time round; None shuffles the training set alone.
        seed: of that order.
        **options: further ones of `text_dataset`.

    Returns:
        A tf.data.Dataset of ({"input_ids", "input_mask", "segment_ids": int32 (B, S)}, labels (B,)), or of the first
        alone where the answers are kept.

    Raises:
        UserError: see `read_examples` and `text_dataset`.
    """
    examples = read_examples(task, data_dir, split, tfds=tfds, language=language)
    return text_dataset(
        examples.texts,
        examples.labels,
        tokenizer,
        pairs=examples.pairs,
        max_seq_length=max_seq_length,
        batch_size=batch_size,
        shuffle=split == "train" if shuffle is None else shuffle,
        seed=seed,
        **options,
    )
