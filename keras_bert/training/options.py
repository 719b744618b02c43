"""What a pre-training run may be told, beside its records, its model and its devices: names, defaults and checks."""

import dataclasses

from keras_bert.config.generator import SHARINGS, GeneratorSize
from keras_bert.data.dynamic import Ramp
from keras_bert.errors import UserError
from keras_bert.training.muon import Muon
from keras_bert.training.optimizers import BertAdamW, Lamb
from keras_bert.training.phases import Phase, parse_phases
from keras_bert.training.schedules import WarmupSchedule

OPTIMIZERS = {"adamw": BertAdamW, "lamb": Lamb, "muon": Muon}
SCHEDULES = ("linear", "cosine", "constant", "wsd")
OBJECTIVES = ("family", "mlm", "rtd")  # the rows of objectives.py
FINENESS = 1_000_000  # parts into which the time of a run is cut for its schedule
CHOICES = {
    "objective": OBJECTIVES,
    "embedding_sharing": SHARINGS,
    "optimizer": tuple(OPTIMIZERS),
    "schedule": SCHEDULES,
    "on_divergence": ("stop", "rewind"),
    "dtype": ("float32", "mixed_bfloat16"),
}
# What changes no weight, so that a run may go on with another one; and what changes its last bits or some records.
FREE = {
    *("eval_batch_size", "eval_every", "max_eval_steps", "steps_per_loop"),
    *("save_checkpoints_steps", "keep_checkpoints", "on_divergence", "keep_generator"),
}
INEXACT = {"jit_compile", "skip_damaged"}
# Options that came later: a run that does not use them is noted as it was before, so that older ones go on.
LATER = (
    "objective",
    "generator_hidden_size",
    "generator_layers",
    "embedding_sharing",
    "schedule",
    "num_decay_steps",
    "decay_from",
    "beta_2",
    "weight_decay",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainOptions:
    """The options of `pretrain`.

    Attributes:
        train_batch_size, eval_batch_size: examples a step, over all devices.
        learning_rate: the peak, reached after `num_warmup_steps`, then down to 0 over `num_train_steps`.
        objective: "family", what its family, or the checkpoint it begins with, is made for; "mlm", masked tokens
            alone; or "rtd", replaced tokens: a generator fills the masks, and the model says which tokens it replaced.
        generator_hidden_size, generator_layers: of rtd, the generator's size as fractions, see GeneratorSize.
        embedding_sharing: of rtd, "shared", "disentangled" or "none", see ReplacedTokenPretrainer.
        keep_generator: of rtd, whether the generator is written too, to the folder "generator" in the output.
        schedule: "linear", "cosine", "constant" or "wsd", see WarmupSchedule.
        num_decay_steps: of "wsd", the last steps, over which the rate falls; None for a tenth of all.
        decay_from: another run's folder, or one of its checkpoints: this run goes on from there, with its optimizer,
            and the rate falls over `num_decay_steps`, which must then be given. See branches.py.
        num_train_steps: None for what `phases` says, or 100,000.
        num_warmup_steps: steps over which the rate rises.
        phases: text such as "128:90%:256,512:10%:64", see `parse_phases`, or a list of Phase; None for one phase.
        gradient_accumulation_steps: micro-batches a batch is cut into, one after the other, to need less memory.
        optimizer: "adamw"; "lamb" for batches of thousands; or "muon", which takes more time a step and fewer steps.
        beta_2: of the second moments; RoBERTa took 0.98.
        weight_decay: of matrices alone.
        bias_correction: whether its moments are corrected for their start at 0, as in Adam's paper and in PyTorch.
            google-research/bert leaves that out, so that the first thousand steps go further than the rate says (2.4
            times at step 200); short runs of small models may stay at the unigram guess for it.
        max_minutes: the time of training; evaluations and checkpoints are part of it, but for the last ones. The
            schedule then goes by the share of this time that is over in place of the share of the steps, and ends
            with it.
        steps_per_loop: steps between two rows of the log.
        eval_every: steps between two evaluations (the first row of the log after them); at the end alone if None.
        max_eval_steps: batches of an evaluation; all if None.
        max_predictions, masking, masked_lm_prob: see `pretraining_dataset`. A pair of shares is gone through from the
            first step to the last; what is measured is masked by the last.
        save_checkpoints_steps: steps between two checkpoints.
        keep_checkpoints: how many of the newest stay.
        on_divergence: "stop" where the loss is NaN or explodes; "rewind" goes back to the newest checkpoint and
            leaves the batch out.
        skip_damaged: leave damaged records out and count them, instead of stopping there.
        dtype: "float32" or "mixed_bfloat16".
        jit_compile: whether XLA compiles the step.
        remat: whether blocks are computed again in the backward pass, to need less memory.
        seed: of weights, dropout and the order of records.
    """

    train_batch_size: int = 32
    eval_batch_size: int = 32
    learning_rate: float = 5e-5
    num_train_steps: int | None = None
    num_warmup_steps: int = 10_000
    phases: str | list[Phase] | None = None
    gradient_accumulation_steps: int = 1
    objective: str = "family"
    generator_hidden_size: float | None = None
    generator_layers: float | None = None
    embedding_sharing: str = "shared"
    keep_generator: bool = True
    schedule: str = "linear"
    num_decay_steps: int | None = None
    decay_from: str | None = None
    optimizer: str = "adamw"
    beta_2: float = 0.999
    weight_decay: float = 0.01
    bias_correction: bool = False
    max_minutes: float | None = None
    steps_per_loop: int = 100
    eval_every: int | None = None
    max_eval_steps: int | None = None
    max_predictions: int | None = None
    masking: str | None = None
    masked_lm_prob: float | tuple[float, float] | None = None
    save_checkpoints_steps: int = 1000
    keep_checkpoints: int = 3
    on_divergence: str = "stop"
    skip_damaged: bool = False
    dtype: str = "float32"
    jit_compile: bool = False
    remat: bool = False
    seed: int = 12345

    def __post_init__(self):
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise UserError(f"{name} must be one of {', '.join(choices)}. Received: {getattr(self, name)!r}.")
        for name in ("gradient_accumulation_steps", "steps_per_loop", "save_checkpoints_steps", "keep_checkpoints"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1. Received: {getattr(self, name)}.")
        if not self.learning_rate > 0:
            raise UserError(f"learning_rate must be over 0. Received: {self.learning_rate}.")
        self.generator_size()  # or what is wrong with it
        self._check_decay()
        if isinstance(self.masked_lm_prob, (tuple, list)):
            if len(self.masked_lm_prob) != 2:
                raise UserError(f"masked_lm_prob must be a number or two. Received: {self.masked_lm_prob!r}.")
            if self.max_minutes is not None:
                raise UserError("A masked_lm_prob that changes goes by steps; leave max_minutes out.")
        if self.max_minutes is not None and not self.max_minutes > 0:
            raise UserError(f"max_minutes must be over 0. Received: {self.max_minutes}.")
        if self.num_warmup_steps >= self.total_steps and self.max_minutes is not None:
            raise UserError(
                "With max_minutes the warm-up is num_warmup_steps / num_train_steps of the time, which must be less "
                f"than all of it. Received: {self.num_warmup_steps} and {self.total_steps}."
            )
        if self.decay_from is None or isinstance(self.phases, list):  # else its end is not known yet
            self.make_schedule()  # or what is wrong with its options

    def _check_decay(self):
        """Raises a UserError if what is said of the decay does not go together."""
        if self.decay_from is None:
            return
        if self.schedule != "wsd" or self.num_decay_steps is None:
            raise UserError(
                "decay_from needs schedule wsd and num_decay_steps (--schedule=wsd --num_decay_steps=N). Received: "
                f"{self.schedule} and {self.num_decay_steps}."
            )
        if self.max_minutes is not None:
            raise UserError("decay_from goes by steps; leave max_minutes out.")

    def generator_size(self):
        """Returns the GeneratorSize of a run for replaced tokens."""
        return GeneratorSize(
            hidden_size=self.generator_hidden_size, layers=self.generator_layers, sharing=self.embedding_sharing
        )

    def make_schedule(self):
        """Returns the WarmupSchedule over the run's steps, or over FINENESS parts of its time."""
        total, parts = self.total_steps, FINENESS if self.max_minutes else self.total_steps
        warmup, decay = self.num_warmup_steps, self.num_decay_steps
        if self.max_minutes:
            warmup = round(parts * warmup / total)
            decay = None if decay is None else max(1, round(parts * decay / total))
        return WarmupSchedule(
            self.learning_rate,
            num_train_steps=parts,
            num_warmup_steps=warmup,
            decay=self.schedule,
            num_decay_steps=decay,
        )

    def make_optimizer(self):
        """Returns the optimizer: with its schedule, or with the bare rate, which the loop sets, where time decides."""
        rate = self.learning_rate if self.max_minutes else self.make_schedule()
        return OPTIMIZERS[self.optimizer](
            rate, bias_correction=self.bias_correction, beta_2=self.beta_2, weight_decay=self.weight_decay
        )

    @property
    def phase_list(self):
        """The run's phases, a list of Phase."""
        if self.phases and not isinstance(self.phases, str):
            return list(self.phases)
        return parse_phases(self.phases, num_train_steps=self.num_train_steps, train_batch_size=self.train_batch_size)

    @property
    def total_steps(self):
        """The steps of all phases."""
        return sum(phase.num_train_steps for phase in self.phase_list)

    def masks(self, *, first_step=None):
        """Returns what `pretraining_dataset` is told about masks.

        Args:
            first_step: that of the phase whose records are read; None for records to measure on.
        """
        share = self.masked_lm_prob
        if isinstance(share, (tuple, list)):
            first, last = share
            share = last if first_step is None else Ramp(first, last, batches=self.total_steps, offset=first_step)
        return {"max_predictions": self.max_predictions, "masking": self.masking, "masked_lm_prob": share}

    def fixed(self):
        """Returns {name: value} of what a run must keep to when it goes on, fit for JSON."""
        kept = {name: value for name, value in dataclasses.asdict(self).items() if name not in FREE | INEXACT}
        phases = [dataclasses.astuple(phase) for phase in self.phase_list]
        for name in ("num_train_steps", "train_batch_size"):
            del kept[name]
        for field in dataclasses.fields(self):
            if field.name in LATER and kept[field.name] == field.default:
                del kept[field.name]
        return {**kept, "phases": ", ".join(":".join(map(str, phase)) for phase in phases)}
