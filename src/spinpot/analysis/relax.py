"""Task relax: relaxes atoms, spins or both until forces and magnetic forces are small."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from ase import Atoms, optimize
from rich.progress import Progress

from spinpot.analysis.moments import fields_across
from spinpot.analysis.result import Cell, Picture, Result, Table, shown
from spinpot.ase import SpinCalculator, SpinFilter
from spinpot.ase.relaxation import Relaxed
from spinpot.core.console import progress_console
from spinpot.core.errors import require
from spinpot.core.vectors import angles, largest
from spinpot.data.from_ase import with_columns
from spinpot.report.plots import rounded
from spinpot.report.style import Axes, Figure, faint, new_figure

ALT = "Energy above its last value, and largest forces, against the step, on logarithmic axes."
MOST_ROWS = 12
RELAXED = "relaxed.extxyz"
FAR = 0.5  # Å; few training sets contain atoms this far from their sites
WARNING = (
    f"Atoms moved by more than {FAR} Å. Check that the training data contain such structures; otherwise the "
    "model extrapolates."
)
HELD = {
    "atoms": "Cell and moments were fixed.",
    "spins": "Cell and positions were fixed.",
    "both": "The cell was fixed.",
}


@dataclass(frozen=True)
class Settings:
    """Settings of configs/task/relax.yaml. Raises InputError for invalid values."""

    move: Literal["atoms", "spins", "both"] = "both"
    spins: Relaxed = "directions"
    optimizer: Literal["BFGS", "LBFGS", "FIRE"] = "BFGS"
    fmax: float = 0.001
    fmax_mag: float = 0.001
    steps: int = 500

    def __post_init__(self) -> None:
        for name, limit in (("fmax", self.fmax), ("fmax_mag", self.fmax_mag)):
            require(limit > 0.0, f"task.relax.{name}", limit, "a number > 0.")
        require(self.steps >= 1, "task.relax.steps", self.steps, "at least 1 step.")


@dataclass(frozen=True)
class Step:
    """Energy, eV; largest force, eV/Å; largest magnetic force on what relaxes, eV/μ_B. None: not relaxed."""

    energy: float
    force: float | None
    magnetic: float | None


def relax(model: SpinCalculator, atoms: Atoms, settings: Settings) -> Result:
    """Relax atoms, spins or both in a fixed cell; the final structure is written to relaxed.extxyz."""
    start = atoms.copy()
    atoms.calc = model
    steps: list[Step] = []
    with Progress(console=progress_console, transient=True) as bar:
        task = bar.add_task("Relaxing", total=settings.steps)
        for step in descent(atoms, settings):
            steps.append(step)
            bar.update(task, completed=len(steps) - 1, description=f"Relaxing: {_in_words(step)}")
            if _small(step, settings):
                break
    numbers, said = _outcome(start, atoms, steps, settings)
    draw = partial(figure, steps, len(atoms), settings)
    return Result(
        "Relaxation",
        paragraphs=said,
        tables=[_convergence(steps, len(atoms)), _moments(start, atoms)],
        pictures=[Picture("relaxation", "Energy and forces against the step", ALT, draw)],
        numbers=numbers,
        files={RELAXED: as_extxyz(atoms)},
    )


def descent(atoms: Atoms, settings: Settings) -> Iterator[Step]:
    """The state before the first step and after each one."""
    spins = "both" if settings.move == "atoms" else settings.spins
    moved = SpinFilter(atoms, spins, positions=settings.move == "both")
    kind = getattr(optimize, settings.optimizer)
    optimizer = kind(atoms if settings.move == "atoms" else moved, logfile=None)
    # There are two limits with different units, so the caller stops the iteration, not the optimizer.
    for _ in optimizer.irun(fmax=0.0, steps=settings.steps):
        magnetic = moved.get_forces()[-len(atoms) :]
        if spins == "directions":
            # The filter's variables are vectors whose length grows, which shrinks their derivatives.
            magnetic = fields_across(atoms)
        yield Step(
            float(atoms.get_potential_energy()),
            None if settings.move == "spins" else largest(atoms.get_forces()),
            None if settings.move == "atoms" else largest(magnetic),
        )


def as_extxyz(atoms: Atoms) -> str:
    """The structure as extxyz with the columns spin, forces and mforce, readable by training and analyze."""
    force_mag = atoms.calc.get_property("magnetic_forces", atoms)
    made = with_columns(atoms, atoms.get_forces(), force_mag, energy=atoms.get_potential_energy())
    import ase.io  # here, because it imports much of scipy

    text = io.StringIO()
    ase.io.write(text, made, format="extxyz")
    return text.getvalue()


def figure(steps: list[Step], atoms: int, settings: Settings) -> Figure:
    """The energy above its last value, and the largest forces with their limits."""
    from matplotlib.ticker import MaxNLocator

    picture = new_figure(6.8, 3.2, layout="constrained")
    left, right = picture.subplots(1, 2)
    energy = np.array([step.energy for step in steps])
    _draw(left, (energy - energy[-1]) / atoms)
    left.set(ylabel="E − E(last) (meV/atom)")
    for name, unit, limit, label in (
        ("force", "meV/Å", settings.fmax, "force"),
        ("magnetic", "meV/μ$_\\mathrm{B}$", settings.fmax_mag, "magnetic force"),
    ):
        values = [getattr(step, name) for step in steps]
        if values[0] is not None:
            right.axhline(1000 * limit, color=faint(), linewidth=1.0, zorder=0)
            _draw(right, np.array(values), f"{label} ({unit})")
    right.set(ylabel="largest of any atom")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.set(xlabel="step", yscale="log", xlim=(-0.5, len(steps) - 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return picture


def _draw(axes: Axes, values: np.ndarray, label: str | None = None) -> None:
    """Plot 1000 × the positive values against the step."""
    shown_values = 1000 * np.where(values > 0.0, values, np.nan)
    axes.plot(np.arange(len(values)), shown_values, marker="o", markersize=2.5, label=label)


def _small(step: Step, settings: Settings) -> bool:
    limits = ((step.force, settings.fmax), (step.magnetic, settings.fmax_mag))
    return all(value is None or value <= limit for value, limit in limits)


def _outcome(
    start: Atoms, end: Atoms, steps: list[Step], settings: Settings
) -> tuple[dict[str, Any], list[str]]:
    """Numbers and words."""
    last, taken = steps[-1], len(steps) - 1
    converged = _small(last, settings)
    change = last.energy - steps[0].energy
    displacement = largest(end.positions - start.positions)
    turn = float(turns(start, end).max())
    numbers = {
        "converged": converged,
        "steps": taken,
        "energy": [step.energy for step in steps],
        "largest_force": [step.force for step in steps],
        "largest_magnetic_force": [step.magnetic for step in steps],
        "largest_displacement": displacement,
        "largest_turn": turn,
    }
    ending = f"{'C' if converged else 'NOT c'}onverged after {taken} steps of {settings.optimizer}"
    ending += "" if converged else " (task.relax.steps)"
    return numbers, [
        f"{ending}: {_in_words(last)}. {HELD[settings.move]}",
        f"The energy changed by {shown(1000 * change / len(end))} meV/atom; atoms moved by up to "
        f"{rounded(displacement)} Å, moments rotated by up to {rounded(turn)}°. The final structure is in "
        f"{RELAXED}.",
        *([WARNING] if displacement > FAR else []),
    ]


def _in_words(step: Step) -> str:
    parts = []
    if step.force is not None:
        parts.append(f"largest force {rounded(1000 * step.force)} meV/Å")
    if step.magnetic is not None:
        parts.append(f"largest magnetic force {rounded(1000 * step.magnetic)} meV/μ_B")
    return ", ".join(parts)


def turns(start: Atoms, end: Atoms) -> np.ndarray:
    """The rotation angle of each moment in degrees (N,); zero without a moment."""
    before, after = (atoms.get_initial_magnetic_moments() for atoms in (start, end))
    return np.asarray(np.degrees(angles(before, after)))


def _convergence(steps: list[Step], atoms: int) -> Table:
    """A table of some steps, including the first and the last."""
    picked = np.unique(np.linspace(0, len(steps) - 1, min(MOST_ROWS, len(steps))).round().astype(int))
    rows: list[list[Cell]] = []
    for k in picked.tolist():
        largest = (None if value is None else 1000 * value for value in (steps[k].force, steps[k].magnetic))
        rows.append([str(k), 1000 * (steps[k].energy - steps[0].energy) / atoms, *largest])
    columns = ("step", "E − E(start) (meV/atom)", "largest F (meV/Å)", "largest F_mag (meV/μ_B)")
    note = (
        "Converged when the largest force is below fmax and the largest magnetic force on the relaxed "
        "components of the spins is below fmax_mag."
    )
    return Table("Convergence", columns, rows, note)


def _moments(start: Atoms, end: Atoms) -> Table:
    """A table of the changes of the moments, per element."""
    before, after = (np.linalg.norm(a.get_initial_magnetic_moments(), axis=1) for a in (start, end))
    across = 1000 * np.linalg.norm(fields_across(end), axis=1)
    turned = turns(start, end)
    rows = []
    for element in dict.fromkeys(end.symbols):
        own = (end.symbols == element) & (before > 0.0)
        if own.any():
            numbers = (before[own].mean(), after[own].mean(), turned[own].max(), across[own].max())
            rows.append([element, int(own.sum()), *map(float, numbers)])
    columns = (
        "element",
        "moments",
        "|S| before (μ_B)",
        "after (μ_B)",
        "turned (°)",
        "F_mag across (meV/μ_B)",
    )
    note = "Mean lengths, the largest angle, and the largest magnetic force across a moment at the end."
    return Table("Moments", columns, rows, note)
