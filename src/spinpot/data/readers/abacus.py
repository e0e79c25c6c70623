"""Folders in which ABACUS ran: INPUT, STRU, OUT.*; scf, md and relax."""

from __future__ import annotations

from pathlib import Path

import dpdata

from spinpot.data.dpdata_reader import register
from spinpot.data.readers.frames import RawFrame, systems_of
from spinpot.data.readers.reader import Wanted
from spinpot.data.systems import System
from spinpot.notes import Notes


class Abacus:
    """One folder is one run."""

    name = "abacus"
    what = "folders in which ABACUS ran (INPUT, STRU, OUT.*)"
    runs = True

    def knows(self, path: Path) -> bool:
        """A folder with ABACUS' INPUT."""
        return (path / "INPUT").is_file()

    def read(self, place: Path, wanted: Wanted, notes: Notes) -> list[System]:
        """The frames of a run."""
        words = (line.split() for line in (place / "INPUT").read_text().splitlines())
        kinds = {line[0].lower(): line[1].lower() for line in words if len(line) > 1}
        kind = {"cell-relax": "relax"}.get(kinds.get("calculation", "scf"), kinds.get("calculation", "scf"))
        register()
        data = dpdata.LabeledSystem(str(place), fmt=f"abacus/{kind}").data
        return systems_of(from_dpdata(data), place, wanted, notes)


COLUMNS = {"spins": "spin", "forces": "force", "force_mags": "force_mag"}
ENTRIES = {"energies": "energy", "virials": "virial"}


def from_dpdata(data: dict) -> list[RawFrame]:
    """The frames of a dpdata system's data."""
    symbols = tuple(data["atom_names"][t] for t in data["atom_types"])
    columns = {ours: data[theirs] for theirs, ours in COLUMNS.items() if len(data.get(theirs, ()))}
    entries = {ours: data[theirs] for theirs, ours in ENTRIES.items() if len(data.get(theirs, ()))}
    return [
        RawFrame(
            symbols,
            data["cells"][k],
            (True, True, True),
            data["coords"][k],
            {name: values[k] for name, values in columns.items()},
            {name: values[k] for name, values in entries.items()},
        )
        for k in range(len(data["coords"]))
    ]
