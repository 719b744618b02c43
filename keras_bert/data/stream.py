"""The order in which records are read: a pure function of the files, a seed and the record's number in the stream.

So that a run goes on from the number of its batch, and any number of workers sees the same batches. Nothing in here
depends on tf.random.set_seed, on the number of threads or on what was iterated before, but for a stream of one epoch
alone, which is the next epoch whenever it is iterated.
"""

import dataclasses
import itertools

import numpy as np

from keras_bert.data.reading import read_records
from keras_bert.data.records import compression_of

SHUFFLE_BUFFER = 10_000  # records; the data tool has shuffled them once already
PARALLEL_FILES = 4
BLOCK_RECORDS = 16  # of a file, before it is the next one's turn
READ_BYTES = 1 << 20
PLACE_BITS = 32  # of a record's number; those above count the visits of files


@dataclasses.dataclass(frozen=True)
class RecordStream:
    """Serialised records, in epochs that each hold every record once.

    Attributes:
        files: paths of TFRecord files; their order is part of what decides the stream.
        damaged: those of them that are to be read past their damaged records.
        shuffle: whether an epoch's files and records have an order that seed and epoch decide, or the files' own.
        remask: whether a record's number is another one in each epoch, or always the same.
        repeat: epoch after epoch without end, or one. That one is epoch 0 when the dataset is first iterated, 1 when
            it is iterated again, and so on.
        seed: int.
    """

    files: list
    damaged: frozenset = frozenset()
    shuffle: bool = True
    remask: bool = True
    repeat: bool = True
    seed: int = 0

    def dataset(self, *, start=0, count=None):
        """Returns the stream from some record on.

        Args:
            start: how many records to leave out. Whole epochs are left out by arithmetic; of the rest of an epoch
                the bytes are read.
            count: how many records the files hold; needed with `repeat` for a start past 0 alone.

        Returns:
            A tf.data.Dataset of (record: string (), number: int64 ()). The number is that of the file's visit (its
            place among `files` and, with `remask`, the epoch) and the record's place in the file.
        """
        first, passed = divmod(start, count) if self.repeat and start else (0, start)
        dataset = self._epochs(first).flat_map(self._epoch)
        return dataset.skip(passed) if passed else dataset

    def _epochs(self, first):
        """Returns a dataset of the numbers of the epochs, int64 ()."""
        import tensorflow as tf

        if self.repeat:
            return tf.data.Dataset.range(first, np.iinfo(np.int64).max)
        iterations = itertools.count()
        one = tf.data.Dataset.range(1)
        if not self.shuffle and not self.remask:
            return one
        return one.map(
            lambda _: tf.ensure_shape(tf.numpy_function(lambda: np.int64(next(iterations)), [], tf.int64), ())
        )

    def _epoch(self, epoch):
        """Returns the dataset of (record, number) of one epoch, int64 ()."""
        import tensorflow as tf

        count = len(self.files)
        order = tf.range(count, dtype=tf.int64)
        if self.shuffle:
            keys = tf.random.stateless_uniform((count,), self._seeds(epoch, use=0), alg="philox")
            order = tf.argsort(keys, stable=True)
        visits = (epoch * count if self.remask else 0) + tf.cast(order, tf.int64)
        columns = (
            list(map(str, self.files)),
            list(map(compression_of, self.files)),
            [path in self.damaged for path in self.files],
        )
        columns = [tf.gather(tf.constant(column), order) for column in columns]
        # Parallel and yet in a fixed order: the files take turns, whichever is read first.
        dataset = tf.data.Dataset.from_tensor_slices((*columns, visits)).interleave(
            self._read_numbered,
            cycle_length=min(PARALLEL_FILES, count),
            block_length=BLOCK_RECORDS,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        return _shuffled(dataset, self._seeds(epoch, use=1)) if self.shuffle else dataset

    def _seeds(self, epoch, *, use):
        """Returns int64 (2,): the seeds of an epoch for one of two uses."""
        import tensorflow as tf

        seed = self.seed % (1 << 63)
        return tf.stack([tf.constant(seed, tf.int64), 2 * epoch + use + 1])

    def _read_numbered(self, path, compression, damaged, visit):
        """Returns the dataset of (record, number) of one file.

        The number comes with the record from here on, since a dataset that is zipped to the batches instead cannot be
        sharded among workers (TensorFlow 2.21 then drops half of the records without a word).
        """
        import tensorflow as tf

        paths = tf.expand_dims(path, 0)
        whole = tf.boolean_mask(paths, [~damaged]) if self.damaged else paths
        records = tf.data.TFRecordDataset(whole, compression_type=compression, buffer_size=READ_BYTES)
        if self.damaged:
            torn = tf.data.Dataset.from_tensor_slices(tf.boolean_mask(paths, [damaged]))
            records = records.concatenate(torn.flat_map(_intact_records))
        first = visit * (1 << PLACE_BITS)
        return tf.data.Dataset.zip(records, tf.data.Dataset.range(first, first + (1 << PLACE_BITS)))


def _intact_records(path):
    """Returns the dataset of the records of a damaged file that are intact; Python reads them."""
    import tensorflow as tf

    return tf.data.Dataset.from_generator(
        lambda name: read_records(name.decode(), skip_damaged=True),
        args=(path,),
        output_signature=tf.TensorSpec((), tf.string),
    )


def _shuffled(dataset, seeds):
    """Returns `dataset.shuffle` by two seeds of its own, into which it would mix tf.random.set_seed's."""
    import tensorflow as tf

    spec = dataset.element_spec
    variant = tf.raw_ops.ShuffleDatasetV3(
        input_dataset=tf.data.experimental.to_variant(dataset),
        buffer_size=tf.constant(SHUFFLE_BUFFER, tf.int64),
        seed=seeds[0],
        seed2=seeds[1],
        seed_generator=tf.raw_ops.DummySeedGenerator(),
        output_types=[part.dtype for part in tf.nest.flatten(spec)],
        output_shapes=[part.shape for part in tf.nest.flatten(spec)],
        reshuffle_each_iteration=False,
    )
    return tf.data.experimental.from_variant(variant, spec)
