"""The doubled batch of a model with exact time reversal; its symmetry is tested in tests/physics."""

import numpy as np
import pytest
import torch

from spinpot.core.errors import InputError
from spinpot.data.dataset import Neighbours
from spinpot.models.deepspin.sizes import excess_of
from spinpot.models.time_reversal import with_reversed
from support.frames import batch_of, geometry, random_system, small_potential
from support.models import NATIVE, SPIN_ORBIT, any_potential


def test_twins_follow_their_frames():
    potential = small_potential(time_reversal=True)
    made = [random_system(1, n_frames=2), random_system(2, n_ni=1, n_o=4)]
    single = batch_of(potential, *made)
    double = with_reversed(single, potential.scale)
    half = len(single.types)
    assert double.n_frames == 2 * single.n_frames
    np.testing.assert_array_equal(double.spin[half:], -single.spin)
    np.testing.assert_array_equal(double.frame[half:], single.frame + single.n_frames)
    np.testing.assert_array_equal(double.types[double.atom_order], torch.sort(double.types).values)
    np.testing.assert_array_equal(double.atom_order[double.atom_place], torch.arange(2 * half))
    np.testing.assert_array_equal(double.pair_centre[len(single.pair_type) :], single.pair_centre + half)


@pytest.mark.parametrize("model", [{}, {"time_reversal": True}, NATIVE, SPIN_ORBIT | {"time_reversal": True}])
def test_no_frame_at_all(model):
    potential = any_potential(**model)
    prediction = potential(batch_of(potential), differentiable=True)
    assert {name: len(values) for name, values in prediction.items()} == dict.fromkeys(prediction, 0)


def test_sel_counts_what_is_within_the_cutoff():
    plain, exact = small_potential(), small_potential(time_reversal=True)
    made = random_system(seed=6)
    batches = [batch_of(potential, made) for potential in (plain, exact)]
    most = [batch.neighbour_counts.reshape(-1, 2, 2).amax((0, 1)).tolist() for batch in batches]
    assert most[0] != most[1]
    tight = exact.spec.with_sel(most[0])
    found = Neighbours.of(batches[1:], geometry(exact.spec))
    assert excess_of(tight, found) is None
    assert "too small" in excess_of(exact.spec.with_sel([number - 1 for number in most[0]]), found)


def test_deepmd_kit_has_no_such_model(tmp_path):
    with pytest.raises(InputError, match="time_reversal=exact"):
        small_potential(time_reversal=True).exporters()[".dp"](tmp_path / "model.dp", {}, None)
    assert not list(tmp_path.iterdir())
