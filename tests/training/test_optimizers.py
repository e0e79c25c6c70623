"""Steps of matrices against their formulas in numpy, orthogonality, and what is left to Adam."""

import io
import re
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from spinpot.training.optimizers import QUINTIC, Muon, Soap, orthogonal

OPTIMIZERS = [Muon, partial(Soap, every=2)]
SHAPES = [(7, 7), (12, 5), (5, 12), (3, 6, 9), (3, 9, 6)]


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def parameter(*shape, seed=0):
    p = nn.Parameter(random(*shape, seed=seed))
    p.grad = random(*shape, seed=seed + 100)
    return p


def formula(matrix, iterations):
    """X ← aX + b(XXᵀ)X + c(XXᵀ)²X from X = G/√‖GGᵀ‖, in float64."""
    a, b, c = QUINTIC
    x = matrix / np.sqrt(
        np.linalg.norm(matrix @ matrix.T if len(matrix) <= len(matrix.T) else matrix.T @ matrix)
    )
    for _ in range(iterations):
        gram = x @ x.T
        x = a * x + b * gram @ x + c * gram @ gram @ x
    return x


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_singular_values_become_about_one(shape, scale):
    values = torch.linalg.svdvals(orthogonal(scale * random(*shape), iterations=5))
    assert float(values.min()) > 0.5
    assert float(values.max()) < 1.3


@pytest.mark.parametrize("iterations", [1, 2, 5])
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if len(shape) == 2])
def test_orthogonal_is_the_iteration_on_the_matrix_itself(shape, iterations):
    matrix = random(*shape)
    expected = formula(matrix.numpy(), iterations)
    np.testing.assert_allclose(orthogonal(matrix, iterations), expected, atol=2e-5)


def test_no_gradient_is_no_step():
    assert not orthogonal(torch.zeros(4, 6, dtype=torch.float64), iterations=5).any()


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_nets_side_by_side_step_as_each_alone(make):
    together = parameter(3, 6, 6)  # of full rank, or bases are not unique
    alone = [nn.Parameter(matrix.clone()) for matrix in together.detach()]
    optimizers = make([together]), make(alone)
    for seed in range(3):
        together.grad = random(3, 6, 6, seed=seed)
        for matrix, gradient in zip(alone, together.grad, strict=True):
            matrix.grad = gradient.clone()
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(together.detach(), torch.stack([m.detach() for m in alone]), atol=1e-6, rtol=0)


def test_two_steps_of_a_matrix_are_the_formula():
    p = parameter(6, 4)
    optimizer = Muon([p], lr=0.1, momentum=0.9, iterations=3)
    expected, mean = p.detach().numpy().copy(), np.zeros((6, 4))
    for seed in (1, 2):
        p.grad = random(6, 4, seed=seed)
        optimizer.step()
        mean = 0.9 * mean + 0.1 * p.grad.numpy()
        ahead = 0.1 * p.grad.numpy() + 0.9 * mean
        expected -= 0.1 * 0.2 * np.sqrt(6) * formula(ahead, 3)
    np.testing.assert_allclose(p.detach(), expected, atol=1e-6)


def test_three_steps_of_soap_are_the_formula():
    p, lr, beta1, beta2, eps = parameter(5, 5), 0.1, 0.8, 0.9, 1e-8
    optimizer = Soap([p], lr=lr, betas=(beta1, beta2), eps=eps, every=2)
    expected, momentum, square = p.detach().numpy().copy(), np.zeros((5, 5)), np.zeros((5, 5))
    for step in (1, 2, 3):
        p.grad = random(5, 5, seed=step)
        optimizer.step()
        g = p.grad.numpy()
        if step == 1:
            left, right = g @ g.T, g.T @ g
            Ql, Qr = np.linalg.eigh(left)[1], np.linalg.eigh(right)[1]
        else:
            left, right = beta2 * left + (1 - beta2) * g @ g.T, beta2 * right + (1 - beta2) * g.T @ g
        if step == 3:
            Ql, Qr = np.linalg.qr(left @ Ql)[0], np.linalg.qr(right @ Qr)[0]
        momentum = beta1 * momentum + (1 - beta1) * g
        square = beta2 * square + (1 - beta2) * (Ql.T @ g @ Qr) ** 2
        root = np.sqrt(square / (1 - beta2**step)) + eps
        expected -= lr * Ql @ (Ql.T @ momentum @ Qr / (1 - beta1**step) / root) @ Qr.T
    # The first gradient is diagonal in its own bases: elsewhere its step is rounding over eps.
    np.testing.assert_allclose(p.detach(), expected, atol=1e-6)


def test_soap_without_bases_is_adam():
    ours, theirs = parameter(6, 4), parameter(6, 4)
    for optimizer in (
        Soap([ours], lr=0.1, betas=(0.9, 0.99), longest=3),
        torch.optim.Adam([theirs], lr=0.1, betas=(0.9, 0.99)),
    ):
        for _ in range(3):
            optimizer.step()
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_the_rest_is_adams(make):
    shapes, settings = [(5,), (1, 5), (5, 1), (3, 1, 5)], {"lr": 0.1, "betas": (0.9, 0.95)}
    ours, theirs = ([parameter(*shape) for shape in shapes] for _ in range(2))
    for optimizer in (make([parameter(4, 4), *ours], **settings), torch.optim.Adam(theirs, **settings)):
        for _ in range(3):
            optimizer.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-14, rtol=1e-14)


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_state_is_plain_and_goes_on_exactly(make):
    def two():
        return [parameter(4, 6), parameter(2, 3, 4), parameter(6)]

    through, stopped = two(), two()
    optimizer = make(through)
    for _ in range(4):
        optimizer.step()
    first = make(stopped)
    for _ in range(2):
        first.step()
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    second = make(stopped)
    second.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    for _ in range(2):
        second.step()
    for one, other in zip(through, stopped, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_parameters_without_a_gradient_stay(make):
    p, bias = nn.Parameter(random(4, 4)), nn.Parameter(random(4))
    before = p.detach().clone(), bias.detach().clone()
    make([p, bias]).step()
    assert torch.equal(p, before[0])
    assert torch.equal(bias, before[1])


@pytest.mark.parametrize(
    ("make", "setting"),
    [
        (Muon, {"lr": -1.0}),
        (Muon, {"momentum": 1.0}),
        (Muon, {"iterations": 0}),
        (Muon, {"betas": (0.9, 1.0)}),
        (Soap, {"every": 0}),
    ],
)
def test_refused_settings(make, setting):
    (value,) = setting.values()
    with pytest.raises(ValueError, match=re.escape(str(value).strip("()"))):
        make([parameter(4, 4)], **setting)
