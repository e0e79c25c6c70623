"""Lengths, components, tilts and sums of moments and magnetic forces."""

from dataclasses import replace

import numpy as np
import pytest

from spinpot.audit import moments
from spinpot.audit.moments import moments_by_element, net_force, net_torque, tilts
from support.frames import random_system, system


def ring(angles, **labels):
    """Ni at the corners of a big cell, one frame, moments in a plane at these degrees."""
    radians = np.radians(angles)
    spin = 2 * np.stack([np.cos(radians), np.sin(radians), 0 * radians], axis=1)
    coord = 3.0 * np.arange(len(angles))[:, None] * [1, 0, 0]
    return system(("Ni",), [0] * len(angles), 20 * np.eye(3), coord, spin, **labels)


def test_tilts_are_from_the_nearest_axis_of_either_sign():
    np.testing.assert_allclose(
        np.sort(tilts(ring([40, 40 + 180, 40 + 10, 40 - 10]).spin)), [0, 0, 10, 10], atol=1e-6
    )


def test_parts_of_the_magnetic_force():
    made = ring([0, 90], force_mag=[[3e-3, 4e-3, 0], [-1e-3, 5e-3, 0]])
    (nickel,) = moments_by_element(made)
    assert nickel.longitudinal == pytest.approx(np.sqrt((3e-3**2 + 5e-3**2) / 2))
    assert nickel.transverse == pytest.approx(np.sqrt((4e-3**2 + 1e-3**2) / 2))
    assert (nickel.least, nickel.greatest, nickel.without, nickel.unowned) == (
        pytest.approx(2),
        pytest.approx(2),
        0,
        0,
    )


def test_atoms_and_frames_without_moments():
    made = random_system(1, 3)
    spin = made.spin.copy()
    spin[1] = 0
    force_mag = np.zeros_like(spin)
    force_mag[0, 4] = [0, 0, 0.02]  # an oxygen
    nickel, oxygen = moments_by_element(replace(made, spin=spin, force_mag=force_mag))
    assert (nickel.without, oxygen.without) == (1, 3)
    assert nickel.least == 0
    assert (nickel.unowned, oxygen.unowned) == (0, 0.02)
    assert oxygen.transverse is None


def test_an_element_without_labels():
    nickel, _ = moments_by_element(random_system(1, 3))
    assert (nickel.transverse, nickel.longitudinal, nickel.unowned) == (None, None, None)


def test_net_torque_of_exchange_is_zero_and_that_of_a_field_is_not():
    made = random_system(2, 4)
    total = made.spin.sum(axis=1, keepdims=True)
    magnetic = (made.types == 0)[:, None]
    exchange = -0.01 * (total - made.spin) * magnetic
    assert net_torque(replace(made, force_mag=exchange)) < 1e-12
    aligned = np.broadcast_to([0, 0, 2.0], made.spin.shape) + 0.1 * made.spin
    field = np.broadcast_to([0.01, 0, 0], made.spin.shape)
    assert net_torque(replace(made, spin=aligned, force_mag=field)) == pytest.approx(np.sqrt(5), rel=0.05)


def test_net_force():
    made = random_system(2, 4)
    force = np.random.default_rng(0).normal(size=made.coord.shape)
    assert net_force(made) is None
    assert net_force(replace(made, force=force - force.mean(axis=1, keepdims=True))) < 1e-12
    assert net_force(replace(made, force=force)) > 0.3


def test_rounding_adds_up_to_nothing():
    assert moments._net([np.full((3, 4, 3), 1e-12)]) == 0.0
    assert moments._net([np.full((3, 4, 3), 1e-2)]) == pytest.approx(2.0)
