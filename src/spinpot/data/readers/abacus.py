"""Folders in which ABACUS ran: INPUT, STRU, OUT.*; scf, md, relax and cell-relax.

dpdata reads such a run either whole or not at all; here each complete step is a frame.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers
from ase.units import GPa

from spinpot.core.errors import InputError
from spinpot.core.notes import Notes
from spinpot.data.readers.abacus_files import Dumped, Structure, read_dump, read_input, read_stru
from spinpot.data.readers.abacus_log import MOMENTS, NO_POSITIONS, Log, Step, read_log
from spinpot.data.readers.frames import RawFrame, systems_of
from spinpot.data.readers.reader import Wanted
from spinpot.data.readers.texts import beginning, complete
from spinpot.data.systems import System

KINDS = ("scf", "relax", "cell-relax", "md")
KBAR = 0.1 * GPa
FORCES_AGREE = 1e-4  # the forces of MD_dump and of the log agree within 1e-5 eV/Å + this × the largest
NO_MOMENTS = "without moments"
SUFFIX = re.compile(r"^([A-Za-z]{1,2}?)_?\d+$")  # labels like Fe1 and Fe_2


@dataclass(frozen=True)
class _Run:
    """The places of a run's files, and the parameters in its INPUT."""

    folder: Path
    out: Path
    parameters: dict[str, str]

    @property
    def kind(self) -> str:
        return self.parameters.get("calculation", "scf").lower()

    @property
    def log(self) -> Path:
        return self.out / f"running_{self.kind}.log"

    @property
    def stru(self) -> Path:
        return self.folder / self.parameters.get("stru_file", "STRU")


class Abacus:
    """One folder is one run."""

    name = "abacus"
    what = "folders in which ABACUS ran (INPUT, STRU, OUT.*)"
    runs = True

    def knows(self, path: Path) -> bool:
        """A folder with an INPUT file of ABACUS."""
        if b"INPUT_PARAMETERS" not in beginning(path / "INPUT", 1 << 16):
            return False
        ran = path.name.startswith("OUT.") or any(path.glob("OUT.*"))
        return ran or ((path / "STRU").is_file() and not any(path.glob("*/INPUT")))

    def read(self, place: Path, wanted: Wanted, notes: Notes) -> list[System]:
        """The complete steps of a run; a note counts the others, with the reason."""
        run = _run(place)
        structure = read_stru(run.stru)
        log = read_log(run.log.read_text(errors="replace"), structure)
        if log.n_atoms not in (None, len(structure.labels)):
            raise InputError(
                f"{run.folder}: {run.stru.name} has {len(structure.labels)} atoms, but {run.log.name} has "
                f"{log.n_atoms}. Put back the STRU of this run."
            )
        _note_others(run, notes)
        _place(log.steps, structure, run)
        wanted = _with_moments(log.steps, wanted)
        steps = _complete(log, run, wanted, notes)
        symbols = tuple(_elements(structure.labels, wanted, str(run.folder), notes))
        _note_collinear(steps, str(run.folder), notes)
        return systems_of([_frame(step, symbols) for step in steps], run.folder, wanted, notes)


def _run(place: Path) -> _Run:
    """Find the files of a run. Raises InputError if one is missing."""
    if not (place / "INPUT").is_file():
        raise InputError(
            f"{place}: no INPUT in it. Expected a folder in which ABACUS ran (INPUT, STRU, OUT.*)."
        )
    parameters = read_input(place / "INPUT")
    out = place / f"OUT.{parameters.get('suffix', 'ABACUS')}"
    inside = place.name.startswith("OUT.") and not out.is_dir()  # ABACUS writes INPUT there, too
    run = _Run(place.parent, place, parameters) if inside else _Run(place, out, parameters)
    if run.kind not in KINDS:
        raise InputError(f"{place}: calculation {run.kind} in INPUT. Expected one of {', '.join(KINDS)}.")
    _there(run.log, run)
    _there(run.stru, run)
    return run


def _there(path: Path, run: _Run) -> Path:
    if not path.is_file():
        outs = ", ".join(sorted(found.name for found in run.folder.glob("OUT.*"))) or "no OUT.*"
        raise InputError(
            f"{run.folder}: {path.relative_to(run.folder)} is missing (calculation {run.kind}, suffix "
            f"{run.parameters.get('suffix', 'ABACUS')} in INPUT). The folder has {outs}. Run ABACUS "
            "there, or correct INPUT."
        )
    return path


def _note_others(run: _Run, notes: Notes) -> None:
    """Add a note for each output in the folder that does not belong to this run."""
    others = [(run.out / f"running_{kind}.log", f"the calculation in INPUT is {run.kind}") for kind in KINDS]
    logs = sorted(run.folder.glob("OUT.*/running_*.log"))
    others += [(log.parent, "it is not of the suffix in INPUT") for log in logs if log.parent != run.out]
    for file in sorted(run.folder.glob("*/INPUT")):
        if not file.parent.name.startswith("OUT."):
            others.append((file.parent, "it lies in the folder of a run; give it by itself"))
    for other, why in others:
        if other != run.log and other.exists():
            notes.add(f"{other.name}: not read, as {why}", str(run.folder))


def _place(steps: list[Step], structure: Structure, run: _Run) -> None:
    """Set the positions of each step: from MD_dump, else the log, else STRU and STRU_ION*_D."""
    dump = read_dump(_there(run.out / "MD_dump", run), structure.labels) if run.kind == "md" else None
    for number, step in enumerate(steps):
        if dump is not None:
            _from_dump(step, dump)
        elif step.coord is None:
            file = run.out / f"STRU_ION{number}_D"
            written = structure if number == 0 else read_stru(file) if file.is_file() else None
            if written is not None and written.labels == structure.labels:
                step.box, step.coord = written.box, written.coord


def _from_dump(step: Step, dump: dict[int, Dumped]) -> None:
    """Replace the step's numbers by those of MD_dump, which have more digits than the log."""
    step.coord = None
    if step.md is None or step.md not in dump:
        step.lack = "not in MD_dump, which holds each md_dumpfreq-th"
        return
    dumped = dump[step.md]
    if dumped.force is not None:
        allowed = 1e-5 + FORCES_AGREE * np.abs(dumped.force).max()
        if not np.abs(step.tables.get("force", dumped.force) - dumped.force).max() <= allowed:
            step.lack = "with other forces in MD_dump than in the log"
            return
        step.tables["force"] = dumped.force
    step.box, step.coord = dumped.box, dumped.coord
    if dumped.stress is not None:
        step.stress = dumped.stress


def _with_moments(steps: list[Step], wanted: Wanted) -> Wanted:
    """Choose the table of moments to read, unless the user names one.

    Magnetic forces belong to the constrained moments; with plane waves these are the onsite projections.
    Without a constraint and magnetic forces nothing is chosen, and all tables must agree.
    """
    there = [name for name in MOMENTS if any(name in step.tables for step in steps)]
    forces = any("force_mag" in step.tables for step in steps)
    belonging = [name for name in there if name == MOMENTS[0] or (forces and name == MOMENTS[1])]
    if "spin" in wanted.columns or not (belonging or len(there) == 1):
        return wanted
    return replace(wanted, columns={"spin": (belonging or there)[0], **wanted.columns})


def _complete(log: Log, run: _Run, wanted: Wanted, notes: Notes) -> list[Step]:
    """The complete steps: they have every label that any step has. Raises InputError if there is none."""
    needed = _needed(log.steps, wanted)
    lacks = [_lack(step, needed) for step in log.steps]
    file = run.log.name + (f" (ABACUS {log.version})" if log.version else "")
    remedies = {
        NO_MOMENTS: (
            f"INPUT has nspin {run.parameters.get('nspin', '1')}; moments are written with nspin 4 and "
            "sc_mag_switch 1, onsite_radius or out_mul 1. For frames that are not magnetic, give "
            f"{wanted.option('non_magnetic')}."
        ),
        NO_POSITIONS: "out_stru 1 writes them.",
    }
    return complete(log.steps, lacks, str(run.folder), notes, file, remedies)


def _needed(steps: list[Step], wanted: Wanted) -> list[str]:
    """The tables that a frame of the run must have: each label that any step has, and moments."""
    known = {label for step in steps for label in (*step.heads, *_labels(step))}
    needed: list[str] = [name for name in ("force", "force_mag", "stress") if name in known]
    if not wanted.non_magnetic or any("moments" in step.heads for step in steps):
        needed.append(wanted.columns.get("spin", "moments"))
    return needed


def _lack(step: Step, needed: list[str]) -> str:
    """Why a step cannot be a frame; empty if it can."""
    if step.converged is False:
        return "not converged"
    if step.energy is None or not np.isfinite(step.energy):
        return "without an energy (cut off)"
    if step.box is None or step.coord is None:
        return step.lack
    missing = [name for name in needed if name not in _labels(step)]
    if not missing:
        return ""
    name = NO_MOMENTS if missing[0] in (*MOMENTS, "moments") else f"without the {missing[0]}"
    return f"{name} (its table could not be read)" if missing[0] in step.heads else name


def _labels(step: Step) -> set[str]:
    """The labels of a step, and `moments` if it has any table of moments."""
    moments = {"moments"} if set(MOMENTS) & set(step.tables) else set()
    return {*step.tables, *moments, *(["stress"] if step.stress is not None else [])}


def _elements(labels: tuple[str, ...], wanted: Wanted, where: str, notes: Notes) -> list[str]:
    """The element of each label: the label itself, the label without its number, or the user's name for it.

    Raises InputError for other labels.
    """
    elements = {}
    for label in dict.fromkeys(labels):
        found = SUFFIX.match(label)
        if label in wanted.rename or label in atomic_numbers:
            elements[label] = label
        elif found and found[1] in atomic_numbers:
            elements[label] = found[1]
        else:
            raise InputError(
                f"{where}: the label {label} of STRU is not an element. Name its element: "
                f"{wanted.option('rename', f'{label}=NAME')}."
            )
    for element in dict.fromkeys(elements.values()):
        of_it = [label for label in elements if elements[label] == element]
        if of_it != [element]:
            more = wanted.option("rename", f"{of_it[-1]}=NAME")
            notes.add(f"labels {', '.join(of_it)}: read as {element}; for another element, {more}", where)
    return [elements[label] for label in labels]


def _note_collinear(steps: list[Step], where: str, notes: Notes) -> None:
    """Turn collinear moments and magnetic forces into vectors along z."""
    for step in steps:
        for name in (*MOMENTS, "force_mag"):
            if name in step.tables and step.tables[name].ndim == 1:
                notes.add("collinear moments (nspin 2): read along z", where)
                step.tables[name] = step.tables[name][:, None] * np.array([0.0, 0.0, 1.0])


def _frame(step: Step, symbols: tuple[str, ...]) -> RawFrame:
    assert step.box is not None
    assert step.coord is not None
    entries = {"free_energy": np.array(step.energy)}
    if step.sigma_zero is not None:
        entries["energy_sigma_0"] = np.array(step.sigma_zero)
    if step.stress is not None:
        entries["virial"] = abs(np.linalg.det(step.box)) * KBAR * step.stress
    return RawFrame(symbols, step.box, (True, True, True), step.coord, step.tables, entries)
