"""Systems of every layout become the same checked frames with one type map."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import dpdata
import h5py
import numpy as np
import pytest
from stored_samples import (
    LABELS,
    TYPES,
    assert_holds,
    frames,
    labeled,
    write_hdf5,
    write_npy,
    write_raw,
)

from spinpot.core.errors import InputError
from spinpot.core.notes import Notes
from spinpot.data.systems import System, _distinct_names, _unique_names, read_systems

# ---- layouts ----


def test_npy(tmp_path: Path) -> None:
    data = frames()
    (system,) = read_systems([write_npy(tmp_path / "NiO", data)])
    assert_holds(system, data)
    assert (system.name, system.path, system.type_map) == ("NiO", tmp_path / "NiO", ("Ni", "O"))
    assert (len(system), system.n_atoms, system.labels) == (3, 4, LABELS)
    assert system.types.dtype == np.int64
    assert system.types.tolist() == TYPES
    shapes = {n: getattr(system, n).shape for n in ("box", "coord", "spin", *LABELS)}
    assert shapes["box"] == shapes["virial"] == (3, 3, 3)
    assert shapes["energy"] == (3,)
    assert {shapes[n] for n in ("coord", "spin", "force", "force_mag")} == {(3, 4, 3)}


@pytest.mark.parametrize("layout", ["npy", "raw", "hdf5", "mixed"])
@pytest.mark.parametrize("missing", [*((name,) for name in LABELS), LABELS])
def test_a_missing_label_is_none(tmp_path: Path, layout: str, missing: tuple[str, ...]) -> None:
    data = {n: a for n, a in frames().items() if n not in missing}
    path = tmp_path / "system"
    if layout == "npy":
        write_npy(path, data)
    elif layout == "raw":
        write_raw(path, data)
    elif layout == "mixed":
        write_npy(path, data | {"real_atom_types": np.tile(TYPES, (3, 1))}, types=[0] * 4)
    else:
        with h5py.File(path, "w") as file:
            write_hdf5(file, data)
    (system,) = read_systems([path])
    assert system.labels == tuple(n for n in LABELS if n not in missing)
    assert all(getattr(system, n) is None for n in missing)
    assert_holds(system, data)


def test_raw_and_npy_agree(tmp_path: Path) -> None:
    data = frames(1)
    raw, npy = read_systems([write_raw(tmp_path / "raw", data), write_npy(tmp_path / "npy", data)])
    assert_holds(npy, data)
    for name in data:
        np.testing.assert_allclose(getattr(raw, name), getattr(npy, name), rtol=1e-14)
    assert raw.where(0, "spin") == f"{tmp_path / 'raw' / 'spin.raw'}, frame 0"


def test_sets_go_before_raw_files(tmp_path: Path) -> None:
    data = frames(2)
    write_raw(tmp_path / "both", frames(1))
    for name, array in data.items():
        (tmp_path / "both/set.000").mkdir(exist_ok=True)
        np.save(tmp_path / "both/set.000" / name, array)
    assert_holds(read_systems([tmp_path / "both"])[0], data)


def test_float32_and_column_energies(tmp_path: Path) -> None:
    data = {n: a.astype(np.float32) for n, a in frames().items()}
    data["energy"] = data["energy"][:, None]
    data["spin"] = data["spin"].reshape(3, 4, 3)
    assert_holds(read_systems([write_npy(tmp_path / "s", data)])[0], data)


def test_several_sets_are_joined_in_order(tmp_path: Path) -> None:
    first, second = frames(2, seed=1), frames(3, seed=2)
    (system,) = read_systems([write_npy(tmp_path / "s", first, second)])
    assert_holds(system, {n: np.concatenate([first[n], second[n]]) for n in first})
    assert system.where(3) == f"{tmp_path / 's/set.001/coord.npy'}, frame 1"


def test_systems_of_different_size_and_composition(tmp_path: Path) -> None:
    write_npy(tmp_path / "b", frames(2, [0] * 6), types=[0] * 6, names="Fe")
    write_npy(tmp_path / "a", frames(3))
    systems = read_systems([tmp_path])
    assert [(s.name, len(s), s.n_atoms) for s in systems] == [("a", 3, 4), ("b", 2, 6)]
    assert {s.type_map for s in systems} == {("Ni", "O", "Fe")}
    assert systems[1].types.tolist() == [2] * 6


def test_types_are_mapped_by_name(tmp_path: Path) -> None:
    write_npy(tmp_path / "a", types=[0, 2, 1, 1], names="O Ni Fe Unused")
    (system,) = read_systems([tmp_path / "a"], type_map=["Fe", "Ni", "O"])
    assert system.type_map == ("Fe", "Ni", "O")
    assert system.types.tolist() == [2, 0, 1, 1]
    (system,) = read_systems([tmp_path / "a"])
    assert system.type_map == ("O", "Ni", "Fe", "Unused")
    assert system.types.tolist() == [0, 2, 1, 1]


def test_without_type_map_file_numbers_index_the_given_map(tmp_path: Path) -> None:
    write_npy(tmp_path / "a", names=None)
    assert read_systems([tmp_path / "a"], type_map=["O", "Ni"])[0].types.tolist() == TYPES
    with pytest.raises(InputError, match=r"type_map.raw is missing.*\[0, 1\]"):
        read_systems([tmp_path / "a"])
    with pytest.raises(InputError, match=r"type 1, but the given type map.*1 names: Ni"):
        read_systems([tmp_path / "a"], type_map=["Ni"])


def test_names_are_unique_and_clashes_show_parents(tmp_path: Path) -> None:
    for place in ("x/data_0", "y/data_0", "y/data_1"):
        write_npy(tmp_path / place)
    assert [s.name for s in read_systems([tmp_path])] == ["x-data_0", "y-data_0", "data_1"]


def test_links_are_followed(tmp_path: Path) -> None:
    write_npy(tmp_path / "elsewhere" / "real")
    (tmp_path / "all").mkdir()
    (tmp_path / "all/link").symlink_to(tmp_path / "elsewhere/real")
    (tmp_path / "all/loop").symlink_to(tmp_path / "all")
    assert [s.name for s in read_systems([tmp_path / "all"])] == ["link"]


@pytest.mark.parametrize("name", ["lr[0]", "a*b", "what?", "a#b", "with space"])
def test_odd_folder_names(tmp_path: Path, name: str) -> None:
    data = frames()
    (system,) = read_systems([write_npy(tmp_path / name / "s", data)])
    assert_holds(system, data)


def test_one_path_may_be_given_alone(tmp_path: Path) -> None:
    assert len(read_systems(str(write_npy(tmp_path / "s")))) == 1


def test_spins_are_zero_only_by_the_users_word(tmp_path: Path) -> None:
    data = frames()
    del data["spin"]
    folder, notes = write_npy(tmp_path / "s", data), Notes()
    (system,) = read_systems([folder], non_magnetic=True, notes=notes)
    assert not system.spin.any()
    assert list(notes) == ["No spins: taken as non-magnetic, with spins of zero (s)"]
    with pytest.raises(
        InputError, match=r"s: spin.npy is missing.*spinpot prepare --non-magnetic, which writes"
    ):
        read_systems([folder])


def test_frames_made_in_memory_need_no_place() -> None:
    n = np.zeros((1, 1, 3))
    system = System("own", Path(), ("Fe",), np.zeros(1, int), np.eye(3)[None], n, n, None, None, None, None)
    assert system.where(0) == "own, coord, frame 0"
    assert system.labels == ()


# ---- mixed ----


def test_mixed_gives_one_system_per_composition(tmp_path: Path) -> None:
    data = frames(5)
    rows = np.array([[1, 0, 0, 0], [0, 0, 1, 1], [1, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]])
    first = {n: a[:2] for n, a in (data | {"real_atom_types": rows}).items()}
    second = {n: a[2:] for n, a in (data | {"real_atom_types": rows}).items()}
    folder = write_npy(tmp_path / "mix", first, second, types=[0] * 4)
    a, b = read_systems([folder], type_map=["O", "Ni"])
    assert (a.name, b.name) == ("mix#0", "mix#1")
    assert a.types.tolist() == [0, 1, 1, 1]
    assert b.types.tolist() == [1, 1, 0, 0]
    assert_holds(a, {n: v[[0, 2]] for n, v in data.items()})
    assert_holds(b, {n: v[[1, 3, 4]] for n, v in data.items()})
    assert b.where(1) == f"{folder / 'set.001/coord.npy'}, frame 1"


def test_mixed_without_names_needs_the_given_map(tmp_path: Path) -> None:
    mixed = frames() | {"real_atom_types": np.tile([1, 1, 0, 0], (3, 1))}
    write_npy(tmp_path / "mix", mixed, types=[0] * 4, names=None)
    assert read_systems([tmp_path / "mix"], type_map=["Ni", "O"])[0].types.tolist() == [1, 1, 0, 0]
    with pytest.raises(InputError, match=r"type_map.raw is missing"):
        read_systems([tmp_path / "mix"])


@pytest.mark.parametrize("layout", ["deepmd/npy/mixed", "deepmd/hdf5/mixed"])
def test_padded_mixed_data_written_by_dpdata(tmp_path: Path, layout: str) -> None:
    one, two = frames(2), frames(3, [0, 1, 0], seed=2)
    both = dpdata.MultiSystems(labeled(one, TYPES, ["Ni", "O"]), labeled(two, [0, 1, 0], ["Ni", "O"]))
    both.to(layout, str(tmp_path / "data"), atom_numb_pad=8)
    systems = sorted(read_systems([tmp_path / "data"]), key=lambda s: -s.n_atoms)
    for system, data, types in zip(systems, (one, two), (TYPES, [0, 1, 0]), strict=True):
        assert system.types.tolist() == types
        assert_holds(system, data)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0, 0, 1, 2], r"type 2, but type_map.raw has 2 names"),
        ([0, 0, 1, -2], r"real_atom_types.npy, frame 2, atom 3: type -2"),
        ([-1, -1, -1, -1], r"real_atom_types.npy, frame 2: only padding"),
    ],
)
def test_bad_mixed_types(tmp_path: Path, row: list[int], message: str) -> None:
    mixed = frames() | {"real_atom_types": np.array([TYPES, TYPES, row])}
    with pytest.raises(InputError, match=message):
        read_systems([write_npy(tmp_path / "s", mixed, types=[0] * 4)])


def test_nan_in_a_mixed_folder_names_the_stored_frame(tmp_path: Path) -> None:
    mixed = frames() | {"real_atom_types": np.array([[1, 1, 0, 0], TYPES, TYPES])}
    mixed["force_mag"][2, 0] = np.nan
    message = r"force_mag.npy, frame 2, atom 0 \(Ni\), component x: nan \(1 of 2"
    with pytest.raises(InputError, match=message):
        read_systems([write_npy(tmp_path / "s", mixed, types=[0] * 4)])


# ---- HDF5 ----


def test_hdf5_of_several_groups(tmp_path: Path) -> None:
    one, two = frames(2), frames(4, [0, 0, 0], seed=3)
    file = tmp_path / "all.hdf5"
    with h5py.File(file, "w") as root:
        write_hdf5(root.create_group("fe/bulk"), two, types=[0, 0, 0], names="Fe")
        write_hdf5(
            root.create_group("nio"), {n: a[:1] for n, a in one.items()}, {n: a[1:] for n, a in one.items()}
        )
        root.create_group("empty")
    fe, nio = read_systems([file])
    assert (fe.name, nio.name) == ("all#fe-bulk", "all#nio")
    assert_holds(fe, two)
    assert_holds(nio, one)
    assert nio.where(1, "spin") == f"{file}#nio/set.001/spin.npy, frame 0"
    (only,) = read_systems([f"{file}#fe/bulk"])
    assert only.name == "all"
    assert_holds(only, two)


def test_hdf5_written_by_dpdata(tmp_path: Path) -> None:
    data = frames()
    labeled(data, TYPES, ["Ni", "O"]).to("deepmd/hdf5", str(tmp_path / "data.hdf5"))
    assert_holds(read_systems([tmp_path / "data.hdf5"])[0], data)


# ---- refusals ----


def test_a_system_given_twice(tmp_path: Path) -> None:
    write_npy(tmp_path / "a")
    with pytest.raises(InputError, match=r"a: given twice"):
        read_systems([tmp_path, tmp_path / "a"])


@pytest.mark.parametrize("type_map", [[], ["Ni", "Ni"], "NiO"])
def test_bad_type_maps(tmp_path: Path, type_map: Sequence[str]) -> None:
    with pytest.raises(InputError, match=r"type_map: .*every element once"):
        read_systems([write_npy(tmp_path / "a")], type_map=type_map)


def test_an_element_the_type_map_lacks(tmp_path: Path) -> None:
    message = r"a: holds O \(its elements: Ni O\), which the given type map lacks: Ni Fe"
    with pytest.raises(InputError, match=message):
        read_systems([write_npy(tmp_path / "a")], type_map=["Ni", "Fe"])


def test_an_array_that_cannot_be_read_is_told_by_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("Input/output error")

    folder = write_npy(tmp_path / "s")
    monkeypatch.setattr(os, "pread", refuse)
    with pytest.raises(InputError, match=r"s/set.000/box.npy: cannot be read \(OSError: Input/output error"):
        read_systems([folder])


# ---- real frames ----


@pytest.fixture
def real() -> Path:
    folder = os.environ.get("SPINPOT_DATA")
    if not folder:
        pytest.skip("SPINPOT_DATA is not set: no real frames to read")
    return Path(folder)


def needs(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


def test_real_nio(real: Path) -> None:
    systems = read_systems([needs(real / "NiO_deltaspin")])
    assert [(s.name, len(s), s.n_atoms) for s in systems] == [
        ("data_0", 60, 32),
        ("data_1", 60, 32),
        ("data_2", 31, 32),
    ]
    for system in systems:
        assert system.type_map == ("Ni", "O")
        assert system.labels == ("energy", "force", "force_mag")
        moments = np.linalg.norm(system.spin, axis=2)
        assert ((moments > 1.27) & (moments < 1.29) == (system.types == 0)).all()
        stored = np.load(system.path / "set.000/force_mag.npy")
        np.testing.assert_array_equal(system.force_mag, stored.reshape(-1, 32, 3))


def test_real_iron_in_both_layouts(real: Path) -> None:
    npy, raw = read_systems([needs(real / "Fe16")], type_map=["Ni", "Fe"])
    assert (npy.name, raw.name) == ("Fe16-npy", "Fe16-raw")
    assert npy.labels == raw.labels == LABELS
    assert set(npy.types) == {1}
    for name in ("box", "coord", "spin", *LABELS):
        np.testing.assert_allclose(getattr(raw, name), getattr(npy, name), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("type_map", [None, ["Ni", "O"]])
def test_the_real_old_layout_is_explained(real: Path, type_map: list[str] | None) -> None:
    message = r"NiO_tf_layout/data_0: spin.npy is missing.*old layout"
    if type_map:
        message = r"Its 3 types for 2 elements \(Ni O\) suggest deepmd-kit's " + re.escape("old layout")
    with pytest.raises(InputError, match=message):
        read_systems([needs(real / "NiO_tf_layout")], type_map=type_map)


def named(*paths):
    """The names of systems in some folders, by the function that read_systems calls."""
    return _unique_names([SimpleNamespace(path=Path(path), layout="npy", group="") for path in paths])


def test_names_are_lengthened_only_where_two_are_the_same():
    assert named("/d/a/data", "/d/b/data", "/d/b/other") == ["a-data", "b-data", "other"]
    assert named("/x/a/data", "/y/a/data", "/z/b/data") == ["x-a-data", "y-a-data", "b-data"]
    assert named("/d/a-b/c", "/d/a/b-c", "/e/f/c") == ["a-b-c", "b-c", "f-c"]


class Counted(str):
    """A part of a path that counts how often it is compared."""

    comparisons = 0
    __hash__ = str.__hash__

    def __eq__(self, other):
        Counted.comparisons += 1
        return str(self) == str(other)


def test_naming_is_linear():
    """Twice the systems take about twice the comparisons, not four times."""
    counts = []
    for number in (200, 400):
        folders = [("d", f"round.{k // 20:05d}", "dft", f"sys.{k % 20:02d}") for k in range(number)]
        Counted.comparisons = 0
        names = _distinct_names([tuple(map(Counted, folder)) for folder in folders])
        counts.append(Counted.comparisons)
        assert names[-1] == "-".join(folders[-1][1:])
    assert 0 < counts[1] < 3 * counts[0]
