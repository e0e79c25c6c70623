"""Overlapping atoms are found in any frame of any size, in linear time."""

import numpy as np
import pytest

from spinpot import kernels
from spinpot.core.errors import InputError
from spinpot.data.cell import PERIODIC
from spinpot.data.pairs import close_pairs, refuse_overlaps


@pytest.fixture(autouse=True, params=["compiled", "by vesin"])
def kind(request):
    """Each test with the library and without it."""
    if request.param == "compiled":
        if not kernels.build():
            pytest.skip("needs a C++ compiler")
        yield
    else:
        with kernels.without():
            yield


def sites(n: int, spacing: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """A simple cubic supercell of n × n × n atoms."""
    grid = np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return n * spacing * np.eye(3), spacing * grid


def check(box, coord):
    elements = ["Fe"] * coord.shape[1]
    refuse_overlaps(
        np.tile(box, (len(coord), 1, 1)), coord, PERIODIC, elements, lambda frame: f"x.npy, frame {frame}"
    )


def test_a_large_system_whose_last_frame_has_two_atoms_in_one_place():
    """The pairs of 8,000 atoms were too many to be looked at one by one."""
    box, coord = sites(20)
    frames = np.tile(coord, (3, 1, 1))
    check(box, frames)
    frames[2, 7999] = frames[2, 11] - box[1] + [0.0, 0.03, 0.0]
    with pytest.raises(InputError) as caught:
        check(box, frames)
    assert str(caught.value) == (
        "x.npy, frame 2: atoms 11 (Fe) and 7999 (Fe) are 0.03 Å apart. Expected at least 0.1 Å between "
        "atoms. Look for an atom written twice, fractional coordinates, or a wrong cell."
    )


def test_pairs_closer_than_what_is_asked_for():
    """Each once, of all frames, with their distances."""
    box, coord = sites(4)
    frame, i, j, distance = close_pairs(np.stack((box, 2 * box)), np.stack((coord, coord)), PERIODIC, 2.9)
    assert np.all(i <= j)
    assert len(set(zip(frame, i, j, strict=True))) == len(frame)
    assert np.bincount(frame).tolist() == [64 * (3 + 6), 144 + 216]
    assert sorted(set(distance.round(9))) == pytest.approx([2.0, 2 * np.sqrt(2)])


def test_many_frames_are_looked_at_in_parts(monkeypatch):
    monkeypatch.setattr("spinpot.data.pairs.AT_ONCE", 5)
    coord = np.zeros((7, 2, 3))
    coord[:, 1, 0] = [1.0, 0.5, 2.0, 3.0, 2.0, 0.3, 1.0]
    box = np.tile(9.0 * np.eye(3), (7, 1, 1))
    frame, i, j, distance = close_pairs(box, coord, PERIODIC, 0.6)
    assert (frame.tolist(), i.tolist(), j.tolist()) == ([1, 5], [0, 0], [1, 1])
    assert distance.tolist() == [0.5, 0.3]
    assert len(close_pairs(box[:0], coord[:0], PERIODIC, 0.6)[0]) == 0


@pytest.mark.parametrize("edge", [0.46, 4.6, 300.0])
def test_few_atoms_in_a_cell_of_any_size(edge):
    coord = np.array([[[0.0, 0, 0], [0.03, 0, 0]]])
    with pytest.raises(InputError, match=r"atoms 0 \(Fe\) and 1 \(Fe\) are 0\.03 Å apart"):
        check(edge * np.eye(3), coord)
    check(edge * np.eye(3), coord * 10)


def test_images_overlap_along_periodic_directions_alone():
    box, coord = np.tile(5.0 * np.eye(3), (1, 1, 1)), np.array([[[0.0, 0, 0], [0, 0, 4.98]]])
    for pbc in ((True, True, False), (False, False, False)):
        refuse_overlaps(box, coord, pbc, ["Fe", "Fe"], str)
        refuse_overlaps(np.where(pbc, box, 0.0), coord, pbc, ["Fe", "Fe"], str)
    with pytest.raises(InputError, match=r"are 0\.02 Å apart"):
        refuse_overlaps(box, coord, (False, False, True), ["Fe", "Fe"], str)
    with pytest.raises(InputError, match=r"are 0\.01 Å apart"):
        refuse_overlaps(0.0 * box, 0.01 / 4.98 * coord, (False, False, False), ["Fe", "Fe"], str)


def test_a_skewed_cell():
    box = np.array([[3.0, 0, 0], [14.0, 3.0, 0], [0, 8.9, 3.0]])
    coord = np.array([[[0.0, 0, 0], [1.5, 1.5, 1.5]]])
    check(box, coord)
    coord[0, 1] = box[1] - 5 * box[0] + [0.02, 0, 0]
    with pytest.raises(InputError, match=r"are 0\.02 Å apart"):
        check(box, coord)
