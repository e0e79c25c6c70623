"""LAMMPS dumps with spins."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import dpdata

from spinpot.data.dpdata_reader import register
from spinpot.data.readers.abacus import from_dpdata
from spinpot.data.readers.frames import systems_of
from spinpot.data.readers.reader import Wanted
from spinpot.data.systems import System
from spinpot.errors import InputError
from spinpot.notes import Notes


class LammpsDump:
    """A dump with the columns x y z and sp spx spy spz, or those of a compute property/atom of these four."""

    name = "lammps"
    what = "LAMMPS dumps with spins"
    runs = False

    def knows(self, path: Path) -> bool:
        """By the name."""
        return path.is_file() and "dump" in path.name

    def read(self, place: Path, wanted: Wanted, notes: Notes) -> list[System]:
        """The frames of a dump."""
        if not wanted.elements:
            raise InputError(f"{place}: a dump has no elements, only types. Name them: --elements Ni O.")
        register()
        with tempfile.TemporaryDirectory() as folder:
            # dpdata knows the columns of spins from the input file only, and by the names of a compute only.
            dump, script = Path(folder) / "dump", Path(folder) / "in"
            dump.write_text(
                re.sub(r"\bsp spx spy spz\b", "c_spin[1] c_spin[2] c_spin[3] c_spin[4]", place.read_text())
            )
            compute = re.search(r"^ITEM: ATOMS .*\bc_(\w+)\[1\]", dump.read_text(), re.M)
            script.write_text(
                f"compute {compute[1] if compute else 'spin'} all property/atom sp spx spy spz\n"
            )
            data = dpdata.System(
                str(dump), fmt="lammps/dump", type_map=list(wanted.elements), input_file=str(script)
            ).data
        return systems_of(from_dpdata(data), place, wanted, notes)
