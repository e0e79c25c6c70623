"""The checks of the C++ programs beside this file, which call the library as a C or C++ program does.

They compile for some seconds. `make sanitize` runs the same with the compiler's sanitizers.
"""

import re
import subprocess
from pathlib import Path

import pytest

from spinpot.kernels.compiler import HERE
from support.cpp import PROGRAMS, linked, objects_of

CHECKS = [
    (source, name)
    for source in sorted(PROGRAMS.glob("*.cpp"))
    for name in re.findall(r"NAMED\((\w+)\)", source.read_text(encoding="utf-8"))
]
INSIDE = {"parallel": [HERE / "parallel.cpp", HERE / "guard.cpp"]}
"""What a program needs of the library that is not in its interface."""


@pytest.fixture(scope="module")
def made():
    """The programs that have been compiled, by their sources."""
    return {}


@pytest.fixture
def program(compiled, made, tmp_path_factory):
    """A function that compiles a program once, with the library."""

    def compile_once(source):
        if source not in made:
            folder = tmp_path_factory.mktemp(source.stem)
            inside = INSIDE.get(source.stem, [])
            objects = objects_of([source, *inside], folder, ["-O1"])
            others = [] if inside else [Path(compiled._name)]
            made[source] = linked([*objects, *others], folder / source.stem, [])
        return made[source]

    return compile_once


@pytest.mark.parametrize(
    ("source", "check"), CHECKS, ids=[f"{source.stem}-{name}" for source, name in CHECKS]
)
def test_check(program, source, check):
    done = subprocess.run([program(source), check], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
