"""Sets of frames in a few numbers."""

from dataclasses import replace

import pytest

from spinpot.data.description import describe, fingerprint
from spinpot.data.systems import read_systems
from support.folders import labelled_by_a_potential, write_npy


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
