"""Task spiral: energy of spin spirals along a path of wave vectors, in the smallest commensurate cells."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from itertools import chain, pairwise
from typing import Literal

import numpy as np
from ase import Atoms
from ase.dft.kpoints import parse_path_string

from spinpot.analysis.commensurate import Wave, as_fractions, cells_of, in_words, repeated
from spinpot.analysis.moments import axis_of_turn, fields_across, in_numbers, turned
from spinpot.analysis.plots import mark_corners
from spinpot.analysis.result import Picture, Result, Table, shown
from spinpot.ase import SpinCalculator
from spinpot.core.console import counted
from spinpot.core.errors import InputError, require
from spinpot.core.vectors import largest
from spinpot.report.style import Figure, new_figure

Stretch = list[tuple[str, Wave]]
"""A connected part of a path: (label, wave vector); most labels are empty."""

ALT = "The energy against the wave vector along the path."


@dataclass(frozen=True)
class Settings:
    """Settings of configs/task/spiral.yaml. Raises InputError for invalid values."""

    path: str | list[list[float]] = field(default_factory=lambda: [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
    unit: Literal["fractional", "1/Å"] = "fractional"
    steps: int = 8
    axis: list[float] | None = None
    most_atoms: int = 1000

    def __post_init__(self) -> None:
        require(self.steps >= 1, "task.spiral.steps", self.steps, "at least 1 step between corners.")
        vectors = isinstance(self.path, str) or all(len(q) == 3 for q in self.path)
        expected = (
            "wave vectors of three numbers each, such as [[0,0,0],[0.5,0.5,0.5]], or names of special "
            "points, such as GL."
        )
        require(bool(self.path) and vectors, "task.spiral.path", self.path, expected)


@dataclass(frozen=True)
class Point:
    """A spiral. place: 1/Å along the path. energy: eV per magnetic atom. torque: the largest, eV/μ_B."""

    label: str
    wave: Wave
    place: float
    energy: float
    torque: float


def spiral(model: SpinCalculator, atoms: Atoms, settings: Settings) -> Result:
    """E(q) with the moment at each position R rotated by q·R about an axis; q = 0 is the given structure.

    Raises InputError for an invalid axis, and for wave vectors that need a supercell of more than
    `most_atoms` atoms.
    """
    axis, route = check(atoms, settings)
    start, _ = energy_of(model, atoms, (Fraction(0),) * 3, axis)
    points = []
    for label, wave, place in counted(placed(route, atoms), "Spirals"):
        energy, torque = energy_of(model, atoms, wave, axis)
        points.append(Point(label, wave, place, energy - start, torque))
    lowest = min(points, key=lambda point: point.energy)
    return Result(
        "Spin spirals",
        paragraphs=[
            f"Along the path the energy is lowest at q = ({in_words(lowest.wave)}), with "
            f"{shown(1000 * lowest.energy)} meV per magnetic atom.",
            f"The moment at each position R is rotated by q·R about {in_numbers(axis)}; q = 0 is the given "
            "structure. Energies are relative to it. Each wave is computed in its smallest supercell.",
        ],
        tables=[_table(points, len(atoms))],
        pictures=[Picture("spiral", "Energy of spin spirals", ALT, partial(figure, points))],
        numbers={
            "axis": axis.tolist(),
            "q": [[float(x) for x in point.wave] for point in points],
            "place": [point.place for point in points],
            "energy_per_magnetic_atom": [point.energy for point in points],
            "largest_torque": [point.torque for point in points],
        },
    )


def check(atoms: Atoms, settings: Settings) -> tuple[np.ndarray, list[Stretch]]:
    """The axis and the wave vectors. Raises InputError like `spiral`."""
    axis = axis_of_turn("task.spiral.axis", settings.axis, atoms.get_initial_magnetic_moments())
    return axis, route_of(atoms, settings)


def route_of(atoms: Atoms, settings: Settings) -> list[Stretch]:
    """The wave vectors of each connected part of the path. Raises InputError if one needs too many cells."""
    most_cells = settings.most_atoms // len(atoms)
    least = f"at least the {len(atoms)} of the structure itself."
    require(most_cells >= 1, "task.spiral.most_atoms", settings.most_atoms, least)
    route = []
    for stretch in corners_of(atoms, settings):
        corners = [(name, as_fractions(q.tolist(), most_cells)) for name, q in stretch]
        route.append(divided(corners, settings.steps))
    for _, wave in chain(*route):
        if cells_of(wave) > most_cells:
            raise InputError(
                f"task.spiral: q=({in_words(wave)}) of the path needs {cells_of(wave)} cells, "
                f"{cells_of(wave) * len(atoms)} atoms; task.spiral.most_atoms={settings.most_atoms} allows "
                f"{most_cells} cells. Use fewer steps between corners, or allow more atoms."
            )
    return route


def corners_of(atoms: Atoms, settings: Settings) -> list[list[tuple[str, np.ndarray]]]:
    """Names and fractional wave vectors (3,) of the corners. Raises InputError for unknown names."""
    if not isinstance(settings.path, str):
        given = np.array(settings.path, dtype=np.float64)
        if settings.unit == "1/Å":
            given = given @ atoms.cell.array.T / (2.0 * np.pi)
        return [[("", q) for q in given]]
    special = atoms.cell.bandpath(npoints=0).special_points
    try:
        return [[(name, special[name]) for name in part] for part in parse_path_string(settings.path)]
    except (KeyError, ValueError, AttributeError) as error:
        raise InputError(
            f"task.spiral.path={settings.path}: this is no path along the special points of this cell, which "
            f"are {', '.join(sorted(special))}. Give names of these points, or wave vectors."
        ) from error


def divided(corners: Stretch, steps: int) -> Stretch:
    """The corners, and wave vectors at equal steps between them."""
    stops = [(name or f"({in_words(wave)})", wave) for name, wave in corners]
    waves = stops[:1]
    for (_, a), (name, b) in pairwise(stops):
        for k in range(1, steps + 1):
            between = tuple(p + (q - p) * Fraction(k, steps) for p, q in zip(a, b, strict=True))
            waves.append((name if k == steps else "", between))
    return waves


def placed(route: Sequence[Stretch], atoms: Atoms) -> list[tuple[str, Wave, float]]:
    """Each wave vector with its distance along the path, 1/Å; a jump between two parts adds none."""
    found: list[tuple[str, Wave, float]] = []
    place = 0.0
    for stretch in route:
        points = [cartesian(wave, atoms) for _, wave in stretch]
        steps = np.linalg.norm(np.diff(points, axis=0, prepend=points[:1]), axis=1)
        for (label, wave), step in zip(stretch, steps.tolist(), strict=True):
            place += step
            found.append((label, wave, place))
    return found


def cartesian(wave: Wave, atoms: Atoms) -> np.ndarray:
    """A wave vector (3,) in 1/Å, including the factor 2π."""
    return np.linalg.solve(atoms.cell.array, 2.0 * np.pi * np.array(wave, dtype=np.float64))


def energy_of(model: SpinCalculator, atoms: Atoms, wave: Wave, axis: np.ndarray) -> tuple[float, float]:
    """E per magnetic atom (eV), and the largest transverse magnetic force (eV/μ_B)."""
    cells = repeated(atoms, wave)
    phase = cells.positions @ cartesian(wave, atoms)
    spin = turned(cells.get_initial_magnetic_moments(), axis, phase)
    cells.set_initial_magnetic_moments(spin)
    cells.calc = model
    across = largest(fields_across(cells))  # first, because it also evaluates the energy
    return float(cells.get_potential_energy() / np.count_nonzero(spin.any(axis=1))), across


def figure(points: Sequence[Point]) -> Figure:
    """E(q) along the path, with a line at each corner."""
    picture = new_figure(6.8, 3.4, layout="constrained")
    axes = picture.add_subplot()
    places = [point.place for point in points]
    axes.plot(places, [1000 * point.energy for point in points], marker="o", markersize=3)
    mark_corners(axes, ((point.place, point.label) for point in points if point.label))
    axes.set(xlabel="q", ylabel="E(q) − E(0) (meV per magnetic atom)")
    return picture


def _table(points: Sequence[Point], atoms: int) -> Table:
    columns = ("q (fractional)", "atoms", "E(q) − E(0) (meV)", "F_mag across (meV/μ_B)")
    rows = [
        (in_words(point.wave), cells_of(point.wave) * atoms, 1000 * point.energy, 1000 * point.torque)
        for point in points
    ]
    note = (
        "Energies per magnetic atom. F_mag across: the largest magnetic force across a moment; where it is "
        "not zero the spiral is no stationary state."
    )
    return Table("Energy of spin spirals", columns, rows, note)
