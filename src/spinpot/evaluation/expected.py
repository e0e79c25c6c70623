"""Compares the errors that a model expects (σ) with its actual errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from spinpot.core.console import print_line, print_table
from spinpot.core.conventions import SIGMA
from spinpot.core.quantities import MAIN, QUANTITIES, Quantity
from spinpot.data.systems import System, parts

LEAST_FRAMES = 3
"""A rank correlation needs at least this many frames."""


@dataclass(frozen=True)
class Expected:
    """Expected and actual errors of one quantity.

    within: the fraction of errors that are at most one σ. error, sigma: (F,), root mean square of each frame,
    in the unit of the quantity.
    """

    within: float
    error: np.ndarray
    sigma: np.ndarray

    @property
    def rank_correlation(self) -> float | None:
        """Spearman's correlation between the σ and the errors of the frames; None if too few or all equal."""
        if len(self.error) < LEAST_FRAMES:
            return None
        if np.ptp(self.error) == 0.0 or np.ptp(self.sigma) == 0.0:
            return None
        return float(spearmanr(self.sigma, self.error).statistic)

    def result(self) -> dict[str, float | None]:
        """The entries of evaluation.json."""
        sigma = float(np.sqrt(np.square(self.sigma).mean()))
        return {"sigma": sigma, "within_sigma": self.within, "rank_correlation": self.rank_correlation}


def expected_errors(
    systems: Sequence[System],
    predictions: Sequence[Mapping[str, np.ndarray]],
    magnetic: Sequence[bool],
    label_scale: Sequence[float] | None = None,
) -> dict[str, Expected]:
    """Expected and actual errors of energy, forces and magnetic forces that have labels, by name.

    predictions: from Predictor.predict with uncertainty. magnetic: whether each element carries spin.
    label_scale: (T,), the factors c by which the magnetic-force labels differ from −∂E/∂S; None for 1.
    """
    found, scale = {}, np.ones(len(magnetic)) if label_scale is None else np.array(label_scale)
    for quantity in MAIN:
        pairs = (
            _of_system(quantity, part, predicted, np.array(magnetic), scale)
            for part, predicted in _pieces(systems, predictions)
            if quantity.label in part.labels and np.isfinite(predicted[quantity.label + SIGMA]).all()
        )
        sizes = [
            ((error <= sigma).sum(), error.size, _rms(error), _rms(sigma))
            for error, sigma in pairs
            if error.size
        ]
        if sizes:
            within, count, errors, sigmas = zip(*sizes, strict=True)
            share = float(sum(within) / sum(count))
            found[quantity.name] = Expected(share, np.concatenate(errors), np.concatenate(sigmas))
    return found


def _pieces(
    systems: Sequence[System], predictions: Sequence[Mapping[str, np.ndarray]]
) -> Iterator[tuple[System, dict[str, np.ndarray]]]:
    """The systems in parts that fit in memory, each with its predictions."""
    for system, predicted in zip(systems, predictions, strict=True):
        first = 0
        for part in parts(system):
            yield part, {name: values[first : first + len(part)] for name, values in predicted.items()}
            first += len(part)


def _rms(values: np.ndarray) -> np.ndarray:
    """The root mean square of each frame, (F, n) → (F,)."""
    return np.asarray(np.sqrt(np.square(values).mean(axis=1)))


def _of_system(
    quantity: Quantity,
    system: System,
    predicted: Mapping[str, np.ndarray],
    magnetic: np.ndarray,
    label_scale: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Absolute errors and σ of all frames, (F, n) each."""
    label = np.asarray(getattr(system, quantity.label))
    if quantity.carrier:
        label = label / label_scale[system.types][:, None]
    error = np.abs(predicted[quantity.label] - label)
    sigma = predicted[quantity.label + SIGMA]
    if quantity.per_atom:
        return error[:, None] / system.n_atoms, sigma[:, None]
    if quantity.carrier:
        error, sigma = (values[:, magnetic[system.types]] for values in (error, sigma))
    sigma = np.broadcast_to(sigma[..., None], error.shape)
    return error.reshape(len(error), -1), sigma.reshape(len(error), -1)


def print_expected(results: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the values of Expected.result by quantity."""
    rows = []
    for name, result in results.items():
        quantity, rank = QUANTITIES[name], result["rank_correlation"]
        words = f"{1000.0 * result['sigma']:.3f} {quantity.meV}", f"{100.0 * result['within_sigma']:.0f} %"
        rows.append((quantity.words, *words, "–" if rank is None else f"{rank:.2f}"))
    columns = ("quantity", "σ", "errors within σ", "rank correlation with the error")
    print_table("Errors that the model expects", columns, rows, ("quantity",))
    print_line("σ is a standard deviation; 68 % of normally distributed errors lie within σ.")
