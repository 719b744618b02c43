"""The private names of other packages that we use, all of them: what for, why no public one will do, and where seen.

A release may change a private name without a word, so setup.py has an upper bound for each of these packages.
tests/test_private_names.py finds private names in the source, and fails for one that is missing here and for one here
that nothing uses. `make test-versions` runs the tests that depend on them on the lowest and newest versions allowed.
"""

import dataclasses
import importlib.metadata

from keras_bert.errors import UserError

# {package: versions on which the tests ran with all of its names below}
SEEN_ON = {
    "keras": ("3.12.0", "3.14.1", "3.15.1"),
    "tensorflow": ("2.20.0", "2.21.0"),
    "sentencepiece": ("0.2.3",),
    "joblib": ("1.3.0", "1.6.0"),
    "python": ("3.11", "3.12", "3.13"),
}


@dataclasses.dataclass(frozen=True)
class PrivateName:
    """A private name.

    Attributes:
        package: a key of SEEN_ON.
        owner: the class that has it, by its public name; "" for a module.
        name: the attribute, or the module's full name.
        purpose: what it does for us.
        reason: why there is no public way.
    """

    package: str
    owner: str
    name: str
    purpose: str
    reason: str


PRIVATE_NAMES = (
    PrivateName(
        *("keras", "keras.optimizers.Optimizer", "_all_reduce_sum_gradients"),
        purpose="gradients are clipped after the replicas' are added up: one device and eight do the same",
        reason="between the sum and the update there is no public method; a sum of our own would be a second one",
    ),
    PrivateName(
        *("keras", "keras.optimizers.Optimizer", "_clip_gradients"),
        purpose="Keras does not clip each replica's share before the sum, and does clip by `clipnorm` or `clipvalue`",
        reason="`apply` clips by no other way, and passes the gradients on without a public method between",
    ),
    PrivateName(
        *("keras", "keras.optimizers.Optimizer", "_get_variable_index"),
        purpose="finds the moments of a variable in `update_step`",
        reason="a replica's variable is another object than the one `build` was given; Keras' own optimizers do so too",
    ),
    PrivateName(
        *("keras", "keras.Function", "_run_through_graph"),
        purpose="a clone knows of which model it is one, whose class and config it then has",
        reason="clone_model gives a class' constructor the new graph alone, and nothing of the model",
    ),
    PrivateName(
        *("tensorflow", "", "tensorflow.python.eager.context"),
        purpose="training on several workers fails after a minute, not an hour, where one of them does not come",
        reason="the time-out is an argument of configure_coordination_service, which no public function passes on",
    ),
    PrivateName(
        *("sentencepiece", "sentencepiece.SentencePieceProcessor", "_processor"),
        purpose="many texts' ids are one array, in less time than sentencepiece's own call takes",
        reason="the public call makes an array of each text; without these names that call is made",
    ),
    PrivateName(
        *("sentencepiece", "sentencepiece._sentencepiece.SentencePieceProcessor", "_EncodeAsBufferBatch"),
        purpose="the same: it is what the other has",
        reason="the same",
    ),
    PrivateName(
        *("joblib", "", "joblib.externals"),
        purpose="loky's processes start without importing the user's main module again",
        reason="joblib ships loky there, and hands on nothing that takes tasks one by one",
    ),
    PrivateName(
        *("python", "concurrent.futures.ProcessPoolExecutor", "_processes"),
        purpose="Ctrl-C ends the worker processes, and does not wait for what they are doing",
        reason="`terminate_workers` came with Python 3.14",
    ),
)


def require(owner, *names):
    """Raises an error if a class lost private methods that ours override: an override of nothing is never called.

    Args:
        owner: the class of another package.
        *names: its methods, as listed in PRIVATE_NAMES.

    Raises:
        UserError: one is missing; names the package and its versions that have it.
    """
    for name in names:
        if not hasattr(owner, name):
            package = next(each.package for each in PRIVATE_NAMES if each.name == name)
            seen = SEEN_ON[package]
            raise UserError(
                f"{package} {importlib.metadata.version(package)} has no {owner.__name__}.{name}, which keras_bert "
                f"replaces by its own; install {package} {seen[0]} to {seen[-1]}."
            )
