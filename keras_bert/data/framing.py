"""Messages <-> the frames of a TFRecord file. Source: tensorflow/core/lib/io/record_writer.h.

    uint64 length, uint32 masked_crc32c(length), length bytes, uint32 masked_crc32c(bytes)

Legend: B messages, N bytes in all.
"""

import functools

import google_crc32c
import numpy as np

MASK_DELTA = 0xA282EAD8  # tensorflow/core/lib/hash/crc32c.h


def frame(data, sizes):
    """Returns the bytes of a TFRecord file (or a piece of one) that holds these messages.

    Args:
        data: uint8 (N,), the messages one after the other.
        sizes: int64 (B,), the size of each.

    Example:
        >>> frame(np.frombuffer(b"ab", np.uint8), np.array([2])).hex()
        '020000000000000078270b3461621cb0f0f4'
    """
    body, ends = data.tobytes(), np.cumsum(sizes).tolist()
    messages = [body[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    crcs = np.fromiter(map(google_crc32c.value, messages), np.int64, len(messages))
    pieces = [b""] * (3 * len(messages))
    pieces[0::3] = map(frame_head, sizes.tolist())
    pieces[1::3] = messages
    pieces[2::3] = _masked(crcs).astype("<u4").view("V4").tolist()  # as bytes
    return b"".join(pieces)


@functools.cache
def frame_head(size):
    """Returns the 12 bytes before a message of `size` bytes."""
    head = size.to_bytes(8, "little")
    return head + masked_crc32c(head).to_bytes(4, "little")


def masked_crc32c(message):
    """Returns TFRecord's masked CRC-32C of bytes, as an int."""
    return _masked(google_crc32c.value(message))


def _masked(crc):
    """Returns TFRecord's disguise of a CRC, an int or int64 array."""
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & 0xFFFFFFFF
