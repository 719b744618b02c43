"""Running prose falls into sentences, and nothing of it gets lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_bert.text.sentences import split_sentences


def check(text, *sentences):
    assert split_sentences(text) == list(sentences)


def test_full_stops_question_and_exclamation_marks():
    check("It rains. Does it? It does!", "It rains.", "Does it?", "It does!")
    check("Really?! Yes... No… Well.", "Really?!", "Yes...", "No…", "Well.")
    check("  One here. \n Two\nlines. ", "One here.", "Two\nlines.")


def test_nothing_makes_no_sentence():
    for text in ("", " ", "\n\n \t\n"):
        check(text)


def test_a_blank_line_ends_a_sentence():
    check("A title\n\nThe text begins. It ends.\n \t\nMore", "A title", "The text begins.", "It ends.", "More")


def test_a_lower_case_letter_goes_on():
    check("It cost 3.50 in all... or so. v1.2 is out.", "It cost 3.50 in all... or so. v1.2 is out.")
    check('"Why?" he asked. "Oh!" she cried.', '"Why?" he asked.', '"Oh!" she cried.')


def test_a_text_without_capitals_is_split_all_the_same():
    check("it rains. it pours, e.g. here. the end.", "it rains.", "it pours, e.g. here.", "the end.")


@pytest.mark.parametrize(
    "text",
    [
        "Mr. Smith and Mrs. Jones met Dr. No and St. John.",
        "See e.g. The Beatles, i.e. They, vs. The Stones.",
        "J. R. R. Tolkien wrote it for C. S. Lewis.",
        "The U.S. Army and the U.K. Navy met.",
        "Take No. 5, Fig. 3, pp. 12 and Sec. 4 of Vol. 2.",
        "He was born on Jan. 5 and died on Dec. 24.",
        "Apple Inc. Chairman Smith et al. Found Nothing.",
        "It weighs 3.14 kg, or 1,000.5 g.",
    ],
)
def test_abbreviations_initials_and_numbers_end_nothing(text):
    check(text, text)


def test_abbreviations_end_a_sentence_before_a_word_that_begins_one():
    check("He lives in the U.S. The army came.", "He lives in the U.S.", "The army came.")
    check("We met at 5 p.m. It rained.", "We met at 5 p.m.", "It rained.")
    check("Apples, pears, etc. They are fruit.", "Apples, pears, etc.", "They are fruit.")
    check("She works for Foo Inc. He does not.", "She works for Foo Inc.", "He does not.")
    check("I like vitamin C. It helps.", "I like vitamin C.", "It helps.")


def test_a_full_stop_after_a_number_ends_a_sentence_but_not_after_that_of_an_item():
    check("That was in 1999. Then it ended.", "That was in 1999.", "Then it ended.")
    check("1. Open it. 2. Close it.", "1. Open it.", "2. Close it.")
    check("He said no. Nobody came. Give me no. 5 now.", "He said no.", "Nobody came.", "Give me no. 5 now.")


def test_quotes_brackets_and_footnote_marks_stay_with_their_sentence():
    check('He said "No." Then he left.', 'He said "No."', "Then he left.")
    check("(It rained.) We stayed. “So be it.” ‘Amen.’", "(It rained.)", "We stayed.", "“So be it.”", "‘Amen.’")
    check("A fact.[1][23] Another.[4] (See below.)", "A fact.[1][23]", "Another.[4]", "(See below.)")


def test_chinese_and_japanese():
    check("他来了。真的吗？！是的。", "他来了。", "真的吗？！", "是的。")
    check("他说：“你好。”然后走了。", "他说：“你好。”", "然后走了。")
    check("「雨だ。」と彼は言った。次の文！", "「雨だ。」と彼は言った。", "次の文！")
    check("円周率は３．１４です。次。", "円周率は３．１４です。", "次。")


def test_korean():
    check("그는 갔다. 나는 왔다.그리고 잤다. 네.", "그는 갔다.", "나는 왔다.", "그리고 잤다.", "네.")
    check('"좋다." 라고 말했다. 끝.', '"좋다." 라고 말했다.', "끝.")
    check('"좋다."라고 말했다. 끝.', '"좋다."라고 말했다.', "끝.")


def test_other_scripts():
    check("वह गया। वह आया।", "वह गया।", "वह आया।")
    check("هل جاء؟ نعم.", "هل جاء؟", "نعم.")


@given(
    st.lists(
        st.sampled_from([*'.!?…。！？"”’)]」」(\n \t', "Mr", "U.S", "The", "and", "1", "[1]", "다", "と", "É"])
    ).map("".join)
    | st.text()
)
def test_only_white_space_at_the_cuts_is_lost(text):
    sentences = split_sentences(text)
    position = 0
    for sentence in sentences:
        assert sentence and sentence == sentence.strip()
        found = text.index(sentence, position)
        assert not text[position:found].strip()
        position = found + len(sentence)
    assert not text[position:].strip()


@pytest.mark.parametrize(
    "unit", [".", " ", "a.", ". ", "(", '."', "\n ", ".[1", ". (", '.    "', "mr. ", "。」", "U.S."]
)
def test_odd_texts_take_one_pass(unit):
    """A rule that looked at the rest of the text from every full stop would not come back from these."""
    text = unit * (1_000_000 // len(unit)) + "."
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())
