"""Sentence embeddings and the search among them (Reimers and Gurevych 2019, sections 3 and 4).

Runs on any Keras backend. N texts, Q queries, B batch, S sequence, H hidden, K top_k.
"""

import json
from pathlib import Path

import numpy as np

from keras_bert.data.texts import text_rows
from keras_bert.errors import UserError
from keras_bert.files import read_json
from keras_bert.serving.inputs import LENGTH_MULTIPLE, check_length, check_texts, check_vocabulary

DEFAULT_LENGTH = 128
BLOCK = 1 << 16  # rows of the corpus that are compared at a time


def _mean(hidden, mask):
    weights = mask[..., None].astype(np.float32)  # (B, S, 1)
    return (hidden * weights).sum(axis=1) / weights.sum(axis=1)


def _first(hidden, mask):
    return hidden[:, 0]


def _maximum(hidden, mask):
    return np.where(mask[..., None] == 1, hidden, -np.inf).max(axis=1)


# hidden float32 (B, S, H), mask int (B, S) -> (B, H); [CLS] and [SEP] count as tokens, as in sentence-transformers
POOLINGS = {"mean": _mean, "cls": _first, "max": _maximum}


def embed(
    model,
    tokenizer,
    texts,
    *,
    pooling="mean",
    normalize=True,
    batch_size=32,
    max_seq_length=None,
    progress=None,
):
    """Gives each text one vector, made of its tokens' last hidden states.

    The texts go through the model in order of length, the longest first, so that little of a batch is padding.

    Args:
        model: a BertEncoder, or a model with one.
        tokenizer: its Tokenizer.
        texts: list of N str.
        pooling: "mean" of the tokens, [CLS] and [SEP] among them; "cls", the first one's; "max", the largest of each
            component.
        normalize: whether each vector is given length 1, so that a dot product is a cosine.
        batch_size: texts that the model reads at a time.
        max_seq_length: longer texts are cut to it; None cuts to 128, or to what the model reads.
        progress: called as progress("embed", done, total, "text") after each batch.

    Returns:
        float32 (N, H), in the order of the texts.

    Raises:
        UserError: no list of strings, an unknown pooling, a length that the model cannot read, or a tokenizer of
            another vocabulary.

    Example:
        >>> from keras_bert.config import BertConfig
        >>> from keras_bert.models import BertEncoder
        >>> from keras_bert.text.tokenizer import Tokenizer
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
        >>> tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "good", "bad"]))
        >>> model = BertEncoder(BertConfig.from_name("L-1_H-64", vocab_size=7))
        >>> embed(model, tokenizer, ["good", "bad"]).shape
        (2, 64)
    """
    encoder = getattr(model, "encoder", model)
    texts = check_texts(texts)
    check_vocabulary(encoder.bert_config, tokenizer)
    if max_seq_length is None:
        max_seq_length = min(DEFAULT_LENGTH, encoder.bert_config.max_position_embeddings)
    check_length(encoder.bert_config, max_seq_length)
    if batch_size < 1:
        raise UserError(f"batch_size must be at least 1. Received: {batch_size}.")
    if pooling not in POOLINGS:
        raise UserError(f"pooling must be one of {', '.join(POOLINGS)}. Received: {pooling!r}.")
    rows = text_rows(texts, tokenizer, max_seq_length=max_seq_length)["input_ids"] if texts else []
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
    vectors = np.zeros((len(rows), encoder.bert_config.hidden_size), np.float32)
    for start in range(0, len(rows), batch_size):
        chosen = order[start : start + batch_size]
        inputs = _padded([rows[i] for i in chosen], tokenizer.pad_id, max_seq_length)
        hidden = np.asarray(encoder.predict_on_batch(inputs)["sequence_output"], np.float32)  # (B, S, H)
        vectors[chosen] = POOLINGS[pooling](hidden, inputs["input_mask"])
        if progress is not None:
            progress("embed", start + len(chosen), len(rows), "text")
    return _unit(vectors) if normalize else vectors


def similar(queries, corpus, top_k=5):
    """Finds the vectors of a corpus that point most in the direction of each query, by cosine.

    Args:
        queries: float (Q, H).
        corpus: float (N, H).
        top_k: how many to find for each query; all where the corpus has fewer.

    Returns:
        rows, scores: int64 (Q, K) places in the corpus, the nearest first and of equal ones the first; their cosines,
        float32 (Q, K). A vector of zeros has the cosine 0 with all.

    Raises:
        UserError: other shapes, or `top_k` below 1.

    Example:
        >>> rows, scores = similar([[1.0, 0.0]], [[0.0, 2.0], [3.0, 0.0], [1.0, 1.0]], top_k=2)
        >>> rows.tolist(), scores.round(3).tolist()
        ([[1, 2]], [[1.0, 0.7070000171661377]])
    """
    queries, corpus = (np.asarray(vectors, np.float32) for vectors in (queries, corpus))
    if queries.ndim != 2 or corpus.ndim != 2 or queries.shape[1] != corpus.shape[1]:
        raise UserError(f"queries (Q, H) and corpus (N, H) were expected. Received: {queries.shape}, {corpus.shape}.")
    if top_k < 1:
        raise UserError(f"top_k must be at least 1. Received: {top_k}.")
    queries = _unit(queries)
    rows, scores = np.zeros((len(queries), 0), np.int64), np.zeros((len(queries), 0), np.float32)
    for start in range(0, len(corpus), BLOCK):
        cosines = queries @ _unit(corpus[start : start + BLOCK]).T  # (Q, block)
        places = np.broadcast_to(np.arange(start, start + cosines.shape[1]), cosines.shape)
        scores, rows = np.concatenate([scores, cosines], axis=1), np.concatenate([rows, places], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
        scores, rows = np.take_along_axis(scores, best, axis=1), np.take_along_axis(rows, best, axis=1)
    return rows, scores


def sentence_settings(folder, config):
    """Returns how a model's sentence vectors are made: what sentence-transformers' files beside it say, if any.

    Args:
        folder: the model directory.
        config: the model's BertConfig.

    Returns:
        {"pooling", "normalize", "max_seq_length"}, as `embed` takes them. Without such files the mean, length 1 and
        128 tokens, or as many as the model reads. "pooling" is None where they ask for one that `embed` does not know.

    Raises:
        UserError: a file that is no JSON, or one that asks for more than pooling and length 1.
    """
    folder, most = Path(folder), config.max_position_embeddings
    settings = {"pooling": "mean", "normalize": True, "max_seq_length": min(DEFAULT_LENGTH, most)}
    if not (folder / "modules.json").is_file():
        return settings
    settings["normalize"] = False
    for kind, place in _modules(folder):
        if kind == "Transformer":
            length = _field(place / "sentence_bert_config.json", "max_seq_length")
            settings["max_seq_length"] = min(length or most, most)
        elif kind == "Pooling":
            settings["pooling"] = _named_pooling(_read(place / "config.json"))
        elif kind == "Normalize":
            settings["normalize"] = True
        else:
            raise UserError(f"{folder}/modules.json asks for a layer {kind} after the pooling, which is not read here.")
    return settings


def _modules(folder):
    """Returns (class, folder) of each layer that sentence-transformers' modules.json names."""
    path = folder / "modules.json"
    try:
        modules = json.loads(path.read_text(encoding="utf-8"))
        return [(module["type"].rpartition(".")[2], folder / module["path"]) for module in modules]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path} is no list of layers with type and path, as sentence-transformers writes.") from error


def _named_pooling(fields):
    """Returns the pooling that a file of sentence-transformers asks for, of its newer or older form, or None."""
    mode = fields.get("pooling_mode")
    if mode is None:
        older = {"cls_token": "cls", "mean_tokens": "mean", "max_tokens": "max"}
        prefix = "pooling_mode_"
        chosen = [name.removeprefix(prefix) for name, on in fields.items() if on is True and name.startswith(prefix)]
        mode = older.get(chosen[0]) if len(chosen) == 1 else None
    return mode if mode in tuple(POOLINGS) else None  # it may be a list of several


def _read(path):
    return read_json(path, what="The model's settings") if path.is_file() else {}


def _field(path, name):
    return _read(path).get(name)


def _padded(rows, pad_id, max_seq_length):
    """Returns the encoder's inputs of rows of ids, int32 (B, S); S is the longest row's, rounded up."""
    lengths = np.array([len(row) for row in rows])
    width = min(max_seq_length, -(-int(lengths.max()) // LENGTH_MULTIPLE) * LENGTH_MULTIPLE)
    mask = (np.arange(width) < lengths[:, None]).astype(np.int32)
    ids = np.full((len(rows), width), pad_id, np.int32)
    ids[mask.astype(bool)] = np.concatenate(rows)
    return {"input_ids": ids, "input_mask": mask, "segment_ids": np.zeros_like(ids)}


def _unit(vectors):
    """Returns vectors (N, H) of length 1; what is zero stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
