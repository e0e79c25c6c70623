"""The statistics of a model come from a sample of a large set, and from all frames of a small one."""

import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stored_samples import frames, write_npy

from spinpot.core.errors import InputError
from spinpot.data.datamodule import SpinDataModule
from spinpot.data.dataset import FrameDataset, make_frame
from spinpot.data.readers.deepmd.find import find_stored
from spinpot.data.readers.deepmd.npy_header import _opened
from spinpot.data.readers.deepmd.rows import Rows
from spinpot.data.sample import sample_of
from spinpot.data.systems import read_systems
from spinpot.models.energy_bias import energy_bias
from support.frames import geometry, random_system, small_potential
from support.shares import Rank, as_ranks

SYSTEMS = [random_system(k, n_frames=n, energy=np.arange(n) + 100.0 * k) for k, n in enumerate((5, 1, 30, 2))]


def energies(systems: list) -> list[float]:
    return [float(one) for system in systems for one in system.energy]


def test_a_small_set_is_its_own_sample() -> None:
    assert energies(sample_of(SYSTEMS, 38, 0)) == energies(SYSTEMS)


def test_a_sample_is_drawn_by_the_seed_from_all_frames() -> None:
    samples = [sample_of(SYSTEMS, 12, seed) for seed in (0, 0, 1)]
    assert energies(samples[0]) == energies(samples[1]) != energies(samples[2])
    assert len(energies(samples[0])) == 12
    assert sorted(energies(samples[0])) == energies(samples[0])
    often = [energy for seed in range(40) for energy in energies(sample_of(SYSTEMS, 12, seed))]
    assert set(often) == set(energies(SYSTEMS))
    first = samples[0][-1]
    number = first.number(0)
    origin = next(system for system in SYSTEMS if system.name == first.name)
    np.testing.assert_array_equal(first.coord[0], origin.coord[number])


def test_every_element_and_label_is_in_a_sample() -> None:
    rare = random_system(9, n_ni=2, n_o=0, virial=np.zeros((1, 3, 3)))
    iron = replace(rare, name="iron", type_map=("Ni", "O", "Fe"), types=np.array([2, 2]), virial=None)
    others = [replace(system, type_map=("Ni", "O", "Fe")) for system in [*SYSTEMS, rare]]
    for seed in range(5):
        found = sample_of([*others, iron], 3, seed)
        assert {"iron", rare.name} <= {system.name for system in found}


def data_module(tmp_path: Path, sample: int, **options: object) -> SpinDataModule:
    if not (tmp_path / "train").exists():
        write_npy(tmp_path / "train/a", frames(20, seed=1), frames(3, seed=2))
        write_npy(tmp_path / "train/b", frames(2, seed=3))
        write_npy(tmp_path / "validation", frames(4, seed=4))
    made = SpinDataModule(str(tmp_path / "train"), str(tmp_path / "validation"), sample=sample, **options)
    made.read()
    made.make_datasets(geometry(small_potential().spec))
    return made


def test_frames_of_a_large_set_are_those_of_a_small_one(tmp_path: Path, capsys) -> None:
    small = data_module(tmp_path, 25)
    assert "sample" not in capsys.readouterr().out
    assert small.samples["train"] is small.datasets["train"]
    large = data_module(tmp_path, 10)
    assert "data.train has 25 frames" in (said := capsys.readouterr().out)
    assert "a sample of 10 frames (data.sample)" in said.replace("\n", " ")
    assert "data.validation" not in said
    assert len(large.samples["train"]) == 10
    assert len(large.datasets["train"]) == 25
    assert not large.systems["train"][0].in_memory
    assert large.sampled["train"][0].in_memory
    for one, other in zip(small.datasets["train"], large.datasets["train"], strict=True):
        for name, values in vars(one).items():
            np.testing.assert_array_equal(values, getattr(other, name))
    for batches in ([3, 24, 0], [24]):
        one, other = (made.datasets["train"].batch(batches) for made in (small, large))
        assert one.pair_vector.equal(other.pair_vector)
        assert one.origin == other.origin


def test_a_fingerprint_tells_the_frames_that_are_sampled(tmp_path: Path) -> None:
    before = [data_module(tmp_path, sample).fingerprints() for sample in (10, 10, 25)]
    assert before[0] == before[1] != before[2]
    assert before[0]["validation"] == before[2]["validation"]
    assert data_module(tmp_path, 10).fingerprints(of_all=True) == before[2]
    described = data_module(tmp_path, 10).described["train"]
    assert described["frames"] == 25
    assert described["sample"] == 10
    assert [system["frames"] for system in described["systems"]] == [23, 2]
    write_npy(tmp_path / "train/c", frames(1, seed=5))
    assert data_module(tmp_path, 10).fingerprints()["train"] != before[0]["train"]


@pytest.mark.parametrize(
    ("sample", "frames", "expected"), [(99, None, 4), (2, None, 2), (99, 3, 3), (2, 3, 3), (2, 9, 4)]
)
def test_a_fixed_sample_is_validated(tmp_path: Path, capsys, sample, frames, expected) -> None:
    data = data_module(tmp_path, sample, validation_frames=frames)
    said = f"Validations look at a fixed sample of {expected} of 4 frames" in capsys.readouterr().out
    assert (len(data.validated), said) == (expected, expected < 4)
    every = [frame.origin for frame in data.datasets["validation"]]
    found = [frame.origin for frame in data.validated]
    assert found == [
        frame.origin for frame in data_module(tmp_path, sample, validation_frames=frames).validated
    ]
    assert sorted(set(found) & set(every)) == found
    assert (data.validated is data.datasets["validation"]) == (expected == 4)


def test_frames_are_found_by_their_numbers() -> None:
    dataset = FrameDataset(SYSTEMS, geometry(small_potential().spec))
    places = [(system, k) for system in SYSTEMS for k in range(len(system))]
    assert [dataset.place(k) for k in range(len(dataset))] == places
    np.testing.assert_array_equal(dataset[-1].coord, make_frame(*places[-1]).coord)
    with pytest.raises(IndexError):
        dataset.place(len(dataset))
    assert list(FrameDataset([], dataset.geometry)) == []


def test_a_sample_needs_a_frame(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data.sample=0: expected at least 1 frame"):
        SpinDataModule("a", "b", sample=0)
    assert read_systems(write_npy(tmp_path / "s"))[0].in_memory


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_that_read_in_shares_know_the_same(tmp_path: Path, size: int, monkeypatch) -> None:
    """Each reads a part of the sampled frames and of the energies, and all have what one process has."""
    for k in range(7):
        write_npy(tmp_path / f"train/s{k}", frames(3, seed=k))
    write_npy(tmp_path / "validation", frames(4, seed=9))

    def made(rank: Rank) -> SpinDataModule:
        data = SpinDataModule(str(tmp_path / "train"), str(tmp_path / "validation"), sample=10)
        data.read(rank)
        return data

    (alone,) = as_ranks(1, made)
    read: list[tuple[str, int]] = []
    one_read = Rows.__getitem__

    def counted(self: Rows, key: object) -> np.ndarray:
        found = one_read(self, key)
        read.append((self.headers[0].where, len(found)))
        return found

    monkeypatch.setattr(Rows, "__getitem__", counted)
    ranks = as_ranks(size, made)
    monkeypatch.undo()
    assert sum(n for file, n in read if str(tmp_path / "train") in file and "coord" in file) == 10
    assert sum(n for file, n in read if str(tmp_path / "train") in file and "energy" in file) == 10 + 21
    for data in ranks:
        assert data.fingerprints() == alone.fingerprints()
        assert data.described == alone.described
        np.testing.assert_array_equal(energy_bias(data.systems["train"]), energy_bias(alone.systems["train"]))
        for one, other in zip(data.sampled["train"], alone.sampled["train"], strict=True):
            for name in ("coord", "force", "spin", "box", "energy", "numbers"):
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
            assert one.where(0, "force") == other.where(0, "force")
        for one, other in zip(data.systems["train"], alone.systems["train"], strict=True):
            np.testing.assert_array_equal(one.coord[:], other.coord[:])
    assert len({len(data.sampled["train"]) for data in ranks}) == 1


def test_a_file_that_another_rank_has_opened_may_be_numbered_otherwise(tmp_path: Path) -> None:
    """As on a node with a copy of its own; but not be of another length."""
    write_npy(tmp_path / "s", frames(3))
    (stored,) = find_stored([tmp_path / "s"])
    sent = pickle.loads(pickle.dumps(stored)).sets[0].arrays
    file = tmp_path / "s/set.000/force.npy"
    before = file.read_bytes()
    file.unlink()
    file.write_bytes(before)
    os.utime(file, (1, 1))
    with pytest.raises(OSError, match="it has changed"):
        stored.sets[0].arrays["force"].read(0, 3)
    np.testing.assert_array_equal(sent["force"].read(0, 3), np.load(file))
    file.write_bytes(before + b"0")
    os.utime(file, (2, 2))
    again = pickle.loads(pickle.dumps(sent["force"]))
    _opened.cache_clear()
    with pytest.raises(OSError, match="it has changed"):
        again.read(0, 3)


@pytest.mark.parametrize("skip", [False, True])
def test_a_broken_frame_that_one_rank_finds_is_the_same_to_all(tmp_path: Path, skip: bool) -> None:
    for k in range(7):
        arrays = frames(1, seed=k)
        if k in (1, 5):
            arrays["force"][0, 5] = np.nan
        write_npy(tmp_path / f"train/s{k}", arrays)
    write_npy(tmp_path / "validation", frames(4, seed=9))

    def made(rank: Rank) -> SpinDataModule:
        data = SpinDataModule(
            str(tmp_path / "train"), str(tmp_path / "validation"), sample=6, skip_broken=skip
        )
        data.read(rank)
        data.count_broken(rank)
        return data

    ranks = as_ranks(3, made, () if skip else InputError)
    if not skip:
        assert len(set(map(str, ranks))) == 1
        assert "force.npy, frame 0, atom 1" in str(ranks[0])
        return
    (alone,) = as_ranks(1, made)
    assert alone.broken["train"].frames
    for data in ranks:
        assert data.broken["train"].frames == alone.broken["train"].frames
        assert [one.name for one in data.sampled["train"]] == [one.name for one in alone.sampled["train"]]
