#!/usr/bin/env bash
# pyspinw 1.1.0b2 reads the files of TB2J 0.9.22 (TB2J.pickle and exchange.out), but its magnons are different:
# - Energies are half of those of TB2J and of the closed form: the energy −2J S·S of a pair is read as −J S·S.
# - Cartesian vectors of pairs are read as if the first lattice vector were along x. For the same chain along y no pair
#   is left, without a warning.
# Exits with 0 while this holds, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'pyspinw==1.1.0b2' 'TB2J==0.9.22' 'ase==3.29.0' 'numpy==2.4.6' 'scipy==1.16.3'
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

import numpy as np
from ase import Atoms
from pyspinw.tb2j import TB2J_Input
from TB2J.io_exchange import SpinIO
from TB2J.magnon.magnon3 import Magnon

J = 0.010  # eV, of E = −Σ_{i≠j} J e_i·e_j, to both neighbours in a ferromagnetic chain of moments of 2 μ_B
WAVES = np.array([[0.25, 0.0, 0.0], [0.5, 0.0, 0.0]])
CLOSED_FORM = 4000.0 * J * (1.0 - np.cos(2.0 * np.pi * WAVES[:, 0]))  # meV, S = 1

print("TB2J", version("TB2J"), "pyspinw", version("pyspinw"))
print("closed form, meV:", CLOSED_FORM)
seen = []
for name, axes in (("x", np.eye(3)), ("y", np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))):
    cell = np.diag([2.5, 6.0, 7.0]) @ axes
    pairs = {((n, 0, 0), 0, 0): J for n in (1, -1)}
    written = SpinIO(
        Atoms("Fe", positions=[[0.0, 0.0, 0.0]], cell=cell, pbc=True),
        np.array([[0.0, 0.0, 2.0]]),
        [0.0],
        [0],
        colinear=True,
        distance_dict={key: (key[0][0] * cell[0], 2.5) for key in pairs},
        exchange_Jdict=pairs,
        description="",
    )
    written.write_pickle(name)
    written.write_txt(name)
    own = Magnon.from_TB2J_results(name)
    own.set_reference([0, 0, 0], [[0, 0, 1]], [1, 0, 0])
    print(f"chain along {name}: TB2J, meV:", np.ravel(own._magnon_energies(WAVES)) * 1000)
    for file in ("TB2J.pickle", "exchange.out"):
        hamiltonian = TB2J_Input(f"{name}/{file}").to_hamiltonian()
        energies = np.ravel(hamiltonian._sorted_positive_energies(WAVES))
        print(f"chain along {name}: pyspinw from {file}, meV: {energies}, {len(hamiltonian.exchanges)} pairs")
        seen.append(energies)
half, nothing = 0.5 * CLOSED_FORM, np.zeros(2)
same = all(np.allclose(a, b, atol=1e-3) for a, b in zip(seen, [half, half, nothing, nothing], strict=True))
raise SystemExit(0 if same else "changed; was half of the closed form along x, and nothing along y")
PYTHON
