"""spinpot: training of spin interatomic potentials, E(R, S)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from spinpot.evaluation.predictor import Predictor

__all__ = ["__version__", "load"]

__version__ = "0.1.0"


def load(path: str | Path, device: str | torch.device = "cpu", dtype: torch.dtype | None = None) -> Predictor:
    """The potential of a checkpoint, to be called with frames; see `spinpot.evaluation.predictor.Predictor`.

    Model files (.safetensors) and deepmd-kit's models (.dp, .yaml, .pt, .pth) are read as well.
    device: where it computes, e.g. "cuda". dtype: of its networks, torch.float64 (if not given) or
        torch.float32; predictions are float64 in any case.
    Raises InputError for a file that is missing, damaged or none of them.
    """
    from spinpot.evaluation.predictor import load  # not above: torch takes seconds to import

    return load(path, device, dtype)
