"""deepmd-kit's portable model files: `.dp` (HDF5) and `.yaml`, as a tree of plain data and numpy arrays.

The tree is {software, version, time, backend, model, model_def_script, "@variables"}. Each key "@variables"
holds arrays by name. In a `.dp` file an array is an HDF5 dataset, and the JSON text in the file's attribute
`json` holds its path; in a `.yaml` file the arrays are written out.
"""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml

from spinpot.core.errors import InputError
from spinpot.core.files import write_atomically

Tree = dict[str, Any]

WRITTEN_AS = "3.2.0"
"""Files are written in the format of this version of deepmd-kit: the first with portable spin models."""
NEWEST_MAJOR = 3
SOFTWARE = "deepmd-kit"


def read_dp(path: Path) -> Tree:
    """The tree of a `.dp` file. Raises InputError for a file that is damaged or of an unknown version."""
    try:
        with h5py.File(path) as file:
            if "json" not in file.attrs:
                raise InputError(f"{path}: an HDF5 file, but not a model of deepmd-kit (it has no `json`).")
            tree = _with_arrays(json.loads(file.attrs["json"]), lambda name: file[name][()])
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"{path}: damaged, maybe truncated, or not an HDF5 file, which every .dp file is ({error}). Copy "
            "it again, or write it again by `dp convert-backend MODEL model.dp`."
        ) from error
    return _checked(tree, path)


def read_yaml(path: Path) -> Tree:
    """The tree of a `.yaml` file. Raises InputError, as read_dp does."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # both are safe loaders
        tree = _with_arrays(tree, lambda item: np.asarray(item["value"], dtype=item["dtype"]))
    except (yaml.YAMLError, OSError, KeyError, ValueError, TypeError) as error:
        said = " ".join(str(error).split())
        raise InputError(
            f"{path}: not readable as YAML and arrays in it, maybe truncated ({said}). Write it again."
        ) from error
    return _checked(tree, path)


def write_dp(path: Path, tree: Tree) -> None:
    """Write a tree atomically, with the header of deepmd-kit 3.2.0."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:

        def store(array: np.ndarray) -> str:
            name = f"/variable_{len(file):04d}"
            file.create_dataset(name, data=array)
            return name

        head = {"software": SOFTWARE, "version": WRITTEN_AS, "time": str(datetime.now(tz=UTC))}
        contents = _with_arrays(tree, store)
        file.attrs["json"] = json.dumps({**contents, **head}, separators=(",", ":"))
    write_atomically(path, buffer.getvalue())


def _with_arrays(node: Any, convert: Callable[[Any], Any]) -> Any:
    """The tree with every array in "@variables" converted; null stays null."""
    if isinstance(node, list):
        return [_with_arrays(item, convert) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: {name: value if value is None else convert(value) for name, value in item.items()}
        if key == "@variables"
        else _with_arrays(item, convert)
        for key, item in node.items()
    }


def _checked(tree: Any, path: Path) -> Tree:
    if isinstance(tree, dict) and "training" in tree:
        raise InputError(
            f"{path}: an input of deepmd-kit, not a model. Convert it, spinpot convert {path.name} "
            "mine.yaml, and train; or give a model."
        )
    if not isinstance(tree, dict) or not isinstance(tree.get("model"), dict):
        raise InputError(f"{path}: not a model of deepmd-kit: it has no `model`. Write it again.")
    version = str(tree.get("version", ""))
    major = version.partition(".")[0]
    if major.isdigit() and int(major) > NEWEST_MAJOR:
        raise InputError(
            f"{path}: written by deepmd-kit {version}; spinpot knows the files of deepmd-kit {NEWEST_MAJOR}. "
            f"Convert it with deepmd-kit {WRITTEN_AS}, or use a newer spinpot."
        )
    return tree
