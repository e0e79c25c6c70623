"""Reads TorchScript archives (`.pth`) as plain data: attributes and tensors, never code.

An archive of torch.jit.save is a zip file: `data.pkl` pickles the module's attributes, `data/0`, `data/1`, …
hold the storages of its tensors, and `code/` its methods, which are not read. The unpickler below builds
tensors, a few containers of PyTorch, and records in place of the module's classes; it refuses every other
name in the pickle.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spinpot.core.errors import InputError
from spinpot.core.files import DAMAGED, check_whole

STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class Record:
    """Replaces a class of the archive: holds its attributes, nothing else."""


def read_script(path: Path) -> Record:
    """The module of an archive. Raises InputError for a damaged file, and for a pickle of more than data."""
    try:
        check_whole(path)
        with zipfile.ZipFile(path) as archive:
            (name,) = (
                name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")
            )
            folder = name.removesuffix("data.pkl")
            if archive.read(f"{folder}byteorder") != b"little":
                raise ValueError("its numbers are big-endian")
            module = _DataUnpickler(archive, folder).load()
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: this file pickles more than tensors and plain data ({error}); reading it could run "
            "code, which spinpot never does. Use the .dp or .pt file of the model."
        ) from error
    except (*DAMAGED, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: not a readable TorchScript file, maybe truncated ({error}). Copy or freeze it again."
        ) from error
    if not isinstance(module, Record):
        raise InputError(f"{path}: holds no module. Expected what `dp freeze` writes.")
    return module


def tensors_of(record: Record, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a module and its submodules, under the names of its state_dict."""
    for name, value in vars(record).items():
        if isinstance(value, Tensor):
            yield prefix + name, value
        elif isinstance(value, Record):
            yield from tensors_of(value, f"{prefix}{name}.")


def attribute(record: Record, name: str) -> Any:
    """An attribute of a module, or of the first submodule that has it; else None."""
    if name in vars(record):
        return vars(record)[name]
    for value in vars(record).values():
        if isinstance(value, Record) and (found := attribute(value, name)) is not None:
            return found
    return None


class _DataUnpickler(pickle.Unpickler):
    """Builds tensors and records; refuses every other name."""

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{folder}data.pkl")))
        self.archive = archive
        self.folder = folder

    def find_class(self, module: str, name: str) -> Any:
        """The few callables that a pickle may name."""
        if module.startswith("__torch__."):
            return type(name, (Record,), {})
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
            ("torch.jit._pickle", "restore_type_tag"): lambda value, _: value,
            **{
                ("torch.jit._pickle", f"build_{kind}list"): list
                for kind in ("int", "double", "bool", "tensor")
            },
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return known[module, name]

    def persistent_load(self, pid: Any) -> Tensor:
        """A storage as a flat tensor."""
        _, dtype, key, _, count = pid
        data = bytearray(self.archive.read(f"{self.folder}data/{int(key)}"))
        return torch.frombuffer(data, dtype=dtype, count=int(count)) if count else torch.empty(0, dtype=dtype)


def _rebuild_tensor(
    storage: Tensor, offset: int, size: Sequence[int], stride: Sequence[int], *_: Any
) -> Tensor:
    """A tensor copied from a storage; as_strided checks the bounds."""
    return storage.as_strided(tuple(size), tuple(stride), offset).clone()
