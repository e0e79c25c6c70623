"""Frames of large sets are checked when read: a broken one raises an error, or is skipped and counted."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stored_samples import Arrays, frames, write_npy

from spinpot.core.errors import InputError
from spinpot.data.broken import looks_sound
from spinpot.data.datamodule import SpinDataModule
from spinpot.data.dataset import make_frame
from support.frames import geometry, small_potential

BAD = 17  # the number of the frame
SAMPLE = 4
SPEC = small_potential().spec


def _at(name: str, value: float, atom: int = 0) -> Callable[[Arrays], None]:
    def spoil(arrays: Arrays) -> None:
        arrays[name].reshape(len(arrays[name]), -1)[BAD, atom] = value

    return spoil


def _on_an_atom(arrays: Arrays) -> None:
    arrays["coord"][BAD, 3:6] = arrays["coord"][BAD, :3] + 0.01


def _flat(arrays: Arrays) -> None:
    arrays["box"][BAD, 6:] = arrays["box"][BAD, :3]


SPOILT = {
    "NaN force": (_at("force", np.nan, 4), "force.npy, frame 17, atom 1 .Ni., component y: nan"),
    "NaN energy": (_at("energy", np.nan), "energy.npy, frame 17: nan"),
    "infinite coordinate": (_at("coord", np.inf), "coord.npy, frame 17, atom 0"),
    "huge spin": (_at("spin", -1e20), "spin.npy, frame 17, atom 0"),
    "atom on an atom": (_on_an_atom, "coord.npy, frame 17: atoms 0 .Ni. and 1 .Ni. are 0.0173 Å apart"),
    "flat cell": (_flat, "box.npy, frame 17: the cell"),
}


def module(tmp_path: Path, spoil: Callable[[Arrays], None], **options: object) -> SpinDataModule:
    arrays = frames(25)
    spoil(arrays)
    write_npy(tmp_path / "train", arrays)
    write_npy(tmp_path / "validation", frames(3, seed=2))
    made = SpinDataModule(
        str(tmp_path / "train"), str(tmp_path / "validation"), **{"sample": SAMPLE, "seed": 2} | options
    )
    made.read()
    made.make_datasets(geometry(SPEC))
    return made


@pytest.mark.parametrize("case", SPOILT)
def test_a_broken_frame_names_itself_when_it_is_read(tmp_path: Path, case: str) -> None:
    spoil, message = SPOILT[case]
    dataset = module(tmp_path, spoil).datasets["train"]
    assert dataset.batch([BAD - 1, BAD + 1]).n_frames == 2
    with pytest.raises(InputError, match=f"train/set.000/{message}"):
        dataset.batch([BAD - 1, BAD])


@pytest.mark.parametrize("case", SPOILT)
def test_broken_frames_are_left_out_and_counted(tmp_path: Path, case: str, capsys) -> None:
    spoil, _message = SPOILT[case]
    data = module(tmp_path, spoil, skip_broken=True)
    dataset = data.datasets["train"]
    capsys.readouterr()
    for _ in range(2):
        assert [number for _, number in dataset.batch([3, BAD, 8]).origin] == [3, 8]
    assert dataset.batch([BAD]).n_frames == 0
    assert sum(batch.n_frames for batch in dataset.batches()) == 24
    assert capsys.readouterr().out.count("look: left out (data.skip_broken):") == 1
    assert data.broken["train"].frames == {("train", BAD)}


@pytest.mark.parametrize("case", SPOILT)
def test_small_sets_lose_them_at_the_start(tmp_path: Path, case: str) -> None:
    data = module(tmp_path, SPOILT[case][0], skip_broken=True, sample=99)
    (system,) = data.systems["train"]
    assert system.in_memory
    assert [system.number(k) for k in range(len(system))] == [k for k in range(25) if k != BAD]
    assert data.broken["train"].frames == {("train", BAD)}


def test_a_sample_has_no_broken_frame(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"force.npy, frame 17"):
        module(tmp_path, SPOILT["NaN force"][0], sample=24)
    data = module(tmp_path / "again", SPOILT["NaN force"][0], sample=24, skip_broken=True)
    assert len(data.samples["train"]) == 23


def test_no_validation_frame_is_left_out_when_it_is_read(tmp_path: Path) -> None:
    arrays = frames(25)
    SPOILT["NaN force"][0](arrays)
    write_npy(tmp_path / "train", frames(3, seed=2))
    write_npy(tmp_path / "validation", arrays)
    folders = (str(tmp_path / "train"), str(tmp_path / "validation"))
    data = SpinDataModule(*folders, sample=SAMPLE, seed=2, skip_broken=True)
    data.read()
    data.make_datasets(geometry(SPEC))
    with pytest.raises(InputError, match=r"validation/set.000/force.npy, frame 17"):
        list(data.datasets["validation"].batches())


def test_a_file_cut_short_after_the_start(tmp_path: Path) -> None:
    data = module(tmp_path, lambda _: None, skip_broken=True)
    file = tmp_path / "train/set.000/force.npy"
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size - 9 * 12 * 8)
    assert sum(batch.n_frames for batch in data.datasets["train"].batches()) == 16


def test_what_looks_sound_is_sound() -> None:
    from support.frames import random_system, system

    one = random_system(1, energy=np.zeros(1))
    assert looks_sound(one, make_frame(one, 0))
    wire = system(("Ni",), [0], np.diag([3.0, 0.0, 0.0]), np.zeros((1, 3)), np.zeros((1, 3)))
    for pbc, sound in (((True, False, False), True), ((True, True, False), False), ((True,) * 3, False)):
        made = system(("Ni",), [0], wire.box[0], wire.coord[0], wire.spin[0])
        object.__setattr__(made, "pbc", pbc)
        assert looks_sound(made, make_frame(made, 0)) == sound


def _far_moment(arrays: Arrays) -> None:
    arrays["spin"][BAD, 3:6] = [0.0, 0.0, 90.0]


def _dense(arrays: Arrays) -> None:
    for name in ("box", "coord"):
        arrays[name][BAD] *= 0.15


def _no_moment(arrays: Arrays) -> None:
    arrays["spin"][BAD, :3] = 0.0


UNFIT = {
    "moment beyond rcut": (_far_moment, 0.01, "spin.npy, frame 17, atom 1 .Ni.: a moment of 90 μ_B puts its"),
    "absurdly dense": (_dense, 0.01, None),
    "virtual atom on its atom": (_no_moment, 0.0, "spin.npy, frame 17, atom 0 .Ni.: its spin is 0 μ_B"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_what_a_model_cannot_be_trained_on_is_refused_when_it_is_read(
    tmp_path: Path, case: str, capsys
) -> None:
    spoil, protection, message = UNFIT[case]
    spec = small_potential(env_protection=protection, rcut=8.0).spec
    sound, skipping = (
        module(tmp_path / kind, spoil, skip_broken=kind == "skip") for kind in ("stop", "skip")
    )
    for data in (sound, skipping):
        data.broken["train"].model = spec
    expected = (
        f"stop/train/set.000/{message}" if message else r"rcut=8.0 Å: an atom of train would have about"
    )
    assert sound.datasets["train"].batch([BAD - 1, BAD + 1]).n_frames == 2
    advice = "Or set data.skip_broken=true to leave such frames out"
    with pytest.raises(InputError, match=f"{expected}.* {advice}"):
        sound.datasets["train"].batch([BAD])
    assert skipping.datasets["train"].batch([BAD - 1, BAD]).n_frames == 1
    assert skipping.broken["train"].frames == {("train", BAD)}


def test_frames_with_more_neighbours_than_the_sample_are_named_once(tmp_path: Path, capsys) -> None:
    def dense(arrays: Arrays) -> None:
        for frame in (BAD, BAD + 1):
            for name in ("box", "coord"):
                arrays[name][frame] *= 0.7

    for turned in (False, True):
        data = module(tmp_path / str(turned), dense)
        data.make_datasets(data.geometry, rotation=turned)
        spec = replace(SPEC, descriptor=replace(SPEC.descriptor, sel="auto"))
        data.broken["train"].model = spec = spec.settled(data.samples["train"].neighbours, None)
        dataset = data.datasets["train"]
        capsys.readouterr()
        counted = dataset.batch([0, BAD]).neighbour_counts
        assert (counted.amax(dim=0)[:2].numpy() > spec.descriptor.sel).any()
        list(dataset.batches(1))
        said = capsys.readouterr().out
        assert (
            said.count(f"look: model.descriptor.sel={list(spec.descriptor.sel)} is too small for train") == 1
        )
        assert f"train, frame {BAD}: an atom has" in said
