"""Inputs for LAMMPS with `fix spinpot`, and its parsed output."""

import re

import numpy as np
from ase import Atoms
from ase.build import bulk

from spinpot.data.lammps_files import write_data

BOLTZMANN, HBAR, MAGNETON, MVV2E = 8.617343e-5, 4.135667403e-3 / (2.0 * np.pi), 5.7883818060e-5, 1.0364269e-4
"""LAMMPS' own in units metal: eV/K, eV ps; eV/T; eV per (u Å²/ps²)."""
TOY = "pair_style toy 4.0 0.4 1.4 2.6 -0.01 0.0005\npair_coeff * *"
STATE = """
compute state all property/atom xu yu zu vx vy vz spx spy spz fmx fmy fmz
dump state all custom {every} {file} id c_state[*]
dump_modify state sort id format float %.17g
"""
COUPLED = "fix dynamics all spinpot lattice frozen damping 0.5 seed 7"
"""To a bath, of a temperature to be added."""
POSITIONS, VELOCITIES, SPINS_OF, FIELDS = slice(1, 4), slice(4, 7), slice(7, 10), slice(10, 13)


def crystal(path):
    """32 atoms of two elements in a triclinic box, positions and moments disturbed."""
    rng = np.random.default_rng(25)
    atoms = bulk("Fe", "bcc", a=2.87, cubic=True) * (2, 2, 4)
    tilt = np.array([[0.0, 0.0, 0.0], [0.6, 0.0, 0.0], [0.9, -0.5, 0.0]])
    atoms.set_cell(atoms.cell.array + tilt, scale_atoms=True)
    kinds = rng.random(len(atoms)) < 0.5
    atoms = Atoms(np.where(kinds, "Fe", "Ni"), atoms.positions, cell=atoms.cell, pbc=True)
    atoms.positions += rng.normal(scale=0.03, size=(len(atoms), 3))
    moments = [0.0, 0.0, 1.0] + 0.5 * rng.normal(size=(len(atoms), 3))
    moments *= np.where(kinds, 2.2, 1.2)[:, None] / np.linalg.norm(moments, axis=1, keepdims=True)
    atoms.set_initial_magnetic_moments(moments)
    write_data(path, atoms, ("Fe", "Ni"))


def setting(temperature=300.0, timestep=0.001, pair=TOY):
    return f"""
clear
units metal
atom_style spin
atom_modify map array
read_data start
neighbor 0.5 bin
timestep {timestep}
{pair}
velocity all create {temperature} 8723 loop all
"""


def moments(count, more=""):
    """Uncoupled moments of two lengths, half of each."""
    return f"""
clear
units metal
atom_style spin
lattice sc 3.0
region box block 0 {count} 0 {count} 0 {count}
create_box 2 box
create_atoms 1 box
mass 1 55.845
mass 2 58.693
set type 1 type/fraction 2 0.5 777
set type 1 spin/atom/random 31 2.2
set type 2 spin/atom/random 33 1.2
pair_style none
comm_modify cutoff 3.0
group long type 1
group short type 2
{more}
"""


def series(quantity, every, points=100):
    """A run that prints a quantity at some points."""
    style = f"thermo_style custom step {quantity}\nthermo_modify format float %.17g\n"
    return f"thermo {every}\n{style}run {points * every}\n"


def read_dump(file):
    """The frames of a dump of STATE."""
    parts = file.read_text().split("ITEM: TIMESTEP\n")[1:]
    return {int(part.splitlines()[0]): np.loadtxt(part.splitlines()[8:]) for part in parts}


def thermo(said):
    """The numbers of each run."""
    tables = re.findall(r"^ *Step .*\n((?:[ \d.eE+-]+\n)+)", said, re.MULTILINE)
    return [np.array([line.split() for line in table.splitlines()], dtype=float) for table in tables]
