"""Radial functions and the energies of pairs."""

import numpy as np
import pytest
import torch

from spinpot.models.deepspin.settings import DescriptorSettings, FittingSettings
from spinpot.models.deepspin.spec import DeepSpinSpec
from spinpot.models.exchange.pairs import RadialBasis
from spinpot.models.exchange.settings import ExchangeSettings
from spinpot.models.exchange.term import ExchangeTerm
from support.frames import batch_of, small_potential, system

BASIS = RadialBasis(5.0, 6)


def test_slopes_are_derivatives():
    r = torch.linspace(1.0, 4.999, 50, dtype=torch.float64)
    h = 1e-5
    value, slope = BASIS(r)
    numerical = (BASIS(r + h)[0] - BASIS(r - h)[0]) / (2 * h)
    torch.testing.assert_close(slope, numerical, rtol=0, atol=1e-8)
    assert value.shape == (50, 6)


def test_two_derivatives_vanish_at_the_cutoff():
    r = torch.tensor([5.0 - 1e-4], dtype=torch.float64, requires_grad=True)
    value, slope = BASIS(r)
    assert value.abs().max() < 1e-11
    assert slope.abs().max() < 1e-7
    (curvature,) = torch.autograd.grad(slope[0, -1], r)
    assert abs(curvature) < 1e-3


def dimer(distance, first, second):
    """Two Ni in a cell wider than twice the cutoff."""
    spin = np.array([first, second], dtype=float)
    return system(("Ni", "O"), [0, 0], 20.0 * np.eye(3), [[0, 0, 0], [0, 0, distance]], spin)


def term_of(**coefficients):
    """A term with the given coefficients and no others."""
    spec = DeepSpinSpec(
        type_map=("Ni", "O"),
        descriptor=DescriptorSettings(rcut=5.0, sel=(9, 9)),
        fitting_net=FittingSettings((4,)),
        use_spin=(True, False),
        virtual_scale=(0.3, 0.0),
        exchange=ExchangeSettings(
            ("bilinear", *(name for name in coefficients if name != "bilinear")), n_radial=6
        ),
    )
    term = ExchangeTerm(spec, spec.exchange)
    for name, values in coefficients.items():
        term.named(term.start)[name].copy_(torch.tensor(values, dtype=torch.float64).reshape(1, -1))
    return term


def energy(term, frame):
    """E_spin of a frame."""
    return float(term(batch_of(small_potential(rcut=5.0), frame)).atom_energy.detach().sum())


def test_each_pair_counts_once():
    c = [0.0, 0.1, 0.3, 0.2, 0.0, 0.0]
    J = float(BASIS(torch.tensor([2.5], dtype=torch.float64))[0][0] @ torch.tensor(c, dtype=torch.float64))
    frame = dimer(2.5, [1.0, 0.5, 0.0], [0.2, 2.0, -1.0])
    dot = 0.2 + 1.0
    assert energy(term_of(bilinear=c), frame) == pytest.approx(-J * dot)
    assert energy(term_of(bilinear=[0.0] * 6, biquadratic=c), frame) == pytest.approx(-J * dot**2)


def test_anisotropy_is_along_the_pair():
    c = [0.0, 0.1, 0.3, 0.2, 0.0, 0.0]
    A = float(BASIS(torch.tensor([2.5], dtype=torch.float64))[0][0] @ torch.tensor(c, dtype=torch.float64))
    term = term_of(bilinear=[0.0] * 6, anisotropic=c)
    along, across = [0, 0, 1.0], [1.0, 0, 0]
    assert energy(term, dimer(2.5, along, along)) == pytest.approx(-A * (1 - 1 / 3))
    assert energy(term, dimer(2.5, across, across)) == pytest.approx(A / 3)
    assert energy(term, dimer(2.5, along, across)) == pytest.approx(0.0, abs=1e-15)


def test_beyond_the_cutoff_there_is_nothing():
    term = term_of(bilinear=[1.0] * 6)
    assert energy(term, dimer(5.01, [1.0, 0, 0], [1.0, 0, 0])) == 0.0
