"""The exchange constants of bcc Fe by the k mesh of GPAW, without a model: `python iron_by_mesh.py 2 0.27`.

Arguments: k points along each axis of the cubic cell, and the Fermi width in eV; other settings as in
label=gpaw_coarse. In each of four patterns half of the moments are canted against the other half. The torque
gives the sum of J over the neighbours canted the other way. Four such sums determine J of the second shell.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from ase.neighborlist import neighbor_list

from spinpot.labels.configuration import Configuration
from spinpot.labels.labellers.gpaw import GpawLabeller

A, ANGLE = 2.86, np.radians(30.0)
SHELLS = A * np.array([0.75**0.5, 1.0, 2.0**0.5, 2.75**0.5, 3.0**0.5])
PATTERNS = {  # wave vector in units of 2π/a, cell in cubic vectors, phase of the wave in turns
    "H": ([1.0, 0.0, 0.0], np.eye(3), 0.0),
    "H/2": ([0.5, 0.0, 0.0], np.diag([2, 1, 1]), 0.125),
    "N": ([0.5, 0.5, 0.0], [[1, 1, 0], [-1, 1, 0], [0, 0, 1]], 0.0),
    "P": ([0.5, 0.5, 0.5], [[1, 1, 0], [0, 1, 1], [1, 0, 1]], 0.125),
}


def pattern(q, cell, phase) -> tuple[Atoms, np.ndarray]:
    """The cell, and the sign of the canting of each atom."""
    cubic = Atoms("Fe2", positions=[[0.0] * 3, [A / 2] * 3], cell=[A] * 3, pbc=True)
    atoms = make_supercell(cubic, cell)
    return atoms, np.sign(np.cos(2 * np.pi * (atoms.positions @ q / A + phase)))


def opposite(atoms: Atoms, sign: np.ndarray) -> np.ndarray:
    """The number of neighbours of an atom that are canted the other way, by shell."""
    i, j, distance = neighbor_list("ijd", atoms, SHELLS[-1] + 0.1)
    other = (i == 0) & (sign[i] != sign[j])
    return np.array([(other & (abs(distance - shell) < 0.1)).sum() for shell in SHELLS])


def summed(labeller: GpawLabeller, atoms: Atoms, sign: np.ndarray) -> float:
    """The sum of J over these neighbours, meV, from E = −½ Σ J cos(angle) and the torque |S × F_mag|."""
    direction = sign * ANGLE / 2
    moments = 2.2 * np.stack([np.sin(direction), 0 * direction, np.cos(direction)], axis=1)
    configuration = Configuration("Fe/0000", atoms, moments, np.full(len(atoms), True))
    with tempfile.TemporaryDirectory() as folder:
        label = labeller.label(configuration, Path(folder))
    torque = np.linalg.norm(np.cross(label.moments, label.magnetic_forces), axis=1)
    found = np.arctan2(label.moments[:, 0], label.moments[:, 2])
    angle = found[sign > 0].mean() - found[sign < 0].mean()
    return 1e3 * float(torque.mean() / np.sin(angle))


def main() -> None:
    """Print the sums and J of the second shell."""
    mesh, width = int(sys.argv[1]), float(sys.argv[2])
    labeller = GpawLabeller(
        kpoint_spacing=1.001 * 2 * np.pi / A / mesh,
        parameters={
            "mode": {"name": "pw", "ecut": 300},
            "xc": "LDA",
            "occupations": {"name": "fermi-dirac", "width": width},
            "convergence": {"density": 1e-6, "energy": 1e-7, "eigenstates": 1e-9},
            "maxiter": 150,
        },
    )
    counts, sums = [], []
    for name, settings in PATTERNS.items():
        atoms, sign = pattern(*settings)
        counts.append(opposite(atoms, sign))
        sums.append(summed(labeller, atoms, sign))
        print(f"{name}: {sums[-1]:.1f} meV = J · {counts[-1]}", flush=True)
    constants = np.linalg.lstsq(np.array(counts), np.array(sums), rcond=None)[0]
    print(f"J at {SHELLS[1]:.2f} Å: {constants[1]:.1f} meV")


main()
