"""Derivatives of a potential's energy by finite differences."""

from dataclasses import replace

import numpy as np

from spinpot.data.systems import System
from spinpot.models.potential import Potential
from support.frames import evaluate

STEP = 1e-4


def differences(potential: Potential, made: System) -> dict[str, np.ndarray]:
    """Force, magnetic force and virial (at fixed spins) of one frame, to fourth order in the step."""
    n = 3 * made.n_atoms
    units, strains = np.eye(n).reshape(n, -1, 3), np.eye(9).reshape(9, 3, 3)

    def energies(h: float) -> np.ndarray:
        deformation = (np.eye(3) + h * strains).transpose(0, 2, 1)
        changed = (
            _frames(made, coord=made.coord + h * units),
            _frames(made, spin=made.spin + h * units),
            _frames(made, coord=made.coord @ deformation, box=made.box @ deformation),
        )
        return evaluate(potential, *changed)["energy"]

    near, far = (energies(h) - energies(-h) for h in (STEP, 2 * STEP))
    slopes = -(8 * near - far) / (12 * STEP)
    force, force_mag, virial = np.split(slopes, [n, 2 * n])
    return {
        "force": force.reshape(-1, 3),
        "force_mag": force_mag.reshape(-1, 3),
        "virial": virial.reshape(1, 3, 3),
    }


def check_derivatives(potential: Potential, made: System) -> dict[str, np.ndarray]:
    """The prediction for one frame; its derivatives must be those of its energy."""
    output, expected = evaluate(potential, made), differences(potential, made)
    for name, tolerance in {"force": 1e-8, "force_mag": 1e-8, "virial": 1e-7}.items():
        np.testing.assert_allclose(output[name], expected[name], rtol=0, atol=tolerance, err_msg=name)
    return output


def _frames(made: System, **changed: np.ndarray) -> System:
    """One frame for each of the changed arrays."""
    count = len(next(iter(changed.values())))
    kept = {
        name: np.tile(getattr(made, name), (count, 1, 1))
        for name in {"box", "coord", "spin"} - changed.keys()
    }
    return replace(made, **kept, **changed)
