"""What holds for a Tokenizer of every kind: one answer in Python, in bulk, with offsets and in the graph; its files."""

import gzip
import json
import lzma
import pickle

import numpy as np
import pytest

from keras_bert.errors import UserError
from keras_bert.text.kinds import kind_of
from keras_bert.text.rules import AddedToken
from keras_bert.text.spelling import ANGLED, ROLES, SPECIAL_TOKENS
from keras_bert.text.tokenizer import Tokenizer
from tests.text.kinds import KINDS, TEXTS, folder_of, fuzzed, small_tokenizer

# {folder of the golden files: (what is missing there and lies elsewhere, special tokens around the golden ids)}
GOLDEN = {
    "roberta": (None, (1, 1)),
    "modernbert_rebuilt": (None, (1, 1)),
    "albert_30k_clean": (None, (1, 1)),
    "albert_30k_clean_cased": ("golden/tokenizers/albert_30k_clean/spiece.model.xz", (1, 1)),
    "xlm_roberta_selftrained": (None, (1, 1)),
    "deberta_v3_selftrained": (None, (1, 1)),
    "big_bird_selftrained": (None, (1, 1)),
    "kobert_selftrained": (None, (0, 2)),  # made by XLNet's class, which puts its special tokens at the end
}


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request):
    return small_tokenizer(request.param)


def rows(ids, lengths):
    """Returns the ids of each text as lists."""
    return [row.tolist() for row in np.split(ids, np.cumsum(lengths)[:-1])]


def unpacked(shared, name, folder):
    """Unpacks a golden tokenizer's files into a folder, with what lies elsewhere."""
    other, _ = GOLDEN[name]
    paths = [*(shared / "golden" / "tokenizers" / name).iterdir(), *([shared / other] if other else [])]
    for path in paths:
        packed = path.suffix == ".xz"
        data = path.read_bytes()
        (folder / (path.stem if packed else path.name)).write_bytes(lzma.decompress(data) if packed else data)
    return folder


def test_bulk_and_offsets_give_the_same_ids(tokenizer):
    texts = [*TEXTS, *fuzzed(300, tokenizer)]
    expected = [tokenizer.token_ids(text) for text in texts]
    assert rows(*tokenizer.bulk().token_ids(texts)) == expected
    assert tokenizer.bulk().token_ids([])[0].size == 0
    for text, ids in zip(texts, expected, strict=True):
        found, offsets = tokenizer.token_ids_with_offsets(text)
        assert found == ids
        assert all(0 <= start <= end <= len(text) for start, end in offsets)
        assert [start for start, _ in offsets] == sorted(start for start, _ in offsets)


def test_lone_surrogates_have_places(tokenizer):
    for text in ("\ud800", "a\udc00b \ud800", "e\ud800\u0301 \u00e9", "한\ud800 \u1112\u1161\udfff\u11ab"):
        ids, offsets = tokenizer.token_ids_with_offsets(text)
        assert ids == tokenizer.token_ids(text) == tokenizer.bulk().token_ids([text])[0].tolist()
        assert all(0 <= start <= end <= len(text) for start, end in offsets)


def test_added_tokens_are_found_beside_lone_surrogates():
    tokenizer = small_tokenizer("modern")
    vocabulary = tokenizer.vocabulary.with_added([AddedToken("caf\u00e9", special=False)])
    tokenizer = Tokenizer.of_engine(tokenizer.engine, vocabulary)
    text = "x\ud800cafe\u0301\udc00 y"
    ids, offsets = tokenizer.token_ids_with_offsets(text)
    assert ids == tokenizer.token_ids(text)
    assert len(tokenizer) - 1 in ids
    assert offsets[ids.index(len(tokenizer) - 1)] == (2, 8)


def test_a_pickle_and_what_is_saved_give_the_same_ids(tokenizer, tmp_path):
    folder = folder_of(tokenizer, tmp_path / "saved")
    saved = Tokenizer.from_pretrained(folder)
    assert kind_of(folder) == saved.kind == tokenizer.kind
    assert saved.layout == tokenizer.layout and saved.fingerprint == tokenizer.fingerprint
    assert saved.vocabulary.tokens == tokenizer.vocabulary.tokens
    assert saved.vocabulary.special_ids == tokenizer.vocabulary.special_ids
    texts = [*TEXTS, *fuzzed(100, tokenizer, seed=1)]
    for other in (saved, pickle.loads(pickle.dumps(tokenizer))):
        assert [other.token_ids(text) for text in texts] == [tokenizer.token_ids(text) for text in texts]


def test_tokens_are_added_kept_whole_and_saved(tokenizer, tmp_path):
    if tokenizer.kind == "wordpiece":
        more = Tokenizer(tokenizer.vocabulary, added_tokens=["[SUBJ]"])
    else:
        more = Tokenizer.of_engine(tokenizer.engine, tokenizer.vocabulary.with_added(["[SUBJ]"]))
    again = Tokenizer.from_pretrained(folder_of(more, tmp_path / "more"))
    for each in (more, again):
        assert len(each) == len(tokenizer) + 1
        assert each.token_ids("the [SUBJ]fox").count(len(tokenizer)) == 1
        assert rows(*each.bulk().token_ids(["[SUBJ]", "x"]))[0] == [len(tokenizer)]
        assert "[SUBJ]" not in each.decode(each.token_ids("the [SUBJ] fox"))


def test_words_begin_where_their_spelling_says(tokenizer):
    ids = [index for word in ("the", "quick", "fox") for index in tokenizer.word_ids(word)]
    inside = tokenizer.vocabulary.is_continuation[ids]
    assert not inside[0] and len(ids) - inside.sum() == 3
    assert not tokenizer.vocabulary.is_continuation[list(tokenizer.vocabulary.special_ids)].any()
    assert not set(tokenizer.vocabulary.special_ids) & set(tokenizer.vocabulary.replacement_ids.tolist())
    assert tokenizer.word_ids_with_offsets("fox")[1][-1][1] == 3


def test_text_comes_back(tokenizer):
    text = "the quick brown fox"
    encoded = tokenizer(text)["input_ids"][0]
    assert tokenizer.decode(encoded).strip() == text
    assert tokenizer.mask_token in tokenizer.decode([*encoded, tokenizer.mask_id])
    assert tokenizer.shown(tokenizer.mask_id) == tokenizer.mask_token


def test_layouts_pair_texts_as_the_family_does(tokenizer):
    row = tokenizer("a", "b")
    first, second = tokenizer.token_ids("a"), tokenizer.token_ids("b")
    between = [tokenizer.sep_id] * len(tokenizer.layout.between)
    expected = [tokenizer.cls_id, *first, *between, *second, tokenizer.sep_id]
    assert row["input_ids"].tolist() == [expected]
    assert row["segment_ids"].any() == tokenizer.layout.segments


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_strings(shared, tmp_path, name):
    tokenizer = Tokenizer.from_pretrained(unpacked(shared, name, tmp_path))
    packed = shared / "golden" / "tokenizers" / "golden.visible.json.gz"
    before, after = GOLDEN[name][1]
    wanted = {}
    for row in json.loads(gzip.decompress(packed.read_bytes()))[name]["rows"]:
        ids = next(row[key] for key in ("ids", "slow_v4", "fast_v5") if key in row)
        wanted[row["text"]] = ids[before : len(ids) - after]
    assert len(wanted) > 100
    found = {text: tokenizer.token_ids(text) for text in wanted}
    assert {text: ids for text, ids in found.items() if ids != wanted[text]} == {}
    assert rows(*tokenizer.bulk().token_ids(list(wanted))) == list(wanted.values())


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"vocab.json": "{}", "spiece.model": ""}, "has files of two kinds of tokenizers"),
        ({"vocab.json": '{"a": 0}', "merges.txt": ""}, "lacks"),
        ({"spiece.model": "x", "config.json": '{"model_type": "albert"}'}, "damaged"),
        ({"vocab.json": '{"a": 0}', "tokenizer_config.json": '{"tokenizer_class": "RobertaTokenizer"}'}, "merges.txt"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path, files, sentence):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=sentence) as caught:
        Tokenizer.from_pretrained(tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("model", ["null", "5", "[]", '"x"', '{"type": []}'])
def test_a_tokenizer_json_without_a_model_is_one_sentence(tmp_path, model):
    (tmp_path / "tokenizer.json").write_text(f'{{"model": {model}}}')
    with pytest.raises(UserError, match=r"tokenizer\.json is not a BERT tokenizer: its model's type is"):
        Tokenizer.from_pretrained(tmp_path)


def test_a_class_of_no_kind_reads_tokenizer_json_alone(tmp_path):
    modern = folder_of(small_tokenizer("modern"), tmp_path / "modern")
    roberta = folder_of(small_tokenizer("roberta"), tmp_path / "roberta")
    text = "e\u0301 a"
    assert small_tokenizer("modern").token_ids(text) != small_tokenizer("roberta").token_ids(text)
    for name in ("vocab.json", "merges.txt"):
        (modern / name).write_bytes((roberta / name).read_bytes())
    tokenizer = Tokenizer.from_pretrained(modern)
    assert tokenizer.token_ids(text) == small_tokenizer("modern").token_ids(text)
    assert tokenizer.layout == small_tokenizer("modern").layout


def test_special_tokens_of_another_family_are_saved(tmp_path):
    """A DeBERTa that transformers 5 saves has RoBERTa's template and its own [CLS]."""
    folder = folder_of(small_tokenizer("roberta"), tmp_path / "roberta")
    fields = json.loads((folder / "vocab.json").read_text())
    names = dict(zip(ANGLED, SPECIAL_TOKENS, strict=True))
    (folder / "vocab.json").write_text(json.dumps({names.get(token, token): i for token, i in fields.items()}))
    named = {f"{role}_token": token for role, token in zip(ROLES, SPECIAL_TOKENS, strict=True)}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "RobertaTokenizer", **named}))
    tokenizer = Tokenizer.from_pretrained(folder)
    tokenizer.save_pretrained(tmp_path / "again")
    again = Tokenizer.from_pretrained(tmp_path / "again")
    assert again.vocabulary.spelling.special == SPECIAL_TOKENS
    assert again.token_ids("a [MASK] b") == tokenizer.token_ids("a [MASK] b")


@pytest.mark.parametrize("name", [pytest.param("roberta"), pytest.param("albert", marks=pytest.mark.slow)])
def test_special_tokens_map_counts_more_than_the_class_s_configuration(tmp_path, name):
    """As in transformers, but not where there is an added_tokens_decoder, which newer releases write."""
    tokenizer = small_tokenizer(name)
    folder, token = folder_of(tokenizer, tmp_path / name), tokenizer.vocabulary.token(40)
    path = folder / "tokenizer_config.json"
    fields = json.loads(path.read_text())
    shown = {"content": token, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False}
    for said in (token, shown):
        (folder / "special_tokens_map.json").write_text(json.dumps({"mask_token": said}))
        path.write_text(json.dumps(fields | {"mask_token": tokenizer.mask_token}))
        assert "added_tokens_decoder" in fields
        assert Tokenizer.from_pretrained(folder).mask_token == tokenizer.mask_token
        path.write_text(
            json.dumps({k: v for k, v in fields.items() if k not in ("mask_token", "added_tokens_decoder")})
        )
        assert Tokenizer.from_pretrained(folder).mask_token == token
    rest = {k: v for k, v in fields.items() if k not in ("mask_token", "added_tokens_decoder")}
    path.write_text(json.dumps(rest | {"mask_token": tokenizer.mask_token}))
    assert Tokenizer.from_pretrained(folder).mask_token == token
    path.write_text(json.dumps({k: v for k, v in fields.items() if k != "mask_token"}))
    assert Tokenizer.from_pretrained(folder).mask_token == tokenizer.mask_token
    (folder / "special_tokens_map.json").write_text(json.dumps({"mask_token": {"content": ""}}))
    path.write_text(json.dumps(rest))
    assert Tokenizer.from_pretrained(folder).mask_token == tokenizer.mask_token


@pytest.mark.slow
@pytest.mark.parametrize("name", ["roberta", "albert"])
def test_ids_of_added_tokens_past_16_bits_in_bulk(name):
    small = small_tokenizer(name)
    vocabulary = small.vocabulary.with_added([f"<extra{number}>" for number in range(66000)])
    tokenizer = Tokenizer.of_engine(small.engine, vocabulary)
    last = len(tokenizer) - 1
    assert last > 1 << 16
    ids, _ = tokenizer.bulk().token_ids(["a", "a <extra65999>"])
    assert ids.tolist() == tokenizer.token_ids("a") + tokenizer.token_ids("a <extra65999>")
    assert ids[-1] == last
    assert ids.dtype == tokenizer.bulk().token_ids(["a"])[0].dtype == np.int32


def test_lower_casing_is_a_rule_of_wordpiece(tmp_path):
    folder = folder_of(small_tokenizer("roberta"), tmp_path / "roberta")
    with pytest.raises(UserError, match=r"do_lower_case is for WordPiece, and the tokenizer in .* is byte-level BPE"):
        Tokenizer.from_pretrained(folder, do_lower_case=True)
