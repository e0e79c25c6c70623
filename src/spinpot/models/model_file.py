"""Model files, `model.safetensors`: a model for inference, readable by Python and by the kernels alone.

The metadata has two entries. `spinpot` is a JSON text: the data that rebuild the Potential (model, version,
state), and its parts for the kernels (Potential.inference), which refer to tensors of the file by name.
`checksum` is the CRC-32 of that text and of the tensors that follow it.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from spinpot import __version__
from spinpot.core.errors import InputError
from spinpot.core.files import write_atomically
from spinpot.models.potential import InferencePart, Potential
from spinpot.models.upgrades import ENTRY

MODEL_FILE = ".safetensors"
FORMAT = 1
"""Raise it whenever the contents that the kernels or read_model_file read change."""
AS_CHECKPOINT = {1: 6}
"""For each format of model files: the checkpoint format that stores the model in the same way."""
CHECKSUM = "checksum"
OF_KERNELS = "kernel."
"""Prefix of the names of tensors that only the kernels need."""


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
    _, behind = _divided(save(tensors, {ENTRY: text}))
    write_atomically(path, save(tensors, {ENTRY: text, CHECKSUM: _checksum(text, behind)}))


def read_model_file(path: Path) -> dict[str, Any]:
    """The contents, in the form of a checkpoint of the potential alone (models.checkpoint); no code is run.

    Raises InputError for a file that is damaged, newer than this version, or not spinpot's.
    """
    contents = path.read_bytes()
    try:
        tensors, (header, behind) = load(contents), _divided(contents)
        metadata = json.loads(header).get("__metadata__") or {}
    except (SafetensorError, ValueError) as error:
        raise _damaged(path, "it is not a complete safetensors file") from error
    if ENTRY not in metadata:
        raise InputError(
            f"{path}: a safetensors file, but not of spinpot (its metadata have no {ENTRY!r}). Expected what "
            "`spinpot convert best.ckpt model.safetensors` writes."
        )
    entry = _entry(metadata[ENTRY], path)
    if metadata.get(CHECKSUM) != _checksum(metadata[ENTRY], behind):
        raise _damaged(path, "its checksum is wrong")
    of_state = {f"potential.{name}": own for name, own in tensors.items() if not name.startswith(OF_KERNELS)}
    return {"state_dict": of_state, "global_step": 0, ENTRY: entry}


def _entry(text: str, path: Path) -> dict[str, Any]:
    """The entry, in the form of a checkpoint's. Raises InputError for an unknown format."""
    try:
        entry = json.loads(text)
        found, writer = entry["format"], entry["written_by"]
        kept = {name: entry[name] for name in ("model", "version", "state", "training_facts")}
    except (ValueError, LookupError, TypeError) as error:
        raise _damaged(path, "its description of the model cannot be read") from error
    if found not in AS_CHECKPOINT:
        raise InputError(
            f"{path}: model file of format {found}, written by {writer}; this version of spinpot reads up to "
            f"format {FORMAT}. Use the version that wrote it, or a newer one."
        )
    return {"format": AS_CHECKPOINT[found], "config": {}, **kept}


def _damaged(path: Path, why: str) -> InputError:
    return InputError(
        f"{path}: damaged, maybe truncated: {why}. Copy it again, or remove it and convert the checkpoint "
        f"again: `spinpot convert CHECKPOINT {path.name}`."
    )


def _described(part: InferencePart, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """The entry of a part; adds its arrays to `tensors` unless they are there already."""
    arrays = {}
    for field, array in part.arrays.items():
        if (place := _place(array, tensors)) is None:
            place = f"{OF_KERNELS}{part.kind}.{field}"
            tensors[place] = _plain(array)
        arrays[field] = place
    return {"kind": part.kind, "settings": part.settings, "arrays": arrays}


def _plain(array: Tensor) -> Tensor:
    """A contiguous copy in a dtype that the kernels read."""
    array = array.detach().to(torch.uint8) if array.dtype == torch.bool else array.detach()
    return array.clone(memory_format=torch.contiguous_format)


def _place(array: Tensor, tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the tensor that shares an array's memory; None if there is none."""
    own = _identity(array)
    return next((name for name, tensor in tensors.items() if _identity(tensor) == own), None)


def _identity(array: Tensor) -> tuple[object, ...]:
    return array.data_ptr(), array.dtype, array.shape, array.stride()


def _divided(contents: bytes) -> tuple[bytes, bytes]:
    """The header, whose size is in the first eight bytes, and the tensors after it."""
    end = 8 + int.from_bytes(contents[:8], "little")
    return contents[8:end], contents[end:]


def _checksum(text: str, tensors: bytes) -> str:
    return f"{zlib.crc32(tensors, zlib.crc32(text.encode())):08x}"
