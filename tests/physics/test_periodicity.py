"""Frames without images along some lattice vectors: exact limits, derivatives, batches."""

from dataclasses import replace

import numpy as np
import pytest

from spinpot.data.batch import collate
from spinpot.data.dataset import make_frames
from spinpot.data.geometry import Geometry
from spinpot.evaluation.residuals import symmetry_residuals
from spinpot.models.exchange.settings import EXCHANGE_TERMS
from support.differences import check_derivatives
from support.frames import evaluate, geometry, random_system, small_potential
from support.models import NATIVE, SPIN_ORBIT, any_potential

KINDS = {
    "cluster": (False, False, False),
    "wire": (False, True, False),
    "slab": (True, False, True),
}
MODELS = [
    {},
    {"radial": "direct", "time_reversal": True},
    {"exchange": EXCHANGE_TERMS},
    NATIVE,
    SPIN_ORBIT,
]


def open_along(made, pbc, vectors="zero"):
    """The same atoms without images along some vectors, which are zero or mean nothing."""
    box = made.box.copy()
    free = ~np.array(pbc)
    box[:, free] = 0.0 if vectors == "zero" else np.array([0.7, 0.1, -0.2])
    return replace(made, box=box, pbc=pbc)


def in_vacuum(made, pbc, width=150.0):
    """The same atoms periodic along all vectors, far from the images that were not there."""
    periodic = np.array(pbc)
    u, _, v = np.linalg.svd(np.where(periodic[:, None], made.box[0], 0.0).T)
    normals = iter(u.T[periodic.sum() :])
    assert v.shape == (3, 3)
    box = np.array(
        [row if keep else width * next(normals) for row, keep in zip(made.box[0], pbc, strict=True)]
    )
    return replace(made, box=np.tile(box, (len(made), 1, 1)), pbc=(True, True, True))


@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.parametrize("vectors", ["zero", "nonsense"])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_same_atoms_in_vacuum(kind, vectors, model):
    potential = any_potential(**model)
    made = random_system(seed=3)
    ours = evaluate(potential, open_along(made, KINDS[kind], vectors))
    expected = evaluate(potential, in_vacuum(made, KINDS[kind]))
    for name in ("energy", "force", "force_mag", "virial"):
        largest = np.abs(expected[name]).max()
        np.testing.assert_allclose(ours[name], expected[name], rtol=0, atol=1e-12 * largest, err_msg=name)
    crystal = evaluate(potential, made)
    assert np.abs(crystal["force"] - ours["force"]).max() > 1e-3


def test_atoms_outside_the_cell_stay_where_they_are():
    potential = small_potential()
    made = random_system(seed=3)
    cluster = replace(made, pbc=(False, False, False))
    away = made.coord + np.array([1000.0, -500.0, 20.0])
    np.testing.assert_allclose(
        evaluate(potential, replace(cluster, coord=away))["force"],
        evaluate(potential, cluster)["force"],
        atol=1e-9,
    )
    apart = made.coord.copy()
    apart[0, 0] += 3 * made.box[0, 2]  # an image in the crystal, another place in a slab
    crystal, slab = (replace(made, pbc=pbc) for pbc in ((True, True, True), (True, True, False)))
    moved = [evaluate(potential, replace(one, coord=apart))["energy"][0] for one in (crystal, slab)]
    before = [evaluate(potential, one)["energy"][0] for one in (crystal, slab)]
    assert moved[0] == pytest.approx(before[0], abs=1e-10)
    assert abs(moved[1] - before[1]) > 1e-3
    vacuum = in_vacuum(replace(made, coord=apart), (True, True, False))
    assert moved[1] == pytest.approx(evaluate(potential, vacuum)["energy"][0], rel=1e-12)


@pytest.mark.parametrize("kind", ["wire", "slab"])
def test_an_atom_that_went_far_away(kind):
    """vesin's time and memory grow with the room between atoms, and it dies of much of it."""
    potential = small_potential()
    made = open_along(random_system(seed=3), KINDS[kind])
    normal = made.cell[0][~np.array(made.pbc)][0]
    coord = made.coord.copy()
    coord[0, 0] += 2e3 * normal
    coord[0, 4] -= 1e3 * normal
    near = evaluate(potential, replace(made, coord=coord))
    coord[0, 0] += 1e8 * normal
    coord[0, 4] -= 1e10 * normal
    far = evaluate(potential, replace(made, coord=coord))
    for name in ("energy", "force", "force_mag"):
        np.testing.assert_allclose(far[name], near[name], rtol=0, atol=1e-6, err_msg=name)
    assert np.abs(near["force"][1:4]).max() > 1e-3


@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_derivatives(kind, model):
    check_derivatives(any_potential(**model), open_along(random_system(seed=4), KINDS[kind]))


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_frames_of_all_kinds_in_one_batch(model):
    potential = any_potential(**model)
    made = random_system(seed=5, n_frames=2)
    kinds = [made, *(open_along(made, pbc) for pbc in KINDS.values())]
    together = evaluate(potential, *kinds)
    for name, values in together.items():
        alone = np.concatenate([evaluate(potential, one)[name] for one in kinds])
        np.testing.assert_allclose(values, alone, rtol=0, atol=1e-12 * np.abs(alone).max(), err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_skin_gives_the_same_pairs(kind, compiled):
    plain = geometry(small_potential().spec)
    kept = replace(plain, skin=0.5)
    made = open_along(random_system(seed=6), KINDS[kind])
    for step in range(4):
        moved = replace(made, coord=made.coord + 0.05 * step * np.sin(np.arange(15)).reshape(1, 5, 3))
        same_pairs(kept, plain, moved)
    assert kept.kept.searches == 1
    same_pairs(kept, plain, replace(made, pbc=(True, True, False), box=random_system(seed=6).box))
    assert kept.kept.searches == 2


def same_pairs(one: Geometry, other: Geometry, made) -> None:
    ours, theirs = (
        np.array(sorted(zip(b.pair_centre, b.pair_neighbour, b.pair_type, *b.pair_vector.T, strict=True)))
        for b in (collate(list(make_frames([made])), geometry) for geometry in (one, other))
    )
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("model", [{"radial": "direct"}, NATIVE, SPIN_ORBIT], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_turning_everything_changes_nothing(kind, model):
    potential = any_potential(**model)
    made = open_along(random_system(seed=7, n_frames=2), KINDS[kind])
    residuals = symmetry_residuals(potential, geometry(potential.spec), [made])["joint_rotation"]
    assert max(residuals.values()) < 1e-10
