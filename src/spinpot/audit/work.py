"""Tests whether forces, magnetic forces and virial are the derivatives of the energies.

Between two frames ΔE = −∫ (F·dR + F_mag·dS + virial:dε). The work W of each label is integrated separately,
and the energy differences are regressed on all of them, ΔE = Σ b W. The factor of a label is −1/b: the ratio
of the label to the derivative of the energy, 1 if the label is right. Labels are known only at the two ends
of a path, which gives the trapezoid rule. A correction comes from smooth functions, fitted to the same label
at the ends of all paths (spinpot.audit.interpolation). The correction of a label uses neither energies nor
other labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spinpot.audit.interpolation import Basis
from spinpot.audit.moments import moments_by_element
from spinpot.audit.path import Path
from spinpot.core.console import counted
from spinpot.data.cell import nearest_image
from spinpot.data.sample import thinned
from spinpot.data.systems import System

FEWEST_FRAMES = 8
MOST_FRAMES = 200  # of longer systems, this many evenly spaced frames are used
NEIGHBOURS = 5  # each frame is paired with this many nearest frames
REACH = 2.0
"""Of these frames, those farther than this many times the nearest one are left out.

A pair at distance d has a work of the order d and an error of the order d³, so far pairs tell little.
"""
COPY = 1e-8  # distance² (see nearby_pairs) below which a frame is a copy, and not the nearest one
LARGEST_TURN = np.radians(120)
"""Paths on which a moment rotates by more are left out, because the sense of rotation is uncertain."""
UNMOVED = 1e-8  # Å, μ_B or strain; smaller changes count as none
LITTLE_WORK = 1e-3  # relative to the energy differences; labels with less work are undetermined
ONE_FRAME = 0.99
"""A label is also undetermined if more than this share of its squared work is on paths of one frame."""
RELAXED = 0.05
"""Lengths count as relaxed if longitudinal magnetic forces (rms) are below this share of transverse ones."""
SMALL = f"they are less than {RELAXED:.0%} of the transverse ones".replace("%", " %")
RIDGE = 1e-8
MISSED = 0.1
"""The share of a small correction to the trapezoid rule that is added to the error; a large one misses more.

Exact labels of bcc Fe with tilts to 85° had corrections of 0.2 to 0.7 of the work, and factors of up to 1.18.
"""

NODES = np.array([0.0, (1 - 5**-0.5) / 2, (1 + 5**-0.5) / 2, 1.0])
WEIGHTS = np.array([1.0, 5.0, 5.0, 1.0]) / 12
"""The Gauss–Lobatto rule of four points, whose first and last are the ends of the path."""
TRAPEZOID = np.array([0.5, 0.0, 0.0, 0.5])

NAMES = {"force": "forces", "force_mag": "magnetic forces", "virial": "virial"}


@dataclass(frozen=True)
class Factor:
    """The factor of a label: label = value × (−derivative of the energy), with its standard error.

    work: rms over the pairs, eV. undetermined: why there is no value, in words.
    """

    value: float | None
    error: float | None
    work: float
    undetermined: str = ""


@dataclass(frozen=True, eq=False)
class Work:
    """The result of the work test of a system.

    factors: by label; magnetic forces also by element and component (`force_mag/Ni/transverse`). r2: the
    fraction of the energy differences explained by the work. correction: the correction to the trapezoid
    rule, relative to all work. energy, done: ΔE of each pair, and −ΣW of the unscaled labels, eV.
    """

    frames: int
    factors: dict[str, Factor]
    r2: float
    correction: float
    energy: np.ndarray
    done: np.ndarray


@dataclass(frozen=True)
class Untestable:
    """The reason why the labels of a system cannot be compared with its energies."""

    reason: str


class TooFew(Untestable):
    """The system has fewer than FEWEST_FRAMES frames."""


def label_name(label: str) -> str:
    """`force_mag/Ni/transverse` → `transverse magnetic forces on Ni`."""
    name, *rest = label.split("/")
    return f"{rest[1]} {NAMES[name]} on {rest[0]}" if rest else NAMES[name]


def short_label(label: str) -> str:
    """`force_mag/Ni/transverse` → `F_mag across, Ni`, for column headers."""
    name, *rest = label.split("/")
    if not rest:
        return {"force": "F", "virial": "virial"}[name]
    return f"F_mag {'across' if rest[1] == 'transverse' else 'along'}, {rest[0]}"


def work_along_pairs(system: System) -> Work | Untestable:
    """Run the work test of one system, with a progress bar."""
    if system.energy is None:
        return Untestable("there are no energies")
    if system.labels == ("energy",):
        return Untestable("there are energies only")
    if len(system) < FEWEST_FRAMES:
        return TooFew(f"fewer than {FEWEST_FRAMES} frames: {len(system)}")
    if np.ptp(system.energy) == 0:
        return Untestable("all energies are the same")
    system = thinned(system, MOST_FRAMES)
    near = nearby_pairs(system)
    distance, pairs = np.array([d for d, _, _ in near]), [Path(system, i, j) for _, i, j in near]
    kept = [k for k, path in enumerate(pairs) if not unlabelled(path)]
    if not kept:
        return Untestable(f"{unlabelled(pairs[0])} between the frames, but there are no labels for this")
    kept = [k for k in kept if pairs[k].largest_turn() < LARGEST_TURN]
    if len(kept) < FEWEST_FRAMES:
        return Untestable(
            f"only {len(kept)} pairs of frames are close to each other and have similar moments; at least "
            f"{FEWEST_FRAMES} are needed"
        )
    return _regressed(system, [pairs[k] for k in kept], distance[kept])


def nearby_pairs(system: System) -> list[tuple[float, int, int]]:
    """Pairs of each frame with its nearest frames, as (distance², frame, frame).

    The distance² adds the mean square differences of moments and of positions, each relative to its mean.
    """
    frames = np.unique(np.linspace(0, len(system) - 1, min(len(system), MOST_FRAMES)).astype(int))
    fractional = system.coord[frames] @ np.linalg.inv(system.cell[frames])
    square = np.zeros((2, len(frames), len(frames)))
    for k in range(len(frames)):
        change = fractional - fractional[k]
        moved = nearest_image(change, system.pbc) @ system.cell[frames[k]]
        moved -= moved.mean(axis=1, keepdims=True)
        square[0, k] = (moved**2).mean(axis=(1, 2))
        square[1, k] = ((system.spin[frames] - system.spin[frames[k]]) ** 2).mean(axis=(1, 2))
    scale = square.mean(axis=(1, 2), keepdims=True)
    distance = (square / np.where(scale > 0, scale, 1.0)).sum(axis=0)
    np.fill_diagonal(distance, np.inf)
    near = np.argsort(distance, axis=1, kind="stable")[:, :NEIGHBOURS]
    reach = REACH**2 * np.where(distance > COPY, distance, np.inf).min(axis=1)
    chosen = sorted(
        {(min(i, j), max(i, j)) for i, row in enumerate(near) for j in row if distance[i, j] <= reach[i]}
    )
    return [(float(distance[i, j]), int(frames[i]), int(frames[j])) for i, j in chosen]


def unlabelled(path: Path) -> str | None:
    """What changes along a path without a label for its work, in words; None if everything is labelled."""
    system = path.system
    spin = system.spin[path.end] - system.spin[path.start]
    moved = {
        "force": ("atoms move", path.fractional[1] @ path.cells[0]),
        "force_mag": ("moments change", spin),
        "virial": ("cells differ", path.cells[1]),
    }
    for label, (words, change) in moved.items():
        if label not in system.labels and np.abs(change).max() > UNMOVED:
            return words
    return None


def label_rates(path: Path, spin_rates: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The integrand of each label's work at both ends of a path: F·dR/dt, virial:dε/dt, F_mag·dS/dt (2,), eV.

    spin_rates: dS/dt at NODES by label.
    """
    system, ends = path.system, (path.start, path.end)
    change, strain = path.fractional[1], path.cells[1]
    rates = {}
    if system.force is not None:
        rates["force"] = [(system.force[k] * (change @ system.cell[k])).sum() for k in ends]
    if system.virial is not None:
        # The rows of the cell change by the transposed strain.
        rates["virial"] = [(system.virial[k] * np.linalg.solve(system.cell[k], strain).T).sum() for k in ends]
    if system.force_mag is not None:
        for name, rate in spin_rates.items():
            rates[name] = (system.force_mag[list(ends)] * rate[[0, -1]]).sum(axis=(1, 2))
    return {name: np.array(values) for name, values in rates.items()}


def _regressed(system: System, paths: Sequence[Path], distance: np.ndarray) -> Work:
    assert system.energy is not None
    basis = Basis(system)
    energy = np.array([system.energy[path.end] - system.energy[path.start] for path in paths])
    ends: dict[str, list[np.ndarray]] = {}
    functions: dict[str, list[np.ndarray]] = {}
    for path in counted(paths, f"Work, {system.name}"):
        spin_rates = _spin_rates(basis, path)
        known = label_rates(path, spin_rates)
        rates = basis.rates(path, NODES, spin_rates)
        for name, values in known.items():
            ends.setdefault(name, []).append(values)
            functions.setdefault(name, []).append(rates[name])
    plain = {name: np.array(values).mean(axis=1) for name, values in ends.items()}
    added = {name: missed(np.array(values), np.array(functions[name])) for name, values in ends.items()}

    # The error of the trapezoid rule grows with the third power of the distance.
    weight = 1 / (1 + (distance / (np.median(distance) or 1.0)) ** 3)
    frames = np.array([(path.start, path.end) for path in paths])
    size = _rms(energy)
    factors = {
        name: Factor(None, None, _rms(work), _undetermined(work, size, weight, frames))
        for name, work in plain.items()
    }
    small = sorted(factors.keys() & small_labels(system))
    for name in small:
        factors[name] = replace(factors[name], undetermined=SMALL)
    # Their work counts as it is.
    left = energy + np.sum([plain[name] + added[name] for name in small], axis=0)
    names = [n for n, one in factors.items() if one.work > LITTLE_WORK * size and one.undetermined != SMALL]
    trapezoid = np.column_stack([plain[name] for name in names] or [np.zeros((len(energy), 0))])
    works = trapezoid + np.column_stack([added[name] for name in names] or [trapezoid])
    slope, error = _slopes(works, left, weight, frames)
    corrected = np.sqrt(((works - trapezoid) ** 2).mean(axis=0) / (trapezoid**2).mean(axis=0))
    error = np.hypot(error, (MISSED + corrected) * (_solve(trapezoid, left, weight) - slope))
    for name, b, db in zip(names, slope, error, strict=True):
        factors[name] = _factor(factors[name], float(b), float(db))
    explained = works @ slope + energy - left
    return Work(
        frames=len(np.unique(frames)),
        factors=factors,
        r2=1 - float((weight * (energy - explained) ** 2).sum()) / (float((weight * energy**2).sum()) or 1.0),
        correction=_rms(works - trapezoid) / (_rms(trapezoid) or 1.0),
        energy=energy,
        done=-np.sum([plain[name] + added[name] for name in plain], axis=0),
    )


def small_labels(system: System) -> set[str]:
    """Longitudinal labels of moments with relaxed lengths; these labels cannot be tested."""
    return {
        f"force_mag/{one.element}/longitudinal"
        for one in moments_by_element(system)
        if one.transverse and one.longitudinal is not None and one.longitudinal < RELAXED * one.transverse
    }


def _undetermined(work: np.ndarray, size: float, weight: np.ndarray, frames: np.ndarray) -> str:
    """Why the work (pairs,) of a label cannot determine its factor; empty if it can."""
    square = weight * work**2
    if _rms(work) <= LITTLE_WORK * size:
        return "hardly any work between the frames"
    of_frames = np.bincount(frames.ravel(), np.repeat(square, 2))
    return "all work is on the paths of one frame" if of_frames.max() > ONE_FRAME * square.sum() else ""


def _factor(known: Factor, b: float, error: float) -> Factor:
    """The factor −1/b, unless it is undetermined already or b does not differ significantly from 0."""
    if known.undetermined:
        return known
    if abs(b) <= 2 * error:
        return replace(known, undetermined="its effect on the energies is within the noise")
    return replace(known, value=-1 / b, error=error / b**2)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean())) if values.size else 0.0


def _spin_rates(basis: Basis, path: Path) -> dict[str, np.ndarray]:
    """dS/dt at NODES per magnetic element, transverse and longitudinal: (nodes, N, 3) by label."""
    _, across, along = path.spins(NODES)
    types, names = path.system.types, path.system.type_map
    return {
        f"force_mag/{names[kind]}/{part}": rate * (types == kind)[:, None]
        for kind in basis.magnetic
        for part, rate in (("transverse", across), ("longitudinal", along))
    }


def missed(ends: np.ndarray, functions: np.ndarray) -> np.ndarray:
    """The correction to the trapezoid rule for the integral along each path (paths,).

    ends (paths, 2): the integrand at the ends. functions (paths, nodes, K): basis that interpolates it.
    """
    known = functions[:, [0, -1]].reshape(-1, functions.shape[-1])
    scale = np.linalg.norm(known, axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    known = known / scale
    normal = known.T @ known + RIDGE * np.eye(len(scale))
    fitted = np.linalg.solve(normal, known.T @ ends.ravel()) / scale
    return np.asarray(np.einsum("n,pnk,k->p", WEIGHTS - TRAPEZOID, functions, fitted))


def _slopes(
    works: np.ndarray, energy: np.ndarray, weight: np.ndarray, frames: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The slopes b (columns,) and their standard errors from a jackknife over frames, which pairs share."""
    each = np.unique(frames)
    left_out = np.array([(frames != k).all(axis=1) for k in each])
    b = np.array([_solve(works[keep], energy[keep], weight[keep]) for keep in left_out])
    spread = ((b - b.mean(axis=0)) ** 2).sum(axis=0) * (len(each) - 1) / len(each)
    return _solve(works, energy, weight), np.sqrt(spread)


def _solve(works: np.ndarray, energy: np.ndarray, weight: np.ndarray) -> np.ndarray:
    root = np.sqrt(weight)
    solution: np.ndarray = np.linalg.lstsq(works * root[:, None], energy * root, rcond=None)[0]
    return solution
