"""The flags of a tokenizer's rules, and the one way from flags, manifests and checkpoints to a Tokenizer."""

import argparse
from pathlib import Path
from shlex import quote

from keras_bert.cli.flags import Group, add_bool

RULES = ("do_lower_case", "strip_accents", "tokenize_chinese_chars")


def token_list(text):
    """An argparse type for tokens with commas between them.

    >>> token_list("[SUBJ],[OBJ]")
    ('[SUBJ]', '[OBJ]')
    """
    tokens = tuple(token.strip() for token in text.split(","))
    if not all(tokens):
        raise argparse.ArgumentTypeError(f"expected tokens such as [SUBJ],[OBJ], received {text!r}")
    return tokens


def add_rule_flags(parser, *, do_lower_case, default=None, group="model", common=True):
    """Adds a flag for each rule.

    Args:
        parser: the parser.
        do_lower_case: help on that flag.
        default: of do_lower_case; None means what the vocabulary was made for.
        group: of the help that has the flags.
        common: whether --help shows do_lower_case; the others are rare.
    """
    rare = Group(parser, group, rare=True)
    add_bool(Group(parser, group, rare=not common), "do_lower_case", default=default, help=do_lower_case)
    add_bool(
        rare, "strip_accents", default=None, help="drop accents (default: the checkpoint's rule, or as do_lower_case)"
    )
    add_bool(
        rare,
        "tokenize_chinese_chars",
        default=None,
        help="make each CJK ideograph a word (default: the checkpoint's rule, or true)",
    )
    rare.add_argument(
        "--special_tokens",
        type=token_list,
        default=(),
        metavar="TOKENS",
        help="tokens never to split, such as [SUBJ],[OBJ]; new ones get ids after the vocabulary's (default: the "
        "checkpoint's)",
    )


def given_rules(args):
    """Returns {rule: value} of the flags that were given."""
    return {name: getattr(args, name) for name in RULES if getattr(args, name) is not None}


def as_flags(args):
    """Returns the flags as they are to be given to the next command, with a blank before each.

    >>> as_flags(argparse.Namespace(do_lower_case=False, strip_accents=None, tokenize_chinese_chars=None,
    ...                             special_tokens=("[A]",)))
    " --do_lower_case=False '--special_tokens=[A]'"
    """
    defaults = {"do_lower_case": True, "tokenize_chinese_chars": True}
    flags = [f"--{name}={value}" for name, value in given_rules(args).items() if value != defaults.get(name)]
    flags += [quote(f"--special_tokens={','.join(args.special_tokens)}")] if args.special_tokens else []
    return "".join(f" {flag}" for flag in flags)


def find_tokenizer(args, *, vocab_file, checkpoint=None, manifest=None, contradict=False):
    """Returns the Tokenizer that flags, the manifest of records and a checkpoint ask for, in that order of weight.

    Each rule is taken from the first of them that states it (`rules_for`); added and special tokens add up.

    Args:
        args: those of `add_rule_flags`.
        vocab_file: path of the vocabulary; None takes the checkpoint's own.
        checkpoint: path of a model directory or checkpoint, or None.
        manifest: {rule: value} and "special_tokens" that the records' manifest states, or None.
        contradict: whether flags may say something else than the checkpoint's own files, which are read if
            `vocab_file` is None.

    Returns:
        A Tokenizer; None if there is no vocabulary.

    Raises:
        UserError: a file cannot be read, the casing does not go with the vocabulary, or flags contradict the files.
    """
    from keras_bert.errors import UserError
    from keras_bert.text.kinds import WORDPIECE, kind_at, kind_of
    from keras_bert.text.rules import rules_for
    from keras_bert.text.tokenizer import Tokenizer
    from keras_bert.text.vocabulary import Vocabulary, casing_problem
    from keras_bert.text.wordpiece.files import read_wordpiece, tokenizer_folder, transformer_folder

    own, stated, manifest = None, {}, manifest or {}
    beside = None if checkpoint is None else transformer_folder(tokenizer_folder(checkpoint))
    if vocab_file and (Path(vocab_file).is_dir() or kind_at(vocab_file, what="--vocab_file") != WORDPIECE):
        return _stated_by_files(args, vocab_file, manifest)
    if not vocab_file and beside is not None and kind_of(beside) not in (WORDPIECE, None):
        return _stated_by_files(args, beside, manifest)
    if beside is not None and (not vocab_file or kind_of(beside) == WORDPIECE):
        own, stated = read_wordpiece(beside)
    vocabulary = Vocabulary.from_file(vocab_file) if vocab_file else own
    if vocabulary is None:
        return None
    vocabulary = vocabulary.with_added(manifest.get("special_tokens", ()))
    vocabulary = vocabulary.with_added(own.added if own else ()).with_added(args.special_tokens)
    asked = given_rules(args)
    rules = rules_for(vocabulary, asked, manifest, stated)
    if vocab_file:
        is_other = own is not None and own.fingerprint != vocabulary.fingerprint
        problem = casing_problem(vocabulary, rules.do_lower_case)
        # The user's flag is checked, and the checkpoint's rule where it goes with its own vocabulary.
        if "do_lower_case" in asked:
            is_said = not contradict
        else:
            is_said = is_other and "do_lower_case" in stated and not casing_problem(own, rules.do_lower_case)
        if problem and is_said:
            raise UserError(f"{vocab_file}: {problem}")
    elif not contradict:
        files = rules_for(vocabulary, manifest, stated)
        for name, value in asked.items():
            if value != getattr(files, name):
                does = f"has {name}={getattr(files, name)}"
                if name == "do_lower_case":
                    does = "lower-cases" if files.do_lower_case else "keeps upper case"
                raise UserError(f"--{name}={value}, but {checkpoint} {does}; leave the flag out.")
    return Tokenizer.from_rules(vocabulary, rules)


def _stated_by_files(args, place, manifest):
    """Returns the Tokenizer of a directory or file that states all of its rules, or a UserError on flags for them."""
    from keras_bert.errors import UserError
    from keras_bert.text.tokenizer import Tokenizer

    tokenizer = Tokenizer.from_pretrained(
        place, added_tokens=(*manifest.get("special_tokens", ()), *args.special_tokens)
    )
    for name, value in given_rules(args).items():
        if value != getattr(tokenizer, name):
            raise UserError(
                f"--{name}={value}, but the tokenizer in {place} is {tokenizer.described}, as its files say; leave the "
                "flag out."
            )
    return tokenizer
