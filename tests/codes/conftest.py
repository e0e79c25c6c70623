"""Tests with GPAW and ABINIT themselves, which take minutes: `make test-label`, which sets LABEL_CODES."""

import os

import numpy as np
import pytest
from ase.build import bulk
from hydra.utils import instantiate

from spinpot.labels.configuration import Configuration
from support.configs import composed


@pytest.fixture(autouse=True)
def codes():
    """Nothing is labelled unless it is asked for."""
    if not os.environ.get("LABEL_CODES"):
        pytest.skip("needs GPAW and ABINIT: `make test-label`")


@pytest.fixture
def gpaw(codes):
    """The coarse settings."""
    return instantiate(composed("label=gpaw_coarse", "recipe=Fe_gpaw", "output=x", name="label").label)


@pytest.fixture
def abinit(codes):
    """A mesh and a cut-off that are too small for anything but agreement."""
    coarse = ["label.kpoint_spacing=1.2", "label.parameters.ecut=16", "label.parameters.tsmear=0.01"]
    config = composed("label=abinit", "recipe=Fe_gpaw", "output=x", *coarse, name="label")
    return instantiate(config.label)


@pytest.fixture
def iron():
    """A function of how far one of two atoms is moved along x, Å, and its moment tilted, degrees."""

    def made(displacement: float, tilt: float) -> Configuration:
        atoms = bulk("Fe", "bcc", a=2.86, cubic=True)
        atoms.positions[0] += [displacement, 0.03, -0.02]
        angle = np.radians(tilt)
        moments = 2.2 * np.array([[np.sin(angle), 0.0, np.cos(angle)], [0.0, 0.0, 1.0]])
        return Configuration("Fe2/0000", atoms, moments, np.array([True, True]))

    return made
