"""Descriptions of sets of frames."""

from dataclasses import replace

import numpy as np
import pytest

from spinpot.data.description import describe, fingerprint, frame_digests
from spinpot.data.systems import read_systems
from support.folders import labelled_by_a_potential, write_npy
from support.frames import system as in_memory


@pytest.fixture
def system(tmp_path):
    write_npy(tmp_path / "set", labelled_by_a_potential(1, 3))
    return read_systems([tmp_path / "set"])[0]


def test_numbers(system):
    described = describe([system, system])
    assert described["frames"] == 6
    one = described["systems"][0]
    assert one["frames"] == 3
    assert one["atoms"] == system.n_atoms
    assert one["labels"] == list(system.labels)
    magnetic = [low for low, _ in one["moments"].values()]
    assert magnetic


def test_fingerprint_is_of_the_contents(system, tmp_path):
    write_npy(tmp_path / "elsewhere", labelled_by_a_potential(1, 3))
    (elsewhere,) = read_systems([tmp_path / "elsewhere"])
    assert fingerprint([elsewhere]) == fingerprint([system])


def test_the_fingerprint_of_a_crystal_is_what_older_checkpoints_hold():
    n = np.arange(6.0).reshape(1, 2, 3)
    labels = {"energy": np.array([-1.5]), "force_mag": n / 3}
    made = in_memory(("Ni", "O"), [0, 1], 4.0 * np.eye(3)[None], n, n / 7, **labels)
    assert fingerprint([made]) == "fb18d333ba7f4eb6"
    assert "pbc" not in describe([made])["systems"][0]


def test_only_periodic_vectors_count(system):
    slab = replace(system, pbc=(True, True, False))
    assert fingerprint([slab]) != fingerprint([system])
    box = slab.box.copy()
    box[:, 2] = 0.0
    assert fingerprint([replace(slab, box=box)]) == fingerprint([slab])
    box[:, 1, 0] += 1e-12
    assert fingerprint([replace(slab, box=box)]) != fingerprint([slab])
    assert describe([slab])["systems"][0]["pbc"] == [True, True, False]


@pytest.mark.parametrize("name", ["coord", "spin", "box", "energy", "force_mag"])
def test_any_change_changes_the_fingerprint(system, name):
    changed = getattr(system, name).copy()
    changed.flat[-1] += 1e-12
    assert fingerprint([replace(system, **{name: changed})]) != fingerprint([system])


def test_a_label_less_changes_the_fingerprint(system):
    assert fingerprint([replace(system, energy=None)]) != fingerprint([system])


def test_elements_count_by_name(system):
    renamed = replace(system, type_map=tuple(reversed(system.type_map)))
    assert fingerprint([renamed]) != fingerprint([system])


def test_the_digest_of_a_frame_is_of_its_structure_alone(system):
    digests = list(frame_digests(system))
    assert len(set(digests)) == len(system)
    assert list(frame_digests(replace(system, energy=None))) == digests
    assert list(frame_digests(replace(system, pbc=(True, True, False)))) != digests
    for name in ("coord", "spin", "box"):
        changed = getattr(system, name).copy()
        changed[-1].flat[-1] += 1e-12
        assert list(frame_digests(replace(system, **{name: changed})))[:-1] == digests[:-1]
        assert list(frame_digests(replace(system, **{name: changed})))[-1] != digests[-1]
    renamed = replace(system, type_map=tuple(reversed(system.type_map)))
    assert not set(frame_digests(renamed)) & set(digests)
