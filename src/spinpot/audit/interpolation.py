"""Smooth basis functions that interpolate the work of the labels along a path between two frames.

They are common terms of spin-lattice energies: pair functions f(r), exchange f(r) S_i·S_j, and for each
magnetic element the components of S (a field), their products (anisotropy) and |S|⁴. The only assumption
about the labels is that such terms describe how they vary between two nearby frames.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from spinpot.audit.path import Path
from spinpot.data.pairs import neighbours
from spinpot.data.systems import System

CUTOFF = 5.0  # Å
FUNCTIONS = 8  # radial functions of each pair of elements
SKIN = 0.5  # Å added to the cutoff of the pair list, for pairs that come closer along the path


def radial(r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """sin(kπr/r_c)/r, k = 1…FUNCTIONS, smoothly zero at the cutoff, and derivatives: (…, FUNCTIONS).

    These are the spherical Bessel functions of J. Gasteiger et al., ICLR 2020 (DimeNet), eq. 7.
    """
    k = np.arange(1, FUNCTIONS + 1) * np.pi / CUTOFF
    x = np.minimum(r / CUTOFF, 1.0)[..., None]
    switch, slope = 1 - x**3 * (10 - 15 * x + 6 * x**2), -30 * x**2 * (1 - x) ** 2 / CUTOFF
    r = r[..., None]
    value = np.sin(k * r) / r
    return value * switch, (k * np.cos(k * r) - value) / r * switch + value * slope


class Basis:
    """Rates of change of the basis functions along paths between frames of one system."""

    def __init__(self, system: System) -> None:
        self.system = system
        types = system.types
        self.magnetic = [kind for kind in np.unique(types) if system.spin[:, types == kind].any()]

    def rates(self, path: Path, t: np.ndarray, spin_rates: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """−dB/dt of every function B at t (T,), split by what changes: (T, functions) by name.

        spin_rates: dS/dt (T, N, 3) by name. The names in the result are `force` (motion of the atoms in the
        cell), `virial` (change of the cell) and those of spin_rates.
        """
        i, j, shift, kind = self._pairs(path.start)
        vectors, by_atoms, by_cell = path.pair_vectors(i, j, shift, t)
        spin = path.spins(t)[0]
        r = np.linalg.norm(vectors, axis=-1)
        value, slope = radial(r)
        unit = vectors / r[..., None]
        dot = np.einsum("tpa,tpa->tp", spin[:, i], spin[:, j])
        kinds = list(self._slices(kind))
        found = {}
        for name, motion in (("force", by_atoms), ("virial", by_cell)):
            approach = np.einsum("tpa,tpa->tp", unit, motion)
            terms = [_sum(slope[:, own], approach[:, own]) for own, _ in kinds]
            terms += [_sum(slope[:, own], (approach * dot)[:, own]) for own, magnetic in kinds if magnetic]
            found[name] = -np.concatenate(terms, axis=1)
        for name, rate in spin_rates.items():
            turning = np.einsum("tpa,tpa->tp", rate[:, i], spin[:, j])
            turning += np.einsum("tpa,tpa->tp", spin[:, i], rate[:, j])
            terms = [_sum(value[:, own], turning[:, own]) for own, magnetic in kinds if magnetic]
            found[name] = -np.concatenate(terms + self._of_one_moment(spin, rate), axis=1)
        return found

    def _of_one_moment(self, spin: np.ndarray, rate: np.ndarray) -> list[np.ndarray]:
        """d/dt of S_a, S_a S_b and |S|⁴, summed over the atoms of each magnetic element: (T, 10) each."""
        a, b = np.triu_indices(3)
        products = rate[..., a] * spin[..., b] + spin[..., a] * rate[..., b]
        fourth = 4 * (spin**2).sum(-1) * (spin * rate).sum(-1)
        terms = np.concatenate([rate, products, fourth[..., None]], axis=-1)
        return [terms[:, self.system.types == kind].sum(axis=1) for kind in self.magnetic]

    def _pairs(self, frame: int) -> tuple[np.ndarray, ...]:
        """i, j, cell shift of j and pair of elements of every pair (each once), sorted by the elements."""
        coord, box, types = self.system.coord[frame], self.system.box[frame], self.system.types
        options = {"full_list": False, "sorted": True, "n_threads": 1}
        i, j, shift = neighbours(CUTOFF + SKIN, coord, box, self.system.pbc, "ijS", **options)
        kind = np.minimum(types[i], types[j]) * len(self.system.type_map) + np.maximum(types[i], types[j])
        order = np.argsort(kind, kind="stable")
        return i[order], j[order], shift[order].astype(float), kind[order]

    def _slices(self, kind: np.ndarray) -> Iterator[tuple[slice, bool]]:
        """For every pair of elements, the slice of its pairs (maybe empty), and whether both are magnetic."""
        kinds = np.unique(self.system.types)
        for a in kinds:
            for b in kinds[kinds >= a]:
                key = a * len(self.system.type_map) + b
                own = slice(*np.searchsorted(kind, (key, key + 1)))
                yield own, a in self.magnetic and b in self.magnetic


def _sum(function: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Σ over pairs: (T, P, K), (T, P) → (T, K)."""
    return np.asarray(np.einsum("tpk,tp->tk", function, weight))
