"""The rows of the least-squares fit agree with the linear part."""

import pytest
import torch

from spinpot.models.native_spin import rows
from spinpot.models.native_spin.rows import design
from support.frames import batch_of, random_system
from support.native_spin import native_under, small_native


@pytest.mark.parametrize(
    "frames", [[random_system(4)], [random_system(5, 2), random_system(6, n_ni=8, n_o=0)]]
)
def test_weights_times_rows_are_the_linear_part(monkeypatch, frames):
    monkeypatch.setattr(rows, "ATOMS_AT_ONCE", 3)
    potential = native_under(small_native(groups="all", neuron=()))
    batch = batch_of(potential, *frames)
    linear, found = potential.derivatives(batch, differentiable=False), design(potential.invariants, batch)
    weights = potential.energy_scale * potential.linear.detach().flatten()
    energy = torch.zeros(batch.n_frames).double().index_add(0, batch.frame, linear.atom_energy.detach())
    close = {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(found.energy @ weights, energy, **close)
    for name in ("force", "force_mag", "virial"):
        torch.testing.assert_close(getattr(found, name) @ weights, getattr(linear, name), **close)
