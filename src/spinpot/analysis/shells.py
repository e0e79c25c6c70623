"""Shells: groups of pairs with the same elements and distance."""

from dataclasses import dataclass

import numpy as np

from spinpot.analysis.exchange_tensors import Exchange

GAP = 0.03  # Å; a larger gap between successive distances starts a new shell


@dataclass(frozen=True)
class Shell:
    """A shell of pairs, numbers (indices) of an Exchange.

    elements: `Fe–Ni`, … neighbours: number per magnetic atom of the first element.
    """

    elements: str
    distance: float
    neighbours: float
    pairs: np.ndarray


def shells_of(exchange: Exchange) -> list[Shell]:
    """All shells, by distance."""
    symbols = np.array(exchange.cell.get_chemical_symbols())
    magnetic = symbols[np.isfinite(exchange.own)]
    labels = pair_labels(exchange)
    found = []
    for label in dict.fromkeys(labels):
        own = np.flatnonzero(labels == label)
        own = own[np.argsort(exchange.distance[own], kind="stable")]
        for pairs in np.split(own, np.flatnonzero(np.diff(exchange.distance[own]) > GAP) + 1):
            first = label.split("–")[0]
            count = (symbols[exchange.i[pairs]] == first).sum() / (magnetic == first).sum()
            found.append(Shell(label, float(exchange.distance[pairs].mean()), float(count), pairs))
    return sorted(found, key=lambda shell: shell.distance)


def pair_labels(exchange: Exchange) -> np.ndarray:
    """`Fe–Ni`, in alphabetical order, for each pair (P,)."""
    symbols = exchange.cell.get_chemical_symbols()
    pairs = zip(exchange.i, exchange.j, strict=True)
    return np.array(["–".join(sorted((symbols[i], symbols[j]))) for i, j in pairs])


def is_collinear(exchange: Exchange) -> bool:
    """Whether all moments are parallel or antiparallel."""
    return bool(np.all(np.abs(exchange.alignment) > 0.999))
