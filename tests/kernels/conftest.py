"""Which functions of the library were called."""

import pytest


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
