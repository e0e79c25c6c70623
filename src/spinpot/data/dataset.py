"""Systems as a torch Dataset of frames whose pairs are found once and kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from rich.progress import track
from torch import Tensor
from torch.utils.data import Dataset

from spinpot.console import progress_console
from spinpot.data.batch import Frame
from spinpot.data.pairs import Pairs, find_pairs
from spinpot.data.systems import System


@dataclass(frozen=True)
class Geometry:
    """What of the model decides which pairs there are: rcut (Å), and use_spin and η (Å/μ_B) per element.

    excluded: pairs of types that do not see each other.
    """

    rcut: float
    use_spin: tuple[bool, ...]
    virtual_scale: tuple[float, ...]
    excluded: Sequence[Sequence[int]] = ()

    def pairs(self, system: System, frame: int) -> Pairs:
        """The neighbour pairs of one frame."""
        pairs = find_pairs(
            system.box[frame],
            system.coord[frame],
            system.spin[frame],
            system.types,
            np.array(self.virtual_scale),
            np.array(self.use_spin),
            self.rcut,
        )
        return pairs.without(self.excluded, system.types)


class FrameDataset(Dataset[Frame]):
    """The frames of some systems, in their order."""

    def __init__(self, systems: Sequence[System], frames: Sequence[Frame]) -> None:
        self.systems = list(systems)
        self.frames = list(frames)

    @classmethod
    def build(
        cls, systems: Sequence[System], geometry: Geometry, description: str = "Neighbours"
    ) -> FrameDataset:
        """Find the pairs of every frame, with a progress bar."""
        total = sum(len(system) for system in systems)
        made = track(
            make_frames(systems, geometry),
            description,
            total=total,
            transient=True,
            console=progress_console,
            disable=not progress_console.is_terminal,
        )
        return cls(systems, list(made))

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Frame:
        return self.frames[index]


def make_frames(systems: Iterable[System], geometry: Geometry) -> Iterable[Frame]:
    """Frames with their pairs, one at a time."""
    for system in systems:
        types = torch.from_numpy(system.types)
        for index in range(len(system)):
            yield make_frame(system, index, types, geometry)


def make_frame(system: System, index: int, types: Tensor, geometry: Geometry) -> Frame:
    """One frame of a system with its pairs."""
    pairs = geometry.pairs(system, index)
    counts = pairs.counts(len(types), len(system.type_map))
    n = len(types)
    return Frame(
        types=types,
        spin=torch.from_numpy(system.spin[index]),
        pair_centre=torch.from_numpy(pairs.centre),
        pair_neighbour=torch.from_numpy(pairs.neighbour),
        pair_type=torch.from_numpy(pairs.neighbour_type),
        pair_vector=torch.from_numpy(pairs.vector),
        neighbour_counts=torch.from_numpy(counts),
        energy=_label(system.energy, index, ()),
        force=_label(system.force, index, (n, 3)),
        force_mag=_label(system.force_mag, index, (n, 3)),
        virial=_label(system.virial, index, (3, 3)),
        origin=(system.name, index),
    )


def _label(values: np.ndarray | None, frame: int, shape: tuple[int, ...]) -> Tensor:
    """The label of a frame, NaN where there is none."""
    if values is None:
        return torch.full(shape, torch.nan, dtype=torch.float64)
    return torch.as_tensor(values[frame], dtype=torch.float64)
