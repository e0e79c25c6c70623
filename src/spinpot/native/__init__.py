"""The network, compiled for the CPU: built by torch's own means, and never needed.

Where it has not been built, torch's operations do the same (models.deepspin's descriptor and fitting); tests
hold the two equal.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor

from spinpot.core.console import console
from spinpot.core.files import write_atomically
from spinpot.kernels.library import _left_out

SOURCES = sorted(Path(__file__).parent.glob("*.cpp"))
HEADERS = sorted(Path(__file__).parent.glob("*.h"))
FLAGS = {"AVX2": ["-mavx2", "-mfma"], "AVX512": ["-mavx512f", "-mavx512dq", "-mavx512vl", "-mfma"]}
"""What the compiler may use, by torch's name for the processor's kind."""


def build() -> bool:
    """Compile the network for this machine, or find it compiled; False, with a warning, where that fails."""
    if _loaded():
        return True
    compiler = os.environ.get("CXX", "c++")
    try:
        if not built() and shutil.which(compiler) is None:
            return _not_compiled(f"A C++ compiler is needed, such as g++; {compiler} was not found.")
        _load_locked(_folder())
    except OSError as error:
        return _not_compiled(f"{error}. It is kept in {_folder()}; TORCH_EXTENSIONS_DIR names another place.")
    except (RuntimeError, ImportError, subprocess.SubprocessError) as error:
        lines = str(error).splitlines()
        reason = next((line for line in lines if "error:" in line), (*lines, type(error).__name__)[0])
        return _not_compiled(f"{compiler} failed: {reason.strip()[:200]}")
    _available.cache_clear()
    return True


def _not_compiled(why: str) -> bool:
    warnings.warn(
        "The network could not be compiled; torch's own operations take its place and give the same, more "
        f"slowly. {why}",
        stacklevel=3,
    )
    return False


def _loaded() -> bool:
    try:
        return torch.classes.spinpot.Network is not None
    except RuntimeError:
        return False


def _load_locked(folder: Path) -> None:
    """Compile, one process at a time, and load."""
    if not built():
        console.print("Compiling the network for this processor, once; that takes up to a minute.")
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "spinpot.lock"):
            if not built():
                _compile(folder)
    torch.classes.load_library(str(_library(folder)))


def built() -> bool:
    """Whether the network has been compiled for this machine, and is whole."""
    library, digest = _library(_folder()), _digest(_folder())
    if not (library.is_file() and digest.is_file()):
        return False
    return digest.read_text(encoding="utf-8") == hashlib.sha256(library.read_bytes()).hexdigest()


def _library(folder: Path) -> Path:
    return folder / f"{folder.name.replace('-', '_')}.so"


def _digest(folder: Path) -> Path:
    return folder / "sha256"


def network(like: Tensor) -> Any | None:
    """The network for tensors of this kind; None where it was not built, and for others than it takes."""
    return torch.classes.spinpot.Network if _takes(like) else None


def _takes(like: Tensor) -> bool:
    serves = not _left_out.get() and _available()
    return like.is_cpu and like.dtype in (torch.float64, torch.float32) and serves


@cache
def _available() -> bool:
    return _loaded() or (built() and build())


def _compile(folder: Path) -> None:
    import ninja
    from torch.utils import cpp_extension

    # torch guards the folder by a file that a killed compilation leaves behind for ever.
    (folder / "lock").unlink(missing_ok=True)
    _library(folder).unlink(missing_ok=True)
    # Where Python runs without its environment being activated, torch would not find ninja.
    os.environ["PATH"] = os.pathsep.join((ninja.BIN_DIR, os.environ.get("PATH", "")))
    cpp_extension.load(
        name=_library(folder).stem,
        sources=[str(source) for source in SOURCES],
        # It takes torch's threads: its OpenMP library is found at run time, so none is linked.
        extra_cflags=_flags(torch.backends.cpu.get_cpu_capability()),
        build_directory=str(folder),
        is_python_module=False,
    )
    write_atomically(_digest(folder), hashlib.sha256(_library(folder).read_bytes()).hexdigest())


def _flags(capability: str) -> list[str]:
    """Of the compiler, for a kind of processor."""
    return [
        "-std=c++20",
        "-O3",
        "-fno-math-errno",
        "-fno-trapping-math",
        "-fopenmp",
        *FLAGS.get(capability, []),
    ]


@cache
def _folder() -> Path:
    """A place for each contents of the sources, flags, version of torch and kind of processor."""
    from torch.utils.cpp_extension import get_default_build_root

    sources = [source.read_text(encoding="utf-8") for source in (*SOURCES, *HEADERS)]
    machine = torch.backends.cpu.get_cpu_capability()
    key = "-".join((*sources, torch.__version__, machine, *_flags(machine)))
    root = os.environ.get("TORCH_EXTENSIONS_DIR") or get_default_build_root()
    return Path(root) / f"spinpot-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
