"""A saved classifier, ready to label a table: its model, its tokenizer, and how its own tables were read."""

import dataclasses

from keras_bert.checkpoints import check_tokenizer, open_checkpoint
from keras_bert.checkpoints.parts import needed_weights
from keras_bert.errors import UserError
from keras_bert.models import Classifier
from keras_bert.tasks.classify.kinds import KINDS
from keras_bert.tasks.classify.training import predict_logits, prediction_columns
from keras_bert.text.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True)
class SavedClassifier:
    """A classifier and what task.json says of it.

    Attributes:
        model: a Classifier.
        tokenizer: its Tokenizer.
        reading: how the tables were read that it was trained on: "text_column", "pair_column", "label_separator",
            "max_seq_length", "long_texts" and "doc_stride"; of a model that `keras-bert glue` trained the length alone,
            and {} of one that neither wrote.
    """

    model: Classifier
    tokenizer: Tokenizer
    reading: dict

    def logits(self, examples, **options):
        """Gives each example's logits, float32 (N, C).

        Args:
            examples: Examples, such as `read_inputs` gives.
            **options: those of `predict_logits`; lengths that are not given are those of `reading`.

        Raises:
            UserError: pairs are missing where the model was trained on such, or see `encode_texts`.
        """
        if self.model.pair and examples.pairs is None:
            raise UserError(
                "The model was trained on pairs of texts; give a table, and the name of its column of second texts "
                "(pair_column)."
            )
        known = {
            name: self.reading[name] for name in ("max_seq_length", "long_texts", "doc_stride") if name in self.reading
        }
        return predict_logits(self.model, examples, self.tokenizer, **{**known, **options})

    def predictions(self, examples, logits=None, **options):
        """Labels examples.

        Args:
            examples: Examples.
            logits: theirs, where they are at hand.
            **options: those of `logits`, where they are not.

        Returns:
            {column: list}, see `prediction_columns`.

        Raises:
            UserError: what `logits` raises.
        """
        logits = self.logits(examples, **options) if logits is None else logits
        return prediction_columns(examples, logits, self.model.labels, kind=self.model.kind)

    def measure(self, examples, logits):
        """Measures logits against the examples' labels. Returns {name: figure}, those of `keras-bert classify`."""
        return KINDS[self.model.kind].measure(examples.labels, logits)


def load_classifier(path, *, dtype=None):
    """Loads what `keras-bert classify` or `Classifier.save_pretrained` wrote.

    Args:
        path: a model directory with a task.json and a vocabulary.
        dtype: a Keras dtype policy or its name.

    Returns:
        A SavedClassifier.

    Raises:
        UserError: no model is there, it is damaged, or it has another head; then the command that asks it is named.
    """
    checkpoint = open_checkpoint(path)
    task, kind = checkpoint.task, checkpoint.task.get("task")
    if kind is not None and kind != Classifier.TASK:
        raise UserError(f"{path} is not a classifier, it was saved for {kind}; ask it by keras-bert {kind}.")
    if kind is None:
        raise UserError(
            f"{path} has no task.json that says what its classes are; fine-tune it by keras-bert classify first."
        )
    missing = [name for name in needed_weights(checkpoint.config, kind) if name not in checkpoint.shapes]
    if missing:
        raise UserError(f"{path} lacks {', '.join(missing)}, weights of the classifier; save the model again.")
    tokenizer = Tokenizer.from_pretrained(path)
    check_tokenizer(tokenizer, checkpoint.config)
    model = Classifier.from_pretrained(path, **({} if dtype is None else {"dtype": dtype}))
    return SavedClassifier(model, tokenizer, dict(task.get("reading") or {}))
