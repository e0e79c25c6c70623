"""Model files, `model.safetensors`: a model for inference, read by Python and by the kernels without it.

The metadata has two entries. `spinpot` is a JSON text: what builds the Potential again (model, version,
state), and its parts as the kernels evaluate them (Potential.inference), whose arrays are tensors of the file
by their names. `checksum` is the CRC-32 of that text and the tensors behind it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from spinpot import __version__
from spinpot.core.files import write_atomically
from spinpot.models.potential import InferencePart, Potential

MODEL_FILE = ".safetensors"
FORMAT = 1
"""Raised whenever what the kernels read changes."""
OF_KERNELS = "kernel."
"""How names of tensors begin that only the kernels need."""


def write_model_file(path: Path, potential: Potential) -> None:
    """Write a potential, in float64. Raises InputError for one that the kernels cannot evaluate."""
    tensors = {name: tensor.contiguous() for name, tensor in potential.state_dict().items()}
    parts = [_described(part, tensors) for part in potential.inference()]
    spec = potential.spec
    entry = {
        "format": FORMAT,
        "written_by": f"spinpot {__version__}",
        "model": spec.as_dict(),
        "version": potential.version,
        "state": potential.state(),
        "training_facts": asdict(potential.facts) if potential.facts else None,
        "elements": spec.type_map,
        "magnetic": spec.use_spin,
        "time_reversal": spec.time_reversal,
        "energy_bias": _place(potential.energy_bias, tensors),
        "parts": parts,
    }
    text = json.dumps(entry, allow_nan=False)
    checksum = _checksum(text, _tensors_of(save(tensors, {"spinpot": text})))
    write_atomically(path, save(tensors, {"spinpot": text, "checksum": checksum}))


def _described(part: InferencePart, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """The entry of a part; its arrays that are not among the tensors are added to them."""
    arrays = {}
    for field, array in part.arrays.items():
        place = _place(array, tensors)
        if place is None:
            place = f"{OF_KERNELS}{part.kind}.{field}"
            tensors[place] = _plain(array)
        arrays[field] = place
    return {"kind": part.kind, "settings": part.settings, "arrays": arrays}


def _plain(array: Tensor) -> Tensor:
    """In a type that the kernels read, by itself in memory."""
    array = array.detach().to(torch.uint8) if array.dtype == torch.bool else array.detach()
    return array.clone(memory_format=torch.contiguous_format)


def _place(array: Tensor, tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the tensor that an array is."""
    own = _identity(array)
    return next((name for name, tensor in tensors.items() if _identity(tensor) == own), None)


def _identity(array: Tensor) -> tuple[object, ...]:
    return array.data_ptr(), array.dtype, array.shape, array.stride()


def _tensors_of(contents: bytes) -> bytes:
    """What follows the header, whose size the first eight bytes say."""
    return contents[8 + int.from_bytes(contents[:8], "little") :]


def _checksum(text: str, tensors: bytes) -> str:
    return f"{zlib.crc32(tensors, zlib.crc32(text.encode())):08x}"
