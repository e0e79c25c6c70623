"""The nets of native spins stay bounded far from the training frames."""

import copy

import numpy as np
import pytest
import torch

from spinpot.core.quantities import QUANTITIES
from spinpot.data.batch import batches
from spinpot.data.dataset import FrameDataset
from spinpot.loss.baselines import dataset_errors
from spinpot.models.native_spin.statistics import invariants_of, jittered
from support.frames import random_system
from support.native_spin import fitted_native, native_under, nio_system, small_native, train

PREFACTORS = {"e": 100.0, "fr": 100.0, "fm": 1000.0, "v": 1.0}
COMPARED = ("e", "fr", "fm_transverse", "fm_longitudinal", "v")
OUTSIDE = {
    "a little": ((0.01, 0.01), (25.0, 25.0)),
    "more": ((0.02, 0.02), (45.0, 45.0)),
    "moved": ((0.04, 0.04), (10.0, 10.0)),
    "tilted": ((0.002, 0.002), (75.0, 75.0)),
    "far": ((0.04, 0.04), (75.0, 75.0)),
}
"""Displacements, Å, and tilts, degrees, where training has 0.002 Å and up to 10°."""


def errors(potential, system):
    """The five root mean square errors."""
    found = dataset_errors(
        potential, FrameDataset([system], potential.spec.geometry), potential.spec.use_spin
    )
    return np.array([found[QUANTITIES[name].rmse] for name in COMPARED])


@pytest.fixture(scope="module")
def potentials():
    """The linear one, and with nets trained on top of it; both have seen frames that hardly move."""
    training = nio_system(40, (0.002, 0.002), (0.0, 10.0), 1)
    full = fitted_native(training, PREFACTORS, neuron=(64, 64))
    linear = copy.deepcopy(full)
    train(full, training, PREFACTORS, 600)
    return linear, full


@pytest.mark.slow
@pytest.mark.parametrize("where", OUTSIDE)
def test_outside_no_error_exceeds_that_of_the_linear_part(potentials, where):
    test = nio_system(12, *OUTSIDE[where], 2)
    linear, full = (errors(potential, test) for potential in potentials)
    assert (full <= 1.1 * linear).all(), full / linear


@pytest.mark.slow
def test_inside_the_nets_are_of_use(potentials):
    test = nio_system(12, (0.002, 0.002), (0.0, 10.0), 3)
    linear, full = (errors(potential, test) for potential in potentials)
    assert full[COMPARED.index("fr")] < 0.95 * linear[COMPARED.index("fr")], full / linear


def test_far_away_the_nets_are_constant():
    potential = native_under(small_native())
    z = 1e4 * (-1.0) ** torch.arange(2.0 * potential.invariants.size, dtype=torch.float64).view(2, -1)
    energy, by_z = potential.of_invariants(z, [1, 1])
    more, _ = potential.of_invariants(2.0 * z, [1, 1])
    own = potential.energy_scale * potential.linear
    torch.testing.assert_close(by_z, own, rtol=0.0, atol=1e-9)
    torch.testing.assert_close(more - energy, (own * z).sum(-1), rtol=1e-6, atol=1e-6)


def test_bounds_are_wide_for_training_frames_and_jittered_ones():
    training = nio_system(6, (0.002, 0.002), (0.0, 10.0), 1)
    potential = fitted_native(training, PREFACTORS, neuron=(4,), groups=("density", "exchange"))
    batch = FrameDataset([training], potential.spec.geometry).batch(range(6))
    z = potential.features(batch)
    for element in range(2):
        away = z[batch.types == element] - potential.centre[element]
        assert (potential.nearness[element] * away.square()).max() < 0.25
    changes = potential.invariants.scale > 0.0
    assert ((potential.nearness > 0.0) == changes).all()
    places = [(training, number) for number in range(6)]
    jitter = invariants_of(potential.invariants, batches(jittered(places, 5), potential.spec.geometry, 6))
    for element, own in enumerate(jitter):
        # Deviations of so few atoms are known to a third or so.
        width = potential.nearness[element].rsqrt()[changes[element]]
        assert (width > 0.6 * own.std(dim=0)[changes[element]]).all()


def test_without_nearness_the_nets_see_the_invariants():
    potential = native_under(small_native())
    batch = FrameDataset([random_system(1, 2)], potential.spec.geometry).batch(range(2))
    z = potential.features(batch)[batch.atom_order]
    potential.nearness.zero_()
    _, by_z = potential.of_invariants(z, batch.type_sizes)
    potential.centre.add_(1.0)
    torch.testing.assert_close(potential.of_invariants(z, batch.type_sizes)[1], by_z)
