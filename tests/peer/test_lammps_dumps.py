"""Dumps written by LAMMPS are read correctly, and LAMMPS reads spinpot's data files."""

import numpy as np
import pytest

from spinpot.core.notes import Notes
from spinpot.data.lammps_files import write_data
from spinpot.data.readers.find import read_frames
from spinpot.data.readers.reader import Wanted
from support.frames import atoms_of, random_system

INPUT = """
units metal
atom_style spin
atom_modify map array
boundary {boundary}
box tilt large
read_data {data}
pair_style spin/exchange 3.0
pair_coeff * * exchange 3.0 -0.01 0.1 1.0
compute s all property/atom {order}
dump d all custom 1 run.dump id type {positions} c_s[*] fx fy fz
dump_modify d format float %.16g {modify}
run 0 post no
"""
ELEMENTS = ("O", "Ni")
WANTED = Wanted(elements=ELEMENTS)


@pytest.fixture
def dumped(run_peer, tmp_path):
    """What LAMMPS says, and the system of its dump."""

    def run(data="x.data", boundary="p p p", order="spx spy spz sp", positions="x y z", modify=""):
        settings = {"boundary": boundary, "order": order, "positions": positions, "modify": modify}
        (tmp_path / "in.run").write_text(INPUT.format(data=data, **settings))
        said = run_peer("lmp", "-in", "in.run", cwd=tmp_path)
        (system,) = read_frames(tmp_path / "run.dump", "auto", WANTED, Notes())
        return said, system

    return run


@pytest.mark.parametrize(
    "settings",
    [
        {"order": "spx spy spz sp"},
        {"order": "sp spx spy spz fmx fmy fmz", "positions": "xs ys zs"},
        {"order": "spx spy spz sp fmx fmy fmz", "positions": "xu yu zu", "modify": "units yes time yes"},
    ],
)
def test_dumps_are_what_was_written(settings, dumped, tmp_path):
    made = write_data(tmp_path / "x.data", atoms_of(random_system(3)), ELEMENTS)
    said, system = dumped(**settings)
    assert "WARNING: Atom style in data file" not in said
    np.testing.assert_allclose(system.box[0], made.cell.array, atol=1e-12)
    np.testing.assert_allclose(system.coord[0], made.positions, atol=1e-12)
    np.testing.assert_allclose(system.spin[0], made.get_initial_magnetic_moments(), atol=1e-12)
    assert [system.type_map[t] for t in system.types] == made.get_chemical_symbols()


def test_a_general_triclinic_box(dumped, tmp_path):
    """LAMMPS turns positions and forces of such dumps, and not what computes give."""
    cell = [[1.0, 3.5, 0.5], [-0.5, 2.5, 3.0], [3.2, 0.3, -0.4]]
    vectors = "\n".join(f"{' '.join(map(str, v))} {name}vec" for v, name in zip(cell, "abc", strict=True))
    (tmp_path / "general.data").write_text(
        f"general\n\n2 atoms\n2 atom types\n\n{vectors}\n0.1 0.2 0.3 abc origin\n\n"
        "Masses\n\n1 16.0\n2 58.69\n\nAtoms # spin\n\n"
        "1 2 0.4 0.5 0.6 0.6 0.0 0.8 2.0\n2 2 2.5 3.2 2.1 -0.8 0.6 0.0 1.5\n"
    )
    _, system = dumped("general.data", modify="triclinic/general yes")
    np.testing.assert_allclose(system.box[0], cell, atol=1e-9)
    np.testing.assert_allclose(system.spin[0], [[1.2, 0.0, 1.6], [-1.2, 0.9, 0.0]], atol=1e-9)
    apart = (system.coord[0, 1] - system.coord[0, 0] - [2.1, 2.7, 1.5]) @ np.linalg.inv(cell)
    np.testing.assert_allclose(apart, np.rint(apart), atol=1e-9)
