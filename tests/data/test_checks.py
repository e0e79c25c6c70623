"""Every kind of bad frame causes an error with file, frame and atom."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from stored_samples import change, frames, put, write_npy

from spinpot.core.errors import InputError
from spinpot.data.systems import read_systems


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def text(name: str, content: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_text(content)

    return write


def edit(
    array: str, how: Callable[[np.ndarray], np.ndarray], part: str = "set.001"
) -> Callable[[Path], None]:
    return lambda folder: change(folder, array, how, part)


def truncate(folder: Path) -> None:
    file = folder / "set.001/force.npy"
    file.write_bytes(file.read_bytes()[:-8])


def pickle(folder: Path) -> None:
    np.save(folder / "set.001/energy.npy", np.array([1.0, None, "x"], dtype=object), allow_pickle=True)


def only_sets_file(folder: Path) -> None:
    (folder / "set.002").write_text("an archive")


def no_sets(folder: Path) -> None:
    for part in ("set.000", "set.001"):
        (folder / part).rename(folder / f"hidden_{part}")


def remove_all(array: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        for part in ("set.000", "set.001"):
            (folder / part / f"{array}.npy").unlink()

    return apply


def overlap(array: np.ndarray) -> np.ndarray:
    """Atom 2 a lattice vector and 0.01 Å away from atom 1, in frame 1."""
    array[1, 6:9] = array[1, 3:6] + np.array([3.9, 0.4, -0.2]) + [0.01, 0, 0]
    return array


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    # files
    "no sets": (no_sets, r"s: no frames: neither a set"),
    "set is a file": (only_sets_file, r"set.002: every set.* must be a folder"),
    "no coord": (remove("set.001/coord.npy"), r"set.001: coord is missing \(coord.npy\)"),
    "no box": (remove("set.001/box.npy"), r"set.001: box.npy is missing.*an empty file `nopbc`"),
    "no box of a slab": (
        lambda f: [remove("set.001/box.npy")(f), text("pbc.raw", "1 1 0")(f)],  # type: ignore[func-returns-value]
        r"set.001: box.npy is missing",
    ),
    "pbc of two": (text("pbc.raw", "1 1"), r"s/pbc.raw: 1 1. Expected three numbers, 1 for each"),
    "pbc of words": (text("pbc.raw", "T T F"), r"s/pbc.raw: T T F. Expected three numbers, 1 for each"),
    "pbc and nopbc": (
        lambda f: [text("nopbc", "")(f), text("pbc.raw", "1 1 0")(f)],  # type: ignore[func-returns-value]
        r"s/pbc.raw: 1 1 0, but the file nopbc beside it",
    ),
    "flat slab": (
        lambda f: [
            edit("box", lambda a: np.tile([1.0, 0, 0, 2, 0, 0, 0, 0, 9], (3, 1)))(f),
            text("pbc.raw", "1 1 0")(f),
        ],  # type: ignore[func-returns-value]
        r"set.001/box.npy, frame 0: the cell .* periodic along a and b. Expected independent",
    ),
    "no spin": (remove_all("spin"), r"s: spin.npy is missing.*If its 2 types are more.*old layout"),
    "spin in one set": (remove("set.001/spin.npy"), r"spin.npy is in .*set.000 but not in .*set.001"),
    "virial in one set": (remove("set.000/virial.npy"), r"virial.npy is in .*set.001 but not in .*set.000"),
    "truncated": (truncate, r"set.001/force.npy: truncated, .*408 bytes, where its header promises 416"),
    "cut header": (
        lambda f: (f / "set.001/spin.npy").write_bytes(b"\x93NUMPY\x01"),
        "spin.npy: truncated, .*EOF",
    ),
    "future version": (
        lambda f: (f / "set.001/spin.npy").write_bytes(b"\x93NUMPY\x09\x00  "),
        r"not \(9, 0\)",
    ),
    "pickled": (pickle, r"set.001/energy.npy: .*pickled Python objects are never loaded"),
    "whole numbers": (
        edit("coord", lambda a: a.astype(int)),
        r"set.001/coord.npy: dtype int64: whole.*float64",
    ),
    "whole labels": (
        edit("force", lambda a: a.astype(int)),
        r"set.001/force.npy: dtype int64: whole.*float64",
    ),
    "complex": (edit("force", lambda a: a + 0j), r"force.npy: dtype complex128"),
    "no frames": (
        lambda f: [change(f, a, lambda x: x[:0], "set.001") for a in frames()],  # type: ignore[func-returns-value]
        r"set.001: no frames",
    ),
    "frame counts": (
        edit("force_mag", lambda a: a[:2]),
        r"set.001: different numbers of frames: .*force_mag 2",
    ),
    # types
    "no atoms": (text("type.raw", ""), r"type.raw: no atoms"),
    "types are words": (text("type.raw", "Ni Ni O O"), r"type.raw: not readable.*one type index"),
    "fractional type": (text("type.raw", "0 0 1 1.5"), r"type.raw: atom 3 has type 1.5"),
    "negative type": (text("type.raw", "0 0 -1 1"), r"type.raw: atom 2 has type -1"),
    "types per frame": (text("type.raw", "0 0 1 1\n0 0 1 1"), r"type.raw: 2 lines of 4 numbers"),
    "short type map": (
        text("type_map.raw", "Ni"),
        r"s: type 1, but type_map.raw has 1 names: Ni\. Expected a name .*old layout",
    ),
    "empty type map": (text("type_map.raw", "\n"), r"type_map.raw: empty"),
    "double name": (text("type_map.raw", "Ni Ni"), r"type_map.raw: the same name twice"),
    "binary type map": (
        lambda f: (f / "type_map.raw").write_bytes(b"\xff\xfe\xff"),
        r"type_map.raw: not readable",
    ),
    # shapes
    "coord": (edit("coord", lambda a: a[:, :9]), r"set.001/coord.npy: shape \(3, 9\). Expected \(3, 12\) or"),
    "virtual atoms": (edit("coord", lambda a: np.tile(a, 2)), r"8 positions per frame: .*virtual atoms"),
    "box": (edit("box", lambda a: a[:, :3]), r"box.npy: shape \(3, 3\). Expected \(3, 9\).*orthogonal cell"),
    "virial": (edit("virial", lambda a: a[:, :6]), r"virial.npy: shape \(3, 6\).*symmetric tensor"),
    "energy": (
        edit("energy", lambda a: np.tile(a[:, None], 4)),
        r"energy.npy: shape \(3, 4\).*atomic energies",
    ),
    "force": (edit("force", lambda a: a[:, :5]), r"force.npy: shape \(3, 5\).*Write the file again"),
    "collinear": (
        edit("spin", lambda a: a[:, :4]),
        r"spin.npy: shape \(3, 4\).*collinear moments.*\(0, 0, m\)",
    ),
    "magnetic only": (
        edit("spin", lambda a: a[:, :6]),
        r"2 vectors \(as many as .* type 0\) .*magnetic atoms only",
    ),
    "total moment": (edit("spin", lambda a: a[:, :3]), r"spin.npy.*total moment"),
    "spin nonsense": (edit("spin", lambda a: a[:, :5]), r"spin.npy: shape \(3, 5\).*one vector per atom"),
    # values
    "nan spin": (
        edit("spin", put((2, 10), np.nan)),
        r"set.001/spin.npy, frame 2, atom 3 \(O\), component y: nan \(1 of 6 frames",
    ),
    "coordinates of another world": (
        edit("coord", put((2, 10), 1e16)),
        r"set.001/coord.npy, frame 2, atom 3 \(O\), component y: 1e\+16 .*beyond 1e\+15",
    ),
    "inf energy": (edit("energy", put((1,), np.inf)), r"set.001/energy.npy, frame 1: inf"),
    "nan virial": (edit("virial", put((0, 5), np.nan)), r"set.001/virial.npy, frame 0, row 1, column 2: nan"),
    "nan box": (edit("box", put((0, 0), np.nan)), r"set.001/box.npy, frame 0, row 0, column 0: nan"),
    "zero cell": (
        edit("box", np.zeros_like),
        r"set.001/box.npy, frame 0: the cell .* along a, b and c.*`nopbc`.*`pbc.raw`",
    ),
    "flat cell": (
        edit("box", lambda a: np.tile([1.0, 0, 0, 0, 2, 0, 1, 2, 0], (3, 1))),
        r"Expected independent",
    ),
    "overlap": (edit("coord", overlap), r"coord.npy, frame 1: atoms 1 \(Ni\) and 2 \(O\) are 0.01 Å apart"),
}


WHOLE = {
    "": "FILE: empty file. Copy or write the file again.",
    "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 8\n": (
        "FILE: a Git LFS pointer, not the data. Run `git lfs pull` in that repository."
    ),
    "1 2 3 4": (
        "FILE: truncated, or not an array of numbers (EOF: reading magic string, expected 8 bytes got 7). "
        "Expected a file of numpy.save; pickled Python objects are never loaded. Copy the file again, or "
        "write it with a numeric dtype (all frames of one length)."
    ),
}
"""The message for each of some contents of an .npy file, word for word."""


@pytest.mark.parametrize("contents", WHOLE)
def test_messages_of_files_that_are_no_arrays(tmp_path: Path, contents: str) -> None:
    folder = write_npy(tmp_path / "s", frames(seed=1))
    file = folder / "set.000/spin.npy"
    file.write_text(contents)
    with pytest.raises(InputError) as caught:
        read_systems([folder])
    assert str(caught.value) == WHOLE[contents].replace("FILE", str(file))


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_by_its_place(tmp_path: Path, case: str) -> None:
    break_it, message = BAD[case]
    folder = write_npy(tmp_path / "s", frames(seed=1), frames(seed=2))
    break_it(folder)
    with pytest.raises(InputError, match=message) as caught:
        read_systems([folder])
    assert str(folder) in str(caught.value)


def test_a_pickle_in_place_of_an_array_is_not_loaded(tmp_path: Path) -> None:
    folder = write_npy(tmp_path / "s")
    # Would call os.mkdir on unpickling.
    trap = f"cos\nmkdir\n(V{tmp_path / 'unpickled'}\ntR.".encode()
    (folder / "set.000/spin.npy").write_bytes(trap)
    with pytest.raises(InputError, match="pickled Python objects are never loaded"):
        read_systems([folder])
    assert not (tmp_path / "unpickled").exists()


def test_collinear_and_magnetic_only_are_both_guessed(tmp_path: Path) -> None:
    """Six numbers for six atoms, two of them magnetic."""
    types = [0, 0, 1, 1, 1, 1]
    data = frames(1, types)
    data["spin"] = data["spin"][:, :6]
    with pytest.raises(InputError, match=r"collinear moments.*Or: 2 vectors \(as many as .* type 0\)"):
        read_systems([write_npy(tmp_path / "s", data, types=types)])
