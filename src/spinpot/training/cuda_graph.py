"""Training steps recorded as CUDA graphs: batch, loss, gradient and optimizer step in one graph.

A step on small systems launches hundreds of kernels of a few microseconds each, faster than the host can
launch them. A CUDA graph (torch.cuda.CUDAGraph) records them once and launches them together. A graph is
valid for one batch shape, so batches are padded to a few shapes (spinpot.data.resident).
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer

from spinpot.core.errors import TrainingError
from spinpot.data.batch import Batch
from spinpot.data.resident import Shape
from spinpot.training.step import Done, Failure, WholeStep

MOST_GRAPHS = 64  # kept at once; steps of further shapes are launched kernel by kernel
AHEAD = 4  # steps that the host may run ahead of the device before it checks for non-finite gradients

Inputs = tuple[Any, Shape, Tensor]
"""What the frames of a step loaded, the shape of their batch, and LoadedStep.settings."""


class Frames(Protocol):
    """Where the batches of recorded steps come from: ResidentFrames or StreamedFrames.

    closest: as in a Batch, of all batches so far.
    """

    closest: list[float]

    def load(self, given: Any) -> tuple[Any, Shape]:
        """Copy what the loader gives to the device, in stream order; returns it with its shape."""

    def batch(self, loaded: Any, shape: Shape) -> Batch:
        """The batch, made on the device alone."""

    def origins(self, given: Any) -> list[tuple[str, int]]:
        """The origin of the frames, as in a Batch."""


@dataclass(frozen=True)
class LoadedStep:
    """A whole step from what is on the device, without further data from the host."""

    frames: Frames
    whole: WholeStep

    def __call__(self, loaded: Any, shape: Shape, settings: Tensor) -> Done:
        """Make the step. loaded, shape: as returned by `frames.load`; settings: as returned by `settings`."""
        n_terms = len(self.whole.objective.loss.active)
        with learning_rates(self.whole.optimizer, settings[n_terms:]):
            return self.whole(self.frames.batch(loaded, shape), settings[:n_terms])

    def settings(self, lr_ratio: float) -> list[float]:
        """The current prefactors of the loss, followed by the current learning rates of the optimizer."""
        rates = [float(group["lr"]) for group in self.whole.optimizer.param_groups]
        return [*self.whole.objective.loss.active_prefactors(lr_ratio), *rates]


@contextmanager
def learning_rates(optimizer: Optimizer, rates: Tensor) -> Iterator[None]:
    """Let an optimizer read its learning rates from the device, so that they can change between replays."""
    before = [dict(group) for group in optimizer.param_groups]
    # torch would warn that the first steps are not recorded.
    optimizer._warned_capturable_if_run_uncaptured = True
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        # Fused optimizers take float32.
        group.update(lr=rate.float(), capturable=True)
    try:
        yield
    finally:
        for group, settings in zip(optimizer.param_groups, before, strict=True):
            group.clear()
            group.update(settings)


@dataclass(frozen=True)
class _Recorded:
    """A graph, its output, and the tensors that it reads, which must stay alive as long as the graph."""

    graph: torch.cuda.CUDAGraph
    done: Done
    reads: Any


class _Verdict:
    """Whether the gradients of a step were finite; the answer is copied to the host asynchronously."""

    def __init__(self, step: int, origins: list[tuple[str, int]], finite: Tensor) -> None:
        self.failure = step, origins
        self._finite = torch.empty((), dtype=torch.bool, pin_memory=True)
        self._finite.copy_(finite, non_blocking=True)
        self._arrived = torch.cuda.Event()
        self._arrived.record()

    def finite(self) -> bool:
        """Wait for the answer and return it."""
        self._arrived.synchronize()
        return bool(self._finite)


class RecordedSteps:
    """Whole steps. The first step of a shape runs eagerly; later ones replay a graph."""

    def __init__(self, step: LoadedStep) -> None:
        self.step, self.objective = step, step.whole.objective
        self._unread: deque[_Verdict] = deque()
        self.recorded: dict[Shape, _Recorded] = {}
        self._first: dict[Shape, Any] = {}
        self._made_for: object = None
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream()
        self._settings: Tensor | None = None

    def __call__(self, given: Any, lr_ratio: float, number: int = 0) -> Done:
        """Make a step with what the loader gives; number: of the step, for `failure`."""
        inputs = self.inputs(given, lr_ratio)
        self._forget_stale()
        done = self._make(*inputs)
        assert done.finite is not None
        self._unread.append(_Verdict(number, self.step.frames.origins(given), done.finite))
        return done

    def failure(self, wait: bool = False) -> Failure | None:
        """The first failed step. Without `wait`, the last AHEAD steps are not checked yet."""
        while len(self._unread) > (0 if wait else AHEAD):
            verdict = self._unread.popleft()
            if not verdict.finite():
                return verdict.failure
        return None

    def _make(self, *inputs: *Inputs) -> Done:
        shape = inputs[1]
        if shape not in self.recorded:
            # The potential caches some tensors; they must exist before a step that reads them is recorded.
            reads = self._reads(shape)
            if self._first.get(shape) is not reads or len(self.recorded) == MOST_GRAPHS:
                self._first[shape] = reads
                return self._run(*inputs)
            self.recorded[shape] = self._record(reads, *inputs)
        self.recorded[shape].graph.replay()
        return self.recorded[shape].done

    def inputs(self, given: Any, lr_ratio: float) -> Inputs:
        """Copy the inputs to the tensors that the graphs read, in stream order."""
        settings = torch.tensor(self.step.settings(lr_ratio), dtype=torch.float64).pin_memory()
        if self._settings is None:
            self._settings = torch.empty_like(settings, device=self.objective.magnetic.device)
        self._settings.copy_(settings, non_blocking=True)
        return *self.step.frames.load(given), self._settings

    def _forget_stale(self) -> None:
        """Drop all graphs if more than the weights has changed, or atoms are closer than before."""
        key = self.objective.potential.record_key(), self.step.frames.closest
        if key != self._made_for:
            self._made_for = key
            torch.cuda.synchronize()  # a graph may still be running
            self.recorded.clear()
            self._first.clear()
            self._pool = torch.cuda.graph_pool_handle()

    def _run(self, *inputs: *Inputs) -> Done:
        """Make a step on the stream that will record it, so that cached tensors belong to that stream."""
        usual = torch.cuda.current_stream()
        self._stream.wait_stream(usual)
        with torch.cuda.stream(self._stream):
            done = self.step(*inputs)
        usual.wait_stream(self._stream)
        return done

    def _reads(self, shape: Shape) -> object:
        elements = [t for t, size in enumerate(shape.type_sizes) if size]
        return self.objective.potential.record_reads(elements, self.step.frames.closest)

    def _record(self, reads: object, *inputs: *Inputs) -> _Recorded:
        graph, usual = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                done = self.step(*inputs)
        except RuntimeError as error:
            torch.cuda.set_stream(usual)  # torch does not restore it when a recording fails
            cause = str(error.__context__ or error).partition("\n")[0].rstrip(".")
            raise TrainingError(
                f"The step could not be recorded as a CUDA graph: {cause}. Train without CUDA graphs: "
                "trainer.cuda_graph=false."
            ) from error
        return _Recorded(graph, done, (inputs, reads))
