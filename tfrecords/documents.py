"""Input files -> documents, lists of sentences: Google's one sentence a line, or running prose.

In both formats a blank line ends a document, and so does the end of a file.
"""

from keras_bert.errors import UserError
from keras_bert.files import OPENERS, read_lines
from keras_bert.text.sentences import split_sentences

INPUT_FORMATS = ("auto", "sentences", "text")
SAMPLE_FILES, SAMPLE_LINES = 8, 100  # what "auto" looks at: so many files, so many lines of each
PACKED = 3.5  # how much shorter compressed English is, for the progress only


def one_sentence_a_line(line):
    """Returns the sentences of a line in Google's input format: the line, stripped.

    >>> one_sentence_a_line(" It rains. It pours. ")
    ['It rains. It pours.']
    """
    return [line.strip()]


# How a line that is not blank becomes sentences.
SPLITTERS = {"sentences": one_sentence_a_line, "text": split_sentences}


def detect_format(files):
    """Tells sentences from prose: prose keeps most of its text in lines of two and more sentences.

    Args:
        files: paths of text files, plain or compressed.

    Returns:
        "sentences" or "text".
    """
    single = several = 0
    for path in files[:: -(-len(files) // SAMPLE_FILES)]:
        seen = 0
        for line in read_lines(path):
            if not line.strip():
                continue
            if len(split_sentences(line)) > 1:
                several += len(line)
            else:
                single += len(line)
            seen += 1
            if seen == SAMPLE_LINES:
                break
    return "text" if several > single else "sentences"


def read_documents(files, *, input_format, progress=None):
    """Yields the documents of the files in order, each a list of sentences (str).

    Args:
        files: paths of UTF-8 text files, plain or .gz/.xz/.bz2.
        input_format: "sentences" (one a line) or "text" (each line a paragraph, split into sentences).
        progress: called now and then as progress(bytes done, bytes in all), as they lie on the disk.

    Raises:
        UserError: a file that cannot be read, or an unknown format.

    Example:
        >>> import tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "a.txt")
        ...     _ = path.write_text("It rains. It pours.\\n\\nThe sun came out.\\n")
        ...     print(list(read_documents([path], input_format="text")))
        [['It rains.', 'It pours.'], ['The sun came out.']]
    """
    if input_format not in SPLITTERS:
        raise UserError(f"input_format must be one of {', '.join(INPUT_FORMATS)}. Received: {input_format!r}.")
    split = SPLITTERS[input_format]
    sizes = [path.stat().st_size for path in files]
    done, total = 0, sum(sizes)
    for path, size in zip(files, sizes, strict=True):
        ratio = PACKED if path.suffix in OPENERS else 1
        document, read = [], 0
        for line in read_lines(path):
            read += len(line) + 1
            if line and not line.isspace():
                document += split(line)
            elif document:
                yield document
                document = []
                if progress:
                    progress(done + min(size, int(read / ratio)), total)
        if document:
            yield document
        done += size
        if progress:
            progress(done, total)
