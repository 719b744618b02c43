"""The longest text of a model whose positions are counted from past the padding's id, wherever a length is compared."""

import types

import pytest

from keras_bert.config import Config
from keras_bert.errors import UserError
from keras_bert.tasks.answer.answering import Answerer
from keras_bert.tasks.asking import reading_of
from keras_bert.tasks.embed.vectors import vectors_of
from keras_bert.tasks.inputs import check_length
from keras_bert.tasks.rows import tasks
from keras_bert.tasks.tag.tagging import predict_tags
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

CONFIG = Config(family="roberta", vocab_size=9, positions_from_ids=True, pad_token_id=0, max_position_embeddings=20)
MODEL = types.SimpleNamespace(
    bert_config=CONFIG, sentence_vectors=None, TASK="classify", null_score_diff_threshold=None
)
LONGEST = 19


def test_the_length_where_nobody_says():
    lengths = [vectors_of(MODEL).max_seq_length, reading_of(MODEL)["max_seq_length"], tasks()["tag"].length(CONFIG)]
    assert lengths == [LONGEST] * 3


@pytest.mark.parametrize(
    "ask",
    [
        lambda length, tokenizer: check_length(CONFIG, length),
        lambda length, tokenizer: predict_tags(MODEL, tokenizer, [], max_seq_length=length),
        lambda length, tokenizer: Answerer(MODEL, tokenizer, max_seq_length=length, doc_stride=2),
    ],
)
def test_a_length_that_the_model_cannot_read(ask):
    tokenizer = Tokenizer(Vocabulary([*SPECIAL_TOKENS, "a"]))
    with pytest.raises(UserError, match=rf"{LONGEST}\D.*"):
        ask(LONGEST + 1, tokenizer)
