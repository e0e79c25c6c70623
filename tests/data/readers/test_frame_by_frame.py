"""Large files are read one frame at a time, with the result of small ones."""

import gc

import numpy as np
import pytest

from spinpot.core.notes import Notes
from spinpot.data.readers import frames
from spinpot.data.readers.abacus_files import Dumped
from spinpot.data.readers.abacus_log import Step
from spinpot.data.readers.deepmd.rows import Rows
from spinpot.data.readers.find import read_frames
from spinpot.data.readers.lammps_text import Snapshot
from spinpot.data.readers.reader import Wanted
from support import abacus, vasp
from support.large import SAMPLE, as_large

MANY = 2 * SAMPLE + 3
LAMMPS = """ITEM: TIMESTEP
{0}
ITEM: NUMBER OF ATOMS
2
ITEM: BOX BOUNDS pp pp pp
0.0 4.0
0.0 4.0
0.0 4.0
ITEM: ATOMS id type x y z c_s[1] c_s[2] c_s[3] c_s[4]
1 1 0.{0} 0.0 0.0 0.0 0.6 0.8 2.{0}
2 1 2.0 2.0 2.0 1.0 0.0 0.0 1.9
"""
KINDS = (frames.RawFrame, Step, Dumped, Snapshot)
ARRAYS = ("box", "coord", "spin", "energy", "force", "force_mag", "virial")


def written(kind, folder):
    """A path with MANY frames."""
    numbers = range(MANY)
    if kind == "lammps":
        (folder / "x.dump").write_text("".join(map(LAMMPS.format, numbers)))
        return folder / "x.dump"
    if kind == "vasp":
        (folder / "OUTCAR").write_text(vasp.outcar([vasp.Step(energy=-20.0 - k) for k in numbers]))
        return folder / "OUTCAR"
    calculation = kind.removeprefix("abacus ")
    steps = [abacus.Step(energy=-1.0 - k, force=np.full((3, 3), 0.01 * k)) for k in numbers]
    places = [np.arange(9.0).reshape(3, 3) / 9 + 0.01 * k for k in numbers]
    run = abacus.write_run(folder / "run", steps, places, calculation)
    if calculation == "md":
        (run / "OUT.ABACUS" / "MD_dump").write_text(abacus.dumped(numbers, steps, places))
    return run


@pytest.mark.parametrize("kind", ["vasp", "lammps", "abacus relax", "abacus md"])
def test_frames_are_read_one_at_a_time(kind, tmp_path, monkeypatch):
    path, wanted = written(kind, tmp_path), Wanted(elements=("Fe",) if kind == "lammps" else ())
    (small,) = read_frames(path, "auto", wanted, Notes())
    as_large(monkeypatch)
    gathered, in_memory = frames.gathered, []

    def counted(stream, where):
        for number, frame in enumerate(stream):
            if number == MANY - 1:
                in_memory.extend(one for one in gc.get_objects() if type(one) in KINDS)
            yield frame

    monkeypatch.setattr(frames, "gathered", lambda stream, where: gathered(counted(stream, where), where))
    (large,) = read_frames(path, "auto", wanted, Notes())
    assert len(large) == MANY
    assert 1 <= len(in_memory) <= 4
    for name in ARRAYS:
        if (values := getattr(small, name)) is not None:
            assert isinstance(getattr(large, name), Rows)
            np.testing.assert_array_equal(getattr(large, name), values)
