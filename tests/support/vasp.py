"""OUTCAR files of VASP with any numbers, with the lines that readers use."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

BOX = np.diag([4.0, 5.0, 6.0])
SYMBOLS = ("Fe", "Fe", "O")
RULE = "-" * 80


@dataclass
class Step:
    """What an OUTCAR says of a step; moments (N, 3), or (N,) of a collinear run, or None."""

    energy: float = -20.0
    coord: np.ndarray = field(default_factory=lambda: np.arange(9.0).reshape(3, 3) / 3)
    force: np.ndarray = field(default_factory=lambda: np.arange(9.0).reshape(3, 3) / 7)
    stress: Sequence[float] = (10.0, 20.0, 30.0, 1.0, 2.0, 3.0)
    moments: np.ndarray | None = field(default_factory=lambda: np.arange(9.0).reshape(3, 3) / 4)
    iterations: int = 3
    end: str = "aborting loop because EDIFF is reached"
    moments_last: bool = False
    more: str = ""


def outcar(
    steps: Sequence[Step], head: str = "", symbols: Sequence[str] = SYMBOLS, version: str = "6.4.2"
) -> str:
    """head: more lines among the parameters."""
    kinds = list(dict.fromkeys(symbols))
    lines = [f" vasp.{version} 20Jul23 (build) complex", ""]
    lines += [f" POTCAR:    PAW_PBE {kind} 01Jan2000" for kind in (*kinds, *kinds)]
    lines += ["   k-points           NKPTS =      1   number of bands    NBANDS=     8"]
    lines += [f"   ions per type =           {' '.join(str(symbols.count(kind)) for kind in kinds)}"]
    lines += ["   ISPIN  =      1    spin polarized calculation?", "   LNONCOLLINEAR =      T non collinear"]
    lines += ["   NELM   =     60;   NELMIN=  2; NELMDL= -5     # of ELM steps", *head.splitlines()]
    lines += [" k-points in reciprocal lattice and weights: Gamma", "   0.0 0.0 0.0  1.0", ""]
    for number, step in enumerate(steps, start=1):
        lines += _step(number, step, len(symbols))
    return "\n".join([*lines, "", " General timing and accounting informations for this job:", ""])


def moment_tables(moments: np.ndarray, title: str = "magnetization") -> list[str]:
    """A table for each component, with rows for each atom; the last column is the sum."""
    parts = np.reshape(moments, (len(moments), -1)).T
    return [
        line for axis, part in zip("xyz", parts, strict=False) for line in _table(f"{title} ({axis})", part)
    ]


def _step(number: int, step: Step, n_atoms: int) -> list[str]:
    lines = [f"{RULE[:40]} Iteration {number:6d}({k:4d})  {RULE[:40]}" for k in range(1, step.iterations + 1)]
    lines += [f"{RULE[:24]} {step.end} {RULE[:40]}"] if step.end else []
    tables = moment_tables(step.moments) if step.moments is not None else []
    charge = _table("total charge", np.full(n_atoms, 8.0)) if step.moments is not None else []
    lines += [] if step.moments_last else charge + tables
    lines += ["  FORCE on cell =-STRESS in cart. coord.  units (eV):"] + [""] * 13
    lines += ["  in kB  " + " ".join(f"{entry:11.5f}" for entry in step.stress)]
    lines += [" VOLUME and BASIS-vectors are now :", RULE]
    lines += ["  energy-cutoff  :      400.00", "  volume of cell :      120.00"]
    lines += ["      direct lattice vectors                 reciprocal lattice vectors"]
    inverse = np.linalg.inv(BOX).T
    lines += ["  ".join(f"{entry:13.9f}" for entry in (*a, *b)) for a, b in zip(BOX, inverse, strict=True)]
    lines += [" POSITION                                       TOTAL-FORCE (eV/Angst)", RULE]
    rows = np.concatenate([step.coord, step.force], axis=1)
    lines += ["  ".join(f"{entry:12.6f}" for entry in row) for row in rows] + [RULE, ""]
    lines += ["  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)", "  " + RULE[:50]]
    lines += [f"  free  energy   TOTEN  = {step.energy:18.8f} eV", ""]
    lines += [
        f"  energy  without entropy= {step.energy + 0.1:16.8f}  energy(sigma->0) = {step.energy + 0.05:16.8f}"
    ]
    lines += ["", "", "     LOOP+:  cpu time    1.0: real time    1.0"]
    return lines + (charge + tables if step.moments_last else []) + step.more.splitlines()


def _table(title: str, totals: np.ndarray) -> list[str]:
    rows = [f"  {k:3d}        0.100   0.200  {value:8.3f}" for k, value in enumerate(totals, start=1)]
    names = ["", "", f" {title}", " ", "# of ion       s       d       tot", RULE[:42]]
    return [*names, *rows, RULE[:50], f"tot          0.300   0.600  {totals.sum():8.3f}", " "]
