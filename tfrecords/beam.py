"""The same tasks as an Apache Beam pipeline, over as many machines as its runner has (extra `beam`).

The workers share the run's folder, so it has to lie on a file system that all of them see under the same path. What
a task returns is kept there too, so that results come back in the tasks' order, from any runner.
"""

import pickle
import shutil
from pathlib import Path

from keras_bert.errors import ResourceError, UserError
from keras_bert.outputs import atomic_path


class BeamRunner:
    """Works as a Beam pipeline, one a `map`.

    Args:
        name: of the Beam runner, such as "DirectRunner", "FlinkRunner" or "DataflowRunner".
        flags: list of str, what Beam's own PipelineOptions take ("--direct_num_workers=2").
        folder: the run's folder.

    Raises:
        ResourceError: Apache Beam is not installed, or does not know the runner.
    """

    expands_here = False  # tasks are expanded by Beam's workers

    def __init__(self, name, flags, *, folder):
        try:
            import apache_beam
        except ImportError as error:
            raise ResourceError("--runner needs Apache Beam", "pip install 'keras3-bert[beam]'") from error
        self._beam, self._name, self._flags = apache_beam, name, list(flags)
        self._folder = Path(folder, ".beam")  # hidden, as it holds nothing that a later run could use

    def map(self, function, tasks, *, expand=None):
        """Yields function(task) for each task, in order; see `tfrecords.runners.SerialRunner`."""
        beam, folder = self._beam, self._folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        options = beam.options.pipeline_options.PipelineOptions(self._flags, save_main_session=False)
        try:
            pipeline = beam.Pipeline(runner=self._name, options=options)
        except ValueError as error:
            raise ResourceError(
                f"--runner: Apache Beam refuses {self._name!r} ({error})", "see its list of runners"
            ) from error
        with pipeline:
            (
                pipeline
                | "tasks" >> beam.Create(list(enumerate(tasks)))
                | "expand" >> beam.FlatMap(_expand, expand)
                | "spread" >> beam.Reshuffle()
                | "work" >> beam.Map(_work, function, str(folder))
            )
        for path in sorted(folder.iterdir()):
            result = pickle.loads(path.read_bytes())
            if isinstance(result, UserError):
                raise result
            yield result
        shutil.rmtree(folder, ignore_errors=True)


def _expand(numbered, expand):
    """Yields ((task's number, number within it), task); a UserError takes the place of the task that met it."""
    number, entry = numbered
    within = -1
    try:
        for within, task in enumerate([entry] if expand is None else expand(entry)):
            yield (number, within), task
    except UserError as error:
        yield (number, within + 1), error


def _work(keyed, function, folder):
    """Does one task and keeps its result, or the UserError that it met."""
    (number, within), task = keyed
    try:
        result = task if isinstance(task, UserError) else function(task)
    except UserError as error:
        result = error
    with atomic_path(Path(folder, f"{number:08d}-{within:08d}")) as temporary:
        temporary.write_bytes(pickle.dumps(result))
