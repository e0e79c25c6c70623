"""Sums of penalties: the quantities that a loss term compares, and the penalty of their differences."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from spinpot import kernels
from spinpot.core.differentiable_once import differentiable_once
from spinpot.kernels.interface import structure

LossFunction = Literal["mse", "mae", "huber"]


@dataclass(frozen=True)
class Compared:
    """A prediction (n, …) and its labels for n frames or atoms; a missing label is NaN.

    components: divisor of a row's penalties, 3 for vectors, so that terms are means over components.
    counted: (n,) bools, the rows that count; None: all.
    n_atoms: (n,), for an extensive quantity.
    """

    prediction: Tensor
    label: Tensor
    components: float
    counted: Tensor | None = None
    n_atoms: Tensor | None = None


@dataclass(frozen=True)
class Penalty:
    """The penalty f(Δ) of a difference Δ from a label: Δ² (mse), |Δ| (mae), or huber, quadratic below delta.

    power: differences of quantities with n_atoms are divided by n_atoms**power.
    """

    function: LossFunction
    delta: float
    power: float

    def sums(self, terms: Sequence[Compared]) -> tuple[Tensor, Tensor]:
        """Σ f(Δ)/components over the labelled rows that count, and the number of these rows: (terms,) each.

        The sums have the labels' precision. A row without a label adds zero, unless its prediction is NaN.
        """
        own = kernels.library()
        if own is not None and all(map(_is_compiled, terms)):
            inputs = (term.prediction for term in terms)
            return cast(tuple[Tensor, Tensor], _Compiled.apply(own, self, terms, *inputs))  # type: ignore[no-untyped-call]
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
        if self.function == "huber":
            return F.huber_loss(prediction, label, reduction="sum", delta=self.delta)
        return (F.mse_loss if self.function == "mse" else F.l1_loss)(prediction, label, reduction="sum")


def _by_rows(values: Tensor, like: Tensor) -> Tensor:
    """(n,) → (n, 1, …), which broadcasts with the rows of `like`."""
    return values.view(-1, *(1 for _ in like.shape[1:]))


_TERM = structure("spinpot_term")
_TYPES = {"label": torch.float64, "counted": torch.bool, "n_atoms": torch.int64}


def _is_compiled(term: Compared) -> bool:
    """Whether the kernel accepts these tensors."""
    others = ((getattr(term, name), dtype) for name, dtype in _TYPES.items())
    return kernels.library_for(term.prediction) is not None and all(
        other is None or (other.is_cpu and other.dtype == dtype) for other, dtype in others
    )


def _term(tensors: Sequence[Tensor | None], slope: Tensor, components: float) -> Any:
    """The kernel's struct of a term. Raises RuntimeError if the sizes of its tensors differ."""
    label, *by_row = tensors[1:]
    assert label is not None
    if label.shape != slope.shape:
        raise RuntimeError("expected a label for each number")
    rows = len(label)
    if any(each is not None and each.shape != (rows,) for each in by_row):
        raise RuntimeError("expected a number for each row")
    places = (None if each is None else each.data_ptr() for each in (*tensors, slope))
    return _TERM(*places, rows, slope.numel() // max(rows, 1), slope.dtype == torch.float32, components)


class _Compiled(torch.autograd.Function):
    """`Penalty._sum` of all terms in one call, which also computes the derivatives of the sums."""

    @staticmethod
    def forward(
        ctx: Any, own: ctypes.CDLL, penalty: Penalty, terms: Sequence[Compared], *predictions: Tensor
    ) -> tuple[Tensor, Tensor]:
        given = [(term.prediction, term.label, term.counted, term.n_atoms) for term in terms]
        dense = [[None if each is None else each.contiguous() for each in tensors] for tensors in given]
        ctx.slopes = [
            torch.empty_like(prediction, memory_format=torch.contiguous_format) for prediction in predictions
        ]
        table = map(_term, dense, ctx.slopes, (term.components for term in terms))
        n = len(terms)
        totals, counts = torch.empty(n, dtype=torch.float64), torch.empty(n, dtype=torch.int64)
        function = get_args(LossFunction).index(penalty.function), penalty.delta, penalty.power
        kernels.checked(
            own.spinpot_penalties((_TERM * n)(*table), n, *function, totals.data_ptr(), counts.data_ptr())
        )
        ctx.mark_non_differentiable(counts)
        return totals, counts

    @staticmethod
    @differentiable_once
    def backward(ctx: Any, by_totals: Tensor, _: Tensor) -> tuple[Any, ...]:
        by_predictions = zip(ctx.slopes, by_totals.tolist(), strict=True)
        return None, None, None, *(slope * by_total for slope, by_total in by_predictions)
