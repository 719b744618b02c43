"""Names the kind of a file that is not UTF-8 text, by its first bytes and not by its name."""

import re

_NUL_SHARE = 0.4  # of every second byte in UTF-16 of the languages that ASCII can spell
_BINARY_SHARE = 0.1  # of all bytes; text has none, but for a stray one
_LOOKED_AT = 4096  # bytes
_FEW = 4  # NUL characters that text may hold

_UNPACK = "unpack it"
_CONVERT = "convert it to UTF-8, for example with iconv -f {} -t UTF-8"
_COLUMN = "write its column of texts as JSON lines or as CSV"
_EXTRACT = "extract its text first"
_LEAVE_OUT = "leave it out"

# (how such a file begins, what it is, what to do)
_BEGINNINGS = (
    (b"PK\3\4", "a zip archive", f"{_UNPACK}, or if it is a document or a spreadsheet, export it as text"),
    (b"(\xb5/\xfd", "a zstd archive", _UNPACK),
    (b"7z\xbc\xaf'\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\7", "a RAR archive", _UNPACK),
    (b'\4"M\x18', "an LZ4 archive", _UNPACK),
    (b"PAR1", "a Parquet file", _COLUMN),
    (b"ARROW1\0", "an Arrow file", _COLUMN),
    (b"FEA1", "a Feather file", _COLUMN),
    (b"\xff\xff\xff\xff", "an Arrow stream, as Hugging Face's datasets saves it", _COLUMN),
    (b"SQLite format 3\0", "an SQLite database", _COLUMN),
    (b"\x89HDF\r\n", "an HDF5 file", _COLUMN),
    (b"\x93NUMPY", "a NumPy file", _COLUMN),
    (b"%PDF-", "a PDF document", f"{_EXTRACT}, for example with pdftotext"),
    (b"{\\rtf", "an RTF document", _EXTRACT),
    (b"\xd0\xcf\x11\xe0", "an old Microsoft Office document", _EXTRACT),
    (b"\x89PNG", "a PNG image", _LEAVE_OUT),
    (b"\xff\xd8\xff", "a JPEG image", _LEAVE_OUT),
    (b"GIF8", "a GIF image", _LEAVE_OUT),
    (b"\x7fELF", "a program", _LEAVE_OUT),
    (b"\xff\xfe\0\0", "UTF-32", _CONVERT.format("UTF-32")),
    (b"\0\0\xfe\xff", "UTF-32", _CONVERT.format("UTF-32")),
    (b"\xff\xfe", "UTF-16", _CONVERT.format("UTF-16")),
    (b"\xfe\xff", "UTF-16", _CONVERT.format("UTF-16")),
)
# uint64 length (below 16 MiB), uint32 checksum, then a tf.train.Example, whose one field is written as \n.
_TFRECORD = re.compile(rb"(?!\0\0\0)...\0{5}....\n", re.DOTALL)
_TAR_AT, _TAR = 257, b"ustar"


def no_text(head):
    """Returns (what a file is, what to do about it), or None where it may be UTF-8 text.

    Args:
        head: its first bytes, unpacked if it is packed.

    >>> no_text(b"%PDF-1.7 ...")
    ('a PDF document', 'extract its text first, for example with pdftotext')
    >>> no_text("one two three".encode("utf-16-le"))[0], no_text(b"one two three")
    ('UTF-16', None)
    """
    for beginning, kind, remedy in _BEGINNINGS:
        if head.startswith(beginning):
            return kind, remedy
    if head.startswith(_TAR, _TAR_AT):
        return "a tar archive", _UNPACK
    if _TFRECORD.match(head):
        return "a TFRecord file", "give the text that it was made from; records go to keras-bert pretrain as they are"
    head = head[:_LOOKED_AT]
    if head.count(0) < _FEW:
        return None
    for first, name in ((1, "UTF-16-LE"), (0, "UTF-16-BE")):
        every_second = head[first::2]
        if every_second.count(0) > _NUL_SHARE * len(every_second) > 2 * head[1 - first :: 2].count(0):
            return "UTF-16", _CONVERT.format(name)
    if head.count(0) > _BINARY_SHARE * len(head):
        return "binary data", _LEAVE_OUT
    return None
