"""Frames of any sizes laid one behind the other: what a model is called with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """F frames with A atoms and P neighbour pairs altogether; T is the number of elements.

    Every real atom is a centre. Neighbour types 0…T−1 are real atoms, T…2T−1 the virtual atoms of the same
    elements. Pairs are sorted by block = centre type · 2T + neighbour type. Labels that a frame does not
    have are NaN, so that they can never be mistaken for numbers.

    frame: (A,) index of the frame of each atom
    types: (A,)
    spin: (A, 3), μ_B
    n_atoms: (F,) atoms of each frame
    atom_order: (A,) the atoms sorted by element; type_sizes: atoms of each of the T elements
    pair_centre, pair_neighbour: (P,) atoms of the pair (a virtual neighbour by its real atom)
    pair_type: (P,) neighbour type
    pair_vector: (P, 3), Å, from the centre to the neighbour, virtual or real
    block_sizes: pairs of each of the 2T² blocks
    neighbour_counts: (A, 2T) neighbours of each type
    energy: (F,) eV; force: (A, 3) eV/Å; force_mag: (A, 3) eV/μ_B; virial: (F, 3, 3) eV
    origin: (system's name, frame in the system) of each frame, for messages
    """

    frame: Tensor
    types: Tensor
    spin: Tensor
    n_atoms: Tensor
    atom_order: Tensor
    type_sizes: list[int]
    pair_centre: Tensor
    pair_neighbour: Tensor
    pair_type: Tensor
    pair_vector: Tensor
    block_sizes: list[int]
    neighbour_counts: Tensor
    energy: Tensor
    force: Tensor
    force_mag: Tensor
    virial: Tensor
    origin: list[tuple[str, int]]

    @property
    def n_frames(self) -> int:
        """Number of frames F."""
        return len(self.n_atoms)

    def to(self, *args: Any, **kwargs: Any) -> Batch:
        """The batch with every tensor moved as by torch.Tensor.to."""
        moved = {
            item.name: getattr(self, item.name).to(*args, **kwargs)
            for item in fields(self)
            if isinstance(getattr(self, item.name), Tensor)
        }
        return replace(self, **moved)

    def pin_memory(self) -> Batch:
        """The batch in page-locked memory, for fast copies to a GPU."""
        moved = {
            item.name: getattr(self, item.name).pin_memory()
            for item in fields(self)
            if isinstance(getattr(self, item.name), Tensor)
        }
        return replace(self, **moved)


@dataclass(frozen=True)
class Frame:
    """One frame with its pairs: what is made once and cached. Shapes as in Batch, for N atoms."""

    types: Tensor
    spin: Tensor
    pair_centre: Tensor
    pair_neighbour: Tensor
    pair_type: Tensor
    pair_vector: Tensor
    neighbour_counts: Tensor
    energy: Tensor
    force: Tensor
    force_mag: Tensor
    virial: Tensor
    origin: tuple[str, int]


def collate(frames: list[Frame]) -> Batch:
    """Lay frames one behind the other and sort their pairs by type block."""
    n_atoms = torch.tensor([len(frame.types) for frame in frames])
    offsets = (n_atoms.cumsum(0) - n_atoms).tolist()
    n_types = frames[0].neighbour_counts.shape[1] // 2
    types = torch.cat([frame.types for frame in frames])
    centre = torch.cat([frame.pair_centre + offset for frame, offset in zip(frames, offsets, strict=True)])
    neighbour = torch.cat(
        [frame.pair_neighbour + offset for frame, offset in zip(frames, offsets, strict=True)]
    )
    pair_type = torch.cat([frame.pair_type for frame in frames])
    block = types[centre] * 2 * n_types + pair_type
    order = torch.argsort(block, stable=True)
    return Batch(
        frame=torch.repeat_interleave(torch.arange(len(frames)), n_atoms),
        types=types,
        spin=torch.cat([frame.spin for frame in frames]),
        n_atoms=n_atoms,
        atom_order=torch.argsort(types, stable=True),
        type_sizes=torch.bincount(types, minlength=n_types).tolist(),
        pair_centre=centre[order],
        pair_neighbour=neighbour[order],
        pair_type=pair_type[order],
        pair_vector=torch.cat([frame.pair_vector for frame in frames])[order],
        block_sizes=torch.bincount(block, minlength=2 * n_types**2).tolist(),
        neighbour_counts=torch.cat([frame.neighbour_counts for frame in frames]),
        energy=torch.stack([frame.energy for frame in frames]),
        force=torch.cat([frame.force for frame in frames]),
        force_mag=torch.cat([frame.force_mag for frame in frames]),
        virial=torch.stack([frame.virial for frame in frames]),
        origin=[frame.origin for frame in frames],
    )


def batches(frames: Iterable[Frame], batch_size: int) -> Iterator[Batch]:
    """The frames in their order, batch_size at a time; they are taken from `frames` only as needed."""
    remaining = iter(frames)
    while chunk := list(islice(remaining, batch_size)):
        yield collate(chunk)
