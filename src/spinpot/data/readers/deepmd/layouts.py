"""deepmd-kit's folders and files, which training reads: npy, raw, mixed, HDF5, LMDB."""

from __future__ import annotations

from pathlib import Path

import h5py

from spinpot.core.notes import Notes
from spinpot.data.readers.deepmd.lmdb_files import DATA
from spinpot.data.readers.reader import Wanted
from spinpot.data.systems import System, read_systems


class DeepmdLayouts:
    """All layouts of deepmd-kit and dpdata but the old one."""

    name = "npy"
    what = "deepmd-kit's npy, raw, mixed, HDF5 and LMDB"
    runs = False

    def knows(self, path: Path) -> bool:
        """A folder with types, sets or a database, or a file of one or of HDF5."""
        if path.is_dir():
            files = ("type.raw", "coord.raw", DATA)
            return any((path / name).exists() for name in files) or any(path.glob("set.*"))
        return path.is_file() and (path.name == DATA or h5py.is_hdf5(path))

    def read(self, place: Path, wanted: Wanted, notes: Notes) -> list[System]:
        """Every system at a place, as training reads them."""
        return read_systems([place], wanted.elements or None, wanted.non_magnetic, notes)
