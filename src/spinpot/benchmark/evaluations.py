"""Measures the time of evaluations; spinpot.benchmark.inference runs it in a separate process.

`python -m spinpot.benchmark.evaluations CHECKPOINT STRUCTURE PROGRAM THREADS`
"""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import torch
from ase import Atoms

from spinpot.ase import SpinCalculator
from spinpot.benchmark.processes import STATUS
from spinpot.data.batch import collate
from spinpot.data.dataset import make_frames
from spinpot.evaluation.predictor import load

SECONDS, LEAST = 3.0, 5
"""Duration of the evaluations in seconds, and their smallest number."""
SKIN, MOVE = 0.5, 0.005
"""Å: the skin of the neighbour list, and the standard deviation of the random displacements."""


def by_potential(checkpoint: str, atoms: Atoms) -> Callable[[], object]:
    """Evaluate the neighbour list and the model only."""
    predictor = load(checkpoint)
    geometry = replace(predictor.geometry, skin=SKIN)

    def evaluate() -> object:
        batch = collate(list(make_frames(predictor.systems([atoms]))), geometry)
        return predictor.potential(batch)

    return evaluate


def by_calculator(checkpoint: str, atoms: Atoms) -> Callable[[], object]:
    """Evaluate with SpinCalculator, as users of ASE do."""
    atoms.calc = SpinCalculator(checkpoint, skin=SKIN)
    return lambda: atoms.get_forces()


PROGRAMS = {"potential": by_potential, "SpinCalculator": by_calculator}


def seconds(evaluate: Callable[[], object], atoms: Atoms) -> float:
    """The median time of evaluations of moving atoms, after one warm-up."""
    rng, start, taken = np.random.default_rng(0), atoms.positions.copy(), list[float]()
    evaluate()
    while len(taken) < LEAST or sum(taken) < SECONDS:
        atoms.positions[:] = start + rng.normal(scale=MOVE, size=start.shape)
        begin = time.perf_counter()
        evaluate()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def main(checkpoint: str, structure: str, program: str, threads: str) -> None:
    """Print the system's status of this process, and the seconds per evaluation."""
    torch.set_num_threads(int(threads))
    atoms = ase.io.read(structure)
    assert isinstance(atoms, Atoms)
    taken = seconds(PROGRAMS[program](checkpoint, atoms), atoms)
    if (status := Path(STATUS)).exists():
        print(status.read_text())
    print(taken)


if __name__ == "__main__":
    main(*sys.argv[1:])
