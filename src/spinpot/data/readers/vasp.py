"""VASP: reads the steps of an OUTCAR with their moments; rejects vasprun.xml, which has no moments."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase.io import ParseError
from ase.io.vasp_parsers.vasp_outcar_parsers import (
    Cell,
    IonsPerSpecies,
    OutcarChunkParser,
    OutcarHeaderParser,
    PositionsAndForces,
    SpeciesTypes,
    Stress,
)
from scipy.spatial.transform import Rotation

from spinpot.core.errors import InputError
from spinpot.core.notes import Notes
from spinpot.data.readers.ase_formats import raw_frame
from spinpot.data.readers.frames import RawFrame, folder_name, systems_of
from spinpot.data.readers.reader import Wanted
from spinpot.data.readers.texts import NUMBER, beginning, complete, parts, whole_lines
from spinpot.data.systems import System

ITERATION = re.compile(r"Iteration\s+(?P<step>\d+)\(\s*(?P<electronic>\d+)\)")
ENERGY = "FREE ENERGIE OF THE ION-ELECTRON SYSTEM"
ENERGY_LINES = 6  # from the title of the energies to the last energy
TOTEN = re.compile(rf"free\s+energy\s+TOTEN\s*=\s*({NUMBER})")
SIGMA_ZERO = re.compile(rf"energy\(sigma->0\)\s*=\s*({NUMBER})")
NELM = re.compile(r"NELM\s*=\s*(\d+)")
_TAG = r"^[^#!\n]*{}(?:\s*=|\">)\s*"
"""A tag before its value, as written in OUTCAR, INCAR and vasprun.xml; not in a comment."""
SAXIS = re.compile(
    _TAG.format("SAXIS") + rf"({NUMBER})\s+({NUMBER})\s+({NUMBER})", re.MULTILINE | re.IGNORECASE
)
CONSTRAINT = re.compile(_TAG.format("I_CONSTRAINED_M") + r"(\d+)", re.MULTILINE | re.IGNORECASE)
VERSION = re.compile(r"\s*vasp\.(\d+)\.")
SAYS_NOT_REACHED = 6  # the first VASP version that reports unconverged electrons
REACHED, NOT_REACHED = "EDIFF is reached", "EDIFF was not reached"
MAGNETIZATION = "magnetization ("
TABLE = "# of ion"
"""First words of the header of a table with one row per atom."""
TOTAL_CHARGE = "total charge"
ION = re.compile(rf"^\s*\d+((?:\s+{NUMBER})+)\s*$")
MAGNETIC_FORCE = "Magnetic force (eV/uB)"
PENALTY = (
    "I_CONSTRAINED_M: the energies contain the penalty of the constraint; lambda*MW_perp is not −∂E/∂S and "
    "is not read"
)
NO_MOMENTS = "without moments"
NO_SAXIS = (
    "no SAXIS in it, and no INCAR or vasprun.xml beside it: moments read with VASP's default, SAXIS = 0 0 1"
)


class Vasp:
    """Each OUTCAR is one run."""

    name = "vasp"
    what = "VASP's OUTCAR of noncollinear runs (LORBIT 11; vasprun.xml has no moments)"
    runs = True

    def knows(self, path: Path) -> bool:
        """Whether the first lines are VASP's, or the file is named OUTCAR."""
        head = beginning(path, 4096)
        is_xml = head.startswith(b"<?xml") and b"<modeling>" in head
        named = path.name.startswith("OUTCAR") and path.is_file()
        return named or is_xml or head.lstrip().startswith(b"vasp.")

    def read(self, place: Path, wanted: Wanted, notes: Notes) -> list[System]:
        """The complete steps of a run, without magnetic forces; a note counts the others."""
        systems = systems_of(self.frames(place, wanted, notes), place, wanted, notes)
        notes.add("VASP writes no magnetic forces: the frames have none", str(place))
        if place.name not in ("OUTCAR", "OUTCAR.gz"):
            return systems
        folder = folder_name(place.parent)
        return [replace(system, name=folder + system.name.removeprefix(place.stem)) for system in systems]

    def frames(self, place: Path, wanted: Wanted, notes: Notes) -> Iterator[RawFrame]:
        """The frames, read one at a time, before labels and moments are chosen."""
        if beginning(place, 5) == b"<?xml":
            raise InputError(
                f"{place}: a vasprun.xml has no moments of the atoms. Give the OUTCAR of the run, into which "
                "LORBIT 11 writes them."
            )
        steps = parts(whole_lines(place, notes), ITERATION)
        run = _run(next(steps), place, notes)
        remedy = f"LORBIT 11 with LNONCOLLINEAR writes them into the OUTCAR. {wanted.hint}."
        read = (_step(part, run, place, wanted, notes) for part in steps)
        return complete(read, str(place), notes, remedies={NO_MOMENTS: remedy})


@dataclass(frozen=True)
class _Run:
    """The lines before the first step. header: for ase's parsers; axes: (3, 3), rows, of the moments."""

    text: str
    header: dict[str, Any]
    axes: np.ndarray


def _run(head: list[str], place: Path, notes: Notes) -> _Run:
    text = "".join(head)
    header = OutcarHeaderParser([SpeciesTypes(), IonsPerSpecies()]).build(head)
    paths = (place.absolute().parent / name for name in ("INCAR", "vasprun.xml"))
    beside = [beginning(path, 1 << 18).decode(errors="replace") for path in paths]
    saxis = _given(SAXIS, (text, *beside))
    axes = _axes(*map(float, saxis or (0.0, 0.0, 1.0)))
    if not np.allclose(axes, np.eye(3)):
        notes.add("moments rotated from the axes of SAXIS to Cartesian axes", str(place))
    if not saxis and not any(beside):
        notes.add(NO_SAXIS, str(place))
    if int(*_given(CONSTRAINT, (text, *beside)) or (0,)):
        notes.add(PENALTY, str(place))
    return _Run(text, header, axes)


def _given(tag: re.Pattern[str], texts: Iterable[str]) -> tuple[str, ...]:
    """The last value of a tag in the first text that has the tag; empty if none has it."""
    found = (matches[-1].groups() for text in texts if (matches := list(tag.finditer(text))))
    return next(found, ())


def _step(part: list[str], run: _Run, place: Path, wanted: Wanted, notes: Notes) -> RawFrame | str:
    """The frame of a step, or why it is none."""
    text = "".join(part)
    if MAGNETIC_FORCE in text:
        notes.add(f"{MAGNETIC_FORCE}: a table of VASP's DeltaSpin, not used", str(place))
    if not _reached(text, run.text):
        return "not converged (NELM iterations)"
    frame = _frame(part, run)
    if frame is None:
        return "cut off, or without positions and forces"
    magnetic = not wanted.non_magnetic or MAGNETIZATION in text
    return NO_MOMENTS if magnetic and "magmoms" not in frame.columns else frame


def _frame(part: list[str], run: _Run) -> RawFrame | None:
    """The frame of a step; None if the step is cut off. Moments may come before or after the energy."""
    end = next((number for number, line in enumerate(part) if ENERGY in line), len(part))
    below = "".join(part[end : end + ENERGY_LINES])
    free, extrapolated = TOTEN.search(below), SIGMA_ZERO.search(below)
    if not free or not extrapolated:
        return None
    try:
        parser = OutcarChunkParser(run.header, [Cell(), PositionsAndForces(), Stress()])
        frame = raw_frame(parser.build(part[:end]))
    except (ParseError, ValueError, IndexError, KeyError):
        return None
    energies = {"free_energy": np.array(float(free[1])), "energy_sigma_0": np.array(float(extrapolated[1]))}
    columns = _columns(_tables(part, len(frame.symbols)), run.axes)
    return replace(frame, columns=frame.columns | columns, entries=frame.entries | energies)


def _tables(part: list[str], n_atoms: int) -> dict[str, np.ndarray]:
    """{title: last column (N,)}, the sum over the orbitals, of the last complete table of each title."""
    tables, title = {}, ""
    for number, line in enumerate(part):
        if line.strip().startswith(TABLE):
            below = part[number + 1 : number + 2 + n_atoms]
            rows = [row[1].split() for text in below if (row := ION.match(text))]
            if len(rows) == n_atoms and len({len(row) for row in rows}) == 1 and title != TOTAL_CHARGE:
                tables[title] = np.array([row[-1] for row in rows], dtype=np.float64)
        title = line.strip() or title
    return tables


def _columns(tables: dict[str, np.ndarray], axes: np.ndarray) -> dict[str, np.ndarray]:
    """The tables, with the moments as magmoms: (N, 3), Cartesian; (N,) for a collinear run."""
    parts = [tables.pop(name) for axis in "xyz" if (name := f"{MAGNETIZATION}{axis})") in tables]
    if len(parts) == 3:
        tables["magmoms"] = np.stack(parts, axis=-1) @ axes
    elif len(parts) == 1:
        tables["magmoms"] = parts[0]
    return tables


def _axes(x: float, y: float, z: float) -> np.ndarray:
    """(3, 3), rows: the spin axes in Cartesian components. x, y, z: SAXIS, which determines them.

    m = Rz(α) Ry(β) m_spins, where α and β are the angles of SAXIS (https://vasp.at/wiki/SAXIS).
    """
    angles = np.arctan2(y, x), np.arctan2(np.hypot(x, y), z)
    return np.asarray(Rotation.from_euler("ZY", angles).as_matrix()).T


def _reached(text: str, head: str) -> bool:
    """Whether the electrons of a step converged. head: the OUTCAR before its steps.

    VASP 6 reports steps that did not converge. VASP 5 always writes that EDIFF is reached after NELM
    iterations, so that a step with NELM iterations counts as not converged.
    """
    if NOT_REACHED in text:
        return False
    version, limit = VERSION.match(head), NELM.search(head)
    says_so = version is not None and int(version[1]) >= SAYS_NOT_REACHED
    if (says_so and REACHED in text) or limit is None:
        return True
    return max(int(found["electronic"]) for found in ITERATION.finditer(text)) < int(limit[1])
