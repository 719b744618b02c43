"""Training a SpanLabeler on questions, and measuring it on held-out ones (run_squad.py).

Imports Keras when it is used: reading files, making features and measuring need neither it nor TensorFlow.
"""

from keras_bert.errors import UserError
from keras_bert.tasks.answer.answers import find_answers, texts_of
from keras_bert.tasks.answer.features import Features, make_features
from keras_bert.tasks.answer.metrics import find_threshold, metric_of, squad_metrics, squad_v2_metrics
from keras_bert.tasks.inputs import check_given


class Questions:
    """Questions with their windows, which any model may answer: they are tokenised once.

    Args:
        examples: Examples, as `read_examples` returns them.
        tokenizer: a Tokenizer.
        max_seq_length, doc_stride, max_query_length: see `make_features`.
        n_best_size, max_answer_length, version_2_with_negative: see `find_answers`.
        threshold: the null odds over which a question has no answer; None looks for the best on these very
            questions, where they are known to have answers or not.
        batch_size: windows at a time.
        log: see `find_answers`.
        progress: called as progress(stage, done, total, unit), or None.
    """

    def __init__(
        self,
        examples,
        tokenizer,
        *,
        max_seq_length=384,
        doc_stride=128,
        max_query_length=64,
        n_best_size=20,
        max_answer_length=30,
        version_2_with_negative=False,
        threshold=None,
        batch_size=8,
        log=None,
        progress=None,
    ):
        self.examples, self.tokenizer, self.max_seq_length = examples, tokenizer, max_seq_length
        lengths = {"doc_stride": doc_stride, "max_query_length": max_query_length}
        self.features = make_features(examples, tokenizer, max_seq_length=max_seq_length, **lengths)
        self.search = {
            "n_best_size": n_best_size,
            "max_answer_length": max_answer_length,
            "version_2_with_negative": version_2_with_negative,
            "log": log,
            "progress": progress,
        }
        self.version_2_with_negative = version_2_with_negative
        self.threshold, self.batch_size, self.progress = threshold, batch_size, progress
        self.metric = metric_of(examples)
        self.rows = self.features.rows()

    @property
    def are_labelled(self):
        """Whether the file says of all questions what is right, so that answers can be measured."""
        return all(
            example.answers is not None and (example.answers or self.version_2_with_negative)
            for example in self.examples
        )

    def predict(self, model):
        """Returns what a SpanLabeler answers, a list of Prediction."""
        from keras_bert.tasks.predicting import predict_rows

        logits = {"start_logits": [], "end_logits": []}
        if len(self.features):
            sizes = {"batch_size": self.batch_size, "max_seq_length": self.max_seq_length}
            sizes["pad_id"] = self.tokenizer.pad_id
            logits = predict_rows(model, self.rows, per_token=True, **sizes, progress=self.progress)
        return find_answers(self.examples, self.features, logits, self.tokenizer, **self.search)

    def measure(self, predictions):
        """Returns the official figures of predictions, and the threshold that they were made with."""
        if not self.version_2_with_negative:
            return squad_metrics(self.examples, texts_of(predictions), metric=self.metric)
        answers = texts_of(predictions, float("inf"))
        odds = {prediction.id: prediction.null_odds for prediction in predictions}
        threshold = self.threshold
        if threshold is None:
            threshold = find_threshold(self.examples, answers, odds, metric=self.metric)
        texts = texts_of(predictions, threshold)
        figures = squad_v2_metrics(self.examples, texts, null_odds=odds, answers=answers, metric=self.metric)
        return {**figures, "null_score_diff_threshold": threshold}


def dataset(features, tokenizer, *, batch_size=32, max_seq_length=384, seed=0, **options):
    """Makes batches for `fit` from features with labels.

    Args:
        features: Features, made with training=True.
        tokenizer: the Tokenizer that made them.
        batch_size: windows a step.
        max_seq_length: that of the features.
        seed: of the order, which is a new one each pass.
        **options: those of `padded_batches`.

    Returns:
        A tf.data.Dataset of (x, {"start_logits", "end_logits": int32 (B,)}), as SpanLabeler takes them.

    Raises:
        UserError: features without labels.
    """
    from keras_bert.data.batches import padded_batches

    _check_labels(features)
    sizes = {"batch_size": batch_size, "max_seq_length": max_seq_length, "pad_id": tokenizer.pad_id}
    return padded_batches(features.rows(), features.labels, labels_are_places=True, seed=seed, **sizes, **options)


def _check_labels(features):
    if features.labels is None or not len(features):
        raise UserError("There are no windows with labels to train on; make them with make_features(training=True).")


def train(model, tokenizer, training, held_out=None, options=None, *, max_seq_length=384, **given):
    """Fine-tunes a SpanLabeler, once for each seed and point of a grid, and keeps the best by F1.

    Args:
        model: callable() -> SpanLabeler before training, such as `model_maker` gives; or the path of a checkpoint.
        tokenizer: the Tokenizer that made the features.
        training: Features with labels.
        held_out: Questions that are labelled; None for one run that is not measured.
        options: a FineTuning; None for its defaults.
        max_seq_length: that of the features.
        **given: see `best_of_runs`.

    Returns:
        A BestRun. Its outputs are a list of Prediction, or None without `held_out`. With SQuAD 2.0's questions the
        model's `null_score_diff_threshold` is the one that was best on `held_out`.

    Raises:
        UserError: features without labels, several runs and nothing to choose by, and what `finetune` raises.
    """
    from keras_bert.models import SpanLabeler
    from keras_bert.tasks.runs import Learnable, best_of_runs, maker_of

    check_given(training, Features, what="training")
    _check_labels(training)
    if held_out is not None:
        check_given(held_out, Questions, what="held_out")
        if not held_out.are_labelled:
            raise UserError("The answers to the questions of held_out are not all known; give None to measure nothing.")

    def make_dataset(seed, batch_size):
        return dataset(training, tokenizer, seed=seed, batch_size=batch_size, max_seq_length=max_seq_length)

    measured = {} if held_out is None else {"predict": held_out.predict, "measure": held_out.measure, "metric": "f1"}
    learnable = Learnable(make_dataset=make_dataset, **measured)
    make_model = maker_of(model, SpanLabeler, tokenizer, max_seq_length=max_seq_length)
    best = best_of_runs(make_model, learnable, options, **given)
    if measured:
        best.model.null_score_diff_threshold = best.results.get("null_score_diff_threshold")
    return best
