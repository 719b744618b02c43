"""Words to pieces and back, windows, figures, and a small tagger from batches to entities of raw text."""

import unicodedata

import keras
import numpy as np
import pytest

from keras_bert.config import BertConfig
from keras_bert.data.batches import IGNORED_LABEL
from keras_bert.errors import UserError
from keras_bert.models import BertEncoder, BertTokenClassifier
from keras_bert.tasks.tag import dataset, evaluate, predict_tags, tag, tagging_metrics, train
from keras_bert.tasks.tag.conll import Sentences, read_conll
from keras_bert.tasks.tag.conll_tags import as_tags, entities
from keras_bert.tasks.tag.files import read_files, write_entities, write_tags
from keras_bert.tasks.tag.pieces import encode_words, windows
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

NAMES = ["O", "B-PER", "I-PER"]
HANGUL = [unicodedata.normalize("NFD", piece) for piece in ("경찰", "##은", "또")]  # as lower-casing leaves them
PIECES = ["jim", "hen", "##son", "was", "a", "puppet", "##eer", ".", *HANGUL, "b", "##b"]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(Vocabulary([*SPECIAL_TOKENS, *PIECES]))


@pytest.fixture(scope="module")
def model(tokenizer):
    keras.utils.set_random_seed(0)
    config = BertConfig.from_name(
        "L-1_H-16", vocab_size=tokenizer.vocab_size, max_position_embeddings=16, initializer_range=0.3
    )
    return BertTokenClassifier(BertEncoder(config), 3, labels=NAMES)


def tokens(pieces, tokenizer):
    return [[tokenizer.vocabulary.token(int(i)) for i in ids] for ids in pieces.rows["input_ids"]]


def perfect_logits(pieces, tags, names):
    """Logits that say the label of each piece that has one, and the last class elsewhere."""
    labels = [np.where(each < 0, len(names) - 1, each) for each in pieces.token_labels(tags, names)]
    return [np.eye(len(names), dtype=np.float32)[each] * 10 for each in labels]


def test_labels_stand_on_first_pieces(tokenizer):
    pieces = encode_words([["Jim", "Henson", "was", "\u200b", "Puppeteer."], ["a"]], tokenizer)
    assert tokens(pieces, tokenizer) == [
        ["[CLS]", "jim", "hen", "##son", "was", "puppet", "##eer", ".", "[SEP]"],
        ["[CLS]", "a", "[SEP]"],
    ]
    assert [each.tolist() for each in pieces.rows["segment_ids"]] == [[0] * 9, [0] * 3]
    tags = [["B-PER", "I-PER", "O", "O", "O"], ["B-PER"]]
    no = IGNORED_LABEL
    labels = pieces.token_labels(tags, NAMES)
    assert [each.tolist() for each in labels] == [[no, 1, 2, no, 0, 0, no, no, no], [no, 1, no]]
    said, scores = pieces.word_tags(perfect_logits(pieces, tags, NAMES), NAMES)
    assert said == tags
    assert np.isnan(scores[0][3])
    np.testing.assert_allclose(scores[1], [1 / (1 + 2 * np.exp(-10))])


def test_a_word_without_pieces_lies_inside_an_entity_or_outside(tokenizer):
    words = [["\u200b", "jim", "\u200b", "\u200b", "hen", "\u200b", "a", "\u200b"], ["\u200b"]]
    tags = [["O", "B-PER", "I-PER", "I-PER", "I-PER", "O", "B-PER", "O"], ["O"]]
    pieces = encode_words(words, tokenizer)
    assert pieces.word_tags(perfect_logits(pieces, tags, NAMES), NAMES)[0] == tags


def test_another_type_behind_a_space_does_not_go_on(tokenizer):
    names = ["O", "B-X", "I-X", "B-Y", "I-Y"]
    pieces = encode_words([list("b b b")], tokenizer, joined=True)
    tags = [["B-X", "O", "I-Y", "I-Y", "I-Y"]]
    assert pieces.word_tags(perfect_logits(pieces, tags, names), names)[0] == tags


def test_characters_are_cut_into_pieces_as_one_text(tokenizer):
    words = [list("경찰은 또"), list("bb b")]
    pieces = encode_words(words, tokenizer, joined=True)
    assert tokens(pieces, tokenizer) == [["[CLS]", *HANGUL, "[SEP]"], ["[CLS]", "b", "##b", "b", "[SEP]"]]
    tags = [["B-PER", "I-PER", "O", "O", "B-PER"], ["B-PER", "I-PER", "I-PER", "I-PER"]]
    no = IGNORED_LABEL
    labels = [each.tolist() for each in pieces.token_labels(tags, NAMES)]
    assert labels == [[no, 1, 0, 1, no], [no, 1, 2, 2, no]]
    assert pieces.shares.tolist() == [False, True] + [False] * 7
    assert pieces.word_tags(perfect_logits(pieces, tags, NAMES), NAMES)[0] == tags


@pytest.mark.parametrize("count", [0, 1, 5, 6, 7, 8, 9, 11, 12, 30, 31])
@pytest.mark.parametrize("room", [1, 2, 5, 6])
def test_windows_hold_every_piece_where_it_has_most_context(count, room):
    made = windows(count, room)
    owned = [place for _, _, own_start, own_end in made for place in range(own_start, own_end)]
    assert owned == list(range(count))
    for start, end, own_start, own_end in made:
        assert (start, end) == (0, count) or end - start == room
        for place in range(own_start, own_end):
            context = min(place - start, end - 1 - place)
            best = max(min(place - s, e - 1 - place) for s, e, _, _ in made if s <= place < e)
            assert context == best


def test_long_sentences_lose_no_word(tokenizer):
    rng = np.random.default_rng(0)
    words = [list(rng.choice(["jim", "henson", "puppeteer", "a"], length)) for length in (30, 1, 9, 100)]
    tags = [list(rng.choice(NAMES, len(each))) for each in words]
    pieces = encode_words(words, tokenizer, max_seq_length=12)
    assert max(map(len, pieces.rows["input_ids"])) == 12
    assert all(row[0] == tokenizer.cls_id and row[-1] == tokenizer.sep_id for row in pieces.rows["input_ids"])
    labels = pieces.token_labels(tags, NAMES)
    assert sum((each != IGNORED_LABEL).sum() for each in labels) == 140  # each word once
    assert pieces.word_tags(perfect_logits(pieces, tags, NAMES), NAMES)[0] == tags
    first = {"jim": "jim", "henson": "hen", "puppeteer": "puppet", "a": "a"}
    flat = [first[word] for each in words for word in each]
    read = tokens(pieces, tokenizer)
    assert [read[row][column] for row, column in zip(pieces.row, pieces.column, strict=True)] == flat


def test_no_room(tokenizer):
    with pytest.raises(UserError, match=r"at least 3 .* Received: 2"):
        encode_words([["a"]], tokenizer, max_seq_length=2)


def test_a_tag_that_the_model_has_not(tokenizer):
    pieces = encode_words([["jim"]], tokenizer)
    with pytest.raises(UserError, match="The tag 'B-LOC' is not one of the model's: O, B-PER, I-PER"):
        pieces.token_labels([["B-LOC"]], NAMES)


def test_cross_entropy_by_hand(tokenizer):
    pieces = encode_words([["jim", "henson"]], tokenizer)  # [CLS] jim hen ##son [SEP]
    logits = [np.log(np.array([[1, 1, 1], [1, 2, 1], [1, 1, 2], [9, 1, 1], [1, 9, 1]], np.float32))]
    assert pieces.cross_entropy(logits, [["B-PER", "O"]], NAMES) == pytest.approx((np.log(2) + np.log(4)) / 2)


def test_figures_by_hand_and_strict():
    # True PER 0-2, LOC 3-4; said PER 0-2, LOC 2-4 (begun by an I): one of two right.
    true, said = [["B-PER", "I-PER", "O", "B-LOC"]], [["B-PER", "I-PER", "I-LOC", "I-LOC"]]
    figures = tagging_metrics(true, said)
    assert (figures["precision"], figures["recall"], figures["f1"], figures["accuracy"]) == (0.5, 0.5, 0.5, 0.5)
    assert figures["by_type"] == {
        "LOC": {"f1": 0.0, "precision": 0.0, "recall": 0.0, "support": 1},
        "PER": {"f1": 1.0, "precision": 1.0, "recall": 1.0, "support": 1},
    }
    strict = tagging_metrics(true, said, strict=True)
    assert (strict["precision"], strict["recall"]) == (1.0, 0.5)  # what an I begins is none
    assert strict["f1"] == pytest.approx(2 / 3)


def test_figures_of_nothing_and_of_plain_tags():
    figures = tagging_metrics([["O"]], [["O"]])
    assert (figures["f1"], figures["accuracy"], figures["by_type"]) == (0.0, 1.0, {})
    figures = tagging_metrics([["NN", "VB"], ["NN"]], [["NN", "NN"], ["NN"]], scheme="none")
    assert figures["accuracy"] == pytest.approx(2 / 3)
    assert figures["by_type"]["NN"] == {
        "f1": pytest.approx(0.8),
        "precision": pytest.approx(2 / 3),
        "recall": 1.0,
        "support": 2,
    }


@pytest.mark.parametrize("strict", [False, True])
def test_figures_are_those_of_seqeval(strict):
    seqeval, rules = (pytest.importorskip(f"seqeval.{name}") for name in ("metrics", "scheme"))

    rng = np.random.default_rng(0)
    tags = ["O", "B-X", "I-X", "B-Y", "I-Y"]
    true, said = ([rng.choice(tags, length).tolist() for length in range(1, 60)] for _ in range(2))
    mode = {"mode": "strict", "scheme": rules.IOB2} if strict else {}
    figures = tagging_metrics(true, said, strict=strict)
    for name in ("f1", "precision", "recall"):
        score = getattr(seqeval, f"{name}_score")(true, said, **mode)
        assert figures[name] == pytest.approx(score, abs=1e-12)
    assert figures["accuracy"] == pytest.approx(seqeval.accuracy_score(true, said), abs=1e-12)
    report = seqeval.classification_report(true, said, output_dict=True, **mode)
    for kind, numbers in figures["by_type"].items():
        assert numbers["f1"] == pytest.approx(report[kind]["f1-score"], abs=1e-12)
        assert numbers["support"] == report[kind]["support"]
    if not strict:  # and of sets of entities, counted here
        found = [{(n, *each) for n, of_one in enumerate(all_) for each in entities(of_one)} for all_ in (true, said)]
        assert figures["precision"] == pytest.approx(len(found[0] & found[1]) / len(found[1]))
        assert figures["recall"] == pytest.approx(len(found[0] & found[1]) / len(found[0]))


def test_batches_teach_words_alone(tokenizer):
    sentences = Sentences([["jim", "henson"], ["a"]], [["B-PER", "I-PER"], ["O"]])
    batches = dataset(sentences, tokenizer, NAMES, batch_size=2, shuffle=False, max_seq_length=16)
    [(x, y)] = batches.as_numpy_iterator()
    assert x["input_ids"].shape == y.shape == (2, 8)
    assert x["input_mask"].sum(axis=1).tolist() == [5, 3]
    assert y[0, :4].tolist() == [IGNORED_LABEL, 1, 2, IGNORED_LABEL]
    assert (y[:, 5:] == IGNORED_LABEL).all()


def test_predictions_are_those_of_each_sentence_alone(tokenizer, model):
    rng = np.random.default_rng(1)
    words = [list(rng.choice(["jim", "was", "a", "."], length)) for length in (3, 12, 1, 7, 12)]
    tags, scores = predict_tags(model, tokenizer, words, max_seq_length=16, batch_size=2)
    for number, each in enumerate(words):
        pieces = encode_words([each], tokenizer, max_seq_length=16)
        ids = pieces.rows["input_ids"][0][None]
        logits = model({"input_ids": ids, "input_mask": np.ones_like(ids), "segment_ids": 0 * ids}, training=False)
        alone, alone_scores = pieces.word_tags([np.asarray(logits)[0]], NAMES)
        assert tags[number] == alone[0]
        np.testing.assert_allclose(scores[number], alone_scores[0], atol=1e-5)


def test_a_model_that_cannot_read(tokenizer, model):
    with pytest.raises(UserError, match="max_seq_length is 17, but the model reads 16"):
        predict_tags(model, tokenizer, [["jim"]], max_seq_length=17)
    with pytest.raises(UserError, match="has 19 entries, but the model's vocab_size is 18"):
        predict_tags(model, Tokenizer(Vocabulary([*SPECIAL_TOKENS, *"abcdefghijklmn"])), [["a"]])
    with pytest.raises(UserError, match=r"texts must be strings. Entry 1 is \['jim'\]"):
        tag(model, tokenizer, ["jim", ["jim"]])


def told(model, tokenizer, said):
    """A copy of a model whose logits follow from the ids alone: {piece: tag}."""
    table = np.zeros((tokenizer.vocab_size, len(NAMES)), np.float32)
    for piece, name in said.items():
        table[tokenizer.vocabulary.id(piece), NAMES.index(name)] = 5.0

    class Told:
        bert_config, labels = model.bert_config, NAMES

        def predict_on_batch(self, x):
            return table[x["input_ids"]]

    return Told()


def test_entities_of_raw_text_with_their_places(tokenizer, model):
    says = told(model, tokenizer, {"jim": "B-PER", "hen": "I-PER", "b": "B-PER", "a": "I-PER"})
    text = "  Jím\u200b Henson's puppeteer (b)."
    found = tag(says, tokenizer, text)
    assert [(each["text"], each["start"], each["end"]) for each in found] == [
        ("Jím\u200b Henson's", 2, 15),
        ("b", 27, 28),
    ]
    assert all(text[each["start"] : each["end"]] == each["text"] and each["type"] == "PER" for each in found)
    assert found[0]["score"] == pytest.approx(np.exp(5) / (np.exp(5) + 2), abs=1e-5)
    assert tag(says, tokenizer, ["", "was", text]) == [[], [], found]
    assert tag(says, tokenizer, []) == []


def test_entities_of_characters(tokenizer, model):
    says = told(model, tokenizer, {HANGUL[0]: "B-PER", HANGUL[2]: "I-PER"})
    found = tag(says, tokenizer, "경찰 또 a 경찰은", by_character=True)
    assert [(each["text"], each["start"], each["end"]) for each in found] == [("경찰 또", 0, 4), ("경찰", 7, 9)]


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_files_of_a_tagger(tmp_path):
    train = write(tmp_path / "train.txt", "jim I-PER\nwas O\n\na O\n\nwas O\n\njim I-PER\njim B-PER\n")
    test = write(tmp_path / "test.txt", "hen I-PER\na O\n")
    untagged = write(tmp_path / "p.txt", "hen\na\n")
    texts = write(tmp_path / "p.jsonl", '{"id": 3, "text": "Jim was."}\n')
    files = read_files(train_file=train, test_file=test, predict_file=untagged, eval_share=0.25, seed=1)
    assert files.names == NAMES
    assert (len(files.train), len(files.evaluation)) == (3, 1)
    every = files.train.words + files.evaluation.words
    assert sorted(map(len, every)) == [1, 1, 2, 2]
    assert files.test.tags == [["B-PER", "O"]]
    assert files.prediction.words == [["hen", "a"]]
    assert not files.by_character
    files = read_files(test_file=test, predict_file=texts, names=NAMES)
    assert (files.train, files.evaluation, files.prediction) == (None, None, ["Jim was."])

    write_tags(tmp_path / "out.txt", files.test, [["B-PER", "I-PER"]])
    assert (tmp_path / "out.txt").read_text() == "hen\tI-PER\tI-PER\na\tO\tI-PER\n\n"
    with pytest.raises(UserError, match=r"p.txt, line 1: 1 columns"):
        read_files(test_file=untagged, names=NAMES)
    with pytest.raises(UserError, match=r"test.txt, line 1: the tag 'I-PER' is not one of the training set's: .*B-LOC"):
        read_files(test_file=test, names=["O", "B-LOC", "I-LOC"])
    with pytest.raises(UserError, match="all words have the tag O"):
        read_files(train_file=write(tmp_path / "o.txt", "a O\n"))


def test_entities_are_written_as_jsonl(tmp_path):
    write_entities(tmp_path / "e.jsonl", ["한"], [[{"text": "한", "type": "X", "start": 0, "end": 1, "score": 0.5}]])
    assert (tmp_path / "e.jsonl").read_text(encoding="utf-8") == (
        '{"text": "한", "entities": [{"text": "한", "type": "X", "start": 0, "end": 1, "score": 0.5}]}\n'
    )


def test_a_tagger_learns_and_the_best_run_is_kept(tokenizer, model):
    rng = np.random.default_rng(2)
    words = [list(rng.choice(["jim", "henson", "was", "puppeteer"], 6)) for _ in range(24)]
    kinds = [[("PER", n, n + 1) for n, word in enumerate(each) if word in ("jim", "henson")] for each in words]
    sentences = Sentences(words, [as_tags(found, 6) for found in kinds])
    names = ["O", "B-PER"]

    def make():
        return BertTokenClassifier(BertEncoder(model.bert_config), 2, labels=names)

    options = {"epochs": 6, "learning_rate": 5e-3, "train_batch_size": 4, "evaluate_each_epoch": False}
    best = train(make, tokenizer, sentences, sentences, names=names, seeds=[1], max_seq_length=8, **options)
    assert best.results["f1"] == best.results["accuracy"] == 1.0
    assert best.results["by_type"]["PER"]["support"] == sum(map(len, kinds))
    assert 0 < best.results["loss"] < 0.5
    assert best.outputs == sentences.tags
    assert evaluate(best.model, tokenizer, sentences, max_seq_length=8)["f1"] == 1.0


def test_real_files_keep_their_words(shared, tokenizer):
    """Every character and word of KLUE's and WNUT's files comes back with its tag, by windows or whole."""
    for name, room in (("klue-ner/klue-ner-v1.1_dev.tsv", 32), ("wnut17/emerging.dev.conll", 16)):
        sentences = read_conll(shared / "data/ner" / name)[:200]
        names = ["O", *sorted({each for tags in sentences.tags for each in tags} - {"O"})]
        pieces = encode_words(sentences.words, tokenizer, max_seq_length=room, joined=sentences.joined)
        said, _ = pieces.word_tags(perfect_logits(pieces, sentences.tags, names), names)
        assert [len(tags) for tags in said] == [len(words) for words in sentences.words]
        if not sentences.joined:
            assert said == sentences.tags
