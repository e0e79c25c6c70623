"""The exchange term fitted to labels by linear least squares: where its training starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from rich.progress import track
from torch import Tensor

from spinpot.console import progress_console
from spinpot.data.batch import Batch, batches
from spinpot.data.dataset import FrameDataset
from spinpot.model.exchange.pairs import Derivatives
from spinpot.model.exchange.term import ExchangeTerm
from spinpot.model.fitting import FittingNet
from spinpot.model.potential import SpinPotential

RIDGE = 1e-3
"""Added to the columns, each of length 1: what the labels do not tell stays small."""

MOST_FRAMES = 200
FRAMES_AT_ONCE = 2


@dataclass(frozen=True)
class Fit:
    """Coefficients θ (M,) and whitening (M, M) of a term, and the energy bias (T,), eV, fitted with them."""

    coefficients: Tensor
    whitening: Tensor
    energy_bias: Tensor


def start_exchange(potential: SpinPotential, frames: FrameDataset, spread: Mapping[str, float]) -> None:
    """Let a fresh potential begin as its exchange term fitted to the frames, its fitting nets giving zero.

    spread: the labels' own, as ErrorMetric names them. Of many frames some are looked at, evenly spaced.
    """
    term = potential.exchange
    assert term is not None
    fit = fit_frames(term, frames, spread)
    term.start.copy_(fit.coefficients)
    term.whitening.copy_(fit.whitening)
    potential.energy_bias.copy_(fit.energy_bias)
    for net in potential.fitting_nets:
        assert isinstance(net, FittingNet)
        torch.nn.init.zeros_(net.weight)
        torch.nn.init.zeros_(net.bias)


def fit_frames(term: ExchangeTerm, frames: FrameDataset, spread: Mapping[str, float]) -> Fit:
    """Set the mean lengths S_0 of a term's moments by some frames, and fit it to their labels."""
    chosen = range(0, len(frames), -(-len(frames) // MOST_FRAMES))
    squares = torch.zeros_like(term.moment_squared)
    counts = torch.zeros_like(squares)
    for frame in (frames[index] for index in chosen):
        for place, kind in enumerate(term.types):
            of_kind = frame.spin[frame.types == kind].square().sum(-1)
            squares[place] += of_kind.sum()
            counts[place] += len(of_kind)
    term.moment_squared.copy_(squares / counts.clamp(min=1))
    counted = track(
        chosen,
        "Exchange",
        transient=True,
        console=progress_console,
        disable=not progress_console.is_terminal,
    )
    return fit_exchange(term, batches((frames[index] for index in counted), FRAMES_AT_ONCE), spread)


def fit_exchange(term: ExchangeTerm, batches: Iterable[Batch], spread: Mapping[str, float]) -> Fit:
    """Fit a term and the energy bias to all labels at once, each kind in units of its spread.

    spread: the labels' own, as ErrorMetric names them. Each batch counts as much as any other. The whitening
    is the inverse of the triangular factor of the least-squares matrix, so that each amplitude changes the
    labels by about 1 spread.
    """
    triangle = None
    count = 0
    for batch in batches:
        rows = _rows(term, batch, spread)
        # Only the triangular factor is kept, so that memory does not grow with the data.
        rows = rows if triangle is None else torch.cat((triangle, rows))
        triangle = torch.linalg.qr(rows, mode="r").R
        count += 1
    assert triangle is not None
    return _solve(triangle / count**0.5, len(term.elements))


def _rows(term: ExchangeTerm, batch: Batch, spread: Mapping[str, float]) -> Tensor:
    """The equations of a batch, (rows, T + M + 1): of the bias, of the coefficients, and the labels."""
    made = _of_unit_coefficients(term, batch)
    n_types, n_atoms = len(term.elements), batch.n_atoms.double()
    composition = torch.zeros(batch.n_frames, n_types, dtype=torch.float64)
    composition.index_put_((batch.frame, batch.types), torch.ones(()).double(), accumulate=True)
    energy = torch.zeros(len(made.atom_energy), batch.n_frames, dtype=torch.float64)
    energy = energy.index_add(1, batch.frame, made.atom_energy)
    direction = torch.nn.functional.normalize(batch.spin, dim=-1)
    atoms = torch.isin(batch.types, torch.tensor(term.types)) & (direction.norm(dim=-1) > 0)
    direction = direction[atoms]
    along = [(values[..., atoms, :] * direction).sum(-1) for values in (made.force_mag, batch.force_mag)]
    across = [
        values[..., atoms, :] - part.unsqueeze(-1) * direction
        for values, part in zip((made.force_mag, batch.force_mag), along, strict=True)
    ]
    kinds: dict[str, tuple[Tensor | None, Tensor, Tensor]] = {
        "e": (composition / n_atoms.unsqueeze(-1), energy / n_atoms, batch.energy / n_atoms),
        "fr": (None, made.force, batch.force),
        "fm_transverse": (None, across[0], across[1]),
        "fm_longitudinal": (None, along[0], along[1]),
        "v": (None, made.virial / n_atoms[:, None, None], batch.virial / n_atoms[:, None, None]),
    }
    parts = []
    for name, (bias, columns, label) in kinds.items():
        unit = spread[f"rmse_{name}"]
        if not unit > 0.0:  # nothing is labelled, or it never changes
            continue
        columns, label = columns.flatten(1).T, label.flatten()
        bias = columns.new_zeros(len(label), n_types) if bias is None else bias
        rows = torch.cat((bias, columns, label.unsqueeze(-1)), dim=1)[~label.isnan()]
        parts.append(rows / (unit * max(len(rows), 1) ** 0.5))
    return torch.cat(parts)


def _of_unit_coefficients(term: ExchangeTerm, batch: Batch) -> Derivatives:
    """What each coefficient alone would give, (M, …) in place of (…)."""
    structure = term.structure(batch)
    units = torch.eye(len(term.start), dtype=torch.float64)

    def evaluate(coefficients: Tensor) -> tuple[Tensor, ...]:
        made = term.evaluate(structure, coefficients)
        return made.atom_energy, made.force, made.force_mag, made.virial

    with torch.no_grad():
        return Derivatives(*torch.vmap(evaluate)(units))


def _solve(triangle: Tensor, n_types: int) -> Fit:
    """Least squares from the triangular factor of the equations, with a ridge on scaled columns."""
    matrix, label = triangle[:, :-1], triangle[:, -1]
    scale = matrix.norm(dim=0)
    # A function that no pair ever reaches stays at zero.
    inverse = torch.where(scale > 1e-12 * scale.max(), 1.0 / scale, 0.0)
    n = len(scale)
    ridge = RIDGE * torch.eye(n, dtype=torch.float64)
    # The energy's mean is no matter of taste: the bias is nearly free.
    ridge[:n_types] *= 1e-6
    Q, R = torch.linalg.qr(torch.cat((matrix * inverse, ridge)))
    label = torch.cat((label, label.new_zeros(n)))
    solution = torch.linalg.solve_triangular(R, (Q.T @ label).unsqueeze(-1), upper=True).squeeze(-1)
    solution = solution * inverse
    block = R[n_types:, n_types:]
    whitening = torch.linalg.solve_triangular(block, torch.eye(n - n_types).double(), upper=True)
    return Fit(solution[n_types:], inverse[n_types:, None] * whitening, solution[:n_types])
