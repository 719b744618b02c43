"""The settings of a run of the data tool, checked as soon as they are made. Names and defaults are Google's."""

import dataclasses

from keras_bert.data.masking import MASKINGS
from keras_bert.errors import UserError
from keras_bert.text.rules import FLAGS, TokenizerRules, as_added_tokens
from tfrecords.instances import SENTENCE_TASKS

COMPRESSIONS = ("none", "gzip")
PACKS = ("none", "isolated", "full")
MANY_PLACES = 2  # times as many places for predictions as are ever used; less is no harm


@dataclasses.dataclass(frozen=True)
class Options:
    """What decides the records' content.

    Attributes:
        tokenizer: the kind of the tokenizer: "wordpiece", "bpe" or "sentencepiece".
        do_lower_case, strip_accents, tokenize_chinese_chars: WordPiece's rules, see `TokenizerRules`; None lower-cases
            and makes each ideograph a word. Other kinds have rules of their own, and None here.
        special_tokens: tokens to keep whole where they occur in the text; strings.
        max_seq_length: tokens an instance, the special ones included.
        max_predictions_per_seq: most tokens to predict an instance.
        random_seed: the same seed and input give the same bytes.
        dupe_factor: how many copies of the corpus to make, with masks and cuts of their own; None means 10, and 1
            with `dynamic`, where the training masks anew in each epoch.
        masked_lm_prob: share of the tokens to predict.
        short_seq_prob: share of the documents' copies to cut into shorter instances.
        masking: "token", "whole_word" or "ngram" (`keras_bert.data.masking.MASKINGS`).
        sentence_task: "nsp" (next sentence), "sop" (sentence order) or "none" (`tfrecords.instances.SENTENCE_TASKS`).
        dynamic: leave the masking to the training, anew in each epoch.
        text_field: the field of a JSON line or TFDS example that holds the document.
        compression: "none" or "gzip", of the TFRecord files.
        pack: "none", an instance a record; "isolated", several to a record, none of which sees another; or "full", with
            sentence_task "none": whole sentences up to the length, on from one document to the next with a separator
            between them, all of which see one another (RoBERTa's FULL-SENTENCES, Liu et al. 2019, 4.2).
        max_texts_per_row: the most instances of a packed record; None for as many as are of use.

    Raises:
        UserError: settings with which no instance can be made.
    """

    tokenizer: str = "wordpiece"
    do_lower_case: bool | None = None
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool | None = None
    special_tokens: tuple[str, ...] = ()
    max_seq_length: int = 128
    max_predictions_per_seq: int = 20
    random_seed: int = 12345
    dupe_factor: int | None = None
    masked_lm_prob: float = 0.15
    short_seq_prob: float = 0.1
    masking: str = "token"
    sentence_task: str = "nsp"
    dynamic: bool = False
    text_field: str = "text"
    compression: str = "none"
    pack: str = "none"
    max_texts_per_row: int | None = None

    @property
    def packed(self):
        """Whether a record is a row of several instances."""
        return self.pack == "isolated"

    @property
    def rules(self):
        """The TokenizerRules of WordPiece."""
        return TokenizerRules(
            self.do_lower_case, self.strip_accents, self.tokenize_chinese_chars, tuple(self.special_tokens)
        )

    def __post_init__(self):
        for name in FLAGS:
            if self.tokenizer != "wordpiece" and getattr(self, name) is not None:
                raise UserError(
                    f"--{name} is a rule of WordPiece, and the tokenizer is of the kind {self.tokenizer}, which has "
                    "rules of its own; leave it out."
                )
            if self.tokenizer == "wordpiece" and name != "strip_accents" and getattr(self, name) is None:
                object.__setattr__(self, name, True)
        added = as_added_tokens(self.special_tokens)
        object.__setattr__(self, "special_tokens", tuple(token.content for token in added))
        if self.dupe_factor is None:
            object.__setattr__(self, "dupe_factor", 1 if self.dynamic else 10)
        for name, choices in (
            ("masking", MASKINGS),
            ("sentence_task", SENTENCE_TASKS),
            ("compression", COMPRESSIONS),
            ("pack", PACKS),
        ):
            if getattr(self, name) not in choices:
                raise UserError(f"--{name} must be one of {', '.join(choices)}. Received: {getattr(self, name)!r}.")
        least_length = SENTENCE_TASKS[self.sentence_task].least_length()
        for name, least in (
            ("max_seq_length", least_length),
            ("max_predictions_per_seq", 1),
            ("dupe_factor", 1),
            ("random_seed", 0),
            ("max_texts_per_row", 1),
        ):
            if getattr(self, name) is not None and getattr(self, name) < least:
                what = " (special tokens and two of the text)" if name == "max_seq_length" else ""
                raise UserError(f"--{name} must be at least {least}{what}. Received: {getattr(self, name)}.")
        if not 0 < self.masked_lm_prob <= 1:
            raise UserError(f"--masked_lm_prob must lie above 0 and not above 1. Received: {self.masked_lm_prob}.")
        if not 0 <= self.short_seq_prob <= 1:
            raise UserError(f"--short_seq_prob must lie between 0 and 1. Received: {self.short_seq_prob}.")
        if self.max_texts_per_row is not None and not self.packed:
            raise UserError("--max_texts_per_row is about rows of several texts; add --pack=isolated, or leave it out.")
        if self.pack == "full" and self.sentence_task != "none":
            raise UserError(
                "--pack=full puts sentences of several documents into one text, which leaves no pairs to ask about; "
                f"add --sentence_task=none. Received: {self.sentence_task}."
            )
        wanted = self._wanted
        if self.max_predictions_per_seq < wanted:
            raise UserError(
                f"--max_predictions_per_seq={self.max_predictions_per_seq} is too small for --max_seq_length="
                f"{self.max_seq_length}: {self.masked_lm_prob:.0%} of that are {wanted}; raise it, or lower "
                "--masked_lm_prob."
            )

    @property
    def _wanted(self):
        """The number of tokens to predict of a full instance, rounded down: 512 and 76 are a common pair."""
        return int(self.max_seq_length * self.masked_lm_prob)

    def warnings(self):
        """Yields what is allowed but wasteful, with a remedy each."""
        most = round(self.max_seq_length * self.masked_lm_prob)
        if self.max_predictions_per_seq > MANY_PLACES * max(1, most):
            yield (
                f"--max_predictions_per_seq={self.max_predictions_per_seq} is more than an instance can use: "
                f"{self.masked_lm_prob:.0%} of {self.max_seq_length} tokens are {most}, and the other places are "
                f"padding that costs memory and time; set --max_predictions_per_seq={max(1, self._wanted + 1)}"
            )
