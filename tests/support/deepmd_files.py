"""deepmd-kit's model files: their places, comparison of two files, and broken files."""

from pathlib import Path

import numpy as np
import yaml

from spinpot.models.deepspin.deepmd.dp_file import Tree

REFERENCE = Path(__file__).parents[1] / "reference"


def differences(one, other, values=True, place="") -> list[str]:
    """Dotted places where two trees differ, arrays bit for bit; without `values` only in shape and type."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted({*one, *other})
        absent = object()
        return [
            found
            for key in keys
            for found in differences(
                one.get(key, absent), other.get(key, absent), values, f"{place}.{key}".lstrip(".")
            )
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [found for n, (a, b) in pairs for found in differences(a, b, values, f"{place}.{n}")]
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        same = one.shape == other.shape and one.dtype == other.dtype
        return [] if same and (not values or one.tobytes() == other.tobytes()) else [place]
    same = type(one) is type(other) and not isinstance(one, np.ndarray) and one == other
    return [] if same else [place]


def write_yaml(path: Path, tree: Tree) -> Path:
    """A tree as deepmd-kit's `.yaml`."""
    path.write_text(yaml.safe_dump(_written_out(tree)))
    return path


def _written_out(node):
    if isinstance(node, dict):
        return {key: _written_out(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_written_out(value) for value in node]
    if isinstance(node, np.ndarray | np.generic):
        array = np.asarray(node)
        head = {"@class": "np.ndarray", "@is_variable": True, "@version": 1}
        return head | {"dtype": array.dtype.name, "value": array.tolist()}
    return node
