"""Adam agrees with torch's; matrix optimizers agree with formulas in numpy, other parameters use Adam."""

import io
import re
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from spinpot import kernels
from spinpot.training.optimizers import QUINTIC, Adam, Muon, Soap, orthogonal

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


@pytest.fixture
def compiled():
    if not kernels.build():
        pytest.skip("needs a C++ compiler")


def steps(optimizer, number, seed=0):
    """Take steps by gradients that depend on their number alone; a parameter whose size is 1 has none."""
    for step in range(number):
        for group in optimizer.param_groups:
            for p in group["params"]:
                p.grad = None if p.numel() == 1 else random(*p.shape, seed=seed + step).to(p.dtype)
        optimizer.step()


def alike(one, other, dtype=torch.float64):
    tolerance = 1e-14 if dtype == torch.float64 else 1e-6
    for p, q in zip(one.param_groups, other.param_groups, strict=True):
        torch.testing.assert_close(p["params"], q["params"], atol=tolerance, rtol=tolerance)


def some_parameters(dtype=torch.float64):
    return [nn.Parameter(random(*shape).to(dtype)) for shape in [(3,), (2, 150, 150), (1,), (7, 5), (0, 4)]]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"amsgrad": True},
        {"weight_decay": 0.1},
        {"maximize": True},
        {"lr": torch.tensor(0.01)},
        {"fused": None},
        {"betas": (0.0, 0.999)},
        {"betas": (0.9, 0.5)},
    ],
    ids=str,
)
def test_adam_is_torchs(compiled, dtype, more):
    settings = {"lr": 0.01, "betas": (0.9, 0.999), "fused": True, **more}
    ours, theirs = (make(some_parameters(dtype), **settings) for make in (Adam, torch.optim.Adam))
    for optimizer in (ours, theirs):
        steps(optimizer, 20)
    alike(ours, theirs, dtype)


def test_groups_of_adam_have_rates_of_their_own(compiled):
    both = []
    for make in (Adam, torch.optim.Adam):
        groups = [{"params": some_parameters(), "lr": lr} for lr in (0.1, 0.001)]
        both.append(make(groups, eps=1e-3, fused=True))
        steps(both[-1], 5)
    alike(*both)


def test_adam_and_torchs_go_on_with_each_others_state(compiled):
    straight = torch.optim.Adam(some_parameters(), lr=0.01, fused=True)
    steps(straight, 3)
    steps(straight, 3, seed=50)
    for first, second in ((Adam, torch.optim.Adam), (torch.optim.Adam, Adam), (Adam, Adam)):
        before = first(some_parameters(), lr=0.01, fused=True)
        steps(before, 3)
        after = second(before.param_groups[0]["params"], lr=0.01, fused=True)
        after.load_state_dict(before.state_dict())
        steps(after, 3, seed=50)
        alike(after, straight)


def test_adams_step_is_the_compiled_one(compiled, monkeypatch):
    """Else the tests above would show nothing."""
    own, calls = kernels.library(), []
    compiled_step = own.spinpot_adam_step
    monkeypatch.setattr(own, "spinpot_adam_step", lambda *a: (calls.append(1), compiled_step(*a))[1])
    optimizer = Adam(some_parameters(), fused=True)
    assert optimizer.step(lambda: 3.0) == 3.0
    assert calls == [1]


@pytest.mark.parametrize("other", ["bfloat16", "grad_scale", "found_inf", "no parameters"])
def test_adam_of_what_is_not_compiled_is_torchs(compiled, other):
    both = []
    for make in (Adam, torch.optim.Adam):
        dtype = torch.bfloat16 if other == "bfloat16" else torch.float64
        groups = [{"params": []}, {"params": [] if other == "no parameters" else some_parameters(dtype)}]
        both.append(make(groups, lr=0.01, fused=True))
        if other == "grad_scale":
            both[-1].grad_scale, both[-1].found_inf = torch.tensor(8.0), torch.tensor(0.0)
        elif other == "found_inf":  # after GradScaler.unscale_: no step
            both[-1].grad_scale, both[-1].found_inf = None, torch.tensor(1.0)
        steps(both[-1], 3)
    alike(*both)


def test_a_differentiable_adam_stays_differentiable(compiled):
    found = []
    for make in (Adam, torch.optim.Adam):
        start = random(3).requires_grad_()
        p = start.clone()
        p.grad = start.square()
        make([p], lr=0.1, eps=1.0, differentiable=True).step()
        found.append(*torch.autograd.grad(p.sum(), start))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("exp_avg", torch.zeros(2, dtype=torch.float64)),
        ("exp_avg_sq", torch.zeros(3)),
        ("step", torch.zeros(0)),
    ],
    ids=["size", "type", "steps"],
)
def test_state_that_does_not_fit_is_refused(compiled, name, other):
    """Nothing is read that is not there."""
    p = parameter(3)
    optimizer = Adam([p], fused=True)
    optimizer.step()
    optimizer.state[p][name] = other
    with pytest.raises(RuntimeError, match="size and dtype of their parameters"):
        optimizer.step()


def test_adam_follows_tensors_that_are_replaced(compiled):
    both = []
    for make in (Adam, torch.optim.Adam):
        p = parameter(6, 4)
        optimizer = make([p], lr=0.01, fused=True)
        optimizer.step()
        p.data, p.grad = random(6, 4, seed=5), random(6, 4, seed=6)
        optimizer.step()
        optimizer.state[p]["exp_avg"] = random(6, 4, seed=7)
        optimizer.step()
        both.append(optimizer)
    alike(*both)


def test_adam_without_a_compiler():
    ours, theirs = (make(some_parameters(), lr=0.01, fused=True) for make in (Adam, torch.optim.Adam))
    with kernels.without():
        steps(ours, 3)
    steps(theirs, 3)
    alike(ours, theirs)


def test_autograd_sees_that_adam_changed_a_parameter(compiled):
    p = parameter(4, 4)
    loss = p.square().sum()
    Adam([p], fused=True).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("turned", ["parameter", "gradient", "state", "gaps", "side of 1"])
def test_adam_of_any_layout(compiled, turned):
    both = []
    for make in (Adam, torch.optim.Adam):
        p = parameter(6, 4)
        optimizer = make([p], lr=0.01, fused=make is Adam)  # torch's fused one mixes up layouts
        if turned == "parameter":
            p.data = random(4, 6, seed=1).mT
        elif turned == "gradient":
            p.grad = random(4, 6, seed=1).mT
        elif turned == "state":
            optimizer.step()
            state = optimizer.state[p]
            state.update({name: state[name].mT.contiguous().mT for name in ("exp_avg", "exp_avg_sq")})
        elif turned == "gaps":
            p.data = random(6, 9, seed=1)[:, ::2][:, :4]
        else:
            p.data, p.grad = random(6, 1).as_strided((6, 1), (1, 7)), random(6, 1, seed=2)
        both.append(optimizer)
        both[-1].step()
        both[-1].step()
    alike(*both)


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
