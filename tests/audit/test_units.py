"""Frames in wrong units raise the right suspicion, frames in right units raise none."""

from dataclasses import replace

import numpy as np
import pytest
from ase.units import Bohr, GPa, Hartree, Rydberg, kcal, mol

from spinpot.audit.units import guesses
from spinpot.audit.work import Factor, Work, work_along_pairs
from spinpot.data.systems import select
from spinpot.looks.units import neighbour_ratio, unit_looks
from support.nickel_oxide import primitive_nio

TRANSVERSE, LONGITUDINAL = "force_mag/Ni/transverse", "force_mag/Ni/longitudinal"


@pytest.fixture(scope="module")
def made():
    return select(primitive_nio(), np.arange(30))


@pytest.fixture(scope="module")
def right(made):
    return work_along_pairs(made)


def test_nothing_is_suspected_of_right_frames(made, right):
    assert unit_looks(made) == []
    assert not guesses(made, right)
    assert 0.9 < neighbour_ratio(made) < 1.3


@pytest.mark.parametrize(
    ("change", "suspicion"),
    [
        (lambda s: {"coord": s.coord / Bohr, "box": s.box / Bohr}, "in Bohr"),
        (lambda s: {"coord": s.coord / 10, "box": s.box / 10}, "in nm"),
        (lambda s: {"coord": s.coord * 10, "box": s.box * 10}, "in Bohr"),
        (lambda s: {"spin": s.spin * 57.88}, "not in μ_B"),
        (lambda s: {"spin": s.spin * 1e-3}, "not magnetic"),
        (lambda s: {"spin": np.where(s.types == 0, 1.0, 0)[:, None] * [0, 0, 1] + 0 * s.spin}, "directions"),
        (lambda s: {"energy": s.energy * 1000}, "energies in meV"),
        (lambda s: {"force": s.force * 1000}, "forces in another unit"),
        (lambda s: {"force_mag": s.force_mag * 1000}, "magnetic forces in another unit"),
    ],
)
def test_values_alone(made, change, suspicion):
    few = select(made, np.arange(8))
    (look,) = unit_looks(replace(few, **change(few)))
    assert suspicion in look.suspicion


def changed(work, energy=1.0, spin=1.0, **labels):
    """The same test of frames whose arrays were multiplied by these numbers."""

    def of(label, factor):
        name = label.partition("/")[0]
        scale = labels.get(name, 1.0) / energy * (spin if name == "force_mag" else 1.0)
        value = factor.value and factor.value * scale
        return replace(factor, value=value, error=factor.error and factor.error * abs(scale))

    return replace(work, factors={label: of(label, factor) for label, factor in work.factors.items()})


def test_factors_of_changed_frames(made, right):
    labels = {"energy": 1 / Hartree, "force": Bohr / Hartree, "spin": 0.5}
    frames = replace(made, **{name: getattr(made, name) * scale for name, scale in labels.items()})
    found, expected = work_along_pairs(frames), changed(right, **labels)
    for label, factor in expected.factors.items():
        assert found.factors[label].value == pytest.approx(factor.value, rel=0.02)


HARTREE = {"energy": 1 / Hartree, "force": Bohr / Hartree, "force_mag": 1 / Hartree, "virial": 1 / Hartree}
RYDBERG = {"energy": 1 / Rydberg, "force": Bohr / Rydberg}


@pytest.mark.parametrize(
    ("change", "guess"),
    [
        ({"energy": 1 / Hartree}, "energies in Hartree (multiply energy by 27.2114)"),
        ({"energy": 1 / Rydberg}, "energies in Rydberg (multiply energy by 13.6057)"),
        ({"energy": 1 / 16}, "energies in eV per atom (multiply energy by 16)"),
        ({"energy": mol / kcal}, "energies in kcal/mol (multiply energy by 0.0433641)"),
        ({"force": Bohr / Hartree}, "forces in Hartree/Bohr (multiply force by 51.4221)"),
        (
            {"force": -Bohr / Rydberg},
            "forces in Rydberg/Bohr, with the opposite sign (multiply force by −25.711)",
        ),
        ({"spin": 0.5}, "moments in ħ (multiply spin by 2)"),
        ({"force_mag": 1 / Hartree}, "magnetic forces in Hartree/μ_B (multiply force_mag by 27.2114)"),
        ({"force_mag": 1 / 5.788e-5}, "magnetic forces in tesla (multiply force_mag by 5.78838e-05)"),
        ({"virial": 1 / Rydberg}, "virial in Rydberg (multiply virial by 13.6057)"),
        (
            RYDBERG,
            "energies in Rydberg (multiply energy by 13.6057), "
            "forces in Rydberg/Bohr (multiply force by 25.711)",
        ),
        (
            {**HARTREE, "virial": 1.0},
            "energies in Hartree (multiply energy by 27.2114), "
            "forces in Hartree/Bohr (multiply force by 51.4221), "
            "magnetic forces in Hartree/μ_B (multiply force_mag by 27.2114)",
        ),
        (
            {"force": Bohr / Hartree, "force_mag": 1000.0},
            "forces in Hartree/Bohr (multiply force by 51.4221), "
            "magnetic forces in meV/μ_B (multiply force_mag by 0.001)",
        ),
    ],
)
def test_the_only_units_that_explain_the_factors(made, right, change, guess):
    assert list(guesses(made, changed(right, **change))) == [guess]


def test_all_labels_of_a_code_in_atomic_units(made, right):
    """Forces per Bohr look the same as everything in Hartree or in Rydberg."""
    per_bohr, hartree, rydberg = guesses(made, changed(right, **HARTREE))
    assert per_bohr == "forces in eV/Bohr (multiply force by 1.88973)"
    assert hartree.startswith("energies in Hartree (multiply energy by 27.2114), forces in Hartree/Bohr")
    assert rydberg.endswith("virial in Rydberg (multiply virial by 13.6057)")


@pytest.mark.parametrize(("sign", "written"), [(1, ""), (-1, "−")])
def test_a_stress_instead_of_the_virial(made, right, sign, written):
    volume = np.abs(np.linalg.det(made.box)).mean()
    kbar = changed(right, virial=sign / (volume * 0.1 * GPa))
    how = f"virial = {written}volume · stress · 0.000624151"
    assert list(guesses(made, kbar)) == [f"stress in kbar instead of the virial ({how})"]
    slab = replace(made, pbc=(True, True, False))
    assert not guesses(slab, kbar)


@pytest.mark.parametrize(
    "change",
    [
        {"force_mag": 0.8},
        {"force_mag": 7.0},
        {"force_mag": 27.2},
        {"force": -1.0},
        {"virial": -1.0},
        {"force": 0.3, "force_mag": 0.3},
    ],
    ids=str,
)
def test_factors_that_no_unit_explains(made, right, change):
    assert not guesses(made, changed(right, **change))


@pytest.mark.parametrize(
    ("factors", "guess"),
    [
        ({"force": (0.0389, 0.0001), TRANSVERSE: (0.8, 0.01)}, ["forces in Rydberg/Bohr"]),
        ({"force": (0.0389, 0.0001), TRANSVERSE: (7.0, 0.01)}, []),
        ({"force": (0.0389, 0.0001), TRANSVERSE: (1.0, 0.01), LONGITUDINAL: (0.3, 0.01)}, []),
        ({"force": (0.0389, 0.0001)}, ["forces in Rydberg/Bohr"]),
        ({"force": (0.0412, 0.0030)}, ["forces in Rydberg/Bohr", "energies in kcal/mol"]),
        ({"force": (0.0412, 0.0030), TRANSVERSE: (1.0, 0.01)}, ["forces in Rydberg/Bohr"]),
        ({"force": (0.0412, 0.0030), TRANSVERSE: (0.0434, 0.001)}, ["energies in kcal/mol"]),
        ({"force": (0.0410, 0.0001)}, []),
        ({"force": (27.4, 0.1)}, ["energies in Hartree"]),
        ({"force": (1.7, 0.4)}, []),
        ({"force": (0.6, 0.3)}, []),
    ],
)
def test_the_standard_errors_of_all_factors_count(made, factors, guess):
    known = {label: Factor(value, error, 1.0) for label, (value, error) in factors.items()}
    work = Work(60, known, 0.99, 0.1, np.zeros(60), np.zeros(60))
    assert sorted(one.partition(" (")[0] for one in guesses(made, work)) == sorted(guess)


def test_names_that_are_no_elements(made):
    assert neighbour_ratio(replace(made, type_map=("A", "B"))) is None


def test_a_label_that_no_unit_explains_is_not_among_the_explained_ones(made):
    known = {"force": Factor(0.0389, 0.0001, 1.0), TRANSVERSE: Factor(0.8, 0.01, 1.0)}
    (explained,) = guesses(made, Work(60, known, 0.99, 0.1, np.zeros(60), np.zeros(60))).values()
    assert "force" in explained
    assert "force_mag" not in explained
