"""Exact errors over a set of frames: ratios of sums and counts, never means of means."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from spinpot.core.quantities import ERRORS, FORCE_MAG, SCALED_QUANTITIES, Quantity
from spinpot.core.split import split_along
from spinpot.data.batch import Batch
from spinpot.loss.label_scale import scaled


def _differences(
    quantity: Quantity, prediction: dict[str, Tensor], batch: Batch, magnetic: Tensor
) -> tuple[Tensor, Tensor | None]:
    """The differences (n, components) from the labels, and the element (n,) of each.

    Frames without the label are left out. The magnetic force is split along the moment: the longitudinal
    part is the number Δ·S/|S|, the transverse part is the remaining vector; atoms with zero moment have
    neither. Therefore rmse_fm² = rmse_fm_transverse² + rmse_fm_longitudinal²/3 over atoms with moments.
    """
    label = getattr(batch, quantity.label)
    delta = (prediction[quantity.label] - label).view(-1, quantity.components)
    known = ~label.view(-1, quantity.components).isnan().any(dim=-1)
    if quantity.per_atom:
        return (delta / batch.n_atoms.to(torch.float64).unsqueeze(-1))[known], None
    if quantity.label == FORCE_MAG.label:
        known = known & magnetic[batch.types]
    if quantity.part is not None:
        known = known & (batch.spin.norm(dim=-1) > 0)
        delta = split_along(delta, batch.spin)[quantity.part]
    return delta[known], batch.types[known]


class ErrorMetric:
    """RMSE and MAE of every quantity, and of the forces per element, over the frames that are added.

    magnetic: (T,), the elements with spin, on the device of the frames.
    """

    def __init__(self, type_map: Sequence[str], magnetic: Sequence[bool] | Tensor) -> None:
        self.type_map = tuple(type_map)
        self.magnetic = torch.as_tensor(magnetic)
        # Sums of squares and of absolute values, and their number. Column 0 is for quantities without an
        # element; the total of a force is the sum of all columns.
        shape = (3, len(ERRORS), len(self.type_map) + 1)
        self.sums = torch.zeros(shape, dtype=torch.float64, device=self.magnetic.device)

    def update(self, prediction: dict[str, Tensor], batch: Batch, scale: Tensor | None = None) -> None:
        """Add a batch. With scale, (T,), the c of loss.label_scale_fm, SCALED_QUANTITIES are added, too."""
        of_labels = None if scale is None else scaled(prediction, batch.types, scale)
        for row, quantity in enumerate(ERRORS.values()):
            compared = of_labels if quantity in SCALED_QUANTITIES else prediction
            if compared is not None:
                self._add(row, *_differences(quantity, compared, batch, self.magnetic))

    def _add(self, row: int, delta: Tensor, types: Tensor | None) -> None:
        delta = delta.detach().double()
        column = (
            torch.zeros(len(delta), dtype=torch.int64, device=delta.device) if types is None else types + 1
        )
        numbers = torch.stack((delta.square(), delta.abs(), torch.ones_like(delta))).sum(-1)
        self.sums[:, row].index_add_(1, column, numbers)

    def compute(self, reduce: Callable[[Tensor], Tensor] | None = None) -> dict[str, float]:
        """{"rmse_e": …, "mae_e": …, …} and, for the forces, "rmse_fr/Ni", …; NaN without labels.

        SCALED_QUANTITIES only if a scale was given. reduce: adds up the sums of all processes.
        """
        sums = (self.sums if reduce is None else reduce(self.sums.clone())).cpu()
        found: dict[str, float] = {}
        for row, quantity in enumerate(ERRORS.values()):
            if quantity in SCALED_QUANTITIES and not sums[2, row].any():
                continue
            found |= _errors(quantity, "", sums[:, row].sum(-1))
            for element, own in zip(self.type_map, sums[:, row, 1:].unbind(-1), strict=True):
                if own[2] > 0:
                    found |= _errors(quantity, f"/{element}", own)
        return found


def _errors(quantity: Quantity, of: str, sums: Tensor) -> dict[str, float]:
    squares, absolutes, count = sums
    return {
        f"{quantity.rmse}{of}": float((squares / count).sqrt()),
        f"{quantity.mae}{of}": float(absolutes / count),
    }
