"""Which runner a fusible chain goes to."""

import concurrent.futures

import pytest

from keras_bert.layers import fusion
from keras_bert.layers.common import worth_fusing


@fusion.fusible
def weighted(x, y, *, weight):
    return x + y * weight


@pytest.fixture
def runner():
    """Installs a runner that notes what it is given; puts the old one back."""
    calls = []

    def run(function, tensors, settings):
        calls.append((tensors, settings))
        return function(*tensors, **settings)

    before = fusion.use_runner(run)
    yield calls
    fusion.use_runner(before)


def test_a_chain_goes_to_the_runner_if_it_is_to_be_fused(runner):
    assert weighted(1.0, 2.0, weight=3.0, fuse=False) == 7.0
    assert runner == []
    assert weighted(1.0, 2.0, weight=3.0, fuse=True) == 7.0
    assert runner == [((1.0, 2.0), {"weight": 3.0})]


def test_unfused_leaves_the_runner_out_even_after_an_error(runner):
    with pytest.raises(KeyError), fusion.unfused():
        assert weighted(1.0, 2.0, weight=3.0, fuse=True) == 7.0
        raise KeyError
    assert runner == []
    weighted(1.0, 2.0, weight=3.0, fuse=True)
    assert len(runner) == 1


def in_another_thread(function):
    """Returns what a function gives in a thread of its own, while this one waits where it is."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result(timeout=60)


def test_a_scope_is_its_threads_own(runner):
    """Another thread is asked while this one is inside, and this one is inside still afterwards."""
    with fusion.unfused(), fusion.any_length():
        in_another_thread(lambda: weighted(1.0, 2.0, weight=3.0, fuse=True))
        assert len(runner) == 1
        assert not in_another_thread(fusion.lengths_may_vary)
        weighted(1.0, 2.0, weight=3.0, fuse=True)
        assert len(runner) == 1
        assert fusion.lengths_may_vary()


def test_without_a_runner_chains_are_plain_functions(runner):
    fusion.use_runner(None)
    assert weighted(1.0, 2.0, weight=3.0, fuse=True) == 7.0


def test_whoever_calls_a_chain_says_whether_to_fuse():
    with pytest.raises(TypeError, match="fuse"):
        weighted(1.0, 2.0, weight=3.0)


def test_unknown_lengths_are_fused_where_that_was_said_alone():
    class Known:
        shape = (None, 5, 256)

    class Unknown:
        shape = (None, None, 256)

    assert (worth_fusing(Known), worth_fusing(Unknown)) == (True, False)
    with fusion.any_length():
        assert (worth_fusing(Known), worth_fusing(Unknown)) == (True, True)
        assert not worth_fusing(Unknown, training=False)
    assert not worth_fusing(Unknown)
