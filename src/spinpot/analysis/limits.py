"""What training data cannot tell about exchange: pairs that coincide with images, and broken symmetry."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from spinpot.analysis.cells import connected, symmetry
from spinpot.analysis.exchange_tensors import SLACK, Exchange
from spinpot.analysis.result import shown
from spinpot.analysis.shells import Shell
from spinpot.ase import SpinCalculator

FAR, BROKEN = "†", "‡"
"""Marks of shells: beyond half of the training cells' shortest vectors; equal pairs that differ."""
LARGE = 0.1
"""A spread of J over pairs that are equal by symmetry is marked from this share of the largest |J| on."""
UNKNOWN = (
    "The model's file does not say which cells it was trained on, so it is not known up to which distance "
    "its training data tell pairs of moments apart."
)


@dataclass(frozen=True)
class Limits:
    """What to believe of an Exchange.

    reach: Å, half of the largest of the training cells' shortest lattice vectors; None if unknown. far (P,):
    pairs beyond it. equal (P,): the number of the set of pairs, equal by symmetry, that a pair is in.
    """

    reach: float | None
    far: np.ndarray
    equal: np.ndarray

    def marks(self, found: Exchange, pairs: np.ndarray) -> str:
        """The marks of some pairs, and of what follows from them, behind a blank."""
        broken = self.spread(found, pairs) > LARGE * np.abs(found.isotropic).max()
        marks = FAR * bool(self.far[pairs].any()) + BROKEN * bool(broken)
        return f" {marks}" if marks else ""

    def spread(self, found: Exchange, pairs: np.ndarray) -> float:
        """The largest difference of J, eV, between two of some pairs that are equal by symmetry."""
        J, equal = found.isotropic[pairs], self.equal[pairs]
        return max(float(np.ptp(J[equal == one])) for one in np.unique(equal))

    def said(self, found: Exchange, shells: list[Shell]) -> list[str]:
        """Paragraphs about both."""
        return [*self._of_training_cells(shells), *self._of_symmetry(found, shells)]

    def in_short(self, found: Exchange) -> str:
        """One line for pictures and files; empty where nothing is to be said."""
        if self.far.any() and self.reach is not None:
            return f"J beyond {self.reach:.2f} Å is not determined by the training data."
        if self.spread(found, np.arange(len(found.i))) > LARGE * np.abs(found.isotropic).max():
            return "Pairs that are equal by symmetry differ, by the model's error."
        return ""

    @property
    def finite_reach(self) -> float | None:
        """reach, for JSON; None also where nothing limits it."""
        return None if self.reach is None or np.isinf(self.reach) else self.reach

    def _of_training_cells(self, shells: list[Shell]) -> list[str]:
        count = sum(bool(self.far[shell.pairs].any()) for shell in shells)
        if self.reach is None or not count:
            return []
        return [
            "Not determined by the training data: the shortest lattice vector of every training cell is at "
            f"most {2.0 * self.reach:.2f} Å long. Moments farther apart than half of it, {self.reach:.2f} Å, "
            "coincide there with images of others, so that the data say nothing about their J alone. "
            f"{count} of {len(shells)} shells are so (marked {FAR}): their J, and what follows from them "
            "(ordering temperature, spin waves), are the network's guess. Train on larger cells."
        ]

    def _of_symmetry(self, found: Exchange, shells: list[Shell]) -> list[str]:
        worst = max(shells, key=lambda shell: self.spread(found, shell.pairs))
        spread, largest = self.spread(found, worst.pairs), float(np.abs(found.isotropic).max())
        if spread == 0.0:  # nothing is equal to anything but its reverse
            return []
        J = 1000.0 * found.isotropic[worst.pairs]
        limits = f"{shown(float(J.min()))} to {shown(float(J.max()))} meV"
        meV = f"{1000 * spread:.3g} meV"
        text = f"Pairs that the symmetry of the structure makes equal differ in J by up to {meV}"
        if spread <= LARGE * largest:
            return [f"{text}: an error of the model, beside a largest |J| of {1000 * largest:.4g} meV."]
        return [
            f"{text} ({worst.elements} at {worst.distance:.3f} Å: {limits}; such "
            f"shells are marked {BROKEN}). That is no exchange: it is the model's error."
        ]


def limits_of(model: SpinCalculator, found: Exchange, tolerance: float) -> Limits:
    """tolerance: Å and μ_B, within which the structure is symmetric."""
    reach = model.tells_apart()
    far = np.zeros(len(found.i), dtype=bool) if reach is None else found.distance > reach + SLACK
    return Limits(reach, far, equal_pairs(found, tolerance))


def equal_pairs(found: Exchange, tolerance: float) -> np.ndarray:
    """The number of the set that each pair is in (P,): sets of pairs that symmetry takes into each other.

    Symmetry is of the structure with its moments, all of which may be turned or reflected together: the
    isotropic exchange stays the same.
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
    """Where each takes the atoms (n,) of the cell, and its Cartesian rotation (3, 3)."""
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
    """Pairs as points (P, 5) that are apart unless atoms and vector are the same."""
    far = 1e3
    return np.column_stack((far * atoms[found.i], far * atoms[found.j], found.vector @ rotation.T))
