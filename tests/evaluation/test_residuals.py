"""Symmetry residuals: zero for symmetries of the model, otherwise the change of the prediction."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from spinpot.evaluation.residuals import MOST_FRAMES, symmetry_residuals
from support.frames import evaluate, geometry, random_system, small_potential, system


@pytest.mark.parametrize("exact", [False, True])
def test_residuals(exact):
    potential = small_potential(time_reversal=exact)
    made = [random_system(1, n_frames=2), random_system(2, n_ni=2, n_o=3)]
    found = symmetry_residuals(potential, geometry(potential.spec), made)
    assert all(value < 1e-13 for value in found["joint_rotation"].values())
    assert all((value < 1e-13) == exact for value in found["time_reversal"].values())
    assert all(value > 1e-5 for value in found["spin_rotation"].values())


@pytest.mark.parametrize("name", ["time_reversal", "spin_rotation"])
def test_a_residual_is_the_rms_change(name):
    potential, made = small_potential(), random_system(3)
    turn = -np.eye(3) if name == "time_reversal" else Rotation.random(1, random_state=0).as_matrix()[0]
    before = evaluate(potential, made)
    after = evaluate(potential, system(made.type_map, made.types, made.box, made.coord, made.spin @ turn.T))
    found = symmetry_residuals(potential, geometry(potential.spec), [made])[name]
    magnetic = made.types == 0
    expected = {
        "e": (after["energy"] - before["energy"]) / made.n_atoms,
        "fr": after["force"] - before["force"],
        "fm": (after["force_mag"] @ turn - before["force_mag"])[magnetic],
    }
    for key, change in expected.items():
        assert found[key] == pytest.approx(np.sqrt(np.square(change).mean()), rel=1e-9)


def test_not_more_frames_than_said(monkeypatch):
    seen = []
    potential = small_potential()
    monkeypatch.setattr(type(potential), "forward", _counting(type(potential).forward, seen))
    symmetry_residuals(potential, geometry(potential.spec), [random_system(1, n_frames=MOST_FRAMES + 5)])
    assert len(seen) == 4 * MOST_FRAMES


def _counting(forward, seen):
    def counted(self, batch, *more):
        seen.append(batch.n_frames)
        return forward(self, batch, *more)

    return counted
