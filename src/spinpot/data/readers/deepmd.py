"""deepmd-kit's folders and files, which training reads: npy, raw, mixed, HDF5."""

from __future__ import annotations

from pathlib import Path

import h5py

from spinpot.data.readers.reader import Wanted
from spinpot.data.systems import System, read_systems
from spinpot.notes import Notes


class DeepmdLayouts:
    """All layouts of deepmd-kit and dpdata but the old one."""

    name = "npy"
    what = "deepmd-kit's npy, raw, mixed and HDF5"
    runs = False

    def knows(self, path: Path) -> bool:
        """A folder with types or sets, or an HDF5 file."""
        if path.is_dir():
            return (path / "type.raw").exists() or any(path.glob("set.*")) or (path / "coord.raw").exists()
        return path.is_file() and h5py.is_hdf5(path)

    def read(self, place: Path, wanted: Wanted, notes: Notes) -> list[System]:
        """Every system at a place, as training reads them."""
        return read_systems([place], wanted.elements or None, require_spin=not wanted.non_magnetic)
