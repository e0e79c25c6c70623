"""Kernels of spin dynamics agree with numpy and with published numbers."""

import numpy as np
import pytest
from scipy import stats

from spinpot import kernels
from spinpot.kernels import dynamics
from spinpot.kernels.dynamics import FIELDS, Convergence, History, Turn, normals, philox

LARGE = 2**62 + 12345
KNOWN = [  # kat_vectors of Random123: counter, key, words
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


@pytest.fixture(params=[True, False], ids=["compiled", "numpy"])
def ways(request):
    """By the kernels, and by numpy."""
    if request.param:
        request.getfixturevalue("compiled")
        yield
    else:
        with kernels.without():
            yield


@pytest.mark.parametrize("known", KNOWN)
def test_philox_gives_the_published_words(known):
    counter, key, words = ([int(word, 16) for word in text.split()] for text in known)
    assert philox(np.array(counter), tuple(key)).tolist() == words


@pytest.mark.parametrize("seed", [0, 1, -1, LARGE])
@pytest.mark.parametrize("width", [1, 3, 4, 9])
def test_both_ways_draw_the_same(compiled, seed, width):
    ids = np.array([0, 1, 7, 2**31 + 5, LARGE])
    for step, purpose in ((0, 0), (2**40 + 3, 1), (2**48 - 1, 255)):
        ours = normals(seed, step, purpose, ids, width)
        with kernels.without():
            theirs = normals(seed, step, purpose, ids, width)
        np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-14)


def test_noise_belongs_to_the_atom_the_step_and_the_purpose(ways):
    ids = np.arange(1, 101)
    first = normals(5, 17, 0, ids)
    np.testing.assert_array_equal(normals(5, 17, 0, ids[::-1]), first[::-1])
    np.testing.assert_array_equal(normals(5, 17, 0, ids, 2), first[:, :2])
    for other in (normals(6, 17, 0, ids), normals(5, 18, 0, ids), normals(5, 17, 1, ids)):
        assert not np.isin(other, first).any()


def test_noise_is_normal_and_independent(ways):
    """100,000 numbers each: of atoms, steps and columns."""
    drawn = np.array([normals(3, step, 0, np.arange(500), 4) for step in range(50)])
    assert stats.kstest(drawn.ravel(), "norm").pvalue > 0.01
    for one, other in (
        (drawn[:, :, 0], drawn[:, :, 1]),
        (drawn[:, :, 0], drawn[:, :, 2]),
        (drawn[1:], drawn[:-1]),
        (drawn[:, 1:], drawn[:, :-1]),
    ):
        assert abs(stats.pearsonr(one.ravel(), other.ravel())[0]) < 4.0 / np.sqrt(one.size)


@pytest.mark.parametrize(
    ("step", "purpose", "said"),
    [(-1, 0, "a step from 0"), (2**48, 0, "a step from 0"), (0, 256, "a purpose")],
)
def test_numbers_that_have_no_place(compiled, step, purpose, said):
    with pytest.raises(RuntimeError, match=said):
        normals(1, step, purpose, np.arange(2))


def extrapolated(fields, kept):
    """What is expected after steps with these fields (N, M, 3), newest first, of spins that do not move."""
    history = History(len(fields))
    for k in reversed(range(kept)):
        history.evaluated(True, fields[:, k], np.ones_like(fields[:, k]))
    return history.expected()


def test_polynomials_are_extrapolated_exactly(ways):
    """Of any order that the fields can show, each atom's own; with one field that, with none zero."""
    rng = np.random.default_rng(1)
    for kept in range(2, FIELDS + 1):
        orders = np.arange(7) % (kept - 1) + 1
        slopes = rng.normal(size=(7, 3, kept - 1)) * (np.arange(kept - 1) < orders[:, None, None])
        fields = np.full((7, FIELDS, 3), np.nan)
        for k in range(kept):
            fields[:, k] = (slopes * (-0.3 * (1.0 + k)) ** np.arange(kept - 1)).sum(-1)
        np.testing.assert_allclose(extrapolated(fields, kept), slopes[:, :, 0], atol=1e-9)
    np.testing.assert_array_equal(extrapolated(fields, 1), fields[:, 0])
    np.testing.assert_array_equal(extrapolated(fields, 0), 0.0)


def test_fields_with_noise_are_extrapolated_by_low_orders(ways):
    """White noise by the last field alone, so that it does not grow."""
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(400, FIELDS, 3))
    white = np.linalg.norm(extrapolated(noise, FIELDS), axis=1).mean()
    assert white < 1.6 * np.linalg.norm(noise[:, 0], axis=1).mean()
    line = -np.arange(1.0, FIELDS + 1.0)[:, None] + 1e-3 * noise
    assert np.abs(extrapolated(line, FIELDS)).max() < 0.02


def test_both_ways_extrapolate_alike(compiled):
    fields = np.random.default_rng(5).normal(size=(50, FIELDS, 3)) * 0.1 ** np.arange(FIELDS)[:, None]
    for kept in range(FIELDS + 1):
        ours = extrapolated(fields, kept)
        with kernels.without():
            np.testing.assert_allclose(ours, extrapolated(fields, kept), atol=1e-13)


def test_both_ways_learn_alike(compiled):
    ours, theirs = History(20), History(20)
    for k, (field, middle) in enumerate(np.random.default_rng(8).normal(size=(30, 2, 20, 3))):
        found = ours.evaluated(k % 3 == 0, field, middle)
        with kernels.without():
            np.testing.assert_allclose(found, theirs.evaluated(k % 3 == 0, field, middle), atol=1e-13)
        np.testing.assert_allclose(ours.rows, theirs.rows, atol=1e-12)


def test_a_spins_own_part_of_its_field_is_left_out(ways):
    """B = λ m + rest with a λ of each spin: what turns spins does not depend on where they were."""
    rng = np.random.default_rng(6)
    stiffness, rest = rng.normal(size=(20, 1)), rng.normal(size=(20, 3))
    spins = rng.normal(size=(5, 20, 3))
    spins[:, 4] = 0.0
    history = History(20)
    for k, spin in enumerate(spins):
        found = history.evaluated(k == 0, stiffness * spin + rest, spin)
        np.testing.assert_allclose(found, stiffness * spin + rest if k == 0 else rest, atol=1e-12)
    np.testing.assert_allclose(history.expected(), rest, atol=1e-12)


def test_the_own_part_is_left_out_of_earlier_steps_too(ways):
    """It is learned in the last step alone; the rests of all steps go on as a line."""
    spins, history = np.random.default_rng(7).normal(size=(4, 20, 3)), History(20)
    for step, first, spin in zip((0, 1, 2, 2), (True, True, True, False), spins, strict=True):
        history.evaluated(first, 0.3 * spin + [step, 0.0, 0.0], spin)
    np.testing.assert_allclose(history.expected(), np.tile([3.0, 0.0, 0.0], (20, 1)), atol=1e-12)


def turns(damping, n=40):
    rng = np.random.default_rng(2)
    spin, field = rng.normal(size=(2, n, 3))
    spin[3] = 0.0
    return Turn(0.7, damping, spin), field


@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_both_ways_turn_alike(compiled, damping):
    (ours, field), (theirs, _) = turns(damping), turns(damping)
    for _ in range(5):
        change = ours.by(field)
        with kernels.without():
            assert theirs.by(field) == pytest.approx(change, abs=1e-15)
        np.testing.assert_allclose(ours.after, theirs.after, atol=1e-14)
        np.testing.assert_allclose(ours.middle, theirs.middle, atol=1e-14)


def test_a_turn_solves_the_equation_of_motion(ways):
    """(S′ − S)/dt = Š × A with Š = (S + S′)/2, A by the midpoint on the sphere; lengths stay, zero too."""
    turn, field = turns(0.3)
    while turn.by(field) > 1e-15:
        pass
    n = dynamics.unit(turn.middle)
    axis = -0.7 / 1.09 * (field + 0.3 * np.cross(n, field))
    half = 0.5 * (turn.before + turn.after)
    np.testing.assert_allclose(turn.after - turn.before, np.cross(half, axis), atol=1e-14)
    for spin in (turn.middle, turn.after):
        np.testing.assert_allclose(np.linalg.norm(spin, axis=1), np.linalg.norm(turn.before, axis=1))
        np.testing.assert_array_equal(spin[3], 0.0)
    np.testing.assert_allclose(np.cross(half, turn.middle), 0.0, atol=1e-14)


def test_a_field_that_is_not_finite_changes_without_end(ways):
    turn, field = turns(0.0)
    field[5, 1] = np.nan
    assert np.isnan(turn.by(field))


def test_when_spins_are_found(ways):
    """Changes 1, c, c²…: the error of S′ after change c^k is c^(k + 1)/(1 − c)."""
    ends = Convergence(1e-6, damping=0.1)
    for c in (0.1, 0.2):
        for _ in range(2):
            ends.begin()
            changes = []
            while not changes or not ends.found(changes[-1]):
                changes.append(c ** len(changes))
            assert changes[-1] * c / (1.0 - c) <= 1e-6 < changes[-2] * c / (1.0 - c)
    ends.begin()
    assert ends.found(3e-6)  # by the contraction of the step before, 0.2, and some doubt
    ends.begin()
    assert not ends.found(4e-6)


def test_a_contraction_that_is_not_measured_is_doubted(ways):
    """The same change is no longer enough after some steps; a new ratio is believed again."""
    ends = Convergence(1e-6, damping=0.1)
    ends.found(1e-2)
    assert ends.found(1e-6)  # c is 1e-4
    steps = 0
    while ends.begin() is None and ends.found(1e-5):
        steps += 1
    assert 50 < steps < 80
    assert ends.found(1e-8)
    assert ends.contraction == pytest.approx(1e-3)


def test_changes_that_are_rounding_are_enough(ways):
    """They do not contract."""
    ends = Convergence(1e-6, damping=0.1)
    for change in (1e-16, 1e-16, 3e-16, 0.0):
        assert ends.found(change)


def test_without_damping_errors_of_steps_add_up(ways):
    """So each is held within a fifth of the tolerance."""
    ends = Convergence(1e-6)
    assert not ends.found(5e-5)
    assert not ends.found(5e-6)  # its error is 5.6e-7
    assert ends.found(5e-7)


def test_changes_that_do_not_contract_are_not_enough(ways):
    ends = Convergence(1e-6, damping=0.1)
    for change in (1e-6, 1e-6, 2e-6, np.nan):
        assert not ends.found(change)
