"""What the tests of the data tool share."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SMALL = {"max_seq_length": 32, "max_predictions_per_seq": 5}


def small_pieces(monkeypatch):
    """Makes chunks of work so small that every stage has many of them."""
    monkeypatch.setattr("tfrecords.runners._forking_is_safe", lambda: True)  # so that the workers see this as well
    monkeypatch.setattr("tfrecords.instances.STRETCH_TOKENS", 64)
    monkeypatch.setattr("tfrecords.instances.INSTANCES_PER_BLOCK", 64)
    monkeypatch.setattr("tfrecords.stages.INSTANCES_PER_PART", 100)


def command(corpus_file, vocab_file, output, *more):
    """Returns the command line that writes `output`, but for the program's name."""
    flags = {"input_file": corpus_file, "vocab_file": vocab_file, "output_file": output, "max_seq_length": 32}
    named = [f"--{name}={value}" for name, value in flags.items()]
    return ["create_pretraining_data", *named, *more]
