"""GPAW's labeller without GPAW: errors, the parameters for GPAW, and the use of its results."""

import importlib.util
import sys
from importlib.metadata import PackageNotFoundError
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from ase.build import bulk

from spinpot.core.errors import InputError
from spinpot.labels.configuration import Configuration
from spinpot.labels.label import FrameError
from spinpot.labels.labellers.gpaw import GpawLabeller, magnetic_forces

PARAMETERS = {"mode": {"name": "pw", "ecut": 300}, "xc": "LDA", "maxiter": 70}


class NotConvergedError(Exception):
    """Stands in for GPAW's own."""


@pytest.fixture
def asked(monkeypatch):
    """A stand-in for the package; gives what its calculator and its constraint were asked."""
    found = {}

    class Calculator:
        dft = SimpleNamespace(magmoms=lambda: (None, np.array([[2.0, 0.1, 0.0], [0.0, 0.0, 2.1]])))

        def __init__(self, **parameters):
            found.update(parameters)

        def get_potential_energy(self, atoms, force_consistent):
            if found["maxiter"] == 1:
                raise NotConvergedError
            print("GPAW speaks")
            return -20.5 if force_consistent else -20.0

        def get_forces(self, atoms):
            return np.array([[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]])

        def get_number_of_iterations(self):
            return 23

    def search(name):
        if not name.startswith("Fe."):
            raise FileNotFoundError(name)

    modules = {
        "gpaw": {"KohnShamConvergenceError": NotConvergedError},
        "gpaw.setup_data": {
            "search_for_file": search,
            "SetupData": lambda symbol, xc: SimpleNamespace(Nv=8),
        },
        "gpaw.new": {},
        "gpaw.new.ase_interface": {"GPAW": Calculator},
        "gpaw.new.constraints": {"SpinDirectionConstraint": lambda held, penalty: (held, penalty)},
    }
    for name, contents in modules.items():
        module = ModuleType(name)
        module.__dict__.update(contents)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    return found


def iron(constrained=(True, True), hold_lengths=False, symbols="Fe2"):
    atoms = bulk("Fe", "bcc", a=2.86, cubic=True)
    atoms.symbols = symbols
    moments = np.array([[2.2, 0.0, 0.0], [0.0, 0.0, 2.2]])
    return Configuration("Fe2/0000", atoms, moments, np.array(constrained), hold_lengths)


def labeller(**given):
    return GpawLabeller(PARAMETERS | given, kpoint_spacing=1.2, penalty=5.0)


def test_what_gpaw_is_asked_and_what_it_gives(asked, tmp_path, capsys):
    label = labeller().label(iron(constrained=(True, False)), tmp_path)
    assert label.energy == -20.5  # the free energy
    np.testing.assert_array_equal(label.moments, [[2.0, 0.1, 0.0], [0.0, 0.0, 2.1]])
    np.testing.assert_allclose(label.magnetic_forces, [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]], atol=1e-15)
    assert label.virial is None
    assert label.details["iterations"] == 23
    assert capsys.readouterr().out == ""
    assert asked["extensions"] == [({0: [1.0, 0.0, 0.0]}, 5.0)]
    assert asked["kpts"].shape == (8, 3)
    assert asked["nbands"] == 16  # two spinor bands each, for 16 electrons
    np.testing.assert_array_equal(asked["magmoms"], iron().moments)
    assert asked["txt"] == str(tmp_path / "gpaw.txt")


def test_a_frame_that_does_not_converge_has_no_label(asked, tmp_path):
    with pytest.raises(FrameError, match=r"^not converged after 1 iterations$"):
        labeller(maxiter=1).label(iron(), tmp_path)


def test_magnetic_forces_are_the_slope_of_the_penalty():
    one = iron()
    moments = np.array([[2.0, 0.3, -0.2], [0.1, 0.0, 1.9]])
    directions = one.directions()

    def penalty(m):
        return 5.0 * ((m**2).sum() - ((directions * m).sum(axis=1) ** 2).sum())

    step = 1e-6 * np.eye(6).reshape(6, 2, 3)
    slopes = [(penalty(moments + s) - penalty(moments - s)) / 2e-6 for s in step]
    np.testing.assert_allclose(magnetic_forces(one, moments, 5.0).ravel(), slopes, atol=1e-7)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"xc": "PBE"}, "label.parameters.xc=PBE: expected LDA: GPAW has no gradient corrections"),
        ({"kpts": [2, 2, 2]}, r"label.parameters.kpts=\[2, 2, 2\]: expected to be left out"),
        ({"txt": "a"}, "label.parameters.txt=a: expected to be left out"),
    ],
)
def test_parameters_that_cannot_be(given, said):
    with pytest.raises(InputError, match=said):
        labeller(**given)


def test_without_gpaw_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs the package gpaw.*apt install libxc-dev libopenblas-dev"):
        labeller().check([iron()])


def test_an_element_without_a_setup(asked):
    labeller().check([iron()])
    with pytest.raises(InputError, match=r"no setup for Pu \(Pu.LDA\). Install the package gpaw-data"):
        labeller().check([iron(), iron(symbols="FePu")])


def test_setups_of_a_folder_have_no_version(asked, monkeypatch):
    def absent(name):
        if name == "gpaw-data":
            raise PackageNotFoundError(name)
        return "26.7.0"

    monkeypatch.setattr("spinpot.labels.labellers.gpaw.version", absent)
    monkeypatch.setenv("GPAW_SETUP_PATH", "/opt/setups")
    assert labeller().provenance()["setups"] == "/opt/setups"


def test_lengths_cannot_be_held(asked):
    with pytest.raises(InputError, match=r"Fe2/0000 asks to hold lengths"):
        labeller().check([iron(hold_lengths=True)])


def test_spin_orbit_coupling_is_no_isotropic_energy():
    assert labeller().isotropic
    assert not labeller(soc=True).isotropic
