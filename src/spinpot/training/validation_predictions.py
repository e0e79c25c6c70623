"""The predictions of a validation, gathered from all processes in the order of the frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch.distributed as dist
from torch import Tensor

from spinpot.core.conventions import PER_FRAME, SHAPES
from spinpot.data.batch import Batch
from spinpot.data.systems import System
from spinpot.evaluation.predictor import Arrays, assemble

Prediction = dict[str, Tensor]


class ValidationPredictions:
    """Collects what each process predicts for its share of the frames, as EveryFrameOnce deals them out."""

    def __init__(self) -> None:
        self._frames: list[Prediction] = []

    def add(self, batch: Batch, prediction: Prediction) -> None:
        """Keep the prediction of the next batch, on the CPU, of each frame by itself."""
        sizes = batch.n_atoms.tolist()
        parts = {
            name: prediction[name].detach().cpu().split(1 if name in PER_FRAME else sizes) for name in SHAPES
        }
        # Copies, since pickling a part of a tensor would send all of it.
        self._frames += [{name: parts[name][frame].clone() for name in SHAPES} for frame in range(len(sizes))]

    def of_all_processes(self, systems: Sequence[System]) -> Sequence[Arrays] | None:
        """The predictions for all frames of the systems, to be asked for by all processes together.

        None on all processes but the first, and where the validation left out frames.
        """
        shares = _gather(self._frames)
        if shares is None or sum(map(len, shares)) != sum(map(len, systems)):
            return None
        return assemble(systems, _interleaved(shares))


def _gather(share: list[Prediction]) -> list[list[Prediction]] | None:
    """The shares of all processes, on the first of them."""
    if not dist.is_initialized():
        return [share]
    shares: list[list[Prediction]] | None = [share] * dist.get_world_size() if dist.get_rank() == 0 else None
    dist.gather_object(share, shares)
    return shares


def _interleaved(shares: list[list[Prediction]]) -> Iterator[Prediction]:
    """Process r of W has the frames r, r + W, …"""
    for frame in range(sum(map(len, shares))):
        yield shares[frame % len(shares)][frame // len(shares)]
