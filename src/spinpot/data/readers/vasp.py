"""VASP: reads the steps of an OUTCAR with their moments; rejects vasprun.xml, which has no moments."""

import re
from dataclasses import replace
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
from spinpot.data.readers.texts import NUMBER, beginning, complete, opened, parts
from spinpot.data.systems import System

ITERATION = re.compile(r"Iteration\s+(?P<step>\d+)\(\s*(?P<electronic>\d+)\)")
ENERGY = "FREE ENERGIE OF THE ION-ELECTRON SYSTEM"
ENERGY_LINES = 6  # from the title of the energies to the last energy
TOTEN = re.compile(rf"free\s+energy\s+TOTEN\s*=\s*({NUMBER})")
SIGMA_ZERO = re.compile(rf"energy\(sigma->0\)\s*=\s*({NUMBER})")
NELM = re.compile(r"NELM\s*=\s*(\d+)")
SAXIS = re.compile(rf'^[^#!\n]*SAXIS(?:\s*=|">)\s*({NUMBER})\s+({NUMBER})\s+({NUMBER})', re.MULTILINE)
"""SAXIS as written in OUTCAR, INCAR and vasprun.xml."""
CONSTRAINED = re.compile(r"I_CONSTRAINED_M\s*=\s*[1-9]")
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
        frames = self.frames(place, wanted, notes)
        notes.add("VASP writes no magnetic forces: the frames have none", str(place))
        systems = systems_of(frames, place, wanted, notes)
        if place.name not in ("OUTCAR", "OUTCAR.gz"):
            return systems
        folder = folder_name(place.parent)
        return [replace(system, name=folder + system.name.removeprefix(place.stem)) for system in systems]

    def frames(self, place: Path, wanted: Wanted, notes: Notes) -> list[RawFrame]:
        """The frames as read, before labels and moments are chosen."""
        with opened(place) as file:
            if file.read(5) == "<?xml":
                raise InputError(
                    f"{place}: a vasprun.xml has no moments of the atoms. Give the OUTCAR of the run, into "
                    "which LORBIT 11 writes them."
                )
        return _outcar(place, wanted, notes)


def _outcar(place: Path, wanted: Wanted, notes: Notes) -> list[RawFrame]:
    with opened(place) as file:
        steps = parts(file, ITERATION)
        head = next(steps)
        text = "".join(head)
        header = OutcarHeaderParser([SpeciesTypes(), IonsPerSpecies()]).build(head)
        axes = _axes(_saxis(text, place))
        frames, lacks = [], []
        for part in steps:
            frame = _frame(part, header, axes)
            lacks.append(_lack(part, _reached(part, text), frame, wanted))
            frames.append(frame)
            if any(MAGNETIC_FORCE in line for line in part):
                notes.add(f"{MAGNETIC_FORCE}: a table of VASP's DeltaSpin, not used", str(place))
    if not np.allclose(axes, np.eye(3)):
        notes.add("moments rotated from the axes of SAXIS to Cartesian axes", str(place))
    if CONSTRAINED.search(text):
        notes.add(PENALTY, str(place))
    remedy = (
        "LORBIT 11 with LNONCOLLINEAR writes them into the OUTCAR. For frames that are not magnetic, give "
        f"{wanted.option('non_magnetic')}."
    )
    found = complete(frames, lacks, str(place), notes, remedies={NO_MOMENTS: remedy})
    return [frame for frame in found if frame is not None]


def _frame(part: list[str], header: dict[str, Any], axes: np.ndarray) -> RawFrame | None:
    """The frame of a step; None if the step is cut off. Moments may come before or after the energy."""
    end = next((number for number, line in enumerate(part) if line.strip().startswith(ENERGY)), len(part))
    below = "".join(part[end : end + ENERGY_LINES])
    free, extrapolated = TOTEN.search(below), SIGMA_ZERO.search(below)
    if not free or not extrapolated:
        return None
    try:
        parser = OutcarChunkParser(header, [Cell(), PositionsAndForces(), Stress()])
        frame = raw_frame(parser.build(part[:end]))
    except (ParseError, ValueError, IndexError, KeyError):
        return None
    energies = {"free_energy": np.array(float(free[1])), "energy_sigma_0": np.array(float(extrapolated[1]))}
    columns = _columns(_tables(part, len(frame.symbols)), axes)
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


def _saxis(head: str, place: Path) -> np.ndarray:
    """SAXIS (3,) from the OUTCAR, else from INCAR or vasprun.xml beside it; else z, VASP's default."""
    beside = [place.absolute().parent / name for name in ("INCAR", "vasprun.xml")]
    for text in (head, *(beginning(file, 1 << 18).decode(errors="replace") for file in beside)):
        if found := SAXIS.findall(text):
            return np.array(found[-1], dtype=np.float64)
    return np.array([0.0, 0.0, 1.0])


def _axes(saxis: np.ndarray) -> np.ndarray:
    """(3, 3), rows: the spin axes in Cartesian components; SAXIS determines them.

    m = Rz(α) Ry(β) m_spins, where α and β are the angles of SAXIS (https://vasp.at/wiki/SAXIS).
    """
    x, y, z = saxis
    angles = np.arctan2(y, x), np.arctan2(np.hypot(x, y), z)
    return np.asarray(Rotation.from_euler("ZY", angles).as_matrix()).T


def _lack(part: list[str], reached: bool, frame: RawFrame | None, wanted: Wanted) -> str:
    """Why a step cannot be a frame; empty if it can. reached: whether the electrons converged."""
    if not reached:
        return "not converged (NELM iterations)"
    if frame is None:
        return "cut off, or without positions and forces"
    magnetic = not wanted.non_magnetic or any(line.strip().startswith(MAGNETIZATION) for line in part)
    return NO_MOMENTS if magnetic and "magmoms" not in frame.columns else ""


def _reached(part: list[str], head: str) -> bool:
    """Whether the electrons converged. head: the OUTCAR's lines before its steps.

    VASP 6 reports steps that did not converge. VASP 5 always writes that EDIFF is reached after NELM
    iterations, so that a step with NELM iterations counts as not converged.
    """
    if any(NOT_REACHED in line for line in part):
        return False
    version, limit = VERSION.match(head), NELM.search(head)
    says_so = version is not None and int(version[1]) >= SAYS_NOT_REACHED
    if says_so and any(REACHED in line for line in part):
        return True
    last = max(int(found["electronic"]) for line in part if (found := ITERATION.search(line)))
    return limit is None or last < int(limit[1])
