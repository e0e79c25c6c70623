"""Work shared by threads and by processes."""

import gc
import threading
import time
import weakref

import pytest

from spinpot.core.errors import InputError
from spinpot.core.shares import MOST_AT_ONCE, THREADS, by_threads, never_garbage, shared
from support.shares import as_ranks


def of_ten(number):
    if number in (13, 77):
        raise InputError(f"{number} is broken")
    return number * 10


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [0, 1, 4, 12])
def test_shares_add_up(size, count):
    seen = []
    made = as_ranks(size, lambda one: shared(lambda k: seen.append(k) or of_ten(k), range(count), "", one))
    assert made == [[10 * k for k in range(count)]] * size
    assert sorted(seen) == list(range(count)), "each thing is worked on once"


def test_what_stays_is_never_searched_for_garbage_but_garbage_goes():
    class Thing:
        pass

    old = Thing()
    old.itself, gone = old, weakref.ref(old)
    del old
    before = gc.get_freeze_count()
    with never_garbage():
        made = [Thing() for _ in range(1000)]
    assert gone() is None
    assert gc.get_freeze_count() >= before + len(made)
    assert gc.isenabled()


@pytest.mark.parametrize("size", [1, 2, 4])
def test_all_raise_the_error_of_the_first_thing(size):
    raised = as_ranks(size, lambda one: shared(of_ten, range(100), "", one), InputError)
    assert list(map(str, raised)) == ["13 is broken"] * size


def test_ranks_that_find_different_things_are_told():
    raised = as_ranks(2, lambda one: shared(of_ten, range(4 + one.rank), "Systems", one), InputError)
    assert {str(error).split(" Expected")[0] for error in raised} == {
        "Systems: rank 0 found 4, but rank 1 found 5."
    }


def test_many_things_wait_at_once():
    """As many as there are threads, and no more."""
    inside, most, lock = 0, 0, threading.Lock()

    def work(number):
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.002)
        with lock:
            inside -= 1
        return number

    assert by_threads(work, range(200), "") == list(range(200))
    assert 1 < most <= THREADS


def test_after_an_error_little_is_done():
    done = []
    with pytest.raises(InputError, match="13 is broken"):
        by_threads(lambda k: done.append(k) or time.sleep(1e-4) or of_ten(k), range(20_000), "")
    assert len(done) < 20 * THREADS * MOST_AT_ONCE
