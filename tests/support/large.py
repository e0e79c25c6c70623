"""Small sets that are treated as large ones, and the number of their frames in memory."""

import importlib

import numpy as np
import pytest

from spinpot.core import files
from spinpot.core.shares import ALONE
from spinpot.data.readers.deepmd.rows import Rows
from spinpot.data.sample import thinned
from spinpot.data.systems import read_systems

CHUNK, SAMPLE = 3, 8
CHUNKS = ("data.duplicates", "data.readers.deepmd.rows", "data.systems")
SAMPLES = ("data.readers.gathered", "evaluation.evaluate", "looks.sets")


def as_large(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sets of more than SAMPLE frames stay on disk from now on; returns the sizes of what is read at once.

    These are numbers of frames, but not of energies alone.
    """

    def patch(names: tuple[str, ...], attribute: str, value: object) -> None:
        for name in names:
            monkeypatch.setattr(importlib.import_module(f"spinpot.{name}"), attribute, value)

    monkeypatch.setattr(read_systems, "__defaults__", (None, False, None, None, SAMPLE, None, ALONE))
    monkeypatch.setattr(thinned, "__defaults__", (CHUNK,))
    patch(CHUNKS, "CHUNK", CHUNK)
    patch(SAMPLES, "SAMPLE", SAMPLE)
    monkeypatch.setattr(files, "LARGE", 1)
    sizes, gathered = [], Rows._gathered

    def counted(self: Rows, numbers: np.ndarray) -> np.ndarray:
        if self.row:
            sizes.append(len(numbers))
        return gathered(self, numbers)

    monkeypatch.setattr(Rows, "_gathered", counted)
    return sizes
