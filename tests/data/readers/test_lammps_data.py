"""LAMMPS data files: spinpot reads what it writes."""

from dataclasses import replace

import numpy as np
import pytest

from spinpot.core.errors import InputError
from spinpot.core.notes import Notes
from spinpot.data.from_ase import atoms_of
from spinpot.data.lammps_files import turned
from spinpot.data.prepare import prepare
from spinpot.data.readers.find import read_frames
from spinpot.data.readers.reader import Wanted
from support.folders import write_npy
from support.frames import evaluate, random_system, small_potential

TEXT = """a comment

2 atoms
1 atom types

0.0 3.0 xlo xhi
0.0 3.0 ylo yhi
0.0 3.0 zlo zhi

Masses

1 55.845

Atoms  # spin

1 1 0.0 0.0 0.0 0.0 0.6 0.8 2.5
2 1 1.5 1.5 1.5 0.0 0.0 1.0 0.0

Velocities

1 0.1 0.2 0.3
2 0.0 0.0 0.0
"""


def test_there_and_back(tmp_path):
    made = random_system(3, n_frames=2)
    write_npy(tmp_path / "frames", made)
    prepare([tmp_path / "frames"], tmp_path / "data", Wanted(), write_as="lammps")
    systems = read_frames(tmp_path / "data", "auto", Wanted(), Notes())
    assert [len(system) for system in systems] == [1, 1]
    for frame, system in enumerate(systems):
        expected = turned(atoms_of(made, frame))
        expected.wrap(eps=0.0)
        assert [system.type_map[kind] for kind in system.types] == expected.get_chemical_symbols()
        np.testing.assert_allclose(system.box[0], expected.cell.array, atol=1e-12)
        np.testing.assert_allclose(system.coord[0], expected.positions, atol=1e-12)
        np.testing.assert_allclose(system.spin[0], expected.get_initial_magnetic_moments(), atol=1e-12)


@pytest.mark.parametrize("pbc", [(True, False, True), (False, False, False)], ids=["slab", "cluster"])
def test_what_is_no_crystal_there_and_back(pbc, tmp_path):
    made = replace(random_system(3), pbc=pbc)
    write_npy(tmp_path / "frames", made)
    prepare([tmp_path / "frames"], tmp_path / "data", Wanted(), write_as="lammps")
    notes = Notes()
    (system,) = read_frames(tmp_path / "data", "auto", Wanted(), notes)
    assert system.pbc == pbc
    assert any(line.startswith("Periodic ") for line in notes)
    potential = small_potential()
    before, after = (evaluate(potential, one) for one in (made, system))
    assert after["energy"][0] == pytest.approx(before["energy"][0], rel=1e-12)


def test_elements_that_nothing_names(tmp_path):
    path = tmp_path / "iron.data"
    path.write_text(TEXT)
    with pytest.raises(InputError) as error:
        read_frames(path, "auto", Wanted(), Notes())
    assert str(error.value) == (
        f"{path}: has 1 types, but only 0 elements are known. Name the elements of all types in order: "
        "--elements Ni O."
    )
    notes = Notes()
    (system,) = read_frames(path, "auto", Wanted(elements=("Fe",)), notes)
    np.testing.assert_allclose(system.spin[0], [[0, 1.5, 2.0], [0, 0, 0]])
    assert list(notes) == [
        f"Velocities: not used ({path})",
        f"no `boundary` in the first line: read as periodic in all directions ({path})",
        f"spin: read from spin ({path})",
    ]


@pytest.mark.parametrize("style", ["atomic", "spin"])
def test_another_style(style, tmp_path):
    path = tmp_path / "iron.data"
    path.write_text(TEXT.replace("# spin", f"# {style}").replace(" 0.0 0.6 0.8 2.5", ""))
    with pytest.raises(InputError, match=r"5 words in a line\. Expected atom_style spin"):
        read_frames(path, "auto", Wanted(elements=("Fe",)), Notes())
