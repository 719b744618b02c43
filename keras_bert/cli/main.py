"""The `keras-bert` command: finds the subcommand, runs it, and turns user errors into one sentence.

Each subcommand is a module of this package with `add_arguments(parser)` and `run(args)`, or a task's Job behind the
same; it is imported only when it is called, and itself imports the library only inside `run`.
"""

import contextlib
import importlib
import os
import sys
import warnings
from pathlib import Path

from keras_bert.cli.flags import nearest
from keras_bert.cli.help import in_columns, page_width
from keras_bert.cli.parser import Parser
from keras_bert.tasks.rows import fine_tuned

FINE_TUNED = fine_tuned()
OLDER = {
    "squad": "answer, for SQuAD and KorQuAD, under its older name",
    "ner": "tag, for named entities, under its older name",
    "swag": "choose, for SWAG and CODAH, under its older name",
}
COMMANDS = {
    "quickstart": "the whole chain on the docstrings of the installed packages, or on your own text",
    "train_vocab": "raw text -> vocabulary: WordPiece, byte-level BPE or Unigram",
    "create_pretraining_data": "raw text -> masked TFRecords",
    "pretrain": "TFRecords -> pre-trained BERT",
    **FINE_TUNED,
    "predict": "a fine-tuned model -> its answers, for files, lines of text or objects",
    "glue": "classify, for a GLUE task or XNLI: measures, and writes what the GLUE server takes",
    **OLDER,
    "fill_mask": "ask a pre-trained BERT for the words behind [MASK]",
    "embed": "texts -> sentence embeddings, and a search among them",
    "export": "model -> SavedModel that answers raw strings",
    "convert": "checkpoint of any format -> keras_bert's, Google's or Hugging Face's",
    "lengthen": "a BERT or RoBERTa -> a BigBird or Longformer, for long texts",
    "inspect": "look at a model and what its training costs, or at pre-training records",
}


# What writes several files into --output_dir, and what replaces the whole of it. pretrain takes the lock itself, as of
# several workers only the chief writes.
LOCKED_IN = {"quickstart", "glue", *FINE_TUNED, *OLDER}
LOCKED_WHOLE = {"export", "convert", "lengthen"}
# What Ctrl-C leaves to resume; pretrain says it itself, by its checkpoints. Every other command starts over.
RESUMED = {
    "quickstart": "the same command resumes at the stage that was interrupted",
    "create_pretraining_data": "the same command resumes with what is finished",
}


def build_parser():
    """Returns the top-level parser: the list of commands and nothing that imports them."""
    return Parser(
        prog="keras-bert",
        usage="keras-bert COMMAND [flags]",
        description="BERT on Keras 3 and TensorFlow, from raw text to a served model.\n\n    keras-bert quickstart\n",
        epilog="commands:\n"
        + in_columns(COMMANDS.items(), page_width())
        + "\n\nkeras-bert COMMAND --help shows the flags of a command, --help_all all of them.",
    )


def command_parser(words):
    """Returns the Parser of the command that a line's first words name, and that command's module.

    >>> parser, module = command_parser(["inspect", "records", "wiki.tfrecord"])
    >>> parser.prog, module.__name__
    ('keras-bert inspect records', 'keras_bert.cli.inspect_records')
    """
    module, prog = _command(words[0]), f"keras-bert {words[0]}"
    subjects = getattr(module, "SUBJECTS", {})
    if words[1:2] and words[1] in subjects:
        module, prog = importlib.import_module(f"keras_bert.cli.{subjects[words[1]]}"), f"{prog} {words[1]}"
    main_flags = getattr(module, "MAIN", ())
    parser = Parser(prog=prog, description=module.__doc__, main=main_flags, elsewhere=commands_with)
    module.add_arguments(parser)
    return parser, module


def _command(word):
    """Returns the module of a command, or the like of it that a task's Job makes."""
    if word not in FINE_TUNED:
        return importlib.import_module(f"keras_bert.cli.{word}")
    return importlib.import_module("keras_bert.cli.finetune").Command.of_task(word)


def every_command():
    """Returns the words of each command, those of `inspect records` and its like too."""
    subjects = importlib.import_module("keras_bert.cli.inspect").SUBJECTS
    return [*([name] for name in COMMANDS), *(["inspect", subject] for subject in subjects)]


def commands_with(flag):
    """Returns the commands on which a flag has an effect, under their names of today.

    >>> commands_with("--doc_stride")
    ['classify', 'answer', 'predict']
    """
    commands = [words for words in every_command() if words[0] not in OLDER]
    return [" ".join(words) for words in commands if flag in command_parser(words)[0].flags(hidden=False)]


def dispatch(argv):
    """Parses and runs one command line in this process. Returns what the command's `run` returns."""
    parser, module = command_parser(argv)
    args = parser.parse_args(argv[len(parser.prog.split()) - 1 :])
    try:
        with _alone(argv[0], getattr(args, "output_dir", None)):
            return module.run(args)
    except KeyboardInterrupt as error:
        resumed = getattr(module, "resumed", lambda _: RESUMED.get(argv[0]))(args)
        error.then = resumed or "it cannot be resumed: the same command starts over"
        raise


@contextlib.contextmanager
def _alone(name, output_dir):
    """Lets no other command write to the same --output_dir meanwhile, and clears what dead ones left there."""
    if not output_dir or name not in LOCKED_IN | LOCKED_WHOLE:
        yield
        return
    from keras_bert.locks import lock_beside, lock_in, locked
    from keras_bert.outputs import clear_left

    path = (lock_in if name in LOCKED_IN else lock_beside)(output_dir)
    remedy = "wait until it ends, or name another --output_dir"
    with locked(path, what=f"--output_dir {output_dir}", remedy=remedy):
        clear_left(path.parent, None if name in LOCKED_IN else Path(output_dir).name)
        yield


def main(argv=None):
    """Runs `keras-bert`. Returns the exit status.

    0; 2 for a user error; 75 for a lost worker; 128 + the signal's number for what a signal ended: 130 for Ctrl-C, 143
    for SIGTERM, 141 where nobody reads the output any more.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = build_parser()
    if not argv or argv[0] in ("-h", "--help", "--help_all"):
        parser.print_help()
        return 0 if argv else 2
    if argv[0].startswith("-"):
        parser.error(f"a command comes first, {argv[0]} after it")
    if argv[0] not in COMMANDS:
        parser.error(f"unknown command {argv[0]}{nearest(argv[0], COMMANDS)}")
    try:
        with _notes_as_lines():
            dispatch(argv)
        if sys.stdout is not None:
            sys.stdout.flush()  # a full disk shows here, where it can be told, and not at the exit
    except KeyboardInterrupt as error:
        then = f"; {error.then}" if hasattr(error, "then") else ""
        print(f"\nkeras-bert {argv[0]}: interrupted{then}. No half-written file has a final name.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output, `head` say, has gone
        _drop_output()
        return 141  # as a shell counts it: 128 + SIGPIPE
    except OSError as error:
        from keras_bert.outputs import REMEDIES, cannot_write

        if error.errno not in REMEDIES:
            raise
        print(f"keras-bert {argv[0]}: {cannot_write(error.filename or 'the output', error)}", file=sys.stderr)
        _drop_output()
        return 2
    except Exception as error:
        if getattr(error, "exit_status", None) is None:  # UserError, without importing the library for it
            raise
        print(f"keras-bert {argv[0]}: {error}", file=sys.stderr)
        return error.exit_status
    return 0


def _drop_output():
    """Sends what is still to be written to standard output nowhere, so that the exit does not fail on it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def _notes_as_lines():
    """Has the library's notes printed as lines; any other warning is shown as Python does."""
    as_python_does = warnings.showwarning

    def show(message, *args, **kwargs):
        if getattr(message, "is_note", False):  # UserNote, without importing the library for it
            print(f"note: {message}", file=sys.stderr, flush=True)
        else:
            as_python_does(message, *args, **kwargs)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = as_python_does


if __name__ == "__main__":
    sys.exit(main())
