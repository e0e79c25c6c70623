#!/usr/bin/env bash
# ase 3.29.0: an SQLite database (.db) does not keep the shape of vector magnetic moments, and prints no warning.
# - `magmoms` (N, 3) of a calculation are read back with the shape (3N,).
# - `initial_magmoms` (N, 3) are written, but the row cannot be read back as Atoms: ValueError.
# A json database (.json) returns both as (N, 3).
# Exits with 0 while this holds, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'ase==3.29.0' 'numpy==2.3.5'
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import ase
import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

moments = np.array([[0.0, 0.1, 2.2], [0.0, 0.0, -2.2]])


def iron():
    return Atoms("Fe2", positions=[[0, 0, 0], [1.4, 1.4, 1.4]], cell=2.8 * np.eye(3), pbc=True)


def back(file, atoms):
    ase.io.write(file, atoms)
    try:
        return ase.io.read(file)
    except ValueError as error:
        return f"ValueError: {error}"


final, initial = iron(), iron()
final.calc = SinglePointCalculator(final, energy=-1.0, magmoms=moments)
initial.set_initial_magnetic_moments(moments)
seen = {
    "db, magmoms": back("final.db", final).calc.results["magmoms"].shape,
    "db, initial_magmoms": back("initial.db", initial),
    "json, magmoms": back("final.json", final).calc.results["magmoms"].shape,
    "json, initial_magmoms": back("initial.json", initial).get_initial_magnetic_moments().shape,
}
print("ase", ase.__version__)
for what, result in seen.items():
    print(f"{what}: {result}")
expected = {
    "db, magmoms": (6,),
    "db, initial_magmoms": 'ValueError: Array "initial_magmoms" has wrong length: 6 != 2.',
    "json, magmoms": (2, 3),
    "json, initial_magmoms": (2, 3),
}
raise SystemExit(0 if seen == expected else f"changed; was {expected}")
PYTHON
