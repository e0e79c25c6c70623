"""ABACUS: complete steps are read, others are counted; tables of every version."""

import contextlib
import shutil
from pathlib import Path

import dpdata
import numpy as np
import pytest
from ase.units import GPa
from dpdata.plugins.deepmd import register_spin

from spinpot.core.errors import InputError
from spinpot.core.notes import Notes
from spinpot.data.readers.abacus import Abacus
from spinpot.data.readers.find import read_frames
from spinpot.data.readers.reader import Wanted
from support.abacus import BOX, Step, dumped, stru, table, write_run, written_log
from support.in_process import run_here, the_message

FRACTIONAL = np.array([[0.0, 0.1, 0.2], [0.5, 0.5, 0.5], [0.25, 0.75, 0.1]])
PLACES = [FRACTIONAL + 0.01 * k for k in range(4)]


def read(folder, wanted=None, name="auto"):
    """The systems at a folder and what was said."""
    notes = Notes()
    systems = read_frames(folder, name, wanted or Wanted(), notes)
    return systems, [line.replace(f"{folder}/", "").replace(str(folder), "RUN") for line in notes]


@pytest.mark.parametrize("newest", [False, True])
def test_labels_have_their_units(newest, tmp_path):
    step = Step(stress=np.arange(9.0).reshape(3, 3) - 3)
    write_run(tmp_path / "run.0.1", [step], PLACES, newest=newest)
    (system,), said = read(tmp_path / "run.0.1")
    assert system.name == "run.0.1"
    assert system.type_map == ("Fe", "O")
    np.testing.assert_allclose(system.box[0], BOX, rtol=1e-9)
    np.testing.assert_allclose(system.coord[0], FRACTIONAL @ BOX, atol=1e-9)
    np.testing.assert_allclose(system.energy, [-100.25])
    np.testing.assert_allclose(system.force[0], step.force, atol=1e-9)
    np.testing.assert_allclose(system.force_mag[0], step.force_mag, atol=1e-9)
    np.testing.assert_allclose(system.spin[0], step.constrained, atol=1e-9)
    np.testing.assert_allclose(system.virial[0], 120.0 * 0.1 * GPa * step.stress, rtol=1e-9)
    assert said == [
        "energy_sigma_0: not used; to read it, give --energy energy_sigma_0 (RUN)",
        "spin: read from constrained_moments (RUN)",
        "energy: read from free_energy (RUN)",
    ]


@pytest.mark.parametrize("newest", [False, True])
def test_a_relaxation_whose_second_step_is_not_converged(newest, tmp_path):
    steps = [Step(energy=-1.0), Step(converged=False), Step(energy=-3.0)]
    write_run(tmp_path / "run", steps, PLACES, "relax", newest=newest)
    (system,), said = read(tmp_path / "run")
    assert list(system.energy) == [-1.0, -3.0]
    np.testing.assert_allclose(system.coord[1], PLACES[2] @ BOX, atol=1e-9)
    assert "1 of 3 steps left out: not converged (RUN)" in said


@pytest.mark.parametrize(
    ("cut", "lack"),
    [
        ("charge density convergence is achieved", "without an energy (cut off)"),
        ("TOTAL-FORCE", "without the force"),
        ("final etot is -3", "without an energy (cut off)"),
        ("Total Magnetism", "without an energy (cut off)"),
    ],
)
def test_a_relaxation_that_was_killed(cut, lack, tmp_path):
    steps = [Step(energy=-1.0), Step(energy=-2.0), Step(energy=-3.0)]
    text = written_log(steps, PLACES, "relax")
    write_run(tmp_path / "run", steps, PLACES, "relax", log=text[: text.rindex(cut)])
    (system,), said = read(tmp_path / "run")
    assert list(system.energy) == [-1.0, -2.0]
    assert f"1 of 3 steps left out: {lack} (RUN)" in said


def test_a_table_that_cannot_be_read_is_no_table_that_is_not_there(tmp_path):
    text = written_log([Step()], PLACES).replace("-0.0909090909", "**********")
    write_run(tmp_path / "run", [Step()], PLACES, log=text)
    with pytest.raises(InputError) as refused:
        read(tmp_path / "run")
    assert str(refused.value) == (
        f"{tmp_path / 'run'}: running_scf.log (ABACUS v3.7.1): without the force_mag (its table could not be "
        "read). Correct the calculation."
    )


@pytest.mark.parametrize("newest", [False, True])
def test_md_dumpfreq(newest, tmp_path):
    steps = [Step(energy=-1.0 - k, force=np.full((3, 3), 0.1 * k)) for k in range(4)]
    folder = write_run(tmp_path / "run", steps, PLACES, "md", newest=newest)
    (folder / "OUT.ABACUS" / "MD_dump").write_text(dumped([0, 2], steps, PLACES))
    (system,), said = read(folder)
    assert list(system.energy) == [-1.0, -3.0]
    np.testing.assert_allclose(system.coord[1], PLACES[2] @ BOX, atol=1e-9)
    np.testing.assert_allclose(system.force[:, 0, 0], [0.0, 0.2])
    assert "2 of 4 steps left out: not in MD_dump, which holds each md_dumpfreq-th (RUN)" in said


def test_md_of_the_oldest_logs(tmp_path):
    """They number the step in the head of an iteration, and write its name after it."""
    steps = [Step(energy=-1.0 - k, force=np.full((3, 3), 0.1)) for k in range(3)]
    text = written_log(steps, PLACES, "md").replace("--------------- ION=   ", "------------- MD =    ")
    for k in range(3):
        head = f" STEP OF MOLECULAR DYNAMICS : {k}\n"
        energy = f" final etot is {-1.0 - k} eV\n"
        text = text.replace(head, "").replace(energy, energy + head)
    folder = write_run(tmp_path / "run", steps, PLACES, "md", log=text)
    (folder / "OUT.ABACUS" / "MD_dump").write_text(dumped([0, 2], steps, PLACES))
    (system,), _ = read(folder)
    assert list(system.energy) == [-1.0, -3.0]
    np.testing.assert_allclose(system.coord[1], PLACES[2] @ BOX, atol=1e-9)


def test_md_dump_of_another_run(tmp_path):
    steps = [Step(force=np.full((3, 3), 0.1 * k)) for k in range(2)]
    others = [Step(force=np.full((3, 3), 0.5 - 0.4 * k)) for k in range(2)]
    folder = write_run(tmp_path / "run", steps, PLACES, "md")
    dump = folder / "OUT.ABACUS" / "MD_dump"
    dump.write_text(dumped([0, 1], others, PLACES))
    (system,), said = read(folder)
    assert len(system) == 1
    np.testing.assert_allclose(system.coord[0], PLACES[1] @ BOX, atol=1e-9)
    assert "1 of 2 steps left out: with other forces in MD_dump than in the log (RUN)" in said
    dump.unlink()
    with pytest.raises(InputError, match=r"OUT\.ABACUS/MD_dump is missing \(calculation md"):
        read(folder)


@pytest.mark.parametrize("cut", ["O ", "INDEX", "LATTICE_VECTORS", "LATTICE_CONSTANT", "  1"])
def test_a_dump_whose_last_frame_is_cut_off(cut, tmp_path):
    steps = [Step(force=np.full((3, 3), 0.1 * k)) for k in range(2)]
    folder = write_run(tmp_path / "run", steps, PLACES, "md")
    text = dumped([0, 1], steps, PLACES)
    (folder / "OUT.ABACUS" / "MD_dump").write_text(text[: text.rindex(cut)])
    (system,), said = read(folder)
    assert len(system) == 1
    assert any("1 of 2 steps left out: not in MD_dump" in line for line in said)


def test_a_dump_of_other_atoms(tmp_path):
    steps = [Step(force=np.full((3, 3), 0.1 * k)) for k in range(2)]
    folder = write_run(tmp_path / "run", steps, PLACES, "md")
    text = dumped([0, 1], steps, PLACES)
    head, last = text[: text.index("MDSTEP:  1")], text[text.index("MDSTEP:  1") :]
    (folder / "OUT.ABACUS" / "MD_dump").write_text(head + last.replace("  2  O  ", "  2  Fe  "))
    with pytest.raises(InputError) as refused:
        read(folder)
    assert str(refused.value) == (
        f"{folder}/OUT.ABACUS/MD_dump, MDSTEP 1: other atoms than in STRU. Put back the STRU of this run."
    )


def test_a_number_that_is_cut_off_is_not_read(tmp_path):
    text = written_log([Step(energy=-1.0), Step(energy=-2.0)], PLACES, "relax")
    folder = write_run(tmp_path / "run", [Step()] * 2, PLACES, "relax", log=text[: text.rindex("1428571429")])
    (system,), said = read(folder)
    assert list(system.energy) == [-1.0]
    assert "the file ends within a line, which is not read (OUT.ABACUS/running_relax.log)" in said


def test_labels_of_one_element(tmp_path):
    labels = ("Fe1", "Fe2", "O")
    step = Step(labels=labels)
    write_run(tmp_path / "run", [step], PLACES)
    (system,), said = read(tmp_path / "run")
    assert system.type_map == ("Fe", "O")
    np.testing.assert_allclose(system.force_mag[0], step.force_mag, atol=1e-9)
    assert "labels Fe1, Fe2: read as Fe; for another element, --rename Fe2=NAME (RUN)" in said
    (system,), said = read(tmp_path / "run", Wanted(rename={"Fe2": "Co"}))
    assert system.type_map == ("Fe", "Co", "O")


def test_labels_that_a_table_leaves_without_their_number(tmp_path):
    text = written_log([Step(labels=("Fe1", "Fe2", "O"))], PLACES)
    first, second = text.split("Magnetic force")
    second = second.replace("Fe1 ", "Fe ", 1).replace("Fe2 ", "Fe ", 1)
    folder = write_run(tmp_path / "run", [Step(labels=("Fe1", "Fe2", "O"))], PLACES)
    (folder / "OUT.ABACUS" / "running_scf.log").write_text(f"{first}Magnetic force{second}")
    (system,), _ = read(folder)
    np.testing.assert_allclose(system.force_mag[0], Step().force_mag, atol=1e-9)


def test_a_label_that_is_no_element(tmp_path):
    write_run(tmp_path / "run", [Step(labels=("up", "down", "O"))], PLACES)
    with pytest.raises(InputError) as refused:
        read(tmp_path / "run")
    assert str(refused.value) == (
        f"{tmp_path / 'run'}: the label up of STRU is not an element. Name its element: --rename up=NAME."
    )
    (system,), _ = read(tmp_path / "run", Wanted(rename={"up": "Fe", "down": "Fe"}))
    assert system.type_map == ("Fe", "O")


def test_moments_that_the_magnetic_forces_belong_to(tmp_path):
    constrained = np.arange(9.0).reshape(3, 3)
    write_run(tmp_path / "run", [Step(constrained=constrained, mulliken=1.1 * constrained)], PLACES)
    (system,), said = read(tmp_path / "run")
    np.testing.assert_allclose(system.spin[0], constrained, atol=1e-9)
    assert any(line.startswith("mulliken_moments: not used; to read it, give ") for line in said)
    (system,), _ = read(tmp_path / "run", Wanted(columns={"spin": "mulliken_moments"}))
    np.testing.assert_allclose(system.spin[0], 1.1 * constrained, atol=1e-9)


def test_with_plane_waves_the_constrained_moments_are_the_projected_ones(tmp_path):
    onsite = np.arange(9.0).reshape(3, 3)
    write_run(tmp_path / "run", [Step(constrained=None, onsite=onsite, mulliken=2 * onsite)], PLACES)
    (system,), said = read(tmp_path / "run")
    np.testing.assert_allclose(system.spin[0], onsite, atol=1e-9)
    assert "spin: read from onsite_moments (RUN)" in said


def test_two_tables_that_disagree_without_a_constraint(tmp_path):
    onsite = np.arange(9.0).reshape(3, 3)
    step = Step(constrained=None, force_mag=None, onsite=onsite, mulliken=1.5 * onsite)
    write_run(tmp_path / "run", [step], PLACES)
    with pytest.raises(InputError) as refused:
        read(tmp_path / "run")
    assert str(refused.value) == (
        f"{tmp_path / 'run'}, frame 0: the moments of mulliken_moments and onsite_moments differ by up to 4 "
        "μ_B. Name the ones to use: --moments mulliken_moments or --moments onsite_moments."
    )
    (system,), _ = read(tmp_path / "run", Wanted(columns={"spin": "onsite_moments"}))
    np.testing.assert_allclose(system.spin[0], onsite, atol=1e-9)


def test_mullikens_table_alone_without_rules(tmp_path):
    """As some versions write it: title, columns and rows in three lines."""
    text = written_log([Step(constrained=None, force_mag=None)], PLACES)
    rows = "\nTotal Magnetism (uB) x y z\n Fe1 -0.0 0.5 2.4\n Fe2 0.0 0.0 -2.4\n O1 0.0 0.0 0.1\n"
    text = text.replace(" charge density", rows + " charge density")
    write_run(tmp_path / "run", [Step()], PLACES, log=text)
    (system,), said = read(tmp_path / "run")
    np.testing.assert_allclose(system.spin[0], [[0.0, 0.5, 2.4], [0.0, 0.0, -2.4], [0.0, 0.0, 0.1]])
    assert "spin: read from mulliken_moments (RUN)" in said
    assert system.force_mag is None


def test_a_table_that_is_not_known_is_named(tmp_path):
    more = "\n".join(table("Atomic spin torque (eV)", ("Fe", "Fe", "O"), np.ones((3, 3))))
    write_run(tmp_path / "run", [Step(more=more)], PLACES)
    _, said = read(tmp_path / "run")
    assert any(line.startswith("Atomic spin torque (eV): not used") for line in said)


def test_the_forces_in_other_units_are_the_same_forces(tmp_path):
    more = "\n".join(table("TOTAL-FORCE (Ry/Bohr)", ("Fe1", "Fe2", "O1"), np.ones((3, 3))))
    write_run(tmp_path / "run", [Step(more=more)], PLACES)
    _, said = read(tmp_path / "run")
    assert not any("Ry/Bohr" in line for line in said)


def test_moments_in_the_last_step_alone(tmp_path):
    steps = [
        Step(constrained=None, force_mag=None),
        Step(constrained=None, force_mag=None, mulliken=np.eye(3)),
    ]
    write_run(tmp_path / "run", steps, PLACES, "relax")
    (system,), said = read(tmp_path / "run", Wanted(moment_unit="mu_B"))
    assert len(system) == 1
    assert "1 of 2 steps left out: without moments (RUN)" in said
    _, said = read(tmp_path / "run", Wanted(moment_unit="mu_B", non_magnetic=True))
    assert "1 of 2 steps left out: without moments (RUN)" in said


def test_collinear_moments_lie_along_z(tmp_path):
    step = Step(constrained=np.array([2.0, -2.0, 0.1]), force_mag=np.array([0.3, -0.3, 0.0]))
    write_run(tmp_path / "run", [step], PLACES)
    (system,), said = read(tmp_path / "run")
    np.testing.assert_allclose(system.spin[0, :, 2], [2.0, -2.0, 0.1])
    np.testing.assert_allclose(system.force_mag[0], np.outer([0.3, -0.3, 0.0], [0, 0, 1]))
    assert "collinear moments (nspin 2): read along z (RUN)" in said


def test_without_moments(tmp_path):
    write_run(tmp_path / "run", [Step(constrained=None, force_mag=None)] * 2, PLACES, "relax")
    with pytest.raises(InputError) as refused:
        read(tmp_path / "run")
    assert str(refused.value) == (
        f"{tmp_path / 'run'}: running_relax.log (ABACUS v3.7.1): none of its 2 steps can be read: 2 without "
        "moments. INPUT has nspin 4; moments are written with nspin 4 and sc_mag_switch 1, onsite_radius or "
        "out_mul 1. For frames that are not magnetic, give --non-magnetic."
    )
    (system,), said = read(tmp_path / "run", Wanted(non_magnetic=True))
    assert not system.spin.any()
    assert "spin: read from no column: set to zero, for non-magnetic frames (RUN)" in said


def test_a_folder_of_runs(tmp_path):
    for name, converged in (("a", True), ("b", False), ("c", True)):
        write_run(tmp_path / "runs" / name, [Step(converged=converged)], PLACES)
    systems, said = read(tmp_path / "runs")
    assert [system.name for system in systems] == ["a", "c"]
    assert "not read: running_scf.log (ABACUS v3.7.1): not converged. Correct the calculation. (b)" in said


@pytest.mark.parametrize(("inside", "path"), [("", "."), ("OUT.ABACUS", "..")])
def test_the_folder_one_is_in_has_its_name(inside, path, tmp_path, monkeypatch):
    folder = write_run(tmp_path / "run", [Step()], PLACES)
    monkeypatch.chdir(folder / inside)
    (system,) = read_frames(Path(path), "auto", Wanted(), Notes())
    assert system.name == "run"


def test_an_input_for_the_runs_below_it(tmp_path):
    write_run(tmp_path / "runs" / "a", [Step()], PLACES)
    shutil.copy(tmp_path / "runs" / "a" / "INPUT", tmp_path / "runs")
    systems, _ = read(tmp_path / "runs")
    assert [system.name for system in systems] == ["a"]


def test_what_lies_in_the_folder_of_a_run_is_named(tmp_path):
    folder = write_run(tmp_path / "run", [Step()], PLACES)
    write_run(folder / "more", [Step()], PLACES)
    shutil.copytree(folder / "OUT.ABACUS", folder / "OUT.old")
    (folder / "OUT.ABACUS" / "running_md.log").write_text("")
    systems, said = read(folder)
    assert len(systems) == 1
    assert said[:3] == [
        "running_md.log: not read, as the calculation in INPUT is scf (RUN)",
        "OUT.old: not read, as it is not of the suffix in INPUT (RUN)",
        "more: not read, as it lies in the folder of a run; give it by itself (RUN)",
    ]


@pytest.mark.parametrize(
    ("remove", "said"),
    [
        (
            "OUT.mine",
            "OUT.mine/running_scf.log is missing (calculation scf, suffix mine in INPUT). The folder has",
        ),
        ("STRU", "STRU is missing"),
    ],
)
def test_what_is_missing_is_named(remove, said, tmp_path):
    folder = write_run(tmp_path / "run", [Step()], PLACES, suffix="mine")
    (folder / remove).rename(folder / f"OUT.other{remove[-4:]}")
    with pytest.raises(InputError) as refused:
        read(folder)
    assert f"{folder}: {said}" in str(refused.value)
    assert "OUT.other" in str(refused.value)


def test_other_calculations_are_refused(tmp_path):
    write_run(tmp_path / "run", [Step()], PLACES, "nscf")
    with pytest.raises(
        InputError, match=r"calculation nscf in INPUT\. Expected one of scf, relax, cell-relax, md"
    ):
        read(tmp_path / "run")


def test_a_log_of_a_structure_that_is_not_in_stru(tmp_path):
    folder = write_run(tmp_path / "run", [Step()], PLACES)
    (folder / "STRU").write_text(stru(("Fe", "O"), FRACTIONAL[:2]))
    with pytest.raises(InputError) as refused:
        read(folder)
    assert str(refused.value) == (
        f"{folder}: STRU has 2 atoms, but running_scf.log has 3. Put back the STRU of this run."
    )
    (folder / "STRU").write_text("ATOMIC_POSITIONS\nDirect\nFe\nnot a number\n")
    with pytest.raises(InputError, match="not a STRU file of ABACUS"):
        read(folder)


def test_positions_are_those_of_the_log(tmp_path):
    """STRU may have been edited since; a relaxation starts from it and goes elsewhere."""
    folder = write_run(tmp_path / "run", [Step()], PLACES)
    (folder / "STRU").write_text(stru(("Fe", "Fe", "O"), FRACTIONAL + 0.1))
    (system,), _ = read(folder)
    np.testing.assert_allclose(system.coord[0], FRACTIONAL @ BOX, atol=1e-9)


@pytest.mark.parametrize("written", [True, False])
def test_positions_that_the_log_leaves_out(written, tmp_path):
    steps = [Step(energy=-1.0), Step(energy=-2.0)]
    text = written_log(steps, PLACES, "relax")
    folder = write_run(tmp_path / "run", steps, PLACES, "relax", log=text[: text.rindex("DIRECT COORD")])
    if written:
        (folder / "OUT.ABACUS" / "STRU_ION1_D").write_text(stru(steps[0].labels, PLACES[1]))
    text = text.replace(text[text.rindex("DIRECT COORD") : text.index(" STEP OF RELAXATION : 2")], "")
    (folder / "OUT.ABACUS" / "running_relax.log").write_text(text)
    (system,), said = read(folder)
    assert len(system) == 1 + written
    assert ("1 of 2 steps left out: without positions (RUN)" in said) == (not written)


def test_the_cell_of_a_left_handed_lattice_is_kept(tmp_path):
    folder = write_run(tmp_path / "run", [Step()], PLACES)
    rows = ["4.0 0.0 0.0", "0.0 5.0 0.0", "0.0 0.0 6.0"]
    turned = "\n".join([rows[1], rows[0], rows[2]])
    for file in (folder / "STRU", folder / "OUT.ABACUS" / "running_scf.log"):
        text = file.read_text()
        for old in ("\n".join(rows), "+4.00000 +0.00000 +0.00000\n+0.00000 +5.00000 +0.00000"):
            new = turned if old[0] == "4" else "+0.00000 +5.00000 +0.00000\n+4.00000 +0.00000 +0.00000"
            text = text.replace(old, new)
        file.write_text(text)
    (system,), _ = read(folder)
    assert np.linalg.det(system.box[0]) < 0
    np.testing.assert_allclose(system.coord[0], FRACTIONAL @ BOX[[1, 0, 2]], atol=1e-9)
    np.testing.assert_allclose(system.force[0], Step().force, atol=1e-9)


def test_the_folder_of_outputs_by_itself(tmp_path):
    folder = write_run(tmp_path / "run", [Step()], PLACES)
    (folder / "INPUT").rename(folder / "OUT.ABACUS" / "INPUT")
    (system,), _ = read(tmp_path)
    assert system.name == "run"


@pytest.mark.parametrize("text", ["", "nothing\n", "ABACUS v9.9\n nothing that is known\n"])
def test_a_log_in_which_nothing_is_known(text, tmp_path):
    write_run(tmp_path / "run", [Step()], PLACES, log=text)
    message = the_message(run_here("prepare_data.py", "run", "out", cwd=tmp_path))
    version = " (ABACUS v9.9)" if "v9" in text else ""
    assert message == f"run: running_scf.log{version}: no step of a calculation in it. Check the calculation."


@pytest.mark.parametrize("cut", range(0, 3000, 211))
def test_no_traceback_wherever_a_log_ends(cut, tmp_path):
    steps = [Step(energy=-1.0), Step(energy=-2.0)]
    text = written_log(steps, PLACES, "relax")
    write_run(tmp_path / "run", steps, PLACES, "relax", log=text[:cut])
    with contextlib.suppress(InputError):
        (system,) = Abacus().read(tmp_path / "run", Wanted(), Notes())
        assert len(system) in (1, 2)


@pytest.mark.parametrize("kind", ["scf", "relax", "md"])
def test_good_runs_as_dpdata_reads_them(kind, shared_data, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(shared_data / "abacus_spin", folder)
    shutil.copy(folder / f"INPUT.{kind}", folder / "INPUT")
    (system,), said = read(folder)
    register_spin()
    theirs = dpdata.LabeledSystem(str(folder), fmt=f"abacus/{kind}").data
    for ours, name in (
        ("spin", "spins"),
        ("force_mag", "force_mags"),
        ("force", "forces"),
        ("energy", "energies"),
    ):
        np.testing.assert_array_equal(getattr(system, ours), theirs[name])
    # The log's cell has six digits, which dpdata takes; here STRU's are taken where they are the same.
    np.testing.assert_allclose(system.coord, theirs["coords"], atol=1e-5 if kind == "relax" else 2e-9)
    np.testing.assert_allclose(system.box, theirs["cells"], atol=1e-5 if kind == "relax" else 2e-9)
    others = [name for name in ("scf", "relax", "md") if name != kind]
    for other in others:
        assert any(line.startswith(f"running_{other}.log: not read, as the calc") for line in said) or (
            not (folder / "OUT.ABACUS" / f"running_{other}.log").exists()
        )
