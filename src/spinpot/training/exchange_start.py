"""Where training with an exchange term begins: the term fitted, the networks giving zero."""

from __future__ import annotations

import math

from spinpot.core.console import console
from spinpot.data.datamodule import SpinDataModule
from spinpot.loss.baselines import dataset_errors
from spinpot.loss.ener_spin import TERMS, EnerSpinLoss
from spinpot.loss.label_scale import fixed_scale
from spinpot.loss.metrics import SCALED
from spinpot.models.exchange.fit import FORCE_MAG_PARTS
from spinpot.models.exchange.wrapper import WithExchange

LABELS = dict(zip(("fm_transverse", "fm_longitudinal"), FORCE_MAG_PARTS, strict=True))
"""What is fitted where a part of the magnetic force is trained."""


def begin_with_exchange(potential: WithExchange, data: SpinDataModule, loss: EnerSpinLoss) -> None:
    """Fit the exchange term of a fresh potential to the labels that the loss trains, and say how it does.

    A fixed loss.label_scale_fm is heeded; a learned one begins at 1.
    """
    use_spin = potential.spec.use_spin
    scale = fixed_scale(loss.label_scale_fm, use_spin)
    potential.start(data.systems["train"], {LABELS.get(x, TERMS[x]) for x in loss.active}, scale)
    validation = data.datasets["validation"]
    errors = dataset_errors(potential, validation, use_spin, data.validation_batch_size, scale)
    magnetic = "fm" if scale is None else "fm" + SCALED
    said = {"E": ("e", "meV/atom"), "F": ("fr", "meV/Å"), "Fm": (magnetic, "meV/μ_B")}
    parts = [
        f"{name} {1000 * errors[f'rmse_{short}']:.3f} {unit}"
        for name, (short, unit) in said.items()
        if not math.isnan(errors[f"rmse_{short}"])
    ]
    console.print(
        f"Exchange term fitted, before training: validation rmse {', '.join(parts)}.", soft_wrap=True
    )
