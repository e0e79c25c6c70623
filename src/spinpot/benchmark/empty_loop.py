"""Lightning's loop around a module of one parameter: what any training with Lightning pays."""

from __future__ import annotations

from collections.abc import Callable

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from spinpot.benchmark.limit import now
from spinpot.training.trainer import NoProfiler


class EmptyLoop(pl.LightningModule):
    """Its loss is its one parameter; no callbacks, no loggers.

    between: called in each step, its time left out. A step of a model leaves the processor's caches as a
    training does; with full caches Lightning takes half the time.
    """

    def __init__(self, between: Callable[[], object]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self._between = between
        self._starts, self._ends = list[float](), list[float]()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The least there is."""
        return torch.optim.SGD(self.parameters(), lr=0.0)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """The loss."""
        self._starts.append(now())
        self._between()
        self._ends.append(now())
        return self.weight * 1.0

    def seconds_per_step(self, steps: int, device: torch.device) -> list[float]:
        """What Lightning needs from one step's end to the next one's."""
        self._starts, self._ends = [], []
        trainer = pl.Trainer(
            accelerator=device.type,
            devices=1 if device.index is None else [device.index],
            max_steps=steps,
            max_epochs=-1,
            profiler=NoProfiler(),
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(self, DataLoader(range(steps)))  # type: ignore[arg-type]
        return [start - end for start, end in zip(self._starts[1:], self._ends, strict=False)]
