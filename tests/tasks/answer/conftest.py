"""A small vocabulary, and SQuAD files made of Python values."""

import json

import pytest

from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

WORDS = "who came when where was the norse leader rollo in 911 to norman ##dy ##s and of france ? . , ( ) - '".split()


@pytest.fixture(scope="session")
def tokenizer():
    return Tokenizer(Vocabulary([*SPECIAL_TOKENS, *WORDS, *"abcdefghij"]))


@pytest.fixture
def squad_file(tmp_path):
    """A function that writes (context, [fields of a question, ...]) pairs as a SQuAD file and returns its path."""

    def write(*paragraphs, name="squad.json", version="1.1"):
        entries = []
        for context, questions in paragraphs:
            qas = []
            for fields in questions:
                fields = {"id": f"q{len(entries)}-{len(qas)}", "question": "Who came?", **fields}
                if isinstance(fields.get("answers"), str):
                    text = fields["answers"]
                    fields["answers"] = [{"text": text, "answer_start": context.index(text)}]
                qas.append(fields)
            entries.append({"context": context, "qas": qas})
        path = tmp_path / name
        path.write_text(json.dumps({"version": version, "data": [{"title": "t", "paragraphs": entries}]}))
        return path

    return write
