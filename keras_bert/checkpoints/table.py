"""LevelDB's sorted table of (name, value), as TensorFlow's checkpoints have one, read and written in one piece.

Sources: tensorflow/core/lib/io/{format,table_builder,block_builder}.cc.

    block    entries, then uint32 restart points and their number; an entry is
             varint shared, varint new, varint length of the value, the new part of the name, the value
    table    blocks of entries, a block of metadata (empty), a block of (last name, place) of the first, a footer
"""

from keras_bert.data.framing import masked_crc32c

MAGIC = 0xDB4775248B80FB57.to_bytes(8, "little")
FOOTER = 48  # bytes: two places, padded to 40, and the magic number
MAX_VARINT = 10  # bytes, of a number of 64 bits
MAX_NAMES = 1 << 26  # bytes of all names; each may take over most of the one before, so that few bytes make many
RESTART_INTERVAL = 16  # entries after which a name stands in full


def write_table(entries):
    """Returns the bytes of a table of one block.

    Args:
        entries: list of (name, value), bytes, sorted by name; the last name begins with an ASCII character.
    """
    block = _block(entries)
    out = _sealed(block)
    # A place needs no name, only one that is not smaller than any there: what comes after the last one's first byte.
    places = _block([(bytes([entries[-1][0][0] + 1]), varint(0) + varint(len(block)))])
    footer = b""
    for block in (_block([]), places):
        footer += varint(len(out)) + varint(len(block))
        out += _sealed(block)
    return out + footer.ljust(FOOTER - len(MAGIC), b"\0") + MAGIC


def read_table(data):
    """Yields (name, value) of a table.

    Raises:
        ValueError, IndexError: it is damaged, or no table.
    """
    if data[-8:] != MAGIC or len(data) < FOOTER:
        raise ValueError("its index is none, or not all of it")
    footer = data[-FOOTER:]
    _, position = read_varint(footer, 0)
    _, position = read_varint(footer, position)
    read = names = 0
    for _, place in _read_block(data, footer[position:]):
        read += _place(place)[1]
        if read > len(data):
            raise ValueError("its blocks overlap")
        for name, value in _read_block(data, place):
            names += len(name)
            if names > MAX_NAMES:
                raise ValueError(f"its names take more than {MAX_NAMES} bytes")
            yield name, value


def varint(value):
    """Writes a number seven bits at a time, the lowest first.

    >>> varint(300).hex()
    'ac02'
    """
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def read_varint(data, position):
    """Returns a number and the position after it.

    >>> read_varint(bytes.fromhex("ac02"), 0)
    (300, 2)
    """
    value = 0
    for shift in range(0, 7 * MAX_VARINT, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError(f"a number of more than {MAX_VARINT} bytes")


def _block(entries):
    """Writes entries; each name gives only what differs from the one before, but for one in RESTART_INTERVAL."""
    out, restarts, before = bytearray(), [], b""
    for index, (name, value) in enumerate(entries):
        if index % RESTART_INTERVAL == 0:
            restarts.append(len(out))
            before = b""
        differs = (at for at, (old, new) in enumerate(zip(before, name, strict=False)) if old != new)
        shared = next(differs, min(len(before), len(name)))
        out += varint(shared) + varint(len(name) - shared) + varint(len(value)) + name[shared:] + value
        before = name
    restarts = restarts or [0]
    return bytes(out) + b"".join(number.to_bytes(4, "little") for number in (*restarts, len(restarts)))


def _sealed(block):
    """Adds a block's trailer: 0 for no compression, and a checksum."""
    return block + b"\0" + masked_crc32c(block + b"\0").to_bytes(4, "little")


def _place(data):
    """Returns the offset and the size of a block."""
    offset, position = read_varint(data, 0)
    return offset, read_varint(data, position)[0]


def _read_block(data, place):
    """Yields (name, value) of the block at a place."""
    offset, size = _place(place)
    block, kind = data[offset : offset + size], data[offset + size]
    if kind:
        raise ValueError("its index is compressed")
    if _sealed(block)[-4:] != data[offset + size + 1 : offset + size + 5]:
        raise ValueError("its index is damaged")
    end = len(block) - 4 * (1 + int.from_bytes(block[-4:], "little"))
    position, name = 0, b""
    while position < end:
        shared, position = read_varint(block, position)
        new, position = read_varint(block, position)
        length, position = read_varint(block, position)
        if shared > len(name) or position + new + length > end:
            raise ValueError("an entry of its index does not fit")
        name = name[:shared] + block[position : position + new]
        position += new
        yield name, block[position : position + length]
        position += length
