"""The one place that calls dpdata, and the ways around what it does badly."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dpdata
import h5py
import numpy as np
from dpdata.data_type import Axis, DataError, DataType
from dpdata.plugins.deepmd import register_spin

from spinpot.data.stored import REAL_TYPES, Stored
from spinpot.errors import InputError

_DPDATA_NAMES = {
    "coord": "coords",
    "box": "cells",
    "spin": "spins",
    "energy": "energies",
    "force": "forces",
    "force_mag": "force_mags",
    "virial": "virials",
    REAL_TYPES: REAL_TYPES,
}


def read_arrays(stored: Stored) -> dict[str, np.ndarray]:
    """All arrays of a checked system under deepmd-kit's names, frames of all sets in order.

    coord, spin, force, force_mag (F, N, 3), box, virial (F, 3, 3), energy (F,) and, if the layout is
    mixed, real_atom_types (F, N), all float64; absent what is not stored.
    Raises InputError if dpdata cannot read what the headers promised.
    """
    register()
    try:
        data = _load(stored).data
    except (DataError, OSError, ValueError, KeyError, IndexError, TypeError, RuntimeError) as error:
        raise InputError(
            f"{stored.where}: dpdata could not read it as deepmd/{stored.layout}: "
            f"{type(error).__name__}: {error}. Check the files, or write them again."
        ) from error
    return {
        name: np.array(data[theirs], dtype=np.float64)
        for name, theirs in _DPDATA_NAMES.items()
        if theirs in data and stored.has(name)
    }


def register() -> None:
    """Make labels optional data of dpdata's System.

    Its LabeledSystem insists on energies, and the HDF5 reader refuses a file without them. Registering
    the same type again is without effect.
    """
    register_spin()
    per_atom = (Axis.NFRAMES, Axis.NATOMS, 3)
    dpdata.System.register_data_type(
        DataType("energies", np.ndarray, (Axis.NFRAMES,), required=False, deepmd_name="energy"),
        DataType("forces", np.ndarray, per_atom, required=False, deepmd_name="force"),
        DataType("virials", np.ndarray, (Axis.NFRAMES, 3, 3), required=False, deepmd_name="virial"),
    )


def _load(stored: Stored) -> dpdata.System:
    """Without a type map, so that dpdata neither renumbers nor reorders types."""
    if stored.layout == "hdf5":
        # An open group, because dpdata cuts a path at the first `#`.
        with h5py.File(stored.path, "r") as file:
            return dpdata.System(file[stored.group or "/"], fmt="deepmd/hdf5")
    with _without_wildcards(stored.path) as folder:
        return dpdata.System(str(folder), fmt=f"deepmd/{stored.layout}")


@contextmanager
def _without_wildcards(folder: Path) -> Iterator[Path]:
    """A link to `folder` if its path holds `[`, `*` or `?`, for which dpdata would find no set."""
    if not set("[*?") & set(str(folder)):
        yield folder
        return
    with tempfile.TemporaryDirectory() as parent:
        link = Path(parent) / "system"
        link.symlink_to(folder.absolute(), target_is_directory=True)
        yield link
