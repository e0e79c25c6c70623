"""Sums of penalties: what a loss term compares, and what it makes of the differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from spinpot import native
from spinpot.core.differentiable_once import differentiable_once

LossFunction = Literal["mse", "mae", "huber"]


@dataclass(frozen=True)
class Compared:
    """A prediction (n, …) and its labels, n of frames or atoms; NaN where there is no label.

    components: what a row's penalties are divided by, 3 for vectors, so that terms are means of components.
    counted: (n,) bools, the rows that count; None means all.
    n_atoms: (n,), of a quantity that grows with the frame.
    """

    prediction: Tensor
    label: Tensor
    components: float
    counted: Tensor | None = None
    n_atoms: Tensor | None = None


@dataclass(frozen=True)
class Penalty:
    """f(Δ) of the differences Δ to the labels: Δ² (mse), |Δ| (mae), or huber, quadratic below delta.

    power: differences of quantities with n_atoms are divided by n_atoms**power.
    """

    function: LossFunction
    delta: float
    power: float

    def sums(self, terms: Sequence[Compared]) -> tuple[Tensor, Tensor]:
        """Σ f(Δ)/components over the rows that have labels and count, and their number: (terms,) each.

        They have the labels' precision. A row without a label costs nothing, unless its prediction is NaN.
        """
        compiled = native.penalties(terms[0].prediction)
        if compiled is not None:
            inputs = (term.prediction for term in terms)
            return cast(tuple[Tensor, Tensor], _Compiled.apply(compiled, self, terms, *inputs))  # type: ignore[no-untyped-call]
        pairs = [self._sum(term) for term in terms]
        return torch.stack([total for total, _ in pairs]), torch.stack([count for _, count in pairs])

    def _sum(self, term: Compared) -> tuple[Tensor, Tensor]:
        known = ~term.label.isnan()
        if term.counted is not None:
            known = known & _by_rows(term.counted, term.label)
        prediction, label = term.prediction, torch.where(known, term.label, term.prediction.detach())
        if term.n_atoms is not None:
            unit = _by_rows(term.n_atoms, label).to(label.dtype) ** self.power
            prediction, label = prediction / unit, label / unit
        count = known.flatten(1)[:, 0].sum() if known.ndim > 1 else known.sum()
        return self._of(prediction.to(label.dtype), label) / term.components, count

    def _of(self, prediction: Tensor, label: Tensor) -> Tensor:
        if self.function == "mse":
            return F.mse_loss(prediction, label, reduction="sum")
        if self.function == "mae":
            return F.l1_loss(prediction, label, reduction="sum")
        return F.huber_loss(prediction, label, reduction="sum", delta=self.delta)


def _by_rows(values: Tensor, like: Tensor) -> Tensor:
    """(n,) → (n, 1, …), to go with the rows of another tensor."""
    return values.view(-1, *(1 for _ in like.shape[1:]))


class _Compiled(torch.autograd.Function):
    """`Penalty._sum` of all terms in one call, which finds the derivatives by the predictions as well."""

    @staticmethod
    def forward(
        ctx: Any, compiled: Any, penalty: Penalty, terms: Sequence[Compared], *predictions: Tensor
    ) -> tuple[Tensor, Tensor]:
        totals, counts, ctx.slopes = compiled(
            predictions,
            [term.label for term in terms],
            [term.counted for term in terms],
            [term.n_atoms for term in terms],
            [term.components for term in terms],
            penalty.function,
            penalty.delta,
            penalty.power,
        )
        ctx.mark_non_differentiable(counts)
        return totals, counts

    @staticmethod
    @differentiable_once
    def backward(ctx: Any, by_totals: Tensor, _: Tensor) -> tuple[Any, ...]:
        by_predictions = zip(ctx.slopes, by_totals.unbind(), strict=True)
        return None, None, None, *(slope * by_total.to(slope.dtype) for slope, by_total in by_predictions)
