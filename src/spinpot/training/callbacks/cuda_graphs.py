"""Records whole steps as CUDA graphs, or reports why a run does not allow it."""

from functools import partial
from typing import Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import SingleDeviceStrategy
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch.optim import Optimizer

from spinpot.core.console import console, print_line
from spinpot.core.errors import InputError
from spinpot.data.datamodule import SpinDataModule
from spinpot.data.resident import BYTES_PER_PAIR, ResidentFrames, StreamedFrames
from spinpot.training.cuda_graph import LoadedStep, RecordedSteps
from spinpot.training.module import SpinModule, parts_of
from spinpot.training.step import WholeStep

USED = "used"
INSIDE = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")
"""Callback hooks that a recorded step cannot call in its middle."""
SHARE_OF_DEVICE = 0.5  # the share of the free device memory that a data set may take


class CudaGraphs(pl.Callback):
    """`trainer.cuda_graph`: auto, true or false.

    If the steps of a run cannot be recorded (see why_not), `auto` prints the reason and launches them kernel
    by kernel; `true` raises an InputError. For the summary: outcome says whether graphs were used (None
    without CUDA); evaluation says how the potential was evaluated.
    """

    def __init__(self, setting: bool | Literal["auto"]) -> None:
        self.setting = setting
        self.outcome: str | None = None
        self.evaluation: str | None = None

    def decide(self, trainer: pl.Trainer, module: SpinModule, optimizer: Optimizer) -> None:
        """Decide whether to record steps. Raises InputError if `true` was set and they cannot be recorded."""
        if trainer.strategy.root_device.type != "cuda":
            return
        reason = "trainer.cuda_graph=false"
        if self.setting is not False:
            reason = why_not(trainer, module, optimizer) or ""
        self.outcome = f"not used: {reason}" if reason else USED
        if reason and self.setting is True:
            raise InputError(f"trainer.cuda_graph=true, but {reason}. Use trainer.cuda_graph=auto.")
        if reason and self.setting == "auto":
            print_line(f"No CUDA graph is used, so the steps are slower: {reason}.")

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Make the loader yield what recorded steps take."""
        _, data = parts_of(trainer, pl_module)
        if self.outcome == USED:
            reason = why_streamed(data, trainer.strategy.root_device)
            data.gives = "padded" if reason else "numbers"
            if reason:
                print_line(f"The CPU makes each batch and copies it to the GPU: {reason}.")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print how the model is evaluated; replace the module's steps by recorded ones.

        A checkpoint of a run without graphs has the optimizer's step counters on the host; they are moved to
        the device.
        """
        module, data = parts_of(trainer, pl_module)
        self.evaluation = module.potential.evaluation()
        how = ", its steps recorded as CUDA graphs" if self.outcome == USED else ""
        console.print(f"Evaluation: {self.evaluation}{how}.", markup=False)
        if self.outcome == USED:
            module.step = RecordedSteps(_loaded_step(trainer, module, data))
            for p, state in trainer.optimizers[0].state.items():
                if isinstance(state.get("step"), torch.Tensor):
                    state["step"] = state["step"].to(p.device)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Free the device memory."""
        module, data = parts_of(trainer, pl_module)
        module.step, data.gives = None, "batches"

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Free the device memory, because a sweep continues with other jobs."""
        self.on_fit_end(trainer, pl_module)


def why_not(trainer: pl.Trainer, module: SpinModule, optimizer: Optimizer) -> str | None:
    """The reason why the steps of a run cannot be recorded, in words; None if they can."""
    hooked = [
        type(callback).__name__
        for callback in trainer.callbacks  # type: ignore[attr-defined]
        if any(is_overridden(hook, callback, parent=pl.Callback) for hook in INSIDE)
    ]
    unfit = module.potential.not_recorded()
    reasons: dict[str | None, bool] = {
        "trainer.strategy is for several processes": not isinstance(trainer.strategy, SingleDeviceStrategy),
        "trainer.detect_anomaly checks every number": trainer._detect_anomaly,
        "trainer.accumulate_grad_batches is not 1": trainer.accumulate_grad_batches != 1,
        unfit: unfit is not None,
        f"{type(optimizer).__name__} cannot be recorded": not _can_be_recorded(optimizer),
        f"{', '.join(hooked)} has a hook inside each step": bool(hooked),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def why_streamed(data: SpinDataModule, device: torch.device) -> str | None:
    """The reason why the training set does not stay on the device, in words; None if it does."""
    frames = data.datasets["train"]
    reasons = {
        "the training set takes too much of the GPU's memory": not _fits(data, device),
        "the spins of the training samples are rotated on the CPU": data.turned is not None,
        "data.skip_broken checks each frame when it is used": data.broken["train"].skip
        and not frames.in_memory,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _can_be_recorded(optimizer: Optimizer) -> bool:
    """Whether the optimizer can read its learning rates from the device."""
    known = getattr(optimizer, "capturable", False)
    return known or all("capturable" in group for group in optimizer.param_groups)


def _fits(data: SpinDataModule, device: torch.device) -> bool:
    free, _ = torch.cuda.mem_get_info(device)
    share = len(data.datasets["train"]) / len(data.samples["train"])
    return BYTES_PER_PAIR * data.samples["train"].neighbours.n_pairs * share < SHARE_OF_DEVICE * free


def _loaded_step(trainer: pl.Trainer, module: SpinModule, data: SpinDataModule) -> LoadedStep:
    (optimizer,) = trainer.optimizers
    assert module.step is not None

    # Clip within the recorded step: after it, Lightning would find no gradients.
    value, trainer.gradient_clip_val = trainer.gradient_clip_val, None
    clip = partial(module.clip_gradients, optimizer, value, trainer.gradient_clip_algorithm)
    device = trainer.strategy.root_device
    frames: ResidentFrames | StreamedFrames
    if data.gives == "numbers":
        frames = ResidentFrames.of(data.datasets["train"], device)
    else:
        frames = StreamedFrames(data.samples["train"].neighbours.closest.tolist(), device)
    return LoadedStep(frames, WholeStep(module.step.objective, optimizer, module.watched, clip))
