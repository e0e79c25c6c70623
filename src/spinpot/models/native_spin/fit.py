"""Fits the linear part by least squares: minimises the loss with its limit prefactors.

The objective is Σ_x p_x/n_x Σ Δ_x² over the loss's terms x, with their limit prefactors p_x and counts n_x.
It is a quadratic function of the weights of the invariants and the energies of the elements, so that only
sums over frames are stored. A ridge keeps weights small that the labels do not determine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from spinpot.core.console import counted
from spinpot.core.quantities import ENERGY, FORCE, FORCE_MAG, PARTS, QUANTITIES, VIRIAL, Quantity
from spinpot.core.split import split_along
from spinpot.data.batch import Batch
from spinpot.data.dataset import make_frame
from spinpot.data.systems import System
from spinpot.models.energy_bias import composition, composition_fit
from spinpot.models.native_spin.invariants import Invariants
from spinpot.models.native_spin.rows import Rows, design
from spinpot.models.native_spin.statistics import chosen
from spinpot.models.start import Place, TrainingLabels, of_elements

if TYPE_CHECKING:
    from spinpot.models.native_spin.potential import NativeSpin

RIDGE = 1e-7
"""Relative to the largest diagonal element of the normal matrix."""
COMPARED = (ENERGY, FORCE, *PARTS, VIRIAL)
"""Labels whose residuals determine the frames' weights, if the loss has these labels."""
OUTLIER, UNEXPLAINED, FEW = 10.0, 0.2, 0.05
"""A frame gets a smaller weight if its residual exceeds OUTLIER × the median residual, UNEXPLAINED × the rms
of its labels, and the residuals of all but the fraction FEW of the frames."""
ROUNDS = 6
"""Iterations of solution and frame weights."""
SAME_WEIGHT = 1e-3
"""The iteration ends when no weight changes by more."""
LEAST_NOISE = 1e-12
"""Lower bound of the residuals' variance, relative to the labels' mean square."""
MOST_ATOMS = 50_000
"""Most atoms in a sample of frames."""
CALIBRATED = 30
"""Most frames used to calibrate the expected errors."""
MOST_LINES = 5
AT_ONCE, ATOMS_AT_ONCE = 4, 4000
"""Frames per batch, and most atoms per batch."""


@dataclass(frozen=True)
class Sums:
    """Sums over the rows x (C columns and the label) of some frames, for each term of the loss.

    products: (C + 1, C + 1), Σ xᵀx. counts: as in the loss. numbers: of rows.
    """

    products: dict[str, Tensor]
    counts: dict[str, float]
    numbers: dict[str, float]

    def __add__(self, other: Sums) -> Sums:
        """The sums over the frames of both."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Sums(*({name: own[name] + more[name] for name in own} for own, more in pairs))

    def objective(self, prefactors: Mapping[str, float]) -> Tensor:
        """Σ_x p_x/n_x Σ xᵀx, (C + 1, C + 1)."""
        weights = {
            name: prefactors[name] / (count * QUANTITIES[name].components)
            for name, count in self.counts.items()
            if count > 0.0
        }
        return sum((weight * self.products[name] for name, weight in weights.items()), torch.zeros(()))

    def variance(self, name: str, solution: Tensor) -> float:
        """The mean square residual of the labels for a solution (C,)."""
        errors = torch.cat((solution, -solution.new_ones(1)))
        return max(float(errors @ self.products[name] @ errors), 0.0) / max(self.numbers[name], 1.0)


def summed(
    invariants: Invariants, labels: TrainingLabels, places: Sequence[Place], weights: Tensor, unit: float
) -> Sums:
    """The sums over frames with weights (F,). unit: ε, eV, the unit of the rows.

    The columns are those of `design`, followed by the number of atoms of each element.
    """
    terms = [QUANTITIES[name] for name, prefactor in labels.prefactors.items() if prefactor > 0.0]
    size = invariants.elements * (invariants.size + 1) + 1
    products = {term.name: torch.zeros(size, size, dtype=torch.float64) for term in terms}
    counts, numbers = (dict.fromkeys(products, 0.0) for _ in range(2))
    stream = taken(labels, places, "Least squares")
    for batch, of_frames in zip(stream, weights.split(at_once(places)), strict=True):
        columns = with_composition(design(invariants, batch), batch, unit)
        for term in terms:
            rows, frame = compared(term, columns, batch, labels)
            weight = of_frames[frame]
            flat = rows.flatten(0, 1)
            products[term.name] += flat.T @ (flat * weight.repeat_interleave(rows.shape[1]).unsqueeze(-1))
            counts[term.name] += float(weight.sum())
            numbers[term.name] += float(weight.sum()) * rows.shape[1]
    return Sums(products, counts, numbers)


def at_once(places: Sequence[Place]) -> int:
    """Number of frames per batch, which bounds the memory: a row has many numbers per atom."""
    largest = max((system.n_atoms for system, _ in places), default=1)
    return max(1, min(AT_ONCE, ATOMS_AT_ONCE // largest))


def taken(
    labels: TrainingLabels, places: Sequence[Place], title: str, device: torch.device | str = "cpu"
) -> Iterable[Batch]:
    """Batches of the frames, with a progress bar."""
    size = at_once(places)
    return counted(labels.batches(places, size, device), title, -(-len(places) // size))


def with_composition(rows: Rows, batch: Batch, unit: float) -> dict[str, Tensor]:
    """The rows times `unit`, by the names of core.conventions, followed by the elements' columns."""
    values = {name: unit * own for name, own in vars(rows).items()}
    elements = len(batch.type_sizes)
    no_energy = {name: own.new_zeros(*own.shape[:-1], elements) for name, own in values.items()}
    beside = no_energy | {"energy": composition(batch).to(values["energy"].dtype)}
    return {name: torch.cat((own, beside[name]), dim=-1) for name, own in values.items()}


def compared(
    quantity: Quantity, columns: dict[str, Tensor], batch: Batch, labels: TrainingLabels
) -> tuple[Tensor, Tensor]:
    """Columns and labels in the form that the loss compares, (r, components, C + 1), the label last.

    Also returns the frame of each row, (r,). Rows without a label are left out.
    """
    values = torch.cat((columns[quantity.label], getattr(batch, quantity.label).unsqueeze(-1)), dim=-1)
    if quantity.per_atom:
        frame = torch.arange(batch.n_frames)
        known = frame >= 0
        values = values.view(batch.n_frames, -1, values.shape[-1])
        values = values / (batch.n_atoms.to(values.dtype) ** labels.power).view(-1, 1, 1)
    else:
        frame, known = batch.frame, batch.frame >= 0
    if quantity.label == FORCE_MAG.label:
        known = labels.magnetic[batch.types]
        if labels.scale is not None:
            values = values * labels.scale[batch.types].view(-1, 1, 1)
        if quantity.part is not None:
            values = split_along(values.movedim(-1, 0), batch.spin)[quantity.part].movedim(0, -1)
    known = known & ~values[..., -1].isnan().any(dim=-1)
    return values[known], frame[known]


def solved(objective: Tensor, elements: int) -> Tensor:
    """The minimum of the objective (C + 1, C + 1): (C,), the weights, then the elements' energies.

    If the energies are not unique, they have minimum norm, as in models/energy_bias.py.
    """
    matrix, right = objective[:-1, :-1], objective[:-1, -1]
    n = len(matrix) - elements
    ridge = RIDGE * float(matrix.diagonal()[:n].max())
    if not ridge > 0.0:
        return torch.zeros_like(right)
    inverse = torch.linalg.pinv(matrix[n:, n:], hermitian=True, rtol=1e-12)
    across = matrix[:n, n:] @ inverse
    inner = matrix[:n, :n] - across @ matrix[n:, :n] + ridge * torch.eye(n, dtype=matrix.dtype)
    weights = torch.cholesky_solve(
        (right[:n] - across @ right[n:]).unsqueeze(-1), torch.linalg.cholesky(inner)
    ).squeeze(-1)
    return torch.cat((weights, inverse @ (right[n:] - matrix[n:, :n] @ weights)))


@dataclass(frozen=True)
class Left:
    """Rms per component of the residuals, and of the labels, for each frame and Q quantities, (F, Q).

    NaN without labels.
    """

    errors: Tensor
    labels: Tensor

    @property
    def usual(self) -> Tensor:
        """(Q,), the median residuals over the frames."""
        return self.errors.nanmedian(dim=0).values

    @property
    def excess(self) -> Tensor:
        """(F, Q), the residuals relative to their outlier limits."""
        rank = "lower" if len(self.errors) * FEW >= 1.0 else "higher"
        of_most = self.errors.nanquantile(1.0 - FEW, dim=0, interpolation=rank)
        bound = torch.maximum(torch.maximum(OUTLIER * self.usual, of_most), UNEXPLAINED * self.labels)
        return (self.errors / bound).nan_to_num(nan=0.0)

    def weights(self) -> Tensor:
        """(F,), weights: 1 within the outlier limit, smaller beyond it, 0 from twice the limit on."""
        return (2.0 - self.excess.amax(dim=-1)).clamp(0.0, 1.0)


def trained(labels: TrainingLabels) -> list[Quantity]:
    """The quantities in COMPARED whose limit prefactors are not zero."""
    on = {name for name, prefactor in labels.prefactors.items() if prefactor > 0.0}
    return [q for q in COMPARED if q.name in on or (q in PARTS and FORCE_MAG.name in on)]


def left_of(
    predict: Callable[[Batch], Mapping[str, Tensor]], labels: TrainingLabels, places: Sequence[Place]
) -> Left:
    """The residuals of a prediction, for the labels that are trained."""
    found, labels = [], replace(labels, power=1.0)
    for batch in taken(labels, places, "Errors of least squares"):
        columns = {name: values.unsqueeze(-1) for name, values in predict(batch).items()}
        of_batch = []
        for quantity in trained(labels):
            rows, frame = compared(quantity, columns, batch, labels)
            square = torch.stack((rows[..., 0] - rows[..., 1], rows[..., 1])).square().mean(dim=-1)
            total = square.new_zeros(2, batch.n_frames).index_add(1, frame, square)
            of_batch.append((total / frame.bincount(minlength=batch.n_frames)).sqrt())
        found.append(torch.stack(of_batch, dim=-1))
    return Left(*torch.cat(found, dim=1))


def begin_linear(potential: NativeSpin, labels: TrainingLabels) -> list[str]:
    """Initialise the linear part by least squares; the nets must give zero. Returns lines on the fit.

    Frames with far larger residuals than others get smaller weights, and the fit is repeated.
    """
    places = _places(potential, labels)
    bias = potential.energy_bias.clone()
    labels = labels.without(of_elements(bias))
    elements, unit = len(bias), float(potential.energy_scale)
    weights = torch.ones(len(places), dtype=torch.float64)
    sums = summed(potential.invariants, labels, places, weights, unit)
    for more in reversed(range(ROUNDS)):
        solution = solved(sums.objective(labels.prefactors), elements)
        potential.linear.data.copy_(solution[:-elements].view_as(potential.linear))
        potential.energy_bias.copy_(solution[-elements:])
        left = left_of(potential, labels, places)
        new = left.weights()
        changed = ((new - weights).abs() > SAME_WEIGHT).nonzero().flatten()
        if not len(changed) or not more:
            break
        some = [places[number] for number in changed.tolist()]
        sums += summed(potential.invariants, labels, some, (new - weights)[changed], unit)
        weights[changed] = new[changed]
    potential.energy_bias.add_(bias)
    potential.expected_errors.settle(information(sums, solution, elements))
    return [*_sample(labels, places), *_outliers(places, weights, left, trained(labels))]


@torch.no_grad()
def refit_bias(potential: NativeSpin, labels: TrainingLabels) -> None:
    """Refit the energy bias to the residuals of the energies, with the loss's weights.

    Energies with far larger residuals than others get smaller weights, as in begin_linear.
    """
    bias = potential.energy_bias
    found = [torch.zeros(0, len(bias) + 2, dtype=torch.float64)]
    for batch in taken(labels, _places(potential, labels), "Energy bias", bias.device):
        atoms = composition(batch).to(bias.dtype)
        left, own = batch.energy - potential(batch)["energy"], batch.energy - atoms @ bias
        power = batch.n_atoms.to(left.dtype) ** labels.power
        rows = torch.column_stack((atoms, left, own)) / power.unsqueeze(-1)
        found.append(rows[~left.isnan()].cpu())
    atoms, left, own = torch.cat(found).split((len(bias), 1, 1), dim=-1)
    if len(left):
        bias.add_(_shift(atoms, left, own).to(bias.device))


def _shift(atoms: Tensor, left: Tensor, own: Tensor) -> Tensor:
    """Energies of the elements (T,) that minimise the residuals (F, 1)."""
    weight = torch.ones_like(left)
    for _ in range(ROUNDS):
        root = weight.sqrt()
        shift = torch.from_numpy(composition_fit((root * atoms).numpy(), (root * left).squeeze(-1).numpy()))
        weight = Left((left - atoms @ shift.unsqueeze(-1)).abs(), own.abs()).weights().unsqueeze(-1)
    return shift


@torch.no_grad()
def calibrate(potential: NativeSpin, labels: TrainingLabels) -> None:
    """Calibrate the potential's expected errors on held-out frames, or on training frames without any."""

    def some(systems: Sequence[System]) -> Iterable[Batch]:
        places = chosen(systems, labels.seed, CALIBRATED)
        return taken(labels, places, "Expected errors", potential.energy_bias.device)

    own, invariants, unit = potential.expected_errors, potential.invariants, potential.energy_scale
    own.settle_usual(invariants, unit, some(labels.systems))
    held_out = some(labels.held_out or labels.systems)
    own.settle_noise(invariants, unit, ((batch, potential(batch)) for batch in held_out))


def information(sums: Sums, solution: Tensor, elements: int) -> Tensor:
    """Σ_x Σ xᵀx/σ_x², (C, C), with the mean square residual σ_x² of each kind of label, and a ridge.

    Its inverse is the covariance of the solution if errors are independent.
    """
    n = len(solution) - elements
    matrix = torch.zeros(len(solution), len(solution), dtype=torch.float64)
    for name, products in sums.products.items():
        least = LEAST_NOISE * float(products[-1, -1]) / max(sums.numbers[name], 1.0)
        variance = max(sums.variance(name, solution), least)
        matrix += products[:-1, :-1] / variance if variance > 0.0 else 0.0
    own = matrix.diagonal().split((n, elements))
    return matrix + RIDGE * torch.diag(torch.cat([part.max().clamp(min=1.0).expand_as(part) for part in own]))


def _places(potential: NativeSpin, labels: TrainingLabels) -> list[Place]:
    most = potential.spec.most_frames
    return chosen(labels.systems, labels.seed, most, MOST_ATOMS if most < sys.maxsize else sys.maxsize)


def _sample(labels: TrainingLabels, places: Sequence[Place]) -> list[str]:
    every = sum(map(len, labels.systems))
    if len(places) == every:
        return []
    return [
        f"Least squares on {len(places)} of the {every} training frames, drawn by the seed; "
        "model.fit_frames=all uses all."
    ]


def _outliers(
    places: Sequence[Place], weights: Tensor, left: Left, quantities: Sequence[Quantity]
) -> list[str]:
    """Lines on the frames with smaller weights, worst first, at most MOST_LINES. quantities: of `left`."""
    numbers = [n for n in weights.argsort().tolist() if weights[n] < 1.0]
    lines = []
    for number in numbers[:MOST_LINES]:
        frame = make_frame(*places[number])
        worst = int(left.excess[number].argmax())
        quantity, error, usual = quantities[worst], left.errors[number, worst], left.usual[worst]
        lines.append(
            f"look: least squares: {frame.origin[0]} frame {frame.origin[1]} has the weight "
            f"{float(weights[number]):.2g}: the rmse of its {quantity.title} is {1000 * float(error):.3g} "
            f"{quantity.meV}, in the median frame {1000 * float(usual):.3g}."
        )
    more = len(numbers) - MOST_LINES
    return [*lines, f"look: least squares: {more} more frames have smaller weights."] if more > 0 else lines
