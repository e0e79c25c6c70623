"""VASP: moments as vectors from the OUTCAR, incomplete steps, and vasprun.xml, which has no moments."""

import gzip
from pathlib import Path

import ase.io
import dpdata
import numpy as np
import pytest
from ase.units import GPa

from spinpot.core.errors import InputError
from spinpot.core.notes import Notes
from spinpot.data.readers.find import read_frames
from spinpot.data.readers.reader import Wanted
from support.in_process import run_here, the_message
from support.vasp import BOX, Step, moment_tables, outcar

VASPRUN = '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>\n</modeling>\n'
MOMENTS = np.array([[0.0, 0.1, 2.2], [-2.1, 0.3, 0.0], [0.0, 0.0, 0.05]])
NO_FORCES = "VASP writes no magnetic forces: the frames have none (run/OUTCAR)"


def read(folder, wanted=None, path="run"):
    """The systems at a path of a folder and what was said."""
    notes = Notes()
    systems = read_frames(folder / path, "auto", wanted or Wanted(), notes)
    return systems, [line.replace(f"{folder}/", "") for line in notes]


def write(folder, steps, name="run/OUTCAR", head="", version="6.4.2"):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(outcar(steps, head, version=version))


@pytest.mark.parametrize("last", [False, True])
def test_an_outcar(last, tmp_path):
    """VASP writes the tables of moments before the energy, after it, or both."""
    steps = [Step(energy=-20.0 - k, moments=MOMENTS + 0.1 * k, moments_last=last) for k in range(2)]
    write(tmp_path, steps)
    (system,), said = read(tmp_path)
    assert system.name == "run"
    assert system.type_map == ("Fe", "O")
    np.testing.assert_allclose(system.energy, [-20.0, -21.0])
    np.testing.assert_allclose(system.spin, [MOMENTS, MOMENTS + 0.1])
    np.testing.assert_allclose(system.box[0], BOX)
    np.testing.assert_allclose(system.coord[0], steps[0].coord, atol=1e-6)
    np.testing.assert_allclose(system.force[0], steps[0].force, atol=1e-6)
    virial = 120.0 * 0.1 * GPa * np.array([[10.0, 1.0, 3.0], [1.0, 20.0, 2.0], [3.0, 2.0, 30.0]])
    np.testing.assert_allclose(system.virial[0], virial, rtol=1e-9)
    assert system.force_mag is None
    assert said == [
        "no SAXIS in it, and no INCAR or vasprun.xml beside it: moments read with VASP's default, "
        "SAXIS = 0 0 1 (run/OUTCAR)",
        "energy_sigma_0: not used; to read it, give --energy energy_sigma_0 (run/OUTCAR)",
        "spin: read from magmoms, the final moments of the calculation (run/OUTCAR)",
        "energy: read from free_energy (run/OUTCAR)",
        "virial: read from stress (run/OUTCAR)",
        NO_FORCES,
    ]


def test_the_folder_one_is_in_has_its_name(tmp_path, monkeypatch):
    write(tmp_path, [Step()])
    monkeypatch.chdir(tmp_path / "run")
    (system,) = read_frames(Path("OUTCAR"), "auto", Wanted(), Notes())
    assert system.name == "run"


def test_the_same_as_ase_and_dpdata_read(tmp_path):
    write(tmp_path, [Step(energy=-20.0 - k, moments=MOMENTS + 0.1 * k) for k in range(2)])
    (system,), _ = read(tmp_path)
    for k, atoms in enumerate(ase.io.read(tmp_path / "run" / "OUTCAR", ":")):
        np.testing.assert_array_equal(system.spin[k], atoms.calc.results["magmoms"])
        np.testing.assert_array_equal(system.force[k], atoms.get_forces())
        np.testing.assert_array_equal(system.energy[k], atoms.calc.results["free_energy"])
    theirs = dpdata.LabeledSystem(str(tmp_path / "run" / "OUTCAR"), fmt="vasp/outcar").data
    np.testing.assert_array_equal(system.energy, theirs["energies"])
    np.testing.assert_array_equal(system.coord, theirs["coords"])
    np.testing.assert_array_equal(system.force, theirs["forces"])
    np.testing.assert_allclose(system.virial, theirs["virials"], rtol=1e-6)


@pytest.mark.parametrize(
    ("saxis", "axes"),
    [
        # Rows: where the x, y and z axis of the spins point; from the formulas of the manual.
        ("1 0 0", [[0, 0, -1], [0, 1, 0], [1, 0, 0]]),
        ("0 1 0", [[0, 0, -1], [-1, 0, 0], [0, 1, 0]]),
        ("0.0 0.0 -2.0", [[-1, 0, 0], [0, 1, 0], [0, 0, -1]]),
        ("0.0 0.0 1.0", np.eye(3)),
    ],
)
@pytest.mark.parametrize("where", ["OUTCAR", "INCAR", "vasprun.xml"])
def test_moments_turn_with_saxis(where, saxis, axes, tmp_path):
    write(tmp_path, [Step(moments=MOMENTS)], head=f"   SAXIS =  {saxis}" if where == "OUTCAR" else "")
    if where == "INCAR":
        (tmp_path / "run" / where).write_text(f"# SAXIS = 1 1 1\nSAXIS = {saxis} ! axis\n")
    elif where == "vasprun.xml":
        (tmp_path / "run" / where).write_text(f'<?xml version="1.0"?><v name="SAXIS">  {saxis}</v>')
    (system,), said = read(tmp_path)
    np.testing.assert_allclose(system.spin[0], MOMENTS @ np.array(axes), atol=1e-12)
    turned = any(line.startswith("moments rotated from the axes of SAXIS") for line in said)
    assert turned == (saxis != "0.0 0.0 1.0")


@pytest.mark.parametrize(
    ("version", "kept"), [("6.4.2", [-1.0, -3.0, -5.0]), ("5.4.4", [-1.0, -5.0]), ("4.6.28", [-1.0, -5.0])]
)
def test_steps_that_are_not_converged(version, kept, tmp_path):
    """VASP 6 says it; VASP 5 writes after NELM iterations that EDIFF is reached, converged or not."""
    steps = [
        Step(energy=-1.0),
        Step(energy=-2.0, end="aborting loop EDIFF was not reached (unconverged)"),
        Step(energy=-3.0, iterations=60),
        Step(energy=-4.0, iterations=60, end=""),
        Step(energy=-5.0),
    ]
    write(tmp_path, steps, version=version)
    (system,), said = read(tmp_path)
    assert list(system.energy) == kept
    left = 5 - len(kept)
    assert f"{left} of 5 steps left out: not converged (NELM iterations) (run/OUTCAR)" in said


def test_steps_without_forces(tmp_path):
    """As NWRITE 0 leaves them."""
    text = outcar([Step(energy=-1.0), Step(energy=-2.0)])
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "OUTCAR").write_text(text.replace(" POSITION   ", " NOTHING   ", 1))
    (system,), said = read(tmp_path)
    assert list(system.energy) == [-2.0]
    assert "1 of 2 steps left out: cut off, or without positions and forces (run/OUTCAR)" in said


def test_energies_beside_those_without_dispersion(tmp_path):
    text = outcar([Step(energy=-1.0)]).replace(" eV\n\n", " eV    w/o vdW =  -9.0 eV\n\n")
    text = text.replace("  energy(sigma->0)", "    w/o vdW =  -9.0  energy(sigma->0)")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "OUTCAR").write_text(text)
    (system,), _ = read(tmp_path)
    assert list(system.energy) == [-1.0]


@pytest.mark.parametrize(
    "cut", ["Iteration      2(   2)", "FREE ENERGIE", "TOTAL-FORCE", "free  energy   TOTEN"]
)
def test_a_run_that_was_killed(cut, tmp_path):
    text = outcar([Step(energy=-1.0), Step(energy=-2.0)])
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "OUTCAR").write_text(text[: text.rindex(cut)])
    (system,), said = read(tmp_path)
    assert list(system.energy) == [-1.0]
    assert "1 of 2 steps left out: cut off, or without positions and forces (run/OUTCAR)" in said


def test_a_table_that_was_cut_off(tmp_path):
    text = outcar([Step(energy=-1.0), Step(energy=-2.0, moments_last=True)])
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "OUTCAR").write_text(text[: text.rindex("magnetization (z)") + 90])
    (system,), said = read(tmp_path)
    assert list(system.energy) == [-1.0]
    assert "1 of 2 steps left out: without moments (run/OUTCAR)" in said


def test_a_step_without_its_moments_in_a_run_that_is_said_to_have_none(tmp_path):
    write(tmp_path, [Step(moments=None)])
    with pytest.raises(InputError) as refused:
        read(tmp_path)
    assert str(refused.value) == (
        f"{tmp_path}/run/OUTCAR: without moments. LORBIT 11 with LNONCOLLINEAR writes them into the OUTCAR. "
        "For frames that are not magnetic, give --non-magnetic."
    )
    (system,), _ = read(tmp_path, Wanted(non_magnetic=True))
    assert not system.spin.any()


def test_collinear_moments(tmp_path):
    write(tmp_path, [Step(moments=MOMENTS[:, 2])])
    message = the_message(run_here("prepare_data.py", "run", "out", cwd=tmp_path))
    assert message.startswith(
        "run/OUTCAR, frame 0: magmoms has one number per atom (collinear moments). Expected a vector"
    )


def test_other_tables_are_named(tmp_path):
    more = "\n".join(moment_tables(MOMENTS, "orbital moment"))
    write(tmp_path, [Step(more=more)], head="   I_CONSTRAINED_M = 1")
    _, said = read(tmp_path)
    assert "orbital moment (y): not used (run/OUTCAR)" in said
    assert (
        "I_CONSTRAINED_M: the energies contain the penalty of the constraint; lambda*MW_perp is not −∂E/∂S "
        "and is not read (run/OUTCAR)" in said
    )
    write(tmp_path, [Step(more=" Magnetic force (eV/uB)\n   1 Fe 1 1 1 0.1 0.2 0.3")])
    _, said = read(tmp_path)
    assert "Magnetic force (eV/uB): a table of VASP's DeltaSpin, not used (run/OUTCAR)" in said


def test_a_number_that_is_cut_off_is_not_read(tmp_path):
    text = outcar([Step(energy=-1.0), Step(energy=-2.0, moments=MOMENTS + 0.125, moments_last=True)])
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "OUTCAR").write_text(text[: text.rindex("0.175")] + "0.1")
    (system,), said = read(tmp_path)
    assert list(system.energy) == [-1.0]
    assert "the file ends within a line, which is not read (run/OUTCAR)" in said


@pytest.mark.parametrize(
    ("name", "text", "constrained"),
    [
        ("INCAR", "I_CONSTRAINED_M = 1 ; LAMBDA = 10\n", True),
        ("INCAR", "# I_CONSTRAINED_M = 1\n", False),
        ("vasprun.xml", '<?xml version="1.0"?><i type="int" name="I_CONSTRAINED_M">     4</i>', True),
        ("vasprun.xml", '<?xml version="1.0"?><i type="int" name="I_CONSTRAINED_M">     0</i>', False),
    ],
)
def test_a_constraint_that_a_file_beside_the_outcar_states(name, text, constrained, tmp_path):
    write(tmp_path, [Step(moments=MOMENTS)])
    (tmp_path / "run" / name).write_text(text)
    _, said = read(tmp_path)
    assert any(line.startswith("I_CONSTRAINED_M: the energies contain") for line in said) == constrained
    assert not any("no SAXIS" in line for line in said)


def test_a_folder_of_runs(tmp_path):
    write(tmp_path, [Step(moments=MOMENTS)], "runs/a.1/OUTCAR")
    write(tmp_path, [Step(end="aborting loop EDIFF was not reached (unconverged)")], "runs/b/OUTCAR")
    (tmp_path / "runs" / "c").mkdir()
    (tmp_path / "runs" / "c" / "OUTCAR.gz").write_bytes(gzip.compress(outcar([Step()]).encode()))
    for name in "abc":
        (tmp_path / "runs" / {"a": "a.1"}.get(name, name) / "vasprun.xml").write_text(VASPRUN)
    systems, said = read(tmp_path, path="runs")
    assert [system.name for system in systems] == ["a.1", "c"]
    assert "not read: not converged (NELM iterations). Correct the calculation. (runs/b/OUTCAR)" in said
    xml = (
        "a vasprun.xml has no moments of the atoms. Give the OUTCAR of the run, into which LORBIT 11 writes "
    )
    places = "runs/a.1/vasprun.xml, runs/b/vasprun.xml, runs/c/vasprun.xml"
    assert f"not read: {xml}them. ({places})" in said


def test_a_vasprun_xml(tmp_path):
    (tmp_path / "vasprun.xml").write_text(VASPRUN)
    message = the_message(run_here("prepare_data.py", "vasprun.xml", "out", cwd=tmp_path))
    assert message == (
        "vasprun.xml: a vasprun.xml has no moments of the atoms. Give the OUTCAR of the run, into which "
        "LORBIT 11 writes them."
    )


@pytest.mark.parametrize("cut", range(0, 4200, 300))
def test_no_traceback_wherever_a_run_ends(cut, tmp_path):
    (tmp_path / "OUTCAR").write_text(outcar([Step(energy=-1.0), Step(energy=-2.0)])[:cut])
    result = run_here("prepare_data.py", "OUTCAR", "out", cwd=tmp_path)
    assert "Traceback" not in result.stderr
    assert result.returncode == 0 or the_message(result).startswith("OUTCAR: ")
