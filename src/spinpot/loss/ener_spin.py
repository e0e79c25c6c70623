"""The loss of spin models, `ener_spin`: energy, force, magnetic force and virial."""

from dataclasses import dataclass

import torch
from torch import Tensor

from spinpot.core.errors import InputError
from spinpot.core.quantities import FORCE_MAG, PARTS, QUANTITIES, Quantity
from spinpot.core.split import split_along
from spinpot.data.batch import Batch
from spinpot.loss.label_scale import LabelScaleSetting, check_label_scale, scaled
from spinpot.loss.penalty import Compared, LossFunction, Penalty


@dataclass(frozen=True)
class Prefactor:
    """p(t) = start · lr(t)/start_lr + limit · (1 − lr(t)/start_lr)."""

    start: float
    limit: float

    @property
    def active(self) -> bool:
        """Whether the term is ever active: start or limit is non-zero."""
        return self.start != 0.0 or self.limit != 0.0

    def at(self, lr_ratio: float) -> float:
        """The prefactor when the learning rate is lr_ratio times its start value."""
        return self.start * lr_ratio + self.limit * (1.0 - lr_ratio)


class EnerSpinLoss:
    """L = p_e L_e + p_fr L_fr + p_fm L_fm + p_v L_v with prefactors that follow the learning rate.

    `mse`, for frames f of N_f atoms: L_e = mean_f ΔE²/N_f; L_fr is the mean of ΔF² over all atoms of the
    batch and x, y, z; L_fm is the mean of ΔF_m² over atoms of magnetic types; L_v = mean_f mean_9 ΔV²/N_f.
    `mae` uses |ΔE|/N_f, |ΔF|, |ΔF_m| and |ΔV|/N_f instead. Both equal deepmd-kit 3.2, also for batches of
    frames of different sizes. `huber`, spinpot's own, is quadratic below huber_delta (of ΔE/N_f, ΔF, ΔF_m,
    ΔV/N_f) and linear above it.
    `intensive_ener_virial`: the squares in L_e and L_v are divided by N_f² instead of N_f.

    The parts of the magnetic force can have separate prefactors: p_fmt L_fmt + p_fml L_fml instead of
    p_fm L_fm (fm_transverse, fm_longitudinal). L_fmt is the mean over the same atoms and x, y, z of the
    squared part of ΔF_m perpendicular to the spin; L_fml is the mean over the atoms of (ΔF_m·S/|S|)²/3. With
    `mse`, L_fm = L_fmt + L_fml. `mae` and `huber` act on the same numbers.

    label_scale_fm: the labels of the magnetic force are c·(−∂E/∂S). null: c = 1; a number, or one per
    magnetic element: c; `learned`: c is trained, one per magnetic element. The loss compares c·(−∂E/∂S) with
    the labels.

    A term is active if either of its prefactors is non-zero. Frames without the label do not contribute.
    """

    def __init__(
        self,
        start_pref_e: float = 0.02,
        limit_pref_e: float = 1.0,
        start_pref_fr: float = 1000.0,
        limit_pref_fr: float = 1.0,
        start_pref_fm: float = 10000.0,
        limit_pref_fm: float = 10.0,
        start_pref_fm_transverse: float = 0.0,
        limit_pref_fm_transverse: float = 0.0,
        start_pref_fm_longitudinal: float = 0.0,
        limit_pref_fm_longitudinal: float = 0.0,
        start_pref_v: float = 0.0,
        limit_pref_v: float = 0.0,
        loss_func: LossFunction = "mse",
        huber_delta: float = 0.01,
        intensive_ener_virial: bool = False,
        label_scale_fm: LabelScaleSetting = None,
    ) -> None:
        given = locals()  # the settings' names contain the quantities' names
        self.prefactors = {
            name: Prefactor(given[f"start_{term.pref}"], given[f"limit_{term.pref}"])
            for name, term in QUANTITIES.items()
        }
        # Squared errors that are not intensive: ΔE²/N_f instead of (ΔE/N_f)².
        power = 0.5 if loss_func == "mse" and not intensive_ener_virial else 1.0
        self.penalty = Penalty(loss_func, huber_delta, power)
        self.label_scale_fm = label_scale_fm
        self._check()

    def _check(self) -> None:
        function, delta = self.penalty.function, self.penalty.delta
        if function not in ("mse", "mae", "huber"):
            raise InputError(f"loss.loss_func={function!r}: expected mse, mae or huber.")
        if function == "huber" and not delta > 0.0:
            raise InputError(f"loss.huber_delta={delta} must be positive.")
        for name, prefactor in self.prefactors.items():
            if not (0.0 <= prefactor.start < float("inf") and 0.0 <= prefactor.limit < float("inf")):
                raise InputError(
                    f"loss.start_pref_{name}={prefactor.start}, limit_pref_{name}={prefactor.limit}: "
                    "prefactors must be finite and not negative."
                )
        whole, parts = FORCE_MAG.pref, " or ".join(part.pref for part in PARTS)
        if FORCE_MAG.name in self.active and any(part.name in self.active for part in PARTS):
            raise InputError(
                f"The loss has {whole} and {parts}, the prefactors of its two parts. Use only one of the two "
                f"ways, e.g. for the parts set loss.start_{whole}=0 loss.limit_{whole}=0."
            )
        check_label_scale(self.label_scale_fm)
        if self.label_scale_fm is not None and FORCE_MAG.label not in self.labels:
            raise InputError(
                f"loss.label_scale_fm={self.label_scale_fm}, but the loss has no magnetic force. Set "
                f"loss.start_{whole}, or use loss.label_scale_fm=null."
            )
        if not self.active:
            raise InputError("Every prefactor of the loss is zero: nothing would be learned.")

    @property
    def active(self) -> list[str]:
        """The names of the active terms."""
        return [name for name, prefactor in self.prefactors.items() if prefactor.active]

    @property
    def labels(self) -> set[str]:
        """The labels that the active terms need."""
        return {QUANTITIES[name].label for name in self.active}

    def active_prefactors(self, lr_ratio: float) -> list[float]:
        """Prefactors of the active terms when the learning rate is lr_ratio times its start value."""
        return [self.prefactors[name].at(lr_ratio) for name in self.active]

    def prefactors_at(self, lr_ratio: float) -> dict[str, float]:
        """All prefactors when the learning rate is lr_ratio times its start value; parts only if active."""
        shown = {name: p for name, p in self.prefactors.items() if p.active or not QUANTITIES[name].whole}
        return {name: prefactor.at(lr_ratio) for name, prefactor in shown.items()}

    def sums(
        self, prediction: dict[str, Tensor], batch: Batch, magnetic: Tensor, scale: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Per active term, the summed penalty and the number of labelled entries; their ratio is L_x.

        magnetic: (T,) bools, the elements with spin. scale: (T,), the c of label_scale_fm.
        """
        if scale is not None:
            prediction = scaled(prediction, batch.types, scale)
        return self.penalty.sums(
            [_compared(QUANTITIES[name], prediction, batch, magnetic) for name in self.active]
        )

    def combine(self, totals: Tensor, counts: Tensor, prefactors: Tensor) -> Tensor:
        """Σ_x p_x · total_x / count_x; the counts may include frames of other processes."""
        return torch.dot(prefactors / counts.clamp(min=1), totals)


def _compared(quantity: Quantity, prediction: dict[str, Tensor], batch: Batch, magnetic: Tensor) -> Compared:
    """Predictions and labels that the term of a quantity compares."""
    ours, label = prediction[quantity.label], getattr(batch, quantity.label)
    if quantity.per_atom:
        return Compared(ours, label, quantity.components, n_atoms=batch.n_atoms)
    if quantity.part is not None:
        # The longitudinal part is one number, also divided by 3, so that L_fm = L_fmt + L_fml.
        ours, label = (split_along(force, batch.spin)[quantity.part] for force in (ours, label))
    counted = magnetic[batch.types] if quantity.label == FORCE_MAG.label else None
    return Compared(ours, label, quantity.components, counted=counted)
