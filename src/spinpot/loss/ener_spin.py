"""The loss of spin models, `ener_spin`: energy, force, magnetic force and virial."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from spinpot.data.batch import Batch
from spinpot.errors import InputError
from spinpot.loss.prefactor import Prefactor

TERMS = {"e": "energy", "fr": "force", "fm": "force_mag", "v": "virial"}
"""The loss terms by the short names of their prefactors, and the labels they need."""

LossFunction = Literal["mse", "mae", "huber"]


class EnerSpinLoss:
    """L = p_e L_e + p_fr L_fr + p_fm L_fm + p_v L_v with prefactors that follow the learning rate.

    With `mse`, for frames f of N_f atoms: L_e = mean_f ΔE²/N_f; L_fr is the mean of ΔF² over all atoms of the
    batch and x, y, z; L_fm that of ΔF_m² over the atoms of magnetic types; L_v = mean_f mean_9 ΔV²/N_f. `mae`
    takes |ΔE|/N_f, |ΔF|, |ΔF_m| and |ΔV|/N_f in their place. So does deepmd-kit 3.2, also for batches of
    unequal frames. `huber`, ours, is quadratic below huber_delta (of ΔE/N_f, ΔF, ΔF_m, ΔV/N_f) and linear
    above it.
    With `intensive_ener_virial` the squares of L_e and L_v are divided by N_f² in place of N_f.

    A term is on when either of its prefactors is non-zero; in a frame that lacks the label it is left out.
    """

    def __init__(
        self,
        start_pref_e: float = 0.02,
        limit_pref_e: float = 1.0,
        start_pref_fr: float = 1000.0,
        limit_pref_fr: float = 1.0,
        start_pref_fm: float = 10000.0,
        limit_pref_fm: float = 10.0,
        start_pref_v: float = 0.0,
        limit_pref_v: float = 0.0,
        loss_func: LossFunction = "mse",
        huber_delta: float = 0.01,
        intensive_ener_virial: bool = False,
    ) -> None:
        self.prefactors = {
            "e": Prefactor(start_pref_e, limit_pref_e),
            "fr": Prefactor(start_pref_fr, limit_pref_fr),
            "fm": Prefactor(start_pref_fm, limit_pref_fm),
            "v": Prefactor(start_pref_v, limit_pref_v),
        }
        self.loss_func = loss_func
        self.huber_delta = huber_delta
        self.intensive = intensive_ener_virial
        self._check()

    def _check(self) -> None:
        if self.loss_func not in ("mse", "mae", "huber"):
            raise InputError(f"loss.loss_func={self.loss_func!r}: expected mse, mae or huber.")
        if self.loss_func == "huber" and not self.huber_delta > 0.0:
            raise InputError(f"loss.huber_delta={self.huber_delta} must be positive.")
        for name, prefactor in self.prefactors.items():
            if not (0.0 <= prefactor.start < float("inf") and 0.0 <= prefactor.limit < float("inf")):
                raise InputError(
                    f"loss.start_pref_{name}={prefactor.start}, limit_pref_{name}={prefactor.limit}: "
                    "prefactors must be finite and not negative."
                )
        if not self.active:
            raise InputError("Every prefactor of the loss is zero: nothing would be learned.")

    @property
    def active(self) -> list[str]:
        """The names of the terms that are on."""
        return [name for name, prefactor in self.prefactors.items() if prefactor.active]

    def prefactors_at(self, lr_ratio: float) -> dict[str, float]:
        """All prefactors where the learning rate is lr_ratio times its start value."""
        return {name: prefactor.at(lr_ratio) for name, prefactor in self.prefactors.items()}

    def __call__(
        self, prediction: dict[str, Tensor], batch: Batch, magnetic: Tensor, lr_ratio: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and its terms L_x (without their prefactors), eV-based units.

        magnetic: (T,) bools, the elements with spin.
        """
        totals, counts = self.sums(prediction, batch, magnetic)
        terms = dict(zip(self.active, totals / counts.clamp(min=1), strict=True))
        return self.combine(totals, counts, lr_ratio), terms

    def sums(self, prediction: dict[str, Tensor], batch: Batch, magnetic: Tensor) -> tuple[Tensor, Tensor]:
        """The sums and the counts whose quotients are the L_x of the active terms, (terms,) each."""
        makers = {"e": self._energy, "fr": self._force, "fm": self._force_mag, "v": self._virial}
        pairs = [makers[name](prediction, batch, magnetic) for name in self.active]
        return torch.stack([total for total, _ in pairs]), torch.stack([count for _, count in pairs])

    def combine(self, totals: Tensor, counts: Tensor, lr_ratio: float) -> Tensor:
        """Σ_x p_x · total_x / count_x; the counts may be those of more frames than the totals."""
        prefactors = totals.new_tensor([self.prefactors[name].at(lr_ratio) for name in self.active])
        return (prefactors * totals / counts.clamp(min=1)).sum()

    def _energy(self, prediction: dict[str, Tensor], batch: Batch, _: Tensor) -> tuple[Tensor, Tensor]:
        difference = _difference(prediction["energy"], batch.energy)
        return self._extensive(difference, batch.n_atoms).sum(), (~batch.energy.isnan()).sum()

    def _force(self, prediction: dict[str, Tensor], batch: Batch, _: Tensor) -> tuple[Tensor, Tensor]:
        difference = _difference(prediction["force"], batch.force)
        return self._intensive(difference).mean(dim=-1).sum(), (~batch.force[:, 0].isnan()).sum()

    def _force_mag(
        self, prediction: dict[str, Tensor], batch: Batch, magnetic: Tensor
    ) -> tuple[Tensor, Tensor]:
        is_magnetic = magnetic[batch.types]
        difference = _difference(prediction["force_mag"], batch.force_mag)
        total = (self._intensive(difference).mean(dim=-1) * is_magnetic).sum()
        return total, (is_magnetic & ~batch.force_mag[:, 0].isnan()).sum()

    def _virial(self, prediction: dict[str, Tensor], batch: Batch, _: Tensor) -> tuple[Tensor, Tensor]:
        difference = _difference(prediction["virial"], batch.virial)
        per_frame = self._extensive(difference, batch.n_atoms[:, None, None]).mean(dim=(1, 2))
        return per_frame.sum(), (~batch.virial[:, 0, 0].isnan()).sum()

    def _extensive(self, difference: Tensor, n_atoms: Tensor) -> Tensor:
        """The penalty of a quantity that grows with the frame."""
        if self.loss_func == "mse":
            return difference.square() / (n_atoms.square() if self.intensive else n_atoms)
        return self._intensive(difference / n_atoms)

    def _intensive(self, difference: Tensor) -> Tensor:
        if self.loss_func == "mse":
            return difference.square()
        if self.loss_func == "mae":
            return difference.abs()
        zeros = torch.zeros_like(difference)
        return F.huber_loss(difference, zeros, reduction="none", delta=self.huber_delta)


def _difference(prediction: Tensor, label: Tensor) -> Tensor:
    """Prediction − label, zero without a label; masked before the square, whose slope at NaN is NaN."""
    return torch.where(label.isnan(), 0.0, prediction - label)
