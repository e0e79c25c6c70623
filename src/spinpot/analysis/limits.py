"""Limits of exchange constants: pairs that the training data do not determine, and broken symmetry."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from spinpot.analysis.cells import connected, symmetry
from spinpot.analysis.exchange_tensors import Exchange
from spinpot.analysis.periodic_images import SMALL, determined
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
UNKNOWN = (
    "The model file does not contain the sizes of the training cells, so the distance up to which the "
    "training data determine J is unknown."
)


@dataclass(frozen=True)
class Limits:
    """Which pairs of an Exchange are reliable.

    reach: Å, half of the largest "shortest lattice vector" among the training cells; None if unknown. far
    (P,): pairs that the training cells do not determine and whose J is not small. equal (P,): number of the
    set of symmetry-equivalent pairs.
    """

    reach: float | None
    far: np.ndarray
    equal: np.ndarray

    def marks(self, found: Exchange, pairs: np.ndarray) -> str:
        """The marks for some pairs, and for results derived from them, after a blank."""
        broken = self.spread(found, pairs) > LARGE * np.abs(found.isotropic).max()
        marks = FAR * bool(self.far[pairs].any()) + BROKEN * bool(broken)
        return f" {marks}" if marks else ""

    def spread(self, found: Exchange, pairs: np.ndarray) -> float:
        """The largest difference of J, eV, between symmetry-equivalent pairs among the given ones."""
        J, equal = found.isotropic[pairs], self.equal[pairs]
        return max(float(np.ptp(J[equal == one])) for one in np.unique(equal))

    def said(self, found: Exchange, shells: list[Shell]) -> list[str]:
        """Paragraphs about both limits."""
        return [*self._of_training_cells(shells), *self._of_symmetry(found, shells)]

    def in_short(self, found: Exchange) -> str:
        """A one-line warning for pictures and files; empty if there is none."""
        if self.far.any():
            nearest = found.distance[self.far].min()
            return (
                f"The training data do not determine all J; the nearest such pair is {nearest:.2f} Å apart."
            )
        if self.spread(found, np.arange(len(found.i))) > LARGE * np.abs(found.isotropic).max():
            return "Pairs that are equal by symmetry differ, an error of the model."
        return ""

    @property
    def finite_reach(self) -> float | None:
        """`reach` for JSON; None if unknown or infinite."""
        return None if self.reach is None or np.isinf(self.reach) else self.reach

    def _of_training_cells(self, shells: list[Shell]) -> list[str]:
        far = [shell for shell in shells if self.far[shell.pairs].any()]
        if not far:
            return []
        return [
            f"The training data do not determine J in {len(far)} of {len(shells)} shells (marked {FAR}; the "
            f"nearest is {far[0].elements} at {far[0].distance:.3f} Å). In the training cells these pairs "
            "coincide with periodic images at other distances, so the labels give only the sum of their J. "
            "The model extrapolates each J, and what depends on it (ordering temperature, spin waves). Train "
            "on larger cells."
        ]

    def _of_symmetry(self, found: Exchange, shells: list[Shell]) -> list[str]:
        worst = max(shells, key=lambda shell: self.spread(found, shell.pairs))
        spread, largest = self.spread(found, worst.pairs), float(np.abs(found.isotropic).max())
        if spread <= ROUNDING * largest:  # also if no pair is equivalent to another, except to its reverse
            return []
        J = 1000.0 * found.isotropic[worst.pairs]
        limits = f"{shown(float(J.min()))} to {shown(float(J.max()))} meV"
        meV = f"{1000 * spread:.3g} meV"
        text = f"Pairs that are equal by symmetry differ in J by up to {meV}"
        if spread <= LARGE * largest:
            return [f"{text}, an error of the model; the largest |J| is {1000 * largest:.4g} meV."]
        return [
            f"{text} ({worst.elements} at {worst.distance:.3f} Å: {limits}; such shells are marked "
            f"{BROKEN}). This difference is an error of the model, not exchange"
            + ("." if found.full else ONE_STATE)
        ]


def limits_of(model: SpinCalculator, found: Exchange, tolerance: float) -> Limits:
    """The limits of exchange constants. tolerance: of the symmetry search, Å and μ_B."""
    reach, equal = model.tells_apart(), equal_pairs(found, tolerance)
    if reach is None:
        return Limits(None, np.zeros(len(found.i), dtype=bool), equal)
    size = np.abs(found.isotropic)
    smallest = SMALL * size.max()
    known = determined(found, equal, reach, model.training_cells())
    return Limits(reach, ~known & (size > smallest), equal)


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
