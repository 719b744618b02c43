"""The families of encoders by config.json's model_type. A new family is one file and one row here."""

from keras_bert.errors import UserError
from keras_bert.families.albert import ALBERT
from keras_bert.families.base import ACTIVATIONS, WRITTEN, Family, Head, Names, Place
from keras_bert.families.bert import BERT, SIZES
from keras_bert.families.big_bird import BIG_BIRD
from keras_bert.families.deberta import DEBERTA, DEBERTA_V2
from keras_bert.families.distilbert import DISTILBERT
from keras_bert.families.electra import ELECTRA
from keras_bert.families.longformer import LONGFORMER
from keras_bert.families.mobilebert import MOBILEBERT
from keras_bert.families.modernbert import MODERNBERT
from keras_bert.families.roberta import ROBERTA, XLM_ROBERTA

ROWS = (
    *(BERT, ROBERTA, XLM_ROBERTA, DISTILBERT, ALBERT, ELECTRA),
    *(MOBILEBERT, DEBERTA, DEBERTA_V2, LONGFORMER, BIG_BIRD, MODERNBERT),
)
FAMILIES = {family.name: family for family in ROWS}

__all__ = ["ACTIVATIONS", "FAMILIES", "SIZES", "WRITTEN", "Family", "Head", "Names", "Place", "find_family"]


def find_family(name):
    """Returns the Family of a model_type.

    Raises:
        UserError: no such family is known; the sentence lists those that are.
    """
    if not isinstance(name, str) or name not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise UserError(
            f"model_type is {name!r:.80}, which is not a known family of encoders; the known ones are {known}."
        )
    return FAMILIES[name]
