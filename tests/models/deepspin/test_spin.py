"""use_spin, virtual_len, spin_norm and virtual_scale → η."""

import re

import pytest

from spinpot.core.errors import InputError
from spinpot.evaluation.predictor import Predictor
from spinpot.models.deepspin.settings import DescriptorSettings, FittingSettings, VirtualAtomSettings
from spinpot.models.deepspin.virtual_atoms import check_moments, virtual_scales
from spinpot.models.elements import magnetic_types
from support.frames import random_system, small_potential

TYPES = ("Ni", "O", "Fe")


@pytest.mark.parametrize(
    "use_spin", ["auto", [True, False, True], [0, 2], ["Ni", "Fe"], ["Fe", "Ni"]], ids=str
)
def test_ways_to_say_which_elements_are_magnetic(use_spin):
    assert magnetic_types(use_spin, TYPES, with_moments=["Fe", "Ni"]) == (True, False, True)


def test_one_symbol_or_index_alone():
    assert magnetic_types("Fe", TYPES, []) == magnetic_types(2, TYPES, []) == (False, False, True)


@pytest.mark.parametrize(
    ("use_spin", "message"),
    [
        ([True, False], "=.True, False.: expected `auto`, 3 bools"),
        ([3], "indices or symbols, of at least one of"),
        ([-1], "indices or symbols"),
        (["Ni", "Xx"], r"use_spin=\['Ni', 'Xx'\]: expected `auto`"),
        ([False, False, False], "of at least one of"),
        ([True, "Ni"], "3 bools, or indices or symbols"),
        ("auto", "every spin in the training data is zero"),
    ],
)
def test_wrong_use_spin(use_spin, message):
    with pytest.raises(InputError, match=message):
        magnetic_types(use_spin, TYPES, with_moments=[])


USE_SPIN = (True, False, True)


def scales(rcut=6.0, **spin):
    return virtual_scales(VirtualAtomSettings(**spin), USE_SPIN, rcut)


def test_scalars_hold_for_every_magnetic_element():
    assert scales(virtual_len=0.4, spin_norm=2.0) == (0.2, 0.0, 0.2)


def test_one_per_magnetic_element_or_per_element():
    per_spin = scales(virtual_len=[0.4, 0.6], spin_norm=[2.0, 1.0])
    assert per_spin == scales(virtual_len=[0.4, 0.0, 0.6], spin_norm=[2.0, 9.0, 1.0]) == (0.2, 0.0, 0.6)


def test_virtual_scale_in_place_of_the_two():
    assert scales(virtual_len=None, spin_norm=None, virtual_scale=0.3) == (0.3, 0.0, 0.3)


def test_the_shipped_default_is_that_of_deepmd_kits_example():
    assert scales()[0] == pytest.approx(0.3140, abs=1e-4)


@pytest.mark.parametrize(
    ("spin", "message"),
    [
        ({"virtual_scale": 0.3}, "give one way"),
        ({"virtual_len": None}, "needs virtual_len"),
        ({"virtual_len": [0.1, 0.2, 0.3, 0.4]}, "has 4 numbers; expected one, or 2 .* or 3"),
        ({"spin_norm": [1.0]}, "has 1 numbers"),
        ({"virtual_len": -0.4}, "virtual_len=-0.4: expected numbers > 0"),
        ({"virtual_len": 0.0}, "expected numbers > 0 for all"),
        ({"virtual_len": [0.4, float("nan")]}, "expected numbers > 0 for all"),
        ({"spin_norm": 0.0}, "expected numbers > 0 for all"),
        ({"virtual_len": 6.0}, "not smaller than model.descriptor.rcut"),
    ],
)
def test_wrong_lengths_and_values(spin, message):
    with pytest.raises(InputError, match=message):
        scales(**spin)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (DescriptorSettings(rcut=-1.0), "rcut"),
        (DescriptorSettings(rcut=3.0, rcut_smth=3.0), "rcut_smth"),
        (DescriptorSettings(neuron=()), "layer width"),
        (DescriptorSettings(neuron=(4, 0)), "layer width"),
        (DescriptorSettings(neuron=(4, 8), axis_neuron=9), "axis_neuron"),
        (DescriptorSettings(activation_function="tan"), "tanh, gelu"),
        (DescriptorSettings(env_protection=-0.1), "a length >= 0"),
        (FittingSettings(neuron=()), "layer width"),
        (FittingSettings(activation_function="x"), "choose from"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(InputError, match=message):
        settings.check()


def without_a_moment(atom):
    made = random_system(1, n_frames=3)
    made.spin[2, atom] = 0.0
    return made


def test_a_virtual_atom_on_its_own_atom_needs_protection():
    whole, nickel, oxygen = random_system(2), without_a_moment(1), without_a_moment(3)
    with pytest.raises(InputError, match=r"random1, spin, frame 2, atom 1 \(Ni\): .*env_protection=0\.01"):
        check_moments(small_potential(env_protection=0.0).spec, [whole, nickel])
    check_moments(small_potential(env_protection=0.0).spec, [whole, oxygen])
    check_moments(small_potential(env_protection=0.001).spec, [nickel])
    # Ni does not see its own virtual atoms, types 0 and 2.
    check_moments(small_potential(env_protection=0.0, exclude_types=((2, 0),)).spec, [nickel])


def test_moments_in_another_unit_are_refused_before_their_pairs_are_sought():
    potential = small_potential()
    made = random_system(1)
    made.spin[0, 1] = [0.0, 0.0, 1300.0]
    away = 1300.0 * potential.spec.virtual_scale[0]
    message = (
        f"{made.where(0, 'spin')}, atom 1 (Ni): a moment of 1300 μ_B puts its virtual atom {away:.3g} Å "
        f"away, beyond rcut ({potential.spec.descriptor.rcut} Å). Moments are a few μ_B: check their unit."
    )
    with pytest.raises(InputError, match=re.escape(message)):
        check_moments(potential.spec, [made])
    with pytest.raises(InputError, match=re.escape(message)):
        Predictor(potential)(made)
