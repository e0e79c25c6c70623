"""What a potential gives for frames, by names that are items and attributes."""

from __future__ import annotations

from typing import Any

import numpy as np

from spinpot.core.conventions import EXPECTED, SHAPES

NAMES = tuple(SHAPES)


class Prediction(dict[str, np.ndarray]):
    """The arrays of one system, as `prediction["force"]` or `prediction.force`."""

    def __getattr__(self, name: str) -> Any:
        if name in NAMES or (name in EXPECTED and name in self.keys()):
            return self[name]
        more = f", and with uncertainty=True {', '.join(EXPECTED)}"
        raise AttributeError(f"A prediction has no {name}; it has {', '.join(NAMES)}{more}.")

    def __dir__(self) -> list[str]:
        return [*object.__dir__(self), *self.keys()]

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {values.shape}" for name, values in self.items())
        return f"Prediction({shapes})"


class Predictions(list[Prediction]):
    """The predictions of several systems; a name gives the list of their arrays."""

    __getattr__, __dir__ = Prediction.__getattr__, Prediction.__dir__

    def __getitem__(self, key: Any) -> Any:
        return [one[key] for one in self] if isinstance(key, str) else super().__getitem__(key)

    def keys(self) -> tuple[str, ...]:
        """The names, so that dict(predictions) has each system's array under each."""
        return tuple(self[0]) if self else NAMES
