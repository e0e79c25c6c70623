"""Training steps that a GPU repeats as a whole: batch, loss, its gradient, and the optimizer's step.

A step of small systems is hundreds of kernels of a few microseconds each, which a host cannot launch that
fast. Recorded once as a CUDA graph they are launched together (torch.cuda.CUDAGraph). A graph holds for one
shape of batch, so batches are padded to few (spinpot.data.resident).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from spinpot.core.errors import TrainingError
from spinpot.data.batch import Batch
from spinpot.data.resident import ResidentFrames, Shape
from spinpot.loss.ener_spin import EnerSpinLoss
from spinpot.loss.label_scale import LabelScale
from spinpot.models.deepspin.collocation import Grid
from spinpot.models.deepspin.potential import SpinPotential
from spinpot.training.finite import gradients_finite

MOST_GRAPHS = 64
"""Kept at once; steps of further shapes are launched kernel by kernel."""
AHEAD = 4
"""Steps that the host may be ahead of the device before it asks whether they went well."""

Inputs = tuple[Tensor, Shape, Tensor]
"""Of a whole step: the numbers of its frames (F,), the shape of their batch, and WholeStep.settings."""


@dataclass(frozen=True)
class Done:
    """What a step leaves on the device until the next one.

    scale: (T,), the label scale before the step; finite: whether all gradients that tell are.
    """

    loss: Tensor
    prediction: dict[str, Tensor]
    batch: Batch
    scale: Tensor | None
    finite: Tensor


@dataclass(frozen=True)
class WholeStep:
    """A training step from the numbers of its frames to the changed weights, with nothing from the host.

    magnetic: (T,) bools. clip: called between gradients and optimizer. watched: the parameters whose
    gradients are finite only if all are.
    """

    frames: ResidentFrames
    potential: SpinPotential
    loss: EnerSpinLoss
    magnetic: Tensor
    label_scale: LabelScale | None
    optimizer: Optimizer
    clip: Callable[[], None] | None
    watched: Sequence[nn.Parameter]

    def __call__(self, numbers: Tensor, shape: Shape, settings: Tensor) -> Done:
        """Make the step. numbers: (F,), frames of that shape; settings: as `settings` gives them."""
        prefactors = settings[: len(self.loss.active)]
        batch = self.frames.batch(numbers, shape)
        prediction = self.potential(batch, differentiable=True)
        scale = None if self.label_scale is None else self.label_scale()
        totals, counts = self.loss.sums(prediction, batch, self.magnetic, scale)
        loss = self.loss.combine(totals, counts, prefactors)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        finite = gradients_finite(self.watched)
        if self.clip is not None:
            self.clip()
        with learning_rates(self.optimizer, settings[len(prefactors) :]):
            self.optimizer.step()
        prediction = {name: values.detach() for name, values in prediction.items()}
        return Done(loss.detach(), prediction, batch, None if scale is None else scale.detach(), finite)

    def settings(self, lr_ratio: float) -> list[float]:
        """The prefactors of the loss, and the learning rates of the optimizer as they are now."""
        rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        return [*self.loss.active_prefactors(lr_ratio), *rates]


@contextmanager
def learning_rates(optimizer: Optimizer, rates: Tensor) -> Iterator[None]:
    """Let an optimizer take its rates from the device, where they can change after it was recorded."""
    before = [(group["lr"], group.get("capturable")) for group in optimizer.param_groups]
    # torch would warn that the first steps are not recorded.
    optimizer._warned_capturable_if_run_uncaptured = True
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        # Fused optimizers take float32.
        group.update(lr=rate.float(), capturable=True)
    try:
        yield
    finally:
        for group, (lr, capturable) in zip(optimizer.param_groups, before, strict=True):
            group["lr"] = lr
            if capturable is None:
                del group["capturable"]
            else:
                group["capturable"] = capturable


@dataclass(frozen=True)
class _Recorded:
    """A graph, what it leaves, and what it reads and nothing else may keep, such as the grid of the nodes."""

    graph: torch.cuda.CUDAGraph
    done: Done
    reads: Any


class _Verdict:
    """Whether the gradients of a step were finite, on its way to the host."""

    def __init__(self, step: int, numbers: list[int], finite: Tensor) -> None:
        self.step, self.numbers = step, numbers
        self._finite = torch.empty((), dtype=torch.bool, pin_memory=True)
        self._finite.copy_(finite, non_blocking=True)
        self._arrived = torch.cuda.Event()
        self._arrived.record()

    def finite(self) -> bool:
        """Wait for it."""
        self._arrived.synchronize()
        return bool(self._finite)


class RecordedSteps:
    """Whole steps by the numbers of their frames: the first of a shape runs as it is, others are repeated."""

    def __init__(self, step: WholeStep) -> None:
        self.step = step
        self._unread: deque[_Verdict] = deque()
        self.recorded: dict[Shape, _Recorded] = {}
        self._first: dict[Shape, Grid] = {}
        self._made_for = ""
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream()
        self._numbers: dict[int, Tensor] = {}
        self._settings: Tensor | None = None

    def __call__(self, numbers: Sequence[int], lr_ratio: float, number: int = 0) -> Done:
        """Make a step with these frames. number: of the step, for first_failure."""
        self._forget_old_nodes()
        done = self._make(*self.inputs(numbers, lr_ratio))
        self._unread.append(_Verdict(number, list(numbers), done.finite))
        return done

    def first_failure(self, ahead: int = AHEAD) -> tuple[int, list[tuple[str, int]]] | None:
        """The first step whose gradients were not finite, and where its frames are from.

        ahead: so many of the last steps are not waited for.
        """
        while len(self._unread) > ahead:
            verdict = self._unread.popleft()
            if not verdict.finite():
                return verdict.step, [self.step.frames.origin[n] for n in verdict.numbers]
        return None

    def _make(self, *inputs: *Inputs) -> Done:
        shape = inputs[1]
        if shape not in self.recorded:
            # What a grid makes but once must be there before a step with it is recorded.
            grid = self._grid(shape)
            if self._first.get(shape) is not grid or len(self.recorded) == MOST_GRAPHS:
                self._first[shape] = grid
                return self._run(*inputs)
            self.recorded[shape] = self._record(grid, *inputs)
        self.recorded[shape].graph.replay()
        return self.recorded[shape].done

    def inputs(self, numbers: Sequence[int], lr_ratio: float) -> Inputs:
        """Of the whole step, where the graphs read them, copied there in the order of the device's work."""
        device = self.step.magnetic.device
        settings = torch.tensor(self.step.settings(lr_ratio), dtype=torch.float64).pin_memory()
        if self._settings is None:
            self._settings = torch.empty_like(settings, device=device)
        if len(numbers) not in self._numbers:
            self._numbers[len(numbers)] = torch.empty(len(numbers), dtype=torch.int64, device=device)
        self._settings.copy_(settings, non_blocking=True)
        places = self._numbers[len(numbers)]
        places.copy_(torch.tensor(numbers).pin_memory(), non_blocking=True)
        return places, self.step.frames.shape(numbers), self._settings

    def _forget_old_nodes(self) -> None:
        """Graphs hold for the nodes of the embedding that they were recorded with."""
        nodes = str(self.step.potential.descriptor.nodes)
        if nodes != self._made_for:
            self._made_for = nodes
            torch.cuda.synchronize()  # a graph may still be at work
            self.recorded.clear()
            self._first.clear()
            self._pool = torch.cuda.graph_pool_handle()

    def _run(self, *inputs: *Inputs) -> Done:
        """Beside the usual stream, as recording it will be, so that what is made once is made there."""
        usual = torch.cuda.current_stream()
        self._stream.wait_stream(usual)
        with torch.cuda.stream(self._stream):
            done = self.step(*inputs)
        usual.wait_stream(self._stream)
        return done

    def _grid(self, shape: Shape) -> Grid:
        elements = [t for t, size in enumerate(shape.type_sizes) if size]
        return self.step.potential.descriptor.grid_for(elements, self.step.frames.closest)

    def _record(self, grid: Grid, *inputs: *Inputs) -> _Recorded:
        graph, usual = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                done = self.step(*inputs)
        except RuntimeError as error:
            torch.cuda.set_stream(usual)  # which torch leaves behind when a recording fails
            cause = str(error.__context__ or error).partition("\n")[0].rstrip(".")
            raise TrainingError(
                f"The step could not be recorded as a CUDA graph: {cause}. With trainer.cuda_graph=false it "
                "is not tried."
            ) from error
        return _Recorded(graph, done, (inputs, grid))
