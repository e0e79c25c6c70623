"""Frames of any sizes laid one behind the other: what a model is called with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import accumulate, islice
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """F frames with A atoms and P neighbour pairs altogether; T is the number of elements.

    Every real atom is a centre. Neighbour types 0…T−1 are real atoms, T…2T−1 the virtual atoms of the same
    elements. Pairs are sorted by their centres. Labels that a frame does not have are NaN, so that they can
    never be mistaken for numbers.

    frame: (A,) index of the frame of each atom
    types: (A,)
    spin: (A, 3), μ_B
    n_atoms: (F,) atoms of each frame
    atom_order: (A,) the atoms sorted by element; atom_place: (A,) where each comes in that order
    type_sizes: atoms of each of the T elements
    pair_neighbour: (P,) the neighbour's atom, of a virtual neighbour the real one
    pair_type: (P,) neighbour type
    pair_vector: (P, 3), Å, from the centre to the neighbour, virtual or real
    pair_start: (A + 1,) where the pairs of each centre begin, and where the last ones end
    neighbour_counts: (A, 2T) neighbours of each type
    closest: Å, for each centre element the distance of its closest neighbour; inf where it has none
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
    pair_neighbour: Tensor
    pair_type: Tensor
    pair_vector: Tensor
    pair_start: Tensor
    neighbour_counts: Tensor
    closest: list[float]
    energy: Tensor
    force: Tensor
    force_mag: Tensor
    virial: Tensor
    origin: list[tuple[str, int]]

    @cached_property
    def pair_centre(self) -> Tensor:
        """(P,) the atom that each pair is seen from."""
        atoms = torch.arange(len(self.types), device=self.types.device)
        return torch.repeat_interleave(atoms, self.pair_start.diff(), output_size=len(self.pair_type))

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
    """One frame with its pairs. Shapes as in Batch, for N atoms; closest (T,); pairs in small integers."""

    types: Tensor
    spin: Tensor
    pair_neighbour: Tensor
    pair_type: Tensor
    pair_vector: Tensor
    neighbour_counts: Tensor
    closest: Tensor
    energy: Tensor
    force: Tensor
    force_mag: Tensor
    virial: Tensor
    origin: tuple[str, int]

    @property
    def pair_centre(self) -> Tensor:
        """(P,) the atom that each pair is seen from."""
        return torch.repeat_interleave(torch.arange(len(self.types)), self.neighbour_counts.sum(1))


def collate(frames: list[Frame], n_types: int | None = None) -> Batch:
    """Lay frames one behind the other.

    n_types: the number of elements, needed where there is no frame at all, as one process of several may
    find.
    """
    sizes = [len(frame.types) for frame in frames]
    n_atoms = torch.tensor(sizes, dtype=torch.int64)
    parts = frames or [_no_atoms(n_types or 0)]
    offsets = [0, *accumulate(sizes)][: len(parts)]
    n_types = parts[0].neighbour_counts.shape[1] // 2
    types = torch.cat([part.types for part in parts])
    atom_order = torch.argsort(types, stable=True)
    atom_place = torch.empty_like(atom_order)
    atom_place[atom_order] = torch.arange(len(types))
    counts = torch.cat([part.neighbour_counts for part in parts])
    pair_start = torch.zeros(len(types) + 1, dtype=torch.int64)
    torch.cumsum(counts.sum(1), 0, out=pair_start[1:])
    numbered = list(zip(parts, offsets, strict=True))
    return Batch(
        frame=torch.repeat_interleave(torch.arange(len(frames)), n_atoms, output_size=len(types)),
        types=types,
        spin=torch.cat([part.spin for part in parts]),
        n_atoms=n_atoms,
        atom_order=atom_order,
        atom_place=atom_place,
        type_sizes=torch.bincount(types, minlength=n_types).tolist(),
        pair_neighbour=torch.cat([part.pair_neighbour + offset for part, offset in numbered]).long(),
        pair_type=torch.cat([part.pair_type for part in parts]).long(),
        pair_vector=torch.cat([part.pair_vector for part in parts]),
        pair_start=pair_start,
        neighbour_counts=counts,
        closest=torch.stack([part.closest for part in parts]).amin(0).tolist(),
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
        pair_neighbour=indices,
        pair_type=indices,
        pair_vector=vectors,
        neighbour_counts=torch.zeros(0, 2 * n_types, dtype=torch.int64),
        closest=torch.full((n_types,), torch.inf, dtype=torch.float64),
        energy=torch.zeros((), dtype=torch.float64),
        force=vectors,
        force_mag=vectors,
        virial=torch.zeros(3, 3, dtype=torch.float64),
        origin=("", 0),
    )
