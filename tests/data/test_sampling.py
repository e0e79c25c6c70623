"""The order of frames is a function of seed and step."""

import numpy as np
import pytest

from spinpot.data.sampling import ShuffledBatches


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
