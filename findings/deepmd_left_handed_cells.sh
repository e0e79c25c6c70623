#!/usr/bin/env bash
# deepmd-kit 3.2.0: in a left-handed cell neighbours in the periodic images are missing, without a warning.
# deepmd-kit computes the distance between opposite faces as the signed volume over an area, which is negative in such a
# cell. If the cell is larger than the cutoff, no periodic images are made: energies and forces miss these pairs. If it
# is smaller, no atom is left: training ends with an AssertionError in the neighbour statistics. The TensorFlow backend
# refuses such cells (deepmd-kit issue 972); a review of pull request 5613 mentions the sign. To make the cell
# right-handed, exchange two lattice vectors; the crystal is the same.
# Exits with 0 while this holds, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'deepmd-kit==3.2.0' 'numpy==2.2.6'
cd "$folder"
cat > left.py <<'PYTHON'
import numpy as np
from deepmd.dpmodel.utils.nlist import extend_coord_with_ghosts

coord = np.array([[[0.5, 0.5, 0.5], [7.5, 7.5, 7.5]]])
right = 8.0 * np.eye(3)
found = []
for cutoff in (6.0, 10.0):
    for cell in (right, right[[1, 0, 2]]):
        atoms, _, _ = extend_coord_with_ghosts(coord.reshape(1, -1), np.zeros((1, 2), int), cell.reshape(1, 9), cutoff)
        atoms = atoms.reshape(-1, 3)
        near = int((np.linalg.norm(atoms - coord[0, 0], axis=1) < cutoff).sum()) if len(atoms) else 0
        handed = "left" if np.linalg.det(cell) < 0 else "right"
        print(f"{handed}-handed cell of 8 Å, cutoff {cutoff:g} Å: {len(atoms)} atoms with images, {near} within the cutoff")
        found.append((len(atoms), near))
(every, near), (alone, nearer), (_, _), (none, _) = found
assert every > 2 and near > nearer and alone == 2 and none == 0
PYTHON
PYTHONWARNINGS=ignore "$folder/venv/bin/python" left.py
