"""Where training with an exchange term begins: the term fitted, the networks giving zero."""

from __future__ import annotations

import math

from spinpot.core.console import print_line
from spinpot.core.quantities import MAIN, QUANTITIES, SCALED
from spinpot.data.datamodule import SpinDataModule
from spinpot.loss.baselines import dataset_errors
from spinpot.loss.ener_spin import EnerSpinLoss
from spinpot.loss.label_scale import fixed_scale
from spinpot.models.exchange.wrapper import WithExchange


def begin_with_exchange(potential: WithExchange, data: SpinDataModule, loss: EnerSpinLoss) -> None:
    """Fit the exchange term of a fresh potential to the labels that the loss trains, and say how it does.

    A fixed loss.label_scale_fm is heeded; a learned one begins at 1.
    """
    use_spin = potential.spec.use_spin
    scale = fixed_scale(loss.label_scale_fm, use_spin)
    trained = [QUANTITIES[name] for name in loss.active]
    labels = {quantity.name if quantity.whole else quantity.label for quantity in trained}
    potential.start(data.systems["train"], labels, scale)
    validation = data.datasets["validation"]
    errors = dataset_errors(potential, validation, use_spin, data.validation_batch_size, scale)
    of_labels = {quantity: errors.get(quantity.rmse + SCALED, errors[quantity.rmse]) for quantity in MAIN}
    parts = [quantity.shown(error) for quantity, error in of_labels.items() if not math.isnan(error)]
    print_line(f"Exchange term fitted, before training: validation rmse {', '.join(parts)}.")
