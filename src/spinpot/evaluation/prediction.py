"""Predictions for frames: mappings of arrays whose names are attributes, too."""

from __future__ import annotations

from typing import Any

import numpy as np

from spinpot.core.conventions import EXPECTED, SHAPES

NAMES = tuple(SHAPES)


class Prediction(dict[str, np.ndarray]):
    """The arrays of one system: `prediction["force"]` or `prediction.force`."""

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
    """The predictions for several systems. A name such as `force` gives the list of their arrays."""

    __getattr__, __dir__ = Prediction.__getattr__, Prediction.__dir__

    def __getitem__(self, key: Any) -> Any:
        return [one[key] for one in self] if isinstance(key, str) else super().__getitem__(key)

    def keys(self) -> tuple[str, ...]:
        """The names of the arrays, so that dict(predictions) works."""
        return tuple(self[0]) if self else NAMES
