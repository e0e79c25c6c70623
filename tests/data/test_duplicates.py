"""Duplicate frames are found in other periodic images; frames that only look alike are not duplicates."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import spinpot.data.duplicates
from spinpot.data.duplicates import SAME, copies, duplicates, left_out
from spinpot.data.systems import select
from support.frames import random_system, with_random_labels


@pytest.fixture
def made():
    return with_random_labels(random_system(1, 6), 1)


def test_none(made):
    assert duplicates([made]) == []


def test_within_a_system_and_in_another_image(made):
    twice = select(made, np.array([0, 1, 2, 1]))
    coord = twice.coord.copy()
    coord[3, 2] += twice.box[3, 0] - 2 * twice.box[3, 1]
    (found,) = duplicates([replace(twice, coord=coord)])
    assert (found.first, found.second, found.frames) == ("random1", "random1", [(1, 3)])
    assert found.of_second == 1
    assert set(found.apart.values()) == {0.0}
    assert found.contradicting == {}


def test_between_systems_with_energies_that_contradict(made):
    other = replace(select(made, np.array([4, 2])), name="validation")
    other = replace(other, energy=other.energy + np.array([0, 0.5]))
    (found,) = duplicates([made, other])
    assert (found.first, found.second, found.frames) == ("random1", "validation", [(2, 1), (4, 0)])
    assert found.contradicting == {"energy": pytest.approx(0.5 / made.n_atoms)}
    assert "energy" not in duplicates([made, replace(other, energy=None)])[0].apart


def test_only_periodic_directions_have_images(made):
    twice = replace(select(made, np.array([1, 1])), pbc=(True, True, False))
    coord = twice.coord.copy()
    coord[1, 2] += twice.box[0, 0]
    assert len(duplicates([replace(twice, coord=coord)])) == 1
    coord[1, 2] += twice.box[0, 2]
    assert duplicates([replace(twice, coord=coord)]) == []
    assert duplicates([select(made, np.array([1])), select(twice, np.array([0]))]) == []
    other_box = twice.box.copy()
    other_box[1, 2] = 0.0  # has no meaning
    assert len(duplicates([replace(twice, box=other_box)])) == 1


def test_a_cluster_may_be_elsewhere(made):
    twice = replace(select(made, np.array([1, 1])), pbc=(False, False, False))
    coord = twice.coord.copy()
    coord[1] += np.array([17.0, -3.0, 400.0])
    assert len(duplicates([replace(twice, coord=coord, box=0.0 * twice.box)])) == 1
    coord[1, 2] += 4 * SAME
    assert duplicates([replace(twice, coord=coord, box=0.0 * twice.box)]) == []


@pytest.mark.parametrize("name", ["coord", "spin", "box"])
def test_a_difference_in_anything_counts(made, name):
    twice = select(made, np.array([0, 0]))
    changed = getattr(twice, name).copy()
    changed[1, 0, 0] += 4 * SAME
    assert duplicates([twice])
    assert duplicates([replace(twice, **{name: changed})]) == []


def test_other_elements_are_other_frames(made):
    assert duplicates([made, replace(made, name="other", types=made.types[::-1])]) == []


def kept(system):
    """The frames that are no copies."""
    return sorted(set(range(len(system))) - {copy.frame for copy in copies([system])})


def test_noise_up_to_the_tolerance(made):
    rng = np.random.default_rng(3)
    twice = select(made, np.repeat(np.arange(6), 50))
    arrays = {name: getattr(twice, name) for name in ("coord", "spin", "box")}
    noisy = {n: a + rng.uniform(-SAME / 2.01, SAME / 2.01, a.shape) for n, a in arrays.items()}
    assert kept(replace(twice, **noisy)) == [0, 50, 100, 150, 200, 250]


def test_a_shift_of_all_atoms_and_images_of_some(made):
    twice = select(made, np.array([0, 1, 0, 1]))
    coord = twice.coord.copy()
    coord[2:] += [[[0.3, -1.1, 9.0]], [[2.0, 0.0, 0.1]]]
    coord[2, 1] -= 3 * twice.box[2, 2]
    coord[3, 0] += twice.box[3, 1]
    shifted = replace(twice, coord=coord)
    assert [(copy.kept_frame, copy.frame) for copy in copies([shifted])] == [(0, 2), (1, 3)]


def test_a_fine_trajectory_keeps_frames_that_are_apart(made):
    """Each frame is the same as the next two, but not as the third."""
    steps = 40
    path = select(made, np.zeros(steps, dtype=int))
    coord = path.coord.copy()
    coord[:, 2, 0] += 0.9e-4 * np.arange(steps)
    found = kept(replace(path, coord=coord))
    assert found == list(range(0, steps, 3))


@pytest.fixture
def compared(monkeypatch):
    """How many frames each comparison was with."""
    numbers = []
    same = spinpot.data.duplicates._same

    def counted(first, k, second, frames):
        numbers.append(len(frames))
        return same(first, k, second, frames)

    monkeypatch.setattr("spinpot.data.duplicates._same", counted)
    return numbers


def test_one_frame_many_times_is_compared_once_each(made, compared):
    many = select(made, np.zeros(3000, dtype=int))
    noise = 1e-9 * np.random.default_rng(0).normal(size=many.spin.shape)
    assert kept(replace(many, spin=many.spin + noise)) == [0]
    assert sum(compared) == 2999


def test_frames_that_are_exactly_equal_are_not_compared(made, compared):
    """Also copies of a copy, whose kept frame is the first one."""
    many = select(made, np.array([1, 0, 0, 0, 1, 0]))
    spin = many.spin.copy()
    spin[2:4] += SAME / 2
    found = copies([replace(many, spin=spin)])
    assert [(copy.kept_frame, copy.frame) for copy in found] == [(1, 2), (1, 3), (0, 4), (1, 5)]
    assert compared == [1]


def test_frames_with_one_number_changed_in_each_are_told_apart_by_it(made, compared):
    """They are alike in nearly all coordinates, whichever a search looks at first."""
    many = random_system(1, 1, n_ni=8, n_o=0)
    frames = select(many, np.zeros(48 * 25, dtype=int))
    arrays = np.concatenate((frames.coord, frames.spin), axis=1).reshape(len(frames), 48)
    arrays[np.arange(len(frames)), np.arange(len(frames)) % 48] += 0.01 * (1 + np.arange(len(frames)) // 48)
    coord, spin = np.split(arrays.reshape(len(frames), 16, 3), 2, axis=1)
    assert kept(replace(frames, coord=coord, spin=spin)) == list(range(len(frames)))
    assert sum(compared) < 100 * len(frames)


def test_what_is_said_of_frames_left_out(made):
    energy = made.energy.copy()
    force = made.force.copy()
    energy[2] += 0.5
    force[2, 0, 0] -= 0.2
    other = replace(
        select(replace(made, energy=energy, force=force), np.array([0, 2])), name="other", path=Path("other")
    )
    bare = replace(select(made, np.array([1])), name="bare", virial=None)
    systems = [bare, made, other]
    assert list(left_out(systems, copies(systems))) == [
        "3 duplicate frames left out: each equals an earlier one within 0.0001 Å and μ_B, up to lattice "
        "vectors and a shift of all atoms (random1: 1, other: 2)",
        "look: duplicates left out have virials, but the kept frames do not (random1, kept: bare)",
        "look: 1 duplicates left out contradict the kept frames, with energies up to 100 meV/atom and forces "
        "up to 200 meV/Å apart; keep the frames of one calculation (other, coord, frame 1, kept: random1, "
        "coord, frame 2)",
    ]


def test_nothing_is_said_where_nothing_is_left_out(made):
    assert list(left_out([made], copies([made]))) == []
