"""The folder of labels: its settings, its jobs, and the training frames, which are complete at any time."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from spinpot.core.differences import differences, in_words
from spinpot.core.errors import InputError
from spinpot.core.files import one_at_a_time, read_object, reason, write_atomically
from spinpot.core.notes import shortened
from spinpot.core.provenance import git_commit, versions
from spinpot.data.npy_folder import write_npy
from spinpot.data.systems import System
from spinpot.labels.checks import strange_energies
from spinpot.labels.configuration import Configuration
from spinpot.labels.jobs import Job
from spinpot.labels.label import Label
from spinpot.labels.recipe import SystemRecipe, by_system
from spinpot.labels.trajectory import TRAJECTORIES

SETTINGS, JOBS, FRAMES, PROVENANCE = "settings.json", "jobs", "frames", "provenance.json"
PATIENCE = 10.0  # shortest time between two writings of the frames, s
OTHERS = ("multirun.yaml",)  # Hydra writes it here in a sweep
SHARE = 0.05  # largest share of the time spent on writing frames


@dataclass(frozen=True)
class Labelled:
    """A configuration, its label, and the time of the calculation in seconds."""

    configuration: Configuration
    label: Label
    seconds: float


class LabelFolder:
    """Configurations and their labels in a folder that several processes may share.

    provenance: plain data common to all frames, stored with them.
    """

    def __init__(
        self, folder: Path, configurations: Sequence[Configuration], provenance: Mapping[str, Any]
    ) -> None:
        self.folder = folder
        self.provenance = provenance
        self.systems = {
            name: [Job(one, folder / JOBS / one.name) for one in own]
            for name, own in by_system(configurations).items()
        }
        self.jobs = mixed(self.systems.values())
        self.known: dict[str, Labelled] = {}
        self.next_writing = time.monotonic() + PATIENCE

    def open(self, settings: Mapping[str, Any]) -> None:
        """Create the folder, or check that it has the same settings. Raises InputError if they differ."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with one_at_a_time(self.folder / SETTINGS):
                self._keep_settings(json.loads(json.dumps(settings)))
        except OSError as error:
            raise InputError(
                f"output={self.folder}: cannot write there: {reason(error)}. Make room there, or give "
                "another folder."
            ) from error

    def _keep_settings(self, settings: dict[str, Any]) -> None:
        file = self.folder / SETTINGS
        if not file.exists():
            if any(path.name not in OTHERS for path in self.folder.iterdir() if path.name[0] != "."):
                raise InputError(
                    f"output={self.folder}: holds files other than labels. Give a new or an empty folder."
                )
            write_atomically(file, json.dumps(settings, indent=2) + "\n")
            return
        then = read_object(file)
        listed = in_words(differences(then, settings, keeps_frames))
        if listed:
            raise InputError(
                f"output={self.folder}: holds labels with other settings ({shortened(listed, most=4)}). Give "
                "another folder, or the same settings; only the systems of the recipe and their numbers of "
                "frames may change. Nothing was changed."
            )
        if then != settings:
            write_atomically(file, json.dumps(settings, indent=2) + "\n")

    def check_labels(self) -> None:
        """Raise InputError if the folder has damaged labels or labels of other configurations."""
        for system in self.systems:
            self.labelled(system)

    def labelled(self, system: str) -> list[Labelled]:
        """All labelled configurations of a system, in order."""
        found = []
        for job in self.systems[system]:
            name = job.configuration.name
            if name not in self.known and job.done:
                self.known[name] = Labelled(job.configuration, *job.read())
            if name in self.known:
                found.append(self.known[name])
        return found

    def kept(self, system: str) -> list[Labelled]:
        """The labelled configurations of a system without those whose energy is an outlier."""
        own = self.labelled(system)
        strange = strange_energies([one.label for one in own])
        return [one for number, one in enumerate(own) if number not in strange]

    def left_out(self) -> dict[str, str]:
        """Frames whose energy is an outlier, and by how much."""
        return {
            own[number].configuration.name: why
            for own in map(self.labelled, self.systems)
            for number, why in strange_energies([one.label for one in own]).items()
        }

    def failed(self) -> dict[str, str]:
        """Frames whose calculation failed, and why."""
        return {job.configuration.name: job.reason() for job in self.jobs if job.failed}

    def arrived(self, job: Job) -> None:
        """Write the frames if the last writing was long enough ago."""
        if time.monotonic() >= self.next_writing:
            self.write_frames()

    def alone(self) -> FileLock:
        """A lock under which one process at a time writes the frames and the summary."""
        return FileLock(self.folder / f".{FRAMES}.lock")

    def write_frames(self) -> None:
        """Update the training frames of all systems with the labels available now."""
        begun = time.monotonic()
        (self.folder / FRAMES).mkdir(exist_ok=True)
        with self.alone():
            for system in self.systems:
                self._write_system(system)
        now = time.monotonic()
        self.next_writing = now + max(PATIENCE, (now - begun) / SHARE)

    def _write_system(self, system: str) -> None:
        own, place = self.kept(system), self.folder / FRAMES / system
        names = [one.configuration.name for one in own]
        written = read_object(place / PROVENANCE)
        if not own or written.get("frames") == names:
            return
        draft, old = (self.folder / f".{FRAMES}.{what}" for what in ("new", "old"))
        shutil.rmtree(draft, ignore_errors=True)  # left by a killed process
        shutil.rmtree(old, ignore_errors=True)
        write_npy(system_of(system, own), draft)
        contents = {**self.provenance, "frames": names, "git_commit": git_commit(), "versions": versions()}
        write_atomically(draft / PROVENANCE, json.dumps(contents, indent=2) + "\n")
        if place.exists():
            place.rename(old)
        draft.rename(place)
        shutil.rmtree(old, ignore_errors=True)


def mixed(systems: Iterable[Sequence[Job]]) -> list[Job]:
    """All jobs, ordered so that all systems progress at the same rate."""
    shares = [((number + 0.5) / len(own), job) for own in systems for number, job in enumerate(own)]
    return [job for _, job in sorted(shares, key=itemgetter(0))]


def system_of(name: str, own: Sequence[Labelled]) -> System:
    """A System of labelled frames of the same atoms; spins are zero for atoms without a target moment."""
    symbols = own[0].configuration.atoms.get_chemical_symbols()
    type_map = tuple(sorted(set(symbols)))
    a, b, c = own[0].configuration.atoms.pbc.tolist()
    virials = [one.label.virial for one in own]
    return System(
        name=name,
        path=Path(name),
        type_map=type_map,
        types=np.array([type_map.index(symbol) for symbol in symbols], dtype=np.int64),
        box=np.stack([one.configuration.atoms.cell.array for one in own]),
        coord=np.stack([one.configuration.atoms.positions for one in own]),
        spin=np.stack([_of_magnetic(one, one.label.moments) for one in own]),
        energy=np.array([one.label.energy for one in own]),
        force=np.stack([one.label.forces for one in own]),
        force_mag=np.stack([_of_magnetic(one, one.label.magnetic_forces) for one in own]),
        virial=None if any(one is None for one in virials) else np.stack(virials),  # type: ignore[arg-type]
        pbc=(a, b, c),
    )


def _of_magnetic(one: Labelled, values: np.ndarray) -> np.ndarray:
    """The values, with zero for non-magnetic atoms: their induced moments are not independent variables."""
    magnetic = one.configuration.moments.any(axis=1, keepdims=True)
    return np.where(magnetic, values, 0.0)


def keeps_frames(key: str, then: Any, now: Any) -> bool:
    """Whether a difference of settings changes no existing frame.

    A recipe may add or drop systems, or change their number of frames. A setting that did not exist then may
    have its default now. Files of trajectories are compared by frames_in_files.
    """
    place = key.split(".")
    if place[0] == TRAJECTORIES:
        return True
    if place[0] == "recipe" and then is None and now == getattr(SystemRecipe, place[-1], None):
        return True
    return place[:2] == ["recipe", "systems"] and (
        place[3:] == ["frames"] or (len(place) == 3 and None in (then, now))
    )
