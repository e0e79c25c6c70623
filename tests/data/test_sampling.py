"""The order of frames depends only on seed and step."""

import numpy as np
import pytest

from spinpot.data.sampling import EveryFrameOnce, ShuffledBatches


def batches(first=0, total=20, seed=3, n_frames=7, batch_size=3):
    return list(ShuffledBatches(n_frames, batch_size, seed, first, total))


@pytest.mark.parametrize("first", [0, 1, 7, 19])
def test_starting_later_gives_the_same_batches(first):
    assert batches(first=first) == batches()[first:]


def test_every_pass_has_every_frame_once():
    stream = np.concatenate(batches(total=21)).reshape(-1, 7)
    assert all(sorted(one_pass) == list(range(7)) for one_pass in stream.tolist())
    assert len({tuple(one_pass) for one_pass in stream.tolist()}) > 5, "passes differ"


def test_seeds_differ():
    assert batches(seed=1) != batches(seed=2)


def test_batch_never_larger_than_the_data():
    assert all(sorted(batch) == [0, 1] for batch in batches(n_frames=2, batch_size=5))


def test_length_is_that_of_the_whole_run():
    assert len(ShuffledBatches(7, 3, 0, first=5, total=20)) == 20


@pytest.mark.parametrize("world_size", [2, 3, 5])
def test_processes_share_out_the_batch_of_one(world_size):
    per_process = 2
    alone = list(ShuffledBatches(11, per_process * world_size, 3, 0, 9))
    shares = [list(ShuffledBatches(11, per_process, 3, 0, 9, rank, world_size)) for rank in range(world_size)]
    for step, batch in enumerate(alone):
        assert sorted(batch) == sorted(frame for share in shares for frame in share[step])


@pytest.mark.parametrize(("n_frames", "world_size"), [(7, 1), (7, 2), (7, 3), (2, 4), (1, 3)])
def test_every_frame_is_validated_once_in_as_many_batches(n_frames, world_size):
    shares = [list(EveryFrameOnce(n_frames, 2, rank, world_size)) for rank in range(world_size)]
    assert len({len(share) for share in shares}) == 1
    assert all(len(share) == len(EveryFrameOnce(n_frames, 2, 0, world_size)) for share in shares)
    frames = [frame for share in shares for batch in share for frame in batch]
    assert sorted(frames) == list(range(n_frames))
