"""How far attention by blocks reaches, and from what length on it pays: one rule for the layers and for their costs.

S sequence, b tokens in a block.
"""

SMALLEST_BLOCK = 64  # of queries: smaller matrix products cost more than the keys outside the window


def worth_blocking(length, window):
    """Says whether a text is long enough to be cut into blocks, as measured on CPUs, in training and without.

    Args:
        length: S, an int or an int tensor.
        window: tokens seen on each side.

    Returns:
        bool, or a bool tensor.

    >>> worth_blocking(512, 128), worth_blocking(512, 256)
    (True, False)
    """
    return length >= max(4 * window, 5 * SMALLEST_BLOCK)


def block_and_halo(length, window):
    """Returns how many queries a block has, and how many keys its frame has on each side of it.

    A text that is not worth blocking is one block.

    >>> block_and_halo(1024, 64), block_and_halo(100, 64)
    ((64, 64), (100, 0))
    """
    return (max(window, SMALLEST_BLOCK), window) if worth_blocking(length, window) else (length, 0)


def longest_full(block_size, random_blocks):
    """Returns the longest text that attends in full where attention is by blocks: by these it would save nothing."""
    return (5 + 2 * random_blocks) * block_size
