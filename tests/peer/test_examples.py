"""The inputs in examples/lammps run unchanged for both models and show the intended physics."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

import spinpot
from spinpot.core.notes import Notes
from spinpot.data.lammps_files import force_mag_from_fm
from spinpot.data.readers.find import read_frames
from spinpot.data.readers.reader import Wanted
from support.cli import PROJECT, run_python

MODELS = ("native_spin", "deepspin")
SHORT = {
    "train": "trainer.max_steps=0 report=false paths.data_dir=data",
    "lmp": "-var repeat '2 1 1' -var settle 20 -var sample 20 -var kelvin 50 300",
}
"""What commands of docs/lammps.md are given besides."""


def rows(said):
    """The numbers of LAMMPS' thermo output."""
    number = re.compile(r"^\s*\d+(\s+[-+\d.eE]+)+\s*$")
    return np.array([line.split() for line in said.splitlines() if number.match(line)], dtype=float)


def last_frame(dump):
    return np.loadtxt(dump.read_text().split("ITEM: ATOMS")[-1].splitlines()[1:])


@pytest.mark.parametrize("name", MODELS)
def test_static_gives_spinpots_numbers(name, model_files, run_example, tmp_path):
    said = rows(run_example("in.static", model_files[name], data="nio4.data", out="forces.dump"))
    (atoms,) = read_frames(tmp_path / "nio4.data", "auto", Wanted(elements=("Ni", "O")), Notes())
    ours = spinpot.load(model_files[name])(atoms)
    dump = last_frame(tmp_path / "forces.dump")
    assert said[0, 1] == pytest.approx(ours.energy[0], rel=1e-11)
    np.testing.assert_allclose(dump[:, 9:12], ours.force[0], atol=1e-10)
    np.testing.assert_allclose(force_mag_from_fm(dump[:, 12:15], dump[:, 5]), ours.force_mag[0], atol=1e-7)


@pytest.mark.parametrize("name", MODELS)
def test_dynamics_keeps_the_energy_to_second_order(name, model_files, run_example):
    """2 ps of 32 atoms, by steps of 1 and of 0.5 fs."""

    def change(timestep):
        run = {"timestep": timestep, "steps": round(2.0 / timestep), "every": round(0.004 / timestep)}
        run |= {"data": "nio32.data", "tolerance": 1e-8}
        said = rows(run_example("in.dynamics", model_files[name], **run))
        assert np.ptp(said[:, 4]) > 0.1  # eV: atoms and spins move
        return said[:, 5] - said[0, 5]

    coarse, fine = (np.sqrt((change(timestep) ** 2).mean()) for timestep in (0.001, 0.0005))
    print(f"\n{name}: the energy changes by {coarse:.2e} and {fine:.2e} eV")
    assert 3.0 < coarse / fine < 5.0
    assert coarse < 1e-5 * 32


@pytest.mark.parametrize("name", MODELS)
def test_a_minimisation_turns_spins_alone_until_there_is_no_torque(name, model_files, run_example, tmp_path):
    said = rows(run_example("in.minimize", model_files[name], data="nio32.data", out="spins.dump"))
    start = np.loadtxt((tmp_path / "nio32.data").read_text().split("Atoms # spin\n")[1].splitlines())
    end = last_frame(tmp_path / "spins.dump")
    lengths, directions = end[:, 5], end[:, 6:9]
    torque = np.cross(lengths[:, None] * directions, force_mag_from_fm(end[:, 9:12], lengths))
    print(f"\n{name}: {said[0, 1]:.6f} → {said[-1, 1]:.6f} eV, torque {np.abs(torque).max():.1e} eV")
    assert said[-1, 1] < said[0, 1] - 1e-4
    assert np.abs(torque).max() < 1e-6  # the tolerance that the input gives to LAMMPS
    np.testing.assert_allclose(end[:, 2:6], start[:, [2, 3, 4, 8]], rtol=0.0, atol=1e-12)
    assert np.abs(directions - start[:, 5:8]).max() > 0.01


@pytest.mark.parametrize("name", MODELS)
def test_order_fades_with_the_temperature(name, model_files, run_example, tmp_path):
    run = {"data": "nio16.data", "repeat": "2 2 2", "settle": 100, "sample": 300, "kelvin": ["50", "300"]}
    run_example("in.temperature", model_files[name], out="temperature.txt", **run)
    bath, spins, alignment, energy = np.loadtxt(tmp_path / "temperature.txt").T
    print(f"\n{name}: {spins.round()} K, alignment {alignment.round(3)}")
    assert bath.tolist() == [50.0, 300.0]
    np.testing.assert_allclose(spins, bath, rtol=0.25)  # 128 angles, 15 times: noise of some 7 %
    assert alignment[0] < 1.0
    assert alignment[1] < alignment[0] - 0.1
    assert energy[1] > energy[0] + 0.3 * 8.617e-5 * 250.0


def test_the_commands_of_the_docs(deepmd, run_program, tmp_path):
    """From a checkpoint to a picture: each as it stands, but for a short training and short runs."""
    text = (PROJECT / "docs" / "lammps.md").read_text()
    move, *commands = re.search(r"```bash\n(.*?)```", text, re.S).group(1).splitlines()
    shutil.copytree(PROJECT / move.removeprefix("cd "), tmp_path, dirs_exist_ok=True)
    for command in commands:
        program, *words = shlex.split(command)
        if program == "lmp":
            run_program(*words, *shlex.split(SHORT["lmp"]), cwd=tmp_path)
            continue
        if program == "spinpot":
            words = ["-m", "spinpot", *words, *shlex.split(SHORT.get(words[0], ""))]
            words += ["--lammps", Path(deepmd).parents[1]] * (words[2] == "lammps")
        done = run_python(words, cwd=tmp_path, fresh=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert np.loadtxt(tmp_path / "temperature.txt").shape == (2, 4)
    assert (tmp_path / "temperature.png").read_bytes().startswith(b"\x89PNG")
