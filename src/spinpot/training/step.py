"""A training step: prediction → sums of the loss → loss, and what may be around it.

Of eager steps Lightning takes the gradient and steps the optimizer; recorded ones (cuda_graph) do it all.
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
"""A step whose gradients are not finite, and where its frames are from."""


@dataclass(frozen=True)
class Done:
    """What a step leaves; on a device that repeats it, until the next one.

    scale: (T,), the label scale before the step; finite: whether all gradients that tell are, where the step
    has taken them.
    """

    loss: Tensor
    prediction: dict[str, Tensor]
    batch: Batch
    scale: Tensor | None
    finite: Tensor | None = None


@dataclass(frozen=True)
class Objective:
    """The loss of a batch, as every step takes it.

    magnetic: (T,) bools. processes: those that share out a batch, if there are several.
    """

    potential: Potential
    loss: EnerSpinLoss
    magnetic: Tensor
    label_scale: LabelScale | None = None
    processes: ParallelStrategy | None = None

    def __call__(self, batch: Batch, prefactors: Tensor) -> Done:
        """The loss, and what it was made of. prefactors: (terms,), as `prefactors` gives them."""
        prediction = self.potential(batch, differentiable=True)
        scale = None if self.label_scale is None else self.label_scale()
        totals, counts = self.loss.sums(prediction, batch, self.magnetic, scale)
        if self.processes is not None:
            # Each term is normalised by its count over all processes, so that the sum of their gradients is
            # that of one process with all frames; DDP takes the mean of the gradients.
            counts = self.processes.reduce(counts, reduce_op="sum")
        loss = self.loss.combine(totals, counts, prefactors)
        if self.processes is not None:
            loss = loss * self.processes.world_size
        if "energy" not in self.loss.labels:
            # Every parameter gets a gradient from the energy, if only zero: DDP waits for all of them.
            loss = loss + 0.0 * prediction["energy"].sum()
        return Done(loss, prediction, batch, scale)

    def prefactors(self, lr_ratio: float) -> Tensor:
        """Those of the active terms where the learning rate is lr_ratio times its start value."""
        return self.magnetic.new_tensor(self.loss.active_prefactors(lr_ratio), dtype=torch.float64)


@dataclass(frozen=True)
class WholeStep:
    """A step from a batch to the changed weights, with nothing around it.

    watched: the parameters whose gradients are finite only if all are. clip: called between gradients and
    optimizer.
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
    """A training step, of what its loader gives: batches, or numbers of frames."""

    objective: Objective

    def __call__(self, given: Any, lr_ratio: float, number: int) -> Done:
        """Make it, or what comes before the gradient. number: of the step, for `failure`."""

    def failure(self, wait: bool = False) -> Failure | None:
        """The first failure that is known. wait: for all steps that were begun."""


class EagerStep:
    """Up to the loss: its gradient and the optimizer's step are Lightning's to make."""

    def __init__(self, objective: Objective, watched: Sequence[nn.Parameter]) -> None:
        self.objective = objective
        self._watched = watched
        self._number, self._frames = 0, list[tuple[str, int]]()
        self._prefactors: dict[float, Tensor] = {}

    def __call__(self, given: Batch, lr_ratio: float, number: int) -> Done:
        """Begin a step, or go on with one whose gradients are accumulated."""
        self._number = number
        self._frames += given.origin
        if lr_ratio not in self._prefactors:  # rates fall in stairs
            self._prefactors = {lr_ratio: self.objective.prefactors(lr_ratio)}
        return self.objective(given, self._prefactors[lr_ratio])

    def failure(self, wait: bool = False) -> Failure | None:
        """Of the step that has its gradients now; none is at work where someone waits."""
        if wait:
            return None
        frames, self._frames = self._frames, []
        return None if gradients_finite(self._watched) else (self._number, frames)


def gradients_finite(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Whether all gradients that there are hold finite numbers only: one bool, on their device."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    own = kernels.library_for(gradients[0])
    if own is None:
        return torch.cat([gradient.flatten() for gradient in gradients]).isfinite().all()
    dense = (gradient.contiguous() for gradient in gradients)
    wrong = (own.spinpot_all_finite(g.data_ptr(), g.numel(), g.dtype == torch.float32) for g in dense)
    return torch.tensor(not any(wrong))
