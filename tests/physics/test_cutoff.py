"""Real and virtual atoms enter the cutoff smoothly: energy, force and its slope."""

import numpy as np
import pytest
import torch

from spinpot.models.deepspin.environment import environment_rows, switch
from spinpot.models.native_spin.sums import Radial
from support.frames import evaluate, small_potential, system
from support.models import NATIVE, SPIN_ORBIT, any_potential

RCUT = 4.0
OFFSETS = np.array([-2e-3, -1e-3, -1e-6, 1e-6, 1e-3, 2e-3])


def pair(distance, spin_of_second):
    """Two nickel atoms in a large cell; the first moment stands across."""
    coord = np.array([[0.0, 0.0, 0.0], [distance, 0.0, 0.0]])
    return system(("Ni", "O"), [0, 0], 30.0 * np.eye(3), coord, [[0.0, 1.0, 0.0], spin_of_second])


@pytest.mark.parametrize("model", [{}, NATIVE, SPIN_ORBIT], ids=str)
def test_real_neighbour(model):
    potential = any_potential(cutoff=RCUT, **model)
    # The virtual atom lies beyond, so that only the real atom crosses.
    frames = [pair(RCUT + x, [3.0, 0.5, 0.0]) for x in OFFSETS]
    outputs = [evaluate(potential, frame) for frame in frames]
    check_smooth(outputs)
    inside = evaluate(potential, pair(RCUT - 0.4, [3.0, 0.5, 0.0]))
    assert abs(inside["energy"] - outputs[-1]["energy"]) > 1e-5


def test_virtual_neighbour():
    potential = small_potential(rcut=RCUT)
    length = 0.3 * 2.0  # η |S|
    frames = [pair(RCUT + length + x, [-2.0, 0.0, 0.0]) for x in OFFSETS]
    outputs = [evaluate(potential, frame) for frame in frames]
    check_smooth(outputs)
    inside = evaluate(potential, pair(RCUT + length - 0.3, [-2.0, 0.0, 0.0]))
    assert abs(inside["energy"] - outputs[-1]["energy"]) > 1e-7, (
        "the virtual atom is seen before the real one"
    )


def test_more_neighbours_than_sel():
    """sel divides the sums; no neighbour is left out, so that one too many enters as smoothly as any."""
    potential = small_potential(rcut=RCUT, sel=(1, 1))
    potential.descriptor.dstd[:] = 1.0  # or the nets would saturate
    always, spins = [[0.0, 0.0, 0.0], [-2.0, 0.0, 0.0]], [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [3.0, 0.0, 0.0]]
    frames = [
        system(("Ni", "O"), [0, 0, 0], 30.0 * np.eye(3), [*always, [RCUT + x, 0.0, 0.0]], spins)
        for x in OFFSETS
    ]
    outputs = [evaluate(potential, frame) for frame in frames]
    check_smooth(outputs)
    frames[0].coord[0, 2, 0] -= 1.0
    assert abs(evaluate(potential, frames[0])["energy"] - outputs[-1]["energy"]) > 1e-7


def check_smooth(outputs):
    """No jump of energy or force across the cutoff, and nothing beyond it."""
    energies = np.array([output["energy"][0] for output in outputs])
    forces = np.array([output["force"][0, 0] for output in outputs])
    assert np.ptp(energies) < 1e-6
    assert np.ptp(energies[2:4]) < 1e-11
    assert np.ptp(forces) < 1e-4
    assert np.ptp(forces[2:4]) < 1e-8
    assert np.ptp(energies[3:]) < 1e-12


SWITCHES = {
    "begin": (lambda x: switch(x, 1.0, RCUT), 1.0),
    "end": (lambda x: switch(x, 1.0, RCUT), RCUT),
    "native": (lambda x: Radial(RCUT, 4, 1.5)(x)[-1], RCUT),
}


@pytest.mark.parametrize(("function", "r"), SWITCHES.values(), ids=SWITCHES)
def test_switch_is_twice_differentiable(function, r):
    def derivatives(x):
        x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
        w = function(x)
        (first,) = torch.autograd.grad(w, x, create_graph=True)
        if not first.requires_grad:
            return w.item(), first.item(), 0.0
        (second,) = torch.autograd.grad(first, x)
        return w.item(), first.item(), second.item()

    np.testing.assert_allclose(derivatives(r - 1e-7), derivatives(r + 1e-7), atol=1e-5)


def test_rows_at_zero_distance():
    vector = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    rows = environment_rows(vector, 0.5, RCUT, 0.01)
    np.testing.assert_allclose(rows.detach(), [[100.0, 0.0, 0.0, 0.0]])
    (gradient,) = torch.autograd.grad(rows[0, 1], vector, create_graph=True)
    np.testing.assert_allclose(gradient.detach(), [[1e4, 0.0, 0.0]])
    (second,) = torch.autograd.grad(gradient.sum(), vector)
    assert torch.isfinite(second).all()
