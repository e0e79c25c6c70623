"""A training step: prediction → sums of the loss → loss, optionally with gradient and optimizer step.

After an eager step Lightning computes the gradient and steps the optimizer; a recorded step (cuda_graph)
includes both.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from pytorch_lightning.strategies import ParallelStrategy
from torch import Tensor, nn
from torch.optim import Optimizer

from spinpot import kernels
from spinpot.data.batch import Batch
from spinpot.loss.ener_spin import EnerSpinLoss
from spinpot.loss.label_scale import LabelScale
from spinpot.models.potential import Potential

Failure = tuple[int, list[tuple[str, int]]]
"""A step whose gradients are not finite, and the origin (system, frame) of its frames."""


@dataclass(frozen=True)
class Done:
    """The result of a step. The tensors of a recorded step are valid until the next step.

    scale: (T,), the label scale before the step. finite: whether all gradients are finite, if the step has
    computed them.
    """

    loss: Tensor
    prediction: dict[str, Tensor]
    batch: Batch
    scale: Tensor | None
    finite: Tensor | None = None


@dataclass(frozen=True)
class Objective:
    """The loss of a batch, the same for all kinds of steps.

    magnetic: (T,) bools. processes: the processes that share a batch, if there are several.
    """

    potential: Potential
    loss: EnerSpinLoss
    magnetic: Tensor
    label_scale: LabelScale | None = None
    processes: ParallelStrategy | None = None

    def __call__(self, batch: Batch, prefactors: Tensor) -> Done:
        """The loss, prediction and scale of a batch. prefactors: (terms,), as returned by `prefactors`."""
        prediction = self.potential(batch, differentiable=True)
        scale = None if self.label_scale is None else self.label_scale()
        totals, counts = self.loss.sums(prediction, batch, self.magnetic, scale)
        if self.processes is not None:
            # Normalise each term by its count over all processes. The gradients of all processes then add up
            # to the gradient of one process with all frames. DDP averages them, hence the factor world_size
            # below.
            counts = self.processes.reduce(counts, reduce_op="sum")
        loss = self.loss.combine(totals, counts, prefactors)
        if self.processes is not None:
            loss = loss * self.processes.world_size
        if "energy" not in self.loss.labels:
            # DDP waits for a gradient of every parameter; this term gives each one, if only zero.
            loss = loss + 0.0 * prediction["energy"].sum()
        return Done(loss, prediction, batch, scale)

    def prefactors(self, lr_ratio: float) -> Tensor:
        """The prefactors of the active terms at a learning rate of lr_ratio times its start value."""
        return self.magnetic.new_tensor(self.loss.active_prefactors(lr_ratio), dtype=torch.float64)


@dataclass(frozen=True)
class WholeStep:
    """A complete step from a batch to the updated weights.

    watched: parameters whose gradients are finite only if all gradients are. clip: called between backward
    and optimizer step.
    """

    objective: Objective
    optimizer: Optimizer
    watched: Sequence[nn.Parameter]
    clip: Callable[[], None] | None = None

    def __call__(self, batch: Batch, prefactors: Tensor) -> Done:
        """Make the step."""
        done = self.objective(batch, prefactors)
        self.optimizer.zero_grad()
        done.loss.backward()
        finite = gradients_finite(self.watched)
        if self.clip is not None:
            self.clip()
        self.optimizer.step()
        prediction = {name: values.detach() for name, values in done.prediction.items()}
        scale = None if done.scale is None else done.scale.detach()
        return Done(done.loss.detach(), prediction, batch, scale, finite)


class Step(Protocol):
    """A training step. Its input comes from the loader, as `SpinDataModule.gives` says."""

    objective: Objective

    def __call__(self, given: Any, lr_ratio: float, number: int) -> Done:
        """Make the step, or its part up to the loss. number: of the step, for `failure`."""

    def failure(self, wait: bool = False) -> Failure | None:
        """The first known failure. wait: check all steps so far."""


class EagerStep:
    """A step up to the loss; Lightning computes the gradient and steps the optimizer."""

    def __init__(self, objective: Objective, watched: Sequence[nn.Parameter]) -> None:
        self.objective = objective
        self._watched = watched
        self._number, self._frames = 0, list[tuple[str, int]]()
        self._prefactors: dict[float, Tensor] = {}

    def __call__(self, given: Batch, lr_ratio: float, number: int) -> Done:
        """Begin a step, or continue one that accumulates gradients over several batches."""
        self._number = number
        self._frames += given.origin
        if lr_ratio not in self._prefactors:  # rates fall in stairs, so the last ones often apply again
            self._prefactors = {lr_ratio: self.objective.prefactors(lr_ratio)}
        return self.objective(given, self._prefactors[lr_ratio])

    def failure(self, wait: bool = False) -> Failure | None:
        """Check the gradients of the current step; with `wait` all earlier steps are checked already."""
        if wait:
            return None
        frames, self._frames = self._frames, []
        return None if gradients_finite(self._watched) else (self._number, frames)


def gradients_finite(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Whether all existing gradients are finite: one bool, on their device."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    own = kernels.library_for(gradients[0])
    if own is None:
        return torch.cat([gradient.flatten() for gradient in gradients]).isfinite().all()
    dense = (gradient.contiguous() for gradient in gradients)
    wrong = (own.spinpot_all_finite(g.data_ptr(), g.numel(), g.dtype == torch.float32) for g in dense)
    return torch.tensor(not any(wrong))
