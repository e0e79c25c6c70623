"""Short spin-lattice dynamics: does it keep the energy, and how does the order fade with temperature?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from ase import Atoms, units
from matplotlib.figure import Figure
from rich.progress import Progress, TaskID

from spinpot.analysis.model import Model
from spinpot.analysis.moments import sublattices
from spinpot.analysis.result import Picture, Result, Table, shown
from spinpot.ase import SpinLatticeDynamics
from spinpot.core.console import progress_console
from spinpot.core.errors import InputError
from spinpot.data.cell import directions
from spinpot.report.plots import rounded
from spinpot.report.style import faint, ink

TOLERANCE = {"free": 1e-6, "bath": 1e-3}
"""μ_B, of the midpoint of a step; the energy is kept to it, the noise of a bath is far larger."""
SAMPLE_EVERY = 5
"""Steps; energies between them would cost evaluations of the model and say little more."""
FEWEST_STEPS = 10


@dataclass(frozen=True)
class Settings:
    """Keys of configs/task/dynamics.yaml."""

    temperatures: list[float] = field(default_factory=lambda: [100.0, 300.0, 600.0])
    repeat: list[int] = field(default_factory=lambda: [1, 1, 1])
    lattice: bool = True
    timestep: float = 1.0
    equilibrate: float = 0.2
    average: float = 0.3
    conserve: float = 0.2
    damping: float = 0.3
    friction: float = 0.02
    seed: int = 1

    def __post_init__(self) -> None:
        """Raise InputError for what cannot be meant."""
        if not self.temperatures or min(self.temperatures) < 0.0:
            raise InputError(
                f"task.dynamics.temperatures={self.temperatures}: expected one or several, in K and >= 0."
            )
        if len(self.repeat) != 3 or min(self.repeat) < 1:
            raise InputError(
                f"task.dynamics.repeat={self.repeat}: expected three whole numbers >= 1, such as [2,2,2]."
            )
        for name in ("timestep", "damping"):
            if getattr(self, name) <= 0.0:
                raise InputError(f"task.dynamics.{name}={getattr(self, name)}: expected a number > 0.")
        for name in ("equilibrate", "average", "conserve"):
            if self.steps(name) < FEWEST_STEPS:
                raise InputError(
                    f"task.dynamics.{name}={getattr(self, name)} ps: expected at least {FEWEST_STEPS} steps "
                    f"of {self.timestep} fs."
                )
        if self.friction < 0.0 or self.seed < 0:
            raise InputError(
                f"task.dynamics: friction={self.friction}, seed={self.seed}. Expected numbers >= 0."
            )

    def steps(self, name: str) -> int:
        """How many steps one of the times has."""
        return round(1000.0 * getattr(self, name) / self.timestep)


@dataclass(frozen=True)
class Average:
    """Of the time at one temperature (K).

    order: |Σ S|/Σ|S| of a sublattice, the mean over sublattices and time; spread: its standard deviation in
    time; net: |Σ S| per magnetic atom, μ_B; energy: potential, eV/atom above the given structure;
    lattice: the atoms' kinetic temperature, K.
    """

    temperature: float
    order: float
    spread: float
    net: float
    energy: float
    lattice: float | None


@dataclass(frozen=True)
class Drift:
    """Of the total energy without a bath. time: ps. change: eV/atom from the start. rate: eV/atom/ps."""

    time: np.ndarray
    change: np.ndarray
    rate: float


def dynamics(model: Model, atoms: Atoms, settings: Settings) -> Result:
    """From one temperature to the next, lowest first: equilibrate in a bath, then average.

    At the first of them the bath is then taken away, to see whether the energy is kept. Raises InputError
    where a step is too long, and where the structure falls apart.
    """
    cells, groups = check(atoms, settings)
    cells.calc = model
    ground = cells.get_potential_energy()
    rng = np.random.default_rng(settings.seed)
    temperatures = sorted(settings.temperatures)
    drift, averages = None, []
    with Progress(console=progress_console, transient=True) as bar:
        task = bar.add_task("", total=_total_steps(settings))
        if settings.lattice:
            spread = np.sqrt(units.kB * temperatures[0] * cells.get_masses()[:, None])
            cells.set_momenta(spread * rng.normal(size=(len(cells), 3)))
        for temperature in temperatures:
            bar.update(task, description=f"{temperature:g} K")
            bath = in_bath(cells, settings, temperature, rng)
            _run(bath, settings.steps("equilibrate"), bar, task)
            if drift is None:
                drift = conserved(cells, settings, bar, task)
            averages.append(averaged(bath, settings, groups, ground, bar, task))
    assert drift is not None  # there is a first temperature
    return _result(cells, groups, drift, averages, settings)


def check(atoms: Atoms, settings: Settings) -> tuple[Atoms, list[np.ndarray]]:
    """The repeated structure and its sublattices. Raises InputError if no order can be told of them."""
    if any(times > 1 for times, periodic in zip(settings.repeat, atoms.pbc, strict=True) if not periodic):
        raise InputError(
            f"task.dynamics.repeat={settings.repeat}: the structure is periodic {directions(atoms.pbc)} of "
            "the cell. Repeat it along those directions alone."
        )
    cells = atoms.repeat(settings.repeat)
    groups = sublattices(cells)
    if max(map(len, groups)) == 1:
        raise InputError(
            f"task.dynamics.repeat={settings.repeat}: each sublattice has a single moment, whose order is "
            "always 1. Repeat the cell, e.g. task.dynamics.repeat=[2,2,2]."
        )
    return cells, groups


def in_bath(
    atoms: Atoms, settings: Settings, temperature: float, rng: np.random.Generator
) -> SpinLatticeDynamics:
    """Dynamics in a heat bath."""
    return SpinLatticeDynamics(
        atoms,
        settings.timestep * units.fs,
        lattice=settings.lattice,
        damping=settings.damping,
        tolerance=TOLERANCE["bath"],
        temperature_K=temperature,
        friction=settings.friction / units.fs,
        rng=rng,
    )


def conserved(atoms: Atoms, settings: Settings, bar: Progress, task: TaskID) -> Drift:
    """The total energy of a copy of the atoms, left to itself; its rate by least squares."""
    copy = atoms.copy()
    copy.calc = atoms.calc
    free = SpinLatticeDynamics(
        copy, settings.timestep * units.fs, lattice=settings.lattice, tolerance=TOLERANCE["free"]
    )
    energies = [copy.get_total_energy()]
    for _ in range(settings.steps("conserve") // SAMPLE_EVERY):
        _run(free, SAMPLE_EVERY, bar, task)
        energies.append(copy.get_total_energy())
    change = (np.array(energies) - energies[0]) / len(copy)
    time = np.arange(len(energies)) * SAMPLE_EVERY * settings.timestep / 1000.0
    return Drift(time, change, float(np.polyfit(time, change, 1)[0]))


def averaged(
    bath: SpinLatticeDynamics,
    settings: Settings,
    groups: Sequence[np.ndarray],
    ground: float,
    bar: Progress,
    task: TaskID,
) -> Average:
    """What the state is like in the mean over a time."""
    atoms = bath.atoms
    orders, nets, energies, temperatures = [], [], [], []
    for _ in range(settings.steps("average") // SAMPLE_EVERY):
        _run(bath, SAMPLE_EVERY, bar, task)
        spin = atoms.get_initial_magnetic_moments()
        orders.append(np.mean([order_of(spin[group]) for group in groups]))
        nets.append(np.linalg.norm(spin.sum(axis=0)) / sum(map(len, groups)))
        energies.append(atoms.get_potential_energy() - ground)
        temperatures.append(atoms.get_temperature())
    return Average(
        bath.thermal_energy / units.kB,
        float(np.mean(orders)),
        float(np.std(orders)),
        float(np.mean(nets)),
        float(np.mean(energies)) / len(atoms),
        float(np.mean(temperatures)) if settings.lattice else None,
    )


def order_of(spin: np.ndarray) -> float:
    """|Σ S|/Σ|S| of spins (N, 3): 1 if they are parallel."""
    return float(np.linalg.norm(spin.sum(axis=0)) / np.linalg.norm(spin, axis=1).sum())


def order_by_chance(groups: Sequence[np.ndarray]) -> float:
    """The mean order of as many moments in random directions: √(8/3πn), exact for n = 1 and near it above."""
    return float(
        np.mean([1.0 if len(group) == 1 else np.sqrt(8.0 / (3.0 * np.pi * len(group))) for group in groups])
    )


def figure(drift: Drift, averages: Sequence[Average], chance: float) -> Figure:
    """Left the energy in time, right the order against temperature."""
    picture = Figure(figsize=(6.8, 3.2), layout="constrained")
    left, right = picture.subplots(1, 2)
    left.plot(drift.time, 1000 * drift.change, linewidth=0.8)
    left.set(xlabel="time without bath (ps)", ylabel="E(t) − E(0) (meV/atom)")
    right.axhline(chance, color=ink(), linewidth=0.8, linestyle="--", label="random moments")
    right.errorbar(
        [average.temperature for average in averages],
        [average.order for average in averages],
        [average.spread for average in averages],
        marker="o",
        markersize=4,
        capsize=2,
        ecolor=faint(),
    )
    right.set(xlabel="temperature (K)", ylabel="order of a sublattice, |Σ S|/Σ|S|", ylim=(0, 1.05))
    right.legend(frameon=False)
    return picture


def _run(dynamics: SpinLatticeDynamics, steps: int, bar: Progress, task: TaskID) -> None:
    for _ in range(steps):
        dynamics.step()
        bar.advance(task)


def _total_steps(settings: Settings) -> int:
    per_temperature = settings.steps("equilibrate") + settings.steps("average")
    return len(settings.temperatures) * per_temperature + settings.steps("conserve")


def _result(
    atoms: Atoms,
    groups: Sequence[np.ndarray],
    drift: Drift,
    averages: Sequence[Average],
    settings: Settings,
) -> Result:
    chance = order_by_chance(groups)
    return Result(
        "Spin-lattice dynamics",
        paragraphs=_paragraphs(atoms, groups, drift, averages, settings),
        tables=[_table(averages)],
        pictures=[
            Picture(
                "dynamics",
                "Energy without bath, and order in it",
                "Left the total energy against time, right the order of the sublattices against temperature.",
                partial(figure, drift, averages, chance),
            )
        ],
        numbers=_numbers(atoms, groups, drift, averages, chance),
    )


def _paragraphs(
    atoms: Atoms,
    groups: Sequence[np.ndarray],
    drift: Drift,
    averages: Sequence[Average],
    settings: Settings,
) -> list[str]:
    moving = "atoms and spins" if settings.lattice else "spins alone"
    sizes = ", ".join(str(len(group)) for group in groups[:8]) + (" …" if len(groups) > 8 else "")
    return [
        f"{len(atoms)} atoms in a fixed cell; {moving} move, lengths of moments are kept. Sublattices: "
        f"{len(groups)}, of {sizes} moments.",
        f"Without a bath, at {averages[0].temperature:g} K, the total energy drifts by "
        f"{shown(1000 * drift.rate)} meV/atom/ps over {drift.time[-1]:g} ps and stays within "
        f"{rounded(1000 * float(np.ptp(drift.change)))} meV/atom.",
        f"{_fading(averages)} This is a smoke test of the potential, no claim about an ordering temperature: "
        f"so few moments stay ordered in part at any temperature, the averages are over {settings.average:g} "
        "ps, and classical moments fluctuate more than quantum ones when it is cold.",
    ]


def _fading(averages: Sequence[Average]) -> str:
    """Between which temperatures the order falls below a half."""
    below = [k for k, average in enumerate(averages) if average.order < 0.5]
    if not below:
        return f"The sublattices are ordered by more than a half up to {averages[-1].temperature:g} K."
    if below[0] == 0:
        return f"The sublattices are ordered by less than a half at {averages[0].temperature:g} K already."
    low, high = averages[below[0] - 1], averages[below[0]]
    return (
        f"The order of the sublattices falls below a half between {low.temperature:g} and "
        f"{high.temperature:g} K."
    )


def _table(averages: Sequence[Average]) -> Table:
    rows = [
        (f"{one.temperature:g}", one.order, one.spread, one.net, 1000 * one.energy, one.lattice)
        for one in averages
    ]
    columns = (
        "T (K)",
        "order",
        "its spread",
        "net moment (μ_B)",
        "E − E(given) (meV/atom)",
        "T of atoms (K)",
    )
    note = (
        "Order: |Σ S|/Σ|S| of a sublattice, the mean over sublattices and time, with its standard deviation "
        "in time. Net moment: |Σ S| per magnetic atom."
    )
    return Table("Order against temperature", columns, rows, note)


def _numbers(
    atoms: Atoms, groups: Sequence[np.ndarray], drift: Drift, averages: Sequence[Average], chance: float
) -> dict[str, Any]:
    return {
        "atoms": len(atoms),
        "sublattices": [len(group) for group in groups],
        "drift": drift.rate,
        "drift_range": float(np.ptp(drift.change)),
        "order_of_random_moments": chance,
        "temperature": [one.temperature for one in averages],
        "order": [one.order for one in averages],
        "order_spread": [one.spread for one in averages],
        "net_moment": [one.net for one in averages],
        "energy_per_atom": [one.energy for one in averages],
        "lattice_temperature": [one.lattice for one in averages],
    }
