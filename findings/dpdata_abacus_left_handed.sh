#!/usr/bin/env bash
# dpdata 1.1.0: `abacus/scf` inverts a left-handed cell and its positions, but not the forces (dpdata issue 1061).
# ABACUS keeps left-handed lattice vectors, with a warning. dpdata returns the inverted structure with the forces of the
# original one, so the forces do not agree with the energy. Magnetic moments and magnetic forces are correct, because an
# inversion does not change them.
# Exits with 0 while this holds, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'dpdata==1.1.0' 'numpy==2.3.5'
cd "$folder"
mkdir -p run/OUT.ABACUS
cat > run/INPUT <<'TEXT'
INPUT_PARAMETERS
calculation scf
TEXT
cat > run/STRU <<'TEXT'
ATOMIC_SPECIES
Fe 55.845 Fe.upf

LATTICE_CONSTANT
1.8897261258369282

LATTICE_VECTORS
0.0 5.0 0.0
4.0 0.0 0.0
0.0 0.0 6.0

ATOMIC_POSITIONS
Direct

Fe
0.0
2
0.0 0.1 0.2 mag 0 0 2.2
0.5 0.5 0.5 mag 0 0 2.2
TEXT
cat > run/OUT.ABACUS/running_scf.log <<'TEXT'
 charge density convergence is achieved
 final etot is -6818.7 eV
 TOTAL-FORCE (eV/Angstrom)
--------------------------
 Fe1  0.1  0.2  0.3
 Fe2 -0.1 -0.2 -0.3
--------------------------
TEXT
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

import dpdata
import numpy as np

data = dpdata.LabeledSystem("run", fmt="abacus/scf").data
position, force = data["coords"][0][0], data["forces"][0][0]
print("dpdata", version("dpdata"))
print(f"first atom of STRU: [0.4, 0.0, 1.2]; dpdata: {np.round(position, 6).tolist()}")
print(f"its force in the log: [0.1, 0.2, 0.3]; dpdata: {force.tolist()}")
inverted = np.allclose(position, [-0.4, 0.0, -1.2], atol=1e-6) and np.allclose(force, [0.1, 0.2, 0.3])
raise SystemExit(0 if inverted else "changed; positions were inverted, forces were not")
PYTHON
