"""Sentence embeddings and the search among them (Reimers and Gurevych 2019, sections 3 and 4).

Runs on any Keras backend. N texts, Q queries, B batch, S sequence, H hidden, K top_k.
"""

import numpy as np
from keras import ops

from keras_bert.data.texts import text_rows
from keras_bert.errors import UserError
from keras_bert.tasks.embed.vectors import vectors_of
from keras_bert.tasks.inputs import check_length, check_texts, check_vocabulary
from keras_bert.text.layout import LENGTH_MULTIPLE

BLOCK = 1 << 16  # rows of the corpus that are compared at a time


def embed(
    model,
    tokenizer,
    texts,
    *,
    pooling=None,
    normalize=None,
    batch_size=32,
    max_seq_length=None,
    prompt=None,
    prompt_name=None,
    progress=None,
):
    """Gives each text one vector, made of its tokens' last hidden states.

    What is left out is as the model's own files say (of sentence-transformers, in its layout of 6.x or an older one),
    and else the mean, length 1, 128 tokens and no prompt. The texts go through the model in order of length, the
    longest first, so that little of a batch is padding.

    Args:
        model: an Encoder, or a model with one.
        tokenizer: its Tokenizer.
        texts: list of N str.
        pooling: "mean" of the tokens, special ones among them; "cls", the first one's; "max", the largest of each
            component; "mean_sqrt_len_tokens", "weightedmean" or "lasttoken"; or a list, for one after the other.
        normalize: whether each vector is given length 1, so that a dot product is a cosine.
        batch_size: texts that the model reads at a time.
        max_seq_length: longer texts are cut to it, the prompt's tokens among them.
        prompt: what to put before each text, such as "query: "; "" for nothing.
        prompt_name: instead, the name of one of the model's prompts, such as "query" or "document". Without both the
            model's default prompt, if it has one, is taken.
        progress: called as progress("embed", done, total, "text") after each batch.

    Returns:
        float32 (N, H), in the order of the texts; of several poolings (N, H times their number).

    Raises:
        UserError: no list of strings, an unknown pooling or prompt, a length that the model cannot read, a tokenizer
            of another vocabulary, or a model whose files ask for more than is done here, such as a Dense module.

    Example:
        >>> from keras_bert.config import Config
        >>> from keras_bert.models import Encoder
        >>> from keras_bert.text.tokenizer import Tokenizer
        >>> from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
        >>> tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "good", "bad"]))
        >>> model = Encoder(Config.from_name("L-1_H-64", vocab_size=7))
        >>> embed(model, tokenizer, ["good", "bad"]).shape
        (2, 64)
    """
    encoder = getattr(model, "encoder", model)
    texts = check_texts(texts)
    check_vocabulary(encoder.bert_config, tokenizer)
    made = vectors_of(
        encoder,
        pooling=pooling,
        normalize=normalize,
        max_seq_length=max_seq_length,
        prompt=prompt,
        prompt_name=prompt_name,
    )
    length = made.max_seq_length
    check_length(encoder.bert_config, length, layout=tokenizer.layout)
    made.check(tokenizer)
    if batch_size < 1:
        raise UserError(f"batch_size must be at least 1. Received: {batch_size}.")
    prompted = [made.prompt + text for text in texts]
    rows = text_rows(prompted, tokenizer, max_seq_length=length)["input_ids"] if texts else []
    order, skipped = sorted(range(len(rows)), key=lambda i: -len(rows[i])), made.prompt_length(tokenizer)
    vectors = np.zeros((len(rows), encoder.bert_config.hidden_size * len(made.poolings)), np.float32)
    for start in range(0, len(rows), batch_size):
        chosen = order[start : start + batch_size]
        inputs = _padded([rows[i] for i in chosen], tokenizer.pad_id, length)
        hidden = np.asarray(encoder.predict_on_batch(inputs)["sequence_output"], np.float32)  # (B, S, H)
        vectors[chosen] = ops.convert_to_numpy(made.pool(hidden, inputs["input_mask"], skipped))
        if progress is not None:
            progress("embed", start + len(chosen), len(rows), "text")
    return vectors


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
