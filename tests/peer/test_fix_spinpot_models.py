"""`fix spinpot` with spinpot's models: trajectories of SpinLatticeDynamics, and energy conservation."""

from unittest.mock import patch

import numpy as np
import pytest
from ase import units
from test_lammps import ELEMENTS, rattled

import spinpot
from spinpot.ase import SpinCalculator
from spinpot.ase import dynamics as python
from spinpot.data.lammps_files import write_data
from support.lammps_dynamics import (
    BOLTZMANN,
    HBAR,
    MVV2E,
    POSITIONS,
    SPINS_OF,
    STATE,
    VELOCITIES,
    read_dump,
    series,
    thermo,
)

MODELS = ("deepspin", "native_spin")
MASSES = {"Ni": 58.6934, "O": 15.999}
STEP = 0.0005
"""ps."""
BATH = {"damping": 0.1, "friction": 2.0, "temperature": 50.0, "seed": 12345, "field": (0.0, 10.0, 20.0)}
CASES = [(name, bath) for name in MODELS for bath in ({}, BATH)]


def antiferromagnet(folder):
    """32 disturbed atoms of NiO in a triclinic box, as LAMMPS has them."""
    return write_data(folder / "start", rattled("nio32"), ELEMENTS)


def setting(file, temperature=50.0, timestep=STEP):
    masses = "".join(f"mass {n} {MASSES[name]}\n" for n, name in enumerate(ELEMENTS, start=1))
    return f"""
clear
units metal
atom_style spin
atom_modify map array
read_data start
{masses}timestep {timestep}
pair_style ml/spinpot
pair_coeff * * {file} {" ".join(ELEMENTS)}
neighbor 1.0 bin
velocity all create {temperature} 8723 loop all
"""


def through(file, name, bath=(), steps=100, **changed):
    """A run's input, that writes its first and its last state to NAME.dump."""
    values = {key: " ".join(map(str, np.ravel(value))) for key, value in dict(bath).items()}
    words = " ".join(f"{key} {value}" for key, value in values.items())
    return (
        setting(file, **changed)
        + f"fix dynamics all spinpot {words}\n"
        + STATE.format(every=steps, file=f"{name}.dump")
        + f"thermo_style custom step etotal f_dynamics[1]\nrun {steps}\n"
    )


def python_path(atoms, velocities, predictor, bath, steps):
    """Positions and moments after steps of SpinLatticeDynamics with LAMMPS' constants."""
    unit = 1.0 / np.sqrt(MVV2E)  # one ps in ASE's units of time
    atoms = atoms.copy()
    atoms.set_masses([MASSES[element] for element in atoms.get_chemical_symbols()])
    atoms.set_velocities(velocities / unit)
    atoms.calc = SpinCalculator(predictor)
    if bath:
        bath = bath | {"friction": bath["friction"] / unit, "temperature_K": bath["temperature"]}
        del bath["temperature"]
    with patch.object(python, "HBAR", HBAR * unit), patch.object(units, "kB", BOLTZMANN):
        python.SpinLatticeDynamics(atoms, STEP * unit, **bath).run(steps)
    return atoms.positions, atoms.get_initial_magnetic_moments()


def lammps_path(folder, name, atoms, steps):
    """Where it began, velocities there, and positions and moments at the end, as python_path gives them."""
    frames = read_dump(folder / f"{name}.dump")
    start, end = frames[0], frames[steps]
    lengths = np.linalg.norm(atoms.get_initial_magnetic_moments(), axis=1, keepdims=True)
    positions = atoms.positions + end[:, POSITIONS] - start[:, POSITIONS]
    return start[:, VELOCITIES], (positions, lengths * end[:, SPINS_OF])


def test_paths_are_those_of_python_on_any_number_of_ranks(model_files, lammps):
    atoms = antiferromagnet(lammps.folder)
    expected = {}
    for ranks in (1, 2, 4):
        names = [f"{number}-{ranks}" for number in range(len(CASES))]
        cases = list(zip(names, CASES, strict=True))
        texts = (through(model_files[model], name, bath) for name, (model, bath) in cases)
        lammps("".join(texts), ranks)
        for number, (name, (model, bath)) in enumerate(cases):
            velocities, found = lammps_path(lammps.folder, name, atoms, 100)
            if number not in expected:
                expected[number] = python_path(atoms, velocities, spinpot.load(model_files[model]), bath, 100)
            apart = [np.abs(one - other).max() for one, other in zip(found, expected[number], strict=True)]
            print(f"\n{model}, {'bath' if bath else 'no bath'}, {ranks} ranks, Å and μ_B:", apart)
            assert max(apart) < 1e-10
            assert np.abs(found[1] - atoms.get_initial_magnetic_moments()).max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "bath"), [("deepspin", {}), ("native_spin", BATH | {"temperature": 300.0})], ids=MODELS
)
def test_longer_paths_part_as_those_of_close_starts_do(model, bath, model_files, lammps):
    atoms = antiferromagnet(lammps.folder)
    text = through(model_files[model], "{}", bath, 1000, temperature=300.0)
    nudge = "displace_atoms all random 1e-13 1e-13 1e-13 77\nfix dynamics"
    lammps(text.format("one") + text.format("close").replace("fix dynamics", nudge))
    for name, ranks in (("two", 2), ("four", 4)):
        lammps(text.format(name), ranks)
    velocities, one = lammps_path(lammps.folder, "one", atoms, 1000)
    others = {name: lammps_path(lammps.folder, name, atoms, 1000)[1] for name in ("close", "two", "four")}
    others["python"] = python_path(atoms, velocities, spinpot.load(model_files[model]), bath, 1000)
    apart = {
        name: np.array([np.abs(mine - theirs).max() for mine, theirs in zip(one, other, strict=True)])
        for name, other in others.items()
    }
    print(f"\n{model}, Å and μ_B:", apart)
    for name in ("two", "four", "python"):
        assert (apart[name] <= 10.0 * apart["close"]).all(), name


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_the_energy_is_kept_to_second_order_of_the_step(model, model_files, lammps):
    antiferromagnet(lammps.folder)
    runs = [
        setting(model_files[model], 300.0, step)
        + "fix dynamics all spinpot tolerance 1e-9\n"
        + series("etotal", every)
        for step, every in ((0.0005, 20), (0.00025, 40))
    ]
    coarse, fine = (table[1:, 1] - table[0, 1] for table in thermo(lammps("".join(runs))))
    print(f"\n{model}, energy / eV: spread", np.ptp(coarse), np.ptp(fine), "first", coarse[:5], fine[:5])
    assert 3.8 < np.linalg.norm(coarse[:10]) / np.linalg.norm(fine[:10]) < 4.2
    assert np.ptp(fine) < 0.4 * np.ptp(coarse)
