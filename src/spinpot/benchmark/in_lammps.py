"""Times LAMMPS steps (one evaluation each) with spinpot's plugin and with deepmd-kit's pair style."""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from spinpot.benchmark.processes import peak_memory, run
from spinpot.core.errors import InputError
from spinpot.lammps.build import build

INPUT = """\
units metal
atom_style spin
atom_modify map array
box tilt large
read_data {data}
{plugin}
pair_style {style} {model}
pair_coeff * * {elements}
neighbor 0.5 bin
timestep 0.0005
fix move all nve
run 1
run {steps}
shell "cat /proc/$PPID/status"
"""
LOOP = re.compile(r"Loop time of (\S+) on \d+ procs for (\d+) steps")
ATOM_STEPS = 40_000
"""Atoms × steps of a measurement, which takes seconds."""
FEWEST, MOST = 5, 200
PEER_STEPS = {32: 5}
PEER_FEWEST = 2


class Lammps:
    """The LAMMPS of an environment, with spinpot's plugin, which is built if needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plugin = build(folder, None)
        self.program = self._find("lmp")

    def measure(
        self, model: Path, data: Path, elements: Sequence[str], atoms: int, ranks: int
    ) -> tuple[float, int | None]:
        """Seconds per step of spinpot's pair style, and memory of a rank in bytes."""
        steps = min(max(ATOM_STEPS // atoms, FEWEST), MOST)
        style = {"style": "ml/spinpot", "plugin": f"plugin load {self.plugin}"}
        launcher = [self._find("mpirun"), "-n", str(ranks)] if ranks > 1 else []
        return self._run(launcher, model, data, elements, steps, style)

    def measure_peer(
        self, model: Path, data: Path, elements: Sequence[str], atoms: int
    ) -> tuple[float, int | None]:
        """The same for deepmd-kit's pair style, on one rank."""
        steps = PEER_STEPS.get(atoms, PEER_FEWEST)
        return self._run([], model, data, elements, steps, {"style": "deepspin", "plugin": ""})

    def _run(
        self,
        launcher: list[str],
        model: Path,
        data: Path,
        elements: Sequence[str],
        steps: int,
        style: dict[str, str],
    ) -> tuple[float, int | None]:
        text = INPUT.format(model=model, data=data, elements=" ".join(elements), steps=steps, **style)
        with tempfile.TemporaryDirectory(dir=data.parent) as folder:
            (Path(folder) / "in.steps").write_text(text)
            command = [*launcher, self.program, "-in", "in.steps", "-log", "none"]
            said = run(command, Path(folder), {"OMP_NUM_THREADS": "1", "PYTHONPATH": ""})
        if not (loops := LOOP.findall(said)):
            raise InputError(f"{' '.join(command)} printed no loop time: {said.strip()[-1000:]}")
        seconds, made = loops[-1]
        return float(seconds) / int(made), peak_memory(said)

    def _find(self, program: str) -> str:
        for place in (self.folder / "bin" / program, self.folder / program):
            if place.is_file():
                return str(place)
        raise InputError(f"There is no {program} in {self.folder}. Give an environment with LAMMPS.")
