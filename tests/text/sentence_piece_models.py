"""SentencePiece models for tests: small ones trained here, and those beside the golden files."""

import functools
import gzip
import io
import json
import lzma
from pathlib import Path

from keras_bert.text.added import KeptTokens
from keras_bert.text.engine import Engine
from keras_bert.text.sentence_piece.pieces import SentencePiece
from keras_bert.text.sentence_piece.rules import FAMILIES

# {folder of the golden files: (folder of the model, its file, family, changes of its rules, special tokens around)}
GOLDEN = {
    "albert_30k_clean": ("albert_30k_clean", "spiece.model", "albert", {}, (1, 1)),
    "albert_30k_clean_cased": (
        *("albert_30k_clean", "spiece.model", "albert"),
        *({"do_lower_case": False, "keeps_accents": True}, (1, 1)),
    ),
    "big_bird_selftrained": ("big_bird_selftrained", "spiece.model", "big_bird", {}, (1, 1)),
    "deberta_v3_selftrained": ("deberta_v3_selftrained", "spm.model", "deberta_v2", {}, (1, 1)),
    "kobert_selftrained": ("kobert_selftrained", "spiece.model", "xlnet", {}, (0, 2)),
    "xlm_roberta_selftrained": ("xlm_roberta_selftrained", "sentencepiece.bpe.model", "xlm_roberta", {}, (1, 1)),
    "xlm_roberta_real": ("xlm_roberta_real", "sentencepiece.bpe.model", "xlm_roberta", {}, (1, 1)),
}
_BERT = {"pad_piece": "[PAD]", "unk_piece": "[UNK]", "bos_piece": "[CLS]", "eos_piece": "[SEP]"}
_ALBERT = {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": ["[CLS]", "[SEP]", "[MASK]"]}
# {name: (family, arguments of sentencepiece's trainer)}
SMALL = {
    "albert": ("albert", _ALBERT | {"user_defined_symbols": ["(", ")", '"', "-", ".", "–", "£", "€"]}),
    "xlm_roberta": ("xlm_roberta", {"unk_id": 0, "bos_id": 1, "eos_id": 2, "pad_id": -1}),
    "deberta_v2": ("deberta_v2", {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3, **_BERT}),
    "kobert": (
        "kobert",
        {"unk_id": 0, "pad_id": 1, "bos_id": 2, "eos_id": 3, "control_symbols": ["[MASK]"], **_BERT},
    ),
    "big_bird": (
        "big_bird",
        {"pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3, "model_type": "bpe"}
        | {"control_symbols": ["[CLS]", "[SEP]", "[MASK]"]},
    ),
}


@functools.cache
def small_engine(name):
    """Returns a SentencePiece whose model is trained on prose.txt and a few lines in other scripts."""
    return SentencePiece(small_model(name), FAMILIES[SMALL[name][0]])


@functools.cache
def small_model(name):
    """Returns the bytes of a small model."""
    import sentencepiece

    lines = Path(__file__).with_name("prose.txt").read_text(encoding="utf-8").splitlines()
    lines += ["나는 학교에 간다. 한국어 글자를 읽는다.", "555 55 1999, 2,000,"] * 9
    lines += ["東京は日本の首都です。 パソコン", "été Zürich straße"] * 9
    lines = [line.lower() for line in lines] + lines
    written = io.BytesIO()
    _, options = SMALL[name]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=written,
        vocab_size=600,
        character_coverage=1.0,
        minloglevel=2,
        num_threads=1,
        **{"model_type": "unigram"} | options,
    )
    return written.getvalue()


@functools.cache
def golden_engine(shared, name):
    """Returns the SentencePiece of a folder of golden files."""
    folder, file, family, changes, _ = GOLDEN[name]
    data = lzma.decompress((shared / "golden" / "tokenizers" / folder / f"{file}.xz").read_bytes())
    return SentencePiece(data, FAMILIES[family].replaced(**changes))


@functools.cache
def golden_cases(shared, name):
    """Returns [(text, ids without the special tokens around it)] of the slow tokenizer."""
    folder = shared / "golden" / "tokenizers"
    if name == "xlm_roberta_real":
        cases = json.loads(gzip.decompress((folder / "golden_xlm_roberta_real.visible.json.gz").read_bytes()))
    else:
        cases = json.loads(gzip.decompress((folder / "golden.visible.json.gz").read_bytes()))[name]
    before, after = GOLDEN[name][4]
    rows = [(row["text"], row["slow_v4"] if "slow_v4" in row else row["ids"]) for row in cases["rows"]]
    return [(text, ids[before : len(ids) - after]) for text, ids in rows]


def ids_with_kept(engine, text):
    """Returns the ids of a text in which the family's special tokens are kept whole."""
    kept = KeptTokens(engine.added, *Engine.normalizers)
    ids = []
    for start, end, token in kept.split(text):
        ids += [engine.tokens.index(token.content)] if token else engine.ids(text[start:end])
    return ids
