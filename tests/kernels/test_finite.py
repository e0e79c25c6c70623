"""Checks for finite gradients, compiled and with torch's operations."""

from contextlib import nullcontext

import pytest
import torch

from spinpot import kernels
from spinpot.training.step import gradients_finite


@pytest.mark.parametrize("bad", [None, torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("without_it", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_gradients_that_are_no_numbers(compiled, calls, bad, without_it, dtype):
    parameters = [torch.nn.Parameter(torch.zeros(3, 4, dtype=dtype)) for _ in range(3)]
    for p in parameters[:2]:
        p.grad = torch.full((4, 3), torch.finfo(dtype).max, dtype=dtype).mT
    if bad is not None:
        parameters[1].grad[2, 1] = bad
    with kernels.without() if without_it else nullcontext():
        assert bool(gradients_finite(parameters)) == (bad is None)
    assert bool(calls) == (not without_it and dtype != torch.bfloat16)
