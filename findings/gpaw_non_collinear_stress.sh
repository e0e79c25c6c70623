#!/usr/bin/env bash
# gpaw 26.7.0, with non-collinear moments:
# 1. get_stress() ends with a ValueError of einsum ("operand has more dimensions than subscripts") instead of a message
#    that there is no stress. With moments along z alone the stress is computed.
# 2. get_magnetic_moments() of ase returns only the z components, without a warning.
# Needs libxc and BLAS with their headers (apt install libxc-dev libopenblas-dev).
# Exits with 0 while both hold.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
# Without this file GPAW uses MPI if mpic++ is installed, and without the headers the build fails: "mpi.h: No such file".
printf 'mpi = False\ncompiler = "g++"\nlibraries = ["xc", "blas"]\n' > siteconfig.py
GPAW_CONFIG="$folder/siteconfig.py" venv/bin/pip install --quiet 'gpaw==26.7.0' 'gpaw-data==1.2.1' 'ase==3.29.0'
OMP_NUM_THREADS=1 venv/bin/python - <<'PYTHON'
import ase
import gpaw
import numpy as np
from ase import Atoms
from gpaw.new.ase_interface import GPAW


def oxygen(moments):
    atoms = Atoms("O", cell=3.0 * np.eye(3), pbc=True)
    atoms.calc = GPAW(
        mode={"name": "pw", "ecut": 200}, xc="LDA", symmetry="off", nbands=6, magmoms=moments, txt=None,
        occupations={"name": "fermi-dirac", "width": 0.2}, convergence={"density": 1e-2, "eigenstates": 1e-3},
    )
    atoms.get_potential_energy()
    return atoms


def stress(atoms):
    try:
        return atoms.get_stress().shape
    except ValueError as error:
        return "more dimensions than subscripts" in str(error)


tilted = oxygen([[1.4, 0.0, 1.4]])
length = np.linalg.norm(tilted.calc.get_non_collinear_magnetic_moments()[0])
seen = {
    "stress, along z": stress(oxygen([2.0])),
    "stress, tilted: the ValueError": stress(tilted),
    "part of |m| in ase's moments": round(float(tilted.get_magnetic_moments()[0] / length), 2),
}
print("gpaw", gpaw.__version__, "ase", ase.__version__)
for what, result in seen.items():
    print(f"{what}: {result}")
expected = {
    "stress, along z": (6,), "stress, tilted: the ValueError": True, "part of |m| in ase's moments": 0.71,
}
raise SystemExit(0 if seen == expected else f"changed; was {expected}")
PYTHON
