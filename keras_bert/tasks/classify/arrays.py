"""Classes in Python as arrays: the same numbers as the exported SavedModel gives.

Runs on any Keras backend. B batch, C classes.
"""

import numpy as np
from scipy.special import expit, softmax

from keras_bert.errors import UserError
from keras_bert.models.classifier import LABEL_SEPARATOR
from keras_bert.tasks.inputs import batches, check_length, check_texts, check_vocabulary


def predict(model, tokenizer, texts, pairs=None, *, max_seq_length=128, batch_size=32):
    """Classifies texts, or pairs of texts, into arrays. `kb.predict` answers for every kind of model, a dict a text.

    Args:
        model: a Classifier.
        tokenizer: its Tokenizer.
        texts: list of str.
        pairs: list of as many second texts, or None.
        max_seq_length: longer texts are cut to it.
        batch_size: texts that the model reads at a time.

    Returns:
        {"label": list of str, "probabilities": float32 (B, C)}, B being all texts; of a regressor
        {"score": float32 (B,)}. Where a text may have several labels, "label" is those of a probability of 0.5 or
        more, with commas between them.
    """
    texts = check_texts(texts)
    if pairs is not None:
        pairs = check_texts(pairs, what="pairs")
        if len(pairs) != len(texts):
            raise UserError(f"pairs must be as many as texts. Received: {len(pairs)} and {len(texts)}.")
    check_vocabulary(model.bert_config, tokenizer)
    check_length(model.bert_config, max_seq_length, pair=pairs is not None, layout=tokenizer.layout)
    logits = [np.zeros((0, model.num_classes), np.float32)]
    for inputs in batches(tokenizer, texts, pairs, max_seq_length=max_seq_length, batch_size=batch_size):
        logits.append(np.asarray(model.predict_on_batch(inputs), np.float32))
    logits = np.concatenate(logits)  # (B, C)
    if model.kind == "regression":
        return {"score": logits[:, 0]}
    names = [str(label) for label in model.labels]
    if model.multi_label:
        chosen = [[name for name, logit in zip(names, row, strict=True) if logit >= 0] for row in logits]
        return {"label": [LABEL_SEPARATOR.join(each) for each in chosen], "probabilities": expit(logits)}
    return {"label": [names[i] for i in logits.argmax(axis=1)], "probabilities": softmax(logits, axis=-1)}
