"""Inputs for LAMMPS with `pair_style ml/spinpot`, and its output under spinpot's names."""

import os
import re
import subprocess
from pathlib import Path

import numpy as np
from ase.build import bulk, make_supercell

from spinpot.core.vectors import unit
from support.frames import small_potential
from support.native_spin import small_native

ELEMENTS = ("Ni", "O")
TERMS = ("bilinear", "biquadratic", "anisotropic", "single_ion", "landau", "landau_field")
MODELS = {
    "deepspin": small_potential,
    "deepspin_exchange": lambda: small_potential(exchange=TERMS),
    "deepspin_reversal": lambda: small_potential(time_reversal=True),
    "deepspin_both": lambda: small_potential(time_reversal=True, exchange=TERMS),
    "native": lambda: small_native(groups="all"),
    "native_exchange": lambda: small_native(exchange=TERMS),
}
CELLS = {
    2: np.eye(3),
    8: [[-1, 1, 1], [1, -1, 1], [1, 1, -1]],
    32: np.diag([4, 2, 2]),
    2048: np.diag([16, 8, 8]),
}
SKINS = (0.1, 1.0, 2.0)
HBAR = 4.135667403e-3 / (2 * np.pi)  # eV·ps, LAMMPS' own
BAR = 1.6021765e6  # bar Å³ in one eV, LAMMPS' own

SETTING = """
units metal
atom_style spin
atom_modify map array
boundary {boundary}
read_data {data}
pair_style {style}
pair_coeff * * {coeff}
neighbor {skin} bin
"""
OUTPUT = """
compute spin all property/atom sp fmx fmy fmz
compute e all pe/atom
compute s all stress/atom NULL pair
compute w all reduce sum c_s[1] c_s[2] c_s[3] c_s[4] c_s[5] c_s[6]
thermo_style custom step pe vol pxx pyy pzz pxy pxz pyz c_w[*]
thermo_modify format float %.17g
dump d all custom 1 {out} id type c_e x y z fx fy fz c_spin[*]
dump_modify d sort id format float %.17g
run 0 post no
"""


def disturbed(n, seed=1, pbc=True, length=None):
    """NiO with random moments on nickel in a cell of n atoms, skewed but for 8, small for 2.

    length: of all moments, μ_B; else they are random, too.
    """
    rng = np.random.default_rng(seed)
    atoms = make_supercell(bulk("NiO", "rocksalt", a=4.17), CELLS[n])
    atoms.positions += rng.normal(scale=0.05, size=(n, 3))
    nickel = (atoms.numbers == 28)[:, None]
    moments = rng.normal(scale=1.0, size=(n, 3))
    atoms.set_initial_magnetic_moments(nickel * (unit(moments) * length if length else moments))
    atoms.pbc = pbc
    return atoms


def case(data, coeff, out, skin=1.0, boundary="p p p", style="ml/spinpot", atom_virial=True):
    """An input; atom_virial: also the sum of the atoms' virials, which deepspin does not give."""
    settings = {"data": data, "coeff": coeff, "skin": skin, "boundary": boundary, "style": style}
    output = OUTPUT if atom_virial else re.sub("compute [sw] .*\n", "", OUTPUT).replace(" c_w[*]", "")
    return SETTING.format(**settings) + output.format(out=out)


def thermo(said):
    """The first row of numbers of each run."""
    rows = [line.split() for line in said.splitlines()]
    starts = [n for n, row in enumerate(rows) if row[:2] == ["Step", "PotEng"]]
    return [np.array(rows[n + 1], dtype=float) for n in starts]


def lammps_numbers(row, dump):
    """What a run gave under spinpot's names: of the virial the symmetric part, by pressure and by atoms."""
    columns = np.loadtxt(dump, skiprows=9, ndmin=2)
    lengths = np.where(columns[:, 9:10] > 0, columns[:, 9:10], 1.0)
    found = {
        "energy": row[1],
        "atom_energy": columns[:, 2],
        "force": columns[:, 6:9],
        "force_mag": columns[:, 10:13] * HBAR / lengths,
        "virial": row[3:9] * row[2] / BAR,
    }
    return found if len(row) == 9 else found | {"atom_virial": -row[9:15] / BAR}


def spinpot_numbers(predictor, atoms):
    found = {name: values[0] for name, values in predictor(atoms).items()}
    virial = (found["virial"] + found["virial"].T) / 2
    found["virial"] = found["atom_virial"] = virial[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
    return found


def agree(theirs, ours, bound=1e-10, names=None):
    for name in names or theirs:
        scale = np.abs(ours[name]).max()
        np.testing.assert_allclose(theirs[name], ours[name], rtol=0, atol=bound * scale, err_msg=name)


def lammps_of(python, plugin, **environment):
    """Runs an input's text by the LAMMPS of an interpreter, with a plugin; what it says.

    By the program itself, since `lmp` of the wheel is a script that imports deepmd-kit, in seconds; but where
    the input needs deepmd-kit's own plugin.
    """
    prefix = Path(python).parents[1]
    (program,) = prefix.glob("lib/python*/site-packages/lammps/lmp")
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment = inherited | {"OMP_NUM_THREADS": "1", "LD_LIBRARY_PATH": f"{prefix / 'lib'}"} | environment

    def run(text, folder, ranks=1, fails=False):
        (folder / "in.lammps").write_text(f"plugin load {plugin}\n{text}")
        lmp = prefix / "bin" / "lmp" if "pair_style deepspin" in text else program
        command = [prefix / "bin" / "mpirun", "-n", ranks, lmp, "-in", "in.lammps", "-log", "none"]
        command += ["-var", "plugin", plugin]
        done = subprocess.run(
            [str(word) for word in command], cwd=folder, env=environment, capture_output=True, text=True
        )
        assert (done.returncode != 0) == fails, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    return run
