"""What the tests of train_vocab share."""

from keras_bert.cli.main import main


def expect_error(capsys, argv, *parts):
    """The command ends with status 2 and one sentence, the last line of stderr, that has all `parts`."""
    assert main(argv) == 2
    errors = capsys.readouterr().err.splitlines()
    assert not any("Traceback" in line for line in errors)
    error = errors[-1]
    assert error.startswith("keras-bert train_vocab: ")
    for part in parts:
        assert part in error
