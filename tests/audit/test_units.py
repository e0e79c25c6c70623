"""Frames in wrong units raise the right suspicion, frames in right units raise none."""

from dataclasses import replace

import numpy as np
import pytest

from spinpot.audit.units import BOHR, HARTREE, suspicions
from spinpot.audit.work import Factor, Work, work_along_pairs
from spinpot.data.systems import select
from spinpot.looks.units import neighbour_ratio
from support.nickel_oxide import primitive_nio


@pytest.fixture(scope="module")
def made():
    return select(primitive_nio(), np.arange(30))


def test_nothing_is_suspected_of_right_frames(made):
    assert suspicions(made, work_along_pairs(made)) == []
    assert 0.9 < neighbour_ratio(made) < 1.3


@pytest.mark.parametrize(
    ("change", "suspicion"),
    [
        (lambda s: {"coord": s.coord / BOHR, "box": s.box / BOHR}, "in Bohr"),
        (lambda s: {"coord": s.coord / 10, "box": s.box / 10}, "in nm"),
        (lambda s: {"coord": s.coord * 10, "box": s.box * 10}, "more than 6 Å"),
        (lambda s: {"spin": s.spin * 57.88}, "not in μ_B"),
        (lambda s: {"spin": s.spin * 1e-3}, "not magnetic"),
        (lambda s: {"spin": np.where(s.types == 0, 1.0, 0)[:, None] * [0, 0, 1] + 0 * s.spin}, "directions"),
        (lambda s: {"energy": s.energy * 96.5 * 10}, "eV/atom"),
        (lambda s: {"force": s.force * 1000}, "forces in another unit"),
        (lambda s: {"force_mag": s.force_mag * 1000}, "magnetic forces in another unit"),
    ],
)
def test_values_alone(made, change, suspicion):
    few = select(made, np.arange(8))
    (said,) = suspicions(replace(few, **change(few)), None)
    assert suspicion in said


@pytest.mark.parametrize(
    ("change", "suspicion"),
    [
        (lambda s: {"energy": s.energy / HARTREE}, "energies in Hartree"),
        (lambda s: {"energy": s.energy / s.n_atoms}, "energies per atom"),
        (lambda s: {"energy": s.energy / 13.605693}, "energies in Rydberg"),
        (lambda s: {"energy": s.energy * 23.0605}, "energies in kcal/mol"),
        (lambda s: {"force": s.force / 51.4221}, "forces in Hartree/Bohr"),
        (lambda s: {"force": s.force / 25.7110}, "forces in Rydberg/Bohr"),
        (lambda s: {"force": s.force * 0.529177}, "forces per Bohr instead of per Å"),
        (lambda s: {"spin": s.spin / 2}, "moments in spins"),
        (lambda s: {"force_mag": s.force_mag / HARTREE}, "magnetic forces in Hartree"),
    ],
)
def test_factors_that_are_ratios_of_units(made, change, suspicion):
    changed = replace(made, **change(made))
    (said,) = suspicions(changed, work_along_pairs(changed))
    assert suspicion in said


@pytest.mark.parametrize(
    ("value", "error", "guess"),
    [
        (0.0322, 0.0036, "forces in Rydberg/Bohr?"),
        (0.0420, 0.0047, "forces in Rydberg/Bohr, or energies in kcal/mol?"),
        (0.0420, 0.0001, None),
        (1.7, 0.4, None),
        (0.6, 0.3, None),
    ],
)
def test_the_standard_error_of_a_factor_counts(made, value, error, guess):
    work = Work(9, {"force": Factor(value, error, 1.0)}, 0.99, 0.1, np.zeros(9), np.zeros(9))
    said = suspicions(made, work)
    assert [one.partition(": ")[2] for one in said] == ([guess] if guess else [])


def test_names_that_are_no_elements(made):
    assert neighbour_ratio(replace(made, type_map=("A", "B"))) is None
