"""Training samples with rotated spins equal those with a newly built neighbour list."""

from dataclasses import replace

import numpy as np
import pytest

from spinpot.data.batch import collate
from spinpot.data.dataset import FrameDataset
from spinpot.data.sampling import ShuffledBatches
from spinpot.data.spin_turns import SpinTurns, TurnedFrames
from support.frames import evaluate, geometry, random_system, small_potential, system, with_random_labels


def dataset(potential, made):
    return FrameDataset([made], replace(geometry(potential.spec), any_direction=True))


@pytest.mark.parametrize(("reversal", "rotation"), [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("radial", ["collocated", "direct"])
def test_turned_frames_are_those_of_turned_spins(reversal, rotation, radial):
    potential = small_potential(rcut=5.0, radial=radial)
    made = with_random_labels(random_system(seed=3, n_frames=4), seed=3)
    turns = SpinTurns(reversal, rotation, seed=5)
    frames = TurnedFrames(dataset(potential, made), turns)
    matrices = np.stack([turns.draw(number) for number in range(4)])
    spin, force_mag = (np.einsum("fkc,fnc->fnk", matrices, values) for values in (made.spin, made.force_mag))
    anew = evaluate(potential, system(made.type_map, made.types, made.box, made.coord, spin))
    batch = collate([frames[index, index] for index in range(4)], geometry(potential.spec))
    for name, values in potential(batch).items():
        np.testing.assert_allclose(values, anew[name], atol=1e-13, rtol=1e-13, err_msg=name)
    np.testing.assert_allclose(batch.force_mag, force_mag.reshape(-1, 3), atol=1e-14)
    np.testing.assert_array_equal(batch.force, made.force.reshape(-1, 3))
    np.testing.assert_array_equal(batch.energy, made.energy)


def test_pairs_beyond_the_cutoff_change_nothing():
    potential, made = small_potential(rcut=4.0), random_system(seed=4, n_frames=3)
    frames = dataset(potential, made)
    more, fewer = frames.batch(range(3)), FrameDataset([made], geometry(potential.spec)).neighbours
    assert len(more.pair_type) == frames.neighbours.n_pairs > fewer.n_pairs
    for name, values in potential(more).items():
        np.testing.assert_allclose(values, evaluate(potential, made)[name], atol=1e-14, err_msg=name)
    np.testing.assert_array_equal(frames.neighbours.most, fewer.most, "sel is about the pairs within rcut")
    assert (frames.neighbours.closest <= fewer.closest).all()


def test_what_is_drawn_depends_on_seed_and_number_alone():
    signs = [SpinTurns(True, False, 1).draw(number)[0, 0].item() for number in range(200)]
    assert set(signs) == {-1.0, 1.0}
    assert 60 < signs.count(1.0) < 140
    one, other = SpinTurns(True, True, 1), SpinTurns(True, True, 2)
    assert np.array_equal(one.draw(7), SpinTurns(True, True, 1).draw(7))
    assert not np.array_equal(one.draw(7), other.draw(7))
    assert not np.array_equal(one.draw(7), one.draw(8))
    rotations = np.stack([SpinTurns(False, True, 1).draw(number) for number in range(2000)])
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0, atol=1e-12)
    assert np.abs(rotations.mean(axis=0)).max() < 0.06, "every direction is as likely"


@pytest.mark.parametrize("world_size", [2, 3])
def test_samples_have_the_same_numbers_in_any_number_of_processes(world_size):
    def stream(batch_size, rank=0, processes=1, first=0):
        return list(ShuffledBatches(11, batch_size, 3, first, 9, rank, processes, numbered=True))

    alone = stream(2 * world_size)
    shares = [stream(2, rank, world_size) for rank in range(world_size)]
    for step, batch in enumerate(alone):
        assert sorted(batch) == sorted(sample for share in shares for sample in share[step])
    assert stream(2 * world_size, first=4) == alone[4:], "also in a resumed run"
    numbers = [number for batch in alone for _, number in batch]
    assert numbers == list(range(len(numbers)))
