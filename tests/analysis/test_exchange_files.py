"""The files for Vampire and TB2J give the energy of the constants that they were written from."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from ase import units

from spinpot.analysis.cells import magnetic_cell
from spinpot.analysis.exchange_files import orthogonal_matrix, tb2j_pickle, tb2j_text, vampire_files
from spinpot.analysis.exchange_tensors import exchange_tensors
from support.nio_calculator import NiOCalculator, nio_atoms


@pytest.fixture(scope="module", params=[False, True], ids=["isotropic", "full"])
def found(request):
    model = NiOCalculator()
    cell = magnetic_cell(nio_atoms(), 0.01)
    found = exchange_tensors(model, cell, 4.5, model.reach(cell), 0.02, full=request.param)
    return with_dm(found) if request.param else found


def with_dm(found):
    """NiO has no antisymmetric exchange: give it some, D along the bond."""
    x, y, z = 1e-3 * found.vector.T
    o = np.zeros_like(x)
    antisymmetric = np.array([[o, z, -y], [-z, o, x], [y, -x, o]]).transpose(2, 0, 1)
    return replace(found, tensor=found.tensor + antisymmetric)


def energy(tensors, e_i, e_j):
    """−½ Σ e_i·J·e_j, eV."""
    return -0.5 * np.einsum("pa,pab,pb->", e_i, tensors, e_j)


def ours(found, directions):
    tensors = found.tensor if found.full else found.isotropic[:, None, None] * np.eye(3)
    return energy(tensors, directions[found.i], directions[found.j])


def random_directions(number):
    drawn = np.random.default_rng(0).normal(size=(number, 3))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def test_the_unit_cell_of_vampire(found):
    files, remark = vampire_files(found)
    assert not remark
    lines = [line for line in files["vampire.ucf"].splitlines() if not line.startswith("#")]
    edges = np.array(lines[0].split(), dtype=float)
    axes = np.array([line.split() for line in lines[1:4]], dtype=float)
    assert (axes == np.eye(3)).all()
    n, materials = map(int, lines[4].split())
    atoms = np.array([line.split() for line in lines[5 : 5 + n]], dtype=float)
    count, kind = lines[5 + n].split()
    rows = np.array([line.split() for line in lines[6 + n :]], dtype=float)
    assert (len(rows), kind, materials) == (int(count), "tensorial" if found.full else "isotropic", 2)
    assert (rows[:, 0] == np.arange(len(rows))).all()
    assert (atoms[:, 0] == np.arange(n)).all()
    i, j = rows[:, 1].astype(int), rows[:, 2].astype(int)
    vectors = (atoms[j, 1:4] + rows[:, 3:6] - atoms[i, 1:4]) * edges
    assert np.sort(np.linalg.norm(vectors, axis=1)) == pytest.approx(
        np.sort(np.repeat(found.distance, n // 2)), abs=1e-6
    )
    # The energy of moments that repeat with the magnetic cell, turned with the box.
    box = orthogonal_matrix(found.cell.cell.array) @ found.cell.cell.array
    turn = box / np.linalg.norm(box, axis=1, keepdims=True)
    directions = random_directions(2)
    turned = directions[atoms[:, 4].astype(int)] @ turn.T
    values = rows[:, 6:].reshape(-1, 3, 3) if found.full else rows[:, 6, None, None] * np.eye(3)
    in_box = energy(values * units.J, turned[i], turned[j])
    assert in_box == pytest.approx(n / 2 * ours(found, directions), rel=1e-5)


def test_the_materials_of_vampire(found):
    text = vampire_files(found)[0]["vampire.mat"]
    assert "material:num-materials=2" in text
    assert "material[2]:atomic-spin-moment=1.900000 !muB" in text
    lines = [line.split("=")[1] for line in text.splitlines() if "initial-spin-direction" in line]
    one, other = np.array([line.split(",") for line in lines], dtype=float)
    assert one == pytest.approx(-other)


def test_a_cell_that_no_box_repeats(found):
    skew = np.array([[3.0, 0.1, 0.234], [0.31, 3.3, 0.7], [0.5, 0.41, 3.7]])
    assert orthogonal_matrix(skew) is None
    assert (orthogonal_matrix(np.diag([3.0, 4.0, 5.0])) @ np.diag([3.0, 4.0, 5.0])).any()


def test_the_box_is_as_small_as_it_can_be():
    fcc = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    box = orthogonal_matrix(fcc) @ fcc
    assert np.allclose(box @ box.T, np.diag(np.diag(box @ box.T)))
    assert np.linalg.det(box) == pytest.approx(4.0)  # body-centred tetragonal, two atoms


def test_every_pair_of_tb2j_has_all_parts(found):
    """As pyspinw wants them; what is not known is zero, and the files say so."""
    text, contents = tb2j_text(found), pickle.loads(tb2j_pickle(found))
    assert [text.count(part) for part in ("\nJ_iso:", "\nDMI:", "\nJ_ani:")] == [len(found.i)] * 3
    for parts in (contents["dmi_ddict"], contents["Jani_dict"]):
        assert parts.keys() == contents["exchange_Jdict"].keys()
        assert any(map(np.any, parts.values())) == found.full
    for said in (text.splitlines()[0], contents["description"]):
        assert ("DMI and J_ani are unknown and set to zero" in said) != found.full


@pytest.mark.parametrize("file", ["exchange.out", "TB2J.pickle"])
def test_pyspinw_loads_it(file, found, tmp_path):
    tb2j = pytest.importorskip("pyspinw.tb2j")
    (tmp_path / "exchange.out").write_text(tb2j_text(found))
    (tmp_path / "TB2J.pickle").write_bytes(tb2j_pickle(found))
    assert len(tb2j.TB2J_Input(tmp_path / file).to_hamiltonian().exchanges) > 0


def test_tb2j_pickle(found):
    contents = pickle.loads(tb2j_pickle(found))
    assert contents["index_spin"] == [0, 1, -1, -1]
    directions = random_directions(2)
    total = 0.0
    for (R, i, j), J in contents["exchange_Jdict"].items():
        x, y, z = contents["dmi_ddict"][R, i, j]
        T = J * np.eye(3) + contents["Jani_dict"][R, i, j] + np.array([[0, z, -y], [-z, 0, x], [y, -x, 0]])
        total -= directions[i] @ T @ directions[j]
    assert total == pytest.approx(ours(found, directions), rel=1e-9)


def test_tb2j_reads_it(found, tmp_path):
    spin_io = pytest.importorskip("TB2J.io_exchange").SpinIO
    (tmp_path / "TB2J.pickle").write_bytes(tb2j_pickle(found))
    read = spin_io.load_pickle(str(tmp_path))
    for p in (0, len(found.i) - 1):
        tensor = read.get_J_tensor(int(found.i[p]), int(found.j[p]), tuple(found.shift[p].tolist()))
        expected = found.tensor[p] if found.full else found.isotropic[p] * np.eye(3)
        assert np.real(tensor) == pytest.approx(0.5 * expected, abs=1e-9)
    read.write_vampire(str(tmp_path / "vampire"))
    assert (tmp_path / "vampire" / "vampire.UCF").is_file()


def test_magnopy_reads_tb2j_text(found, tmp_path):
    magnopy = pytest.importorskip("magnopy")
    (tmp_path / "exchange.out").write_text(tb2j_text(found))
    read = magnopy.io.load_tb2j(tmp_path / "exchange.out")
    assert read.atoms.names == ["Ni1", "Ni2", "O1", "O2"]
    assert read.cell == pytest.approx(found.cell.cell.array)
    directions = random_directions(2)
    total = sum(-directions[i] @ T @ directions[j] for _, (i, j), T in read.p22)
    assert total / 1000 == pytest.approx(ours(found, directions), rel=1e-5)
