"""Reading SQuAD files: words and answers by hand, answers that are not there, packed and broken files."""

import gzip
import json
import lzma

import pytest

from keras_bert.errors import UserError, UserNote
from keras_bert.tasks.answer import Context, read_examples


def test_words_end_at_google_s_five_spaces_alone():
    context = Context(" In\t911,\r\nRollo\u202fcame\u00a0here.\u3000Yes ")
    assert context.words == ["In", "911,", "Rollo", "came\u00a0here.\u3000Yes"]
    assert context.starts == [1, 4, 10, 16]
    assert [context.text[start] for start in context.starts] == ["I", "9", "R", "c"]
    assert [context.word_at(place) for place in (0, 1, 3, 4, 9, 10, 29)] == [-1, 0, 0, 1, 1, 2, 3]


def test_questions_of_one_paragraph_share_its_context(squad_file):
    path = squad_file(("Rollo came.", [{"answers": "Rollo"}, {"question": "What?", "answers": "came"}]), ("B", [{}]))
    examples = read_examples(path)
    assert [(example.id, example.question) for example in examples] == [
        ("q0-0", "Who came?"),
        ("q0-1", "What?"),
        ("q1-0", "Who came?"),
    ]
    assert examples[0].context is examples[1].context
    assert [example.answers for example in examples] == [("Rollo",), ("came",), None]
    assert examples[0].span is examples[0].answer is None  # which are for training
    assert examples.version == "1.1"


@pytest.mark.parametrize(
    ("context", "answer", "start", "span"),
    [
        ("The leader was Rollo (911).", "911", 22, (4, 4)),
        ("The leader was Rollo (911).", "leader was", 4, (1, 2)),
        ("The leader was  Rollo", "was Rollo", 11, (2, 3)),  # a space short, which words do not show
        ("one  two three", "one two", 0, (0, 1)),
        ("one\ttwo", "one two", 0, (0, 1)),
        ("Rollo", "Rollo", 0, (0, 0)),
        (" Rollo", " Rollo", 0, (0, 0)),
        ("Rollo came", "came", 0, None),  # the wrong place
        ("Rollo came", "came", 7, None),  # past the end
        ("Rollo came", "came", -4, None),
        ("Rollo came", "", 0, None),
        ("Rollo came", " ", 5, None),
        (" Rollo came", " Rollo", 0, None),  # as Google's code, which begins with the last word there
    ],
)
def test_an_answer_s_words(squad_file, context, answer, start, span):
    fine = {"answers": [{"text": context.split()[0], "answer_start": len(context) - len(context.lstrip())}]}
    path = squad_file((context, [{"answers": [{"text": answer, "answer_start": start}]}, fine]))
    examples = read_examples(path, training=True)
    if span is None:
        assert [example.id for example in examples] == ["q0-1"]
        [lost] = examples.lost
        assert lost.id == "q0-0"
        assert lost.answer == answer
        assert "question q0-0: could not find answer" in str(lost)
    else:
        assert examples[0].span == span
        assert examples[0].answer == answer
        assert not examples.lost


def test_what_stands_in_an_answer_s_place_is_listed(squad_file):
    path = squad_file(
        ("Rollo came in 911.", [{"answers": [{"text": "912", "answer_start": 14}]}, {"answers": "Rollo"}])
    )
    [lost] = read_examples(path, training=True).lost
    assert str(lost) == "question q0-0: could not find answer '912', where '911.' stands"


def test_of_several_answers_the_first_is_learnt(squad_file):
    answers = [{"text": "came", "answer_start": 6}, {"text": "Rollo", "answer_start": 0}]
    examples = read_examples(squad_file(("Rollo came.", [{"answers": answers}])), training=True)
    assert (examples[0].answer, examples[0].span, examples.several) == ("came", (1, 1), 1)
    assert examples[0].answers == ("came", "Rollo")


def test_questions_without_an_answer(squad_file):
    impossible = {"answers": [], "is_impossible": True, "plausible_answers": [{"text": "x", "answer_start": 0}]}
    path = squad_file(("Rollo came.", [impossible, {"answers": "Rollo", "is_impossible": False}]))
    examples = read_examples(path, training=True, version_2_with_negative=True)
    assert [(example.is_impossible, example.answer, example.span) for example in examples] == [
        (True, "", None),
        (False, "Rollo", (0, 0)),
    ]
    with pytest.raises(UserError, match=r"question q0-0 has no answer; .* add --version_2_with_negative"):
        read_examples(path, training=True)
    assert [example.answers for example in read_examples(path)] == [(), ("Rollo",)]


@pytest.mark.parametrize("module", [gzip, lzma])
def test_packed_files_are_told_by_their_content(squad_file, tmp_path, module):
    path = squad_file(("로마는 하루에", [{"answers": "로마"}]))
    packed = tmp_path / "packed.json"
    packed.write_bytes(module.compress(path.read_bytes()))
    assert read_examples(packed, training=True)[0].answer == "로마"
    packed.write_bytes(module.compress(path.read_bytes())[:-20])
    with pytest.raises(UserError, match=r"packed\.json cannot be read"):
        read_examples(packed)


def test_a_byte_order_mark_is_passed_over(squad_file, tmp_path):
    path = squad_file(("Rollo came.", [{}]))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_examples(path)) == 1


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ("{", ["is not JSON"]),
        ("[]", ["'data' must be a list", "None"]),
        ('{"data": {}}', ["'data' must be a list", "{}"]),
        ('{"data": [7]}', ["'paragraphs' must be a list"]),
        ('{"data": []}', ["has no question"]),
        ('{"data": [{"paragraphs": [{"qas": []}]}]}', ["paragraph 1", "'context' must be a string"]),
        ('{"data": [{"paragraphs": [{"context": "a"}]}]}', ["paragraph 1", "'qas' must be a list"]),
        ('{"data": [{"paragraphs": [{"context": "a", "qas": [{"id": 3}]}]}]}', ["question 1", "'id' must be a string"]),
        (
            '{"data": [{"paragraphs": [{"context": "a", "qas": [{"id": "x", "question": null}]}]}]}',
            ["paragraph 1, question 1", "'question' must be a string", "None"],
        ),
        (
            '{"data": [{"paragraphs": [{"context": "a", "qas": [{"id": "x", "question": "", "answers": [{}]}]}]}]}',
            ["'text' must be a string"],
        ),
        (
            '{"data": [{"paragraphs": [{"context": "a", "qas": [{"id": "x", "question": "", "answers": [{"text": "a", '
            '"answer_start": "0"}]}]}]}]}',
            ["'answer_start' must be a whole number", "'0'"],
        ),
    ],
)
def test_a_broken_file_is_one_sentence(tmp_path, contents, words):
    path = tmp_path / "broken.json"
    path.write_text(contents)
    with pytest.raises(UserError) as caught:
        read_examples(path, training=True)
    assert all(word in str(caught.value) for word in ["broken.json", *words]), str(caught.value)


def test_no_file_and_no_answer_that_is_there(squad_file, tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        read_examples(tmp_path / "nowhere.json")
    path = squad_file(("Rollo came.", [{"answers": [{"text": "Gisla", "answer_start": 0}]}]))
    with pytest.raises(UserError, match="no question that can be learnt; 1 answers stand elsewhere"):
        read_examples(path, training=True)


def test_the_version_chooses_korquad_s_metric(squad_file):
    from keras_bert.tasks.answer.metrics import metric_of

    assert metric_of(read_examples(squad_file(("a", [{}]), version="KorQuAD_v1.0_dev"))) == "korquad"
    assert metric_of(read_examples(squad_file(("a", [{}]), version="v2.0"))) == "squad"
    assert json.loads(squad_file(("a", [{}])).read_text())["version"] == "1.1"


@pytest.mark.parametrize(
    ("value", "impossible"),
    [(False, False), (None, False), ("False", False), (0, False), (True, True), ("true", True), (1, True)],
)
def test_is_impossible_is_true_or_false_however_it_is_written(squad_file, value, impossible):
    path = squad_file(("Rollo came.", [{"is_impossible": value}, {"is_impossible": True}]))
    assert read_examples(path, version_2_with_negative=True)[0].is_impossible is impossible


@pytest.mark.parametrize("value", ["no", 2, [], float("nan")])
def test_any_other_is_impossible_is_named_with_its_place(squad_file, value):
    path = squad_file(("Rollo came.", [{}, {"is_impossible": value}]))
    with pytest.raises(UserError, match=r"paragraph 1, question 2: 'is_impossible' must be true or false\. Received"):
        read_examples(path)


def test_true_is_no_place_of_an_answer(squad_file):
    path = squad_file(("Rollo came.", [{"answers": [{"text": "o", "answer_start": True}]}]))
    with pytest.raises(UserError, match=r"'answer_start' must be a whole number\. Received: True"):
        read_examples(path, training=True)


@pytest.mark.parametrize(
    ("fields", "with_negative", "said"),
    [
        ({"answers": []}, True, "has no answer, and its is_impossible is missing; give its answer, or set is_imp"),
        ({"answers": [], "is_impossible": None}, True, "has no answer, and its is_impossible is null"),
        ({"answers": [], "is_impossible": False}, True, "has no answer, and its is_impossible is false"),
        ({"answers": []}, False, "to true if the context has none and add --version_2_with_negative"),
        ({}, True, r"has no 'answers', and its .* can be answered \(--predict_file\), not learnt"),
    ],
)
def test_what_is_wrong_with_a_question_without_an_answer(squad_file, fields, with_negative, said):
    path = squad_file(("Rollo came.", [{"answers": "Rollo"}, fields]))
    with pytest.raises(UserError, match=f"question q0-1 {said if said.startswith('has') else '.*' + said}") as caught:
        read_examples(path, training=True, version_2_with_negative=with_negative)
    assert ("--version_2" in str(caught.value)) is not with_negative  # nobody is told to add what is there


def test_an_id_of_several_questions_is_named(squad_file):
    path = squad_file(("Rollo came.", [{"id": "q1", "answers": "Rollo"}, {"id": "q1", "answers": "came"}, {}]))
    with pytest.warns(UserNote, match=r"the same id: 'q1'; predictions\.json holds one answer an id"):
        assert len(read_examples(path)) == 3


def test_an_answer_to_a_question_that_has_none_is_noted(squad_file):
    path = squad_file(("Rollo came.", [{"answers": "Rollo", "is_impossible": True}]))
    with pytest.warns(UserNote, match="is_impossible is true of 1 questions that have an answer: 'q0-0'; they are"):
        read_examples(path, training=True, version_2_with_negative=True)


def test_rows_of_hugging_face_s_datasets_are_read(tmp_path):
    answered = {"text": ["came"], "answer_start": [6]}
    rows = [
        {"id": "1", "context": "Rollo came.", "question": "What?", "answers": answered},
        {"id": "2", "context": "Rollo came.", "question": "Why?", "answers": {"text": [], "answer_start": []}},
    ]
    path = tmp_path / "hf.json"
    path.write_text(json.dumps({"data": rows}))
    one, two = read_examples(path, training=True, version_2_with_negative=True)
    assert (one.answer, one.span, two.answer, two.is_impossible) == ("came", (1, 1), "", True)
    assert one.context is two.context
    rows[0]["answers"] = {"text": ["came"], "answer_start": []}
    path.write_text(json.dumps({"data": rows}))
    with pytest.raises(UserError, match="paragraph 1, question 1: 'answers' must be a list"):
        read_examples(path)


def test_other_layouts_than_squad_s_are_named_or_read(tmp_path):
    path = tmp_path / "other.json"
    qa = {"guid": "g", "question": "Who?", "answers": [{"text": "Rollo", "answer_start": 7}]}
    path.write_text(
        json.dumps({"version": None, "data": [{"paragraphs": [{"context": "It was Rollo.", "qas": [qa]}]}]})
    )
    examples = read_examples(path, training=True)  # KLUE's
    assert (examples[0].id, examples[0].span, examples.version) == ("g", (2, 2), "")
    path.write_text(json.dumps({"data": [{"title": "a", "context": "b", "raw_html": "c", "qas": []}]}))
    with pytest.raises(
        UserError, match="'paragraphs' must be a list, and is missing; there are 'title', 'context', 'raw"
    ):
        read_examples(path)  # KorQuAD 2's
    path.write_text('{"id": "a", "context": "b"}\n{"id": "c", "context": "d"}\n')
    with pytest.raises(UserError, match=r"of JSON lines in one value: jq -s '\{data: \.\}'"):
        read_examples(path)


def test_half_a_character_of_json_becomes_one_that_can_be_written(squad_file):
    [example] = read_examples(
        squad_file(("It was \ud83d Rollo.", [{"id": "q\ud83d", "answers": "Rollo"}])), training=True
    )
    assert (example.id, example.context.text, example.span) == ("q\ufffd", "It was \ufffd Rollo.", (3, 3))
