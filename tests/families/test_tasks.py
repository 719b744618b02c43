"""Fine-tuning and asking models other than BERT: no segments, no pooler, a hidden layer, [PAD] that is not token 0."""

import json

import keras
import numpy as np
import pytest
from scipy.special import softmax

from keras_bert import models
from keras_bert.checkpoints import open_checkpoint
from keras_bert.cli.main import main
from keras_bert.config import Config
from keras_bert.errors import UserError
from keras_bert.serving.loading import load
from keras_bert.tasks.classify.arrays import predict
from keras_bert.tasks.embed.embedding import embed
from keras_bert.tasks.glue.heads import label_columns
from keras_bert.tasks.glue.rows import find_task
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from tests.world import write_tasks

LETTERS = "abcdefghijklmnopqrstuvwxyz"
PIECES = [*LETTERS, *(f"##{letter}" for letter in LETTERS), "red", "dog", "."]
PLAIN, KLUE = SPECIAL_TOKENS, ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]
LENGTH = 24
SHAPE = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
# {family: (size, special tokens, fields, commands that train it)}
FAMILIES = {
    "distilbert": ("distilbert-base", PLAIN, {}, ("classify", "swag")),
    "electra": ("electra-small", PLAIN, {"embedding_size": 8}, ("glue", "swag")),
    "roberta": (
        "roberta-base",
        KLUE,
        {"pad_token_id": 1, "max_position_embeddings": LENGTH + 2},
        ("classify", "ner", "squad", "swag"),
    ),
}
# {command: (its model, flags)}
COMMANDS = {
    "classify": ("Classifier", "--train_file=train.tsv --eval_file=train.tsv"),
    "glue": ("Classifier", "--task_name=MRPC --data_dir=glue"),
    "ner": ("TokenClassifier", "--data_dir=conll2003"),
    "squad": (
        "SpanLabeler",
        "--train_file=train-v1.1.json --predict_file=dev-v1.1.json --doc_stride=6 --max_query_length=4",
    ),
    "swag": ("MultipleChoice", "--data_dir=swag"),
}
TEXTS = ["red dog", "a red cat and a dog .", "", "dog"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The tasks' files, and a pre-trained model of each family with random weights."""
    folder = tmp_path_factory.mktemp("families")
    sentences = [f"A {'red' if n % 2 else 'green'} dog {letter} saw it ." for n, letter in enumerate(LETTERS[:8])]
    write_tasks(folder, sentences)
    rows = [f"{text}\t{'good' if n % 2 else 'bad'}" for n, text in enumerate(sentences)]
    (folder / "train.tsv").write_text("\n".join(["text\tlabel", *rows]) + "\n")
    for name, (size, special, fields, _) in FAMILIES.items():
        tokenizer = Tokenizer(Vocabulary([*special, *PIECES]))
        fields = {"max_position_embeddings": LENGTH, "initializer_range": 0.3, **SHAPE, **fields}
        config = Config.from_name(size, vocab_size=tokenizer.vocab_size, **fields)
        keras.utils.set_random_seed(1)
        models.Pretrainer(models.Encoder(config)).save_pretrained(folder / name, tokenizer=tokenizer)
    return folder


def alone(model, tokenizer, text):
    """Returns what a model says of one text without padding."""
    return keras.tree.map_structure(
        lambda x: np.asarray(x)[0], model({name: ids[None] for name, ids in tokenizer.encode(text).items()})
    )


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(
    "name", ["roberta", *(pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES if name != "roberta")]
)
def test_a_directory_is_fine_tuned_and_what_comes_out_loads_again(name, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    for command in FAMILIES[name][3]:
        kind, flags = COMMANDS[command]
        out = tmp_path / command
        small = [f"--max_seq_length={LENGTH}", "--num_train_steps=1", "--train_batch_size=4", "--learning_rate=1e-2"]
        assert main([command, f"--init_checkpoint={name}", f"--output_dir={out}", *flags.split(), *small]) == 0
        model = getattr(models, kind).from_pretrained(out)
        assert model.load_report.new == model.load_report.unused == []
        assert model.bert_config.family == name
        before = open_checkpoint(folder / name)
        moved = [n for n in before.shapes if n.endswith("query/kernel")]
        after = open_checkpoint(out)
        assert all(np.abs(after.read(n) - before.read(n)).max() > 0 for n in moved)
        assert after.task["reading"]["max_seq_length"] == LENGTH


@pytest.mark.parametrize("name", FAMILIES)
def test_texts_in_a_batch_are_answered_as_each_alone(name, folder):
    tokenizer = Tokenizer.from_pretrained(folder / name)
    model = models.Classifier.from_pretrained(folder / name, labels=["bad", "good"])
    answers = predict(model, tokenizer, TEXTS, max_seq_length=LENGTH)["probabilities"]
    expected = [softmax(alone(model, tokenizer, text)) for text in TEXTS]
    np.testing.assert_allclose(answers, expected, atol=1e-5)
    encoder = models.Encoder.from_pretrained(folder / name)
    for pooling, pooled in (("mean", lambda hidden: hidden.mean(axis=0)), ("cls", lambda hidden: hidden[0])):
        vectors = embed(encoder, tokenizer, TEXTS, pooling=pooling, normalize=False, max_seq_length=LENGTH)
        hidden = [alone(encoder, tokenizer, text)["sequence_output"] for text in TEXTS]
        np.testing.assert_allclose(vectors, [pooled(each) for each in hidden], atol=1e-4)


def test_a_mask_of_a_family_s_own_is_filled_and_a_discriminator_says_what_it_lacks(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main(["fill_mask", "--model_dir=roberta", "red [MASK]"]) == 0
    assert len(json.loads(capsys.readouterr().out.splitlines()[-1])["masks"]) == 1
    assert main(["fill_mask", "--model_dir=electra", "red [MASK]"]) == 2
    assert "it was made for replaced_tokens: load one made for masked_lm" in capsys.readouterr().err


def test_a_classifier_s_weights_are_those_of_its_family(folder, tmp_path):
    """A head that lacks its hidden layer is refused; none is asked for a pooler that the family does not have."""
    tokenizer = Tokenizer.from_pretrained(folder / "electra")
    model = models.Classifier.from_pretrained(folder / "electra", labels=["0", "1"])
    model.save_pretrained(tmp_path / "whole", tokenizer=tokenizer)
    assert load(tmp_path / "whole").model.load_report.new == []
    task, checkpoint = find_task("MRPC"), open_checkpoint(tmp_path / "whole")
    assert label_columns(task, checkpoint) == [0, 1]
    for name in ("output_dense/kernel", "output_dense/bias"):
        del checkpoint.shapes[name]
    with pytest.raises(UserError, match=r"lacks output_dense/kernel, output_dense/bias, weights of the classifier"):
        label_columns(task, checkpoint)


def test_padding_that_a_model_counts_positions_by_is_not_mixed_up(folder, tmp_path):
    other = Tokenizer(Vocabulary([*PLAIN, *PIECES]))
    model = models.Encoder.from_pretrained(folder / "roberta")
    sentence = r"padding is token 0, but the model's pad_token_id is 1, which its positions are counted by; take the"
    for ask in (lambda: embed(model, other, ["red"]), lambda: model.save_pretrained(tmp_path / "m", tokenizer=other)):
        with pytest.raises(UserError, match=sentence):
            ask()
    assert not (tmp_path / "m").exists()
    bert = models.Encoder(Config(vocab_size=other.vocab_size, max_position_embeddings=LENGTH, **SHAPE))
    with pytest.warns(UserWarning, match=r"padding is token 1, but the model's pad_token_id is 0; give input_mask"):
        embed(bert, Tokenizer(Vocabulary([*KLUE, *PIECES])), ["red"], max_seq_length=LENGTH)
