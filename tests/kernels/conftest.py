"""The compiled library, and which of its functions were called."""

import warnings

import pytest

from spinpot import kernels


@pytest.fixture(scope="session")
def compiled():
    """The library, compiled if need be."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if not kernels.build():
            pytest.skip(f"needs a C++ compiler: {said[-1].message}")
    return kernels.library()


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
