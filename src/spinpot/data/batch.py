"""Frames of any sizes laid one behind the other: what a model is called with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
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
        # Nothing on the host waits for what goes to another device.
        ahead = torch.device(device).type != "cpu"
        moved = {
            item.name: getattr(self, item.name).to(device, non_blocking=ahead)
            for item in fields(self)
            if isinstance(getattr(self, item.name), Tensor)
        }
        return replace(self, **moved)


@dataclass(frozen=True)
class Frame:
    """One frame with its pairs, as arrays of the shapes in Batch, for N atoms; closest (T,).

    pair_neighbour and pair_type are small integers.
    """

    types: np.ndarray
    spin: np.ndarray
    pair_neighbour: np.ndarray
    pair_type: np.ndarray
    pair_vector: np.ndarray
    neighbour_counts: np.ndarray
    closest: np.ndarray
    energy: np.ndarray
    force: np.ndarray
    force_mag: np.ndarray
    virial: np.ndarray
    origin: tuple[str, int]

    @property
    def pair_centre(self) -> np.ndarray:
        """(P,) the atom that each pair is seen from."""
        return np.repeat(np.arange(len(self.types)), self.neighbour_counts.sum(axis=1))


def collate(frames: list[Frame], n_types: int | None = None) -> Batch:
    """Lay frames one behind the other.

    n_types: the number of elements, needed where there is no frame at all, as one process of several may
    find.
    """
    n_atoms = np.array([len(frame.types) for frame in frames], dtype=np.int64)
    first_atoms = np.concatenate(([0], np.cumsum(n_atoms)))
    parts = frames or [without_pairs(np.zeros(0, dtype=np.int64), n_types or 0)]
    types = _joined(parts, "types")
    atom_order = np.argsort(types, kind="stable")
    atom_place = np.empty_like(atom_order)
    atom_place[atom_order] = np.arange(len(types))
    counts = _joined(parts, "neighbour_counts")
    arrays = {
        "frame": np.repeat(np.arange(len(frames)), n_atoms),
        "types": types,
        "spin": _joined(parts, "spin"),
        "n_atoms": n_atoms,
        "atom_order": atom_order,
        "atom_place": atom_place,
        "pair_neighbour": np.concatenate(
            [
                np.add(part.pair_neighbour, first, dtype=np.int64)
                for part, first in zip(parts, first_atoms[: len(parts)], strict=True)
            ]
        ),
        "pair_type": _joined(parts, "pair_type", dtype=np.int64),
        "pair_vector": _joined(parts, "pair_vector"),
        "pair_start": np.concatenate(([0], np.cumsum(counts.sum(axis=1)))),
        "neighbour_counts": counts,
        "energy": np.array([part.energy for part in frames], dtype=np.float64),
        "force": _joined(parts, "force"),
        "force_mag": _joined(parts, "force_mag"),
        "virial": np.array([part.virial for part in frames], dtype=np.float64).reshape(-1, 3, 3),
    }
    return Batch(
        **{name: torch.from_numpy(values) for name, values in arrays.items()},
        type_sizes=np.bincount(types, minlength=counts.shape[1] // 2).tolist(),
        closest=np.min([part.closest for part in parts], axis=0).tolist(),
        origin=[frame.origin for frame in frames],
    )


def _joined(parts: list[Frame], name: str, dtype: Any = None) -> np.ndarray:
    return np.concatenate([getattr(part, name) for part in parts], dtype=dtype)


def batches(frames: Iterable[Frame], batch_size: int) -> Iterator[Batch]:
    """The frames in their order, batch_size at a time; they are taken from `frames` only as needed."""
    remaining = iter(frames)
    while chunk := list(islice(remaining, batch_size)):
        yield collate(chunk)


def without_pairs(types: np.ndarray, n_types: int) -> Frame:
    """A frame of atoms (N,) without neighbours, moments and labels."""
    none, unknown = np.zeros(0, dtype=np.int64), np.full((len(types), 3), np.nan)
    return Frame(
        types=types,
        spin=np.zeros((len(types), 3)),
        pair_neighbour=none,
        pair_type=none,
        pair_vector=np.zeros((0, 3)),
        neighbour_counts=np.zeros((len(types), 2 * n_types), dtype=np.int64),
        closest=np.full(n_types, np.inf),
        energy=np.array(np.nan),
        force=unknown,
        force_mag=unknown,
        virial=np.full((3, 3), np.nan),
        origin=("", 0),
    )
