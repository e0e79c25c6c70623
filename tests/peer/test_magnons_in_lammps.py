"""A spin wave in `fix spinpot` has the frequency that `spinpot analyze` gives for its wave vector."""

import json

import numpy as np
import pytest
from ase.io import read
from scipy.optimize import curve_fit

from spinpot.analysis.cells import magnetic_cell
from spinpot.data.lammps_files import turned, write_data
from support.cli import PROJECT, run_script

pytest.importorskip("magnopy")

NIO = PROJECT / "examples" / "NiO_AFM-II.extxyz"
WAVES = {"A": ((0.125, 0.0, 0.0), (8, 1, 1)), "B": ((0.25, 0.5, 0.0), (4, 2, 1))}
"""In reciprocal vectors of the magnetic cell, and the supercell that each fits."""
TILT = 0.01  # rad
PLANCK = 4.135667403  # meV ps, LAMMPS' own
INPUT = """
units metal
atom_style spin
atom_modify map array
read_data wave.data
pair_style ml/spinpot
pair_coeff * * {model} Ni O
neighbor 0.5 bin
timestep 0.0002
fix move all spinpot lattice frozen tolerance 1e-9
compute spin all property/atom sp spx spy spz
variable sx atom c_spin[1]*c_spin[2]
variable sy atom c_spin[1]*c_spin[3]
variable sz atom c_spin[1]*c_spin[4]
dump waves all custom 5 waves.dump v_sx v_sy v_sz
dump_modify waves sort id format float %.14g
run 1500
"""


@pytest.fixture(scope="module")
def analysed(model_files, tmp_path_factory):
    """The task's numbers at the wave vectors."""
    folder = tmp_path_factory.mktemp("magnons")
    points = ", ".join(f"{name}: {list(k)}" for name, (k, _) in WAVES.items())
    task = [
        f"task.magnons.{word}" for word in ("path=AB", f"points={{{points}}}", "samples=2", "cell=magnetic")
    ]
    files = [f"checkpoint={model_files['native_spin']}", f"structure={NIO}", f"output={folder / 'page'}"]
    run_script("analyze.py", *files, "task=magnons", *task, cwd=folder)
    return json.loads((folder / "page" / "analysis.json").read_text())["results"]["magnons"]


@pytest.mark.parametrize("name", WAVES)
def test_a_spin_wave_has_the_frequency_of_the_analysis(name, analysed, model_files, run_lammps, tmp_path):
    k, repeat = WAVES[name]
    crystal = read(NIO)
    crystal.set_initial_magnetic_moments(crystal.arrays.pop("spin"))
    perfect = magnetic_cell(crystal, 0.01)
    wave_vector = 2.0 * np.pi * np.array(k) @ perfect.cell.reciprocal().array
    perfect = perfect.repeat(repeat)
    moments = perfect.get_initial_magnetic_moments()
    across = np.cross(moments[0], [1.0, 0.0, 0.0])
    wave = np.cos(perfect.positions @ wave_vector)[:, None] * across / np.linalg.norm(across)
    wave *= np.linalg.norm(moments, axis=1, keepdims=True)
    write_data(tmp_path / "wave.data", with_moments(perfect, moments + TILT * wave), ("Ni", "O"))
    run_lammps(INPUT.format(model=model_files["native_spin"]), tmp_path)

    pattern = TILT * turned(with_moments(perfect, wave)).get_initial_magnetic_moments()
    frames = (tmp_path / "waves.dump").read_text().split("ITEM: TIMESTEP")[1:]
    spins = np.array([np.loadtxt(frame.splitlines()[9:]) for frame in frames])
    amplitude = np.einsum("tic,ic->t", spins, pattern) / (pattern**2).sum()
    time = 0.001 * np.arange(len(amplitude))
    energy = PLANCK * frequency(time, amplitude)
    expected = analysed["energies_meV"][list(WAVES).index(name)]
    print(f"\nk = {k}: {energy:.4f} meV by LAMMPS, {expected} by spinpot analyze")
    np.testing.assert_allclose(energy, expected, rtol=0.01)


def with_moments(atoms, moments):
    other = atoms.copy()
    other.set_initial_magnetic_moments(moments)
    return other


def frequency(time, amplitude):
    """1/ps, of the cosine that an amplitude is."""
    spectrum = np.abs(np.fft.rfft(amplitude * np.hanning(len(time))))
    first = np.fft.rfftfreq(len(time), time[1] - time[0])[1 + np.argmax(spectrum[1:])]

    def wave(t, height, rate, phase):
        return height * np.cos(2.0 * np.pi * rate * t + phase)

    found, _ = curve_fit(wave, time, amplitude, (amplitude[0], first, 0.0))
    assert np.abs(wave(time, *found) - amplitude).max() < 0.02  # nothing else moves
    return abs(found[1])
