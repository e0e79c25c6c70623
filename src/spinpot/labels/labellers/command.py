"""Labels by any other code: a user's command reads a structure with moments and writes a labelled one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase.io
import numpy as np

from spinpot.core.errors import InputError, require
from spinpot.core.notes import Notes
from spinpot.data.from_ase import with_columns
from spinpot.data.readers.find import READERS, read_frames
from spinpot.data.readers.names import OPTIONS
from spinpot.data.readers.reader import Wanted
from spinpot.data.systems import System
from spinpot.labels.configuration import Configuration
from spinpot.labels.label import FrameError, Label

CLOSE = 1e-3  # Å, tolerance for positions and cells in the output, because files have few digits
OUTPUT = "output.txt"
START = "SPINPOT_START"
PLAIN = re.compile(r"[\w./$+-]+")  # the first word of a command, if it is a plain name
NEEDED = ("energy", "force", "force_mag")


class _Settings(Wanted):
    """How the output of the command is read; messages name the settings of `spinpot label`."""

    def option(self, name: str, value: str = "") -> str:
        """An option as the user gives it; name: its keyword."""
        column = next((array for array, option in OPTIONS.items() if option == name), None)
        return f"label.columns.{column}={value}" if column else f"label.{name}={value}"

    @property
    def hint(self) -> str:
        """What to do with frames that have no moments."""
        return "For frames that are not magnetic, write zero vectors"


class CommandLabeller:
    """Writes a configuration, runs the command in its folder, and reads the output.

    command: a shell command, run in the folder of the frame; $SPINPOT_START is the folder where spinpot was
        started.
    input: the name of the input file, extxyz with the columns spin:R:3 (μ_B: directions to hold and initial
        lengths) and constrained:L:1.
    output: the name of the output file or folder. read_as: its format, as in `spinpot prepare --format`, or
        `auto`. columns, moment_unit: see Wanted.
    time_limit: s. isotropic: see Labeller. holds_lengths: whether the code can hold lengths.
    code: the name of the code in the provenance of the frames; None uses the command.
    """

    def __init__(
        self,
        command: str,
        input: str = "configuration.xyz",
        output: str = "labelled.xyz",
        read_as: str = "auto",
        columns: dict[str, str] | None = None,
        moment_unit: str | None = None,
        time_limit: float | None = None,
        isotropic: bool = False,
        holds_lengths: bool = True,
        code: str | None = None,
    ) -> None:
        self.command = command
        self.input, self.output, self.read_as = input, output, read_as
        self.wanted = _Settings(columns=columns or {}, moment_unit=moment_unit)
        self.time_limit = time_limit
        self.isotropic = isotropic
        self.holds_lengths = holds_lengths
        self.code = code
        self.environment = {**os.environ, START: str(Path.cwd())}
        known = ("auto", *READERS)
        require(read_as in known, "label.read_as", read_as, f"one of {', '.join(known)}.")
        require(
            time_limit is None or time_limit > 0.0, "label.time_limit", time_limit, "seconds > 0, or null."
        )

    def check(self, configurations: Sequence[Configuration]) -> None:
        """Raise InputError if the shell does not find the command, or it cannot hold lengths as requested."""
        first = self.command.split(maxsplit=1)[:1]
        require(first, "label.command", "", "a command that labels a frame.")
        if PLAIN.fullmatch(first[0]) and not self.finds(first[0]):
            raise InputError(
                f"label.command={self.command}: there is no {first[0]}. Install it, or correct the "
                f"name. The command runs in another folder; begin paths relative to this one with ${START}/."
            )
        if not self.holds_lengths and any(one.hold_lengths for one in configurations):
            raise InputError(
                "recipe.hold=vector needs a command that holds lengths, but label.holds_lengths=false. Use "
                "recipe.hold=direction."
            )

    def finds(self, name: str) -> bool:
        """Whether the shell finds a command."""
        asked = ["sh", "-c", f'command -v "{name}"']
        return subprocess.run(asked, env=self.environment, capture_output=True, check=False).returncode == 0

    def provenance(self) -> dict[str, Any]:
        """The name of the code, the command, and how its output is read."""
        return {
            "code": self.code or self.command,
            "command": self.command,
            "read_as": self.read_as,
            "output": self.output,
            "columns": dict(self.wanted.columns),
            "moment_unit": self.wanted.moment_unit,
            "isotropic": self.isotropic,
        }

    def label(self, configuration: Configuration, folder: Path) -> Label:
        """Run the command and read its label. Raises FrameError if it fails or its output does not match."""
        write_input(configuration, folder / self.input)
        self.run(folder)
        answer = self.read(folder)
        check_same(configuration, answer)
        virial = answer.virial
        return Label(
            energy=float(answer.energy[0]),  # type: ignore[index]
            forces=np.array(answer.force[0]),  # type: ignore[index]
            moments=np.array(answer.spin[0]),
            magnetic_forces=np.array(answer.force_mag[0]),  # type: ignore[index]
            virial=None if virial is None else np.array(virial[0]),
        )

    def run(self, folder: Path) -> None:
        """Run the command in its own process group, which is killed at the time limit."""
        with (folder / OUTPUT).open("wb") as output:
            process = subprocess.Popen(
                self.command,
                shell=True,
                cwd=folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = process.wait(self.time_limit)
            except subprocess.TimeoutExpired:
                end_group(process)
                raise FrameError(
                    f"the command took longer than {self.time_limit:g} s{last_line(folder)}"
                ) from None
            except BaseException:  # Ctrl-C
                end_group(process)
                raise
        if code != 0:
            raise FrameError(f"the command ended with exit code {code}{last_line(folder)}")

    def read(self, folder: Path) -> System:
        """Read the single frame of the output."""
        place = folder / self.output
        if not place.exists():
            raise FrameError(f"the command wrote no {self.output}{last_line(folder)}")
        try:
            systems = read_frames(place, self.read_as, self.wanted, Notes())
        except InputError as error:
            raise FrameError(str(error).replace(f"{folder}/", "")) from error
        if len(systems) != 1 or len(systems[0]) != 1:
            raise FrameError(f"{self.output} holds {sum(map(len, systems))} frames, expected one")
        if missing := [name for name in NEEDED if getattr(systems[0], name) is None]:
            raise FrameError(f"{self.output} has no {', '.join(missing)}")
        return systems[0]


def write_input(configuration: Configuration, path: Path) -> None:
    """Write extended XYZ with the columns spin and constrained."""
    atoms = configuration.atoms.copy()
    atoms.arrays.pop("initial_magmoms", None)
    atoms.set_initial_magnetic_moments(configuration.moments)
    made = with_columns(atoms, name=configuration.name)
    made.arrays["constrained"] = configuration.constrained
    ase.io.write(path, made, format="extxyz")


def check_same(configuration: Configuration, answer: System) -> None:
    """Raise FrameError unless the output has the same atoms, order and cell as the input."""
    atoms = configuration.atoms
    if answer.elements != atoms.get_chemical_symbols():
        raise FrameError(
            f"the output has other atoms: {' '.join(answer.elements)}, expected "
            f"{' '.join(atoms.get_chemical_symbols())}, in this order"
        )
    if not np.allclose(answer.box[0], atoms.cell.array, rtol=0.0, atol=CLOSE):
        raise FrameError(f"the output has another cell: {np.round(answer.box[0], 4).tolist()}")
    fractions = (np.asarray(answer.coord[0]) - atoms.positions) @ np.linalg.inv(atoms.cell.array)
    away = np.linalg.norm((fractions - np.rint(fractions)) @ atoms.cell.array, axis=1)
    if away.max() > CLOSE:
        raise FrameError(f"atom {away.argmax()} has moved by {away.max():.3g} Å in the output")


def last_line(folder: Path) -> str:
    """`: …`, the last line printed by the command."""
    text = (folder / OUTPUT).read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f": {lines[-1][:300]}" if lines else ", and printed nothing"


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the command and all processes that it has started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
