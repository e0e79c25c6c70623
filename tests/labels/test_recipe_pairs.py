"""Pairs of frames a small step apart, with which the audit tests labels sharply."""

from dataclasses import replace

import numpy as np
import pytest

from spinpot.audit.work import work_along_pairs
from spinpot.core.vectors import angles
from spinpot.data.from_ase import system_from_atoms
from spinpot.labels.labellers.hamiltonian import HamiltonianLabeller
from spinpot.labels.recipe import STEP, STRETCH, TURN, configurations, recipe_of
from support.labellers import alloy, structure

IRON = {"moments": {"Fe": 2.2}, "displacement": [0.0, 0.15], "tilt": [0.0, 85.0]}


def iron(**settings):
    recipe = recipe_of({"systems": {"Fe": {"frames": 5, **IRON, **settings}}})
    return configurations(recipe, structure(name="Fe", crystalstructure="bcc", a=2.86, cubic=True), 0)


def test_every_second_frame_is_a_small_step_from_the_one_before_it():
    pairs, usual = iron(pairs=True), iron()
    assert [one.name for one in pairs] == [one.name for one in usual]
    for one, same in zip(pairs[::2], usual[::2], strict=True):
        assert one.as_plain() == same.as_plain()
    for one, step in zip(pairs[:4:2], pairs[1::2], strict=True):
        moved = np.linalg.norm(step.atoms.positions - one.atoms.positions, axis=1)
        np.testing.assert_allclose(moved, STEP)
        np.testing.assert_allclose(angles(one.moments, step.moments), TURN)
        np.testing.assert_allclose(np.linalg.norm(step.moments, axis=1), 2.2)


def test_held_lengths_change_too_and_atoms_without_a_moment_get_none():
    one, step = alloy(2, pairs=True)
    lengths, other = (np.linalg.norm(each.moments, axis=1) for each in (one, step))
    magnetic = lengths > 0.0
    assert not other[~magnetic].any()
    change = np.abs(other[magnetic] / lengths[magnetic] - 1.0)
    assert 0.0 < change.min() < change.max() < STRETCH


def labelled(given, folder):
    """The system of some configurations of the alloy, with exact labels."""
    labels = [HamiltonianLabeller("alloy").label(one, folder) for one in given]
    first = system_from_atoms(given[0].atoms, "alloy", given[0].moments)
    return replace(
        first,
        coord=np.array([one.atoms.positions for one in given]),
        box=np.array([one.atoms.cell.array for one in given]),
        spin=np.array([one.moments for one in given]),
        energy=np.array([one.energy for one in labels]),
        force=np.array([one.forces for one in labels]),
        force_mag=np.array([one.magnetic_forces for one in labels]),
    )


def test_the_audit_finds_the_factors_of_pairs_sharply(tmp_path):
    pairs, others = (
        work_along_pairs(labelled(alloy(60, pairs=own), tmp_path)).factors for own in (True, False)
    )
    names = [
        f"force_mag/{element}/{part}" for element in ("Fe", "Co") for part in ("transverse", "longitudinal")
    ]
    for name in ("force", *names):
        assert pairs[name].value == pytest.approx(1.0, abs=0.02)
        assert pairs[name].error < 0.02
        assert others[name].value is None or others[name].error > 3 * pairs[name].error
