"""The ASE calculator: the numbers of evaluate, finite differences, skins, ensembles."""

import copy
import warnings

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.calculator import PropertyNotImplementedError
from ase.optimize import BFGS

from spinpot.ase import SpinCalculator, SpinFilter, SpinLatticeDynamics, calculator
from spinpot.core.errors import InputError
from spinpot.data.from_ase import system_from_atoms
from spinpot.data.systems import read_systems
from spinpot.evaluation.predictor import Predictor
from spinpot.models.checkpoint import save_potential
from spinpot.models.potential import Potential
from support.folders import write_npy
from support.frames import random_system, small_potential
from support.in_process import run_here
from support.native_spin import calibrated_native


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "time_reversal"])
def checkpoint(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "best.ckpt"
    save_potential(path, small_potential(radial="direct", time_reversal=request.param))
    return path


def atoms_of(made, frame=0, calculator=None):
    symbols = [made.type_map[t] for t in made.types]
    atoms = Atoms(symbols, positions=made.coord[frame], cell=made.box[frame], pbc=True)
    atoms.set_initial_magnetic_moments(made.spin[frame])
    atoms.calc = calculator
    return atoms


def magnetic(atoms):
    return atoms.calc.get_property("magnetic_forces", atoms)


@pytest.mark.parametrize("skin", [0.0, 0.6])
def test_equals_evaluation(checkpoint, skin, tmp_path):
    made = random_system(3, n_frames=3)
    write_npy(tmp_path / "frames", made)
    arguments = [f"checkpoint={checkpoint}", f"systems=[{tmp_path / 'frames'}]", f"output={tmp_path / 'out'}"]
    result = run_here("evaluate.py", *arguments, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    calculator = SpinCalculator(checkpoint, skin=skin)
    with np.load(tmp_path / "out" / "frames.npz") as written:
        for frame in range(3):
            atoms = atoms_of(made, frame, calculator)
            volume = atoms.get_volume()
            virial = -atoms.get_stress(voigt=False) * volume
            expected = 0.5 * (written["virial"][frame] + written["virial"][frame].T)
            assert atoms.get_potential_energy() == pytest.approx(written["energy"][frame], rel=1e-12)
            for ours, theirs in (
                (atoms.get_forces(), written["force"][frame]),
                (magnetic(atoms), written["force_mag"][frame]),
                (virial, expected),
            ):
                np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12 * np.abs(theirs).max())


def test_moments_on_elements_without_spin_are_named_once(checkpoint):
    atoms = atoms_of(random_system(5), calculator=SpinCalculator(checkpoint))
    without = atoms.get_potential_energy()
    moments = atoms.get_initial_magnetic_moments()
    moments[atoms.symbols == "O"] = 0.1
    atoms.set_initial_magnetic_moments(moments)
    with pytest.warns(UserWarning, match=r"moments of O are ignored: the model treats only Ni as magnetic"):
        assert atoms.get_potential_energy() == without
    atoms.rattle(0.01, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        atoms.get_potential_energy()


@pytest.mark.parametrize("skin", [0.0, 0.5])
def test_overlapping_atoms_are_refused_as_in_training(checkpoint, skin, tmp_path):
    made = random_system(5)
    made.coord[0, 3] = made.coord[0, 1] + made.box[0, 2] + 0.02  # across the border of the cell
    with pytest.raises(InputError) as training:
        read_systems([write_npy(tmp_path / "frames", made)])
    with pytest.raises(InputError) as calculating:
        atoms_of(made, calculator=SpinCalculator(checkpoint, skin=skin)).get_potential_energy()
    said = [str(error.value).partition("frame 0: ")[2] for error in (training, calculating)]
    assert said[0] == said[1]
    assert said[0].startswith("atoms 1 (Ni) and 3 (O) are 0.0346 Å apart")


@pytest.mark.filterwarnings("ignore:SpinCalculator")
def test_finite_differences(checkpoint):
    atoms = atoms_of(random_system(5), calculator=SpinCalculator(checkpoint))
    forces, fields, stress = atoms.get_forces(), magnetic(atoms), atoms.get_stress(voigt=False)
    h = 1e-4

    def slope(move):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.calc = atoms.calc
            move(moved, sign * h)
            energies.append(moved.get_potential_energy())
        return (energies[0] - energies[1]) / (2 * h)

    for i in range(len(atoms)):
        for c in range(3):
            assert -slope(lambda a, d, i=i, c=c: shift_position(a, i, c, d)) == pytest.approx(
                forces[i, c], abs=2e-7
            )
            assert -slope(lambda a, d, i=i, c=c: shift_moment(a, i, c, d)) == pytest.approx(
                fields[i, c], abs=2e-7
            )
    for a in range(3):
        for b in range(3):
            strained = 0.5 * (
                slope(lambda x, d, a=a, b=b: strain(x, a, b, d))
                + slope(lambda x, d, a=a, b=b: strain(x, b, a, d))
            )
            assert strained / atoms.get_volume() == pytest.approx(stress[a, b], abs=2e-8)


def shift_position(atoms, i, c, d):
    atoms.positions[i, c] += d


def shift_moment(atoms, i, c, d):
    moments = atoms.get_initial_magnetic_moments()
    moments[i, c] += d
    atoms.set_initial_magnetic_moments(moments)


def strain(atoms, a, b, d):
    matrix = np.eye(3)
    matrix[a, b] += d
    atoms.set_cell(atoms.cell.array @ matrix.T, scale_atoms=True)


def test_the_skin_changes_nothing_and_saves_searches(checkpoint, compiled):
    rng = np.random.default_rng(2)
    with_skin, without = SpinCalculator(checkpoint, skin=0.8), SpinCalculator(checkpoint, skin=0.0)
    atoms = atoms_of(random_system(6))
    for _ in range(20):
        atoms.positions += rng.normal(scale=0.02, size=atoms.positions.shape)
        moments = atoms.get_initial_magnetic_moments()
        atoms.set_initial_magnetic_moments(moments * rng.uniform(0.95, 1.08, (len(atoms), 1)))
        ours, theirs = atoms.copy(), atoms.copy()
        ours.calc, theirs.calc = with_skin, without
        np.testing.assert_allclose(ours.get_forces(), theirs.get_forces(), rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(magnetic(ours), magnetic(theirs), rtol=1e-11, atol=1e-12)
    searches = [calculator.predictors[0].geometry.kept.searches for calculator in (with_skin, without)]
    assert searches[0] < 10
    assert searches[1] == 20
    assert copy.deepcopy(with_skin).get_potential_energy(atoms) == pytest.approx(ours.get_potential_energy())


def test_new_moments_are_new_results(checkpoint):
    atoms = atoms_of(random_system(6), calculator=SpinCalculator(checkpoint))
    before = atoms.get_potential_energy()
    atoms.set_initial_magnetic_moments(-0.5 * atoms.get_initial_magnetic_moments())
    assert atoms.get_potential_energy() != before


def test_the_energy_alone(checkpoint, monkeypatch):
    """No derivatives are evaluated for it, and it is the same energy."""
    monkeypatch.setattr(Potential, "__call__", lambda *_: pytest.fail("derivatives of the energy"))
    atoms = atoms_of(random_system(3), calculator=SpinCalculator(checkpoint))
    energy = atoms.get_potential_energy()
    assert set(atoms.calc.results) == {"energy", "free_energy"}
    assert atoms.get_potential_energy(force_consistent=True) == energy
    monkeypatch.undo()
    assert atoms.get_forces().any()
    assert atoms.get_potential_energy() == energy


def test_a_column_spin_beside_moments_that_move(checkpoint):
    """As read from extxyz: initial_magmoms are what dynamics change, and the column is what it was."""
    atoms = atoms_of(random_system(), calculator=SpinCalculator(checkpoint))
    plain = atoms.get_potential_energy()
    atoms.arrays["spin"] = atoms.get_initial_magnetic_moments().copy()
    assert atoms.get_potential_energy() == plain
    SpinLatticeDynamics(atoms, 0.5 * units.fs).run(3)
    bare = atoms.copy()
    del bare.arrays["spin"]
    bare.calc = SpinCalculator(checkpoint)
    assert atoms.get_potential_energy() == pytest.approx(bare.get_potential_energy(), abs=1e-12)


def test_a_column_spin_alone_that_changes(checkpoint):
    atoms = atoms_of(random_system(), calculator=SpinCalculator(checkpoint))
    atoms.arrays["spin"] = atoms.get_initial_magnetic_moments().copy()
    atoms.set_initial_magnetic_moments(None)
    before = atoms.get_potential_energy()
    atoms.arrays["spin"][0] *= -1.0
    after = atoms.get_potential_energy()
    atoms.set_initial_magnetic_moments(atoms.arrays["spin"])
    assert after == pytest.approx(atoms.get_potential_energy(), abs=1e-12)
    assert after != before


def test_several_structures_with_one_calculator(checkpoint):
    calculator = SpinCalculator(checkpoint)
    first, second = atoms_of(random_system(1)), atoms_of(random_system(2, n_ni=2, n_o=3))
    results = []
    for atoms in (first, second, first):
        atoms.calc = calculator
        results.append(atoms.get_forces())
    np.testing.assert_array_equal(results[0], results[2])


def test_an_ensemble(checkpoint):
    others = [Predictor(small_potential(seed=seed, radial="direct")) for seed in (5, 6)]
    made = random_system(4)
    singles = [atoms_of(made, calculator=SpinCalculator(model)) for model in (checkpoint, *others)]
    together = atoms_of(made, calculator=SpinCalculator([checkpoint, *others]))
    forces = np.array([atoms.get_forces() for atoms in singles])
    fields = np.array([magnetic(atoms) for atoms in singles])
    np.testing.assert_allclose(together.get_forces(), forces.mean(0), atol=1e-12)
    np.testing.assert_allclose(magnetic(together), fields.mean(0), atol=1e-12)
    for name, vectors in (("forces_deviation", forces), ("magnetic_forces_deviation", fields)):
        found = together.calc.get_property(name, together)
        by_hand = [
            np.sqrt(np.mean([np.sum((v[i] - vectors.mean(0)[i]) ** 2) for v in vectors])) for i in range(5)
        ]
        np.testing.assert_allclose(found, by_hand, rtol=1e-10)
        assert found[0] > 0.0
    assert not singles[0].calc.get_property("forces_deviation", singles[0]).any()


def test_expected_errors_are_computed_when_they_are_asked_for():
    model, made = Predictor(calibrated_native()), random_system(4)
    atoms = atoms_of(made, calculator=SpinCalculator(model))
    atoms.get_forces()
    assert not {"leverage", "forces_sigma"} & atoms.calc.results.keys()
    known = model([made], uncertainty=True)[0]
    for name, own in (
        ("leverage", known.leverage),
        ("energy_sigma", known.energy_sigma),
        ("forces_sigma", known.force_sigma),
        ("magnetic_forces_sigma", known.force_mag_sigma),
    ):
        np.testing.assert_allclose(atoms.calc.get_property(name, atoms), own[0], rtol=1e-9)
    np.testing.assert_allclose(atoms.get_forces(), known.force[0], atol=1e-12)


def test_a_model_that_does_not_know_its_errors_says_so(checkpoint):
    atoms = atoms_of(random_system(4), calculator=SpinCalculator(checkpoint))
    with pytest.raises(InputError, match="does not know its errors"):
        atoms.calc.get_property("leverage", atoms)


def test_what_it_cannot_do(checkpoint):
    atoms = atoms_of(random_system(1), calculator=SpinCalculator(checkpoint))
    del atoms.arrays["initial_magmoms"]
    atoms.set_initial_magnetic_moments([1.0] * len(atoms))
    with pytest.raises(InputError, match="Expected a vector"):
        atoms.get_forces()
    with pytest.raises(InputError, match="no model given"):
        SpinCalculator([])
    with pytest.raises(InputError, match="skin=-1"):
        SpinCalculator(checkpoint, skin=-1.0)
    iron = atoms_of(random_system(1), calculator=SpinCalculator(checkpoint))
    iron.symbols[0] = "Fe"
    with pytest.raises(InputError, match="holds Fe"):
        iron.get_forces()


def test_atoms_that_move_are_laid_out_once(checkpoint, monkeypatch):
    made = []
    monkeypatch.setattr(calculator, "system_from_atoms", lambda *a: made.append(a) or system_from_atoms(*a))
    atoms = atoms_of(random_system(3), calculator=SpinCalculator(checkpoint))
    for _ in range(3):
        atoms.rattle(0.01, seed=1)
        atoms.set_initial_magnetic_moments(-atoms.get_initial_magnetic_moments())
        atoms.get_forces()
    assert len(made) == 1
    for change in (lambda: atoms.set_cell(1.01 * atoms.cell, scale_atoms=True), lambda: atoms.set_pbc(False)):
        change()
        fresh = atoms.copy()
        fresh.calc = SpinCalculator(checkpoint)
        np.testing.assert_array_equal(atoms.get_forces(), fresh.get_forces())
    assert len(made) == 5


def test_what_cannot_be_used_is_refused_however_the_atoms_came_there(checkpoint):
    atoms = atoms_of(random_system(3), calculator=SpinCalculator(checkpoint))
    forces = atoms.get_forces()
    atoms.symbols[0] = "Fe"
    for _ in range(2):
        with pytest.raises(InputError, match="holds Fe"):
            atoms.get_forces()
    atoms.symbols[0] = "Ni"
    np.testing.assert_array_equal(atoms.get_forces(), forces)
    for array in (atoms.positions, atoms.arrays["initial_magmoms"]):
        kept, array[1, 2] = array[1, 2], np.nan
        with pytest.raises(InputError, match=r"atom 1 \(.*\), component z: nan"):
            atoms.get_forces()
        array[1, 2] = kept
        np.testing.assert_array_equal(atoms.get_forces(), forces)


@pytest.mark.parametrize("pbc", [(False, False, False), (True, False, True)], ids=["cluster", "slab"])
def test_structures_that_are_no_crystals(checkpoint, pbc):
    calculator = SpinCalculator(checkpoint)
    atoms = atoms_of(random_system(5), calculator=calculator)
    atoms.cell[~np.array(pbc)] = 0.0
    atoms.pbc = pbc
    atoms.positions += np.array([0.0, 40.0, -3.0])
    vacuum = atoms.copy()
    for k in np.flatnonzero(~np.array(pbc)):
        vacuum.cell[k] = 150.0 * vacuum.cell.complete()[k]
    vacuum.pbc, vacuum.calc = True, SpinCalculator(checkpoint)
    assert atoms.get_potential_energy() == pytest.approx(vacuum.get_potential_energy(), rel=1e-12)
    np.testing.assert_allclose(atoms.get_forces(), vacuum.get_forces(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(magnetic(atoms), magnetic(vacuum), rtol=0, atol=1e-12)
    with pytest.raises(PropertyNotImplementedError, match="stress"):  # there is no volume
        atoms.get_stress()
    atoms.cell = vacuum.cell
    np.testing.assert_allclose(atoms.get_stress(), vacuum.get_stress(), rtol=0, atol=1e-12)


def test_a_cluster_relaxes(checkpoint):
    atoms = atoms_of(random_system(5), calculator=SpinCalculator(checkpoint))
    atoms.cell, atoms.pbc = None, False
    start = atoms.get_potential_energy()
    BFGS(SpinFilter(atoms, "directions", positions=True), logfile=None).run(fmax=0.0, steps=3)
    assert atoms.get_potential_energy() < start
    before = atoms.get_total_energy()
    SpinLatticeDynamics(atoms, 0.01 * units.fs).run(2)
    assert atoms.get_total_energy() == pytest.approx(before, abs=1e-6)
