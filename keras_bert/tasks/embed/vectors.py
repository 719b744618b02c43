"""How the hidden states of a text's tokens become its vector: what the model and the caller say, and the pooling.

The poolings and prompts are those of sentence-transformers (sentence_transformer/modules/pooling.py and `encode`). Runs
on any Keras backend, and in a TensorFlow graph too.

B batch, S sequence, H hidden.
"""

import dataclasses

import numpy as np
from keras import ops

from keras_bert.checkpoints.sentence_transformers import DEFAULT_PROMPTS
from keras_bert.errors import UserError

DEFAULT_LENGTH = 128
SMALLEST = 1e-9  # of what a mean is divided by: no token is left where a prompt takes all
# Of what a checkpoint's files say; whoever edits task.json may get them wrong.
FIELDS = {"pooling": list, "normalize": bool, "max_seq_length": int, "prompts": dict, "include_prompt": bool}


def _mean(hidden, kept):
    return ops.sum(hidden * kept, axis=1) / ops.maximum(ops.sum(kept, axis=1), SMALLEST)


def _mean_sqrt_len_tokens(hidden, kept):
    return ops.sum(hidden * kept, axis=1) / ops.sqrt(ops.maximum(ops.sum(kept, axis=1), SMALLEST))


def _weightedmean(hidden, kept):
    return _mean(hidden, kept * (_places(kept) + 1.0))


def _maximum(hidden, kept):
    return ops.max(ops.where(kept > 0, hidden, np.finfo(np.float32).min), axis=1)


def _cls(hidden, kept):
    return _at(hidden, ops.argmax(kept, axis=1))


def _lasttoken(hidden, kept):
    return _at(hidden * kept, ops.max(ops.where(kept > 0, _places(kept), 0.0), axis=1))


def _places(kept):
    """Returns 0, 1, ... S - 1, float32 (1, S, 1)."""
    return ops.cast(ops.arange(ops.shape(kept)[1]), "float32")[None, :, None]


def _at(hidden, places):
    """Returns the hidden states (B, H) at places (B, 1)."""
    is_here = _places(hidden) == ops.cast(places, "float32")[..., None]
    return ops.sum(ops.where(is_here, hidden, 0.0), axis=1)


# hidden float32 (B, S, H), kept float32 (B, S, 1), 1 for a token to pool and else 0 -> (B, H).
# Special tokens count as tokens.
POOLINGS = {
    "mean": _mean,
    "cls": _cls,
    "max": _maximum,
    "mean_sqrt_len_tokens": _mean_sqrt_len_tokens,
    "weightedmean": _weightedmean,
    "lasttoken": _lasttoken,
}


@dataclasses.dataclass(frozen=True)
class Vectors:
    """How vectors are made.

    Attributes:
        poolings: keys of POOLINGS; the vectors of several stand one after the other.
        normalize: whether each vector is given length 1.
        max_seq_length: longer texts are cut to it, the prompt's tokens among them.
        prompt: what is put before each text.
        include_prompt: whether the prompt's tokens, and [CLS] with them, are pooled as the text's are.
    """

    poolings: tuple[str, ...] = ("mean",)
    normalize: bool = True
    max_seq_length: int = DEFAULT_LENGTH
    prompt: str = ""
    include_prompt: bool = True

    def prompt_length(self, tokenizer):
        """Returns how many tokens at the beginning of each row are not pooled."""
        if self.include_prompt or not self.prompt:
            return 0
        first, _ = tokenizer.layout.starts(0)
        return first + len(tokenizer.token_ids(self.prompt))

    def check(self, tokenizer):
        """Raises a UserError if the prompt leaves no room for a text."""
        tokens = len(tokenizer.token_ids(self.prompt)) if self.prompt else 0
        if tokens >= tokenizer.layout.room(self.max_seq_length, texts=1):
            raise UserError(
                f"The prompt {self.prompt!r:.80} has {tokens} tokens, which leaves no room for a text in "
                f"max_seq_length={self.max_seq_length}; raise it, or give a shorter prompt."
            )

    def pool(self, hidden, mask, prompt_length=0):
        """Returns the vectors of a batch.

        Args:
            hidden: float32 (B, S, H), the last hidden states.
            mask: int (B, S), 1 for real tokens.
            prompt_length: what the method of that name gives.

        Returns:
            float32 (B, H times the number of poolings).
        """
        kept = ops.expand_dims(ops.cast(mask, "float32"), -1)
        if prompt_length:
            kept = ops.where(_places(kept) >= prompt_length, kept, 0.0)
        vectors = [
            hidden[:, 0] if name == "cls" and not prompt_length else POOLINGS[name](hidden, kept)
            for name in self.poolings
        ]
        vectors = vectors[0] if len(vectors) == 1 else ops.concatenate(vectors, axis=-1)
        if not self.normalize:
            return vectors
        length = ops.sqrt(ops.sum(ops.square(vectors), axis=-1, keepdims=True))
        return vectors / ops.maximum(length, 1e-12)

    def __str__(self):
        pooling = " and ".join(self.poolings)
        words = f"{pooling} of the last hidden states, {'length 1' if self.normalize else 'as they are'}"
        words += f", texts of up to {self.max_seq_length} tokens"
        if self.prompt:
            words += f" after the prompt {self.prompt!r}" + ("" if self.include_prompt else ", which is not pooled")
        return words


def vectors_of(model, *, pooling=None, normalize=None, max_seq_length=None, prompt=None, prompt_name=None):
    """Returns the Vectors of a model: what is given, else what its checkpoint says, else the mean, length 1, 128.

    Args:
        model: an Encoder, or a model with one.
        pooling: a key of POOLINGS, or a list of several.
        normalize: bool.
        max_seq_length: int.
        prompt: what to put before each text; "" for nothing.
        prompt_name: instead, the name of one of the model's prompts. Without both its default prompt is taken.

    Raises:
        UserError: an unknown pooling or prompt, or a model whose vectors are made in a way that is not known here.
    """
    encoder = getattr(model, "encoder", model)
    own = encoder.sentence_vectors or {}
    if own:
        _check_own(own)
    asked = pooling is None and "pooling" in own
    pooling = own.get("pooling", "mean") if pooling is None else pooling
    poolings = (pooling,) if isinstance(pooling, str) else tuple(pooling)
    unknown = [name for name in poolings if name not in POOLINGS]
    if unknown or not poolings:
        what = "The model's files ask for a pooling that is not done here; pooling" if asked else "pooling"
        raise UserError(
            f"{what} must be one of {', '.join(POOLINGS)}. Received: {unknown[0] if len(unknown) == 1 else pooling!r}."
        )
    if max_seq_length is None:
        length = own.get("max_seq_length", DEFAULT_LENGTH)
        max_seq_length = min(length, encoder.bert_config.max_length)
    return Vectors(
        poolings=poolings,
        normalize=own.get("normalize", True) if normalize is None else bool(normalize),
        max_seq_length=max_seq_length,
        prompt=_prompt(own, prompt, prompt_name),
        include_prompt=own.get("include_prompt", True),
    )


def _check_own(own):
    """Raises a UserError if a checkpoint's settings ask for what is not supported here, or are of a wrong type."""
    if isinstance(own, dict) and "refused" in own:
        raise UserError(own["refused"])
    for name, kind in FIELDS.items():
        value = own.get(name) if isinstance(own, dict) else None
        if type(value) is not kind:
            raise UserError(
                f"task.json: sentence_vectors must have {name}, a {kind.__name__}. Received: {value!r:.80}; "
                "save the model again."
            )


def _prompt(own, prompt, prompt_name):
    """Returns the prompt that was given or named, or the default one."""
    if prompt is not None and prompt_name is not None:
        raise UserError(f"Give prompt or prompt_name, not both. Received: {prompt!r:.80} and {prompt_name!r}.")
    if prompt is not None:
        if not isinstance(prompt, str):
            raise UserError(f"prompt must be a string. Received: {prompt!r:.80}.")
        return prompt
    prompts = {**DEFAULT_PROMPTS, **own.get("prompts", {})}
    name = own.get("default_prompt_name") if prompt_name is None else prompt_name
    if name is not None and name not in prompts:
        raise UserError(f"prompt_name must be one of the model's prompts: {', '.join(prompts)}. Received: {name!r}.")
    return "" if name is None else prompts[name]
