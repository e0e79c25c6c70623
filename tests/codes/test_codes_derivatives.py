"""Labelled energies agree with their derivatives along short paths; takes minutes."""

from collections.abc import Sequence

import numpy as np
import pytest
from ase.build import bulk

from spinpot.labels.checks import check_label
from spinpot.labels.configuration import Configuration
from spinpot.labels.label import Label

pytestmark = pytest.mark.slow
SHARE = 0.005
"""Of the change of an energy, by which the derivatives may miss it."""


def work(configurations: Sequence[Configuration], labels: Sequence[Label]) -> float:
    """∫ −F·dR − F_mag·dS along three labels, by Simpson's rule: the change of the energy, eV."""
    first, _, last = zip((one.atoms.positions for one in configurations), labels, strict=True)
    slopes = [
        ((last[0] - first[0]) * one.forces).sum()
        + ((last[1].moments - first[1].moments) * one.magnetic_forces).sum()
        for one in labels
    ]
    return -float(slopes[0] + 4.0 * slopes[1] + slopes[2]) / 6.0


@pytest.fixture
def path_of(tmp_path):
    """A function that labels configurations and gives the change of the energy, and the derivatives' work."""

    def changes(labeller, configurations):
        labeller.check(configurations)
        labels = [labeller.label(one, tmp_path) for one in configurations]
        for one, label in zip(configurations, labels, strict=True):
            check_label(one, label, labeller.isotropic)
        return labels[2].energy - labels[0].energy, work(configurations, labels)

    return changes


@pytest.mark.parametrize(
    "path", [[(0.1, 38.0), (0.1, 40.0), (0.1, 42.0)], [(0.09, 40.0), (0.1, 40.0), (0.11, 40.0)]]
)
def test_gpaw(gpaw, iron, path_of, path):
    change, expected = path_of(gpaw, [iron(*place) for place in path])
    assert abs(change) > 0.005
    assert change == pytest.approx(expected, rel=SHARE)


def test_gpaw_has_one_energy_per_atom_for_a_crystal_in_cells_of_two_four_and_sixteen_atoms(gpaw, tmp_path):
    energies = []
    for copies in ((1, 1, 1), (2, 1, 1), (2, 2, 2)):
        atoms = bulk("Fe", "bcc", a=2.86, cubic=True) * copies
        moments = np.tile([0.0, 0.0, 2.2], (len(atoms), 1))
        held = np.full(len(atoms), True)
        label = gpaw.label(Configuration("Fe/0000", atoms, moments, held), tmp_path)
        energies.append(label.energy / len(atoms))
    assert np.ptp(energies) < 1e-3


def test_abinit(abinit, iron, path_of):
    change, expected = path_of(abinit, [iron(0.05, tilt) for tilt in (18.0, 20.0, 22.0)])
    assert change == pytest.approx(expected, rel=SHARE)
