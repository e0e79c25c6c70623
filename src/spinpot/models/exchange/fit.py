"""Initialises the exchange term: fits it to the labels by linear least squares."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from spinpot.core.console import counted
from spinpot.core.conventions import LABELS
from spinpot.core.quantities import PARTS
from spinpot.core.split import split_along
from spinpot.data.batch import Batch, Frame, batches
from spinpot.data.dataset import make_frame
from spinpot.data.systems import System
from spinpot.models.derivatives import Derivatives
from spinpot.models.energy_bias import composition, energy_bias
from spinpot.models.exchange.term import ExchangeTerm

RIDGE = 1e-4  # for columns scaled to length 1: keeps coefficients small that the labels do not determine
REACHED = 1e-3  # columns shorter than this fraction of the longest of their kind are not fitted
ROUNDING = 1e-6
"""Columns shorter than this fraction of the longest of all are not fitted: they are rounding errors, such as
those of functions of fixed moment lengths."""
ROUNDS = 5  # iterations of solution and weights
SMALLEST = 0.1  # the residual that weights a kind of label is at least this fraction of its spread
NOTHING = 1e-7  # eV/atom, eV/Å, eV/μ_B; labels with a smaller spread, which is rounding, are not used

FORCE_MAG_PARTS = tuple(part.name for part in PARTS)
"""Parts of the magnetic force with separate weights: transverse and longitudinal to the moments."""

MOST_FRAMES = 200
MOST_EVALUATIONS = 1_500_000  # coefficients × atoms; with more coefficients, fewer frames are used
MOST_NUMBERS = 30_000_000  # per array of the fit, which bounds its memory

FRAMES_AT_ONCE = 2


@dataclass(frozen=True)
class Fit:
    """Coefficients θ (M,) and whitening (M, M) of a term, and the energy bias (T,), eV, fitted with them."""

    coefficients: Tensor
    whitening: Tensor
    energy_bias: Tensor


def fit_systems(
    term: ExchangeTerm,
    systems: Sequence[System],
    labels: Collection[str] = LABELS,
    scale: Tensor | None = None,
) -> Fit:
    """Set a term's mean moments S_0 from frames of the systems, and fit the term to their labels.

    If there are many or large frames, evenly spaced ones are used, and the first frame of every system unless
    there are too many systems.
    labels: names of the labels to fit, possibly one part of the magnetic force (FORCE_MAG_PARTS) alone.
    scale: (T,), c of the magnetic forces −c ∂E/∂S.
    """
    frames = [make_frame(*place) for place in chosen_frames(systems, term)]
    for place, kind in enumerate(term.types):
        spin = np.concatenate([frame.spin[frame.types == kind] for frame in frames])
        term.moment_squared[place] = np.square(spin).sum(axis=-1).mean() if len(spin) else 0.0
    # Fit the energies minus the bias: elements that are in none of these frames keep their bias.
    bias = energy_bias(systems)
    parts = [part for part in FORCE_MAG_PARTS if "force_mag" in labels or part in labels]
    known = {*labels, *(["force_mag"] if parts else [])}
    frames = [_with(known, scale, frame, frame.energy - bias[frame.types].sum()) for frame in frames]
    stream = batches(frames, term.geometry, FRAMES_AT_ONCE)
    fit = fit_exchange(term, counted(stream, "Exchange", -(-len(frames) // FRAMES_AT_ONCE)), parts)
    return replace(fit, energy_bias=fit.energy_bias + torch.from_numpy(bias))


def _with(labels: Collection[str], scale: Tensor | None, frame: Frame, energy: np.ndarray) -> Frame:
    """A frame with another energy, only the requested labels, and magnetic forces −∂E/∂S."""
    force_mag = frame.force_mag if scale is None else frame.force_mag / scale.numpy()[frame.types][:, None]
    every = {"energy": energy, "force": frame.force, "force_mag": force_mag, "virial": frame.virial}
    known = {name: own if name in labels else np.full_like(own, np.nan) for name, own in every.items()}
    return replace(frame, **known)  # type: ignore[arg-type]


def chosen_frames(systems: Sequence[System], term: ExchangeTerm) -> list[tuple[System, int]]:
    """The frames that fit_systems uses."""
    places = [(system, index) for system in systems for index in range(len(system))]
    atoms = sum(system.n_atoms for system, _ in places)
    step = max(1, -(-len(places) // MOST_FRAMES), -(-atoms * len(term.start) // MOST_EVALUATIONS))
    firsts = len(systems) * step <= len(places)
    return [place for number, place in enumerate(places) if number % step == 0 or (firsts and place[1] == 0)]


def fit_exchange(term: ExchangeTerm, given: Iterable[Batch], parts: Collection[str] = FORCE_MAG_PARTS) -> Fit:
    """Fit a term and the energy bias jointly to all labels; parts: of the magnetic force.

    The whitening is the inverse of the triangular factor of the least-squares matrix, so that a unit change
    of any amplitude changes the labels by about their residual.
    """
    n_types = len(term.elements)
    triangles: dict[str, Tensor] = {}
    for batch in given:
        for kind, rows in _equations(term, batch, parts).items():
            # Keep only the triangular factor, so that memory does not grow with the data.
            stacked = torch.cat((triangles[kind], rows)) if kind in triangles else rows
            triangles[kind] = torch.linalg.qr(stacked, mode="r").R
    sizes = [n_types, *(math.prod(shape) for shape in term.shapes.values())]
    return _weighted(triangles, sizes)


def _equations(term: ExchangeTerm, batch: Batch, parts: Collection[str]) -> dict[str, Tensor]:
    """Equations of each kind of label, (rows, T + M + 1): columns of bias, coefficients and the label."""
    made = _of_unit_coefficients(term, batch)
    n_types, n_atoms = len(term.elements), batch.n_atoms.double()
    energy = torch.zeros(len(made.atom_energy), batch.n_frames, dtype=torch.float64)
    energy = energy.index_add(1, batch.frame, made.atom_energy)
    carries = torch.isin(batch.types, torch.tensor(term.types)) & batch.spin.any(dim=-1)
    in_parts = (
        split_along(force_mag[..., carries, :], batch.spin[carries])
        for force_mag in (made.force_mag, batch.force_mag)
    )
    split = dict(zip(FORCE_MAG_PARTS, zip(*in_parts, strict=True), strict=True))
    per_atom = n_atoms[:, None, None]
    kinds = {
        "energy": (energy / n_atoms, batch.energy / n_atoms),
        "force": (made.force, batch.force),
        **{part: both for part, both in split.items() if part in parts},
        "virial": (made.virial / per_atom, batch.virial / per_atom),
    }
    equations = {}
    for kind, (columns, label) in kinds.items():
        flat = torch.cat((columns, label.unsqueeze(0))).flatten(1).T
        bias = flat.new_zeros(len(flat), n_types)
        if kind == "energy":
            bias = composition(batch).double() / n_atoms.unsqueeze(-1)
        rows = torch.cat((bias, flat), dim=1)
        equations[kind] = rows[~rows[:, -1].isnan()]
    return equations


def _of_unit_coefficients(term: ExchangeTerm, batch: Batch) -> Derivatives:
    """The term with one coefficient set to 1 and the others to 0, for each coefficient: shapes (M, …)."""
    structure = term.structure(batch)
    units = torch.eye(len(term.start), dtype=torch.float64)
    # The largest arrays have one vector per radial function and pair.
    at_once = max(1, MOST_NUMBERS // (3 * term.basis.number * (len(batch.pair_type) + 1)))
    every = torch.vmap(lambda unit: tuple(vars(term.evaluate(structure, unit)).values()), chunk_size=at_once)
    with torch.no_grad():
        return Derivatives(*every(units))


def _weighted(triangles: dict[str, Tensor], sizes: list[int]) -> Fit:
    """Solve, weighting each kind of label by 1/residual, or 1/(SMALLEST × spread) if that is smaller.

    Labels that the term cannot explain, such as the forces of a lattice, then do not spoil the others.
    """
    spreads = {kind: _spread(triangle, sizes[0]) for kind, triangle in triangles.items()}
    # Labels with negligible spread cannot set a scale.
    if not (units := {kind: spread for kind, spread in spreads.items() if spread > 0.0}):
        nothing = torch.zeros(sum(sizes[1:]), dtype=torch.float64)
        return Fit(nothing, torch.eye(len(nothing)).double(), nothing.new_zeros(sizes[0]))
    for _ in range(ROUNDS):
        equations = torch.cat([triangles[kind] / unit for kind, unit in units.items()])
        solution, fit = _solve(torch.linalg.qr(equations, mode="r").R, sizes)
        for kind in units:
            left = triangles[kind][:, :-1] @ solution - triangles[kind][:, -1]
            units[kind] = max(float(left.norm()), SMALLEST * spreads[kind])
    return fit


def _spread(triangle: Tensor, n_types: int) -> float:
    """√rows times the rms of the labels of some equations; for energies, of their residual from the bias."""
    bias, label = triangle[:, :n_types], triangle[:, -1:]
    left = label - bias @ torch.linalg.lstsq(bias, label, driver="gelsd").solution
    norm = float(left.norm())
    return norm if norm > max(1e-9 * float(label.norm()), NOTHING) else 0.0


def _solve(triangle: Tensor, sizes: list[int]) -> tuple[Tensor, Fit]:
    """Solve least squares from the triangular factor of the equations, with a ridge on scaled columns.

    sizes: of the groups of columns, the bias first. Also returns the solution for all columns.
    """
    matrix, label = triangle[:, :-1], triangle[:, -1]
    scales = matrix.norm(dim=0).split(sizes)
    least = ROUNDING * torch.cat(scales[1:]).max()
    inverse = torch.cat([_inverse(scales[0], 0.0), *(_inverse(scale, least) for scale in scales[1:])])
    n, n_types = len(inverse), sizes[0]
    ridge = RIDGE * torch.eye(n, dtype=torch.float64)
    Q, R = torch.linalg.qr(torch.cat((matrix * inverse, ridge)))
    label = torch.cat((label, label.new_zeros(n)))
    solution = torch.linalg.solve_triangular(R, (Q.T @ label).unsqueeze(-1), upper=True).squeeze(-1)
    solution = solution * inverse
    block = R[n_types:, n_types:]
    whitening = torch.linalg.solve_triangular(block, torch.eye(n - n_types).double(), upper=True)
    return solution, Fit(solution[n_types:], inverse[n_types:, None] * whitening, solution[:n_types])


def _inverse(scale: Tensor, least: float | Tensor) -> Tensor:
    """1/scale; zero, which excludes the column, below `least` or if the function hardly contributes."""
    return torch.where((scale > REACHED * scale.max()) & (scale > least), 1.0 / scale, 0.0)
