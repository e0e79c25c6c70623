"""Exchange tensors of a model: second derivatives of the energy with respect to two moment directions.

With e = S/|S|, the energy near the reference state is E = −½ Σ_{i≠j} e_i·J_ij·e_j + …, where the sum counts
each pair twice. Hence J_ij = −∂²E/∂e_i∂e_j = |S_i| ∂B_i/∂e_j with the magnetic force B = −∂E/∂S. A direction
changes only perpendicular to itself; a change along a moment is a change of its length, not exchange. One
state therefore gives the components of J_ij between the planes perpendicular to e_i and e_j. The same state
rotated to other axes gives the rest (X. He et al., Comput. Phys. Commun. 264, 107938 (2021), section 2.4, for
collinear states).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.geometry import find_mic

from spinpot.analysis.cells import shortest, supercell
from spinpot.ase import SpinCalculator
from spinpot.core.console import counted
from spinpot.core.vectors import unit

SLACK = 1e-3  # Å added to the cutoff, so that shells are included as a whole or not at all
DISPLACEMENTS = (-2, -1, 1, 2)
WEIGHTS = np.array([1.0, -8.0, 8.0, -1.0]) / 12.0  # fourth-order central difference


@dataclass(frozen=True)
class Exchange:
    """All pairs i j of magnetic atoms within a cutoff (both i j and j i), with i in the magnetic cell.

    cell: the magnetic cell, n atoms. i, j (P,): its atoms. shift (P, 3): cell of j, in lattice vectors.
    vector (P, 3): from i to j, Å. tensor (P, 3, 3): J_ij, eV; unless `full`, only components perpendicular to
    the moments, others zero. own (n,): curvature of E for rotating each moment alone, eV, NaN for atoms
    without a moment; see expected_own. error: largest difference of a tensor component from the second-order
    central difference, eV; it estimates the error of the finite step.
    """

    cell: Atoms
    i: np.ndarray
    j: np.ndarray
    shift: np.ndarray
    vector: np.ndarray
    tensor: np.ndarray
    own: np.ndarray
    error: float
    full: bool
    supercell_atoms: int

    @property
    def distance(self) -> np.ndarray:
        """|vector| (P,), Å."""
        return np.asarray(np.linalg.norm(self.vector, axis=1))

    @property
    def directions(self) -> np.ndarray:
        """Unit vectors e (n, 3); zero for atoms without a moment."""
        return unit(self.cell.get_initial_magnetic_moments())

    @property
    def alignment(self) -> np.ndarray:
        """The cosine e_i·e_j of each pair (P,)."""
        e = self.directions
        return np.asarray((e[self.i] * e[self.j]).sum(axis=1))

    @property
    def isotropic(self) -> np.ndarray:
        """J (P,), eV: the multiple of the identity closest to the known components of the tensor."""
        trace = np.trace(self.tensor, axis1=1, axis2=2)
        if self.full:
            return np.asarray(trace / 3.0)
        across = _across(self.directions)
        return np.asarray(trace / np.einsum("pab,pba->p", across[self.i], across[self.j]))

    @property
    def antisymmetric(self) -> np.ndarray:
        """D (P, 3), eV, with the energy −½ Σ D_ij·(e_i × e_j)."""
        T = self.tensor
        parts = (T[:, 1, 2] - T[:, 2, 1], T[:, 2, 0] - T[:, 0, 2], T[:, 0, 1] - T[:, 1, 0])
        return 0.5 * np.stack(parts, axis=1)

    @property
    def anisotropic(self) -> np.ndarray:
        """The symmetric part of the tensors minus the isotropic part (P, 3, 3), eV."""
        across = _across(self.directions)
        unit = np.eye(3) if self.full else np.einsum("pab,pbc->pac", across[self.i], across[self.j])
        part = self.tensor - self.isotropic[:, None, None] * unit
        return 0.5 * (part + part.swapaxes(1, 2))

    def expected_own(self) -> np.ndarray:
        """Σ_j J_ij e_i·e_j (n,), eV: the value of `own` for an energy of isotropic pairs only."""
        sums = np.zeros(len(self.cell))
        np.add.at(sums, self.i, self.isotropic * self.alignment)
        return sums


def exchange_tensors(
    model: SpinCalculator,
    cell: Atoms,
    cutoff: float,
    reach: float,
    step: float,
    full: bool,
) -> Exchange:
    """The tensors of all pairs within `cutoff` (Å) in the state of the magnetic cell `cell`.

    reach: interaction range of the model, Å. The supercell is so large that only the nearest image of each
    pair interacts. step: rad.
    """
    big, _ = supercell(cell, cutoff + max(cutoff, reach) + 2.0 * SLACK)
    assert shortest(big.cell.array) > 2.0 * (cutoff + SLACK)
    big.calc = model
    moments = big.get_initial_magnetic_moments()
    centres = np.flatnonzero(cell.get_initial_magnetic_moments().any(axis=1))
    turns = _turns(moments[centres[0]]) if full else [np.eye(3)]
    states = [(centre, turn) for centre in centres.tolist() for turn in turns]
    shown = counted(states, "Exchange")
    seen = [_response(big, centre, moments @ turn.T, step) for centre, turn in shown]
    across = [_across(unit(moments) @ turn.T) for turn in turns]
    found, own = [], np.full(len(cell), np.nan)
    for number, centre in enumerate(centres.tolist()):
        responses, _, curvatures = zip(*seen[number * len(turns) : (number + 1) * len(turns)], strict=True)
        own[centre] = np.mean(curvatures)
        atoms, *pairs = _pairs_of(big, cell, centre, cutoff)
        found.append((*pairs, _joined(responses, across, atoms, centre)))
    i, j, shift, vector, tensor = _both_ways(*map(np.concatenate, zip(*found, strict=True)))
    error = max(error for _, error, _ in seen)
    return Exchange(cell, i, j, shift, vector, tensor, own, error, full, len(big))


def _response(big: Atoms, centre: int, moments: np.ndarray, step: float) -> tuple[np.ndarray, float, float]:
    """J_i,centre of all atoms (N, 3, 3) (transverse components), its step error, and the curvature of E."""
    length = np.linalg.norm(moments, axis=1)
    direction = unit(moments)
    across = _across(direction)
    response, rough = np.zeros((2, len(big), 3, 3))
    for tangent in _triad(direction[centre])[1:]:
        fields = []
        for multiple in DISPLACEMENTS:
            tilted = moments.copy()
            tilted[centre] += multiple * step * length[centre] * tangent
            fields.append(_field(big, tilted))
        slope = np.tensordot(WEIGHTS, fields, axes=1) / step
        simple = (fields[2] - fields[1]) / (2.0 * step)
        for derivative, into in ((slope, response), (simple, rough)):
            into += (length[:, None] * derivative)[:, :, None] * tangent
    response, rough = (np.einsum("nab,nbc->nac", across, values) for values in (response, rough))
    at_rest = length[centre] * float(_field(big, moments)[centre] @ direction[centre])
    curvature = at_rest - 0.5 * float(np.trace(response[centre]))
    difference = np.abs(response - rough).max(axis=(1, 2))
    return response, float(np.delete(difference, centre).max()), curvature


def _field(big: Atoms, moments: np.ndarray) -> np.ndarray:
    """−∂E/∂S (N, 3) with the given moments, eV/μ_B."""
    big.set_initial_magnetic_moments(moments)
    return np.array(big.calc.get_property("magnetic_forces", big))


def _pairs_of(big: Atoms, cell: Atoms, centre: int, cutoff: float) -> tuple[np.ndarray, ...]:
    """The magnetic atoms near an atom: their indices in `big`, then i, j, shift and vector of an Exchange."""
    magnetic = np.flatnonzero(big.get_initial_magnetic_moments().any(axis=1))
    vectors, distances = find_mic(big.positions[magnetic] - big.positions[centre], big.cell)
    near = (distances <= cutoff + SLACK) & (magnetic != centre)
    atoms, vectors = magnetic[near], vectors[near]
    home = atoms % len(cell)
    moved = vectors + cell.positions[centre] - cell.positions[home]
    shift = np.rint(moved @ np.linalg.inv(cell.cell.array)).astype(int)
    return atoms, np.full_like(home, centre), home, shift, vectors


def _joined(
    responses: Sequence[np.ndarray], across: Sequence[np.ndarray], atoms: np.ndarray, centre: int
) -> np.ndarray:
    """J_i,centre (P, 3, 3) of some atoms i, by least squares from the responses in all rotated states.

    The unknown of a pair is a vector of 9 components; each state gives its projection by P_i ⊗ P_centre. A
    single state gives this projection only.
    """
    shown = [np.einsum("pac,bd->pabcd", p[atoms], p[centre]).reshape(-1, 9, 9) for p in across]
    seen = [response[atoms].reshape(-1, 9, 1) for response in responses]
    whole = np.linalg.pinv(np.sum(shown, axis=0), rcond=1e-6, hermitian=True) @ np.sum(seen, axis=0)
    return np.asarray(whole.reshape(-1, 3, 3))


def _both_ways(
    i: np.ndarray, j: np.ndarray, shift: np.ndarray, vector: np.ndarray, tensor: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Average J_ij with the transposed J_ji, and sort the pairs by distance. tensor: J_ji of each pair."""
    tensor = tensor.swapaxes(1, 2)
    place = {(a, b, *s): p for p, (a, b, s) in enumerate(zip(i, j, shift.tolist(), strict=True))}
    reverse = [place[(b, a, *(-k for k in s))] for a, b, s in zip(i, j, shift.tolist(), strict=True)]
    tensor = 0.5 * (tensor + tensor[reverse].swapaxes(1, 2))
    order = np.lexsort((j, i, np.round(np.linalg.norm(vector, axis=1), 4)))
    return tuple(values[order] for values in (i, j, shift, vector, tensor))


def _turns(moment: np.ndarray) -> list[np.ndarray]:
    """Rotations that take a moment to itself and to the two axes perpendicular to it."""
    triad = _triad(unit(moment))
    once = np.roll(triad, -1, axis=0).T @ triad  # each axis to the next
    return [np.eye(3), once, once @ once]


def _triad(direction: np.ndarray) -> np.ndarray:
    """Three right-handed orthonormal vectors in rows, the first along a direction."""
    helper = np.eye(3)[np.abs(direction).argmin()]
    second = unit(np.cross(direction, helper))
    return np.array([direction, second, np.cross(direction, second)])


def _across(directions: np.ndarray) -> np.ndarray:
    """Projectors onto the planes perpendicular to directions, (N, 3) → (N, 3, 3)."""
    return np.asarray(np.eye(3) - directions[:, :, None] * directions[:, None, :])
