"""Loops on several threads and errors at the interface: the checks of parallel.cpp."""

import re
import subprocess

import pytest

from spinpot.kernels.compiler import HERE
from support.cpp import PROGRAMS, linked, objects_of

SOURCE = PROGRAMS / "parallel.cpp"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parallel")
    sources = [SOURCE, HERE / "parallel.cpp", HERE / "guard.cpp"]
    return linked(objects_of(sources, folder, ["-O2"]), folder / "parallel", [])


@pytest.mark.parametrize("check", re.findall(r"NAMED\((\w{2,})\)[,}]", SOURCE.read_text(encoding="utf-8")))
def test_check(program, check):
    done = subprocess.run([program, check], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
