"""The whole way for a family with each kind of tokenizer: records, pre-training, fill-mask, classifier, SavedModel."""

import json

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.cli.main import dispatch, main
from keras_bert.data.columns import read_columns
from keras_bert.data.records import read_manifest, tokenizer_beside
from keras_bert.text.tokenizer import Tokenizer
from tests.text.kinds import FIRST, folder_of, slow_but, small_tokenizer

FAMILIES = {"roberta": "roberta", "xlm_roberta": "xlm-roberta", "albert": "albert", "kobert": "bert"}  # model_type
WORDS = "the quick brown fox jumps over a lazy dog while words of several pieces stand together".split()


PARAMETERS = [*slow_but(FIRST, ["roberta", "xlm_roberta", "albert"]), pytest.param("kobert", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=PARAMETERS)
def family(request):
    return request.param


@pytest.fixture(scope="module")
def folder(family, tmp_path_factory):
    """A corpus, a tokenizer, and the records that the data tool makes with them."""
    folder, draw = tmp_path_factory.mktemp(family), np.random.default_rng(0)
    folder_of(small_tokenizer(family), folder / "tokenizer")
    lines = [" ".join(draw.choice(WORDS, draw.integers(3, 12))) + "." for _ in range(120)]
    text = "\n\n".join("\n".join(lines[start : start + 6]) for start in range(0, 120, 6))
    (folder / "corpus.txt").write_text(text + "\n")
    task = {"albert": "sop", "kobert": "nsp"}.get(family, "none")
    flags = f"--input_file={folder}/corpus.txt --vocab_file={folder}/tokenizer --output_file={folder}/a.tfrecord"
    more = (
        f"--max_seq_length=32 --max_predictions_per_seq=5 --dupe_factor=2 --masking=whole_word --sentence_task={task}"
    )
    assert main(["create_pretraining_data", *flags.split(), *more.split()]) == 0
    return folder


def test_records_hold_the_tokenizer_s_ids_in_its_layout(folder, family):
    tokenizer, manifest = Tokenizer.from_pretrained(folder / "tokenizer"), read_manifest(folder / "a.tfrecord")
    assert manifest["tokenizer"] == tokenizer.kind and manifest["tokenizer_sha256"] == tokenizer.fingerprint
    assert Tokenizer.from_pretrained(tokenizer_beside([folder / "a.tfrecord"])).fingerprint == tokenizer.fingerprint
    [batch] = read_columns(folder / "a.tfrecord", batch_size=10_000)
    ids, mask = batch["input_ids"], batch["input_mask"] > 0
    assert (ids[:, 0] == tokenizer.cls_id).all() and (ids[~mask] == tokenizer.pad_id).all()
    assert batch["segment_ids"].any() == (family in ("albert", "kobert"))
    originals = ids.copy()
    for row, positions in enumerate(batch["masked_lm_positions"]):
        weights = batch["masked_lm_weights"][row] > 0
        originals[row, positions[weights]] = batch["masked_lm_ids"][row][weights]
    text = (folder / "corpus.txt").read_text().lower()
    first, second = (mask[0] & (batch["segment_ids"][0] == segment) for segment in (0, 1))
    shown = [*tokenizer.decode(originals[0][first]).split(), *tokenizer.decode(originals[0][second]).split()]
    assert all(word.strip(".") in text for word in shown) and len(shown) > 5  # a cut may begin or end within a word
    inside = tokenizer.vocabulary.is_continuation[originals]
    masked = np.zeros(ids.shape, bool)
    for row, positions in enumerate(batch["masked_lm_positions"]):
        masked[row, positions[batch["masked_lm_weights"][row] > 0]] = True
    goes_on = inside[:, 1:] & mask[:, 1:] & ~np.isin(originals[:, :-1], tokenizer.layout.special_ids(tokenizer))
    assert goes_on.any() and (masked[:, 1:] == masked[:, :-1])[goes_on].all()  # a word is masked as a whole


def test_rules_of_wordpiece_are_refused(folder, capsys):
    flags = f"--input_file={folder}/corpus.txt --vocab_file={folder}/tokenizer --output_file={folder}/b.tfrecord"
    assert main(["create_pretraining_data", *flags.split(), "--strip_accents"]) == 2
    assert "--strip_accents is a rule of WordPiece, and the tokenizer is of the kind" in capsys.readouterr().err


def test_records_are_shown_as_text(folder, capsys):
    dispatch(["inspect", "records", str(folder / "a.tfrecord"), "--num_examples=1"])
    shown = capsys.readouterr().out
    assert "the one that the records were made with" in shown
    assert any(word in shown.split("a: ")[1] for word in WORDS)


@pytest.mark.slow
def test_from_records_to_a_served_classifier(folder, family, tmp_path, capsys):
    tokenizer = Tokenizer.from_pretrained(folder / "tokenizer")
    fields = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    fields |= {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_id, "max_position_embeddings": 40}
    fields |= {"embedding_size": 16} if family == "albert" else {}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": FAMILIES[family], **fields}))
    pretrained = tmp_path / "pretrained"
    flags = f"--input_file={folder}/a.tfrecord --output_dir={pretrained} --bert_config_file={tmp_path}/config.json"
    dispatch(["pretrain", *flags.split(), "--num_train_steps=4", "--train_batch_size=8"])
    assert Tokenizer.from_pretrained(pretrained).fingerprint == tokenizer.fingerprint
    dispatch(["fill_mask", f"--model_dir={pretrained}", f"the {tokenizer.mask_token} fox"])
    rows = [f"{'good' if n % 2 else 'bad'}\tthe quick {'fox' if n % 2 else 'dog'} {n}" for n in range(16)]
    (tmp_path / "train.tsv").write_text("label\ttext\n" + "\n".join(rows) + "\n")
    flags = f"--train_file={tmp_path}/train.tsv --eval_file={tmp_path}/train.tsv --init_checkpoint={pretrained}"
    dispatch(
        ["classify", *flags.split(), f"--output_dir={tmp_path}/model", "--max_seq_length=16", "--num_train_epochs=1"]
    )
    dispatch(["export", f"--model_dir={tmp_path}/model", f"--output_dir={tmp_path}/served/1"])
    served = tf.saved_model.load(str(tmp_path / "served" / "1")).signatures["serving_default"]
    capsys.readouterr()
    dispatch(["predict", f"--model_dir={tmp_path}/model", "the quick fox"])
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    found = served(text=tf.constant(["the quick fox"]))
    assert found["label"].numpy()[0].decode() == answer["label"]
