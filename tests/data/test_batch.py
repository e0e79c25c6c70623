"""Frames concatenated to batches."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from spinpot.data.batch import collate
from spinpot.data.dataset import make_frames
from spinpot.data.geometry import Geometry
from support.frames import geometry, random_system, small_potential, with_random_labels

LABELS = ("energy", "force", "force_mag", "virial")


GEOMETRY = geometry(small_potential().spec)


@pytest.fixture
def frames():
    systems = [random_system(1, n_frames=2), random_system(2, n_ni=1, n_o=4)]
    return list(make_frames([with_random_labels(system, seed=4) for system in systems]))


def test_each_frame_is_found_again(frames):
    batch = collate(frames, GEOMETRY)
    first_atom = first_pair = 0
    for number, frame in enumerate(frames):
        alone = collate([frame], GEOMETRY)
        atoms = slice(first_atom, first_atom + len(frame.types))
        pairs = slice(first_pair, first_pair + len(alone.pair_type))
        for name in ("types", "spin", "force", "force_mag"):
            np.testing.assert_array_equal(getattr(batch, name)[atoms], getattr(frame, name), name)
        np.testing.assert_array_equal(batch.neighbour_counts[atoms], alone.neighbour_counts)
        for name in ("pair_type", "pair_vector"):
            np.testing.assert_array_equal(getattr(batch, name)[pairs], getattr(alone, name), name)
        np.testing.assert_array_equal(batch.pair_neighbour[pairs] - first_atom, alone.pair_neighbour)
        np.testing.assert_array_equal(batch.pair_centre[pairs] - first_atom, alone.pair_centre)
        assert (batch.frame[atoms] == number).all()
        for name in ("energy", "virial"):
            np.testing.assert_array_equal(getattr(batch, name)[number], getattr(frame, name), name)
        first_atom, first_pair = atoms.stop, pairs.stop
    assert (first_atom, first_pair) == (len(batch.types), len(batch.pair_type))
    assert torch.equal(batch.types[batch.atom_order], batch.types.sort().values)
    assert torch.equal(batch.atom_order[batch.atom_place], torch.arange(first_atom))
    assert batch.type_sizes == batch.types.bincount().tolist()


def test_nothing_is_shared_with_the_frames(frames):
    """A batch may be changed."""
    batch = collate(frames[:1], GEOMETRY)
    for item in fields(frames[0]):
        if hasattr(batch, item.name) and item.name != "origin":
            assert not np.shares_memory(getattr(batch, item.name).numpy(), getattr(frames[0], item.name)), (
                item.name
            )


def test_labels_that_are_not_there_are_no_numbers():
    batch = collate(list(make_frames([random_system(1)])), GEOMETRY)
    for name in LABELS:
        assert getattr(batch, name).isnan().all(), name
        assert getattr(batch, name).dtype == torch.float64


def test_no_frame_at_all():
    batch = collate([], Geometry.of_real_atoms(4.0, 3))
    assert batch.n_frames == len(batch.types) == len(batch.energy) == len(batch.virial) == 0
    assert batch.neighbour_counts.shape == (0, 6)
    assert batch.type_sizes == [0, 0, 0]
    assert all(values.dtype == torch.int64 for values in (batch.frame, batch.n_atoms, batch.pair_neighbour))
