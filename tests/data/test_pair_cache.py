"""Pairs come back from memory, from a file and from being found again as they went in."""

import resource
from contextlib import contextmanager
from unittest import mock

import numpy as np
import pytest

from spinpot.data.dataset import FrameDataset
from spinpot.data.pair_cache import KeptPairs, PairCache
from spinpot.data.pairs import Pairs
from support.frames import geometry, random_system, small_potential

FIELDS = ("pair_vector", "pair_neighbour", "pair_type", "neighbour_counts", "pair_centre", "closest", "force")


def dataset(memory_gb=1.0, disk_gb=1.0):
    systems = [random_system(1, n_frames=4), random_system(2, n_ni=1, n_o=4, n_frames=3)]
    return FrameDataset(systems, geometry(small_potential().spec), PairCache(memory_gb, disk_gb))


@pytest.mark.parametrize(
    ("memory", "disk", "places"),
    [
        (1.0, 1.0, {"memory"}),
        (0.0, 1.0, {"disk"}),
        (0.0, 0.0, {"rebuilt"}),
        ("some", "some", {"memory", "disk", "rebuilt"}),
    ],
)
def test_wherever_they_are_kept(memory, disk, places):
    expected = dataset()
    some = 0.35e-9 * expected.cache.bytes["memory"]
    found = dataset(*(some if room == "some" else room for room in (memory, disk)))
    assert all(found.cache.bytes[place] <= found.cache.room[place] for place in ("memory", "disk"))
    assert {place for place, size in found.cache.bytes.items() if size} == places
    assert sum(found.cache.bytes.values()) == sum(expected.cache.bytes.values())
    for one, other in zip(found, expected, strict=True):
        assert one.origin == other.origin
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)


@contextmanager
def files_no_longer_than(n_bytes):
    """As on a full disk: writes are cut short, then refused."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(("whole", "more"), [(0, 0), (0, 100), (2, 100), (3, -1)])
def test_a_full_disk_takes_no_more(whole, more):
    """Of the record that is cut short in the file nothing is read."""
    expected = dataset()
    sizes = [-(-kept.nbytes // 8) * 8 for kept in expected.cache.kept]
    with (
        files_no_longer_than(sum(sizes[:whole]) + more),
        pytest.warns(UserWarning, match="TMPDIR.*data.cache_gb") as told,
    ):
        found = dataset(memory_gb=0.0)
    assert len(told) == 1
    kept = whole - (more < 0)
    assert found.cache.bytes["disk"] == sum(sizes[:kept])
    assert found.cache.bytes["rebuilt"] == sum(sizes[kept:])
    for one, other in zip(found, expected, strict=True):
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)


def test_the_disk_is_not_filled():
    with mock.patch("spinpot.data.pair_cache.LEFT_FREE", 1e18), pytest.warns(UserWarning, match="left free"):
        found = dataset(memory_gb=0.0)
    assert found.cache.bytes["disk"] == 0
    assert found.cache.bytes["rebuilt"] > 0


def test_centres_are_in_order():
    frame = dataset()[0]
    vectors = np.linalg.norm(frame.pair_vector, axis=1)
    nearest = [vectors[frame.pair_centre == atom].min() for atom in range(3)]
    assert min(nearest) == pytest.approx(float(frame.closest[0]))


@pytest.mark.parametrize("memory", [1.0, 0.0])
def test_neighbour_types_of_every_element_there_is(memory):
    """118 elements and their virtual atoms, the last ones of type 235."""
    cache = PairCache(memory, 1.0)
    kept = KeptPairs.of(Pairs(np.array([0, 0]), np.array([1, 2]), np.array([0, 235]), np.zeros((2, 3))))
    assert cache[cache.add(kept, lambda: kept)].neighbour_type.tolist() == [0, 235]
