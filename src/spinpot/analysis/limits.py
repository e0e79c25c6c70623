"""Limits of exchange constants: training cells, the model's cutoff, and broken symmetry."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from spinpot.analysis.cells import connected, symmetry
from spinpot.analysis.exchange_tensors import Exchange
from spinpot.analysis.periodic_images import (
    SMALL,
    STRAIN,
    pairs_determined,
    sums_determined,
    supercells,
)
from spinpot.analysis.result import shown
from spinpot.analysis.shells import Shell
from spinpot.ase import SpinCalculator

FAR, BROKEN = "†", "‡"
"""Marks of shells: not determined by the training cells; equal pairs with different J."""
ROUNDING = 1e-9
LARGE = 0.1
"""Shells are marked if J differs between equal pairs by more than this share of the largest |J|."""
ONE_STATE = (
    "; but with spin–orbit coupling it may be real, because a single state gives only a part of each tensor. "
    "task.exchange.full_tensor=true gives the whole."
)
NO_CELLS = (
    "The model file does not contain the cells of training crystals, so it is unknown which J the training "
    "data determine."
)


@dataclass(frozen=True)
class Limits:
    """Which results of the exchange constants `found` are reliable.

    known (P,): whether the training cells determine the J of a pair; None if that is unknown, and `unknown`
    is the reason. sum_known: the same for the sum that gives the ordering temperature. cutoff: Å, largest
    distance of two atoms that interact directly in the model. large (P,): whether |J| is large enough to be
    listed. equal (P,): number of the set of symmetry-equivalent pairs.
    """

    found: Exchange
    known: np.ndarray | None
    sum_known: bool | None
    unknown: str
    cutoff: float
    large: np.ndarray
    equal: np.ndarray

    @property
    def far(self) -> np.ndarray:
        """The listed pairs (P,) whose J the training cells do not determine."""
        return np.zeros_like(self.large) if self.known is None else self.large & ~self.known

    def marks(self, pairs: np.ndarray) -> str:
        """The marks for some pairs, after a blank."""
        return _marks(bool(self.far[pairs].any()), self._is_broken(pairs))

    def temperature_marks(self) -> str:
        """The marks for the ordering temperature, after a blank."""
        return _marks(self.sum_known is False, self._is_broken())

    @property
    def beyond(self) -> np.ndarray:
        """The pairs (P,) whose J is zero, up to contributions by common neighbours, due to the cutoff."""
        return ~self.large & (self.found.distance > self.cutoff)

    def spread(self, pairs: np.ndarray | None = None) -> float:
        """The largest difference of J, eV, between symmetry-equivalent pairs, all or the given ones."""
        own = slice(None) if pairs is None else pairs
        J, equal = self.found.isotropic[own], self.equal[own]
        return max(float(np.ptp(J[equal == one])) for one in np.unique(equal))

    def said(self, shells: list[Shell]) -> list[str]:
        """Paragraphs about all limits."""
        cells = [self.unknown] if self.unknown else self._of_training_cells(shells)
        return [*cells, *self._of_cutoff(shells), *self._of_symmetry(shells)]

    def in_short(self) -> str:
        """A one-line warning for pictures and files; empty if there is none."""
        if self.far.any():
            nearest = self.found.distance[self.far].min()
            return (
                f"The training data do not determine all J; the nearest such pair is {nearest:.2f} Å apart."
            )
        if self._is_broken():
            return "Pairs that are equal by symmetry differ, an error of the model."
        return ""

    def _is_broken(self, pairs: np.ndarray | None = None) -> bool:
        return self.spread(pairs) > LARGE * float(np.abs(self.found.isotropic).max())

    def _of_training_cells(self, shells: list[Shell]) -> list[str]:
        listed = [shell for shell in shells if self.large[shell.pairs].any()]
        far = [shell for shell in listed if self.far[shell.pairs].any()]
        if not far:
            return []
        temperature = (
            "The ordering temperature depends only on a sum of J that the training data determine."
            if self.sum_known
            else "They do not determine the ordering temperature, either."
        )
        return [
            f"The training data do not determine J in {len(far)} of {len(listed)} shells (marked {FAR}; the "
            f"nearest is {far[0].elements} at {far[0].distance:.3f} Å). In the training cells these pairs "
            "coincide with periodic images at other distances, so the labels give only the sum of their J. "
            f"The model extrapolates each J, and the spin waves. {temperature} Train on larger cells."
        ]

    def _of_cutoff(self, shells: list[Shell]) -> list[str]:
        beyond = self.beyond
        zero = [shell for shell in shells if beyond[shell.pairs].all()]
        if not zero:
            return []
        return [
            f"The model has no direct exchange beyond its cutoff, {self.cutoff:.2f} Å. The cutoff, not the "
            f"training data, keeps |J| below {100 * SMALL:g} % of the largest in {len(zero)} shells, which "
            f"are not listed (the nearest is {zero[0].elements} at {zero[0].distance:.3f} Å). If such pairs "
            "do interact, the fit has assigned their J to nearer pairs."
        ]

    def _of_symmetry(self, shells: list[Shell]) -> list[str]:
        worst = max(shells, key=lambda shell: self.spread(shell.pairs))
        spread, largest = self.spread(worst.pairs), float(np.abs(self.found.isotropic).max())
        if spread <= ROUNDING * largest:  # also if no pair is equivalent to another, except to its reverse
            return []
        J = 1000.0 * self.found.isotropic[worst.pairs]
        limits = f"{shown(float(J.min()))} to {shown(float(J.max()))} meV"
        meV = f"{1000 * spread:.3g} meV"
        text = f"Pairs that are equal by symmetry differ in J by up to {meV}"
        if spread <= LARGE * largest:
            return [f"{text}, an error of the model; the largest |J| is {1000 * largest:.4g} meV."]
        return [
            f"{text} ({worst.elements} at {worst.distance:.3f} Å: {limits}; such shells are marked "
            f"{BROKEN}). This difference is an error of the model, not exchange"
            + ("." if self.found.full else ONE_STATE)
        ]


def limits_of(model: SpinCalculator, found: Exchange, tolerance: float) -> Limits:
    """The limits of exchange constants. tolerance: of the symmetry search, Å and μ_B."""
    size, equal = np.abs(found.isotropic), equal_pairs(found, tolerance)
    cutoff, large = 0.5 * model.reach(found.cell), size >= SMALL * size.max()
    crystals = model.training_crystals()
    # The mean of several models is determined if the cells of each of them determine it.
    cells = [supercells(found.cell, one) for one in crystals]
    if not all(cells):
        reason = _no_supercell(found) if all(crystals) else NO_CELLS
        return Limits(found, None, None, reason, cutoff, large, equal)
    known = np.all([pairs_determined(found, equal, own) for own in cells], axis=0)
    sum_known = all(sums_determined(found, own) for own in cells)
    return Limits(found, known, sum_known, "", cutoff, large, equal)


def _no_supercell(found: Exchange) -> str:
    return (
        f"No training cell is a supercell of the magnetic cell {found.cell.get_chemical_formula()} (the same "
        f"elements in the same ratio, the same orientation, a strain below {100 * STRAIN:g} %), so it is "
        "unknown which J the training data determine."
    )


def _marks(far: bool, broken: bool) -> str:
    marks = FAR * far + BROKEN * broken
    return f" {marks}" if marks else ""


def equal_pairs(found: Exchange, tolerance: float) -> np.ndarray:
    """The number of the set of symmetry-equivalent pairs that each pair belongs to (P,).

    The symmetry is that of the structure with its moments, up to a common rotation or reflection of all
    moments, which does not change isotropic exchange.
    """
    features = _features(found, np.arange(len(found.cell)), np.eye(3))
    tree, here = cKDTree(features), np.arange(len(features))
    reverse = features @ np.diag([1.0, 1.0, -1.0, -1.0, -1.0])
    links = [np.stack((here, tree.query(reverse[:, [1, 0, 2, 3, 4]])[1]))]
    for atoms, rotation in symmetries(found, tolerance):
        distance, image = tree.query(_features(found, atoms, rotation), distance_upper_bound=10.0 * tolerance)
        there = np.isfinite(distance)
        links.append(np.stack((here[there], image[there])))
    return connected(len(here), np.concatenate(links, axis=1))


def symmetries(found: Exchange, tolerance: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each symmetry operation, the images of the atoms (n,) and the Cartesian rotation (3, 3)."""
    cell = found.cell
    moments = cell.get_initial_magnetic_moments()
    products = moments @ moments.T
    scaled, lattice = cell.get_scaled_positions(), cell.cell.array
    given = symmetry(cell, cell.numbers, tolerance)
    if given is None:
        return []
    same = 10.0 * tolerance * max(1.0, float(products.max()))
    kept = []
    for rotation, translation in zip(given.rotations, given.translations, strict=True):
        moved = scaled @ rotation.T + translation
        apart = moved[:, None] - scaled[None]
        atoms = np.linalg.norm((apart - np.rint(apart)) @ lattice, axis=2).argmin(axis=1)
        if np.abs(products[np.ix_(atoms, atoms)] - products).max() <= same:
            kept.append((atoms, lattice.T @ rotation @ np.linalg.inv(lattice.T)))
    return kept


def _features(found: Exchange, atoms: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Pairs as points (P, 5), close to each other only if atoms and vector are the same."""
    far = 1e3
    return np.column_stack((far * atoms[found.i], far * atoms[found.j], found.vector @ rotation.T))
