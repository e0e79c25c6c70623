"""Exploration in LAMMPS without LAMMPS: a stand-in takes the commands and writes the frames."""

import sys

import numpy as np
import pytest
from ase import Atoms, units

from spinpot.core.errors import InputError, TrainingError
from spinpot.learning import lammps
from spinpot.learning.engines import engine_of, in_python
from spinpot.learning.lammps import Lammps, LammpsDynamics, Session, find_lammps
from spinpot.learning.settings import Bath, Exploration

PROGRAM = """
import os, signal, sys

atoms = []
for line in sys.stdin:
    print(line, end="", file=open("commands", "a"))
    words = line.split()
    if words[:1] == ["read_data"]:
        text = open(words[1]).read().split("Atoms # spin")[1].split("Velocities")[0]
        atoms = [row.split() for row in text.splitlines() if row]
        box = [row.split() for row in open(words[1]) if row.rstrip().endswith(("hi", "yz"))]
    if words[:1] == ["run"] and words[1] == "13":
        print("ERROR on proc 0: Non-numeric atom coords - simulation unstable (src/domain.cpp:600)")
        sys.exit(1)
    if words[:1] == ["run"] and words[1] == "14":
        print("thermo")
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    if words[:1] == ["write_dump"]:
        (lx, ly, lz), (xy, xz, yz) = ([float(row[1]) for row in box[:3]], map(float, box[3][:3]))
        low, high = min(0.0, xy, xz, xy + xz), max(0.0, xy, xz, xy + xz)
        with open(words[3], "w") as out:
            print("ITEM: TIMESTEP", 1, "ITEM: NUMBER OF ATOMS", len(atoms), sep="\\n", file=out)
            print("ITEM: BOX BOUNDS xy xz yz pp pp pp", file=out)
            print(low, lx + high, xy, file=out)
            print(min(0.0, yz), ly + max(0.0, yz), xz, file=out)
            print(0.0, lz, yz, file=out)
            print("ITEM: ATOMS id type xu yu zu", *(f"c_moments[{k}]" for k in range(1, 5)), file=out)
            for n, kind, x, y, z, sx, sy, sz, s in reversed(atoms):
                print(n, kind, float(x) + 0.25, y, z, s, sx, sy, sz, file=out)
    if words[:1] == ["print"]:
        print(line.split('"')[1])
        sys.stdout.flush()
"""
BATH = Bath(Exploration(timestep=0.5, damping=0.2, friction=0.03, field=[1.0, 2.0, 3.0]), 300.0, 2**62 - 1)


@pytest.fixture
def program(tmp_path):
    """The command of the stand-in."""
    (tmp_path / "program.py").write_text(PROGRAM)
    return (sys.executable, str(tmp_path / "program.py"))


def alloy(cell):
    """Three moving atoms, one without a moment, one outside the cell."""
    atoms = Atoms("FeOCo", [[0.1, 0.2, 0.3], [-1.0, 1.4, 1.9], [2.9, 2.2, 0.8]], cell=cell, pbc=True)
    atoms.set_initial_magnetic_moments([[0.0, 1.2, -1.6], [0.0, 0.0, 0.0], [1.0, 0.5, 0.1]])
    atoms.set_velocities(np.arange(9.0).reshape(3, 3))
    return atoms


CELLS = {
    "triangular": [[3.0, 0.0, 0.0], [0.5, 3.2, 0.0], [-0.7, 0.4, 3.5]],
    "rotated": [[1.0, 2.9, 0.3], [-2.8, 1.1, 0.2], [0.3, -0.4, 3.1]],
    "left-handed": [[-2.8, 1.1, 0.2], [1.0, 2.9, 0.3], [0.3, -0.4, 3.1]],
}


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_frames_come_back_in_the_cell_of_the_atoms(cell, program, tmp_path):
    atoms = alloy(cell)
    start = atoms.copy()
    with Session(program, tmp_path) as session:
        dynamics = LammpsDynamics(session, "units metal\n", atoms, BATH)
        dynamics.run(12)
    along = np.array(cell[0]) * np.sign(np.linalg.det(cell)) / np.linalg.norm(cell[0])  # LAMMPS' x
    np.testing.assert_allclose(atoms.positions, start.positions + 0.25 * along, atol=1e-12)
    moments = start.get_initial_magnetic_moments()
    np.testing.assert_allclose(atoms.get_initial_magnetic_moments(), moments, atol=1e-12)
    np.testing.assert_array_equal(atoms.cell.array, cell)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_velocities_and_field_turn_with_the_cell(cell, program, tmp_path):
    atoms = alloy(cell)
    with Session(program, tmp_path) as session:
        LammpsDynamics(session, "", atoms, BATH)
    rows = (tmp_path / "start.data").read_text().split("Velocities")[1].split("\n")
    there = np.array([row.split() for row in rows if row.strip()], dtype=float)
    assert there[:, 0].tolist() == [1.0, 2.0, 3.0]
    own = atoms.get_velocities() * 1000.0 * units.fs
    a, b = (np.array(vector) * np.sign(np.linalg.det(cell)) for vector in cell[:2])
    x = a / np.linalg.norm(a)
    z = np.cross(a, b) / np.linalg.norm(np.cross(a, b))
    axes = np.array([x, np.cross(z, x), z])  # LAMMPS': a along x, b in the xy plane
    np.testing.assert_allclose(there[:, 1:], own @ axes.T, rtol=1e-12, atol=1e-12)
    words = (tmp_path / "commands").read_text().replace("&\n", " ").split("field ")[1].split()
    np.testing.assert_allclose(np.array(words[:3], dtype=float), axes @ [1.0, 2.0, 3.0], atol=1e-12)


def test_the_commands_have_the_settings_in_the_units_of_lammps(program, tmp_path):
    atoms = alloy(CELLS["triangular"])
    with Session(program, tmp_path) as session:
        LammpsDynamics(session, lammps.STYLES, atoms, BATH).run(12)
    said = " ".join((tmp_path / "commands").read_text().split())
    for words in (
        "units metal atom_style spin pair_style ml/spinpot atom_modify",
        "read_data start.data pair_coeff * * model.safetensors Co Fe O",
        "timestep 0.0005 ",
        "damping 0.2 friction 30.0 temperature 300.0 seed 4611686018427387903 & field 1.0 2.0 3.0 tolerance",
        "tolerance 0.0001",
        "run 12 post no write_dump all custom frame.dump id type xu yu zu c_moments[*]",
    ):
        assert words in said


def test_an_error_of_lammps_ends_a_trajectory_and_a_lost_process_the_loop(program, tmp_path):
    for steps, kind, message in (
        (13, InputError, r"^LAMMPS: Non-numeric atom coords - simulation unstable$"),
        (14, TrainingError, r"LAMMPS ended with exit code -9: thermo\. Repeat the command"),
    ):
        with Session(program, tmp_path) as session:
            dynamics = LammpsDynamics(session, "", alloy(CELLS["triangular"]), BATH)
            dynamics.run(12)
            with pytest.raises(kind, match=message):
                dynamics.run(steps)


def test_lammps_that_cannot_be_used_is_refused(program, tmp_path, monkeypatch):
    monkeypatch.delenv(lammps.PLUGIN_PATH, raising=False)
    for command, message in (
        ("no_such_lmp -x", r"exploration\.lammps=no_such_lmp -x: there is no program no_such_lmp\. Install"),
        ("", r"exploration\.lammps=: there is no program"),
        ("lmp 'a", r"exploration\.lammps=lmp 'a: No closing quotation"),
        (" ".join(program), "no headers of this LAMMPS near"),
    ):
        with pytest.raises(InputError, match=message):
            find_lammps(command)
    headers = tmp_path / "include" / "lammps"
    (tmp_path / "bin").mkdir()
    headers.mkdir(parents=True)
    for name in ("pair.h", "lammps.h"):
        (headers / name).touch()
    (headers / "version.h").write_text('#define LAMMPS_VERSION "22 Jul 2025"\n')
    (tmp_path / "include" / "mpi.h").touch()
    (tmp_path / "bin" / "lmp").symlink_to(sys.executable)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    build = rf"spinpot lammps build --lammps {tmp_path}$"
    with pytest.raises(InputError, match=f"the plugin for this LAMMPS is not built. Build it: {build}"):
        find_lammps(f"{tmp_path}/bin/lmp")


def test_a_plugin_that_lammps_loads_itself(program, tmp_path, monkeypatch):
    (tmp_path / "spinpotplugin.so").touch()
    monkeypatch.setenv(lammps.PLUGIN_PATH, f"/nowhere:{tmp_path}")
    assert find_lammps(" ".join(program)) == Lammps(program, "")
    (tmp_path / "program.py").write_text("print('ERROR: Unknown pair style')\nraise SystemExit(1)")
    with pytest.raises(InputError, match=r"does not start with the plugin: Unknown pair style\. `spinpot"):
        find_lammps(" ".join(program))


def test_the_engine_is_that_of_the_settings(program, tmp_path, monkeypatch):
    assert engine_of(Exploration(), "native_spin") is in_python
    (tmp_path / "spinpotplugin.so").touch()
    monkeypatch.setenv(lammps.PLUGIN_PATH, str(tmp_path))
    command = " ".join(program)
    assert engine_of(Exploration(lammps=command), "deepspin").__self__ == Lammps(program, "")


def test_a_model_without_a_model_file_is_refused(monkeypatch):
    from spinpot.learning import engines
    from spinpot.models.potential import Potential

    monkeypatch.setattr(engines, "model_class", lambda kind: Potential)
    with pytest.raises(
        InputError, match=r"exploration\.lammps=lmp: LAMMPS cannot run a model of the kind toy"
    ):
        engine_of(Exploration(lammps="lmp"), "toy")
