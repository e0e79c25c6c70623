"""Batches of few different shapes, made on a device from a whole data set, or on the host one by one.

A CUDA graph records a training step once and replays it. Replaying needs fixed shapes and no transfer to the
host. Therefore each batch is padded with one extra frame at its end: atoms without neighbours, and pairs
beyond every cutoff. The extra frame has no labels, so that loss and metrics ignore it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from spinpot.data.batch import Batch
from spinpot.data.dataset import FrameDataset

SIZES_PER_DOUBLING = 8
"""Sizes are rounded up to one of 8 per doubling: few graphs are recorded, and padding adds at most 1/8."""
AS_MANY_EACH = 1.5  # largest growth of a batch by which all elements are padded to equal numbers of atoms
BYTES_PER_PAIR = 40  # of a batch: vector, neighbour and type
FAR = 1e3  # Å, the length of padding pairs


@dataclass(frozen=True)
class Shape:
    """Shape of a batch: frames without the padding frame; atoms of each element and pairs with it."""

    n_frames: int
    type_sizes: tuple[int, ...]
    n_pairs: int


class ResidentFrames:
    """The frames of one large batch, concatenated on a device; the last one is the padding frame."""

    def __init__(self, frames: Batch, device: torch.device | str) -> None:
        everything = _padded(frames)
        n_types = len(everything.type_sizes)
        self.origin, self.closest = everything.origin, everything.closest
        ends = everything.n_atoms.cumsum(0)
        first_atom = ends - everything.n_atoms
        first_pair = everything.pair_start[first_atom]
        n_pairs = everything.pair_start[ends] - first_pair
        by_type = everything.frame * n_types + everything.types
        type_sizes = by_type.bincount(minlength=everything.n_frames * n_types).view(-1, n_types)
        self._type_sizes, self._n_pairs = type_sizes, n_pairs
        self._all = everything.to(device)
        frame_by_frame = torch.stack((first_atom, everything.n_atoms, first_pair, n_pairs), dim=1)
        self._of_frames = torch.cat((frame_by_frame, type_sizes), dim=1).to(device)
        self._pairs_of_atoms = self._all.pair_start.diff()
        self._wanted: dict[tuple[int, ...], Tensor] = {}
        self._numbers: dict[int, Tensor] = {}

    @classmethod
    def of(cls, frames: FrameDataset, device: torch.device | str) -> Self:
        """All frames of a data set."""
        return cls(frames.batch(range(len(frames))), device)

    def load(self, given: Sequence[int]) -> tuple[Tensor, Shape]:
        """The numbers of frames on the device, always in the same tensor, and the shape of their batch."""
        device = self._of_frames.device
        if len(given) not in self._numbers:
            self._numbers[len(given)] = torch.empty(len(given), dtype=torch.int64, device=device)
        numbers = self._numbers[len(given)]
        numbers.copy_(_pinned(torch.tensor(given), device), non_blocking=True)
        return numbers, self.shape(given)

    def origins(self, given: Sequence[int]) -> list[tuple[str, int]]:
        """The origin of some frames, as in a Batch."""
        return [self.origin[number] for number in given]

    def shape(self, numbers: Sequence[int]) -> Shape:
        """The shape of the batch of these frames, with at least one padding atom."""
        sizes = self._type_sizes[list(numbers)].sum(0).tolist()
        sizes[sizes.index(max(sizes))] += 1
        padded = [rounded_up(size) for size in sizes]
        # Elements with equal numbers of atoms are evaluated together.
        if len(padded) * max(padded) <= AS_MANY_EACH * sum(sizes):
            padded = [max(padded)] * len(padded)
        n_pairs = int(self._n_pairs[list(numbers)].sum())
        return Shape(len(numbers), tuple(padded), rounded_up(n_pairs))

    def batch(self, numbers: Tensor, shape: Shape) -> Batch:
        """The batch of these frames (F,), padded to their shape.

        Its `origin` is empty. Nothing is transferred to the host, so that a CUDA graph can record this,
        except the first call with new type_sizes.
        """
        every, device = self._all, numbers.device
        n_atoms, first_of_padding = sum(shape.type_sizes), len(every.types) - len(shape.type_sizes)
        frames = self._of_frames.index_select(0, numbers)
        atoms = _Laid(frames[:, 0], frames[:, 1], n_atoms)
        pairs = _Laid(frames[:, 2], frames[:, 3], shape.n_pairs)

        # Padding atoms follow the frames: as many of each element as the shape needs.
        missing = (self._numbers_wanted(shape, device) - frames[:, 4:].sum(0)).cumsum(0)
        padding_type = torch.searchsorted(missing, atoms.behind, right=True).clamp(max=len(missing) - 1)
        atom = torch.where(atoms.is_padding, first_of_padding + padding_type, atoms.source)
        pair = pairs.source.masked_fill(pairs.is_padding, len(every.pair_type) - 1)

        types = every.types[atom]
        order = torch.argsort(types, stable=True)
        place = torch.empty_like(order).scatter_(0, order, torch.arange(n_atoms, device=device))
        # All padding pairs go from the last atom, a padding atom, to the first padding atom.
        pair_end = self._pairs_of_atoms[atom].cumsum(0)
        none, all_pairs = (torch.full_like(pair_end[:1], number) for number in (0, shape.n_pairs))
        pair_start = torch.cat((none, pair_end[:-1], all_pairs))
        moved = torch.cat((atoms.start - frames[:, 0], atoms.start_of_padding - first_of_padding))
        frame_numbers = torch.cat((numbers, torch.full_like(numbers[:1], every.n_frames - 1)))
        return Batch(
            frame=atoms.number,
            types=types,
            spin=every.spin[atom],
            n_atoms=torch.cat((frames[:, 1], n_atoms - atoms.start_of_padding)),
            atom_order=order,
            atom_place=place,
            type_sizes=list(shape.type_sizes),
            pair_neighbour=every.pair_neighbour[pair] + moved[pairs.number],
            pair_type=every.pair_type[pair],
            pair_vector=every.pair_vector[pair],
            pair_start=pair_start,
            neighbour_counts=every.neighbour_counts[atom],
            closest=every.closest,
            energy=every.energy[frame_numbers],
            force=every.force[atom],
            force_mag=every.force_mag[atom],
            virial=every.virial[frame_numbers],
            origin=[],
        )

    def _numbers_wanted(self, shape: Shape, device: torch.device) -> Tensor:
        """type_sizes on the device; cached, since recording a step allows no copy from the host."""
        if shape.type_sizes not in self._wanted:
            self._wanted[shape.type_sizes] = torch.tensor(shape.type_sizes, device=device)
        return self._wanted[shape.type_sizes]


@dataclass(frozen=True)
class PaddedBatch:
    """A padded batch on the host, its shape, and the origin of its frames."""

    batch: Batch
    shape: Shape
    origin: list[tuple[str, int]]

    @classmethod
    def of(cls, batch: Batch) -> Self:
        """Pad a batch; one without frames becomes two padding frames."""
        frames, numbers = ResidentFrames(batch, "cpu"), torch.arange(max(1, batch.n_frames))
        shape = frames.shape(numbers.tolist())
        return cls(frames.batch(numbers, shape), shape, batch.origin)

    def pin_memory(self) -> Self:
        """The same in pinned memory."""
        return replace(self, batch=self.batch.pin_memory())

    def to(self, device: torch.device | str) -> Self:
        """Stay on the host, although Lightning asks: StreamedFrames copies the batch where graphs read it."""
        return self


class StreamedFrames:
    """Batches that the host has padded; those of one shape are copied to the same place on a device.

    A place exists as long as something reads it, such as a graph: there may be very many shapes.

    closest: as in a Batch, of all batches so far and of a sample of the frames.
    """

    def __init__(self, closest: Sequence[float], device: torch.device | str) -> None:
        self.closest, self._device = list(closest), device
        self._places = WeakValueDictionary[Shape, Batch]()

    def load(self, given: PaddedBatch) -> tuple[Batch, Shape]:
        """Copy a batch to its place on the device."""
        self.closest = [min(pair) for pair in zip(self.closest, given.batch.closest, strict=True)]
        if (place := self._places.get(given.shape)) is None:
            place = given.batch.each(lambda values: values.to(self._device, non_blocking=True, copy=True))
            self._places[given.shape] = place
        else:
            place.copy_(given.batch)
        return place, given.shape

    def batch(self, loaded: Batch, shape: Shape) -> Batch:
        """The batch; a new object, as a Batch caches what it computes from its arrays."""
        return replace(loaded, closest=self.closest)

    def origins(self, given: PaddedBatch) -> list[tuple[str, int]]:
        """The origin of the frames."""
        return given.origin


class _Laid:
    """Concatenates F runs of a long array; run k begins at first[k] and has sizes[k] entries.

    For each of `total` places of the result: number, its run (F for padding); source, the index of its entry
    in the long array; behind, its index among the padding. start: (F,), start_of_padding: (1,), the places
    where runs and padding begin.
    """

    def __init__(self, first: Tensor, sizes: Tensor, total: int) -> None:
        ends = sizes.cumsum(0)
        places = torch.arange(total, device=ends.device)
        self.start, self.start_of_padding = ends - sizes, ends[-1:]
        self.number = torch.searchsorted(ends, places, right=True)
        self.is_padding = self.number == len(sizes)
        self.behind = places - self.start_of_padding
        self.source = places + (first - self.start)[self.number.clamp(max=len(sizes) - 1)]


def _pinned(values: Tensor, device: torch.device) -> Tensor:
    return values if device.type == "cpu" else values.pin_memory()


def rounded_up(size: int) -> int:
    """The next larger of the SIZES_PER_DOUBLING sizes between successive powers of two."""
    step = max(1, int(2 ** (size.bit_length() - 1)) // SIZES_PER_DOUBLING)
    return -(-size // step) * step


def _padded(batch: Batch) -> Batch:
    """The batch with the padding frame appended: one atom per element, and one pair that no atom counts.

    Fields sorted by element are not updated.
    """
    n_types = len(batch.type_sizes)
    unknown = torch.full((n_types, 3), torch.nan).double()
    behind = {
        "frame": torch.full((n_types,), batch.n_frames),
        "types": torch.arange(n_types),
        "spin": torch.zeros(n_types, 3).double(),
        "n_atoms": torch.tensor([n_types]),
        "pair_neighbour": torch.tensor([len(batch.types)]),
        "pair_type": torch.tensor([0]),
        "pair_vector": torch.tensor([[FAR, 0.0, 0.0]]).double(),
        "pair_start": batch.pair_start[-1:].expand(n_types),
        "neighbour_counts": torch.zeros(n_types, 2 * n_types, dtype=torch.int64),
        "energy": unknown[0, :1],
        "force": unknown,
        "force_mag": unknown,
        "virial": torch.full((1, 3, 3), torch.nan).double(),
    }
    joined: dict[str, Any] = {name: torch.cat((getattr(batch, name), end)) for name, end in behind.items()}
    return replace(batch, **joined)
