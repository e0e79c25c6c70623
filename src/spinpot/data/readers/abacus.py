"""Folders in which ABACUS ran: INPUT, STRU, OUT.*; scf, md, relax and cell-relax.

dpdata reads such a run either whole or not at all; here each complete step is a frame.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase.data import atomic_numbers
from ase.units import GPa

from spinpot.core.errors import InputError
from spinpot.core.notes import Notes
from spinpot.data.readers.abacus_files import Dump, Structure, read_input, read_stru
from spinpot.data.readers.abacus_log import MOMENTS, NO_POSITIONS, Log, Step, read_log
from spinpot.data.readers.frames import RawFrame, systems_of
from spinpot.data.readers.reader import Wanted
from spinpot.data.readers.texts import beginning, complete, whole_lines
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

    def read_log(self, structure: Structure, notes: Notes) -> Log:
        """The log, with its steps yet to be read."""
        return read_log(whole_lines(self.log, notes), structure)


class _Found(NamedTuple):
    """What any step of a run has. labels: as `_labels` of a step; heads: as those of a step."""

    labels: set[str]
    heads: set[str]


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
        log = run.read_log(structure, notes)
        if log.n_atoms not in (None, len(structure.labels)):
            raise InputError(
                f"{run.folder}: {run.stru.name} has {len(structure.labels)} atoms, but {run.log.name} has "
                f"{log.n_atoms}. Put back the STRU of this run."
            )
        _note_others(run, notes)
        symbols = tuple(_elements(structure.labels, wanted, str(run.folder), notes))
        dump = Dump(_there(run.out / "MD_dump", run), structure.labels) if run.kind == "md" else None
        found = _found(_placed(log.steps, structure, run, dump))
        wanted = _with_moments(found, wanted)
        needed = _needed(found, wanted)
        # The log is read again: what each step must have is known only now.
        steps = _placed(run.read_log(structure, notes).steps, structure, run, dump)
        read = (_lack(step, needed) or _frame(step, symbols, str(run.folder), notes) for step in steps)
        frames = complete(read, str(run.folder), notes, _file(run, log), _remedies(run, wanted))
        return systems_of(frames, run.folder, wanted, notes)


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


def _placed(steps: Iterable[Step], structure: Structure, run: _Run, dump: Dump | None) -> Iterator[Step]:
    """The steps with their positions: from MD_dump, else the log, else STRU and STRU_ION*_D."""
    for number, step in enumerate(steps):
        if dump is not None:
            _from_dump(step, dump)
        elif step.coord is None:
            file = run.out / f"STRU_ION{number}_D"
            written = structure if number == 0 else read_stru(file) if file.is_file() else None
            if written is not None and written.labels == structure.labels:
                step.box, step.coord = written.box, written.coord
        yield step


def _from_dump(step: Step, dump: Dump) -> None:
    """Replace the step's numbers by those of MD_dump, which have more digits than the log."""
    step.coord = None
    dumped = dump.frame(step.md)
    if dumped is None:
        step.lack = "not in MD_dump, which holds each md_dumpfreq-th"
        return
    if dumped.force is not None:
        allowed = 1e-5 + FORCES_AGREE * np.abs(dumped.force).max()
        if not np.abs(step.tables.get("force", dumped.force) - dumped.force).max() <= allowed:
            step.lack = "with other forces in MD_dump than in the log"
            return
        step.tables["force"] = dumped.force
    step.box, step.coord = dumped.box, dumped.coord
    if dumped.stress is not None:
        step.stress = dumped.stress


def _found(steps: Iterable[Step]) -> _Found:
    labels, heads = set[str](), set[str]()
    for step in steps:
        labels |= _labels(step)
        heads |= step.heads
    return _Found(labels, heads)


def _with_moments(found: _Found, wanted: Wanted) -> Wanted:
    """Choose the table of moments to read, unless the user names one.

    Magnetic forces belong to the constrained moments; with plane waves these are the onsite projections.
    Without a constraint and magnetic forces nothing is chosen, and all tables must agree.
    """
    there = [name for name in MOMENTS if name in found.labels]
    forces = "force_mag" in found.labels
    belonging = [name for name in there if name == MOMENTS[0] or (forces and name == MOMENTS[1])]
    if "spin" in wanted.columns or not (belonging or len(there) == 1):
        return wanted
    return replace(wanted, columns={"spin": (belonging or there)[0], **wanted.columns})


def _needed(found: _Found, wanted: Wanted) -> list[str]:
    """The tables that a frame of the run must have: each label that any step has, and moments."""
    needed: list[str] = [
        name for name in ("force", "force_mag", "stress") if name in found.labels | found.heads
    ]
    if not wanted.non_magnetic or "moments" in found.heads:
        needed.append(wanted.columns.get("spin", "moments"))
    return needed


def _file(run: _Run, log: Log) -> str:
    return run.log.name + (f" (ABACUS {log.version})" if log.version else "")


def _remedies(run: _Run, wanted: Wanted) -> dict[str, str]:
    """{lack: what to do}."""
    return {
        NO_MOMENTS: (
            f"INPUT has nspin {run.parameters.get('nspin', '1')}; moments are written with nspin 4 and "
            f"sc_mag_switch 1, onsite_radius or out_mul 1. {wanted.hint}."
        ),
        NO_POSITIONS: "out_stru 1 writes them.",
    }


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


def _frame(step: Step, symbols: tuple[str, ...], where: str, notes: Notes) -> RawFrame:
    """The frame of a complete step; collinear moments and magnetic forces become vectors along z."""
    assert step.box is not None
    assert step.coord is not None
    for name in (*MOMENTS, "force_mag"):
        if name in step.tables and step.tables[name].ndim == 1:
            notes.add("collinear moments (nspin 2): read along z", where)
            step.tables[name] = step.tables[name][:, None] * np.array([0.0, 0.0, 1.0])
    entries = {"free_energy": np.array(step.energy)}
    if step.sigma_zero is not None:
        entries["energy_sigma_0"] = np.array(step.sigma_zero)
    if step.stress is not None:
        entries["virial"] = abs(np.linalg.det(step.box)) * KBAR * step.stress
    return RawFrame(symbols, step.box, (True, True, True), step.coord, step.tables, entries)
