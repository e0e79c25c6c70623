"""Chosen frames are uncertain, and different from known frames and from each other."""

import numpy as np

from spinpot.learning.choose import Environments, spread_out


def frames(*places, types=(0, 0)):
    """Frames of two atoms at places on a line."""
    return [Environments(np.array(types), np.array([[place, 1.0], [place, 1.0]])) for place in places]


def test_spread_out_instead_of_all_alike():
    scores = np.array([5.0, 4.9, 4.8, 3.0, 2.0])
    found = spread_out(scores, frames(1.0, 1.01, 1.02, 5.0, -3.0), frames(0.0), 3)
    assert found == [3, 4, 0]


def test_large_scores_come_first_where_frames_are_as_far():
    assert spread_out(np.array([1.5, 3.0]), frames(2.0, -2.0), frames(0.0), 1) == [1]


def test_copies_are_not_chosen():
    """Neither of known frames nor of each other."""
    assert spread_out(np.array([9.0, 8.0, 7.0]), frames(0.0, 2.0, 2.0), frames(0.0), 3) == [1]


def test_elements_are_compared_with_their_own():
    """The second is known but for its element."""
    first, second = frames(1.0), frames(0.0, types=(1, 1))
    assert spread_out(np.array([1.0, 1.0]), [*first, *second], frames(0.0), 1) == [1]
