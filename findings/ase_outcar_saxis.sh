#!/usr/bin/env bash
# ase 3.29.0: the moments of a noncollinear OUTCAR are not rotated by SAXIS.
# VASP writes moments in the basis that SAXIS defines (https://vasp.at/wiki/SAXIS). With SAXIS = 1 0 0 VASP writes a
# moment along x as (0, 0, m). ase returns it as a moment along z, without a warning. With spin–orbit coupling this is
# a different state.
# Exits with 0 while this holds, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'ase==3.29.0' 'numpy==2.3.5'
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from pathlib import Path

import ase
import ase.io

RULE = "-" * 50


def table(axis, numbers):
    rows = [f"    {k}        0.000   0.000  {m:7.3f}" for k, m in enumerate(numbers, start=1)]
    return [f" magnetization ({axis})", " ", "# of ion       s       d       tot", RULE, *rows, RULE,
            f"tot          0.000   0.000  {sum(numbers):7.3f}", " ", "", ""]


def outcar(saxis):
    lines = [" vasp.6.4.2", " POTCAR:    PAW_PBE Fe 06Sep2000", " POTCAR:    PAW_PBE Fe 06Sep2000",
             "   k-points           NKPTS =      1   number of bands    NBANDS=     16",
             "   ions per type =               2", "   ISPIN  =      1    spin polarized calculation?",
             "   LNONCOLLINEAR =      T non collinear calculations", "   LSORBIT =      T    spin-orbit coupling",
             f"   SAXIS = {saxis}", " k-points in reciprocal lattice and weights: Gamma", "   0.0 0.0 0.0   1.0",
             f"{RULE} Iteration      1(   9)  {RULE}", f"{RULE} aborting loop because EDIFF is reached {RULE}"]
    # Two moments along the axis of the spins, in the order in which VASP writes their components.
    for axis, numbers in (("x", (0.0, 0.0)), ("y", (0.0, 0.0)), ("z", (2.2, 2.2))):
        lines += table(axis, numbers)
    lines += ["  in kB      1.0    1.0    1.0    0.0    0.0    0.0",
              "      direct lattice vectors                 reciprocal lattice vectors",
              "  2.8  0.0  0.0   0.36 0.0 0.0", "  0.0  2.8  0.0   0.0 0.36 0.0", "  0.0  0.0  2.8   0.0 0.0 0.36",
              " POSITION                                       TOTAL-FORCE (eV/Angst)", RULE,
              "  0.0  0.0  0.0   0.0 0.0 0.0", "  1.4  1.4  1.4   0.0 0.0 0.0", RULE,
              "  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)", RULE, "  free  energy   TOTEN  =  -16.0 eV", "",
              "  energy  without entropy=   -16.0  energy(sigma->0) =   -16.0", ""]
    return "\n".join(lines)


print("ase", ase.__version__)
seen = {}
for saxis in ("0.0 0.0 1.0", "1.0 0.0 0.0"):
    Path("OUTCAR").write_text(outcar(saxis))
    seen[saxis] = ase.io.read("OUTCAR").get_magnetic_moments().tolist()
    print(f"SAXIS = {saxis}: moments {seen[saxis]}")
same = [[0.0, 0.0, 2.2]] * 2
raise SystemExit(0 if seen == dict.fromkeys(seen, same) else "changed; along x was given as along z")
PYTHON
