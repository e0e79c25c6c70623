"""Errors over a set of frames, exact: sums and counts, never a mean of means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from spinpot.core.split import split_along
from spinpot.data.batch import Batch
from spinpot.loss.label_scale import scaled

QUANTITIES = ("e", "fr", "fm", "fm_transverse", "fm_longitudinal", "v")
"""Energy and virial per atom; forces and magnetic forces per component, the latter of magnetic elements."""
SCALED = "_scaled"
"""Ends the names of errors of c·(−∂E/∂S) with the c of loss.label_scale_fm; others are of −∂E/∂S."""
SCALED_QUANTITIES = tuple(name + SCALED for name in QUANTITIES if name.startswith("fm"))


def errors(
    prediction: dict[str, Tensor], batch: Batch, magnetic: Tensor, scale: Tensor | None = None
) -> dict[str, tuple[Tensor, Tensor | None]]:
    """Each quantity's differences (n, components) to the labels, and the element (n,) each belongs to.

    Frames without the label are left out. The magnetic force is split along the moment: the longitudinal
    part is the number Δ·S/|S|, the transverse part the vector that remains; atoms whose moment is zero have
    neither. So rmse_fm² = rmse_fm_transverse² + rmse_fm_longitudinal²/3 over atoms with moments.

    scale: (T,), the c of loss.label_scale_fm; with it come SCALED_QUANTITIES.
    """
    per_atom = batch.n_atoms.to(torch.float64)
    has_e = ~batch.energy.isnan()
    has_v = ~batch.virial.flatten(1).isnan().any(dim=-1)
    has_fr = ~batch.force.isnan().any(dim=-1)
    found: dict[str, tuple[Tensor, Tensor | None]] = {
        "e": (((prediction["energy"] - batch.energy) / per_atom)[has_e].unsqueeze(-1), None),
        "fr": ((prediction["force"] - batch.force)[has_fr], batch.types[has_fr]),
        **_errors_fm(prediction, batch, magnetic),
        "v": (((prediction["virial"] - batch.virial).flatten(1) / per_atom.unsqueeze(-1))[has_v], None),
    }
    if scale is not None:
        compared = _errors_fm(scaled(prediction, batch.types, scale), batch, magnetic)
        found |= {f"{name}{SCALED}": values for name, values in compared.items()}
    return found


def _errors_fm(
    prediction: dict[str, Tensor], batch: Batch, magnetic: Tensor
) -> dict[str, tuple[Tensor, Tensor | None]]:
    """Those of the magnetic force, whole and in its parts."""
    labelled = ~batch.force_mag.isnan().any(dim=-1) & magnetic[batch.types]
    delta = prediction["force_mag"] - batch.force_mag
    transverse, longitudinal = split_along(delta, batch.spin)
    split = labelled & (batch.spin.norm(dim=-1) > 0)
    return {
        "fm": (delta[labelled], batch.types[labelled]),
        "fm_transverse": (transverse[split], batch.types[split]),
        "fm_longitudinal": (longitudinal[split], batch.types[split]),
    }


class ErrorMetric(Metric):
    """RMSE and MAE of every quantity, and of the forces per element.

    compute() gives {"rmse_e": …, "mae_e": …, …} and, for the forces, "rmse_fr/Ni", …; NaN where nothing
    was labelled; SCALED_QUANTITIES only where a scale was given. how: torchmetrics' own
    options, such as sync_on_compute.
    """

    full_state_update = False
    squares: Tensor
    absolutes: Tensor
    counts: Tensor

    def __init__(self, type_map: Sequence[str], magnetic: Sequence[bool], **how: Any) -> None:
        super().__init__(**how)
        self.type_map = tuple(type_map)
        self.magnetic = torch.tensor(list(magnetic))
        # Column 0 holds what has no element; a force's row sums over all columns.
        self.quantities = (*QUANTITIES, *SCALED_QUANTITIES)
        shape = (len(self.quantities), len(self.type_map) + 1)
        for name in ("squares", "absolutes", "counts"):
            self.add_state(name, torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, prediction: dict[str, Tensor], batch: Batch, scale: Tensor | None = None) -> None:
        """Add the frames of one batch. scale: as in errors."""
        magnetic = self.magnetic.to(batch.types.device)
        for row, (delta, types) in enumerate(errors(prediction, batch, magnetic, scale).values()):
            delta = delta.detach().double()
            column = (
                torch.zeros(len(delta), dtype=torch.int64, device=delta.device)
                if types is None
                else types + 1
            )
            self.squares[row].index_add_(0, column, delta.square().sum(-1))
            self.absolutes[row].index_add_(0, column, delta.abs().sum(-1))
            size = torch.full((len(delta),), float(delta.shape[-1]), dtype=torch.float64, device=delta.device)
            self.counts[row].index_add_(0, column, size)

    def compute(self) -> dict[str, float]:
        """The errors over all frames since the last reset."""
        squares, absolutes, counts = (state.cpu() for state in (self.squares, self.absolutes, self.counts))
        result = {}
        for row, quantity in enumerate(self.quantities):
            total = counts[row].sum()
            if quantity in SCALED_QUANTITIES and not total > 0:
                continue
            result[f"rmse_{quantity}"] = float((squares[row].sum() / total).sqrt())
            result[f"mae_{quantity}"] = float(absolutes[row].sum() / total)
            for column, element in enumerate(self.type_map, start=1):
                if counts[row, column] > 0:
                    result[f"rmse_{quantity}/{element}"] = float(
                        (squares[row, column] / counts[row, column]).sqrt()
                    )
                    result[f"mae_{quantity}/{element}"] = float(absolutes[row, column] / counts[row, column])
        return result


class LossTermsMetric(Metric):
    """The terms L_x of a loss over a whole set; compute() leaves out those without labels."""

    full_state_update = False
    totals: Tensor
    counts: Tensor

    def __init__(self, terms: Sequence[str]) -> None:
        super().__init__()
        self.terms = tuple(terms)
        for name in ("totals", "counts"):
            zeros = torch.zeros(len(self.terms), dtype=torch.float64)
            self.add_state(name, zeros, dist_reduce_fx="sum")

    def update(self, totals: Tensor, counts: Tensor) -> None:
        """Add the sums and counts of one batch, as EnerSpinLoss.sums gives them."""
        self.totals += totals.detach().double()
        self.counts += counts.double()

    def compute(self) -> dict[str, float]:
        """Each term's mean."""
        pairs = zip(self.terms, self.totals.tolist(), self.counts.tolist(), strict=True)
        return {name: total / count for name, total, count in pairs if count > 0}
