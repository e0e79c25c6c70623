"""The compiled sums of penalties and their derivatives agree with torch's operations."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from spinpot import kernels
from spinpot.core.quantities import FORCE_MAG
from spinpot.core.quantities import PARTS as PARTS_OF_FM
from spinpot.loss.ener_spin import EnerSpinLoss
from spinpot.loss.penalty import Compared, Penalty
from support.frames import batch_of, random_system, small_potential, with_random_labels
from support.losses import loss_and_terms

PREFACTORS = {f"{end}_pref_{name}": 0.3 for end in ("start", "limit") for name in ("e", "fr", "v")}
WHOLE, PARTS = (
    {
        f"{end}_{term.pref}": float(term in on)
        for end in ("start", "limit")
        for term in (FORCE_MAG, *PARTS_OF_FM)
    }
    for on in ((FORCE_MAG,), PARTS_OF_FM)
)


@pytest.mark.parametrize("parts", [WHOLE, PARTS], ids=["whole", "parts"])
@pytest.mark.parametrize("function", ["mse", "mae", "huber"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("intensive", [False, True])
def test_the_loss_is_that_of_torch(compiled, parts, function, dtype, intensive):
    """Sums, counts and all derivatives, with labels missing and a spin that is zero."""
    loss = EnerSpinLoss(
        **PREFACTORS, **parts, loss_func=function, huber_delta=0.7, intensive_ener_virial=intensive
    )
    systems = [
        with_random_labels(random_system(1, n_frames=2), seed=1),
        replace(with_random_labels(random_system(2, n_o=3), seed=2), energy=None, force_mag=None),
        replace(with_random_labels(random_system(3), seed=3), force=None, virial=None),
    ]
    systems[0].spin[0, 0] = 0.0
    batch = batch_of(small_potential(), *systems)
    found = []
    for where in (nullcontext(), kernels.without()):
        generator = torch.Generator().manual_seed(7)
        prediction = {
            name: torch.randn(getattr(batch, name).shape, generator=generator).to(dtype).requires_grad_()
            for name in ("energy", "force", "force_mag", "virial")
        }
        with where:
            totals, counts = loss.sums(prediction, batch, torch.tensor([True, False]))
        (totals * torch.arange(1.0, len(totals) + 1.0, dtype=torch.float64)).sum().backward()
        found.append([totals.detach(), counts, *(value.grad for value in prediction.values())])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(
            ours, theirs, rtol=1e-12 if ours.dtype == torch.float64 else 1e-6, atol=1e-13
        )


@pytest.mark.parametrize("function", ["mse", "mae", "huber"])
@pytest.mark.parametrize("known", [True, False])
def test_a_loss_of_nan_has_gradients_of_nan(compiled, function, known):
    """Compiled with mae too, for which torch gives 0."""
    batch = batch_of(small_potential(), with_random_labels(random_system(1), seed=1))
    if not known:
        batch.force[:] = torch.nan
    prediction = {name: torch.zeros_like(getattr(batch, name)) for name in ("energy", "force_mag")}
    force = torch.full_like(batch.force, torch.nan, requires_grad=True)
    loss = EnerSpinLoss(loss_func=function)
    totals, _ = loss.sums({**prediction, "force": force}, batch, torch.tensor([True, False]))
    totals.sum().backward()
    assert totals[1].isnan()
    assert force.grad.isnan().all()


def test_labels_of_another_shape_are_refused(compiled):
    batch = batch_of(small_potential(), with_random_labels(random_system(1), seed=1))
    with pytest.raises(RuntimeError, match="a label for each number"):
        EnerSpinLoss(start_pref_fm=0.0, limit_pref_fm=0.0).sums(
            {"energy": batch.energy, "force": batch.force[:-1]}, batch, torch.tensor([True, False])
        )


def test_a_second_derivative_of_the_loss_is_refused(compiled):
    batch = batch_of(small_potential(), with_random_labels(random_system(1), seed=1))
    force = batch.force.clone().requires_grad_()
    prediction = {"energy": batch.energy, "force": force, "force_mag": batch.force_mag}
    loss, _ = loss_and_terms(EnerSpinLoss(), prediction, batch, torch.tensor([True, False]), 1.0)
    with pytest.raises(RuntimeError, match="differentiated only once"):
        torch.autograd.grad(loss, force, create_graph=True)


def test_numbers_of_other_rows_are_refused(compiled):
    term = Compared(torch.zeros(3, 3), torch.zeros(3, 3).double(), 3.0, counted=torch.tensor([True, False]))
    with pytest.raises(RuntimeError, match="a number for each row"):
        Penalty("mse", 1.0, 1.0).sums([term])


@pytest.mark.parametrize("function", ["mse", "mae", "huber"])
def test_any_layout_and_no_rows(compiled, calls, function):
    prediction = torch.linspace(0.0, 2.0, 24, dtype=torch.float64).reshape(3, 8).mT.requires_grad_()
    label = torch.zeros(3, 8, dtype=torch.float64).mT
    terms = [Compared(prediction, label, 3.0), Compared(prediction[:0], label[:0], 3.0)]
    found = []
    for where in (nullcontext(), kernels.without()):
        with where:
            totals, counts = Penalty(function, 0.5, 1.0).sums(terms)
        found.append((totals, counts, *torch.autograd.grad(totals.sum(), prediction)))
    assert calls == ["penalties"]
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-14, atol=0.0)


def test_what_the_kernel_does_not_know_is_torchs(compiled, calls):
    term = Compared(torch.ones(2, 3).bfloat16(), torch.zeros(2, 3).double(), 3.0)
    totals, counts = Penalty("mse", 1.0, 1.0).sums([term])
    assert (totals.tolist(), counts.tolist(), calls) == ([2.0], [2], [])
