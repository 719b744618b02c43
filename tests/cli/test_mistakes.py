"""Mistakes in a command line: one sentence that names the remedy, exit status 2, before anything is read."""

import pytest

from keras_bert.cli.flags import Group, add_bool
from keras_bert.cli.main import command_parser, main
from keras_bert.cli.parser import Parser

NER = ["ner", "--data_dir=d", "--output_dir=o"]


def sentence(capsys, arguments):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    command = " ".join(arguments[: 1 + (arguments[:2] == ["inspect", "records"])])
    said = captured.err.removeprefix(f"keras-bert {command}: ")
    assert said != captured.err
    assert said.endswith(f" (keras-bert {command} --help_all lists what there is)\n")
    return said.rpartition(" (")[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([*NER, "--doc_stride=64"], "--doc_stride belongs to keras-bert classify, answer and predict"),
        (["fill_mask", "--query=a"], "--query belongs to keras-bert embed"),
        (["pretrain", "--num_examples=1"], "--num_examples belongs to keras-bert inspect records"),
        (
            ["embed", "--seed=1"],
            "--seed belongs to keras-bert classify, tag, answer and 2 more commands",
        ),
        (
            ["create_pretraining_data", "--output_dir=o"],
            "--output_dir belongs to keras-bert quickstart, pretrain, classify and 7 more commands; did you mean "
            "--output_file?",
        ),
        (["quickstart", "--master=local"], "unknown flag --master"),  # which has no effect anywhere
        ([*NER, "--trian_file=a"], "unknown flag --trian_file; did you mean --train_file?"),
        (["squad", "--iterations_per_lop=1"], "unknown flag --iterations_per_lop; did you mean --iterations_per_loop?"),
        ([*NER, "-train_file", "a"], "-train_file has one hyphen; type --train_file"),
        ([*NER, "-train_file=a"], "-train_file has one hyphen; type --train_file"),
        ([*NER, "—train_file", "a"], "—train_file has a dash, U+2014, in the place of hyphens; type --train_file"),
        ([*NER, "–train_file=a"], "–train_file has a dash, U+2013, in the place of hyphens; type --train_file"),
        ([*NER, "-–train_file=a"], "-–train_file has a dash, U+2013, in the place of hyphens; type --train_file"),
        ([*NER, "—nosuch=a"], "unexpected arguments: —nosuch=a"),
        ([*NER, "--[no]force"], "--[no]force stands for two flags; type --force or --noforce"),
        ([*NER, "train_file=a"], "unexpected arguments: train_file=a; did you mean --train_file?"),
        (["embed", "--model_dir=m", "-nice"], "unknown flag -nice; a TEXT that begins with a hyphen goes behind --"),
        ([*NER, "--seed=1.5"], "--seed: expected a whole number of at least 0, received '1.5'"),
        ([*NER, "--token_column=first"], "--token_column: expected a whole number, received 'first'"),
        ([*NER, "--learning_rate=fast"], "--learning_rate: expected a number, received 'fast'"),
        ([*NER, "--train_batch_size", "0"], "--train_batch_size: expected a whole number of at least 1, received '0'"),
        ([*NER, "--force=maybe"], "--force: expected true or false, received 'maybe'"),
        ([*NER, "--noforce=maybe"], "--force: expected true or false, received 'maybe'"),
        ([*NER, "--force", "maybe"], "--force is true or false, as in --force=false, received 'maybe'"),
        (["predict", "--batch_size=x"], "--batch_size: expected a whole number of at least 1, received 'x'"),
        ([*NER, "--train_file"], "--train_file needs a value, as in --train_file=VALUE"),
        ([*NER, "--train_file", "--force"], "--train_file needs a value, as in --train_file=VALUE"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_remedy(capsys, arguments, said):
    assert sentence(capsys, arguments) == said


def test_a_value_that_is_no_choice_is_told_with_the_choices(capsys):
    said = sentence(capsys, [*NER, "--dtype=float64"])
    assert said.startswith("--dtype: invalid choice: 'float64'") and "mixed_bfloat16" in said


@pytest.mark.parametrize("flag", ["--train_file=a", "-h=1", "--force"])
def test_a_flag_before_the_command(capsys, flag):
    with pytest.raises(SystemExit) as end:
        main([flag, "classify"])
    assert end.value.code == 2
    assert capsys.readouterr().err == (
        f"keras-bert: a command comes first, {flag} after it (keras-bert --help_all lists what there is)\n"
    )


@pytest.fixture
def parser():
    parser = Parser(prog="x")
    group = Group(parser, "data")
    group.add_argument("--shift", type=float, default=0.0, help="")
    group.add_argument("--separator", default=",", help="")
    group.add_argument("--query", action="append", default=[], help="")
    group.add_argument("--folders", nargs="+", help="")
    add_bool(group, "deep", default=None, help="", aliases=("--flat",))
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="")
    return parser


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--shift", "-1.5"], {"shift": -1.5}),
        (["--shift=-1e-5", "--shift=-1e-5"], {"shift": -1e-5}),
        (["--separator", "—"], {"separator": "—"}),
        (["--separator", "—deeper"], {"separator": "—deeper"}),
        (["--separator=-"], {"separator": "-"}),
        (["--query=a", "--query", "b"], {"query": ["a", "b"]}),
        (["--folders", "a", "b", "c"], {"folders": ["a", "b", "c"]}),
        (["--deep", "--deep=yes", "--noflat"], None),
        (["--deep", "--deep=yes", "--nodeep=false"], {"deep": True}),
        (["--flat"], {"deep": False}),
        (["--deep", "false", "a text"], {"deep": False, "texts": ["a text"]}),
        (["--deep", "a text"], {"deep": True, "texts": ["a text"]}),
        (["— a text", "-x y"], {"texts": ["— a text", "-x y"]}),
        (["--", "--deep", "—deep", "-deep"], {"texts": ["--deep", "—deep", "-deep"]}),
    ],
)
def test_what_only_looks_like_a_mistake_is_taken(parser, capsys, arguments, expected):
    if expected is None:
        with pytest.raises(SystemExit):
            parser.parse_args(arguments)
        assert "unknown flag --noflat" in capsys.readouterr().err
        return
    plain = {"shift": 0.0, "separator": ",", "query": [], "folders": None, "deep": None, "texts": []}
    assert vars(parser.parse_args(arguments)) == plain | expected


def test_a_parser_starts_anew_with_each_command_line(parser):
    assert [parser.parse_args([f"--separator={each}"]).separator for each in "ab"] == ["a", "b"]


def test_of_a_flag_that_is_given_twice_the_last_value_counts():
    """As with Google's flags: a line that a script wrote is overruled by what is put behind it."""
    parser, _ = command_parser(NER)
    args = parser.parse_args([*NER[1:], "--seed=1", "--seed", "2", "--force", "--noforce"])
    assert (args.seed, args.force) == (2, False)
