"""The compiled native-spin model agrees with torch's operations."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from spinpot.models.deepspin.activations import ACTIVATIONS
from spinpot.models.native_spin.rows import design
from support.frames import batch_of, random_system
from support.native_spin import frames_of, small_native

OUTPUTS = ("energy", "atom_energy", "force", "force_mag", "virial")

pytestmark = pytest.mark.usefixtures("compiled")


def everything(potential, batch):
    """All outputs and all gradients of a loss of all of them."""
    potential.zero_grad()
    output = potential(batch, differentiable=True)
    sum(((n + 1) * output[name].square()).sum() for n, name in enumerate(OUTPUTS)).backward()
    trained = [weight for weight in potential.parameters() if weight.requires_grad]
    return [output[name].detach() for name in OUTPUTS] + [weight.grad.clone() for weight in trained]


def assert_equal(ours, theirs, tolerance=1e-12):
    """Within that part of the largest component."""
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype
        largest = float(other.abs().max()) if other.numel() else 0.0
        torch.testing.assert_close(one, other, rtol=0.0, atol=tolerance * largest)


def compared(potential, batch, without, tolerance=1e-12):
    """Both evaluations of a batch, and the one that keeps nothing."""
    assert potential.evaluation() == "compiled"
    ours = everything(potential, batch)
    found = potential(batch)
    without()
    assert potential.evaluation() == "torch"
    theirs = everything(potential, batch)
    assert_equal(ours, theirs, tolerance)
    assert_equal([found[name] for name in OUTPUTS], theirs[: len(OUTPUTS)], tolerance)


def made_free(potential):
    """The same with a linear part that is trained."""
    potential.linear.requires_grad_()
    return potential


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="as usual"),
        pytest.param({"groups": "all"}, id="all groups"),
        pytest.param({"groups": ("density",)}, id="one kind"),
        pytest.param({"groups": ("shape", "exchange", "anisotropic_exchange")}, id="without density"),
        pytest.param({"neuron": ()}, id="linear"),
        pytest.param({"neuron": (5, 10, 10, 4)}, id="odd widths"),
        pytest.param({"n_radial": 2}, id="two radial functions"),
        pytest.param({"n_radial": 35, "cutoff": 5.0}, id="many radial functions"),
        pytest.param({"channels": {"density": 19, "moment": 7}}, id="many channels"),
    ],
)
def test_equal_to_torch(without, options):
    potential = made_free(small_native(**options))
    compared(potential, batch_of(potential, random_system(1, n_frames=3), random_system(2, n_ni=1)), without)


@pytest.mark.parametrize(
    "use_spin", [(True,), (False,), (True, True), (False, True, True, False, True)], ids=str
)
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_any_number_of_elements(without, use_spin, threads):
    potential = made_free(small_native(use_spin=use_spin, groups="all"))
    few = frames_of(use_spin, 7)
    one = replace(few, types=np.full(few.n_atoms, len(use_spin) - 1))  # the other elements have no atoms
    batch = batch_of(potential, few, one)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    compared(potential, batch, without)
    torch.set_num_threads(before)


@pytest.mark.parametrize("edge", [3.0, 4.6, 9.0])
def test_small_cells(without, edge):
    potential = small_native(groups="all")
    compared(potential, batch_of(potential, random_system(3, n_frames=2, n_ni=1, n_o=1, edge=edge)), without)


def test_without_neighbours(without):
    potential = small_native(groups="all")
    compared(potential, batch_of(potential, random_system(4, n_ni=1, n_o=0, edge=30.0)), without)


def test_without_moments(without):
    potential = small_native(groups="all")
    made = random_system(5)
    still = replace(made, spin=np.zeros_like(made.spin))
    compared(potential, batch_of(potential, still, random_system(4, n_ni=1, n_o=0, edge=30.0)), without)


def test_moments_of_elements_without_spin_are_not_seen(without):
    potential = small_native(groups="all")
    made = random_system(6)
    spin = made.spin + 1.0
    compared(potential, batch_of(potential, replace(made, spin=spin)), without)


def test_frozen_weights_and_no_atoms_at_all(without):
    potential = small_native()
    compared(potential, batch_of(potential), without)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_function(without, name):
    potential = small_native()
    for layer in potential.nets.layers:
        layer.activation_function, layer.activation = name, ACTIVATIONS[name]
    compared(potential, batch_of(potential, random_system(7)), without, 1e-11)


def test_float32_nets(without):
    potential = small_native().set_precision(torch.float32)
    compared(potential, batch_of(potential, random_system(8, n_frames=3)), without, 1e-5)


@pytest.mark.parametrize(
    ("use_spin", "groups"),
    [
        ((True, False), "all"),
        ((True, True), ("exchange", "length_exchange")),
        ((False,), ("density", "angle")),
        ((False, True, True, False, True), "all"),
    ],
    ids=str,
)
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_rows_of_least_squares(without, use_spin, groups, threads):
    potential = small_native(use_spin=use_spin, groups=groups, neuron=())
    invariants = potential.invariants
    batch = batch_of(potential, frames_of(use_spin, 3), random_system(9, n_ni=1, n_o=0, edge=30.0))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    ours = design(invariants, batch)
    torch.set_num_threads(before)
    without()
    theirs = design(invariants, batch)
    assert_equal(vars(ours).values(), vars(theirs).values())


@pytest.mark.parametrize(
    "name", ["pair_type", "pair_neighbour", "pair_start", "atom_order", "neighbour_counts"]
)
@pytest.mark.parametrize("number", [-1, 99_999])
def test_indices_out_of_range_are_refused(name, number):
    potential = small_native()
    batch = batch_of(potential, random_system(1))
    getattr(batch, name).view(-1)[0] = number
    with pytest.raises(RuntimeError, match="expected"):
        potential(batch)


def test_each_forward_pass_keeps_what_is_its_own():
    potential = small_native()
    batches = [batch_of(potential, random_system(seed, n_frames=seed)) for seed in (1, 2)]
    expected = [everything(potential, batch)[len(OUTPUTS) :] for batch in batches]
    losses = [potential(batch, differentiable=True)["force"].square().sum() for batch in batches]
    trained = [weight for weight in potential.parameters() if weight.requires_grad]
    found = [torch.autograd.grad(loss, trained, retain_graph=True) for loss in losses]
    assert not torch.equal(found[0][0], found[1][0])
    for loss, gradients in zip(losses, found, strict=True):
        for one, other in zip(torch.autograd.grad(loss, trained), gradients, strict=True):
            assert torch.equal(one, other)
    for batch, gradients in zip(batches, expected, strict=True):
        assert_equal(everything(potential, batch)[len(OUTPUTS) :], gradients)


def test_a_second_derivative_is_refused():
    potential = small_native()
    output = potential(batch_of(potential, random_system(1)), differentiable=True)
    with pytest.raises(RuntimeError, match="differentiated only once"):
        torch.autograd.grad(output["force"].square().sum(), [potential.nets.weight], create_graph=True)


def test_statistics_that_change(without):
    """What is kept of the invariants between calls follows them."""
    potential = small_native()
    batch = batch_of(potential, random_system(1))
    potential(batch)
    potential.invariants.mean += 0.3
    potential.invariants.scale = potential.invariants.scale * 1.1
    potential.invariants.to("cpu")
    compared(potential, batch, without)
