"""Force, magnetic force and virial are the derivatives of the energy."""

from dataclasses import replace

import numpy as np
import pytest

from spinpot.models.exchange.settings import EXCHANGE_TERMS
from support.differences import check_derivatives
from support.frames import evaluate, random_system, system
from support.models import NATIVE, SPIN_ORBIT, any_potential, spins_turn_alone

VARIANTS = [
    {},
    {"type_one_side": True, "resnet_dt": True},
    {"set_davg_zero": True, "activation_function": "gelu"},
    {"rcut": 6.5, "rcut_smth": 2.0, "env_protection": 0.1},
    {"exchange": ("bilinear", "biquadratic")},
    {"exchange": EXCHANGE_TERMS},
    {"exchange": EXCHANGE_TERMS, "time_reversal": True},
    {"time_reversal": True, "radial": "direct"},
    NATIVE,
    SPIN_ORBIT,
    NATIVE | {"cutoff": 6.5, "neuron": ()},
    NATIVE | {"exchange": EXCHANGE_TERMS, "time_reversal": True},
]


def two_atoms(hand):
    """Ni and O in a skewed cell that is smaller than any cutoff. hand: of its vectors, 1 or −1."""
    box = np.array([[2.9, 0.4, 0.1], [-0.3, 3.1, 0.5], [0.2, -0.6, hand * 2.8]])
    coord = [[0.1, 0.0, 0.2], [1.3, 1.7, hand * 1.2]]
    return system(("Ni", "O"), [0, 1], box, coord, [[0.4, -1.1, 0.7], [0.0, 0.0, 0.0]])


CELLS = {"five": random_system(seed=3), "two": two_atoms(1), "left-handed": two_atoms(-1)}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("model", VARIANTS, ids=str)
def test_derivatives(model, cell):
    potential, made = any_potential(**model), CELLS[cell]
    output = check_derivatives(potential, made)
    assert np.abs(output["force"]).max() > 1e-3
    assert np.abs(output["force_mag"][made.types == 0]).max() > 1e-3
    assert not output["force_mag"][made.types == 1].any(), "oxygen carries no moment"
    (virial,) = output["virial"]
    asymmetry = np.abs(virial - virial.T).max()
    if spins_turn_alone(potential):
        assert asymmetry < 1e-11
    else:
        assert asymmetry > 1e-4, "at fixed spins the virial is not symmetric"


@pytest.mark.parametrize("model", [{}, NATIVE, SPIN_ORBIT], ids=str)
def test_zero_moment_of_a_magnetic_element_is_finite(model):
    potential = any_potential(**model)
    made = random_system(seed=5)
    made.spin[0, 0] = 0.0
    output = check_derivatives(potential, made)
    assert all(np.isfinite(values).all() for values in output.values())


ALONE = [NATIVE, SPIN_ORBIT]


@pytest.mark.parametrize("model", ALONE, ids=str)
def test_moments_pass_zero_smoothly(model):
    """The energy is even in all moments and has a second derivative there: nothing depends on |S|."""
    potential, made = any_potential(**model), random_system(seed=5)

    def energy(s):
        return evaluate(potential, replace(made, spin=s * made.spin))["energy"][0]

    def of_all(s):
        return energy(s) - energy(0.0)

    curvatures = np.array([of_all(s) / s**2 for s in (0.01, 0.02, 0.04)])
    np.testing.assert_allclose([of_all(-s) for s in (0.5, 1.0)], [of_all(s) for s in (0.5, 1.0)], rtol=1e-12)
    assert abs(curvatures[0]) > 1e-2
    changes = np.diff(curvatures)
    assert changes[1] / changes[0] == pytest.approx(4.0, rel=0.05), "the next term is of fourth order"


@pytest.mark.parametrize("model", ALONE, ids=str)
def test_one_moment_passes_zero_smoothly(model):
    """The magnetic force has the same slope from both sides."""
    potential, made = any_potential(**model), random_system(seed=5)

    def along(s):
        made.spin[0, 0] = s * np.array([0.4, -0.5, 0.7])
        return evaluate(potential, made)["force_mag"][0]

    ahead, behind = (-3 * along(0) + 4 * along(h) - along(2 * h) for h in (1e-3, -1e-3))
    np.testing.assert_allclose(ahead, -behind, rtol=1e-3, atol=1e-8)
    assert np.abs(ahead).max() > 1e-5
