"""Files, ase.Atoms, `analyze` and the calculator choose the moments by the same rules."""

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from spinpot.analysis.structure import read_structure
from spinpot.core.errors import InputError
from spinpot.data.from_ase import moments_of, system_from_atoms
from spinpot.data.readers.moments import find_moments
from spinpot.data.readers.reader import Wanted

ONE, OTHER = np.array([[0, 0, 1.2], [0, 0, 0]]), np.array([[0, 1.1, 0], [0, 0, 0]])
UNIT = np.array([[0, 0.6, 0.8], [0, 0, -1.0]])


def moments(wanted=None, **columns):
    return find_moments(columns, 2, "frame", wanted or Wanted())


@pytest.mark.parametrize(
    ("columns", "values", "source"),
    [
        ({"spin": ONE}, ONE, "spin"),
        ({"spins": ONE}, ONE, "spins"),
        (
            {"initial_magmoms": OTHER, "magmoms": ONE},
            ONE,
            "magmoms, the final moments of the calculation",
        ),
        ({"initial_magmoms": ONE}, ONE, "initial_magmoms, the initial moments"),
        ({"magmoms": ONE, "spin": ONE}, ONE, "spin, magmoms"),
        ({"spin": ONE, "forces": OTHER}, ONE, "spin"),
    ],
)
def test_the_choice(columns, values, source):
    found = moments(**columns)
    np.testing.assert_array_equal(found.values, values)
    assert found.source == source


@pytest.mark.parametrize("names", [("spin", "spins"), ("spin", "magmoms"), ("spin", "initial_magmoms")])
def test_columns_that_disagree(names):
    columns = dict(zip(names, (ONE, OTHER), strict=True))
    with pytest.raises(InputError) as error:
        moments(**columns)
    first, second = names
    assert str(error.value) == (
        f"frame: the moments of {first} and {second} differ by up to 1.2 μ_B. Name the ones to use: "
        f"--moments {first} or --moments {second}."
    )
    for name in names:
        chosen = moments(Wanted(columns={"spin": name}), **columns)
        np.testing.assert_array_equal(chosen.values, columns[name])


def test_missing_moments_are_zeros_only_where_the_user_says_so():
    with pytest.raises(InputError) as error:
        moments()
    assert str(error.value) == (
        "frame: no magnetic moments. Expected a vector (μ_B) per atom, zero on atoms that carry none: a "
        "column spin:R:3, or magmoms or initial_magmoms of shape (N, 3). Add it, or name another column: "
        "--moments NAME. For frames that are not magnetic, give --non-magnetic."
    )
    found = moments(Wanted(non_magnetic=True))
    assert not found.values.any()
    assert found.source == "no column: set to zero, for non-magnetic frames"
    np.testing.assert_array_equal(moments(Wanted(non_magnetic=True), spin=ONE).values, ONE)


def test_directions_beside_their_lengths():
    columns = {"spin": UNIT, "magmom_length": np.array([2.0, 0.5])}
    with pytest.raises(InputError) as error:
        moments(**columns)
    assert str(error.value) == (
        "frame: all moments of spin have the length 1, beside magmom_length. If spin are directions, give "
        "--moment-unit direction (moments = magmom_length · spin); if they are moments in μ_B, give "
        "--moment-unit mu_B."
    )
    found = moments(Wanted(moment_unit="direction"), **columns)
    np.testing.assert_allclose(found.values, [[0, 1.2, 1.6], [0, 0, -0.5]])
    assert found.names == ("spin", "magmom_length")
    np.testing.assert_array_equal(moments(Wanted(moment_unit="mu_B"), **columns).values, UNIT)


def of_unit_length():
    atoms = Atoms("Fe2", positions=[[0, 0, 0], [1.4, 1.4, 1.4]], cell=2.8 * np.eye(3), pbc=True)
    atoms.set_initial_magnetic_moments(UNIT)
    return atoms


def test_analyze_refuses_moments_of_length_1_unless_they_are_in_bohr_magnetons(tmp_path, capsys):
    path = tmp_path / "a.xyz"
    ase.io.write(path, of_unit_length())
    with pytest.raises(InputError) as error:
        read_structure(str(path), ("Fe",))
    assert str(error.value) == (
        f"structure={path}: all moments have the length 1, and no column holds lengths. If they are moments "
        "in μ_B, give moment_unit=mu_B; if they are directions of unknown lengths, moment_unit=direction. "
        "Both keep the length 1."
    )
    read = read_structure(str(path), ("Fe",), moment_unit="mu_B")
    np.testing.assert_allclose(read.get_initial_magnetic_moments(), UNIT)
    assert capsys.readouterr().out == "Moments: initial_magmoms, the initial moments.\n"


def test_atoms_whose_columns_disagree():
    atoms = of_unit_length()
    atoms.arrays["spin"] = ONE
    with pytest.raises(InputError, match="Name the ones to use: moments=spin or moments=initial_magmoms"):
        system_from_atoms(atoms)
    np.testing.assert_array_equal(moments_of(atoms, "atoms", "initial_magmoms").values, UNIT)


def test_results_of_a_calculator_that_the_atoms_have_left_behind():
    atoms = of_unit_length()
    atoms.set_initial_magnetic_moments(ONE)
    atoms.calc = SinglePointCalculator(atoms, magmoms=OTHER)
    found = moments_of(atoms, "atoms")
    np.testing.assert_array_equal(found.values, OTHER)
    assert found.others == ("initial_magmoms",)
    atoms.set_initial_magnetic_moments(2 * ONE)
    np.testing.assert_array_equal(moments_of(atoms, "atoms").values, 2 * ONE)


def test_vectors_that_are_no_known_moments_are_named():
    with pytest.raises(InputError, match=r"Its vectors are REF_magmoms\. Add it, or name another column"):
        moments(REF_magmoms=ONE)


def test_analyze_multiplies_directions_by_their_lengths(tmp_path):
    atoms = of_unit_length()
    atoms.set_initial_magnetic_moments(None)
    atoms.arrays["spin"], atoms.arrays["moment_length"] = UNIT, np.array([1.7, 0.5])
    ase.io.write(tmp_path / "a.xyz", atoms)
    read = read_structure(str(tmp_path / "a.xyz"), ("Fe",), moment_unit="direction")
    lengths = np.linalg.norm(read.get_initial_magnetic_moments(), axis=1)
    np.testing.assert_allclose(lengths, [1.7, 0.5])


def test_analyze_reads_vectors_from_a_database(tmp_path):
    atoms = of_unit_length()
    atoms.set_initial_magnetic_moments(2 * UNIT)
    ase.io.write(tmp_path / "a.db", atoms)
    read = read_structure(str(tmp_path / "a.db"), ("Fe",))
    np.testing.assert_allclose(read.get_initial_magnetic_moments(), 2 * UNIT)


def test_a_column_of_moments_of_another_width():
    with pytest.raises(InputError, match=r"frame: spin has the shape \(2, 2\)\. Expected a vector"):
        moments(spin=np.ones((2, 2)))
