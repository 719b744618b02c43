"""The phases of a pre-training run: the paper trained 90 % of the steps on 128 tokens and the rest on 512.

Source: Devlin et al. 2018, appendix A.2. The optimizer, its schedule and the numbering of the steps go on from phase
to phase.
"""

import dataclasses

from keras_bert.errors import UserError

NUM_TRAIN_STEPS = 100_000  # run_pretraining.py's default


@dataclasses.dataclass(frozen=True)
class Phase:
    """Steps on records of one length.

    Attributes:
        max_seq_length: of its records; None takes those that there are.
        num_train_steps: updates.
        train_batch_size: examples an update, over all devices.
    """

    max_seq_length: int | None
    num_train_steps: int
    train_batch_size: int


def parse_phases(text, *, num_train_steps=None, train_batch_size=32):
    """Returns the phases that a text describes, or a single one if it describes none.

    Args:
        text: LENGTH:STEPS or LENGTH:STEPS:BATCH, with commas between phases; STEPS may be a percentage of
            `num_train_steps`. None or "" is a single phase.
        num_train_steps: of the run; None is what the phases say, or run_pretraining.py's 100,000.
        train_batch_size: of phases that do not say theirs.

    Raises:
        UserError: a text of another form, or steps that do not add up to `num_train_steps`.

    Example:
        >>> for phase in parse_phases("128:90%:256,512:10%", num_train_steps=1000, train_batch_size=64):
        ...     print(phase)
        Phase(max_seq_length=128, num_train_steps=900, train_batch_size=256)
        Phase(max_seq_length=512, num_train_steps=100, train_batch_size=64)
    """
    total = NUM_TRAIN_STEPS if num_train_steps is None else num_train_steps
    if not text:
        return [Phase(None, total, train_batch_size)]
    phases = [_parse(part, text, total, train_batch_size) for part in text.split(",")]
    steps = sum(phase.num_train_steps for phase in phases)
    if steps != total and ("%" in text or num_train_steps is not None):
        raise UserError(f"The phases {text!r} have {steps} steps together, but num_train_steps is {total}; change one.")
    return phases


def _parse(part, text, total, batch_size):
    fields = part.strip().split(":")
    try:
        length, steps = int(fields[0]), fields[1]
        steps = round(float(steps[:-1]) * total / 100) if steps.endswith("%") else int(steps)
        batch_size = int(fields[2]) if len(fields) > 2 else batch_size
        if len(fields) > 3 or min(length, steps, batch_size) < 1:
            raise ValueError(part)
    except (IndexError, ValueError) as error:
        raise UserError(
            f"A phase is LENGTH:STEPS or LENGTH:STEPS:BATCH, such as 128:90%:256. Received: {part!r} in {text!r}."
        ) from error
    return Phase(length, steps, batch_size)
