"""The kernels under the compiler's sanitizers, by the C++ programs beside this file: `make sanitize`.

It takes minutes of compiling, and is no part of `make test`.
"""

import os
import subprocess

import pytest

from spinpot.kernels.compiler import FLAGS, SOURCES, WIDTHS
from spinpot.kernels.library import _width
from support.cpp import PROGRAMS, linked, objects_of

MEMORY = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
THREADS = ("-O1", "-fsanitize=thread")
HERE = list(WIDTHS)[list(WIDTHS).index(_width()) :]
"""The widths that this processor has, from the widest on."""


def options(width: str) -> dict[str, str]:
    """Of the sanitizers. GCC 12 misaligns vectors of 64 bytes in frames that it keeps after their return."""
    returned = int(width != "avx512")
    return {
        "ASAN_OPTIONS": f"detect_stack_use_after_return={returned}:strict_init_order=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }


@pytest.fixture(
    scope="module",
    params=[
        *(pytest.param((width, MEMORY), id=f"memory-{width}") for width in HERE),
        pytest.param((HERE[0], THREADS), id=f"threads-{HERE[0]}"),
    ],
)
def kernels(request, tmp_path_factory):
    """Objects of the kernels, the flags they were compiled with, and the sanitizers' options."""
    width, sanitizer = request.param
    flags = (*FLAGS, *WIDTHS[width], *sanitizer)
    return objects_of(SOURCES, tmp_path_factory.mktemp("kernels"), flags), flags, options(width)


@pytest.mark.parametrize("source", sorted(PROGRAMS.glob("*.cpp")), ids=lambda source: source.stem)
def test_program(kernels, source, tmp_path):
    objects, flags, settings = kernels
    program = linked([*objects_of([source], tmp_path, flags), *objects], tmp_path / source.stem, flags)
    done = subprocess.run(
        [program], capture_output=True, text=True, env={**os.environ, **settings}, timeout=900
    )
    assert done.returncode == 0, done.stderr
