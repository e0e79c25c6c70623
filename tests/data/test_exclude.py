"""data.exclude: which frames are left out, and the numbers of the others."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinpot.core.errors import InputError
from spinpot.data.datamodule import SpinDataModule
from spinpot.data.dataset import make_frames
from spinpot.data.exclude import Exclude
from spinpot.data.systems import System, read_systems, select
from spinpot.looks.labels import close_looks
from support.folders import write_npy
from support.frames import random_system, with_random_labels

FRAMES = 6


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """train/a, train/b and validation/a of six frames each."""
    for seed, name in enumerate(("train/a", "train/b", "validation/a")):
        write_npy(tmp_path / name, with_random_labels(random_system(seed, FRAMES), seed))
    return tmp_path


def module(place: Path, exclude: Mapping[str, Any] | None, **more: Any) -> SpinDataModule:
    sets = {"train": str(place / "train"), "validation": str(place / "validation")}
    return SpinDataModule(**{**sets, **more}, exclude=exclude)


def read(place: Path, exclude: Mapping[str, Any] | None, **more: Any) -> SpinDataModule:
    data = module(place, exclude, **more)
    data.read()
    return data


def refusal(place: Path, exclude: Mapping[str, Any]) -> str:
    with pytest.raises(InputError) as error:
        read(place, exclude)
    return str(error.value)


def origins(systems: list[System]) -> list[tuple[str, int]]:
    return [frame.origin for frame in make_frames(systems)]


def test_frames_are_left_out_and_the_others_keep_their_numbers(place, capsys):
    every, data = read(place, None), read(place, {"b": [4, "0-1"]})
    (_, whole), (first, second) = every.systems["train"], data.systems["train"]
    assert origins([first]) == [("a", k) for k in range(FRAMES)]
    assert origins([second]) == [("b", k) for k in (2, 3, 5)]
    for name in ("box", "coord", "spin", "energy", "force", "force_mag", "virial"):
        np.testing.assert_array_equal(getattr(second, name), getattr(whole, name)[[2, 3, 5]], err_msg=name)
    assert origins([select(second, np.array([2]))]) == [("b", 5)]
    assert second.where(1) == f"{place}/train/b/set.000/coord.npy, frame 3"
    assert "data.exclude leaves out 3 frames of b: 0, 1, 4.\n" in capsys.readouterr().out
    assert data.described["train"]["excluded"] == {"b": [0, 1, 4]}
    assert "excluded" not in data.described["validation"]
    changed = {name for name, digits in every.fingerprints().items() if data.fingerprints()[name] != digits}
    assert changed == {"train"}


def test_nothing_is_left_out_without_it(place, capsys):
    data = read(place, None)
    assert [len(system) for system in data.systems["train"]] == [FRAMES, FRAMES]
    assert data.systems["train"][0].numbers is None
    assert "exclude" not in capsys.readouterr().out
    assert data.fingerprints() == read(place, {}).fingerprints() == read(place, {"b": []}).fingerprints()


@pytest.mark.parametrize("whole", [False, True])
def test_a_path_tells_systems_of_one_name_apart(place, whole):
    key = str(place / "validation" / "a") if whole else "validation/a"
    data = read(place, {key: [0]})
    assert origins(data.systems["validation"]) == [("a", k) for k in range(1, FRAMES)]
    assert len(data.systems["train"][0]) == FRAMES
    assert data.described["validation"]["excluded"] == {"a": [0]}


def test_a_path_may_go_up(place, monkeypatch):
    monkeypatch.chdir(place / "train")
    assert len(read(place, {"../validation/a": [0]}).systems["validation"][0]) == FRAMES - 1


def test_a_system_that_is_in_two_sets_is_one(place):
    data = read(place, {"a": [3]}, validation=str(place / "train" / "a"))
    assert len(data.systems["train"][0]) == len(data.systems["validation"][0]) == FRAMES - 1


def test_numbers_are_counted_over_all_sets(place):
    folder = place / "train" / "b"
    (folder / "set.000").rename(folder / "set.001")
    write_npy(place / "more", with_random_labels(random_system(7, 4), 7))
    (place / "more" / "set.000").rename(folder / "set.000")
    (system,) = read(place, {"b": [0, 1, 2, 4, 5, 6]}).systems["train"][1:]
    assert origins([system]) == [("b", k) for k in (3, 7, 8, 9)]
    assert system.where(0) == f"{folder}/set.000/coord.npy, frame 3"
    assert system.where(1) == f"{folder}/set.001/coord.npy, frame 3"


def test_a_composition_of_a_mixed_folder(place):
    folder = place / "train" / "b"
    kinds = np.tile([0, 0, 0, 1, 1], (FRAMES, 1))
    kinds[::2] = [0, 0, 1, 1, 1]
    np.save(folder / "set.000" / "real_atom_types.npy", kinds)
    for key in ("b#1", "train/b#1"):
        data = read(place, {key: [2]})
        assert origins(data.systems["train"][2:]) == [("b#1", 0), ("b#1", 1)]
        assert data.systems["train"][2].where(1) == f"{folder}/set.000/coord.npy, frame 3"


def test_a_system_without_frames_is_not_there(place):
    data = read(place, {"b": ["0-5"]})
    assert [system.name for system in data.systems["train"]] == ["a"]
    assert data.described["train"]["excluded"] == {"b": list(range(FRAMES))}


def test_what_is_left_out_is_not_checked(place):
    file = place / "train" / "b" / "set.000" / "energy.npy"
    energy = np.load(file)
    energy[2] = np.nan
    np.save(file, energy)
    with pytest.raises(InputError, match="frame 2: nan"):
        read(place, {"b": [1]})
    assert origins(read(place, {"b": [2]}).systems["train"][1:])[2] == ("b", 3)


def test_a_line_about_a_frame_has_its_number(place):
    file = place / "train" / "b" / "set.000" / "coord.npy"
    coord = np.load(file).reshape(FRAMES, -1, 3)
    coord[5, 1] = coord[5, 0] + [0.0, 0.0, 0.6]
    np.save(file, coord)
    system = read(place, {"b": ["0-2"]}).systems["train"][1]
    (look,) = close_looks(system, range(len(system)))
    assert f"1 of 3 frames, {file}, frame 5: atoms 0" in look.seen


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": (
        {"c": [1]},
        "data.exclude: no set has a system c. Expected the name or the path of a system. The systems are: "
        "a, b. Correct the name, or exclude nothing with data.exclude=null.",
    ),
    "no end of a path": (
        {"rain/b": [1]},
        "data.exclude: no set has a system rain/b. Expected the name or the path of a system. The systems "
        "are: a, b. Correct the name, or exclude nothing with data.exclude=null.",
    ),
    "shared": (
        {"a": [1]},
        "data.exclude: a names 2 systems: PLACE/train/a, PLACE/validation/a. Expected one. Give a longer "
        "part of its path.",
    ),
    "too far": (
        {"b": [1, 6]},
        "data.exclude: b has no frame 6: PLACE/train/b holds 6 frames. Expected numbers from 0 to 5, counted "
        "over all its files. Correct the number.",
    ),
    "too far a range": (
        {"b": ["4-99999999999"]},
        "data.exclude: b has no frame 99999999999: PLACE/train/b holds 6 frames. Expected numbers from 0 to "
        "5, counted over all its files. Correct the number.",
    ),
    "all": (
        {"validation/a": ["0-5"]},
        "data.exclude leaves out every frame of data.validation. Expected at least one that stays. Exclude "
        "fewer, or give more folders.",
    ),
    "all of training": (
        {"train/a": ["0-5"], "b": ["0-5"]},
        "data.exclude leaves out every frame of data.train. Expected at least one that stays. Exclude fewer, "
        "or give more folders.",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_names_no_frames(place, case):
    exclude, message = WRONG[case]
    assert refusal(place, exclude) == message.replace("PLACE", str(place))


@pytest.mark.parametrize("number", [-1, 1.0, True, None, "8-", "5-3", "-1", [1]])
def test_what_is_no_frame(number):
    with pytest.raises(InputError) as error:
        Exclude({"b": [0, number]})
    assert str(error.value) == (
        f"data.exclude: b: {number} is not a frame number. Expected whole numbers from 0 on, or ranges of "
        "them, such as data.exclude='{data_0: [8, 12-15]}'. Correct it."
    )


@pytest.mark.parametrize("numbers", [3, "0-3", None, {"0": 1}])
def test_what_is_no_list(numbers):
    with pytest.raises(InputError) as error:
        Exclude({"b": numbers})
    assert str(error.value) == (
        f"data.exclude: b: {numbers}. Expected a list of frame numbers, such as "
        "data.exclude='{data_0: [8, 12-15]}'."
    )


def test_a_part_of_an_hdf5_file(place):
    dpdata = pytest.importorskip("dpdata")
    del dpdata
    h5py = pytest.importorskip("h5py")
    with h5py.File(place / "all.hdf5", "w") as file:
        for name in ("one", "two"):
            group = file.create_group(name)
            made = with_random_labels(random_system(3, 3), 3)
            group["type.raw"], group["type_map.raw"] = made.types, np.array(made.type_map, dtype="S")
            for array in ("box", "coord", "spin", "energy"):
                group[f"set.000/{array}.npy"] = getattr(made, array).reshape(3, -1)
    for key in ("all#two", "all.hdf5#two"):
        leave_out = partial(Exclude({key: [1]}).of, set_name="train")
        systems = read_systems([place / "all.hdf5"], leave_out=leave_out)
        assert origins(systems) == [*((("all#one", k)) for k in range(3)), ("all#two", 0), ("all#two", 2)]
