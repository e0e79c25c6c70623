"""The table of products: the invariants of each group, and the order of their sums."""

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from spinpot.models.native_spin.groups import FIRST, GROUPS, KINDS, MEAN_SQUARE, ONE, SPIN, Products
from spinpot.models.native_spin.invariants import Invariants
from spinpot.models.native_spin.settings import NetSettings, SumsSettings
from spinpot.models.native_spin.spec import NativeSpinSpec
from spinpot.models.native_spin.statistics import of_invariants
from spinpot.models.native_spin.sums import rows

CHANNELS = dict(zip(KINDS, (3, 2, 3, 2, 3, 2, 2, 3), strict=True))
NEIGHBOURS, MEAN = 7, 1.3


def products(*groups: str) -> Products:
    return Products.of_groups(groups, SumsSettings(groups=groups, channels=CHANNELS).numbers())


def numbers_of(made: Products, direction: np.ndarray, moments: np.ndarray, spin: np.ndarray) -> np.ndarray:
    """1, the mean S², S and the channels of a centre, each a weighted sum over its neighbours."""
    weights = np.random.default_rng(5).normal(size=(sum(CHANNELS.values()), NEIGHBOURS))
    rho = {
        kind: rows([kind], torch.from_numpy(direction), torch.from_numpy(moments)).numpy() for kind in KINDS
    }
    firsts = dict(zip(CHANNELS, np.cumsum([0, *CHANNELS.values()]), strict=False))
    parts = [weights[firsts[kind] + m] @ rho[kind] for kind, n in made.channels.items() for m in range(n)]
    return np.concatenate([[1.0, MEAN], spin, *parts])


def evaluated(made: Products, numbers: np.ndarray) -> np.ndarray:
    """The invariants of a table, product by product."""
    assert len(numbers) == made.given
    found = list(numbers)
    for terms in made.terms:
        found.append(sum(weight * np.prod([found[place] for place in places]) for weight, places in terms))
    return np.array([found[place] for place in made.features])


@pytest.fixture(scope="module")
def neighbourhood():
    """Directions, moments of the neighbours and the moment of the centre."""
    rng = np.random.default_rng(1)
    direction = rng.normal(size=(NEIGHBOURS, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return direction, rng.normal(size=(NEIGHBOURS, 3)), rng.normal(size=3)


@pytest.fixture(scope="module")
def turns():
    return [turn.as_matrix() for turn in Rotation.random(2, random_state=3)]


def invariants(name: str, direction: np.ndarray, moments: np.ndarray, spin: np.ndarray) -> np.ndarray:
    made = products(name)
    return evaluated(made, numbers_of(made, direction, moments, spin))


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_alone_gives_invariants(name, neighbourhood, turns):
    direction, moments, spin = neighbourhood
    expected = invariants(name, *neighbourhood)
    assert len(expected)
    assert np.abs(expected).min() > 1e-6
    turn, other = turns
    of_all = invariants(name, direction @ turn, moments @ turn, spin @ turn)
    np.testing.assert_allclose(of_all, expected, rtol=1e-10, atol=1e-10)
    # Moments are axial: an inversion leaves them.
    for r in (-np.eye(3), np.diag([1.0, 1.0, -1.0])):
        axial = np.linalg.det(r) * r
        mirrored = invariants(name, direction @ r, moments @ axial, spin @ axial)
        np.testing.assert_allclose(mirrored, expected, rtol=1e-10, atol=1e-10)
    reversed_in_time = invariants(name, direction, -moments, -spin)
    np.testing.assert_allclose(reversed_in_time, expected, rtol=1e-10, atol=1e-10)
    of_spins = invariants(name, direction, moments @ other, spin @ other)
    same = np.isclose(of_spins, expected, rtol=1e-8, atol=1e-8)
    assert same.all() != GROUPS[name].spin_orbit
    if GROUPS[name].spin_orbit:
        assert not same.any()


def test_exchange_is_the_product_of_moments(neighbourhood):
    spin = neighbourhood[2]
    made = products("exchange")
    numbers = numbers_of(made, *neighbourhood)
    u = numbers[FIRST:].reshape(CHANNELS["moment"], 3)
    np.testing.assert_allclose(evaluated(made, numbers), u @ spin, rtol=1e-12)


def test_lengths_are_of_the_moment_and_its_mean(neighbourhood):
    spin = neighbourhood[2]
    found = invariants("length", *neighbourhood)
    np.testing.assert_allclose(found, [spin @ spin, (spin @ spin - MEAN) ** 2], rtol=1e-12)


@pytest.mark.parametrize("pair", list(combinations(GROUPS, 2)), ids="-".join)
def test_groups_side_by_side_are_those_of_each(pair, neighbourhood):
    together = products(*pair)
    found = dict(zip(together.names, evaluated(together, numbers_of(together, *neighbourhood)), strict=True))
    for name in pair:
        own = dict(zip(products(name).names, invariants(name, *neighbourhood), strict=True))
        assert {key: pytest.approx(value, rel=1e-12) for key, value in own.items()} == {
            key: found[key] for key in own
        }


def test_names_are_unique():
    names = products(*GROUPS).names
    assert len(set(names)) == len(names) == len(products(*GROUPS).features)


def test_sums_come_after_those_that_they_need():
    made = products(*GROUPS)
    levels = made.levels()
    assert levels == sorted(levels)
    assert set(levels) == {1, 2}
    for place, terms in enumerate(made.terms, made.given):
        for _, places in terms:
            assert 1 <= len(places) <= 3
            assert max(places) < place
    assert sorted(made.features) != list(range(made.given, made.given + len(made.terms)))


def test_what_each_place_is_made_of():
    made = products(*GROUPS)
    assert [made.factors[place] for place in (ONE, MEAN_SQUARE, *SPIN)] == [()] * FIRST
    for kind, number in made.channels.items():
        for m in range(number):
            places = [made.at(kind, m, component) for component in range(KINDS[kind].size)]
            assert [made.factors[place] for place in places] == [((kind, m),)] * len(places)
    of_name = dict(zip(made.names, (made.factors[place] for place in made.features), strict=True))
    assert of_name["S²"] == of_name["x²"] == ()
    assert of_name["S·u1"] == (("moment", 1),)
    assert of_name["v0·v1"] == (("direction", 0), ("direction", 1))
    assert of_name["x S·u0 S·u1"] == (("moment", 0), ("moment", 1))


def test_the_strength_of_an_invariant_is_the_product_of_its_channels():
    made = products(*GROUPS)
    strengths = {kind: 0.5 ** torch.arange(n).double() for kind, n in CHANNELS.items()}
    found = dict(zip(made.names, of_invariants(made, strengths).tolist(), strict=True))
    expected = {"S²": 1.0, "S·u1": 0.5, "r2": 0.25, "v1·v1": 0.25, "x S·u1 S·u1": 0.25, "S·w1·v1": 0.25}
    assert {name: found[name] for name in expected} == expected


def test_the_table_gives_what_its_products_give(neighbourhood):
    groups = tuple(GROUPS)
    spec = NativeSpinSpec(
        type_map=("Ni",),
        use_spin=(True,),
        descriptor=SumsSettings(groups=groups, channels=CHANNELS, closest=1.5),
        fitting_net=NetSettings(()),
    )
    module, made = Invariants(spec), spec.products
    numbers = numbers_of(made, *neighbourhood)
    module.given = lambda *_: torch.from_numpy(numbers)[None]
    found = module.invariants(torch.zeros(1), torch.zeros(1, 3), 0)
    np.testing.assert_allclose(found[0].numpy(), evaluated(made, numbers), rtol=1e-10, atol=1e-12)
