"""The interpolated embedding: its pieces, and its agreement with the evaluated one within its tolerance."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from spinpot.core.errors import InputError
from spinpot.models.deepspin import collocation_check
from spinpot.models.deepspin.activations import NOT_SMOOTH
from spinpot.models.deepspin.collocation import CHUNK, NUMBERS, STENCIL, Grid, Nodes, lagrange_polynomials
from spinpot.models.deepspin.collocation_check import (
    MARGIN,
    NET_ERRORS,
    collocation_errors,
    net_error,
    numbers_of_nodes,
    settle_nodes,
)
from spinpot.models.deepspin.environment import environment_rows, rows_with_derivatives
from spinpot.models.deepspin.potential import DeepSpin
from spinpot.models.deepspin.settings import DescriptorSettings
from support.checkpoints import load_potential, write_checkpoint
from support.frames import batch_of, random_system, small_potential, system

OPTIONS = [
    {},
    {"type_one_side": True},
    {"set_davg_zero": True},
    *({"activation_function": name, "resnet_dt": True} for name in ("gelu", "silu", "softplus", "sigmoid")),
]


def fitted(**descriptor):
    """A potential with statistics of its own frames, and a batch of them."""
    made = random_system(3, n_frames=4)
    potential = small_potential(**descriptor)
    batch = batch_of(potential, made)
    potential.set_statistics([batch], [made])
    potential.cover(np.array(batch.closest))
    return potential, batch


def direct(potential):
    """The same weights, evaluated for each pair."""
    descriptor = replace(potential.spec.descriptor, radial="direct")
    twin = DeepSpin(replace(potential.spec, descriptor=descriptor))
    twin.load_state_dict(potential.state_dict())
    twin.descriptor.nodes = potential.descriptor.nodes
    return twin


def loss_of(output):
    return sum(output[name].square().sum() for name in ("energy", "force", "force_mag", "virial"))


def test_polynomials_are_one_at_their_own_point():
    points = torch.arange(STENCIL) - (STENCIL - 1) / 2
    powers = points.double().unsqueeze(1) ** torch.arange(STENCIL)
    torch.testing.assert_close(powers @ lagrange_polynomials(STENCIL), torch.eye(STENCIL).double())


def interpolation_errors(n_nodes):
    """Of sin and its derivative on a grid of this many nodes that reaches beyond what is looked at."""
    low, high = torch.tensor([[-0.3], [15.0]], dtype=torch.float64)
    step = (torch.log1p((high - low) / 2.0) / (n_nodes - 1)).expand(1, 2)
    grid = Grid(low, step, torch.full((1, 2), n_nodes // CHUNK), [0], [0])
    s = torch.linspace(-0.3, 10.0, 500, dtype=torch.float64)
    zero = torch.zeros(500, dtype=torch.int64)
    stencil = grid.locate(s, zero, zero)
    (nodes,) = grid.at(zero[:1], zero[:1], torch.arange(n_nodes))
    values = torch.sin(nodes)[stencil.first.unsqueeze(1) + torch.arange(STENCIL)]
    value, slope = ((values * weights).sum(1) for weights in (stencil.value, stencil.derivative))
    return float((value - torch.sin(s)).abs().max()), float((slope - torch.cos(s)).abs().max())


def test_interpolation_converges_at_the_order_of_its_polynomials():
    coarse, fine = interpolation_errors(4 * CHUNK), interpolation_errors(8 * CHUNK)
    assert fine[0] < coarse[0] / 2 ** (STENCIL - 1) < 1e-7
    assert fine[1] < coarse[1] / 2 ** (STENCIL - 2) < 1e-5


def test_derivatives_of_the_rows():
    generator = torch.Generator().manual_seed(0)
    vector = 2.0 * torch.randn(20, 3, dtype=torch.float64, generator=generator)
    vector[0] = 0.0  # a virtual atom on its own atom
    davg = torch.randn(20, 4, dtype=torch.float64, generator=generator)
    dstd = torch.rand(20, 4, dtype=torch.float64, generator=generator) + 0.1
    by_row = torch.randn(20, 4, dtype=torch.float64, generator=generator)
    by_vector = torch.randn(20, 3, dtype=torch.float64, generator=generator)
    rows = rows_with_derivatives(vector, 1.0, 4.0, 0.01, davg, dstd)

    vector.requires_grad_()
    values = (environment_rows(vector, 1.0, 4.0, 0.01) - davg) / dstd
    torch.testing.assert_close(rows.values, values.detach())
    (expected,) = torch.autograd.grad(values, vector, by_row)
    torch.testing.assert_close(rows.pull_back(by_row), expected)
    there = (rows.pull_back(by_row) * by_vector).sum()
    torch.testing.assert_close((rows.push_forward(by_vector) * by_row).sum(), there)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_equals_the_direct_evaluation(options):
    potential, batch = fitted(**options)
    assert settle_nodes(potential, batch).within()
    ours, theirs = potential(batch), direct(potential)(batch)
    assert float(((ours["energy"] - theirs["energy"]) / batch.n_atoms).abs().max()) <= 1e-8
    for name in ("force", "force_mag"):
        assert float((ours[name] - theirs[name]).abs().max()) <= 1e-7
    volume = 100.0
    assert float((ours["virial"] - theirs["virial"]).abs().max()) <= 1e-8 * volume


@pytest.mark.parametrize("options", OPTIONS[:2], ids=str)
def test_gradients_by_the_weights_equal_the_direct_ones(options):
    potential, batch = fitted(**options)
    settle_nodes(potential, batch)
    twin = direct(potential)
    for one in (potential, twin):
        loss_of(one(batch, differentiable=True)).backward()
    for ours, theirs in zip(potential.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(
            ours.grad, theirs.grad, rtol=1e-6, atol=1e-6 * float(theirs.grad.abs().max())
        )


def test_weights_get_the_gradient_of_what_is_computed():
    """Whatever the interpolation's error: finite differences of the collocated loss itself."""
    potential, batch = fitted()
    loss_of(potential(batch, differentiable=True)).backward()
    weight = potential.descriptor.embedding_nets[1].weight[0]
    found, step = float(potential.descriptor.embedding_nets[1].weight.grad[0, 1, 2]), 1e-5
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight[1, 2] += sign * step
            values.append(float(loss_of(potential(batch))))
            weight[1, 2] -= sign * step
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(found, rel=1e-6)


def test_neighbours_closer_than_in_training():
    potential, batch = fitted()
    settle_nodes(potential, batch)
    coord = np.array([[0.0, 0.0, 0.0], [0.9, 0.1, 0.0]])
    spin = np.array([[0.0, 0.0, 0.05], [0.0, 0.0, 0.0]])  # a virtual atom almost on its atom
    close = batch_of(potential, system(("Ni", "O"), [0, 1], 9.0 * np.eye(3), coord, spin))
    assert close.closest[0] < 0.1 * potential.descriptor.nodes.closest[0]
    errors = collocation_errors(potential, close)
    scale = float(potential(close)["force"].abs().max())
    assert errors.energy < 1e-7
    assert errors.force < 1e-6 * max(scale, 1.0)


def scale_embedding(potential, factor, nets=slice(None)):
    with torch.no_grad():
        potential.descriptor.embedding_nets[0].weight[nets] *= factor


def test_the_usual_grid_stays_when_neighbours_are_closer():
    """A recorded step holds it."""
    potential = small_potential()
    usual = batch_of(potential, random_system(1))
    potential.descriptor.nodes = Nodes.equally_many(usual.closest)
    grid = potential.descriptor.grid(usual)
    for factor in (0.5, 0.4):
        closer = replace(usual, closest=[factor * closest for closest in usual.closest])
        assert potential.descriptor.grid(closer) is not grid
    assert potential.descriptor.grid(usual) is grid


def test_nodes_are_added_where_the_embedding_is_rough():
    potential, batch = fitted()
    before = settle_nodes(potential, batch)
    scale_embedding(potential, 4.0)
    assert not collocation_errors(potential, batch).within()
    after = settle_nodes(potential, batch)
    assert after.within()
    assert after.total > before.total
    every = numbers_of_nodes(potential.descriptor, [0, 1])
    coarser = [numbers for numbers in every if total(numbers) < after.total]
    assert coarser
    assert not any(collocation_errors_with(potential, batch, numbers).within() for numbers in coarser)


def test_only_a_rough_net_has_many_nodes():
    potential, batch = fitted()
    before = settle_nodes(potential, batch)
    rough = 1 * 2 * potential.descriptor.n_types  # of centre element 1 and neighbour type 0
    scale_embedding(potential, 16.0, rough)
    after = settle_nodes(potential, batch)
    assert after.within()
    assert after.nodes[1][0] >= 3 * before.nodes[1][0]
    others = [(i, j) for i, j in np.ndindex(2, 4) if (i, j) != (1, 0)]
    assert sum(after.nodes[i][j] for i, j in others) <= 2 * sum(before.nodes[i][j] for i, j in others)
    ours, theirs = (float(loss_of(model(batch))) for model in (potential, direct(potential)))
    assert ours == pytest.approx(theirs, rel=1e-8)


def test_the_error_of_a_net_is_that_seen_anywhere():
    potential, _ = fitted()
    descriptor = potential.descriptor
    descriptor.nodes = Nodes.equally_many(descriptor.nodes.closest, 52)
    grid = descriptor.make_grid(descriptor.nodes, descriptor.nodes.closest, [0, 1])
    here = torch.zeros(1000, dtype=torch.int64)
    (points,) = grid.at(here[:1], here[:1] + 1, torch.linspace(0, 51, 1000, dtype=torch.float64))
    stencil = grid.locate(points, here, here + 1)
    (nodes,) = grid.at(here[:1], here[:1] + 1, torch.arange(int(grid.n_nodes[0, 1])))
    net = descriptor.embedding_net(0, 1)
    at_nodes = net(nodes.unsqueeze(1))[stencil.first.unsqueeze(1) + torch.arange(STENCIL)]
    seen = ((at_nodes * stencil.value.unsqueeze(-1)).sum(1) - net(points.unsqueeze(1))).abs().max()
    assert 0.5 * seen.item() < net_error(descriptor, (0, 1), 52) <= 1.001 * seen.item()


def test_numbers_of_nodes():
    potential, _ = fitted()
    descriptor = potential.descriptor
    found = list(numbers_of_nodes(descriptor, [0, 1]))
    assert len(found) == len(NET_ERRORS)
    assert [total(numbers) for numbers in found] == sorted(total(numbers) for numbers in found)
    for wanted, numbers in zip(NET_ERRORS[:5], found, strict=False):
        for i, j in np.ndindex(2, 3):
            assert net_error(descriptor, (i, j), numbers[i][j]) <= wanted
            fewer = NUMBERS[: NUMBERS.index(numbers[i][j])]
            assert all(net_error(descriptor, (i, j), number) > wanted for number in fewer)
        assert [row[3] for row in numbers] == [NUMBERS[0]] * 2  # virtual atoms of an element without spin


def test_nodes_are_taken_away_where_it_has_become_smooth():
    potential, batch = fitted()
    scale_embedding(potential, 4.0)
    rough = settle_nodes(potential, batch)
    scale_embedding(potential, 0.25)
    assert settle_nodes(potential, batch, fewer=False).nodes == rough.nodes
    smooth = settle_nodes(potential, batch)
    assert smooth.total < rough.total
    assert smooth == collocation_errors(potential, batch)
    assert smooth.within(MARGIN)
    every = numbers_of_nodes(potential.descriptor, [0, 1])
    coarser = [numbers for numbers in every if total(numbers) < smooth.total]
    assert not any(collocation_errors_with(potential, batch, numbers).within(MARGIN) for numbers in coarser)


def test_nodes_that_must_not_become_fewer_are_added_to():
    potential, batch = fitted()
    scale_embedding(potential, 8.0, 0)
    one = settle_nodes(potential, batch)
    scale_embedding(potential, 0.125, 0)
    scale_embedding(potential, 8.0, 4)
    both = settle_nodes(potential, batch, fewer=False)
    assert both.within()
    assert both.nodes[0][0] == one.nodes[0][0]
    assert both.nodes[1][0] > one.nodes[1][0]


def test_where_no_number_is_enough_no_net_has_more_than_helps(monkeypatch):
    potential, batch = fitted()
    before = settle_nodes(potential, batch)
    monkeypatch.setattr(collocation_check, "ENERGY_TOLERANCE", 1e-30)
    monkeypatch.setattr(collocation_check, "FORCE_TOLERANCE", 1e-30)
    errors = settle_nodes(potential, batch)
    assert not errors.within()
    assert before.total < errors.total < 0.5 * NUMBERS[-1] * 8
    assert settle_nodes(potential, batch) == errors


@pytest.mark.parametrize("number", [*NUMBERS, 64])
def test_settled_once_more_nodes_stay(number):
    potential, batch = fitted()
    potential.descriptor.nodes = Nodes.equally_many(potential.descriptor.nodes.closest, number)
    once = settle_nodes(potential, batch)
    assert once.within()
    assert settle_nodes(potential, batch) == once


def collocation_errors_with(potential, batch, numbers):
    potential = copy.deepcopy(potential)
    potential.descriptor.nodes.numbers = numbers
    return collocation_errors(potential, batch)


def total(numbers):
    return sum(map(sum, numbers))


def test_of_many_atoms_some_are_looked_at(monkeypatch):
    potential, batch = fitted()
    scale_embedding(potential, 4.0)
    every = collocation_errors(potential, batch)
    monkeypatch.setattr("spinpot.models.deepspin.collocation_check.MOST_CENTRES", 7)
    some = collocation_errors(potential, batch)
    assert 0.01 * every.energy < some.energy < 10 * every.energy
    assert 0.01 * every.force < some.force <= every.force * 3


def test_nodes_are_part_of_a_checkpoint(tmp_path):
    potential, batch = fitted()
    potential.descriptor.nodes.numbers = [[52, 80, 24, 24], [108, 24, 52, 24]]
    again = load_potential(write_checkpoint(tmp_path / "x.ckpt", potential))
    assert again.descriptor.nodes == potential.descriptor.nodes
    torch.testing.assert_close(again(batch)["force"], potential(batch)["force"], rtol=0, atol=0)


@pytest.mark.parametrize("name", NOT_SMOOTH)
def test_kinks_are_refused(name):
    with pytest.raises(InputError, match="radial=direct"):
        DescriptorSettings(activation_function=name).check()
    DescriptorSettings(activation_function=name, radial="direct").check()


def test_float32_is_as_good_as_its_numbers():
    potential, batch = fitted()
    exact = potential(batch)["force"]
    found = potential.set_precision(torch.float32)(batch)["force"]
    assert float((found - exact).abs().max()) < 1e-4 * float(exact.abs().max())
