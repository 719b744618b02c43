"""The three kinds of engines together: read from a directory, and made again of what a layer's configuration holds."""

from pathlib import Path

from keras_bert.errors import UserError
from keras_bert.text.bpe.engine import BytePairEngine, read_byte_pairs
from keras_bert.text.kinds import BPE, NAMES, SENTENCEPIECE, kind_at, kind_of
from keras_bert.text.rules import rules_for
from keras_bert.text.sentence_piece.engine import SentencePieceEngine, read_sentence_pieces
from keras_bert.text.tokenizer_config import tokenizer_class
from keras_bert.text.wordpiece.engine import WordPieces
from keras_bert.text.wordpiece.files import (
    cannot_read,
    check_added_ids,
    find_vocabulary,
    read_wordpiece,
    tokenizer_folder,
    transformer_folder,
)

READERS = {BPE: read_byte_pairs, SENTENCEPIECE: read_sentence_pieces}
ENGINES = {BPE: BytePairEngine, SENTENCEPIECE: SentencePieceEngine}


def engine_from_config(config):
    """Makes an engine of what its `get_config` gave."""
    return ENGINES[config["kind"]].from_config(config)


def read_engine(path, *, do_lower_case=None, added_tokens=()):
    """Reads the tokenizer of a directory.

    Args:
        path: the directory, a file of the tokenizer in it, or the prefix of a checkpoint in it.
        do_lower_case: overrules what WordPiece's files say; other kinds say it themselves.
        added_tokens: more AddedTokens, or their contents.

    Returns:
        An Engine, and its Vocabulary with all that was added.

    Raises:
        UserError: there is no such directory or no tokenizer in it, a file is damaged, or it asks for what is not
            supported.
    """
    folder = transformer_folder(tokenizer_folder(path))
    kind = kind_at(path) if Path(path).is_file() else kind_of(folder)
    if kind in READERS:
        if do_lower_case is not None:
            raise UserError(
                f"do_lower_case is for WordPiece, and the tokenizer in {folder} is {NAMES[kind]}, whose files say it; "
                "leave it out."
            )
        engine, vocabulary, added = READERS[kind](folder)
        check_added_ids(vocabulary, added, folder, by="its vocabulary")
        return engine, vocabulary.with_added(added_tokens)
    if kind not in (*NAMES, None) and (find_vocabulary(folder) is None or kind != tokenizer_class(folder)):
        raise cannot_read(folder, kind)  # read_wordpiece tells more of a class
    vocabulary, stated = read_wordpiece(folder)
    vocabulary = vocabulary.with_added(added_tokens)
    asked = {} if do_lower_case is None else {"do_lower_case": do_lower_case}
    return WordPieces(vocabulary, rules_for(vocabulary, asked, stated)), vocabulary
