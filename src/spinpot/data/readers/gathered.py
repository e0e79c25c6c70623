"""Gathers frames that are read one at a time. Those of large sets go through a temporary file."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from tempfile import TemporaryFile, gettempdir
from typing import IO, NamedTuple, TypeVar

import numpy as np

from spinpot.core.errors import InputError
from spinpot.core.files import reason
from spinpot.data.readers.deepmd.npy_header import ArrayHeader
from spinpot.data.readers.deepmd.rows import Array, Rows
from spinpot.data.systems import SAMPLE

K = TypeVar("K", bound=Hashable)

Arrays = dict[str, np.ndarray]


class Block(NamedTuple):
    """Where an array is in the file: the number of its first float64, and its shape."""

    start: int
    shape: tuple[int, ...]


def gathered(frames: Iterable[tuple[K, Arrays]], where: str) -> dict[K, Mapping[str, Array]]:
    """The arrays of all frames of each kind, with one row per frame; kinds in order of first appearance.

    Frames of one kind have arrays of the same names and shapes. Of more than SAMPLE frames, the arrays are
    Rows of an unnamed temporary file. Raises InputError if that file cannot be written. where: for messages.
    """
    waiting: dict[K, list[Arrays]] = {}
    moved: dict[K, list[dict[str, Block]]] = {}
    with TemporaryFile() as file:
        for number, (kind, arrays) in enumerate(frames):
            if number and number % SAMPLE == 0:
                _move(waiting, moved, file, where)
            waiting.setdefault(kind, []).append(arrays)
        if not moved:
            return {kind: _stacked(own) for kind, own in waiting.items()}
        _move(waiting, moved, file, where)
        numbers = np.asarray(np.memmap(file, np.float64, "r"))
    return {kind: _rows(blocks, numbers, where) for kind, blocks in moved.items()}


def _stacked(frames: Sequence[Arrays]) -> Arrays:
    return {name: np.array([frame[name] for frame in frames], dtype=np.float64) for name in frames[0]}


def _move(
    waiting: dict[K, list[Arrays]], moved: dict[K, list[dict[str, Block]]], file: IO[bytes], where: str
) -> None:
    """Move the waiting frames to the file."""
    try:
        for kind, frames in waiting.items():
            blocks = {}
            for name, array in _stacked(frames).items():
                blocks[name] = Block(file.tell() // array.itemsize, array.shape)
                file.write(array.data)
            moved.setdefault(kind, []).append(blocks)
        file.flush()
    except OSError as error:
        raise InputError(
            f"{where}: its frames do not fit into a temporary file in {gettempdir()}: {reason(error)}. Make "
            "room there, or set TMPDIR to another folder."
        ) from error
    waiting.clear()


def _rows(blocks: Sequence[Mapping[str, Block]], numbers: np.ndarray, where: str) -> dict[str, Rows]:
    """The arrays of one kind, from all numbers of the file."""
    arrays = {}
    for name, first in blocks[0].items():
        own = (block[name] for block in blocks)
        parts = [numbers[b.start : b.start + math.prod(b.shape)].reshape(b.shape) for b in own]
        arrays[name] = Rows([ArrayHeader.of(where, part) for part in parts], first.shape[1:])
    return arrays
