"""Where training with an exchange term begins: the term fitted, the networks giving zero."""

from __future__ import annotations

from spinpot.console import console
from spinpot.data.datamodule import SpinDataModule
from spinpot.loss.baselines import dataset_errors
from spinpot.loss.ener_spin import TERMS, EnerSpinLoss
from spinpot.loss.label_scale import LabelScale
from spinpot.model.exchange.fit import start_exchange
from spinpot.model.potential import SpinPotential


def begin_with_exchange(potential: SpinPotential, data: SpinDataModule, loss: EnerSpinLoss) -> None:
    """Fit the exchange term of a fresh potential to the labels that the loss trains, and say how it does.

    A fixed loss.label_scale_fm is heeded; a learned one begins at 1.
    """
    setting = loss.label_scale_fm
    fixed = None if setting is None or setting == "learned" else LabelScale(setting, potential.spec.use_spin)
    scale = None if fixed is None else fixed()
    start_exchange(potential, data.systems["train"], {TERMS[name] for name in loss.active}, scale)
    errors = dataset_errors(
        potential, data.datasets["validation"], potential.spec.use_spin, data.validation_batch_size
    )
    said = {"E": ("e", "meV/atom"), "F": ("fr", "meV/Å"), "Fm": ("fm", "meV/μ_B")}
    parts = [f"{name} {1000 * errors[f'rmse_{short}']:.3f} {unit}" for name, (short, unit) in said.items()]
    console.print(
        f"Exchange term fitted, before training: validation rmse {', '.join(parts)}.", soft_wrap=True
    )
