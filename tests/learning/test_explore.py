"""Trajectories that become too uncertain, and scores of several potentials."""

import numpy as np
import pytest

from spinpot.core.errors import InputError
from spinpot.labels.folder import Labelled
from spinpot.labels.labellers.hamiltonian import HamiltonianLabeller
from spinpot.labels.recipe import configurations, recipe_of
from spinpot.learning.candidates import Candidate, candidates, in_turn, to_label
from spinpot.learning.engines import in_python
from spinpot.learning.explore import Trajectory, beginning, random_numbers, trajectory
from spinpot.learning.score import Judge
from spinpot.learning.settings import Exploration, Learning
from support.checkpoints import write_checkpoint
from support.frames import small_potential
from support.labellers import structure
from support.native_spin import calibrated_native, native_under

SHORT = Exploration(steps=8, frames=2, timestep=0.2)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A labelled frame of NiO."""
    systems = {
        "NiO4": {"frames": 1, "supercell": [[0, 1, 1], [1, 0, 1], [1, 1, 0]], "displacement": [0, 0.1]}
    }
    recipe = recipe_of({"systems": systems, "moments": {"Ni": 1.9, "O": 0.0}, "tilt": [10, 40]})
    (made,) = configurations(recipe, structure(name="NiO", crystalstructure="rocksalt", a=4.17), 0)
    return Labelled(made, HamiltonianLabeller("NiO").label(made, tmp_path_factory.mktemp("files")), 0.0)


def potentials(folder, number):
    return [write_checkpoint(folder / f"{k}.ckpt", small_potential(seed=k)) for k in range(1, number + 1)]


class Strict(Judge):
    """Says scores that are known beforehand."""

    def __init__(self, folder, scores):
        super().__init__(potentials(folder, 1), Learning(limit=1.0))
        self.scores = iter(scores)

    def score(self, atoms):
        return next(self.scores)


def run(judge, start):
    return trajectory(judge, in_python, start, SHORT, 300.0, random_numbers(0, 0, 0))


def test_frames_at_equal_intervals(tmp_path, start):
    found = run(Strict(tmp_path, np.arange(0.0, 9.0)), start)
    assert found.scores.tolist() == [4.0, 8.0]
    assert found.ended == ""
    moved = np.abs(found.positions[1] - found.positions[0])
    assert moved.max() > 1e-4
    lengths = np.linalg.norm(found.moments, axis=-1)
    np.testing.assert_allclose(lengths[1], lengths[0], rtol=1e-12)


def test_the_last_sane_frame_is_kept(tmp_path, start):
    found = run(Strict(tmp_path, [0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 9.0, 1000.0]), start)
    assert found.scores.tolist() == [4.0, 9.0]
    assert found.ended == "the expected error is 1e+03 times the limit"


@pytest.mark.parametrize("score", [1000.0, np.nan])
def test_nothing_is_kept_of_what_is_insane_at_once(tmp_path, start, score):
    found = run(Strict(tmp_path, [1.0, score]), start)
    assert found.positions.shape == (0, 4, 3)
    assert found.ended


def test_far_is_told_by_the_labelled_frame_where_that_is_above_the_limit(tmp_path, start):
    found = run(Strict(tmp_path, [30.0, *np.full(6, 40.0), 299.0, 301.0]), start)
    assert found.scores.tolist() == [40.0, 299.0]


def test_a_frame_that_is_kept_already_is_kept_once(tmp_path, start):
    assert run(Strict(tmp_path, [0.5, 1.0, 2.0, 3.0, 4.0, 1000.0]), start).scores.tolist() == [4.0]


def test_written_and_read(tmp_path, start):
    found = run(Strict(tmp_path, np.arange(0.0, 9.0)), start)
    found.write(tmp_path / "0.npz")
    again = Trajectory.read(tmp_path / "0.npz")
    for name, values in vars(found).items():
        np.testing.assert_array_equal(getattr(again, name), values, strict=isinstance(values, np.ndarray))


def test_several_judge_by_their_deviation(tmp_path, start):
    atoms = beginning(start)
    judge = Judge(potentials(tmp_path, 3), Learning(limit=0.5, limit_mag=0.25, ensemble=3))
    atoms.calc = judge.calculator()
    forces, magnetic = (
        atoms.calc.get_property(f"{name}_deviation", atoms).max() for name in ("forces", "magnetic_forces")
    )
    assert judge.score(atoms) == max(forces / 0.5, magnetic / 0.25)
    assert min(forces, magnetic) > 0.0


def test_one_that_knows_no_errors_is_refused(tmp_path, start):
    judge = Judge(potentials(tmp_path, 1), Learning(limit=1.0))
    atoms = beginning(start)
    atoms.calc = judge.calculator()
    with pytest.raises(InputError, match=r"learn\.ensemble=1: this model does not know"):
        judge.score(atoms)


@pytest.mark.parametrize(
    ("place", "name", "what"), [(1, "limit", "forces"), (2, "limit_mag", "magnetic forces")]
)
def test_errors_that_are_not_calibrated_are_refused_at_the_start(tmp_path, start, place, name, what):
    potential = calibrated_native()
    native_under(potential).expected_errors.noise[place] = np.nan
    judge = Judge([write_checkpoint(tmp_path / "one.ckpt", potential)], Learning(limit=1.0, limit_mag=1.0))
    with pytest.raises(InputError, match=rf"^learn\.{name}: the expected errors of the {what} are unknown"):
        run(judge, start)


def test_candidates_are_above_the_limit_and_become_configurations(tmp_path, start):
    own = start.configuration
    explored = [run(Strict(tmp_path, [0.5, 0.0, 0.0, 0.0, 0.9, 0.0, 0.0, 0.0, 1.5]), start) for _ in range(2)]
    found = candidates(explored, {"NiO4": own})
    assert [(one.trajectory, one.frame) for one in found] == [(0, 1), (1, 1)]
    first, second = to_label(found)
    assert (first.name, second.name) == ("NiO4/0000", "NiO4/0001")
    np.testing.assert_array_equal(first.atoms.positions, explored[0].positions[1])
    np.testing.assert_array_equal(first.moments, explored[0].moments[1])
    np.testing.assert_array_equal(first.constrained, own.constrained)


def test_without_features_trajectories_have_their_turn(start):
    atoms, own = beginning(start), start.configuration
    found = [Candidate(number, k, 5.0 - k, atoms, own) for k in range(2) for number in (0, 0, 1)]
    assert [one.trajectory for one in in_turn(found, 3)] == [0, 1, 0]
