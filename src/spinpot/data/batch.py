"""A batch: frames of any sizes, concatenated, with their neighbour pairs. Models take batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spinpot.data.cell import Periodic
from spinpot.data.geometry import Geometry
from spinpot.kernels.pairs import PairArrays


@dataclass(frozen=True)
class Batch:
    """F frames with A atoms and P neighbour pairs in total; T is the number of elements.

    Every real atom is a centre. Neighbour types 0…T−1 are real atoms, T…2T−1 the virtual atoms of the same
    elements. Pairs are sorted by centre. Missing labels are NaN, so that they are never mistaken for numbers.

    frame: (A,) index of the frame of each atom
    types: (A,)
    spin: (A, 3), μ_B
    n_atoms: (F,) atoms of each frame
    atom_order: (A,) the atoms sorted by element; atom_place: (A,) the position of each atom in that order
    type_sizes: number of atoms of each of the T elements
    pair_neighbour: (P,) the neighbouring atom; for a virtual neighbour, the real atom it belongs to
    pair_type: (P,) neighbour type
    pair_vector: (P, 3), Å, from the centre to the neighbour, virtual or real
    pair_start: (A + 1,) index of the first pair of each centre, and last the number of pairs
    neighbour_counts: (A, 2T) number of neighbours of each type
    closest: (T,), Å: for each centre element the distance of its closest neighbour; inf if it has none
    energy: (F,) eV; force: (A, 3) eV/Å; force_mag: (A, 3) eV/μ_B; virial: (F, 3, 3) eV
    origin: (name of the system, frame number in it) of each frame, for messages
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
        """(P,) the centre of each pair."""
        atoms = torch.arange(len(self.types), device=self.types.device)
        return torch.repeat_interleave(atoms, self.pair_start.diff(), output_size=len(self.pair_type))

    @cached_property
    def pair_frame(self) -> Tensor:
        """(P,) the frame of each pair."""
        return self.frame[self.pair_centre]

    @property
    def n_frames(self) -> int:
        """Number of frames F."""
        return len(self.n_atoms)

    def to(self, device: torch.device | str) -> Batch:
        """The batch on a device."""
        if self.types.device == torch.device(device):
            return self
        # non_blocking: the host need not wait for the copy.
        ahead = torch.device(device).type != "cpu"
        return self.each(lambda values: values.to(device, non_blocking=ahead))

    def pin_memory(self) -> Batch:
        """The batch in pinned memory, from which a GPU can copy while the host continues."""
        return self.each(Tensor.pin_memory)

    def copy_(self, other: Batch) -> None:
        """Copy the arrays of a batch of the same shape into this one's, without waiting for the copy."""
        for item in fields(self):
            if isinstance(array := getattr(self, item.name), Tensor):
                array.copy_(getattr(other, item.name), non_blocking=True)

    def each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The batch with each array changed."""
        arrays = {item.name: getattr(self, item.name) for item in fields(self)}
        changed: dict[str, Any] = {
            name: change(array) for name, array in arrays.items() if isinstance(array, Tensor)
        }
        return replace(self, **changed)


@dataclass(frozen=True)
class Frame:
    """One frame of N atoms: its structure as in data.systems, and its labels with the shapes of Batch."""

    types: np.ndarray
    box: np.ndarray
    pbc: Periodic
    coord: np.ndarray
    spin: np.ndarray
    energy: np.ndarray
    force: np.ndarray
    force_mag: np.ndarray
    virial: np.ndarray
    origin: tuple[str, int]


NUMBERS, VECTORS = np.zeros(0, dtype=np.int64), np.zeros((0, 3))
"""Arrays for no atoms."""


def collate(frames: Sequence[Frame], geometry: Geometry) -> Batch:
    """Concatenate frames and find their neighbour pairs; no frames give an empty batch."""
    n_atoms = np.array([len(frame.types) for frame in frames], dtype=np.int64)
    types = _joined(frames, "types", NUMBERS)
    coord, spin = (_joined(frames, name, VECTORS) for name in ("coord", "spin"))
    pbc = np.array([frame.pbc for frame in frames], dtype=bool).reshape(-1, 3)
    pairs = geometry.pairs(n_atoms, types, coord, spin, _stacked(frames, "box", (3, 3)), pbc)
    atom_order = np.argsort(types, kind="stable")
    atom_place = np.empty_like(atom_order)
    atom_place[atom_order] = np.arange(len(types))
    arrays = {
        "frame": np.repeat(np.arange(len(frames)), n_atoms),
        "types": types,
        "n_atoms": n_atoms,
        "atom_order": atom_order,
        "atom_place": atom_place,
        "energy": _stacked(frames, "energy", ()),
        "force": _joined(frames, "force", VECTORS),
        "force_mag": _joined(frames, "force_mag", VECTORS),
        "virial": _stacked(frames, "virial", (3, 3)),
    }
    return Batch(
        **({name: torch.from_numpy(values) for name, values in arrays.items()} | _changing(spin, pairs)),
        type_sizes=np.bincount(types, minlength=len(geometry.use_spin)).tolist(),
        origin=[frame.origin for frame in frames],
    )


def moved(batch: Batch, frame: Frame, geometry: Geometry) -> Batch:
    """The batch of one frame, with the positions, cell and spins of another frame of the same atoms."""
    box, pbc = frame.box[None], np.array([frame.pbc])
    pairs = geometry.pairs(batch.n_atoms.numpy(), frame.types, frame.coord, frame.spin, box, pbc)
    return replace(batch, **_changing(frame.spin, pairs))


def _changing(spin: np.ndarray, pairs: PairArrays) -> dict[str, Any]:
    """The fields of Batch that depend on positions, cells and spins."""
    return {
        "spin": torch.from_numpy(spin),
        "pair_neighbour": torch.from_numpy(pairs.neighbour),
        "pair_type": torch.from_numpy(pairs.type),
        "pair_vector": torch.from_numpy(pairs.vector),
        "pair_start": torch.from_numpy(pairs.start),
        "neighbour_counts": torch.from_numpy(pairs.counts),
        "closest": pairs.closest.tolist(),
    }


def _joined(frames: Sequence[Frame], name: str, nothing: np.ndarray) -> np.ndarray:
    """One per-atom array of all frames, concatenated; `nothing` if there are no frames."""
    return np.concatenate([nothing, *(getattr(frame, name) for frame in frames)])


def _stacked(frames: Sequence[Frame], name: str, shape: tuple[int, ...]) -> np.ndarray:
    """One per-frame array, stacked; empty if there are no frames."""
    return np.array([getattr(frame, name) for frame in frames], dtype=np.float64).reshape(-1, *shape)


def batches(frames: Iterable[Frame], geometry: Geometry, batch_size: int) -> Iterator[Batch]:
    """Batches of batch_size consecutive frames; `frames` is consumed only as needed."""
    remaining = iter(frames)
    while chunk := list(islice(remaining, batch_size)):
        yield collate(chunk, geometry)
