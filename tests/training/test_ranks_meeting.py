"""Ranks meet in torchrun's store, which outlives its restarts."""

from itertools import count

import pytest
import torch
import torch.distributed as dist

from spinpot.core.errors import InputError
from spinpot.training import ranks
from spinpot.training.places import Place
from support.ranks import free_port


@pytest.fixture
def attempt(monkeypatch):
    """A rank that joins and leaves, as a process of its own; restarts: as torchrun counts them."""
    port = free_port()
    agent = dist.TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False)

    def join(restarts):
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", restarts)
        monkeypatch.setattr(ranks, "_meetings", count())
        monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
        place = Place(0, 1, 0, 1, "127.0.0.1", port, 5.0, started_here=False)
        one = ranks.Ranks(place)
        try:
            one.meet()
            one.leave()
        finally:
            one.close()
        return place.at

    yield join
    del agent


def test_ranks_meet_again_after_a_restart(attempt):
    assert attempt("0") == attempt("1")
    with pytest.raises(InputError, match=r"process with rank 0 has already joined at 127\.0\.0\.1:[0-9]+\."):
        attempt("1")


@pytest.mark.parametrize(
    ("given", "started_here", "expected"), [(None, True, 2), ("4", True, 4), (None, False, 4)]
)
def test_ranks_that_are_started_here_share_the_cores(given, started_here, expected, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        with ranks._own_cores(Place(0, 2, 0, 2, "127.0.0.1", 1, 5.0, started_here=started_here)):
            assert torch.get_num_threads() == expected
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)
