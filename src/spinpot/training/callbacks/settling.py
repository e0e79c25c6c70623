"""Lets the potential adapt what is not trained, such as nodes of an interpolation, to its weights."""

import math
import warnings
from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import WeightAveraging

from spinpot.data.dataset import FrameDataset
from spinpot.models.checkpoint import ENTRY
from spinpot.training.module import SpinModule, parts_of


class Settling(pl.Callback):
    """Settles the potential (`settle`) on a training frame, or a few that show all elements.

    That is at the start, when weights change fastest, after steps 1, 2, 4, 8, …, and after every validation;
    with the same frames in all processes, so that all settle alike. A resumed run is settled as an
    uninterrupted one: it begins as its checkpoint was, and where a run is only told to stop nothing changes.
    """

    def __init__(self) -> None:
        self._last = 0
        self._settled = False

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Begin as the checkpoint's potential was settled, if it was."""
        assert isinstance(pl_module, SpinModule)
        self._settled = pl_module.potential.settled_in(checkpoint[ENTRY]["model"])

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Before the first step."""
        self._last = trainer.global_step
        if not self._settled:
            self._settle(trainer, pl_module)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        """With the weights of a step that is a power of 2."""
        step = trainer.global_step
        if step > self._last and step & (step - 1) == 0:
            self._settle(trainer, pl_module)
        self._last = step

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """With the weights as they are now, before they are saved."""
        if _planned(trainer):
            self._settle(trainer, pl_module)

    def _settle(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        module, data = parts_of(trainer, pl_module)
        module.stop_if_diverged(wait=True)
        training = data.samples["train"]
        batch = training.batch(_with_all_elements(training))
        # Validations may see an average of the weights so far, which may be as rough as those.
        callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        averaged = any(isinstance(callback, WeightAveraging) for callback in callbacks)
        wrong = module.potential.settle(batch, averaged=averaged)
        if wrong and _of_use(trainer):
            warnings.warn(wrong, stacklevel=1)


def _with_all_elements(dataset: FrameDataset) -> Iterator[int]:
    """The first frames of as many systems as show every element."""
    seen: set[int] = set()
    index = 0
    for system in dataset.systems:
        if new := set(system.types.tolist()) - seen:
            seen |= new
            yield index
        index += len(system)


def _of_use(trainer: pl.Trainer) -> bool:
    """Whether the last validation's score is below 1; until then, or with diverged weights, it is no use."""
    return float(trainer.callback_metrics.get("val/score", math.inf)) < 1.0


def _planned(trainer: pl.Trainer) -> bool:
    """Whether a validation is one of the interval's or the last, not one of a run stopped in between."""
    if trainer.global_step >= trainer.max_steps:
        return True
    interval = trainer.val_check_batch
    assert interval is not None
    return (trainer.fit_loop.total_batch_idx + 1) % interval == 0
