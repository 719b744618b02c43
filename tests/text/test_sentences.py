"""Running prose falls into sentences, and nothing of it gets lost."""

import json
import re

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
    check("Dr.\n\nSmith, who\n\nleft...\n\nhere", "Dr.", "Smith, who", "left...", "here")
    check("그는...\n\n갔다", "그는...", "갔다")


def test_a_lower_case_letter_goes_on():
    check("It cost 3.50 in all... or so. v1.2 is out.", "It cost 3.50 in all... or so. v1.2 is out.")
    check('"Why?" he asked. "Oh!" she cried.', '"Why?" he asked.', '"Oh!" she cried.')


def test_a_text_without_capitals_is_split_all_the_same():
    check("it rains. it pours, e.g. here. the end.", "it rains.", "it pours, e.g. here.", "the end.")


@pytest.mark.parametrize(
    "text",
    [
        "Mr. Smith and Mrs. Jones met Dr. No and St. John.",
        "Messrs. Smith and Jones met Prof. Green.",
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


# "|" marks the cuts.
JAPANESE = """
    今日は雨。|傘がない！|どうする？|帰る。
    半角です｡|次です｡
    全角だ．|次へ進む．
    円周率は３．１４です。|次。
    １．はじめに、目的を述べる。
    そうか．．．わかった。|次。
    彼女は美しい……人間だった。
    「はい!」と彼は言った。
    えっ！？|まさか…そんな。|はい。
    やった！　|次へ。
    「雨だ。」と彼は言った。|次の文！
    「雨だ。」 と彼は言った。
    「行こう！」|彼は走った。
    「行こう。」|でも、彼は来ない。
    「はい！」、「いいえ！」と答えた。
    『けいおん！』は人気のアニメである。|見た？
    「モーニング娘。」のメンバーだ。|歌手。
    彼は「行く」。|私は残る。
    「雨だ」。|次。
    なぜ？と彼は聞いた。|分からない。
    本当？|とても嬉しい。
    彼は笑った（本当に！）が、泣いていた。
    （雨だった。）|出かけない。
    これはペンです.|それは本です.
    Yahoo!知恵袋で聞いた。
    今日は雨。|It is wet. |明日は晴れ。|iPhoneを買う。
"""
CHINESE = """
    他来了。|真的吗？！|是的。
    他说：“你好。”|然后走了。
    他说：「你好。」|然后走了。
    “你好！”，他说。|她笑了。
    “你好！”的声音传来。
    “你好！”一词很常见。
    他说“好!”的时候走了。
    “你好。”——他说。
    《你好！》是一部电影。|好看！
    我不知道……|他走了。
    我不知道......|他走了。
    我……我不知道。
    “我不走……”|他哭了。
    他说“不……”，走了。
    什么？……|我不懂。
    真的?|是的!|“好!”|他说。
    （他来了。）|然后他走了。
    他来了（真的！）后又走了。
    價格是3.5元。|貴嗎？
    他用Node.js写。|2010年回来。
    约翰.史密斯来了。
"""
KOREAN = """
    그는 갔다. |나는 왔다.|그리고 잤다. |네.
    어디 가요? |집에 가요! |뭐해요?|밥 먹어요.
    미국으로 건너갔다.|1999년에 왔다.|BTS는 떠났다.|“그래.”
    그는 갔다.[1] |나는 왔다.[2]|그도 왔다.
    널리 쓰였다.(Ruch 2004). |킹은 남았다.(1969년) |끝.
    최고다...|지구의 평화! |영화!!!|그리고 끝.
    그는... 갔다. |글쎄… 모르겠다. |것도 아니고…. |그래. |떠났어요... |여러분 안녕.
    있다 .|줄은 강하다.
    "좋다." 라고 말했다. |끝.
    "좋다."라고 말했다. |끝.
    "좋다.”라며 웃었다. |‘같다.’ 하여 그렇게 불렀다.
    "가라!" 하고 외쳤다. |모두 갔다.
    "좋다." |그가 말했다. |"싫다."|그녀가 말했다.
    간다.라고 말했다. |왜?라고 물었다. |대박!을 외쳤다.
    '왜?' 라는 물음. |답.
    그는 《쇼! 음악중심》에 나왔다. |《안녕?》은 영화다.
    비타민(?) 때문이다. |정말(!) 좋다.
    존 F. 케네디가 J. K. 롤링을 만났다. |Dr. 김은 vs. 한국.
    맥클레이(R.S. Maclay)가 왔다. |예외다(e.g. veðrabati).
    2010. 5. 3. 서울에서 3.1 운동을 기렸다. |끝.
    1. 개요를 쓴다. |가. 나는 본다. |2. 끝.
    애플이 만들었다. |iPhone은 좋다. |e스포츠도.
    정치.경제를 naver.com에서 본다.
    높이 출간함. |끝임. |다음.
    갔다.」 |나는 왔다.
"""
OTHERS = """
    वह गया। |वह आया।|मैं भी।
    هل جاء؟ |نعم. |قال د. أحمد لا.
    وہ آیا۔ |وہ گیا۔
    Նա եկավ։ |Ես գնացի։
    Τι κάνεις; |Καλά. |Εσύ; |Ναι: α; β. |X; Ωμέγα.
    ฉันไปโรงเรียน เธออยู่บ้าน
    ሰላም። |ደህና።
    Он пришёл. |Ёлка, т. е. дерево. |Да.
"""


@pytest.mark.parametrize(
    "case", [line.strip() for cases in (JAPANESE, CHINESE, KOREAN, OTHERS) for line in cases.strip().split("\n")]
)
def test_other_scripts(case):
    check(case.replace("|", ""), *(sentence.strip() for sentence in case.split("|")))


def test_korean_articles_end_their_sentences_with_verbs(shared):
    """Of KorQuAD's articles: hardly a sentence is long or short, hardly one ends otherwise."""
    text = (shared / "data" / "korean" / "korquad" / "KorQuAD_v1.0_dev.json").read_text(encoding="utf-8")
    paragraphs = {p["context"] for article in json.loads(text)["data"] for p in article["paragraphs"]}
    split = [split_sentences(paragraph) for paragraph in paragraphs]
    ends = [sentence for sentences in split for sentence in sentences[:-1]]
    assert len(ends) > 5000
    assert sum(re.search(r"다\.(\[\d+\])*$", sentence) is not None for sentence in ends) > 0.97 * len(ends)
    assert sum(re.search(r"[가-힣]다\.[\s가-힣]", sentence) is not None for sentence in ends) < 0.003 * len(ends)


@given(
    st.lists(
        st.sampled_from(
            [
                *'.!?…。！？．;।"”’)]」》（）「《(\n \t',
                "Mr",
                "다",
                "들",
                "あ",
                "我",
                "……",
                "U.S",
                "The",
                "and",
                "1",
                "[1]",
                "다",
                "と",
                "É",
            ]
        )
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
    "unit",
    [
        *(".", " ", "a.", ". ", "(", '."', "\n ", ".[1", ". (", '.    "', "mr. ", "。」", "U.S.", "α;'", ";"),
        *(
            "다.",
            "다.(a",
            "다.[1]",
            "가! ",
            "들...",
            "들…",
            "你……",
            "。）",
            "！》",
            "．",
            "あ.",
            "我!'",
            "1. ",
            "2010. 5. ",
        ),
    ],
)
def test_odd_texts_take_one_pass(unit):
    """A rule that looked at the rest of the text from every full stop would not come back from these."""
    text = unit * (200_000 // len(unit)) + "."
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())
