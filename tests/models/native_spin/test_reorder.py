"""A potential with another order of its elements."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch

from spinpot.models.training_facts import TrainingFacts
from support.frames import batch_of, evaluate
from support.native_spin import frames_of, small_native

USE_SPIN = (True, False, True)


@pytest.mark.parametrize("exchange", [(), ("bilinear", "single_ion")])
@pytest.mark.parametrize("order", list(permutations(range(3)))[1:])
def test_it_is_the_same_function(order, exchange):
    potential = small_native(exchange=exchange, use_spin=USE_SPIN, groups="all")
    potential.facts = TrainingFacts({"Ni": [0.1, 2.0]})
    frames = frames_of(USE_SPIN)
    other = tuple(frames.type_map[t] for t in order)
    renamed = replace(frames, type_map=other, types=np.argsort(order)[frames.types])
    twin = potential.reordered(other)
    assert twin.spec.type_map == other
    assert twin.spec.use_spin == tuple(USE_SPIN[t] for t in order)
    assert twin.facts == potential.facts
    theirs = evaluate(twin, renamed)
    for name, values in evaluate(potential, frames).items():
        np.testing.assert_allclose(theirs[name], values, rtol=1e-12, atol=1e-12, err_msg=name)


def test_it_expects_the_same_errors():
    potential = small_native(use_spin=USE_SPIN)
    expected = potential.expected_errors
    root = torch.randn(expected.whitening.shape, generator=torch.Generator().manual_seed(1)).double()
    expected.settle(root @ root.T + torch.eye(len(root)))
    for values in (expected.usual, expected.noise):
        values.copy_(torch.tensor([1.0, 2.0, 3.0]))
    frames, other = frames_of(USE_SPIN), ("Fe", "Ni", "O")
    order = [frames.type_map.index(name) for name in other]
    renamed = replace(frames, type_map=other, types=np.argsort(order)[frames.types])
    twin = potential.reordered(other)
    theirs = twin.uncertainty(batch_of(twin, renamed))
    for name, values in potential.uncertainty(batch_of(potential, frames)).items():
        torch.testing.assert_close(theirs[name], values, rtol=1e-8, atol=0)
