"""The compiled network agrees with torch's operations."""

import gc
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spinpot import kernels
from spinpot.models.deepspin.activations import ACTIVATIONS
from spinpot.models.deepspin.deepmd.potentials import read_deepmd
from spinpot.models.deepspin.settings import is_smooth
from support.frames import batch_of, random_system, small_potential, system

OUTPUTS = ("energy", "atom_energy", "force", "force_mag", "virial")
REFERENCE = Path(__file__).parent.parent / "reference"


@pytest.fixture(scope="module")
def compiled():
    """The kernels, compiled if need be."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if not kernels.build():
            pytest.skip(f"needs a C++ compiler: {said[-1].message}")


def everything(potential, batch):
    """All outputs and all gradients of a loss of all of them."""
    potential.zero_grad()
    output = potential(batch, differentiable=True)
    weights = torch.linspace(0.5, 1.5, 7, dtype=torch.float64)
    sum((weights[n] * output[name].square()).sum() for n, name in enumerate(OUTPUTS)).backward()
    return [output[name].detach() for name in OUTPUTS] + [p.grad.clone() for p in potential.parameters()]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="as usual"),
        pytest.param({"type_one_side": True, "resnet_dt": True}, id="type_one_side"),
        pytest.param({"neuron": (8, 8, 16), "axis_neuron": 16}, id="all axes"),
        pytest.param(
            {"neuron": (4, 4, 7), "fitting_net": {"neuron": (5, 10, 10, 4), "resnet_dt": False}},
            id="odd widths",
        ),
        pytest.param({"neuron": (4, 8), "axis_neuron": 1}, id="one axis"),
        pytest.param(
            {"neuron": (2, 4), "axis_neuron": 2, "fitting_net": {"neuron": (8, 8)}}, id="D skipped to y"
        ),
        pytest.param(
            {"neuron": (2, 4), "axis_neuron": 2, "fitting_net": {"neuron": (16, 4)}}, id="D skipped twice"
        ),
        pytest.param(
            {"neuron": (2, 4), "axis_neuron": 2, "fitting_net": {"neuron": (7,)}}, id="as wide as D folded"
        ),
        pytest.param({"radial": "direct"}, id="direct"),
    ],
)
def test_equal_to_torch(compiled, without, options):
    potential = small_potential(**options)
    batch = batch_of(potential, random_system(1, n_frames=3), random_system(2, n_ni=1, n_o=3))
    ours = everything(potential, batch)
    without()
    for one, other in zip(ours, everything(potential, batch), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12 * float(other.abs().max()))


@pytest.mark.parametrize("name", [*ACTIVATIONS, "silut", "silut:", "silut:1_0"])
def test_every_activation_function(name, compiled, without):
    potential = small_potential(
        activation_function=name, resnet_dt=True, fitting_net={"activation_function": name}
    )
    batch = batch_of(potential, random_system(1))
    ours = everything(potential, batch)
    without()
    for one, other in zip(ours, everything(potential, batch), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-11 * float(other.abs().max()))


@pytest.mark.parametrize("size", [1e-9, 30.0])
@pytest.mark.parametrize("name", ["tanh", "gelu", "silut:1.0"])
def test_where_a_tanh_is_straight_or_flat(name, size, compiled, without):
    potential = small_potential(activation_function=name, fitting_net={"activation_function": name})
    with torch.no_grad():
        for weights in potential.parameters():
            weights.mul_(size)
    batch = batch_of(potential, random_system(1))
    ours = everything(potential, batch)
    without()
    for one, other in zip(ours, everything(potential, batch), strict=True):
        assert other.isfinite().all()
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-11 * float(other.abs().max()))


@pytest.mark.parametrize("name", ["tanh", "gelu", "silut:1.0"])
def test_nan_stays_nan(name, compiled):
    potential = small_potential(activation_function=name, fitting_net={"activation_function": name})
    with torch.no_grad():
        potential.fitting_nets.layers[0].weight[0, 0, 0] = torch.nan
    batch = batch_of(potential, random_system(1))
    energy = potential(batch)["atom_energy"]
    assert torch.equal(energy.isnan(), batch.types == 0), "the first element's net alone has it"


@pytest.mark.parametrize(
    "use_spin", [(True,), (True, False, True), (False, True, True, False, True)], ids=len
)
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_any_number_of_elements(use_spin, threads, compiled, without):
    potential = small_potential(use_spin=use_spin)
    made = random_system(1, n_frames=3)
    types = np.arange(made.n_atoms) % max(1, len(use_spin) - 1)  # of several, the last one has no atoms
    batch = batch_of(potential, replace(made, type_map=potential.spec.type_map, types=types))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    ours = everything(potential, batch)
    torch.set_num_threads(before)
    without()
    for one, other in zip(ours, everything(potential, batch), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12 * float(other.abs().max()))


@pytest.mark.parametrize("options", [{}, {"neuron": (4, 8), "axis_neuron": 8}], ids=["as usual", "all axes"])
def test_float32(compiled, without, options):
    potential = small_potential(**options).set_precision(torch.float32)
    batch = batch_of(potential, random_system(1, n_frames=3))
    ours = everything(potential, batch)
    without()
    theirs = everything(potential, batch)
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()))
    torch.testing.assert_close(ours[1], theirs[1], rtol=1e-6, atol=0.0)


def test_weights_in_any_layout_and_no_atoms_at_all(compiled, without):
    potential = small_potential()
    weight = potential.fitting_nets.layers[0].weight
    weight.data = weight.data.mT.contiguous().mT
    batches = batch_of(potential, random_system(1)), batch_of(potential)
    ours = [everything(potential, batch) for batch in batches]
    without()
    for batch, mine in zip(batches, ours, strict=True):
        for one, other in zip(mine, everything(potential, batch), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)


def test_which_evaluation_runs(compiled, without):
    potential, direct = small_potential(), small_potential(radial="direct")
    assert potential.evaluation() == "compiled"
    without()
    assert potential.evaluation() == "torch"
    assert direct.evaluation() == "direct"


@pytest.mark.parametrize("radial", ["collocated", "direct"])
@pytest.mark.parametrize("with_it", [True, False])
def test_a_second_derivative_is_refused(compiled, without, radial, with_it):
    """By the weights; each output has its own way there."""
    if not with_it:
        without()
    potential = small_potential(radial=radial)
    output = potential(batch_of(potential, random_system(1)), differentiable=True)
    for value in (output["energy"], output["force"].square()):
        with pytest.raises(RuntimeError, match="differentiated only once"):
            torch.autograd.grad(value.sum(), [potential.fitting_nets.layers[0].weight], create_graph=True)


def test_weights_that_changed_meanwhile_are_told(compiled):
    potential = small_potential()
    energy = potential(batch_of(potential, random_system(1)), differentiable=True)["energy"].sum()
    with torch.no_grad():
        potential.fitting_nets.weight.mul_(1.1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        energy.backward()


@pytest.mark.parametrize("with_it", [True, False])
def test_training_after_inference_mode(with_it, compiled, without):
    if not with_it:
        without()
    potential = small_potential()
    batch = batch_of(potential, random_system(1))
    with torch.inference_mode():
        potential(batch)
    everything(potential, batch)


def test_elements_that_come_and_go(compiled, without):
    """Nodes follow the elements of each batch."""
    potential = small_potential(use_spin=(True, True))
    systems = [random_system(n, n_ni=ni, n_o=o) for n, (ni, o) in enumerate([(3, 0), (0, 4), (3, 2), (2, 0)])]
    found = [everything(potential, batch_of(potential, made)) for made in systems]
    without()
    for made, mine in zip(systems, found, strict=True):
        for one, other in zip(mine, everything(potential, batch_of(potential, made)), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)
    potential.descriptor.radial = "direct"
    for made, mine in zip(systems, found, strict=True):
        direct = everything(potential, batch_of(potential, made))
        torch.testing.assert_close(mine[:5], direct[:5], rtol=0.0, atol=1e-7)


def test_products_of_any_size(compiled, without):
    """Sides that are no multiple of what the processor takes at once, deep ones, and those of the library."""
    potential = small_potential(
        neuron=(4, 8, 65), axis_neuron=16, fitting_net={"neuron": (260, 19), "resnet_dt": False}
    )
    few = batch_of(potential, random_system(1, n_frames=2))
    many = batch_of(potential, random_system(2, n_frames=130, n_ni=3, n_o=2))
    ours = [everything(potential, batch) for batch in (few, many)]
    without()
    for batch, mine in zip((few, many), ours, strict=True):
        for one, other in zip(mine, everything(potential, batch), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12 * float(other.abs().max()))


@pytest.mark.parametrize("name", ["pair_type", "pair_neighbour", "pair_start", "atom_order", "frame"])
@pytest.mark.parametrize("number", [-1, 99_999])
def test_indices_out_of_range_are_refused(compiled, name, number):
    potential = small_potential()
    batch = batch_of(potential, random_system(1))
    getattr(batch, name)[0] = number
    with pytest.raises(RuntimeError, match="expected"):
        potential(batch)


def test_made_under_inference_mode(compiled):
    system = random_system(1, n_frames=3)
    with torch.inference_mode():
        potential = small_potential()
        found = potential(batch_of(potential, system))
    assert torch.equal(potential(batch_of(potential, system))["force"], found["force"])


def test_under_inference_mode(compiled):
    potential = small_potential()
    batch = batch_of(potential, random_system(1, n_frames=3))
    expected = potential(batch)
    with torch.inference_mode():
        found = potential(batch)
    for name in OUTPUTS:
        assert torch.equal(found[name], expected[name])


@pytest.mark.parametrize("options", [{}, {"neuron": (4, 8), "axis_neuron": 8}], ids=["as usual", "all axes"])
def test_on_threads_of_their_own(compiled, options):
    """Sums that several threads share come out as those of one."""
    potential = small_potential(**options)
    batch = batch_of(potential, random_system(3, n_frames=40, n_ni=3, n_o=3))
    found = {}
    before = torch.get_num_threads()
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        found[threads] = everything(potential, batch)
    torch.set_num_threads(before)
    for threads in (2, 4):
        for one, other in zip(found[1], found[threads], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12 * float(other.abs().max()))


@pytest.mark.parametrize("name", sorted(path.stem for path in REFERENCE.glob("*.dp")))
def test_the_reference_potentials(name, compiled, without):
    potential = read_deepmd(REFERENCE / f"{name}.dp").potential
    if not is_smooth(potential.spec.descriptor.activation_function):
        pytest.skip("it has kinks and is never interpolated")
    potential.descriptor.radial = "collocated"
    with np.load(REFERENCE / f"{name}.npz") as data:
        frames = system(potential.spec.type_map, *(data[key] for key in ("type", "box", "coord", "spin")))
    batch = batch_of(potential, frames)
    ours = everything(potential, batch)
    without()
    for one, other in zip(ours, everything(potential, batch), strict=True):
        torch.testing.assert_close(one, other, rtol=0.0, atol=1e-12 * float(other.abs().max()))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_without_gradients_atoms_are_evaluated_in_blocks(compiled, threads, dtype):
    potential = small_potential().set_precision(dtype)
    batch = batch_of(potential, random_system(1, n_frames=41, n_ni=3, n_o=5))
    expected = {name: value.detach() for name, value in potential(batch, differentiable=True).items()}
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    found = potential(batch)
    torch.set_num_threads(before)
    for name in OUTPUTS:
        scale = float(expected[name].abs().max())
        torch.testing.assert_close(
            found[name],
            expected[name],
            rtol=0.0,
            atol=scale * (1e-13 if dtype == torch.float64 else 1e-5),
        )


def test_each_forward_pass_keeps_what_is_its_own(compiled):
    potential = small_potential()
    batches = [batch_of(potential, random_system(seed, n_frames=seed)) for seed in (1, 2, 3)]
    expected = [everything(potential, batch)[len(OUTPUTS) :] for batch in batches]
    energies = [potential(batch, differentiable=True) for batch in batches]
    del energies[1]  # its backward pass never runs
    gc.collect()
    weights = torch.linspace(0.5, 1.5, 7, dtype=torch.float64)
    for output, gradients in zip(energies, (expected[0], expected[2]), strict=True):
        loss = sum((weights[n] * output[name].square()).sum() for n, name in enumerate(OUTPUTS))
        for _ in range(2):
            found = torch.autograd.grad(loss, list(potential.parameters()), retain_graph=True)
            for one, other in zip(found, gradients, strict=True):
                assert torch.equal(one, other)
