"""ABACUS run folders with any numbers, in the formats of its versions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

INPUT = "INPUT_PARAMETERS\n# a comment\n\nCalculation  {kind}   # of this run\nsuffix {suffix}\nnspin 4\n"
LATTICE_CONSTANT = 1.8897261258369282
"""1 Å in bohr."""
BOX = np.diag([4.0, 5.0, 6.0])
RULE = "-" * 91


@dataclass
class Step:
    """What a log says of a step: moments by the kind of their table; None for what it leaves out."""

    labels: Sequence[str] = ("Fe", "Fe", "O")
    energy: float | None = -100.25
    converged: bool = True
    force: np.ndarray | None = field(default_factory=lambda: np.arange(9.0).reshape(3, 3) / 7)
    stress: np.ndarray | None = None
    constrained: np.ndarray | None = field(default_factory=lambda: np.arange(9.0).reshape(3, 3) / 3)
    force_mag: np.ndarray | None = field(default_factory=lambda: np.arange(9.0).reshape(3, 3) / -11)
    onsite: np.ndarray | None = None
    mulliken: np.ndarray | None = None
    more: str = ""


def write_run(
    folder: Path,
    steps: Sequence[Step],
    fractional: Sequence[np.ndarray],
    kind: str = "scf",
    suffix: str = "ABACUS",
    newest: bool = False,
    log: str | None = None,
) -> Path:
    """A run of three atoms; fractional: coordinates of each step. newest: in the words of 2026."""
    out = folder / f"OUT.{suffix}"
    out.mkdir(parents=True)
    (folder / "INPUT").write_text(INPUT.format(kind=kind, suffix=suffix))
    (folder / "STRU").write_text(stru(steps[0].labels, fractional[0]))
    text = log if log is not None else written_log(steps, fractional, kind, newest)
    (out / f"running_{kind}.log").write_text(text)
    return folder


def stru(labels: Sequence[str], fractional: np.ndarray) -> str:
    """With comments, blank lines and what else the format allows."""
    kinds = list(dict.fromkeys(labels))
    lines = ["ATOMIC_SPECIES", *(f"{kind} 1.0 {kind}.upf // a comment" for kind in kinds), ""]
    lines += ["LATTICE_CONSTANT", f"{LATTICE_CONSTANT} # bohr", "", "LATTICE_VECTORS"]
    lines += [" ".join(map(str, row)) for row in BOX] + ["", "ATOMIC_POSITIONS", "Direct", ""]
    for kind in kinds:
        rows = [row for row, label in zip(fractional, labels, strict=True) if label == kind]
        lines += [kind, "0.0", str(len(rows))]
        lines += [" ".join(map(str, row)) + " 1 1 1 mag 0 0 2 sc 1 1 1" for row in rows]
    return "\n".join(lines) + "\n"


def written_log(
    steps: Sequence[Step], fractional: Sequence[np.ndarray], kind: str = "scf", newest: bool = False
) -> str:
    """running_*.log, in the words of 3.7 or of 2026."""
    labels = steps[0].labels
    lines = ["ABACUS v3.9.0.26" if newest else "ABACUS v3.7.1", f"TOTAL ATOM NUMBER = {len(labels)}"]
    lines += [f"{'L' if newest else 'l'}attice constant (Bohr) = 1.88973"]
    lines += _coordinates(labels, fractional[0], newest)
    lines += [" Lattice vectors: (Cartesian coordinate: in unit of a_0)"]
    lines += [" ".join(f"{number:+.5f}" for number in row) for row in BOX]
    lines += ["K-POINTS DIRECT COORDINATES", " KPOINTS    DIRECT_X    DIRECT_Y", " 1 0.0 0.0 0.0 1.0"]
    for number, step in enumerate(steps):
        lines += _head(number, kind, newest) + _step(step, newest) + step.more.splitlines()
        if kind != "md" and number + 1 < len(steps):
            lines += _coordinates(labels, fractional[number + 1], newest)
    return "\n".join(lines) + "\n"


def dumped(numbers: Sequence[int], steps: Sequence[Step], fractional: Sequence[np.ndarray]) -> str:
    """MD_dump of the steps with these numbers."""
    lines: list[str] = []
    for number in numbers:
        step, rows = steps[number], fractional[number] @ BOX
        lines += [f"MDSTEP:  {number}", "LATTICE_CONSTANT: 1.000000000000 Angstrom", "LATTICE_VECTORS"]
        lines += ["  ".join(f"{entry:.12f}" for entry in row) for row in BOX]
        lines += ["INDEX    LABEL    POSITION (Angstrom)    FORCE (eV/Angstrom)    VELOCITY (Angstrom/fs)"]
        for k, (label, row, force) in enumerate(zip(step.labels, rows, step.force, strict=True)):
            entries = [*row, *force, 0.0, 0.0, 0.0]
            lines.append(f"  {k}  {label}  " + "  ".join(f"{entry:.12f}" for entry in entries))
        lines += ["", ""]
    return "\n".join(lines)


def table(title: str, labels: Sequence[str], values: np.ndarray) -> list[str]:
    """A table with a row for each atom."""
    rows = np.reshape(values, (len(labels), -1))
    texts = ["".join(f"{number:21.10f}" for number in row) for row in rows]
    return [RULE, f" {title}", RULE, *(f"{a:>27}{b} " for a, b in zip(labels, texts, strict=True)), RULE, ""]


def numbered(labels: Sequence[str]) -> list[str]:
    """Fe Fe O → Fe1 Fe2 O1."""
    return [f"{label}{list(labels[: k + 1]).count(label)}" for k, label in enumerate(labels)]


def _coordinates(labels: Sequence[str], fractional: np.ndarray, newest: bool) -> list[str]:
    lines = [
        " DIRECT COORDINATES" if newest else "DIRECT COORDINATES",
        "    atom      x      y      z     mag",
    ]
    names = labels if newest else [f"taud_{name}" for name in numbered(labels)]
    return lines + [
        f"{name}  " + "  ".join(f"{entry:.12f}" for entry in row) + "  2.0000"
        for name, row in zip(names, fractional, strict=True)
    ]


def _head(number: int, kind: str, newest: bool) -> list[str]:
    step = number + 1
    if newest:
        head = {"md": f" STEP OF MOLECULAR DYNAMICS: {step}", "scf": " SELF-CONSISTENT"}
        return [
            head.get(kind, f" RELAX STEP: {step}"),
            f" --> #ION MOVE#         {step}  #ELEC ITER#         1",
        ]
    head = {"md": f" STEP OF MOLECULAR DYNAMICS : {number}", "scf": " SELF-CONSISTENT"}
    return [
        head.get(kind, f" STEP OF RELAXATION : {step}"),
        f" PW ALGORITHM --------------- ION=   {step}  ELEC=   1--------------------------------",
        f" PW ALGORITHM --------------- ION=   {step}  ELEC=   2--------------------------------",
    ]


def _step(step: Step, newest: bool) -> list[str]:
    lines = [" E_KohnSham     -7.0      -99.0 "]
    if step.energy is not None:
        lines += [f" E_KS(sigma->0) -7.0 {step.energy + 0.5} "]
    lines += _tables(step)
    if not step.converged:
        lines += [" !!SCF IS NOT CONVERGED!!" if newest else " !! convergence has not been achieved @_@"]
    elif step.energy is not None:
        lines += [" #SCF IS CONVERGED#" if newest else " charge density convergence is achieved"]
        lines += [f" {'#TOTAL ENERGY#' if newest else 'final etot is'} {step.energy} eV"]
    if step.force is not None:
        lines += _forces(step, newest)
    if step.stress is not None:
        title = " #TOTAL-STRESS (kbar)#" if newest else " TOTAL-STRESS (KBAR)   "
        lines += [title, RULE] + ["Stress_x Stress_y Stress_z", RULE] * newest
        lines += ["".join(f"{entry:20.10f}" for entry in row) for row in step.stress]
    return lines


def _tables(step: Step) -> list[str]:
    lines: list[str] = []
    if step.mulliken is not None:
        lines += table("Total Magnetism (uB)   x   y   z", numbered(step.labels), step.mulliken)
        angles = np.full((len(step.labels), 3), 90.0)
        title = "Total Magnetism (uB)   Magnitude (uB)   Polar (degree)   Azimuth (degree)"
        lines += table(title, numbered(step.labels), angles)
    if step.constrained is not None:
        lines += table("Total Magnetism (uB)", step.labels, step.constrained)
    if step.force_mag is not None:
        lines += table("Magnetic force (eV/uB)", step.labels, step.force_mag)
    if step.onsite is not None:
        lines += [RULE, "Orbital Charge Analysis   Charge   Mag(x)   Mag(y)   Mag(z)", RULE]
        lines += [line for name in numbered(step.labels) for line in (name, "  s   1.0   0.1   0.1   0.1")]
        lines += table("Total Magnetism (uB)", step.labels, step.onsite)
    return lines


def _forces(step: Step, newest: bool) -> list[str]:
    if not newest:
        return table("TOTAL-FORCE (eV/Angstrom)", numbered(step.labels), step.force)
    rows = table("Atoms   Force_x   Force_y   Force_z", numbered(step.labels), step.force)
    return [" #TOTAL-FORCE (eV/Angstrom)#", *rows]
