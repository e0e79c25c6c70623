"""Memory for large structures grows with the number of atoms, not with pairs × columns."""

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from spinpot import kernels
from spinpot.models.native_spin import fit, rows, sums, uncertainty
from support.frames import batch_of, random_system, system, with_random_labels
from support.labels import labels_for
from support.native_spin import native_under, small_native


class Largest(TorchDispatchMode):
    """Notes how many numbers the largest tensor has that an operation gives."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor):
            self.numbers = max(self.numbers, made.numel())
        return made


def test_sums_take_some_pairs_at_a_time(monkeypatch):
    potential = native_under(small_native(groups="all"))
    batch = batch_of(potential, random_system(3, 4))
    moments = potential.invariants.moments(batch)
    found, largest = [], []
    for at_once in (1 << 16, 7):
        monkeypatch.setattr(sums, "PAIRS_AT_ONCE", at_once)
        with Largest() as noted:
            found.append(potential.invariants.sums(batch, batch.pair_vector, moments))
        largest.append(noted.numbers)
    torch.testing.assert_close(*found)
    assert largest[0] > 2 * largest[1] == 2 * found[0].numel()


def test_leverages_take_some_atoms_at_a_time(monkeypatch):
    rows, weights = torch.rand(40, 3, 20).double(), torch.rand(20, 25).double()
    monkeypatch.setattr(uncertainty, "ATOMS_AT_ONCE", 4)
    with Largest() as noted:
        found = uncertainty._squares(rows, weights)
    torch.testing.assert_close(found, (rows @ weights).square().sum((-2, -1)))
    assert noted.numbers <= rows.numel()


def test_large_frames_are_fitted_to_one_by_one(monkeypatch):
    potential, frames = native_under(small_native()), random_system(1, 6)
    labels = labels_for(potential, frames)
    places = [(frames, number) for number in range(6)]
    assert [batch.n_frames for batch in fit.taken(labels, places, "")] == [4, 2]
    monkeypatch.setattr(fit, "ATOMS_AT_ONCE", 12)
    assert [batch.n_frames for batch in fit.taken(labels, places, "")] == [2, 2, 2]
    monkeypatch.setattr(fit, "ATOMS_AT_ONCE", 4)
    potential.start(labels_for(potential, with_random_labels(frames)))
    assert [batch.n_frames for batch in fit.taken(labels, places, "")] == [1] * 6


def test_rows_by_torch_are_as_many_as_the_atoms_near_the_centres(monkeypatch):
    """Not as all atoms for each few centres: a large structure would take its square."""
    potential = native_under(small_native(use_spin=(True, False)))
    coord, spin = 2.1 * np.arange(40)[:, None] * np.array([1.0, 0.0, 0.0]), np.ones((40, 3))
    chain = system(("Ni", "O"), np.arange(40) % 2, np.diag([84.0, 12.0, 12.0]), coord, spin)
    batch = batch_of(potential, chain)
    sizes = []
    monkeypatch.setattr(rows, "ATOMS_AT_ONCE", 1)
    added = rows._added
    monkeypatch.setattr(rows, "_added", lambda to, v, size, *w: sizes.append(size) or added(to, v, size, *w))
    with kernels.without():
        rows.design(potential.invariants, batch)
    assert 40 not in sizes
