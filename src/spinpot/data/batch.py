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
    atom_order: (A,) the atoms sorted by element; atom_place: (A,) where each comes in that order
    type_sizes: atoms of each of the T elements
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
    atom_place: Tensor
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


def collate(frames: list[Frame], n_types: int | None = None) -> Batch:
    """Lay frames one behind the other and sort their pairs by type block.

    n_types: the number of elements, needed where there is no frame at all, as one process of several may
    find.
    """
    n_atoms = torch.tensor([len(frame.types) for frame in frames], dtype=torch.int64)
    parts = frames or [_no_atoms(n_types or 0)]
    offsets = (n_atoms.cumsum(0) - n_atoms).tolist() or [0]
    n_types = parts[0].neighbour_counts.shape[1] // 2
    types = torch.cat([part.types for part in parts])
    centre = torch.cat([part.pair_centre + offset for part, offset in zip(parts, offsets, strict=True)])
    neighbour = torch.cat([part.pair_neighbour + offset for part, offset in zip(parts, offsets, strict=True)])
    pair_type = torch.cat([part.pair_type for part in parts])
    block = types[centre] * 2 * n_types + pair_type
    order = torch.argsort(block, stable=True)
    atom_order = torch.argsort(types, stable=True)
    return Batch(
        frame=torch.repeat_interleave(torch.arange(len(frames)), n_atoms),
        types=types,
        spin=torch.cat([part.spin for part in parts]),
        n_atoms=n_atoms,
        atom_order=atom_order,
        atom_place=torch.argsort(atom_order),
        type_sizes=torch.bincount(types, minlength=n_types).tolist(),
        pair_centre=centre[order],
        pair_neighbour=neighbour[order],
        pair_type=pair_type[order],
        pair_vector=torch.cat([part.pair_vector for part in parts])[order],
        block_sizes=torch.bincount(block, minlength=2 * n_types**2).tolist(),
        neighbour_counts=torch.cat([part.neighbour_counts for part in parts]),
        energy=torch.stack([part.energy for part in parts])[: len(frames)],
        force=torch.cat([part.force for part in parts]),
        force_mag=torch.cat([part.force_mag for part in parts]),
        virial=torch.stack([part.virial for part in parts])[: len(frames)],
        origin=[frame.origin for frame in frames],
    )


def batches(frames: Iterable[Frame], batch_size: int) -> Iterator[Batch]:
    """The frames in their order, batch_size at a time; they are taken from `frames` only as needed."""
    remaining = iter(frames)
    while chunk := list(islice(remaining, batch_size)):
        yield collate(chunk)


def _no_atoms(n_types: int) -> Frame:
    """A frame of nothing, for its shapes."""
    indices, vectors = torch.zeros(0, dtype=torch.int64), torch.zeros(0, 3, dtype=torch.float64)
    return Frame(
        types=indices,
        spin=vectors,
        pair_centre=indices,
        pair_neighbour=indices,
        pair_type=indices,
        pair_vector=vectors,
        neighbour_counts=torch.zeros(0, 2 * n_types, dtype=torch.int64),
        energy=torch.zeros((), dtype=torch.float64),
        force=vectors,
        force_mag=vectors,
        virial=torch.zeros(3, 3, dtype=torch.float64),
        origin=("", 0),
    )
