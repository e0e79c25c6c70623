"""Writing result files whole or not at all."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path


def write_atomically(path: Path, contents: str | bytes) -> None:
    """Write a file under a temporary name beside its place, then put it there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    data = contents.encode() if isinstance(contents, str) else contents
    temporary.write_bytes(data)
    temporary.replace(path)


def null_for_nan(values: Mapping[str, float]) -> dict[str, float | None]:
    """NaN, which JSON does not have, becomes None."""
    return {key: None if math.isnan(value) else value for key, value in values.items()}
