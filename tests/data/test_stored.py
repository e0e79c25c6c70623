"""Folders without a readable system cause an error that says what they hold."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from stored_samples import (
    frames,
    write_hdf5,
    write_npy,
    write_raw,
)

from spinpot.core.errors import InputError
from spinpot.data.systems import read_systems


def test_places_without_a_system(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").write_text("")
    (tmp_path / "base.lmdb").mkdir()
    (tmp_path / "base.lmdb/data.mdb").write_text("")
    (tmp_path / "files").mkdir()
    h5py.File(tmp_path / "files/a.hdf5", "w").close()
    for name, message in {
        "absent": "absent: no such folder or file.*Correct the path",
        "empty": "empty: the folder is empty",
        "other": "other: no system found here or below",
        "base.lmdb": r"base.lmdb/data.mdb: empty file",
        "files": r"given by their own path: a.hdf5",
    }.items():
        with pytest.raises(InputError, match=message):
            read_systems([tmp_path / name])
    with pytest.raises(InputError, match="No systems given"):
        read_systems([])


def test_frames_without_types_are_not_passed_over(tmp_path: Path) -> None:
    write_npy(tmp_path / "a")
    (write_npy(tmp_path / "b") / "type.raw").unlink()
    with pytest.raises(InputError, match=r"b: frames but no type.raw"):
        read_systems([tmp_path])


def test_bad_hdf5(tmp_path: Path) -> None:
    file = tmp_path / "bad.hdf5"
    with h5py.File(file, "w") as root:
        write_hdf5(root.create_group("names"), frames())
        del root["names/type_map.raw"]
        root["names/type_map.raw"] = [0, 1]
        write_hdf5(root.create_group("no_sets"))
        root["no_types/set.000/coord.npy"] = np.zeros((1, 12))
        write_hdf5(root.create_group("nan"), frames() | {"energy": np.array([0, np.nan, 1])})
        root.create_group("empty")
        root["flat/type.raw"] = np.array([0])
        root["flat/set.000"] = np.zeros(3)
    for group, message in {
        "names": r'bad.hdf5#names/type_map.raw: not text.*dtype="S"',
        "no_sets": "#no_sets: no frames",
        "no_types": "#no_types: frames but no type.raw",
        "nan": r"#nan/set.000/energy.npy, frame 1: nan \(1 of 3 frames",
        "empty": "#empty: no system found",
        "flat": "every set.* must be a group",
        "absent": "no group absent. The file has: .*names",
    }.items():
        with pytest.raises(InputError, match=message):
            read_systems([f"{file}#{group}"])
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"bad.hdf5: damaged: .*truncated"):
        read_systems([file])
    file.write_bytes(b"plain text")
    with pytest.raises(InputError, match=r"bad\.hdf5: not an HDF5 file"):
        read_systems([file])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("coord.raw", "1 2 3\n1 2\n", r"coord.raw: not readable: .*row"),
        ("spin.raw", "a b c\n", r"spin.raw: not readable: .*could not convert string 'a'"),
        ("energy.raw", "", r"different numbers of frames: .*energy 0"),
        ("spin.raw", None, r"spin.raw is missing"),
        ("coord.raw", None, r"coord is missing \(coord.raw\)"),
        ("force.raw", "1 2 3 4\n1 2 3 4\n1 2 3 4\n", r"force.raw: shape \(3, 4\)"),
        ("energy.raw", "1\nnan\n2\n", r"energy.raw, frame 1: nan"),
    ],
)
def test_bad_raw_files(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    folder = write_raw(tmp_path / "s", frames())
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with pytest.raises(InputError, match=message):
        read_systems([folder])
