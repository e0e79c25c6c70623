"""The spin-lattice Hamiltonian of NiO has its documented properties."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from spinpot.data import nio, nio_frames
from spinpot.data.nio import Structure, labels, structure
from spinpot.data.nio_frames import sample

CUBE = np.eye(3) * 2
"""64 atoms, commensurate with all orders below."""

ORDERS = {"FM": (0, 0, 0), "AFM-I": (0, 0, 1), "AFM-II": nio.AFM_II, "AFM-III": (1, 0.5, 0)}


@pytest.fixture(scope="module")
def frame() -> Structure:
    return sample("primitive_16", np.random.default_rng(7))


def terms(frame: Structure) -> dict[str, float]:
    i, j, shift = nio._pairs(frame.coord, frame.box)
    coord, box, spin = (torch.from_numpy(a) for a in (frame.coord, frame.box, frame.spin))
    vectors = coord[j] - coord[i] + shift @ box
    found = nio.energy_terms(vectors, i, j, torch.from_numpy(frame.types), spin)
    return {name: value.item() for name, value in found.items()}


def strained(frame: Structure, strain: np.ndarray) -> Structure:
    deformation = np.eye(3) + strain
    return replace(frame, box=frame.box @ deformation.T, coord=frame.coord @ deformation.T)


def by_hand(frame: Structure) -> float:
    """The energy by the docstring's formulas, over images and triples, without a neighbour list."""
    cells = np.array(list(itertools.product(range(-4, 5), repeat=3))) @ frame.box
    d = frame.coord[None, :, None] - frame.coord[:, None, None] + cells  # (N, N, images, 3)
    r = np.linalg.norm(d, axis=-1)
    pairs = (r > 0) & (r < nio.CUTOFF)
    i, j, _ = np.nonzero(pairs)
    d, r = d[pairs], r[pairs]
    charge = np.where(frame.types == nio.NICKEL, nio.CHARGE, -nio.CHARGE)
    energy = (nio.CHARGE**2 * nio._coulomb_self()) * len(frame.types)
    distance = torch.from_numpy(r)
    energy += (charge[i] * charge[j] * nio._shifted(nio._damped_coulomb, distance).numpy()).sum() / 2
    n_oxygen = frame.types[i] + frame.types[j]
    energy += nio._shifted(nio._ni_o_repulsion, distance[n_oxygen == 1]).sum().item() / 2
    energy += nio._shifted(nio._o_o_buckingham, distance[n_oxygen == 2]).sum().item() / 2

    magnetic = n_oxygen == 0
    si, sj, u, rm = frame.spin[i[magnetic]], frame.spin[j[magnetic]], (d / r[:, None])[magnetic], r[magnetic]
    angular = (si * sj).sum(1) - 3 * (si * u).sum(1) * (sj * u).sum(1)
    switch = nio._switch(torch.from_numpy(rm), *nio.DIPOLE_SWITCH).numpy()
    energy += (nio.DIPOLE * angular / rm**3 * switch).sum() / 2

    w = (nio.LATTICE_CONSTANT / 2 / r) ** 5 * nio._switch(distance, *nio.LEG_SWITCH).numpy()
    legs = (n_oxygen == 1) & (frame.types[i] == nio.OXYGEN) & (w > 0)
    for a, b in itertools.combinations(np.flatnonzero(legs), 2):
        if i[a] == i[b]:
            cos2 = (d[a] @ d[b] / (r[a] * r[b])) ** 2
            J = nio.J2 * cos2 + nio.J1 / 2 * (1 - cos2)
            energy += w[a] * w[b] * J * frame.spin[j[a]] @ frame.spin[j[b]] / nio.MOMENT**2
    return energy + terms(frame)["landau"]


def test_energy_is_the_sum_of_the_formulas(frame: Structure) -> None:
    assert labels(frame)["energy"] == pytest.approx(by_hand(frame), abs=1e-9)


def test_force_is_the_derivative(frame: Structure) -> None:
    force, step = labels(frame)["force"], 1e-4
    for atom, axis in [(0, 0), (3, 1), (8, 2), (15, 0)]:
        moved = []
        for sign in (1, -1):
            coord = frame.coord.copy()
            coord[atom, axis] += sign * step
            moved.append(labels(replace(frame, coord=coord))["energy"])
        assert force[atom, axis] == pytest.approx(-(moved[0] - moved[1]) / (2 * step), abs=1e-6)


def test_magnetic_force_is_the_derivative(frame: Structure) -> None:
    force_mag, step = labels(frame)["force_mag"], 1e-4
    for atom, axis in [(0, 0), (3, 1), (7, 2)]:
        moved = []
        for sign in (1, -1):
            spin = frame.spin.copy()
            spin[atom, axis] += sign * step
            moved.append(labels(replace(frame, spin=spin))["energy"])
        assert force_mag[atom, axis] == pytest.approx(-(moved[0] - moved[1]) / (2 * step), abs=1e-8)


def test_virial_is_the_derivative_at_fixed_spins(frame: Structure) -> None:
    virial, step = labels(frame)["virial"], 1e-5
    found = np.zeros((3, 3))
    for row, column in itertools.product(range(3), repeat=2):
        strain = np.zeros((3, 3))
        strain[row, column] = step
        up, down = (labels(strained(frame, sign * strain))["energy"] for sign in (1, -1))
        found[row, column] = -(up - down) / (2 * step)
    np.testing.assert_allclose(virial, found, atol=1e-6)
    # Spins stay while the crystal shears, so that the virial need not be symmetric.
    assert np.abs(virial - virial.T).max() > 1e-5


def test_energy_is_differentiable_as_labels_say(frame: Structure) -> None:
    coord, box, spin = (torch.tensor(a, requires_grad=True) for a in (frame.coord, frame.box, frame.spin))
    i, j, shift = nio._pairs(frame.coord, frame.box)
    vectors = coord[j] - coord[i] + shift @ box
    energy = sum(nio.energy_terms(vectors, i, j, torch.from_numpy(frame.types), spin).values())
    gradient = torch.autograd.grad(energy, (coord, box, spin))
    expected = labels(frame)
    assert energy.item() == pytest.approx(expected["energy"], abs=1e-10)
    np.testing.assert_allclose(-gradient[0], expected["force"], atol=1e-12)
    np.testing.assert_allclose(-gradient[2], expected["force_mag"], atol=1e-12)
    virial = -(gradient[0].T @ coord + gradient[1].T @ box).detach()
    np.testing.assert_allclose(virial, expected["virial"], atol=1e-10)


def test_invariances(frame: Structure) -> None:
    before = labels(frame)
    turn = Rotation.from_euler("xyz", [0.3, -1.1, 2.0]).as_matrix()
    turned = Structure(
        frame.types, frame.box @ turn.T, frame.coord @ turn.T + [0.3, -5, 11], frame.spin @ turn.T
    )
    after = labels(turned)
    assert after["energy"] == pytest.approx(before["energy"], abs=1e-9)
    np.testing.assert_allclose(after["force"], before["force"] @ turn.T, atol=1e-9)
    np.testing.assert_allclose(after["force_mag"], before["force_mag"] @ turn.T, atol=1e-9)
    np.testing.assert_allclose(after["virial"], turn @ before["virial"] @ turn.T, atol=1e-9)
    reversed_in_time = labels(replace(frame, spin=-frame.spin))
    assert reversed_in_time["energy"] == pytest.approx(before["energy"], abs=1e-10)
    assert np.abs(before["force"].sum(0)).max() < 1e-10


def test_oxygen_carries_no_moment(frame: Structure) -> None:
    oxygen = frame.types == nio.OXYGEN
    assert not frame.spin[oxygen].any()
    assert not labels(frame)["force_mag"][oxygen].any()


@pytest.mark.parametrize("function", [nio._damped_coulomb, nio._ni_o_repulsion, nio._o_o_buckingham])
def test_pair_functions_end_smoothly(function) -> None:
    r = torch.tensor(nio.CUTOFF - 1e-9, dtype=torch.float64, requires_grad=True)
    value = nio._shifted(function, r)
    (slope,) = torch.autograd.grad(value, r, create_graph=True)
    (curvature,) = torch.autograd.grad(slope, r)
    assert max(abs(value.item()), abs(slope.item()), abs(curvature.item())) < 1e-7


@pytest.mark.parametrize("at", [0.0, 1.0])
def test_switch_is_twice_differentiable(at: float) -> None:
    for side in (-1e-9, 1e-9):
        r = torch.tensor(at + side, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(nio._switch(r, 0.0, 1.0), r, create_graph=True)
        (curvature,) = torch.autograd.grad(slope, r)
        assert max(abs(slope.item()), abs(curvature.item())) < 1e-7
    assert nio._switch(torch.tensor([-1.0, 0.0, 1.0, 2.0]), 0.0, 1.0).tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("cell", [((1, 0.5, 0.5), (0.5, 1, 0.5), (0.5, 0.5, 1)), *nio_frames.SHAPES.values()])
def test_all_cells_are_the_same_crystal(cell) -> None:
    """Down to four atoms, whose periodic images are each other's neighbours."""
    small, large = structure(cell), structure(CUBE)
    per_atom = labels(small)["energy"] / len(small.types)
    assert per_atom == pytest.approx(labels(large)["energy"] / len(large.types), abs=1e-10)
    assert np.abs(labels(small)["force"]).max() < 1e-10


def test_crystal_is_at_rest() -> None:
    found = labels(structure(CUBE))
    volume = (2 * nio.LATTICE_CONSTANT) ** 3
    pressure = np.trace(found["virial"]) / 3 / volume * 160.2177  # GPa
    assert abs(pressure) < 0.02
    # What is left is the field of the dipoles.
    assert np.abs(found["force_mag"]).max() < 1e-4


def test_bulk_modulus_and_lattice_energy() -> None:
    """Measured: about 190–205 GPa; a full Coulomb sum of the same ions gives −40.5 eV per NiO."""
    cell = structure(CUBE)
    pressure = [
        np.trace(labels(strained(cell, sign * 1e-3 * np.eye(3)))["virial"]) / 3 / np.linalg.det(cell.box)
        for sign in (1, -1)
    ]
    bulk_modulus = -(pressure[0] - pressure[1]) / (2 * 3e-3) * 160.2177
    assert bulk_modulus == pytest.approx(198, abs=10)
    assert labels(cell)["energy"] / 32 == pytest.approx(-40.6, abs=0.2)


def test_afm_ii_is_the_ground_state() -> None:
    energies = {name: labels(structure(CUBE, order))["energy"] for name, order in ORDERS.items()}
    others = [energy for name, energy in energies.items() if name != "AFM-II"]
    assert min(others) - energies["AFM-II"] > 32 * 0.05
    axes = [(1, 1, -2), (1, -1, 0), (1, 1, 1), (0, 0, 1)]
    for order, axis in itertools.product(ORDERS.values(), axes):
        assert labels(structure(CUBE, order, axis))["energy"] >= energies["AFM-II"] - 1e-9


def test_exchange_constants_are_those_measured() -> None:
    """E/N = 6 J1 + 3 J2, −2 J1 + 3 J2, −3 J2 and −2 J1 + J2 for FM and AFM-I, II, III on the fcc lattice."""
    E = {name: terms(structure(CUBE, order))["exchange"] / 32 for name, order in ORDERS.items()}
    nearest = (E["FM"] - E["AFM-I"]) / 8
    next_nearest = (E["FM"] - E["AFM-II"] - 6 * nearest) / 6
    assert nearest * 1e3 == pytest.approx(-1.37, abs=1e-9)
    assert next_nearest * 1e3 == pytest.approx(19.01, abs=1e-9)
    assert E["AFM-III"] == pytest.approx(-2 * nearest + next_nearest, abs=1e-12)
    # The whole energy says the same but for the dipoles.
    total = {name: labels(structure(CUBE, order))["energy"] / 32 for name, order in ORDERS.items()}
    assert (total["FM"] - total["AFM-II"] - 6 * nearest) / 6 * 1e3 == pytest.approx(19.01, abs=0.02)


def test_exchange_follows_the_ten_thirds_law() -> None:
    cell = structure(CUBE)
    grown = terms(strained(cell, 0.01 * np.eye(3)))["exchange"] / terms(cell)["exchange"]
    assert grown == pytest.approx(1.01**-10, abs=1e-9)


def test_easy_plane() -> None:
    """In (111) no direction is better than another; along [111] it costs K."""
    energy = {
        axis: labels(structure(CUBE, axis=axis))["energy"] / 32
        for axis in [(1, 1, -2), (1, -1, 0), (1, 1, 1)]
    }
    assert energy[1, 1, -2] == pytest.approx(energy[1, -1, 0], abs=1e-10)
    K = (energy[1, 1, 1] - energy[1, 1, -2]) * 1e3
    assert 0.03 < K < 0.09
    # With the exchange field 6 J1 + 6 J2, K puts the out-of-plane resonance where it is measured: 4.5 meV.
    exchange = 6 * (nio.J1 + nio.J2) * 1e3
    assert math.sqrt(2 * exchange * 2 * K) == pytest.approx(4.5, abs=0.7)


def test_landau_term_holds_the_length() -> None:
    cell, step = structure(CUBE), 1e-3
    energies = []
    for stretch in (-step, 0, step):
        spin = cell.spin.copy()
        spin[0] *= 1 + stretch / nio.MOMENT
        energies.append(labels(replace(cell, spin=spin))["energy"])
    curvature = (energies[0] - 2 * energies[1] + energies[2]) / step**2
    assert curvature == pytest.approx(nio.LANDAU_CURVATURE, rel=1e-3)
    assert abs(energies[2] - energies[0]) / (2 * step) < 1e-4


def force_constants(crystal: Structure, basis: list[int]) -> np.ndarray:
    """−∂F/∂R of the atoms in `basis`, (B, 3, N, 3), by central differences."""
    step, found = 1e-3, np.zeros((len(basis), 3, len(crystal.types), 3))
    for (row, atom), axis in itertools.product(enumerate(basis), range(3)):
        for sign in (1, -1):
            coord = crystal.coord.copy()
            coord[atom, axis] += sign * step
            found[row, axis] -= sign * labels(replace(crystal, coord=coord))["force"] / (2 * step)
    return found


def test_phonons_are_stable() -> None:
    """Over the whole zone: the box is more than twice as wide as the interactions reach."""
    crystal = structure(np.eye(3) * 4)
    a = nio.LATTICE_CONSTANT
    plane = (np.rint(2 * crystal.coord / a).astype(int).sum(1) - crystal.types) // 2 % 2
    kind = 2 * crystal.types + plane  # Ni up, Ni down and their two oxygens
    basis = [int(np.flatnonzero(kind == k)[0]) for k in range(4)]
    constants = force_constants(crystal, basis)
    mass = np.array([58.693, 58.693, 15.999, 15.999])
    away = crystal.coord - crystal.coord[basis][:, None]
    away -= 4 * a * np.rint(away / (4 * a))

    def frequencies(q: np.ndarray) -> np.ndarray:
        """Signed THz at `q` in 2π/a."""
        wave = np.exp(2j * np.pi / a * away @ q)
        D = np.stack(
            [np.einsum("bxny,bn->bxy", constants[:, :, kind == k], wave[:, kind == k]) for k in range(4)],
            axis=2,
        )
        D = (D / np.sqrt(np.outer(mass, mass))[:, None, :, None]).reshape(12, 12)
        squares = np.linalg.eigvalsh((D + D.conj().T) / 2)
        return np.sign(squares) * np.sqrt(np.abs(squares)) * 15.6333  # sqrt(eV/(Å² u)) / 2π

    at_gamma = frequencies(np.zeros(3))
    assert np.abs(at_gamma[:3]).max() < 0.05
    assert at_gamma[3] > 3.0
    grid = np.array(list(itertools.product(np.linspace(-0.9, 0.9, 7), repeat=3)))
    lines = [
        t * np.array(end) for end in [(1, 0, 0), (0.5, 0.5, 0.5), (1, 1, 0)] for t in np.linspace(0.05, 1, 12)
    ]
    for q in [*grid[np.linalg.norm(grid, axis=1) > 0.05], *lines]:
        lowest = frequencies(q)[0]
        distance = min(np.linalg.norm(q - g) for g in itertools.product((-1, -0.5, 0, 0.5, 1), repeat=3))
        assert lowest > min(1.0, 5 * distance) - 0.05, q
