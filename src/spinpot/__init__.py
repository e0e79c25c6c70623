"""spinpot: training of spin interatomic potentials, E(R, S)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spinpot.evaluation.predictor import Predictor

__all__ = ["load"]


def load(path: str | Path) -> Predictor:
    """The potential of a checkpoint, to be called with frames; see `spinpot.evaluation.predictor.Predictor`.

    deepmd-kit's models (.dp, .yaml, .pt, .pth) are read as well.
    Raises InputError for a file that is missing, damaged or neither of them.
    """
    from spinpot.evaluation.predictor import load  # not above: torch takes seconds to import

    return load(path)
