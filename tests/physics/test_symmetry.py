"""Transformations that conserve the energy, and the transformation of its derivatives."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from spinpot.models.exchange.settings import EXCHANGE_TERMS
from spinpot.models.native_spin.groups import GROUPS
from support.frames import batch_of, evaluate, random_system, small_potential, system
from support.models import NATIVE, SPIN_ORBIT, any_potential, even_in_spins, spins_turn_alone

VARIANTS = {
    "default": {},
    "one_side": {"type_one_side": True, "set_davg_zero": True},
    "exchange": {"exchange": EXCHANGE_TERMS},
    "time_reversal": {"time_reversal": True},
    "native": NATIVE,
    "native_linear": NATIVE | {"neuron": ()},
    "native_exchange": NATIVE | {"exchange": EXCHANGE_TERMS},
    "spin_orbit": SPIN_ORBIT,
}
TURN = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS)
def potential(request):
    return any_potential(cutoff=5.0, **request.param)


@pytest.fixture
def made():
    return random_system(seed=7)


def changed(made, coord, spin, box=None, types=None):
    return system(
        made.type_map,
        made.types if types is None else types,
        made.box[0] if box is None else box,
        coord,
        spin,
    )


def test_joint_rotation(potential, made):
    R = TURN
    before = evaluate(potential, made)
    after = evaluate(potential, changed(made, made.coord[0] @ R.T, made.spin[0] @ R.T, made.box[0] @ R.T))
    assert after["energy"] == pytest.approx(before["energy"], abs=1e-11)
    np.testing.assert_allclose(after["force"], before["force"] @ R.T, atol=1e-11)
    np.testing.assert_allclose(after["force_mag"], before["force_mag"] @ R.T, atol=1e-11)
    np.testing.assert_allclose(after["virial"][0], R @ before["virial"][0] @ R.T, atol=1e-11)


@pytest.mark.parametrize("spins", ["polar", "axial"])
@pytest.mark.parametrize("mirror", [np.diag([1.0, 1.0, -1.0]), -TURN], ids=["mirror", "inversion"])
def test_joint_reflection(potential, made, mirror, spins):
    """Moments are axial vectors; to an energy that is even in them, that is the same as polar ones."""
    if spins == "axial" and not even_in_spins(potential):
        pytest.skip("DeepSPIN's virtual atoms are polar")
    of_spins = mirror if spins == "polar" else -mirror
    before = evaluate(potential, made)
    after = evaluate(
        potential, changed(made, made.coord[0] @ mirror.T, made.spin[0] @ of_spins.T, made.box[0] @ mirror.T)
    )
    assert after["energy"] == pytest.approx(before["energy"], abs=1e-11)
    np.testing.assert_allclose(after["force"], before["force"] @ mirror.T, atol=1e-11)
    np.testing.assert_allclose(after["force_mag"], before["force_mag"] @ of_spins.T, atol=1e-11)


def test_rotation_of_the_spins_alone(potential, made):
    before = evaluate(potential, made)
    after = evaluate(potential, changed(made, made.coord[0], made.spin[0] @ TURN.T))
    changes = turned_alone(before, after)
    assert all((change < 1e-11) == spins_turn_alone(potential) for change in changes.values()), changes


@pytest.mark.parametrize("group", GROUPS)
def test_groups_that_the_spins_alone_leave(group, made):
    """Spin–orbit groups, each by itself, and no others."""
    potential = any_potential("native_spin", groups=tuple({"density", group}))
    before = evaluate(potential, made)
    after = evaluate(potential, changed(made, made.coord[0], made.spin[0] @ TURN.T))
    changes = turned_alone(before, after)
    assert all((change > 1e-6) == GROUPS[group].spin_orbit for change in changes.values()), changes
    assert np.ptp(before["atom_energy"]) > 1e-3


def turned_alone(before, after):
    """How much the spins' turn by TURN changes, of what it should not."""
    turned = {**before, "force_mag": before["force_mag"] @ TURN.T}
    return {name: np.abs(after[name] - values).max() for name, values in turned.items()}


def test_spins_matter(potential, made):
    before = evaluate(potential, made)["energy"]
    turns = Rotation.random(made.n_atoms, random_state=0)
    after = evaluate(potential, changed(made, made.coord[0], turns.apply(made.spin[0])))["energy"]
    assert abs(after - before) > 1e-4


def test_time_reversal(potential, made):
    before, after = (evaluate(potential, changed(made, made.coord[0], s * made.spin[0])) for s in (1, -1))
    change = max(np.abs(after[name] - before[name]).max() for name in ("energy", "force", "virial"))
    change = max(change, np.abs(after["force_mag"] + before["force_mag"]).max())
    assert (change < 1e-13) == even_in_spins(potential), change


def test_time_reversal_by_the_mean_of_both():
    """Exact to rounding where it is part of the model, whose energy is the mean over S and −S."""
    plain, exact = small_potential(rcut=5.0), small_potential(rcut=5.0, time_reversal=True)
    made = random_system(seed=7, n_frames=3)
    signs = {"energy": 1, "atom_energy": 1, "force": 1, "force_mag": -1, "virial": 1}
    reverse = changed(made, made.coord, -made.spin, box=made.box)
    of_plain, of_exact = ([evaluate(p, frames) for frames in (made, reverse)] for p in (plain, exact))
    for name, sign in signs.items():
        mean = (of_plain[0][name] + sign * of_plain[1][name]) / 2
        np.testing.assert_allclose(of_exact[0][name], mean, atol=1e-14, rtol=1e-14)
        np.testing.assert_allclose(of_exact[0][name], sign * of_exact[1][name], atol=1e-14, rtol=1e-14)
        assert np.abs(of_plain[0][name] - sign * of_plain[1][name]).max() > 1e-4, (
            "the networks do not know it"
        )


def test_translation(potential, made):
    before = evaluate(potential, made)
    after = evaluate(potential, changed(made, made.coord[0] + [3.1, -0.4, 12.0], made.spin[0]))
    assert after["energy"] == pytest.approx(before["energy"], abs=1e-11)
    np.testing.assert_allclose(before["force"].sum(axis=0), 0.0, atol=1e-12)


def test_atoms_moved_by_lattice_vectors(potential, made):
    coord = made.coord[0].copy()
    coord[1] += made.box[0, 0] - 2 * made.box[0, 2]
    after = evaluate(potential, changed(made, coord, made.spin[0]))
    np.testing.assert_allclose(after["force"], evaluate(potential, made)["force"], atol=1e-12)


def test_permutation(potential, made):
    order = np.array([4, 2, 0, 3, 1])
    before = evaluate(potential, made)
    after = evaluate(
        potential, changed(made, made.coord[0][order], made.spin[0][order], types=made.types[order])
    )
    assert after["energy"] == pytest.approx(before["energy"], abs=1e-12)
    for name in ("force", "force_mag", "atom_energy"):
        np.testing.assert_allclose(after[name], before[name][order], atol=1e-12)


def test_supercell(potential, made):
    shifts = np.array([(0, 0, 0), (1, 0, 0)])
    coord = np.concatenate([made.coord[0] + shift @ made.box[0] for shift in shifts])
    twice = changed(
        made,
        coord,
        np.tile(made.spin[0], (2, 1)),
        box=made.box[0] * np.array([[2.0], [1.0], [1.0]]),
        types=np.tile(made.types, 2),
    )
    before, after = evaluate(potential, made), evaluate(potential, twice)
    assert after["energy"] == pytest.approx(2 * before["energy"], abs=1e-11)
    np.testing.assert_allclose(after["force"], np.tile(before["force"], (2, 1)), atol=1e-11)
    np.testing.assert_allclose(after["virial"], 2 * before["virial"], atol=1e-11)


def test_batching(potential, made):
    other = random_system(seed=8, n_frames=2, n_ni=1, n_o=4)
    together = evaluate(potential, made, other)
    alone = [evaluate(potential, made), evaluate(potential, other)]
    for name, values in together.items():
        np.testing.assert_allclose(values, np.concatenate([part[name] for part in alone]), atol=1e-12)


def test_an_element_may_be_absent(potential):
    only_nickel = random_system(seed=9, n_ni=4, n_o=0)
    assert np.isfinite(evaluate(potential, only_nickel)["force"]).all()


def test_moment_of_a_non_magnetic_element_is_ignored(potential, made):
    spin = made.spin[0].copy()
    spin[made.types == 1] = [0.1, -2.0, 0.4]
    after = evaluate(potential, changed(made, made.coord[0], spin))
    assert after["energy"] == evaluate(potential, made)["energy"]


def test_differentiable_outputs_are_the_same(potential, made):
    batch = batch_of(potential, made)
    plain, differentiable = potential(batch), potential(batch, differentiable=True)
    for name in plain:
        np.testing.assert_allclose(
            differentiable[name].detach().numpy(), plain[name].numpy(), rtol=1e-12, atol=1e-14
        )
