"""The loss as one number, for tests."""

from torch import Tensor

from spinpot.data.batch import Batch
from spinpot.loss.ener_spin import EnerSpinLoss


def loss_and_terms(
    loss: EnerSpinLoss,
    prediction: dict[str, Tensor],
    batch: Batch,
    magnetic: Tensor,
    lr_ratio: float,
    scale: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss and its terms L_x (without their prefactors), eV-based units.

    magnetic: (T,) bools, the elements with spin. scale: (T,), the c of label_scale_fm.
    """
    totals, counts = loss.sums(prediction, batch, magnetic, scale)
    terms = dict(zip(loss.active, totals / counts.clamp(min=1), strict=True))
    prefactors = totals.new_tensor(loss.active_prefactors(lr_ratio))
    return loss.combine(totals, counts, prefactors), terms
