"""Relaxation of NiO ends in the equilibrium crystal of its Hamiltonian."""

import io

import ase.io
import numpy as np
import pytest

from spinpot.analysis.relax import RELAXED, Settings, relax
from spinpot.analysis.structure import read_structure
from spinpot.core.errors import InputError
from spinpot.data import nio
from support.nio_calculator import NiOCalculator, nio_atoms


def shaken():
    atoms = nio_atoms()
    rng = np.random.default_rng(0)
    atoms.positions += 0.05 * rng.normal(size=atoms.positions.shape)
    moments = atoms.get_initial_magnetic_moments()
    moments[:2] += 0.3 * rng.normal(size=(2, 3))
    atoms.set_initial_magnetic_moments(moments)
    return atoms


def relaxed(result, tmp_path):
    """The end, as the script itself reads it."""
    (tmp_path / RELAXED).write_text(result.files[RELAXED])
    return read_structure(str(tmp_path / RELAXED), nio.TYPE_NAMES)


def test_both_end_in_the_crystal(tmp_path):
    atoms = shaken()
    result = relax(NiOCalculator(), atoms, Settings(spins="both", fmax=1e-4, fmax_mag=1e-4))
    assert result.numbers["converged"]
    end = relaxed(result, tmp_path)
    S = end.get_initial_magnetic_moments()
    np.testing.assert_allclose(np.linalg.norm(S[:2], axis=1), nio.MOMENT, atol=2e-3)
    assert S[0] @ S[1] == pytest.approx(-(nio.MOMENT**2), rel=2e-3)
    end.calc = NiOCalculator()
    assert np.abs(end.get_forces()).max() <= 1e-4
    assert np.abs(end.calc.get_property("magnetic_forces", end)).max() <= 1e-4
    ideal = nio_atoms()
    ideal.calc = NiOCalculator()
    # The dipoles turn the moments little by little: what is left of their energy is small.
    assert end.get_potential_energy() == pytest.approx(ideal.get_potential_energy(), abs=1e-4)


@pytest.mark.parametrize("optimizer", ["BFGS", "LBFGS", "FIRE"])
def test_atoms_alone(optimizer, tmp_path):
    atoms = shaken()
    start = atoms.copy()
    result = relax(NiOCalculator(), atoms, Settings(move="atoms", optimizer=optimizer, fmax=0.01))
    assert result.numbers["converged"]
    assert result.numbers["largest_magnetic_force"][0] is None
    assert result.numbers["largest_force"][-1] <= 0.01
    end = relaxed(result, tmp_path)
    np.testing.assert_allclose(
        end.get_initial_magnetic_moments(), start.get_initial_magnetic_moments(), atol=1e-7
    )
    assert np.abs(end.positions - start.positions).max() > 0.01


def test_directions_alone(tmp_path):
    atoms = shaken()
    start = atoms.copy()
    result = relax(NiOCalculator(), atoms, Settings(move="spins", fmax_mag=1e-3))
    end = relaxed(result, tmp_path)
    np.testing.assert_allclose(end.positions, start.positions, atol=1e-7)
    lengths = [np.linalg.norm(one.get_initial_magnetic_moments(), axis=1) for one in (start, end)]
    np.testing.assert_allclose(*lengths, atol=1e-7)
    assert result.numbers["largest_turn"] > 5.0
    assert result.numbers["energy"][-1] < result.numbers["energy"][0] - 0.01


def test_the_file_holds_the_labels():
    atoms = shaken()
    result = relax(NiOCalculator(), atoms, Settings(move="spins", steps=2))
    frame = ase.io.read(io.StringIO(result.files[RELAXED]), format="extxyz")
    assert frame.get_potential_energy() == pytest.approx(atoms.get_potential_energy())
    np.testing.assert_allclose(frame.get_forces(), atoms.get_forces(), atol=1e-7)
    assert frame.arrays["mforce"].shape == (4, 3)


def test_not_converged_is_said():
    result = relax(NiOCalculator(), shaken(), Settings(steps=2))
    assert not result.numbers["converged"]
    assert result.numbers["steps"] == 2
    assert result.paragraphs[0].startswith("NOT converged after 2 steps")


def test_at_rest_already():
    result = relax(NiOCalculator(), nio_atoms(), Settings(fmax=0.01, fmax_mag=0.01))
    assert result.numbers["converged"]
    assert result.numbers["steps"] == 0
    for axes in result.pictures[0].draw().axes:
        assert [tick for tick in axes.get_xticks() if abs(tick) <= 0.5] == [0.0]


@pytest.mark.parametrize("wrong", [{"fmax": 0.0}, {"fmax_mag": -1.0}, {"steps": 0}])
def test_refused(wrong):
    with pytest.raises(InputError, match=f"task.relax.{next(iter(wrong))}="):
        Settings(**wrong)
