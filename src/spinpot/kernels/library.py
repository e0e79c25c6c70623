"""The compiled library: found or compiled, loaded, and left out on demand."""

from __future__ import annotations

import ctypes
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from ctypes import c_double, c_int, c_int64, c_void_p
from functools import cache
from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor

from spinpot.core.console import print_line
from spinpot.kernels.build import HERE, NotCompiledError, compile_library, file_name, widths

INSTALLED = HERE / "built"
"""Where an installation puts the libraries."""
_ARGUMENTS = {
    "all_finite": (c_void_p, c_int64, c_int),
    "adam_step": (c_void_p, c_int64, *(c_double,) * 4, c_int64),
    "penalties": (c_void_p, c_int64, c_int, c_double, c_double, c_void_p, c_void_p),
}
"""Of the functions of interface.h."""


def build() -> bool:
    """Whether there is a library for this processor, compiled now if need be; warns where that fails."""
    if library() is not None:
        return True
    try:
        _compile_once(_cache_folder())
    except (NotCompiledError, OSError) as error:
        warnings.warn(
            "The kernels could not be compiled; torch's own operations take their place and give the same, "
            f"more slowly. {error}",
            stacklevel=2,
        )
        return False
    _loaded.cache_clear()
    return library() is not None


def library() -> ctypes.CDLL | None:
    """The library; None where it was not compiled, or is left out."""
    return None if _left_out.get() else _loaded()


def library_for(like: Tensor) -> ctypes.CDLL | None:
    """The library, where tensors like this one are such as it takes; else None."""
    return library() if like.is_cpu and like.dtype in (torch.float64, torch.float32) else None


def checked(code: int) -> None:
    """Raise RuntimeError, with the library's text, for a code other than 0."""
    if code:
        own = library()
        assert own is not None
        raise RuntimeError(own.spinpot_error().decode())


_left_out: ContextVar[bool] = ContextVar("left_out", default=False)


@contextmanager
def without() -> Iterator[None]:
    """Leave out what is compiled, to compare with."""
    token = _left_out.set(True)
    try:
        yield
    finally:
        _left_out.reset(token)


@cache
def _loaded() -> ctypes.CDLL | None:
    name = file_name(_width())
    found = next((f / name for f in (INSTALLED, _cache_folder()) if (f / name).is_file()), None)
    if found is None:
        return None
    loaded = ctypes.CDLL(str(found))
    loaded.spinpot_error.restype = ctypes.c_char_p
    for function, types in _ARGUMENTS.items():
        getattr(loaded, f"spinpot_{function}").argtypes = types
    return loaded


def _width() -> str:
    """The widest that this processor has."""
    named = {"AVX512": "avx512", "AVX2": "avx2"}.get(torch.backends.cpu.get_cpu_capability(), "plain")
    return named if named in widths() else "plain"


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "spinpot" / "kernels"


def _compile_once(folder: Path) -> None:
    """One process at a time: others that need the library wait for it."""
    folder.mkdir(parents=True, exist_ok=True)
    name = file_name(_width())
    with FileLock(folder / f"{name}.lock"):
        if not (folder / name).is_file():
            print_line("Compiling the kernels for this processor, once; that takes some seconds.")
            compile_library(folder, _width())
