"""Task dynamics: energy conservation and magnetic order against temperature in short dynamics."""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field, fields
from functools import partial

import numpy as np
from ase import Atoms, units

from spinpot.analysis.moments import sublattices
from spinpot.analysis.result import Picture, Result, Table, shown
from spinpot.ase import SpinCalculator, SpinLatticeDynamics
from spinpot.core.console import counted
from spinpot.core.errors import require
from spinpot.data.cell import directions
from spinpot.report.plots import rounded
from spinpot.report.style import Figure, faint, ink, new_figure

TOLERANCE = {"free": 1e-6, "bath": 1e-3}
"""Tolerance of the midpoint iteration, μ_B. It limits energy conservation; a bath's noise is far larger."""
SAMPLE_EVERY = 5  # steps between samples; more samples cost evaluations and add little information
FEWEST_STEPS = 10
TITLE = "Energy without bath, and order in it"
ALT = "Left the total energy against time, right the order of the sublattices against temperature."


@dataclass(frozen=True)
class Settings:
    """Settings of configs/task/dynamics.yaml. Raises InputError for invalid values."""

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
        warm = min(self.temperatures, default=-1.0) >= 0.0
        require(warm, "task.dynamics.temperatures", self.temperatures, "one or several, in K and >= 0.")
        whole = len(self.repeat) == 3 and min(self.repeat) >= 1
        require(whole, "task.dynamics.repeat", self.repeat, "three whole numbers >= 1, such as [2,2,2].")
        for name, value in (("timestep", self.timestep), ("damping", self.damping)):
            require(value > 0.0, f"task.dynamics.{name}", value, "a number > 0.")
        for name, value in (("friction", self.friction), ("seed", self.seed)):
            require(value >= 0, f"task.dynamics.{name}", value, "a number >= 0.")
        for name in ("equilibrate", "average", "conserve"):
            long, time = self.steps(name) >= FEWEST_STEPS, f"{getattr(self, name)} ps"
            expected = f"at least {FEWEST_STEPS} steps of {self.timestep} fs."
            require(long, f"task.dynamics.{name}", time, expected)

    def steps(self, name: str, every: int = 1) -> int:
        """The number of steps of a time setting, rounded down to a multiple of `every`."""
        return round(1000.0 * float(getattr(self, name)) / self.timestep) // every * every


@dataclass(frozen=True)
class Average:
    """Time averages at one temperature (K), named as in analysis.json.

    order, order_spread: |Σ S|/Σ|S| of a sublattice, mean over sublattices and time, and its standard
    deviation in time. net_moment: |Σ S| per magnetic atom, μ_B. energy_per_atom: potential energy above the
    given structure, eV. lattice_temperature: kinetic temperature of the atoms, K.
    """

    temperature: float
    order: float
    order_spread: float
    net_moment: float
    energy_per_atom: float
    lattice_temperature: float | None


@dataclass(frozen=True)
class Drift:
    """The drift of the total energy without a bath. time: ps. change: eV/atom. rate: eV/atom/ps."""

    time: np.ndarray
    change: np.ndarray
    rate: float


def dynamics(model: SpinCalculator, atoms: Atoms, settings: Settings) -> Result:
    """Equilibrate in a heat bath and average, at increasing temperatures.

    After equilibration at the first temperature, a run without the bath tests energy conservation. Raises
    InputError if the time step is too long or the structure falls apart.
    """
    cells, groups = check(atoms, settings)
    cells.calc = model
    ground = cells.get_potential_energy()
    rng = np.random.default_rng(settings.seed)
    temperatures = sorted(settings.temperatures)
    drift, averages = None, []
    if settings.lattice:
        spread = np.sqrt(units.kB * temperatures[0] * cells.get_masses()[:, None])
        cells.set_momenta(spread * rng.normal(size=(len(cells), 3)))
    steps = settings.steps("equilibrate") + settings.steps("average", SAMPLE_EVERY)
    for number, temperature in enumerate(temperatures):
        bath = in_bath(cells, settings, temperature, number * steps)
        for _ in _moved(bath, settings.steps("equilibrate"), f"{temperature:g} K, to equilibrium"):
            pass
        drift = drift or conserved(cells, settings)
        averages.append(averaged(bath, settings, groups, ground))
    assert drift is not None  # there is at least one temperature
    chance = order_by_chance(groups)
    return Result(
        "Spin-lattice dynamics",
        paragraphs=_paragraphs(cells, groups, drift, averages, settings),
        tables=[_table(averages)],
        pictures=[Picture("dynamics", TITLE, ALT, partial(figure, drift, averages, chance))],
        numbers={
            "atoms": len(cells),
            "sublattices": [len(group) for group in groups],
            "drift": drift.rate,
            "drift_range": float(np.ptp(drift.change)),
            "order_of_random_moments": chance,
            **{one.name: [getattr(average, one.name) for average in averages] for one in fields(Average)},
        },
    )


def check(atoms: Atoms, settings: Settings) -> tuple[Atoms, list[np.ndarray]]:
    """The repeated structure and its sublattices. Raises InputError if their order cannot be computed."""
    periodic = all(times == 1 or repeats for times, repeats in zip(settings.repeat, atoms.pbc, strict=True))
    expected = f"repeats only {directions(atoms.pbc)} of the cell, where the structure is periodic."
    require(periodic, "task.dynamics.repeat", settings.repeat, expected)
    cells = atoms.repeat(settings.repeat)
    groups = sublattices(cells)
    several = "more cells, such as [2,2,2]: now each sublattice has one moment, whose order is always 1."
    require(max(map(len, groups)) > 1, "task.dynamics.repeat", settings.repeat, several)
    return cells, groups


def in_bath(atoms: Atoms, settings: Settings, temperature: float, step_number: int) -> SpinLatticeDynamics:
    """Dynamics in a heat bath."""
    return SpinLatticeDynamics(
        atoms,
        settings.timestep * units.fs,
        lattice=settings.lattice,
        damping=settings.damping,
        tolerance=TOLERANCE["bath"],
        temperature_K=temperature,
        friction=settings.friction / units.fs,
        seed=settings.seed,
        step_number=step_number,
    )


def conserved(atoms: Atoms, settings: Settings) -> Drift:
    """The total energy of a copy of the atoms without a bath; its drift rate by least squares."""
    copy = atoms.copy()
    copy.calc = atoms.calc
    free = SpinLatticeDynamics(
        copy, settings.timestep * units.fs, lattice=settings.lattice, tolerance=TOLERANCE["free"]
    )
    energies = [copy.get_total_energy()]
    steps = settings.steps("conserve", SAMPLE_EVERY)
    energies += [copy.get_total_energy() for _ in _moved(free, steps, "without a bath")]
    change = (np.array(energies) - energies[0]) / len(copy)
    time = np.arange(len(energies)) * SAMPLE_EVERY * settings.timestep / 1000.0
    return Drift(time, change, float(np.polyfit(time, change, 1)[0]))


def averaged(
    bath: SpinLatticeDynamics, settings: Settings, groups: Sequence[np.ndarray], ground: float
) -> Average:
    """Run in the bath and average."""
    atoms, temperature = bath.atoms, bath.thermal_energy / units.kB
    orders, nets, energies, temperatures = [], [], [], []
    for _ in _moved(bath, settings.steps("average", SAMPLE_EVERY), f"{temperature:g} K"):
        spin = atoms.get_initial_magnetic_moments()
        orders.append(np.mean([order_of(spin[group]) for group in groups]))
        nets.append(np.linalg.norm(spin.sum(axis=0)) / sum(map(len, groups)))
        energies.append(atoms.get_potential_energy() - ground)
        temperatures.append(atoms.get_temperature())
    return Average(
        temperature,
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
    """The mean order of random moments in groups of the same sizes n: about √(8/3πn); 1 for n = 1."""
    sizes = np.array([len(group) for group in groups])
    return float(np.where(sizes == 1, 1.0, np.sqrt(8.0 / (3.0 * np.pi * sizes))).mean())


def figure(drift: Drift, averages: Sequence[Average], chance: float) -> Figure:
    """Left: energy against time. Right: order against temperature."""
    picture = new_figure(6.8, 3.2, layout="constrained")
    left, right = picture.subplots(1, 2)
    left.plot(drift.time, 1000 * drift.change, linewidth=0.8)
    left.set(xlabel="time without bath (ps)", ylabel="E(t) − E(0) (meV/atom)")
    right.axhline(chance, color=ink(), linewidth=0.8, linestyle="--", label="random moments")
    points = np.array([(one.temperature, one.order, one.order_spread) for one in averages]).T
    right.errorbar(*points, marker="o", markersize=4, capsize=2, ecolor=faint())
    right.set(xlabel="temperature (K)", ylabel="order of a sublattice, |Σ S|/Σ|S|", ylim=(0, 1.05))
    right.legend(frameon=False)
    return picture


def _moved(dynamics: SpinLatticeDynamics, steps: int, title: str) -> Iterator[int]:
    """Run `steps` steps with a progress bar; yield after every SAMPLE_EVERY steps."""
    for number in counted(range(1, steps + 1), title):
        dynamics.step()
        if number % SAMPLE_EVERY == 0:
            yield number


def _paragraphs(
    atoms: Atoms,
    groups: Sequence[np.ndarray],
    drift: Drift,
    averages: Sequence[Average],
    settings: Settings,
) -> list[str]:
    moving = "atoms and spins" if settings.lattice else "only spins"
    sizes = ", ".join(str(len(group)) for group in groups[:8]) + (" …" if len(groups) > 8 else "")
    return [
        f"{len(atoms)} atoms in a fixed cell; {moving} move, the lengths of the moments are fixed. There are "
        f"{len(groups)} sublattices with {sizes} moments.",
        f"Without a bath, at {averages[0].temperature:g} K, the total energy drifts by "
        f"{shown(1000 * drift.rate)} meV/atom/ps over {drift.time[-1]:g} ps and stays within "
        f"{rounded(1000 * float(np.ptp(drift.change)))} meV/atom.",
        f"{_fading(averages)} This is a quick test of the potential, not a prediction of the ordering "
        "temperature: so few moments stay partly ordered at any temperature, the averages cover only "
        f"{settings.average:g} ps, and classical moments fluctuate more than quantum moments at low "
        "temperature.",
    ]


def _fading(averages: Sequence[Average]) -> str:
    """A sentence that says between which temperatures the order falls below 0.5."""
    first = next((k for k, average in enumerate(averages) if average.order < 0.5), None)
    temperatures = [f"{average.temperature:g}" for average in averages]
    if first is None:
        return f"The order of the sublattices stays above 0.5 up to {temperatures[-1]} K."
    if first == 0:
        return f"The order of the sublattices is below 0.5 already at {temperatures[0]} K."
    between = " and ".join(temperatures[first - 1 : first + 1])
    return f"The order of the sublattices falls below 0.5 between {between} K."


def _table(averages: Sequence[Average]) -> Table:
    rows = [
        (f"{temperature:g}", order, spread, net, 1000 * energy, lattice)
        for temperature, order, spread, net, energy, lattice in map(astuple, averages)
    ]
    energy = "E − E(given) (meV/atom)"
    columns = ("T (K)", "order", "± in time", "net moment (μ_B)", energy, "T of atoms (K)")
    note = (
        "Order: |Σ S|/Σ|S| of a sublattice, 1 if all its moments are parallel; the mean over sublattices and "
        "time, with its standard deviation in time. Net moment: |Σ S| per magnetic atom."
    )
    return Table("Order against temperature", columns, rows, note)
