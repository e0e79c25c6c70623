"""Measures the speed of models in Python and LAMMPS, and that of deepmd-kit in LAMMPS."""

import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any

import torch
from ase import Atoms

from spinpot import kernels
from spinpot.benchmark.in_lammps import Lammps
from spinpot.benchmark.limit import matrix_operations, matrix_rate
from spinpot.benchmark.processes import peak_memory, run
from spinpot.benchmark.run import title, train, written
from spinpot.core.console import counted, print_line, print_table
from spinpot.data.batch import collate
from spinpot.data.dataset import make_frames
from spinpot.data.from_ase import atoms_of
from spinpot.data.lammps_files import write_data
from spinpot.data.nio_frames import prepare_nio
from spinpot.data.systems import read_systems
from spinpot.evaluation.convert import convert
from spinpot.evaluation.predictor import load

MODELS = {"DeepSPIN": "experiment=nio_deltaspin", "native spins": "experiment=native_spin"}
SHORT = (
    "data=NiO",
    "data.exclude=null",
    "trainer.max_steps=100",
    "trainer.val_check_interval=100",
    "report=false",
)
"""Settings of short trainings; longer ones do not change the speed of the model."""
REPEATS = {32: 1, 256: 2, 2048: 4, 16384: 8}
"""Repetitions of a frame of 32 atoms in each direction, by the number of atoms."""
TURNS, WORKERS = 3, (1, 2)
IN_PYTHON = ("potential", "SpinCalculator")
IN_LAMMPS, PEER = "LAMMPS", "deepspin"
PEER_ATOMS, PEER_MODEL = (32, 256), "DeepSPIN"
ELEMENTS = ("Ni", "O")


@dataclass(frozen=True)
class Row:
    """A measurement of a model. program: one of IN_PYTHON, IN_LAMMPS or PEER. workers: threads, or ranks."""

    model: str
    atoms: int
    program: str
    workers: int

    @property
    def on(self) -> str:
        """The number of threads or ranks, in words."""
        kind = "thread" if self.program in IN_PYTHON else "rank"
        return f"{self.workers} {kind}{'s' * (self.workers > 1)}"


def run_inference(lammps: Path | None, peer: Path | None, output: Path | None) -> dict[str, Any]:
    """Measure all rows, one after the other, TURNS times, each in its own processes; return the results.

    The results are also printed, and written to `output`.
    lammps: an environment with LAMMPS, to measure the plugin. peer: an interpreter with deepmd-kit; the
    LAMMPS of its environment is used for both. Raises InputError if a program fails.
    """
    if peer:
        lammps = peer.parent.parent
    with tempfile.TemporaryDirectory(prefix="spinpot-benchmark-") as folder:
        place = Place(Path(folder), Lammps(lammps) if lammps else None, peer)
        listed = rows(lammps=lammps is not None, peer=peer is not None)
        measured: dict[Row, list[tuple[float, int | None]]] = {row: [] for row in listed}
        rates = []
        for _, row in counted([*product(range(TURNS), listed)], "Taking turns"):
            rates.append(_rate())
            measured[row].append(place.measure(row))
        operations = {model: place.operations_per_atom(model) for model in MODELS}
    rate = statistics.median(rates)
    results = [result(row, turns, operations[row.model], rate) for row, turns in measured.items()]
    found = written({"inference": results, "matrix_rate": rate}, output)
    _print(found)
    return found


def result(
    row: Row, turns: Sequence[tuple[float, int | None]], operations: float, rate: float
) -> dict[str, Any]:
    """The result of a row. operations: per atom. rate: operations per second of a thread."""
    seconds, memory = zip(*turns, strict=True)
    at_peak = operations * row.atoms / (rate * row.workers)
    share = at_peak / statistics.median(seconds)
    return {
        **vars(row),
        "seconds": list(seconds),
        "memory": max(filter(None, memory), default=None),
        "share_of_peak": share,
    }


def rows(lammps: bool, peer: bool) -> list[Row]:
    """All rows, ordered by model and size."""
    programs = (*IN_PYTHON, *([IN_LAMMPS] if lammps else []))
    found = []
    for model, atoms in product(MODELS, REPEATS):
        found += [Row(model, atoms, *own) for own in product(programs, WORKERS)]
        if peer and model == PEER_MODEL and atoms in PEER_ATOMS:
            found.append(Row(model, atoms, PEER, 1))
    return found


class Place:
    """A folder with trained models and structures for all programs."""

    def __init__(self, folder: Path, lammps: Lammps | None, peer: Path | None) -> None:
        self.folder, self.lammps = folder, lammps
        prepare_nio(folder / "NiO")
        for name, experiment in counted(MODELS.items(), "Training for a moment"):
            train([experiment, f"paths.data_dir={folder}", *SHORT], folder / name)
            if lammps:
                convert(self.checkpoint(name), self.model(name))
        if peer:
            convert(self.checkpoint(PEER_MODEL), self.model(PEER_MODEL, ".pth"), str(peer))
        for atoms, repeats in REPEATS.items():
            made = supercell(folder / "NiO" / "train" / "tetragonal_32", repeats)
            made.write(folder / f"{atoms}.traj")
            if lammps:
                write_data(folder / f"{atoms}.data", made, ELEMENTS)

    def checkpoint(self, model: str) -> Path:
        """The checkpoint of a model."""
        return self.folder / model / "checkpoints" / "best.ckpt"

    def model(self, name: str, suffix: str = ".safetensors") -> Path:
        """The model file of a model for other programs."""
        return self.folder / f"{name.replace(' ', '_')}{suffix}"

    def measure(self, row: Row) -> tuple[float, int | None]:
        """Seconds per evaluation, and memory in bytes (in LAMMPS, of a rank)."""
        if row.program in IN_PYTHON:
            structure = self.folder / f"{row.atoms}.traj"
            arguments = (self.checkpoint(row.model), structure, row.program, row.workers)
            command = [sys.executable, "-m", "spinpot.benchmark.evaluations", *map(str, arguments)]
            said = run(command, self.folder, {"OMP_NUM_THREADS": str(row.workers)})
            return float(said.split()[-1]), peak_memory(said)
        assert self.lammps is not None
        data = self.folder / f"{row.atoms}.data"
        if row.program == PEER:
            return self.lammps.measure_peer(self.model(row.model, ".pth"), data, ELEMENTS, row.atoms)
        return self.lammps.measure(self.model(row.model), data, ELEMENTS, row.atoms, row.workers)

    def operations_per_atom(self, model: str, repeats: int = 2) -> float:
        """Floating-point operations per atom of the matrix products in an evaluation with torch."""
        predictor = load(self.checkpoint(model))
        made = supercell(self.folder / "NiO" / "train" / "tetragonal_32", repeats)
        batch = collate(list(make_frames(predictor.systems([made]))), predictor.geometry)
        with kernels.without():
            return matrix_operations(lambda: predictor.potential(batch)) / len(made)


def supercell(system: Path, repeats: int) -> Atoms:
    """The first frame of a system, repeated along each lattice vector, with its moments."""
    (frames,) = read_systems([system])
    return atoms_of(frames, 0).repeat(repeats)  # type: ignore[no-any-return]


def _rate() -> float:
    """The current operations per second of large matrix products on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return matrix_rate(torch.float64, torch.device("cpu"))
    finally:
        torch.set_num_threads(before)


def _print(found: dict[str, Any]) -> None:
    columns = ["model", "atoms", "program", "on", "ms", "μs/atom", "memory", "of peak", "ratio"]
    print_table(title("Evaluations", found), columns, _cells(found["inference"]), ("model", "program", "on"))
    print_line(
        "ms: an evaluation of energy, forces, magnetic forces and virial in float64 with moving atoms, "
        f"median of {TURNS} turns. potential: neighbour list and model only. Memory: of a process or rank. "
        "Of peak: torch's matrix products (the kernels need fewer) at the rate of large ones, "
        f"{found['matrix_rate'] / 1e9:.0f} GFLOP/s per thread or rank, relative to the measured time. "
        "deepspin: deepmd-kit's pair style. Ratio: its time divided by spinpot's on one rank."
    )


def _cells(results: Sequence[dict[str, Any]]) -> Iterator[list[str]]:
    own = [Row(*(row[item.name] for item in fields(Row))) for row in results]
    medians = {row: statistics.median(found["seconds"]) for row, found in zip(own, results, strict=True)}
    for (row, seconds), result in zip(medians.items(), results, strict=True):
        ours = medians.get(Row(row.model, row.atoms, IN_LAMMPS, 1))
        yield [
            row.model,
            str(row.atoms),
            row.program,
            row.on,
            f"{1000 * seconds:.{0 if seconds > 1.0 else 2}f}",
            f"{1e6 * seconds / row.atoms:.{0 if row.program == PEER else 1}f}",
            f"{result['memory'] / 1e9:.2f} GB" if result["memory"] else "",
            f"{100 * result['share_of_peak']:.0f} %" if row.program != PEER else "",
            f"{seconds / ours:.0f}" if ours and row.program == PEER else "",
        ]
