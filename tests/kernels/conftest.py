"""Fixtures that record calls of the library, and that disable it."""

from contextlib import ExitStack

import pytest

from spinpot import kernels


@pytest.fixture
def calls(compiled, monkeypatch):
    """The names of the functions that were called, in their order."""
    names = []

    def counted(name):
        function = getattr(compiled, f"spinpot_{name}")
        monkeypatch.setattr(
            compiled, f"spinpot_{name}", lambda *args: (names.append(name), function(*args))[1]
        )

    for name in ("all_finite", "adam_step", "penalties"):
        counted(name)
    return names


@pytest.fixture
def without():
    """A function that takes the kernels away."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(kernels.without())
