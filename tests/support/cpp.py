"""C++ programs of the tests, compiled with the kernels."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from spinpot.kernels.compiler import HERE

PROGRAMS = Path(__file__).parents[1] / "kernels"


def objects_of(sources: Iterable[Path], folder: Path, flags: Sequence[str]) -> list[Path]:
    """Compile each source; skips the test without a compiler."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = list(sources)
    made = [folder / f"{n}-{source.stem}.o" for n, source in enumerate(sources)]
    commands = [
        [*_compiler(), "-std=c++17", "-g", "-pthread", f"-I{HERE}", *flags, "-c", source, "-o", target]
        for source, target in zip(sources, made, strict=True)
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(_run, commands))
    return made


def linked(objects: Iterable[Path], program: Path, flags: Sequence[str]) -> Path:
    """The program of these objects."""
    _run([*_compiler(), "-pthread", *flags, *objects, "-o", program])
    return program


def _compiler() -> list[str]:
    command = shlex.split(os.environ.get("CXX") or "c++")
    if shutil.which(command[0]) is None:
        pytest.skip("needs a C++ compiler")
    return command


def _run(command: Sequence[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
