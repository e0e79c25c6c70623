"""Labels that cannot be used."""

import numpy as np
import pytest

from spinpot.labels.checks import FEWEST, check_label, strange_energies
from spinpot.labels.label import FrameError, Label
from support.labellers import Counting, alloy, replaced, spoiled

NAMES = ("energy", "forces", "moments", "magnetic_forces", "virial")


def turned(degrees):
    angle = np.radians(degrees)
    matrix = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    return lambda values: values @ matrix.T


def checked(tmp_path, change, **settings):
    (one,) = alloy(1, **{"constrained": ["Fe"], **settings})
    check_label(one, Counting(tmp_path, change=change).label(one, tmp_path), isotropic=True)


def test_a_good_label_passes(tmp_path):
    checked(tmp_path, lambda label: label)


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        ({"energy": lambda _: np.nan}, {}, "energy: not all numbers are finite"),
        ({"forces": spoiled}, {}, "forces: not all numbers are finite"),
        ({"virial": spoiled}, {}, "virial: not all"),
        ({"forces": lambda values: values[1:]}, {}, r"forces of shape \(7, 3\), expected \(8, 3\)"),
        ({"moments": lambda values: values[:, 2]}, {}, "moments of shape"),
        ({"moments": lambda values: values * [0, 0, 1]}, {}, "all moments are along z"),
        (
            {"moments": lambda values: 0 * values},
            {"tilt": [0, 0], "turn": False},
            r"the moment of atom \d has vanished",
        ),
        ({"moments": turned(20)}, {"tilt": [100, 120]}, "° off the held direction"),
        ({"moments": lambda values: 1.1 * values}, {}, "10.0 % off the held length"),
        ({"magnetic_forces": turned(30)}, {}, "it must vanish without spin-orbit coupling"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, change, settings, message):
    with pytest.raises(FrameError, match=message):
        checked(tmp_path, replaced(**change), **settings)


def test_lengths_that_are_not_held_may_differ(tmp_path):
    checked(tmp_path, replaced(moments=lambda values: 1.1 * values), hold="direction")


def test_moments_that_are_free_may_point_anywhere(tmp_path):
    def other(label: Label) -> Label:
        (one,) = alloy(1)
        cobalt = np.array(one.atoms.get_chemical_symbols()) == "Co"
        return replaced(
            moments=lambda values: np.where(cobalt[:, None], -values, values), magnetic_forces=np.zeros_like
        )(label)

    checked(tmp_path, other)
    with pytest.raises(FrameError, match=r"180\.0° off"):
        checked(tmp_path, other, constrained=None)


def test_energies_far_from_the_others():
    none = np.zeros((4, 3))
    labels = [Label(-40.0 + 0.01 * k, none, none, none) for k in range(FEWEST)]
    assert strange_energies(labels) == {}
    labels[3] = Label(-20.0, none, none, none)
    assert strange_energies(labels) == {3: "+4.99 eV per atom from the median of its system"}
    assert strange_energies(labels[:-1]) == {}, "of few frames nothing is said"
