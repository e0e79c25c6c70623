"""Force, magnetic force and virial are the derivatives of the energy."""

import numpy as np
import pytest

from spinpot.models.exchange.settings import EXCHANGE_TERMS
from support.frames import evaluate, random_system, small_potential, system

STEP = 1e-4
VARIANTS = [
    {},
    {"type_one_side": True, "resnet_dt": True},
    {"set_davg_zero": True, "activation_function": "gelu"},
    {"rcut": 6.5, "rcut_smth": 2.0, "env_protection": 0.1},
    {"exchange": ("bilinear", "biquadratic")},
    {"exchange": EXCHANGE_TERMS},
    {"exchange": EXCHANGE_TERMS, "time_reversal": True},
    {"time_reversal": True, "radial": "direct"},
]


def energy(potential, made, coord=None, spin=None, box=None):
    """The energy of one frame with some of its arrays replaced."""
    changed = system(
        made.type_map,
        made.types,
        made.box[0] if box is None else box,
        made.coord[0] if coord is None else coord,
        made.spin[0] if spin is None else spin,
    )
    return evaluate(potential, changed)["energy"][0]


def slope(function):
    """Fourth-order central difference at 0."""
    near = function(STEP) - function(-STEP)
    far = function(2 * STEP) - function(-2 * STEP)
    return (8 * near - far) / (12 * STEP)


@pytest.mark.parametrize("descriptor", VARIANTS, ids=str)
def test_force_and_magnetic_force(descriptor):
    potential = small_potential(**descriptor)
    made = random_system(seed=3)
    output = evaluate(potential, made)
    for atom in range(made.n_atoms):
        for axis in range(3):
            unit = np.zeros((made.n_atoms, 3))
            unit[atom, axis] = 1.0
            force = -slope(lambda h, u=unit: energy(potential, made, coord=made.coord[0] + h * u))
            force_mag = -slope(lambda h, u=unit: energy(potential, made, spin=made.spin[0] + h * u))
            assert output["force"][atom, axis] == pytest.approx(force, abs=1e-8)
            assert output["force_mag"][atom, axis] == pytest.approx(force_mag, abs=1e-8)
    assert np.abs(output["force"]).max() > 1e-3
    assert np.abs(output["force_mag"][:3]).max() > 1e-3
    assert not output["force_mag"][3:].any(), "oxygen carries no moment"


@pytest.mark.parametrize("descriptor", VARIANTS, ids=str)
def test_virial_is_the_strain_derivative_at_fixed_spins(descriptor):
    potential = small_potential(**descriptor)
    made = random_system(seed=4)
    virial = evaluate(potential, made)["virial"][0]
    for row in range(3):
        for column in range(3):
            strain = np.zeros((3, 3))
            strain[row, column] = 1.0

            def strained(h, strain=strain):
                deformation = (np.eye(3) + h * strain).T
                return energy(
                    potential, made, coord=made.coord[0] @ deformation, box=made.box[0] @ deformation
                )

            assert virial[row, column] == pytest.approx(-slope(strained), abs=1e-7)
    assert np.abs(virial - virial.T).max() > 1e-4, "at fixed spins the virial is not symmetric"


def test_zero_moment_of_a_magnetic_element_is_finite():
    potential = small_potential()
    made = random_system(seed=5)
    made.spin[0, 0] = 0.0
    output = evaluate(potential, made)
    assert all(np.isfinite(values).all() for values in output.values())
    frozen = random_system(seed=5)
    frozen.spin[0, 0] = 0.0
    unit = np.zeros_like(frozen.coord[0])
    unit[0, 1] = 1.0
    force = -slope(lambda h: energy(potential, frozen, coord=frozen.coord[0] + h * unit))
    assert output["force"][0, 1] == pytest.approx(force, abs=1e-8)
