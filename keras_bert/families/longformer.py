"""Longformer (Beltagy et al. 2020): RoBERTa whose tokens see those near them, and a few that see all.

Source of the names: transformers, modeling_longformer.py. config.json counts a window on both sides together.
"""

import dataclasses

from keras_bert.errors import UserError
from keras_bert.families.base import Family, dense
from keras_bert.families.bert import BLOCK, sized
from keras_bert.families.roberta import ROBERTA, SHARED

GLOBAL = ("query_global", "key_global", "value_global")
LONG = {**SHARED, "max_position_embeddings": 4098, "sep_token_id": 2, "attention_window": (256,)}


def read_window(fields, file):
    """Returns the fields with the window of each layer, tokens on each side: one number is every layer's.

    >>> read_window({"num_hidden_layers": 2}, {"attention_window": [4, 6]})["attention_window"]
    (2, 3)
    """
    given, layers = file.get("attention_window", 512), fields.get("num_hidden_layers", 12)
    windows = given if isinstance(given, list) else [given]
    whole = all(isinstance(window, int) and not isinstance(window, bool) for window in windows)
    if not windows or not whole or any(window < 2 or window % 2 for window in windows):
        raise UserError(
            "attention_window must be an even number of tokens of at least 2, or a list with one for each layer. "
            f"Received: {given!r:.80}."
        )
    if isinstance(given, list) and len(given) != layers:
        raise UserError(
            f"attention_window must have a number for each of the {layers} layers. Received: {len(given)} numbers."
        )
    return {**fields, "attention_window": tuple(window // 2 for window in windows)}


def write_window(config):
    """Returns what config.json says of the windows: a number that holds for every layer, or a list of one each."""
    windows = [2 * window for window in config.attention_window]
    if len(windows) == 1 and config.num_hidden_layers > 1:
        return {"attention_window": windows[0]}
    return {"attention_window": [windows[i % len(windows)] for i in range(config.num_hidden_layers)]}


LONGFORMER = Family(
    name="longformer",
    title="Longformer",
    architecture="Longformer",
    fields=ROBERTA.fields,
    defaults={
        **{"hidden_act": "gelu", "vocab_size": 30522, "pad_token_id": 1, "sep_token_id": 2},
        "attention_window": (256,),
    },
    fixed={**ROBERTA.fixed, "attention": "global_local", "classifier_dropout_prob": None},
    sizes={"longformer-base-4096": sized(12, 768, **LONG), "longformer-large-4096": sized(24, 1024, **LONG)},
    names=dataclasses.replace(
        ROBERTA.names,
        prefix="longformer.",
        block={
            **BLOCK,
            **{
                name: places
                for each in GLOBAL
                for name, places in dense(f"attention.self.{each}", f"attention/self/{each}").items()
            },
        },
    ),
    heads=ROBERTA.heads,
    also=("sep_token_id",),
    read=read_window,
    write=write_window,
)
