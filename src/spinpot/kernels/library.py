"""Finds, compiles, loads and disables the library of kernels."""

import ctypes
import os
import platform
import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from spinpot.core.console import progress_console
from spinpot.kernels.compiler import HERE, NotCompiledError, compile_library, file_name, is_whole, widths
from spinpot.kernels.interface import arguments

INSTALLED = HERE / "built"  # where an installation puts the libraries of all widths
KEPT = 90 * 24 * 3600.0  # seconds after its last use until a library is removed
_ARGUMENTS = arguments()


def build() -> bool:
    """Compile the library for this processor if needed; returns whether there is one. Warns on failure."""
    if library() is not None:
        return True
    try:
        _compiled_once(cache_folder())
    except (NotCompiledError, OSError) as error:
        advice = ". XDG_CACHE_HOME names another folder for them." if isinstance(error, OSError) else ""
        warnings.warn(
            "The kernels could not be compiled; torch's operations are used instead: the results are the "
            f"same, but slower. {error}{advice}",
            stacklevel=2,
        )
        return False
    _loaded.cache_clear()
    return library() is not None


def library() -> ctypes.CDLL | None:
    """The library; None if it is not compiled or disabled."""
    return None if _left_out.get() else _loaded()


def library_for(like: Tensor) -> ctypes.CDLL | None:
    """The library if it supports tensors like this one; else None."""
    return library() if like.is_cpu and like.dtype in (torch.float64, torch.float32) else None


def checked(code: int) -> None:
    """Raise RuntimeError with the library's error text if a function returned a code other than 0."""
    if code:
        own = _loaded()
        assert own is not None
        raise RuntimeError(own.spinpot_error().decode(errors="replace"))


_left_out: ContextVar[bool] = ContextVar("left_out", default=False)


@contextmanager
def without() -> Iterator[None]:
    """Disable the kernels within the block, to compare results."""
    token = _left_out.set(True)
    try:
        yield
    finally:
        _left_out.reset(token)


@cache
def _loaded() -> ctypes.CDLL | None:
    name = file_name(_width())
    with suppress(OSError):
        return _load(INSTALLED / name)
    with suppress(OSError):
        return _load(cache_folder() / name)
    return None


def _load(file: Path) -> ctypes.CDLL:
    """Raises OSError if the file is missing or damaged, or if the system cannot load it."""
    if not is_whole(file):
        raise OSError(f"{file} is not a complete library")
    loaded = ctypes.CDLL(str(file))
    loaded.spinpot_error.restype = ctypes.c_char_p
    for function, types in _ARGUMENTS.items():
        getattr(loaded, function).argtypes = types
    with suppress(OSError):
        os.utime(file)  # for _remove_unused
    return loaded


def _width() -> str:
    """The widest vector instructions of this processor."""
    named = {"AVX512": "avx512", "AVX2": "avx2"}.get(torch.backends.cpu.get_cpu_capability(), "plain")
    return named if named in widths() else "plain"


def cache_folder(name: str = "kernels") -> Path:
    """The folder for compiled libraries on this kind of system. Raises OSError if there is no home folder."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError as error:
        raise OSError(error) from error
    return base / "spinpot" / name / "-".join(filter(None, (platform.machine(), *platform.libc_ver())))


def _compiled_once(folder: Path) -> ctypes.CDLL:
    """Load the library, or compile it first. One process compiles; others that need it wait."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / file_name(_width())
    lock = FileLock(f"{file}.lock")
    try:
        held = lock.acquire(blocking=False)
    except Timeout:
        _say("Another process compiles the kernels; waiting for it.")
        held = lock.acquire()
    with held:
        with suppress(OSError):
            return _load(file)
        _say("Compiling the kernels for this processor, once; that takes some seconds.")
        compile_library(folder, _width())
        _remove_unused(folder)
        return _load(file)


def _say(line: str) -> None:
    progress_console.print(line, markup=False, soft_wrap=True)


def _remove_unused(folder: Path) -> None:
    """Remove libraries that were not used for long, and files of killed compilations."""
    for path in folder.iterdir():
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > KEPT:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
