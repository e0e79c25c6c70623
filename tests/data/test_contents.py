"""Every array of a system is read, or reported as unused; two sources of one label must agree."""

from collections.abc import Callable
from pathlib import Path

import dpdata
import h5py
import lmdb as lmdb_package
import msgpack
import numpy as np
import pytest
from dpdata.data_type import Axis, DataType
from stored_samples import Arrays, assert_holds, frames, labeled, write_hdf5, write_npy, write_raw

from spinpot.core.errors import InputError
from spinpot.core.notes import Notes
from spinpot.data.datamodule import SpinDataModule
from spinpot.data.readers.deepmd.lmdb_files import ORDER
from spinpot.data.readers.old_layout import OldLayout
from spinpot.data.readers.reader import Wanted
from spinpot.data.systems import System, read_systems


def npy(folder: Path, data: Arrays) -> Path:
    return write_npy(folder, data)


def mixed(folder: Path, data: Arrays) -> Path:
    return write_npy(folder, data | {"real_atom_types": np.tile([0, 0, 1, 1], (3, 1))}, types=[0] * 4)


def hdf5(folder: Path, data: Arrays) -> Path:
    with h5py.File(folder.with_suffix(".hdf5"), "w") as file:
        write_hdf5(file, data)
    return folder.with_suffix(".hdf5")


def lmdb(folder: Path, data: Arrays) -> Path:
    """With what dpdata does not know as a type of its own."""
    known = set(frames())
    system = labeled(
        {name: array for name, array in data.items() if name in known}, [0, 0, 1, 1], ["Ni", "O"]
    )
    for name in set(data) - known:
        per_frame = data[name].shape[1]
        kind = DataType(name, np.ndarray, (Axis.NFRAMES, per_frame), required=False, deepmd_name=name)
        dpdata.LabeledSystem.register_data_type(kind)
        system.data[name] = data[name]
    system.to("deepmd/lmdb", str(folder.with_suffix(".lmdb")))
    return folder.with_suffix(".lmdb")


WRITERS = {"npy": npy, "raw": write_raw, "mixed": mixed, "hdf5": hdf5, "lmdb": lmdb}
ENDINGS = {"npy": ".npy", "raw": ".raw", "mixed": ".npy", "hdf5": ".npy", "lmdb": ""}


def read(path: Path) -> tuple[System, list[str]]:
    notes = Notes()
    (system,) = read_systems([path], notes=notes)
    order = f"{ORDER} ({system.name})"
    assert (order in notes) == (path.suffix == ".lmdb")
    return system, [line for line in notes if line != order]


@pytest.fixture(autouse=True)
def same_data_types() -> object:
    """What a test registers with dpdata is forgotten."""
    kept = dpdata.System.DTYPES, dpdata.LabeledSystem.DTYPES
    yield
    dpdata.System.DTYPES, dpdata.LabeledSystem.DTYPES = kept


@pytest.mark.parametrize("layout", WRITERS)
def test_nothing_is_said_where_all_is_read(tmp_path: Path, layout: str) -> None:
    data = frames()
    system, notes = read(WRITERS[layout](tmp_path / "s", data))
    assert_holds(system, data)
    assert notes == []


@pytest.mark.parametrize("layout", WRITERS)
def test_one_array_more_is_named(tmp_path: Path, layout: str) -> None:
    """The rule itself."""
    data = frames()
    system, notes = read(WRITERS[layout](tmp_path / "s", data | {"some_numbers": np.ones((3, 7))}))
    assert_holds(system, data)
    assert notes == [f"some_numbers{ENDINGS[layout]}: not used (s)"]


@pytest.mark.parametrize("layout", ["npy", "raw", "mixed", "hdf5"])
@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("force", "forces"),
        ("force_mag", "mforce"),
        ("force_mag", "force_mags"),
        ("force_mag", "magnetic_forces"),
        ("energy", "energies"),
        ("virial", "virials"),
        ("spin", "spins"),
        ("coord", "coords"),
        ("box", "cells"),
    ],
)
def test_other_names_are_read_and_said(tmp_path: Path, layout: str, name: str, other: str) -> None:
    data = frames()
    renamed = {(other if key == name else key): array for key, array in data.items()}
    system, notes = read(WRITERS[layout](tmp_path / "s", renamed))
    assert_holds(system, data)
    assert notes == [f"{other}{ENDINGS[layout]}: read as {name} (s)"]


def test_mforce_of_a_database_is_read(tmp_path: Path) -> None:
    data = frames()
    renamed = {("mforce" if key == "force_mag" else key): array for key, array in data.items()}
    system = labeled(data, [0, 0, 1, 1], ["Ni", "O"])
    del system.data["force_mags"]
    kind = DataType("mforce", np.ndarray, (Axis.NFRAMES, Axis.NATOMS, 3), required=False)
    dpdata.LabeledSystem.register_data_type(kind)
    system.data["mforce"] = renamed["mforce"].reshape(3, 4, 3)
    system.to("deepmd/lmdb", str(tmp_path / "s.lmdb"))
    made, notes = read(tmp_path / "s.lmdb")
    assert_holds(made, data)
    assert notes == ["mforce: read as force_mag (s)"]


@pytest.mark.parametrize("layout", ["npy", "hdf5"])
def test_two_sources_of_one_label(tmp_path: Path, layout: str) -> None:
    data = frames()
    again = data | {"forces": data["force"].astype(np.float32)}  # as NepTrainKit writes them
    system, notes = read(WRITERS[layout](tmp_path / "s", again))
    assert_holds(system, data)
    assert notes == ["forces.npy: not used, it holds the same numbers as force.npy (s)"]
    other = data | {"forces": data["force"] + 1e-5}
    path = WRITERS[layout](tmp_path / "t", other)
    place = f"{path}{'/set.000' if layout == 'npy' else '#/set.000'}".replace("#/", "/")
    with pytest.raises(InputError) as caught:
        read_systems([path])
    assert str(caught.value) == (
        f"{place}/force.npy and {place}/forces.npy: both would be read as force, and they differ. Expected "
        "one of them, or the same numbers in both. Remove the one that is wrong."
    )


def old_layout(folder: Path, **more: np.ndarray) -> tuple[System, list[str]]:
    """Two Ni and two O with virtual atoms of Ni behind them, read."""
    data = frames(types=[0, 0, 1, 1, 2, 2])
    data["coord"].reshape(3, 6, 3)[:, 4:] = data["coord"].reshape(3, 6, 3)[:, :2] + 0.3
    del data["spin"], data["force_mag"]
    path, notes = write_npy(folder, data | more, types=[0, 0, 1, 1, 2, 2]), Notes()
    (system,) = OldLayout().read(path, Wanted(("Ni", "O"), magnetic=("Ni",), virtual_scale=0.3), notes)
    return system, list(notes)


def test_one_array_more_of_the_old_layout_is_named(tmp_path: Path) -> None:
    system, notes = old_layout(tmp_path / "s", some_numbers=np.ones((3, 7)), spin=np.ones((3, 18)))
    np.testing.assert_allclose(system.spin[:, :2], 1.0)
    assert notes == [f"some_numbers.npy: not used ({tmp_path / 's'})", f"spin: not used ({tmp_path / 's'})"]
    assert old_layout(tmp_path / "t")[1] == []
    with pytest.raises(InputError, match=r"force.npy: shape \(3, 12\). Expected \(3, 18\)"):
        old_layout(tmp_path / "u", force=np.ones((3, 12)))


def test_what_lies_beside_the_sets(tmp_path: Path) -> None:
    folder = write_npy(tmp_path / "s")
    (folder / "coord.raw").write_text("1 2 3")
    (folder / "set.000/notes.txt").write_text("no array")
    np.savez(folder / "set.000/more.npz", np.ones(3))
    np.save(folder / "atom_ener.npy", np.ones(3))
    _, notes = read(folder)
    assert notes == ["atom_ener.npy: not used (s)", "coord.raw: not used (s)", "more.npz: not used (s)"]


def test_stress_is_not_virial(tmp_path: Path) -> None:
    data = frames()
    stress = data.pop("virial")
    system, notes = read(write_npy(tmp_path / "s", data | {"stress": stress, "magmoms": data["spin"]}))
    assert system.virial is None
    assert notes == [
        "magmoms.npy: not used, moments are read from spin.npy (s)",
        "stress.npy: not used: virial = −volume · stress, in eV; write it to virial.npy (s)",
    ]


def test_a_folder_without_spins_says_what_else_is_there(tmp_path: Path) -> None:
    data = frames()
    data["magmoms"] = data.pop("spin")
    with pytest.raises(InputError, match=r"s: spin.npy is missing\..* Here are also: magmoms.npy\. If its"):
        read_systems([write_npy(tmp_path / "s", data)])


def test_an_array_that_is_not_used_may_be_anything(tmp_path: Path) -> None:
    folder = write_npy(tmp_path / "s")
    np.save(folder / "set.000/names.npy", np.array([None, "x"], dtype=object), allow_pickle=True)
    (folder / "set.000/cut.npy").write_bytes(b"\x93NUMPY\x01")
    assert read(folder)[1] == ["cut.npy: not used (s)", "names.npy: not used (s)"]


def test_a_line_of_each_kind_for_all_systems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for k in range(5):
        write_npy(tmp_path / f"train/s{k}", frames() | {"aparam": np.ones((3, 4))})
    write_npy(tmp_path / "validation/v", frames() | {"aparam": np.ones((3, 4)), "fparam": np.ones((3, 1))})
    SpinDataModule(train=[str(tmp_path / "train")], validation=[str(tmp_path / "validation")]).read()
    assert capsys.readouterr().out.splitlines() == [
        "aparam.npy: not used (s0, s1, s2 and 3 more)",
        "fparam.npy: not used (v)",
    ]
    read_systems([tmp_path / "validation"])  # whoever collects nothing has it printed
    assert capsys.readouterr().out.splitlines() == ["aparam.npy: not used (v)", "fparam.npy: not used (v)"]


# ---- periodicity ----


def cluster_npy(folder: Path, data: Arrays) -> Path:
    path = write_npy(folder, data)
    (path / "nopbc").touch()
    return path


def cluster_raw(folder: Path, data: Arrays) -> Path:
    path = write_raw(folder, data)
    (path / "nopbc").touch()
    return path


def cluster_hdf5(folder: Path, data: Arrays) -> Path:
    path = hdf5(folder, data)
    with h5py.File(path, "a") as file:
        file["nopbc"] = True
    return path


def cluster_lmdb(folder: Path, data: Arrays) -> Path:
    system = labeled(data, [0, 0, 1, 1], ["Ni", "O"])
    system.data["nopbc"] = True
    system.data["cells"] = np.zeros((3, 3, 3))
    system.to("deepmd/lmdb", str(folder.with_suffix(".lmdb")))
    return folder.with_suffix(".lmdb")


@pytest.mark.parametrize("write", [cluster_npy, cluster_raw, cluster_hdf5, cluster_lmdb])
@pytest.mark.parametrize("with_box", [True, False])
def test_nopbc(tmp_path: Path, write: Callable[[Path, Arrays], Path], with_box: bool) -> None:
    data = frames()
    kept = {name: array for name, array in data.items() if with_box or name != "box"}
    system, notes = read(write(tmp_path / "s", data if write is cluster_lmdb else kept))
    assert system.pbc == (False, False, False)
    assert notes == ["Periodic in no direction of the cell (s)"]
    del kept["box" if with_box else "coord"]
    assert_holds(system, kept)


@pytest.mark.parametrize("layout", ["npy", "raw", "hdf5"])
def test_pbc_raw(tmp_path: Path, layout: str) -> None:
    data = frames()
    path = WRITERS[layout](tmp_path / "s", data)
    if layout == "hdf5":
        with h5py.File(path, "a") as file:
            file["pbc.raw"] = np.array([1, 0, 1])
    else:
        (path / "pbc.raw").write_text("1 0 1\n")
    system, notes = read(path)
    assert system.pbc == (True, False, True)
    assert notes == ["Periodic along a and c of the cell (s)"]
    assert_holds(system, data)


# ---- LMDB ----


def test_a_database_of_two_compositions(tmp_path: Path) -> None:
    first, second = frames(3, seed=1), frames(2, [0] * 6, seed=2)
    both = dpdata.MultiSystems(
        labeled(first, [1, 0, 1, 0], ["O", "Ni"]),
        labeled(second, [0] * 6, ["Fe"]),
        type_map=["Ni", "O", "Fe"],
    )
    both.to("deepmd/lmdb", str(tmp_path / "all/data.lmdb"))
    write_npy(tmp_path / "all/other")
    for given in (tmp_path / "all", tmp_path / "all/data.lmdb", tmp_path / "all/data.lmdb/data.mdb"):
        by_name = {system.name: system for system in read_systems([given])}
        nio, iron = by_name["data#Ni2O2"], by_name["data#Fe6"]
        assert nio.type_map == ("Ni", "O", "Fe")
        assert nio.types.tolist() == [0, 0, 1, 1]
        order = [0, 2, 1, 3]  # dpdata sorts atoms by type
        for name in ("coord", "spin", "force", "force_mag"):
            stored = first[name].reshape(3, 4, 3)[:, order]
            np.testing.assert_array_equal(getattr(nio, name), stored)
        assert_holds(iron, second)
    assert iron.where(1, "spin") == f"{tmp_path / 'all/data.lmdb'}#Fe6/spin, frame 1"
    (only,) = read_systems([f"{tmp_path / 'all/data.lmdb'}#Fe6"])
    assert_holds(only, second)
    with pytest.raises(InputError, match=r"data.lmdb: no Mn6. The database has: Ni2O2, Fe6"):
        read_systems([f"{tmp_path / 'all/data.lmdb'}#Mn6"])


def test_databases_are_checked_as_folders_are(tmp_path: Path) -> None:
    data = frames()
    data["force"][1, 4] = np.nan
    with pytest.raises(InputError, match=r"s.lmdb#Ni2O2/force, frame 1, atom 1 \(Ni\), component y: nan"):
        read_systems([lmdb(tmp_path / "s", data)])
    file = lmdb(tmp_path / "t", frames(200)) / "data.mdb"
    content = file.read_bytes()
    for part in (content[: len(content) // 20], content[: len(content) // 2]):  # else the process would end
        file.write_bytes(part)
        with pytest.raises(InputError, match=rf"t.lmdb/data.mdb: truncated: {len(part)} bytes, where"):
            read_systems([tmp_path / "t.lmdb"])
    file.write_text("version https://git-lfs.github.com/spec/v1\n" * 200)
    with pytest.raises(InputError, match=r"t.lmdb/data.mdb: a Git LFS pointer, not the data.*git lfs pull"):
        read_systems([tmp_path / "t.lmdb"])
    file.write_text("something else\n" * 2000)
    with pytest.raises(InputError, match=r"t.lmdb/data.mdb: cannot be opened as an LMDB database"):
        read_systems([tmp_path / "t.lmdb"])


WRONG_RECORDS = {
    "000000000001": {
        "is missing": None,
        "is no record": b"\xc1",
        "has other arrays": msgpack.packb(
            {"atom_types": {"type": "int32", "data": bytes([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0])}}
        ),
        "no type index": msgpack.packb({"atom_types": {"type": "int32", "data": b"\xff\xff\xff\xff"}}),
    },
    "__metadata__": {
        "is missing": None,
        "is empty": msgpack.packb({}),
        "has no frames": msgpack.packb({"nframes": 0}),
        "is no mapping": msgpack.packb(3),
    },
}


@pytest.mark.parametrize(
    ("key", "case"), [(key, case) for key, cases in WRONG_RECORDS.items() for case in cases]
)
def test_records_that_cannot_be_read(tmp_path: Path, key: str, case: str) -> None:
    place, record = lmdb(tmp_path / "s", frames()), WRONG_RECORDS[key][case]
    with lmdb_package.open(str(place)) as database, database.begin(write=True) as change:
        if record is None:
            change.delete(key.encode())
        else:
            change.put(key.encode(), record)
    with pytest.raises(
        InputError, match=rf"s.lmdb: cannot be read as a database of deepmd-kit|s.lmdb, frame {key}"
    ):
        read_systems([place])


def test_a_database_without_spins(tmp_path: Path) -> None:
    system = labeled(frames(), [0, 0, 1, 1], ["Ni", "O"])
    del system.data["spins"]
    system.to("deepmd/lmdb", str(tmp_path / "s.lmdb"))
    with pytest.raises(InputError, match=r"s.lmdb#Ni2O2: spin is missing"):
        read_systems([tmp_path / "s.lmdb"])
    assert not read_systems([tmp_path / "s.lmdb"], non_magnetic=True)[0].spin.any()
