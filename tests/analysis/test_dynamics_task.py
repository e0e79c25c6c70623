"""Task dynamics: averages with known values, and energy conservation."""

import numpy as np
import pytest
from ase import units

from spinpot.analysis.dynamics import Settings, dynamics, order_by_chance, order_of
from spinpot.core.errors import InputError
from support.lone_moments import LoneMoments, many
from support.nio_calculator import NiOCalculator, nio_atoms

SHORT = {"equilibrate": 0.02, "average": 0.02, "conserve": 0.02}


def test_moments_in_a_field_have_the_order_of_langevin():
    temperature, length, x = 300.0, 1.5, 3.0
    atoms = many(1500, length, None)
    field = x * units.kB * temperature / length
    settings = Settings(
        temperatures=[temperature], lattice=False, equilibrate=0.15, average=0.2, conserve=0.01, damping=0.6
    )
    found = dynamics(LoneMoments(field=field), atoms, settings).numbers
    langevin = 1 / np.tanh(x) - 1 / x
    assert found["order"][0] == pytest.approx(langevin, abs=0.02)
    assert found["net_moment"][0] == pytest.approx(length * langevin, abs=0.03)
    # The moments lay across the field at first, where their energy is zero.
    assert found["energy_per_atom"][0] == pytest.approx(-length * field * langevin, rel=0.04)
    assert found["lattice_temperature"] == [None]
    assert abs(found["drift"]) < 1e-9


def test_nickel_oxide_cold_and_hot():
    settings = Settings(temperatures=[900.0, 0.0], repeat=[2, 1, 1], damping=0.8, seed=3, **SHORT)
    result = dynamics(NiOCalculator(), nio_atoms(), settings)
    found = result.numbers
    assert found["atoms"] == 8
    assert found["sublattices"] == [2, 2]
    assert found["temperature"] == [0.0, 900.0]
    assert found["order"][0] == pytest.approx(1.0, abs=1e-6)
    assert found["order"][1] < 0.99
    assert found["energy_per_atom"][0] == pytest.approx(0.0, abs=1e-6)
    assert found["energy_per_atom"][1] > 0.01
    assert found["lattice_temperature"][0] == pytest.approx(0.0, abs=1.0)
    assert found["lattice_temperature"][1] > 100.0
    assert found["drift_range"] < 1e-7
    assert "not a prediction of the ordering temperature" in " ".join(result.paragraphs)


def test_the_energy_of_hot_spins_and_atoms_is_kept():
    settings = Settings(temperatures=[600.0], repeat=[2, 1, 1], timestep=0.5, **SHORT)
    found = dynamics(NiOCalculator(), nio_atoms(), settings).numbers
    assert 0.0 < found["drift_range"] < 1e-4
    assert found["energy_per_atom"][0] > 100 * found["drift_range"]


def test_order():
    assert order_of(np.array([[0, 0, 2.0], [0, 0, 1.0]])) == pytest.approx(1.0)
    assert order_of(np.array([[0, 0, 1.0], [0, 0, -1.0]])) == 0.0
    rng = np.random.default_rng(0)
    spins = rng.normal(size=(4000, 12, 3))
    spins /= np.linalg.norm(spins, axis=2, keepdims=True)
    groups = [np.arange(12), np.arange(12, 24)]
    assert order_by_chance(groups) == pytest.approx(np.mean([order_of(spin) for spin in spins]), abs=0.01)


REFUSED = {
    "temperatures=.-5": {"temperatures": [-5.0]},
    "expected one or several": {"temperatures": []},
    "repeat=.1, 0, 1.": {"repeat": [1, 0, 1]},
    "three whole numbers": {"repeat": [2, 2]},
    "timestep=0.0": {"timestep": 0.0},
    "damping=-1": {"damping": -1.0},
    "average=0.001 ps: expected at least 10 steps": {"average": 0.001},
    "friction=-1": {"friction": -1.0},
}


@pytest.mark.parametrize("message", REFUSED)
def test_refused(message):
    with pytest.raises(InputError, match=message):
        Settings(**REFUSED[message])


def test_a_cell_with_one_moment_per_sublattice():
    with pytest.raises(InputError, match=r"repeat=.1, 1, 1.: expected more cells"):
        dynamics(NiOCalculator(), nio_atoms(), Settings())
