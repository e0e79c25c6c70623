"""NiO as a spin-lattice Hamiltonian: the reference whose exact derivatives label the built-in data set.

E(R, S) = E_ion + E_exchange + E_dipole + E_Landau in eV, Å and μ_B. Oxygen carries no moment.

E_ion
    Rigid ions of charge ±2 with the Ni–O and O–O Buckingham terms of G. V. Lewis and C. R. A. Catlow,
    J. Phys. C 18, 1149 (1985), table 1. Their oxygen shell is left out: it does not enter the energy of the
    perfect crystal, but without it the ions do not polarise. The Coulomb sum is damped and truncated
    (D. Wolf et al., J. Chem. Phys. 110, 8254 (1999); C. J. Fennell and J. D. Gezelter, ibid. 124, 234104
    (2006)), here shifted to second order so that E is twice continuously differentiable at the cutoff.
    Without the long range, LO and TO phonons meet at Γ; as in every pair potential, C12 = C44 there.
E_exchange
    Heisenberg exchange with J1 and J2 of M. T. Hutchings and E. J. Samuelsen, Phys. Rev. B 6, 3447 (1972).
    Each pair counts once with J S_1·S_2, S = 1, J > 0 antiferromagnetic (6 J2 = 114 meV is then close to
    their highest magnon, 117 meV). The exchange acts through the bridging oxygen. It is J2 for a 180° bridge,
    J1/2 for each of the two 90° bridges of nearest neighbours, and the cos²-weighted mean for other angles
    (Goodenough–Kanamori). Each Ni–O leg enters as r^-5, so that J falls with the tenth power of the length:
    the 10/3 law of D. Bloch, J. Phys. Chem. Solids 27, 881 (1966).
E_dipole
    The magnetic dipole–dipole interaction, which has no parameter. It makes (111) the easy plane of AFM-II
    (F. Keffer and W. O'Sullivan, Phys. Rev. 108, 637 (1957)) and turns with the crystal, as an axis fixed in
    space would not. The far smaller anisotropy within the plane is left out.
E_Landau
    A double well in |S|, which determines the length of moments.

Spins are moments in μ_B. The S = 1 of the exchange constants stands for the ordered moment of NiO, 1.90 μ_B
(A. K. Cheetham and D. A. O. Hope, Phys. Rev. B 27, 6964 (1983)), taken as a classical vector.

These parameters are chosen here, not published: `LANDAU_CURVATURE`, the cutoffs, and `DAMPING`. With this
`DAMPING` the pressure is zero at a = 4.17 Å (the published potential with the full Coulomb sum and without
magnetism gives 4.179 Å).
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
import vesin
from ase.build import bulk, make_supercell
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

TYPE_NAMES = ("Ni", "O")
NICKEL, OXYGEN = 0, 1

LATTICE_CONSTANT = 4.17  # Å, the measured one
CUTOFF = 6.0  # Å, of every interaction
DAMPING = 0.425  # 1/Å, of the truncated Coulomb sum
CHARGE = 2.0  # e, of Ni; oxygen has the opposite
NI_O_REPULSION = (641.2, 0.3372)  # A in eV and ρ in Å of A exp(−r/ρ)
O_O_BUCKINGHAM = (22764.0, 0.149, 27.879)  # A in eV, ρ in Å and C in eV·Å⁶ of A exp(−r/ρ) − C/r⁶
J1 = -1.37e-3  # eV, between nearest Ni neighbours (a/√2), ferromagnetic
J2 = 19.01e-3  # eV, between next-nearest Ni neighbours (a), antiferromagnetic
LEG_EXPONENT = 5.0  # exchange falls as (leg length)^-5 with each of its two Ni–O legs

LEG_SWITCH = (2.6, 3.2)
"""Å. A leg is a nearest Ni–O contact (2.085 Å); the next-nearest contacts, at 3.61 Å, do not count."""

DIPOLE_SWITCH = (5.2, CUTOFF)
"""Å. The dipole interaction is not truncated within the first number, which includes three Ni shells."""

MOMENT = 1.90  # μ_B, the length of a Ni moment in the ground state

LANDAU_CURVATURE = 0.5
"""eV/μ_B², d²E/d|S|² of one moment in the ground state.

It is of the order of the intra-atomic exchange of a 3d ion, which causes the moment. A moment changed by 3 %
then has about the same magnetic force as one tilted by 30°, so that neither dominates the labels.
"""

COULOMB = 14.399645  # eV·Å, e²/4πε0
DIPOLE = 5.36815e-5  # eV·Å³/μ_B², μ0/4π

AFM_II = (0.5, 0.5, 0.5)
"""The ordering vector of NiO in 2π/a: ferromagnetic (111) planes, neighbouring planes antiparallel."""

EASY_AXIS = (1.0, 1.0, -2.0)  # the direction of the moments within the (111) plane

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Structure:
    """One periodic frame: `types` (N,), `box` (3, 3) and `coord` (N, 3) in Å, `spin` (N, 3) in μ_B."""

    types: NDArray[np.int64]
    box: Array
    coord: Array
    spin: Array


def structure(cell: ArrayLike, order: ArrayLike = AFM_II, axis: ArrayLike = EASY_AXIS) -> Structure:
    """The perfect crystal in the given cell, with collinear moments. Ni atoms come first.

    `cell` (3, 3): rows are lattice vectors in units of the lattice constant. `order`: the ordering vector in
    2π/a, with which the cell must be commensurate. `axis`: the direction of the moments.
    """
    primitive = bulk("NiO", "rocksalt", a=LATTICE_CONSTANT)
    multiples = np.asarray(cell) * LATTICE_CONSTANT @ np.linalg.inv(primitive.cell.array)
    atoms = make_supercell(primitive, np.rint(multiples).astype(int))
    atoms = atoms[np.argsort(atoms.numbers != 28, kind="stable")]
    types = np.where(atoms.numbers == 28, NICKEL, OXYGEN)
    # The phase of an eighth of a turn keeps the nodes of the AFM-III wave off the atoms.
    phase = 2 * np.pi * atoms.positions @ np.asarray(order) / LATTICE_CONSTANT - np.pi / 4
    sign = np.where(types == NICKEL, np.sign(np.cos(phase)), 0.0)
    direction = np.asarray(axis) / np.linalg.norm(axis)
    return Structure(types, atoms.cell.array, atoms.positions, MOMENT * sign[:, None] * direction)


def labels(frame: Structure) -> dict[str, NDArray[np.float64]]:
    """`energy` (), `force` (N, 3), `force_mag` (N, 3) and `virial` (3, 3) as in core.conventions."""
    i, j, shift = _pairs(frame.coord, frame.box)
    coord, box = torch.from_numpy(frame.coord), torch.from_numpy(frame.box)
    vectors = (coord[j] - coord[i] + shift @ box).requires_grad_()
    spin = torch.tensor(frame.spin, requires_grad=True)
    terms = energy_terms(vectors, i, j, torch.from_numpy(frame.types), spin)
    energy = torch.stack(list(terms.values())).sum()
    pull, field = torch.autograd.grad(energy, (vectors, spin))
    force = torch.zeros_like(coord).index_add(0, i, pull).index_add(0, j, -pull)
    virial = -pull.T @ vectors.detach()
    found = {"energy": energy.detach(), "force": force, "force_mag": -field, "virial": virial}
    return {name: value.numpy() for name, value in found.items()}


def energy_terms(vectors: Tensor, i: Tensor, j: Tensor, types: Tensor, spin: Tensor) -> dict[str, Tensor]:
    """The four terms of E in eV, by name.

    `vectors` (P, 3): from atom `i` (P,) to atom `j` (P,), every pair within `CUTOFF` once, images included.
    """
    r = vectors.norm(dim=1)
    oxygens = types[i] + types[j]  # in each pair
    magnetic, bond = oxygens == 0, oxygens == 1
    oxygen = torch.where(types[i] == OXYGEN, i, j)[bond]
    nickel = torch.where(types[i] == OXYGEN, j, i)[bond]
    return {
        "ion": _ion_energy(r, oxygens) + len(types) * CHARGE**2 * _coulomb_self(),
        "exchange": _exchange_energy(vectors[bond], oxygen, spin[nickel], len(types)),
        "dipole": _dipole_energy(vectors[magnetic], spin[i[magnetic]], spin[j[magnetic]]),
        "landau": _landau_energy(spin[types == NICKEL]),
    }


def _pairs(coord: Array, box: Array) -> tuple[Tensor, Tensor, Tensor]:
    """Atoms i (P,) and j (P,) and the cell shift of j (P, 3), for each pair within the cutoff once."""
    search = vesin.NeighborList(cutoff=CUTOFF, full_list=False, sorted=True, n_threads=1)
    i, j, shift = search.compute(points=coord, box=box, periodic=True, quantities="ijS")
    first, second = (torch.from_numpy(atoms.astype(np.int64)) for atoms in (i, j))
    return first, second, torch.from_numpy(shift.astype(np.float64))


def _ion_energy(r: Tensor, oxygens: Tensor) -> Tensor:
    """Coulomb and Buckingham energy of pairs at distances `r` (P,) with 0, 1 or 2 `oxygens` (P,)."""
    sign = torch.where(oxygens == 1, -1.0, 1.0).to(r.dtype)
    coulomb = CHARGE**2 * (sign * _shifted(_damped_coulomb, r)).sum()
    repulsion = _shifted(_ni_o_repulsion, r[oxygens == 1]).sum()
    buckingham = _shifted(_o_o_buckingham, r[oxygens == 2]).sum()
    return coulomb + repulsion + buckingham


def _damped_coulomb(r: Tensor) -> Tensor:
    return COULOMB * torch.erfc(DAMPING * r) / r


def _ni_o_repulsion(r: Tensor) -> Tensor:
    A, rho = NI_O_REPULSION
    return A * torch.exp(-r / rho)


def _o_o_buckingham(r: Tensor) -> Tensor:
    A, rho, C = O_O_BUCKINGHAM
    return A * torch.exp(-r / rho) - C / r**6


def _shifted(function: Callable[[Tensor], Tensor], r: Tensor) -> Tensor:
    """The function minus its second-order expansion at the cutoff, so that it is C² there."""
    value, slope, curvature = _at_cutoff(function)
    x = r - CUTOFF
    return function(r) - value - slope * x - curvature * x**2 / 2


@functools.cache
def _at_cutoff(function: Callable[[Tensor], Tensor]) -> tuple[float, float, float]:
    """Value, first and second derivative of a radial function at the cutoff."""
    r = torch.tensor(CUTOFF, dtype=torch.float64, requires_grad=True)
    value = function(r)
    (slope,) = torch.autograd.grad(value, r, create_graph=True)
    (curvature,) = torch.autograd.grad(slope, r)
    return value.item(), slope.item(), curvature.item()


@functools.cache
def _coulomb_self() -> float:
    """Self-energy of a unit charge in the truncated sum, eV: half of shifted minus bare 1/r for r → 0."""
    value, slope, curvature = _at_cutoff(_damped_coulomb)
    at_zero = value - slope * CUTOFF + curvature * CUTOFF**2 / 2
    return -(2 * COULOMB * DAMPING / math.sqrt(math.pi) + at_zero) / 2


def _exchange_energy(legs: Tensor, oxygen: Tensor, spin: Tensor, atoms: int) -> Tensor:
    """Superexchange Σ_O Σ_{i<j} w_i w_j (J_180 cos²θ_ij + J_90 sin²θ_ij) s_i·s_j, i and j the Ni at oxygen O.

    `legs` (L, 3): Ni–O vectors of either sign; `oxygen` (L,): the oxygen; `spin` (L, 3): the moment at the
    other end. With M = Σ w s and Q = Σ w u⊗u⊗s of each oxygen, the double sums are |M|² and |Q|² minus their
    terms i = j, so that no list of triples is needed.
    """
    r = legs.norm(dim=1)
    u = legs / r[:, None]
    ideal = LATTICE_CONSTANT / 2
    w = (ideal / r) ** LEG_EXPONENT * _switch(r, *LEG_SWITCH)
    s = w[:, None] * spin / MOMENT
    M = s.new_zeros(atoms, 3).index_add(0, oxygen, s)
    Q = s.new_zeros(atoms, 3, 3, 3).index_add(0, oxygen, torch.einsum("la,lb,lc->labc", u, u, s))
    own = (s**2).sum()
    J_180, J_90 = J2, J1 / 2  # two 90° bridges join each pair of nearest neighbours
    return cast(Tensor, (J_90 * ((M**2).sum() - own) + (J_180 - J_90) * ((Q**2).sum() - own)) / 2)


def _dipole_energy(vectors: Tensor, spin_i: Tensor, spin_j: Tensor) -> Tensor:
    """Σ (μ0/4π) [S_i·S_j − 3 (S_i·u)(S_j·u)] / r³ over the pairs, smoothly truncated."""
    r = vectors.norm(dim=1)
    u = vectors / r[:, None]
    angular = (spin_i * spin_j).sum(1) - 3 * (spin_i * u).sum(1) * (spin_j * u).sum(1)
    return cast(Tensor, (DIPOLE * angular / r**3 * _switch(r, *DIPOLE_SWITCH)).sum())


def _landau_energy(spin: Tensor) -> Tensor:
    """Σ k (S² − m²)² / 8 S0² over the moments `spin` (M, 3), S0 = `MOMENT`.

    m is the length of a free moment, chosen such that the exchange field of AFM-II, 6 J2/S0, stretches it to
    S0. k is chosen such that the curvature at S0 is `LANDAU_CURVATURE`.
    """
    k = LANDAU_CURVATURE - 6 * J2 / MOMENT**2
    free = MOMENT**2 - 12 * J2 / k
    return (k / (8 * MOMENT**2) * ((spin**2).sum(1) - free) ** 2).sum()


def _switch(r: Tensor, start: float, end: float) -> Tensor:
    """1 up to `start`, 0 beyond `end`, and between them the quintic with two continuous derivatives."""
    x = ((r - start) / (end - start)).clamp(0, 1)
    return 1 - x**3 * (10 - 15 * x + 6 * x**2)
