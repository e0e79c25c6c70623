"""Moments that the model ignores, has not seen in training, or that are near zero are reported once."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from spinpot.ase import SpinCalculator
from spinpot.core.errors import InputError
from spinpot.data.from_ase import atoms_of
from spinpot.evaluation.predictor import Predictor
from spinpot.looks.model import Watch, far_cutoff
from spinpot.models.elements import magnetic_types
from spinpot.models.training_facts import TrainingFacts
from support.frames import random_system, small_potential, system, with_random_labels

SPEC = small_potential().spec
"""Ni with spin, O without, virtual_scale 0.3 Å/μ_B."""


def made(nickel, oxygen=0.0, **labels):
    """Frames of one Ni and one O; moments (F,) along y."""
    nickel = np.asarray(nickel, dtype=float)
    spin = np.zeros((len(nickel), 2, 3))
    spin[:, 0, 1], spin[:, 1, 1] = nickel, oxygen
    coord = np.tile([[0.0, 0, 0], [2.0, 2, 2]], (len(nickel), 1, 1))
    return system(("Ni", "O"), [0, 1], np.tile(4 * np.eye(3), (len(nickel), 1, 1)), coord, spin, **labels)


def test_nothing_is_said_of_moments_within_the_range():
    watch = Watch(SPEC, TrainingFacts({"Ni": [1.2, 1.3]}))
    assert watch.new([made([1.195, 1.25, 1.31])]) == []


def test_a_cutoff_far_beyond_the_usual():
    crystal = made([1.2])
    assert far_cutoff(50.0, [crystal]) == (
        "the cutoff of 50 Å is unusually large: an atom has about 16,362 neighbours, 579 times as many as "
        "within 6 Å. Time and memory of a step grow with them."
    )
    assert far_cutoff(12.0, [crystal]) == far_cutoff(50.0, [replace(crystal, pbc=(True, True, False))]) == ""


def test_moments_that_leave_the_range_of_training():
    watch = Watch(SPEC, TrainingFacts({"Ni": [1.2, 1.3]}))
    assert watch.new([made([1.0, 1.25]), made([1.5])]) == [
        "|S| of Ni leaves the training range, 1.200 to 1.300 μ_B: 1.000 to 1.500 μ_B, in 2 of 3 frames. "
        "The model extrapolates there."
    ]
    assert watch.new([made([1.7])]) == []
    assert Watch(SPEC, None).new([made([1.7])]) == []


def test_moments_and_labels_on_an_element_without_spin():
    force_mag = np.zeros((2, 2, 3))
    force_mag[1, 1] = [0.0, 0.03, 0.04]
    watch = Watch(SPEC, None)
    assert watch.new([made([1.2, 1.2], [0.0, 0.1], force_mag=force_mag)]) == [
        "the moments of O are ignored: the model treats only Ni as magnetic (O up to 0.1 μ_B). The labels of "
        "their magnetic forces are ignored too (O up to 50 meV/μ_B). Set them to zero, or train with them in "
        "use_spin."
    ]
    assert watch.new([made([1.2], 0.2)]) == []


def test_labels_alone_on_an_element_without_spin():
    force_mag = np.full((1, 2, 3), 0.1)
    assert Watch(SPEC, None).new([made([1.2], force_mag=force_mag)]) == [
        "the labels of magnetic forces on O are ignored: the model treats only Ni as magnetic, and the "
        "moments there are zero (O up to 173 meV/μ_B). Check whether these moments were lost."
    ]


def test_moments_near_zero_unless_the_model_is_protected():
    frames = [made([1.2, 0.001, 1.1])]
    assert Watch(SPEC, None).new(frames) == [
        "1 of 3 moments of Ni are near zero (below 0.13 μ_B, the smallest 0.001): the energy has a cusp at S "
        "= 0, and virtual atoms so close to their atoms increase the deviation by which all neighbours are "
        "divided. Train with model.descriptor.env_protection=1.0."
    ]
    for settings in ({"env_protection": 1.0}, {"exclude_types": ((0, 2),)}):
        spec = replace(SPEC, descriptor=replace(SPEC.descriptor, **settings))
        assert Watch(spec, None).new(frames) == []


def test_an_element_that_never_had_a_moment():
    watch = Watch(SPEC, TrainingFacts({"Ni": [1e-20, 0.01]}))
    assert watch.new([made([1e-20, 0.01])]) == [
        "no moment of Ni in the training frames is above 0.01 μ_B, but the model treats Ni as magnetic. "
        "Train with use_spin without it, or check whether its moments were lost."
    ]


def test_a_call_and_a_calculator_warn_once():
    potential = small_potential()
    potential.facts = TrainingFacts({"Ni": [0.0, 0.1]})
    frames = random_system(5)
    predictor = Predictor(potential)
    with pytest.warns(UserWarning, match=r"^spinpot\.load: \|S\| of Ni leaves the training range") as told:
        first = predictor(frames)
    assert len(told) == 1
    second = predictor(frames)
    np.testing.assert_array_equal(first["energy"], second["energy"])
    atoms = atoms_of(frames, 0)
    atoms.calc = SpinCalculator(Predictor(potential))
    with pytest.warns(UserWarning, match=r"^SpinCalculator: \|S\| of Ni leaves"):
        atoms.get_potential_energy()
    atoms.rattle(0.01, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        atoms.get_potential_energy()


def test_use_spin_that_contradicts_the_moments():
    with pytest.raises(InputError) as caught:
        magnetic_types([False, True], ("Ni", "O"), ["Ni"])
    assert str(caught.value) == (
        "model.spin.use_spin=[False, True] gives spins to O, whose moments are all zero in the training "
        "data, and none to Ni, which have moments. Correct it (the elements are Ni O, in this order), e.g. "
        "model.spin.use_spin='[Ni]'."
    )
    assert magnetic_types([True, True], ("Ni", "O"), ["Ni"]) == (True, True)
    assert magnetic_types(["Ni"], ("Ni", "O"), ["Ni", "O"]) == (True, False)
    assert magnetic_types(["Ni"], ("Ni", "O"), []) == (True, False)


def test_labels_of_elements_with_spin_are_no_loss():
    frames = with_random_labels(made([1.2]))
    frames.force_mag[:, 1] = 0.0
    assert Watch(SPEC, None).new([frames]) == []
