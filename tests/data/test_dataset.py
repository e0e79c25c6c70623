"""Pairs are computed when batches are made, and are not kept."""

import weakref
from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from spinpot.data.datamodule import SpinDataModule
from spinpot.data.dataset import AT_ONCE, FrameDataset
from spinpot.data.geometry import Geometry
from support.frames import geometry, random_system, small_potential

SYSTEMS = [random_system(1, n_frames=AT_ONCE), random_system(2, n_ni=1, n_o=4, n_frames=3)]
PLAIN = geometry(small_potential().spec)


@pytest.mark.parametrize("any_direction", [False, True])
def test_neighbours_are_counted_batch_by_batch(any_direction):
    dataset = FrameDataset(SYSTEMS, replace(PLAIN, any_direction=any_direction))
    batch = dataset.batch(range(len(dataset)))
    found = dataset.neighbours
    assert found.origin == batch.origin
    assert found.n_pairs == len(batch.pair_type)
    assert found.closest.tolist() == batch.closest
    within = batch.pair_vector.norm(dim=1) < PLAIN.cutoff
    assert within.all() != any_direction
    for frame in range(batch.n_frames):
        own = within & (batch.pair_frame == frame)
        places = batch.pair_centre[own] * 4 + batch.pair_type[own]
        counts = places.bincount(minlength=4 * len(batch.types)).view(-1, 4)
        assert found.most[frame].tolist() == counts.amax(0).tolist()


class Telling(Geometry):
    """Remembers the pairs it has found, without keeping them, and tells the threads it had for them."""

    found: list  # of weak references

    def pairs(self, *structures):
        pairs = super().pairs(*structures)
        self.found.append(weakref.ref(pairs.vector))
        return replace(pairs, closest=np.full(2, float(self.threads or torch.get_num_threads())))


@pytest.fixture
def telling(monkeypatch):
    monkeypatch.setattr(Telling, "found", [], raising=False)
    return Telling(**{item.name: getattr(PLAIN, item.name) for item in fields(Geometry)})


def test_no_pairs_are_kept(telling):
    dataset = FrameDataset(SYSTEMS, telling)
    assert dataset.neighbours.n_pairs
    for batch in dataset.batches(2):
        assert len(batch.pair_type)
    del batch
    assert len(telling.found) == 2 + 6
    assert [reference() for reference in telling.found] == [None] * 8


def test_a_worker_finds_pairs_with_one_thread(telling):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        batches, strategy = {}, SimpleNamespace(root_device=torch.device("cpu"))
        for workers in (0, 1):
            module = SpinDataModule(["a"], ["b"], batch_size=4, num_workers=workers)
            module.systems = module.sampled = {"validation": SYSTEMS}
            module.make_datasets(telling)
            module.trainer = SimpleNamespace(global_rank=0, world_size=1, strategy=strategy)
            batches[workers] = list(module.val_dataloader())
    finally:
        torch.set_num_threads(before)
    for here, there in zip(batches[0], batches[1], strict=True):
        assert (here.closest, there.closest) == ([2.0, 2.0], [1.0, 1.0])
        assert torch.equal(here.pair_vector, there.pair_vector)
        assert torch.equal(here.pair_neighbour, there.pair_neighbour)
