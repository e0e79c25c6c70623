"""Neighbour search by the compiled library, for many frames in one call and for moving structures."""

from ctypes import addressof, byref, c_byte, c_int64, c_void_p
from dataclasses import dataclass
from typing import Any

import numpy as np

from spinpot.kernels.interface import structure
from spinpot.kernels.library import checked, library

_FRAMES, _PAIRS = structure("spinpot_frames"), structure("spinpot_pairs")


@dataclass(frozen=True)
class Frames:
    """F concatenated frames with A atoms in total, and the criteria for their pairs.

    A virtual atom is at coord + displacement; a centre's own virtual atom is a neighbour. Positions are not
    wrapped into the cell.

    cutoff: Å; n_atoms: (F,); types: (A,); coord, displacement: (A, 3), Å; box: (F, 3, 3), Å; pbc: (F, 3).
    seen: (T, 2T) bool, whether centres of an element have neighbours of a type.
    any_direction: include virtual atoms that come within the cutoff for some direction of the displacement.
    """

    cutoff: float
    n_atoms: np.ndarray
    types: np.ndarray
    coord: np.ndarray
    box: np.ndarray
    pbc: np.ndarray
    displacement: np.ndarray
    seen: np.ndarray
    any_direction: bool = False


@dataclass(frozen=True)
class PairArrays:
    """P pairs of frames with A atoms in total, sorted by centre; types T…2T−1 are virtual atoms.

    start: (A + 1,), index of each centre's first pair; neighbour: (P,), index of the atom; type: (P,);
    vector: (P, 3), Å, from the centre; counts: (A, 2T), number of neighbours of each type; closest: (T,), Å,
    distance of the closest neighbour for each centre element, inf without any. With any_direction, closest is
    the smallest distance for any direction of the displacements.
    """

    start: np.ndarray
    neighbour: np.ndarray
    type: np.ndarray
    vector: np.ndarray
    counts: np.ndarray
    closest: np.ndarray


class PairList:
    """Pair list of a moving structure. A new search is made only after atoms have moved far enough.

    skin: Å; with 0, every call searches. searches: number of searches so far.
    """

    def __init__(self, skin: float = 0.0) -> None:
        if (found := library()) is None:
            raise RuntimeError("The kernels are not compiled.")
        self.searches = 0
        self.library = found
        self.handle = c_void_p()
        checked(found.spinpot_pair_list_new(skin, byref(self.handle)))

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            self.library.spinpot_pair_list_free(self.handle)


def find_pairs(frames: Frames, threads: int = 1, kept: PairList | None = None) -> PairArrays:
    """The pairs of some frames. kept: the pair list to reuse and update, for a moving structure.

    Raises RuntimeError for non-finite numbers, types out of range and boxes without volume.
    """
    kept = kept or PairList()
    n_frames, total, n_types = len(frames.n_atoms), len(frames.types), len(frames.seen)
    arrays = (
        _array(frames.n_atoms, np.int64, (n_frames,)),
        _array(frames.types, np.int64, (total,)),
        _array(frames.coord, np.float64, (total, 3)),
        _array(frames.box, np.float64, (n_frames, 3, 3)),
        _array(frames.pbc, np.bool_, (n_frames, 3)),
        _array(frames.displacement, np.float64, (total, 3)),
        _array(frames.seen, np.bool_, (n_types, 2 * n_types)),
    )
    places = map(_address, arrays)
    given = _FRAMES(frames.cutoff, n_frames, n_types, total, *places, frames.any_direction)
    n_pairs, searches = c_int64(), c_int64()
    counts = byref(n_pairs), byref(searches)
    checked(kept.library.spinpot_find_pairs(kept.handle, byref(given), threads, *counts))
    kept.searches = searches.value
    found = PairArrays(
        start=np.empty(total + 1, dtype=np.int64),
        neighbour=np.empty(n_pairs.value, dtype=np.int64),
        type=np.empty(n_pairs.value, dtype=np.int64),
        vector=np.empty((n_pairs.value, 3)),
        counts=np.empty((total, 2 * n_types), dtype=np.int64),
        closest=np.empty(n_types),
    )
    pairs = _PAIRS(*map(_address, vars(found).values()))
    checked(kept.library.spinpot_take_pairs(kept.handle, byref(pairs), threads))
    return found


def _array(values: Any, dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
    made = np.ascontiguousarray(values, dtype=dtype)
    if made.shape != shape:
        raise RuntimeError(f"expected an array of shape {shape}, found {made.shape}")
    return made


def _address(values: Any) -> int:
    try:
        return addressof(c_byte.from_buffer(values))  # four times faster than values.ctypes
    except (TypeError, ValueError):  # read-only or empty arrays
        return int(values.ctypes.data)
