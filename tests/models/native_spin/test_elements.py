"""Many elements: the size of the model, and elements that are rare, absent or without moments."""

from dataclasses import replace

import numpy as np
import pytest

from spinpot.data.systems import System
from spinpot.models.native_spin.potential import NativeSpin
from spinpot.models.native_spin.settings import SumsSettings
from spinpot.models.native_spin.spec import NativeSpinSettings
from spinpot.models.native_spin.statistics import chosen, settle_invariants
from support.differences import check_derivatives
from support.frames import batch_of, evaluate, random_system, system
from support.native_spin import native_under, small_native

ELEMENTS = ("Ni", "O", "Fe")


def test_size_does_not_grow_with_the_square_of_elements():
    """Of as many channels, any alloy has the same invariants and table; each element has its own weights."""
    models = {n: native_under(small_native(use_spin=(True,) * n, groups="all")) for n in (1, 2, 5)}
    of_one = models[1].invariants
    for n, model in models.items():
        own = model.invariants
        assert own.products.terms == of_one.products.terms
        assert own.size == of_one.size
        assert model.n_parameters() == n * models[1].n_parameters()
        assert own.mixing.numel() == n**2 * of_one.mixing.numel(), "constants that are not trained"


def test_shipped_sizes():
    """Up to four elements, each has ten distances, and a magnetic one eighteen of its moments."""
    names = (*ELEMENTS, "Co", "Mn", "Cr")
    shipped = [NativeSpinSettings().spec(names[:n], (True,) * n) for n in range(1, 7)]
    numbers = [spec.descriptor.channels for spec in shipped]
    assert numbers[2] == {"density": 30, "direction": 10, "moment": 24, "moment_square": 30}
    assert SumsSettings().numbers() == {"density": 20, "direction": 10, "moment": 8, "moment_square": 10}
    sizes = [len(spec.products.features) for spec in shipped]
    assert np.diff(sizes).tolist() == [28, 28, 28, 0, 0]
    assert numbers[3] == numbers[4] == numbers[5]


def settled_by(*frames: System, use_spin, neuron=(8, 8)) -> NativeSpin:
    """A small potential with statistics of some frames."""
    potential = native_under(small_native(use_spin=use_spin, groups="all", neuron=neuron))
    settle_invariants(potential.invariants, potential.spec.geometry, frames, seed=0)
    return potential


def three_elements(made: System, types=None) -> System:
    return replace(made, type_map=ELEMENTS, types=made.types if types is None else np.array(types))


def test_an_element_without_training_atoms():
    """It is as if it were not there, and has its energy bias."""
    trained, with_iron = random_system(3, n_frames=6), random_system(4)
    potential = settled_by(three_elements(trained), use_spin=(True, False, True), neuron=())
    iron = three_elements(with_iron, [0, 0, 2, 1, 1])
    output = check_derivatives(potential, iron)
    assert output["atom_energy"][2] == potential.energy_bias[2]
    assert np.abs(output["force_mag"][2]).max() < 1e-9
    assert np.abs(output["force"][[0, 1]]).max() < 50.0
    kept = [0, 1, 3, 4]
    without = system(ELEMENTS, iron.types[kept], iron.box, iron.coord[:, kept], iron.spin[:, kept])
    np.testing.assert_allclose(evaluate(potential, without)["force"], output["force"][kept], atol=1e-9)


def test_a_sample_has_every_element():
    """Also one of a single frame among thousands, and of huge frames of which few are looked at."""
    many, iron = (
        three_elements(random_system(3, n_frames=5000)),
        three_elements(random_system(4), [0, 0, 2, 1, 1]),
    )
    for systems in ([many, iron], [iron, many]):
        found = chosen(systems, seed=0)
        assert len(found) == 200
        assert sum(system is iron for system, _ in found) == 1
        assert len(chosen(systems, seed=0, most_atoms=1)) == 2
    assert chosen([many], seed=0) == chosen([many], seed=0, most_atoms=1 << 40)


def test_one_frame_with_one_atom_of_each_element():
    """Noise tells how its invariants change."""
    made = random_system(3, n_ni=1, n_o=1)
    potential = settled_by(made, use_spin=(True, False))
    assert (potential.invariants.scale != 0.0).sum(1).min() > 10
    potential.energy_scale.mul_(1e-3)  # random weights give thousands of eV, which differences cannot resolve
    output = check_derivatives(potential, made)
    assert 1e-5 < np.abs(output["force"]).max() < 1.0


def test_an_element_that_is_magnetic_only_sometimes():
    trained = random_system(3, n_frames=6)
    trained.spin[::2] = 0.0
    potential = settled_by(trained, use_spin=(True, False))
    for made in (random_system(5), replace(random_system(5), spin=np.zeros((1, 5, 3)))):
        output = check_derivatives(potential, made)
        assert np.abs(output["force"]).max() > 1e-2
    assert not output["force_mag"].any(), "an even energy has no slope where all moments are zero"


def test_an_element_with_spin_whose_moments_are_all_zero():
    """What the training frames do not show has no effect."""
    potential = settled_by(random_system(3, n_frames=6), use_spin=(True, True))
    made = random_system(5)
    output = check_derivatives(potential, made)
    assert np.abs(output["force_mag"][:3]).max() > 1e-2
    assert np.abs(output["force_mag"][3:]).max() < 1e-9
    made.spin[0, 3:] = 1.0
    np.testing.assert_allclose(evaluate(potential, made)["force"], output["force"], atol=1e-9)


@pytest.mark.parametrize("trained", ["crystal", "lone"])
def test_one_atom_in_vacuum(trained):
    lone = system(("Ni", "O"), [0], np.zeros((3, 3)), np.zeros((1, 3)), [[0.4, -0.9, 0.7]])
    lone = replace(lone, pbc=(False, False, False))
    several = {name: np.tile(getattr(lone, name), (4, 1, 1)) for name in ("box", "coord", "spin")}
    frames = {"crystal": random_system(3, n_frames=6), "lone": replace(lone, **several)}
    potential = settled_by(frames[trained], use_spin=(True, False))
    output = check_derivatives(potential, lone)
    assert not output["force"].any()
    assert np.abs(np.cross(output["force_mag"], lone.spin[0])).max() < 1e-12, "along the moment"
    assert np.abs(output["force_mag"]).max() > 1e-2


def test_channels_that_the_frames_do_not_show_amplify_nothing():
    """Eighteen atoms of nickel settle no thirty channels."""
    channels = {"density": 30, "moment": 20}
    potential = native_under(small_native(use_spin=(True, False, True), n_radial=10, channels=channels))
    shown = three_elements(random_system(3, n_frames=6))
    settle_invariants(potential.invariants, potential.spec.geometry, [shown], seed=0)
    batch = batch_of(potential, three_elements(random_system(4)))
    z = potential.invariants.normalised(batch, batch.pair_vector, potential.invariants.moments(batch))
    assert 1.0 < z.abs().max() < 100.0
