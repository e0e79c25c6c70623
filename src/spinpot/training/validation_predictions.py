"""The predictions of a validation, gathered from all processes in the order of the frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
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
        """Keep the prediction of the next batch, on the CPU."""
        kept = {name: prediction[name].detach().cpu() for name in SHAPES}
        self._frames += _split(kept, batch.n_atoms.tolist())

    def of_all_processes(self, systems: Sequence[System]) -> Sequence[Arrays] | None:
        """The predictions for all frames of the systems, to be asked for by all processes together.

        None on all processes but the first, and where the validation left out frames.
        """
        shares = _gather(_joined(self._frames))
        if shares is None or sum(len(sizes) for sizes, _ in shares) != sum(map(len, systems)):
            return None
        return assemble(systems, _interleaved([_split(values, sizes) for sizes, values in shares]))


Share = tuple[list[int], Prediction]
"""Atoms of each frame, and the frames' predictions one behind the other."""


def _joined(frames: list[Prediction]) -> Share:
    values = {name: torch.cat([frame[name] for frame in frames]) for name in (frames[0] if frames else ())}
    return [len(frame["force"]) for frame in frames], values


def _split(prediction: Prediction, sizes: list[int]) -> list[Prediction]:
    """One prediction for each frame, whose atoms are counted in `sizes`."""
    by_name = {name: values.split(1 if name in PER_FRAME else sizes) for name, values in prediction.items()}
    return [{name: parts[frame] for name, parts in by_name.items()} for frame in range(len(sizes))]


def _gather(share: Share) -> list[Share] | None:
    """The shares of all processes, on the first of them."""
    if not dist.is_initialized():
        return [share]
    shares: list[Share] | None = [share] * dist.get_world_size() if dist.get_rank() == 0 else None
    dist.gather_object(share, shares)
    return shares


def _interleaved(shares: list[list[Prediction]]) -> Iterator[Prediction]:
    """Process r of W has the frames r, r + W, …"""
    for frame in range(sum(map(len, shares))):
        yield shares[frame % len(shares)][frame // len(shares)]
