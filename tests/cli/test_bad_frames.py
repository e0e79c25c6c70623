"""Frames that cannot be used cause one message with file, frame and atom; nothing is changed."""

import shutil

import numpy as np
import pytest

from support.folders import labelled_by_a_potential, write_npy


def change(array, edit):
    """Spoil one array of a system."""

    def spoil(folder):
        file = folder / "set.000" / f"{array}.npy"
        np.save(file, edit(np.load(file)))

    return spoil


def put(index, value):
    def edit(array):
        array[index] = value
        return array

    return edit


def without(*names):
    def spoil(folder):
        for name in names:
            (folder / name).unlink()

    return spoil


def text(name, content):
    return lambda folder: (folder / name).write_text(content)


EVERY_LABEL = [f"set.000/{name}.npy" for name in ("energy", "force", "force_mag", "virial")]

SPOILT = {
    "no-spin": (without("set.000/spin.npy"), ["bad: spin.npy is missing", "3 numbers per atom in μ_B"]),
    "spin-shape": (
        change("spin", lambda a: a[:, :9]),
        ["bad/set.000/spin.npy: shape (3, 9). Expected (3, 15) or (3, 5, 3)", "type 0", "with zeros"],
    ),
    "counts": (
        change("force", lambda a: a[:2]),
        ["bad/set.000: different numbers of frames", "force 2", "coord 3"],
    ),
    "nan-energy": (change("energy", put((1, 0), np.nan)), ["energy.npy, frame 1: nan"]),
    "inf-force": (
        change("force", put((2, 4), np.inf)),
        ["bad/set.000/force.npy, frame 2, atom 1 (Ni), component y: inf", "Remove these frames"],
    ),
    "nan-force-mag": (change("force_mag", put((0, 0), np.nan)), ["force_mag.npy, frame 0, atom 0"]),
    "nan-virial": (change("virial", put((0, 5), np.nan)), ["virial.npy, frame 0, row 1, column 2: nan"]),
    "nan-spin": (change("spin", put((0, 0), np.nan)), ["spin.npy, frame 0, atom 0"]),
    "nan-coord": (change("coord", put((0, 0), np.nan)), ["coord.npy, frame 0, atom 0"]),
    "type-map": (text("type_map.raw", "Fe\nO\n"), ["holds Fe", "type map lacks: Ni O"]),
    "no-type-map": (without("type_map.raw"), ["bad: type_map.raw is missing", "one element per line"]),
    "short-type-map": (
        text("type_map.raw", "Ni\n"),
        ["bad: type 1, but type_map.raw has 1 names: Ni", "the old layout"],
    ),
    "flat-cell": (
        change("box", lambda a: np.tile([4.0, 0, 0, 8.0, 0, 0, 0, 0, 4.0], (3, 1))),
        ["bad/set.000/box.npy, frame 0: the cell", "along a, b and c", "Expected independent vectors"],
    ),
    "no-cell": (without("set.000/box.npy"), ["box.npy is missing", "9 numbers in Å"]),
    "overlap": (change("coord", put((1, slice(0, 6)), 0.5)), ["coord.npy, frame 1: atoms 0 (Ni) and 1 (Ni)"]),
    "no-frames": (
        lambda folder: [
            change(file.stem, lambda a: a[:0])(folder) for file in (folder / "set.000").iterdir()
        ],
        ["bad/set.000: no frames: coord is empty"],
    ),
    "no-sets": (lambda folder: shutil.rmtree(folder / "set.000"), ["bad: no frames: neither a set.* folder"]),
    "truncated": (
        lambda folder: (folder / "set.000" / "coord.npy").write_bytes(
            (folder / "set.000" / "coord.npy").read_bytes()[:200]
        ),
        ["coord.npy: truncated, or not an array of numbers"],
    ),
    "pickled": (
        lambda folder: np.save(folder / "set.000" / "spin.npy", np.array([{}, None]), allow_pickle=True),
        ["spin.npy: ", "pickled Python objects are never loaded"],
    ),
    "no-labels": (
        without(*EVERY_LABEL),
        [
            "The loss needs labels of energy, force, force_mag, but the data of data.train have no labels "
            "at all",
            "bad",
        ],
    ),
    "no-label-of-the-loss": (
        without(*EVERY_LABEL[:3]),
        ["but the data of data.train have only virial", "loss.start_pref_v=1"],
    ),
    "no-moments": (change("spin", lambda a: 0 * a), ["every spin in the training data is zero"]),
}


@pytest.mark.parametrize("name", SPOILT)
def test_bad_frames(refused, small_set, tmp_path, name):
    spoil, parts = SPOILT[name]
    folder = write_npy(tmp_path / "bad", labelled_by_a_potential(5, 3))
    spoil(folder)
    with_map = ["data.type_map=[Ni,O]"] if name == "type-map" else []
    message = refused(f"data.train=[{folder}]", *with_map)
    for part in parts:
        assert part in message


def test_bad_frames_of_the_other_sets(refused, tmp_path):
    folder = write_npy(tmp_path / "bad", labelled_by_a_potential(5, 3))
    change("force", put((2, 4), np.nan))(folder)
    for name in ("validation", "test"):
        assert "bad/set.000/force.npy, frame 2" in refused(f"data.{name}={folder}")
    assert "no such folder" in refused("data.test=nowhere")


@pytest.mark.parametrize("part", ["train", "validation"])
def test_an_atom_without_moment_and_no_protection(refused, tmp_path, part):
    folder = write_npy(tmp_path / "bad", labelled_by_a_potential(5, 3))
    change("spin", put((1, slice(0, 3)), 0.0))(folder)
    message = refused(f"data.{part}={folder}", "model.descriptor.env_protection=0")
    assert "bad/set.000/spin.npy, frame 1, atom 0 (Ni): its spin is 0 μ_B" in message


@pytest.mark.parametrize("rcut", ["1e6", "1e200"])
def test_an_absurd_cutoff(refused, rcut):
    assert " Å: an atom of small would have about " in refused(f"model.descriptor.rcut={rcut}")
