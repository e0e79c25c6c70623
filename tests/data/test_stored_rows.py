"""Arrays on disk are indexed like arrays in memory, in any layout."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from stored_samples import TYPES, frames, labeled, write_hdf5, write_npy, write_raw

from spinpot.core.conventions import LABELS
from spinpot.core.errors import InputError
from spinpot.data.frame_checks import PER_FRAME
from spinpot.data.npy_folder import write_npy as write
from spinpot.data.readers.deepmd import npy_header
from spinpot.data.readers.deepmd.rows import CHUNK, Rows
from spinpot.data.systems import System, in_memory, part_of, read_systems, select

SETS = [frames(3, seed=1), frames(1, seed=2), frames(4, seed=3)]
KEYS = (
    *(0, -1, np.int64(4), slice(None), slice(2, 5), slice(None, None, 2), slice(5, 2), slice(6, 99)),
    *([7, 0, 0, 3], np.array([], dtype=int), np.arange(8) > 4, range(1, 6)),
)


def read(path: Path, **options: Any) -> System:
    (system,) = read_systems([path], ["Ni", "O"], at_once=0, **options)
    return system


def _hdf5(path: Path, packed: bool) -> Path:
    with h5py.File(path, "w") as root:
        write_hdf5(root, *SETS)
        if packed:
            for part in ("set.000", "set.001", "set.002"):
                values = root[f"{part}/coord.npy"][()]
                del root[f"{part}/coord.npy"]
                root[part].create_dataset("coord.npy", data=values, compression="gzip")
    return path


def _lmdb(path: Path) -> Path:
    data = {name: np.concatenate([own[name] for own in SETS]) for name in SETS[0]}
    labeled(data, TYPES, ["Ni", "O"]).to("deepmd/lmdb", str(path))
    return path


LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "npy": lambda path: write_npy(path / "s", *SETS),
    "by columns": lambda path: write_npy(
        path / "s", *({name: np.asfortranarray(values) for name, values in own.items()} for own in SETS)
    ),
    "float32": lambda path: write_npy(
        path / "s", *({name: values.astype(np.float32) for name, values in own.items()} for own in SETS)
    ),
    "raw": lambda path: write_raw(path / "s", {k: np.concatenate([one[k] for one in SETS]) for k in SETS[0]}),
    "hdf5": lambda path: _hdf5(path / "s.hdf5", False),
    "packed hdf5": lambda path: _hdf5(path / "s.hdf5", True),
    "lmdb": lambda path: _lmdb(path / "s.lmdb"),
    "mixed": lambda path: write_npy(
        path / "s", *(own | {"real_atom_types": np.tile(TYPES, (len(own["box"]), 1))} for own in SETS)
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_are_those_of_the_arrays(tmp_path: Path, layout: str) -> None:
    stored = read(LAYOUTS[layout](tmp_path))
    assert not stored.in_memory
    assert len(stored) == 8
    for name in PER_FRAME:
        shape = (8, *{"energy": (), "box": (3, 3), "virial": (3, 3)}.get(name, (4, 3)))
        kind = np.float32 if layout == "float32" else np.float64
        expected = np.concatenate([own[name] for own in SETS]).astype(kind).astype(np.float64).reshape(shape)
        rows = getattr(stored, name)
        assert isinstance(rows, Rows)
        assert rows.shape == shape
        for key in KEYS:
            assert rows[key].dtype == np.float64
            np.testing.assert_array_equal(rows[key], expected[key])
        np.testing.assert_array_equal(np.asarray(rows), expected)
        np.testing.assert_array_equal(list(rows), expected)
        if name not in ("energy", "box", "virial"):
            np.testing.assert_array_equal(rows[:, [2, 0]], expected[:, [2, 0]])
            np.testing.assert_array_equal(rows[[5, 1], :1], expected[[5, 1], :1])
            assert rows[3, 1, 2] == expected[3, 1, 2]


def test_atoms_that_pad_are_left_out(tmp_path: Path) -> None:
    arrays = frames(4)
    kinds = np.array([[0, 0, 1, 1], [1, 0, -1, -1], [0, 0, 1, 1], [1, 0, -1, -1]])
    write_npy(tmp_path / "s", arrays | {"real_atom_types": kinds})
    whole, stored = (read_systems([tmp_path / "s"], at_once=most) for most in (99, 0))
    for one, other in zip(whole, stored, strict=True):
        assert one.in_memory
        assert not other.in_memory
        assert one.types.tolist() == other.types.tolist()
        for name in PER_FRAME:
            np.testing.assert_array_equal(getattr(one, name), np.asarray(getattr(other, name)))
        np.testing.assert_array_equal(one.coord[1], other.coord[1])


def test_parts_stay_where_they_are(tmp_path: Path) -> None:
    stored = read(write_npy(tmp_path / "s", *SETS))
    part = part_of(part_of(stored, np.array([1, 3, 5, 6])), np.array([3, 1]))
    assert not part.in_memory
    assert part.number(1) == 3
    assert part.where(0, "force") == f"{tmp_path}/s/set.002/force.npy, frame 2"
    assert in_memory(part).where(0, "force") == part.where(0, "force")
    own = select(stored, np.array([6, 3]))
    assert own.number(1) == 1
    for name in PER_FRAME:
        for made in (part, own):
            np.testing.assert_array_equal(getattr(in_memory(made), name), getattr(stored, name)[[6, 3]])


def test_all_frames_of_a_large_set_are_checked_unless_it_is_trained_on(tmp_path: Path) -> None:
    arrays = frames(CHUNK + 5)
    arrays["force"][CHUNK + 2, 7] = np.nan
    arrays["force"][CHUNK + 4, 0] = np.inf
    folder = write_npy(tmp_path / "s", arrays)
    place = rf"s/set.000/force.npy, frame {CHUNK + 2}, atom 2 \(O\), component y: nan \(2 of "
    for most in (0, 10**6):
        with pytest.raises(InputError, match=place):
            read_systems([folder], at_once=most)
    assert len(read(folder, check=lambda system: system)) == CHUNK + 5


def test_frames_are_written_from_where_they_are(tmp_path: Path) -> None:
    stored = read(write_npy(tmp_path / "s", *SETS))
    write(stored, tmp_path / "t")
    for name in ("spin", "energy", *LABELS):
        np.testing.assert_array_equal(getattr(read(tmp_path / "t"), name)[:], getattr(stored, name)[:])


def test_a_file_that_is_cut_or_changed_under_way(tmp_path: Path) -> None:
    folder = write_npy(tmp_path / "s", frames(3))
    stored = read(folder, check=lambda system: system)
    _ = stored.force[0]  # the file is open
    with (folder / "set.000/force.npy").open("r+b") as file:
        file.truncate(300)
    with pytest.raises(InputError, match=r"s/set.000/force.npy: cannot be read \(OSError: it ends \d+ bytes"):
        stored.force[2]
    np.save(folder / "set.000/spin.npy", np.zeros((3, 12)))
    with pytest.raises(InputError, match=r"s/set.000/spin.npy: cannot be read \(OSError: it has changed"):
        stored.spin[0]


def test_few_files_are_open_at_once(tmp_path: Path) -> None:
    for k in range(2):
        write_npy(tmp_path / f"s{k}", *(frames(1, seed=n) for n in range(npy_header.OPEN_FILES)))
    systems = read_systems([tmp_path], at_once=0)
    held = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for system in systems:
        assert np.isfinite(system.coord).all()
    if held:
        assert len(os.listdir("/proc/self/fd")) <= held + npy_header.OPEN_FILES


def test_a_database_that_changes_under_way(tmp_path: Path) -> None:
    stored = read(_lmdb(tmp_path / "s.lmdb"), check=lambda system: system)
    _ = stored.force[0]
    (file := tmp_path / "s.lmdb/data.mdb").write_bytes(file.read_bytes()[:9000])
    with pytest.raises(
        InputError, match=r"s.lmdb#Ni2O2/force: cannot be read \(OSError: it has changed since"
    ):
        stored.force[2]
    _lmdb(tmp_path / "t.lmdb")
    file.write_bytes((tmp_path / "t.lmdb/data.mdb").read_bytes())
    again, other = (read(tmp_path / name) for name in ("s.lmdb", "t.lmdb"))
    np.testing.assert_array_equal(again.force[:], other.force[:])
    (tmp_path / "link").symlink_to(tmp_path / "s.lmdb")
    np.testing.assert_array_equal(read(tmp_path / "link").force[:], again.force[:])
