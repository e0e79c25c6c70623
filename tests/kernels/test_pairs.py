"""The library's pairs equal those of vesin."""

import itertools
import warnings
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest

from spinpot import kernels
from spinpot.data.pairs import pairs_by_vesin
from spinpot.kernels.pairs import Frames, PairArrays, PairList, find_pairs


@pytest.fixture(scope="module", autouse=True)
def compiled():
    """The library, compiled if need be."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if not kernels.build():
            pytest.skip(f"needs a C++ compiler: {said[-1].message}")


@dataclass(frozen=True)
class Structure:
    """One frame, and which pairs are wanted."""

    coord: np.ndarray
    types: np.ndarray
    box: np.ndarray
    displacement: np.ndarray
    use_spin: tuple[bool, ...]
    pbc: tuple[bool, bool, bool] = (True, True, True)
    cutoff: float = 4.0
    excluded: tuple[tuple[int, int], ...] = ()
    any_direction: bool = False

    @property
    def seen(self) -> np.ndarray:
        n = len(self.use_spin)
        seen = np.tile([*[True] * n, *self.use_spin], (n, 1))
        for a, b in self.excluded:
            for centre, neighbour in ((a, b), (b, a)):
                seen[centre : min(centre + 1, n), neighbour] = False
        return seen


def random_structure(
    seed, box, n_atoms=6, n_types=2, scale=0.4, spread=1.0, pbc=(True, True, True), **options
) -> Structure:
    """Atoms anywhere in a cell; every other element has spins. spread: cells that atoms are moved by."""
    rng = np.random.default_rng(seed)
    types = np.arange(n_atoms) % n_types
    use_spin = tuple(kind % 2 == 0 for kind in range(n_types))
    displacement = scale * rng.normal(size=(n_atoms, 3)) * np.array(use_spin)[types][:, None]
    places = rng.uniform(size=(n_atoms, 3)) + np.floor(spread * rng.normal(size=(n_atoms, 3))) * pbc
    box = np.array(box, dtype=float)
    return Structure(places @ box, types, box, displacement, use_spin, pbc, **options)


def together(structures, threads=1, find=find_pairs) -> PairArrays:
    """Of frames that are all looked at in the same way."""
    one = structures[0]
    frames = Frames(
        one.cutoff,
        np.array([len(s.types) for s in structures]),
        np.concatenate([s.types for s in structures]),
        np.concatenate([s.coord for s in structures]),
        np.stack([s.box for s in structures]),
        np.array([s.pbc for s in structures]),
        np.concatenate([s.displacement for s in structures]),
        one.seen,
        one.any_direction,
    )
    return find(frames, threads)


def in_order(centre, neighbour, kind, vector):
    """Columns in an order of their own, whatever that of the pairs."""
    order = np.lexsort((*np.round(vector.T, 6), kind, neighbour, centre))
    return np.column_stack((centre, neighbour, kind, vector))[order]


def centres(found: PairArrays) -> np.ndarray:
    return np.repeat(np.arange(len(found.start) - 1), np.diff(found.start))


def check(*structures, threads=1, pairs=None):
    """Pairs, their counts and the closest of frames that are found in one call; returns how many pairs."""
    found = together(structures, threads, partial(find_pairs, kept=pairs))
    expected = together(structures, find=pairs_by_vesin)
    assert same(found, expected, atol=1e-12)
    np.testing.assert_array_equal(found.start, expected.start)
    np.testing.assert_array_equal(found.counts, expected.counts)
    np.testing.assert_allclose(found.closest, expected.closest, rtol=0, atol=1e-12)
    return len(found.type)


def same(one: PairArrays, other: PairArrays, atol: float) -> bool:
    """Whether the pairs are the same."""
    ours, theirs = (in_order(centres(p), p.neighbour, p.type, p.vector) for p in (one, other))
    return ours.shape == theirs.shape and np.allclose(ours, theirs, rtol=0, atol=atol)


BOXES = {
    "cubic": 4.2 * np.eye(3),
    "skewed": [[5.0, 0, 0], [2.0, 4.0, 0], [-1.0, 1.5, 6.0]],
    "very skewed": [[3.0, 0, 0], [14.0, 3.0, 0], [0, 8.9, 3.0]],
    "left-handed": [[5.0, 0.2, 0], [0.3, 0, 6.0], [-0.5, 4.0, 0.7]],
    "obtuse": [[4.03, 0, 0], [-1.95, 3.4, 0], [-1.95, -3.4, 0.9]],
    "flat": [[12.0, 0, 0], [0, 12.0, 0], [0, 0, 2.0]],
    "vacuum": np.diag([4.1, 4.5, 40.0]),
}
DIRECTIONS = list(itertools.product([True, False], repeat=3))


@pytest.mark.parametrize("pbc", DIRECTIONS, ids=str)
@pytest.mark.parametrize("box", BOXES)
def test_cells(box, pbc):
    """Atoms are cells away from theirs; rows of a box for directions without images mean nothing."""
    for any_direction in (False, True):
        made = random_structure(len(box), BOXES[box], spread=3.0, pbc=pbc, any_direction=any_direction)
        made.box[~np.array(pbc)] = [np.nan, 1e300, 0.0]
        assert check(made) > 6


@pytest.mark.parametrize("cutoff", [0.5, 3.0, 6.0, 13.0])
def test_two_atoms_in_a_small_cell(cutoff):
    for seed in range(5):
        check(random_structure(seed, 3.0 * np.eye(3), n_atoms=2, cutoff=cutoff))


def test_far_outside_the_cell():
    made = random_structure(1, BOXES["skewed"], spread=1e3)
    near = replace(made, coord=made.coord - np.floor(made.coord @ np.linalg.inv(made.box)) @ made.box)
    assert check(near)
    assert same(together([made]), together([near]), atol=1e-10)


@pytest.mark.parametrize("pbc", [(True, True, False), (False, True, False), (False, False, False)], ids=str)
@pytest.mark.parametrize("n_atoms", [5, 1500], ids=["few", "many"])
def test_an_atom_far_away_along_a_direction_without_images(pbc, n_atoms):
    """vesin cannot go as far."""
    made = random_structure(2, np.diag([20.0, 20.0, 20.0]), n_atoms=n_atoms, cutoff=3.0, pbc=pbc)
    far = replace(made, coord=made.coord + 1e9 * np.eye(n_atoms)[1][:, None] * [0.0, 0.0, 1.0])
    made.coord[1, 2] += 100.0
    assert check(made)
    assert same(together([made]), together([far]), atol=1e-6)


def test_frames_of_different_sizes_in_one_call():
    sizes = (3, 0, 1, 30, 2)
    frames = [
        random_structure(k, box, n_atoms=n, pbc=pbc)
        for k, (n, box, pbc) in enumerate(zip(sizes, BOXES.values(), DIRECTIONS, strict=False))
    ]
    for threads in (1, 2, 5):
        check(*frames, threads=threads)


@pytest.mark.parametrize("any_direction", [False, True])
def test_five_elements_some_of_which_do_not_see_others(any_direction):
    made = random_structure(3, BOXES["skewed"], n_atoms=23, n_types=5, any_direction=any_direction)
    everything = check(made)
    assert check(replace(made, excluded=((0, 1), (2, 2), (3, 9), (4, 5)))) < everything


def test_moments_of_any_length():
    """Longer than the cutoff, zero, and such that a virtual atom meets another atom."""
    made = random_structure(4, BOXES["cubic"])
    made.displacement[0] = [9.0, -3.0, 30.0]
    made.displacement[2] = 0.0
    made.displacement[4] = made.coord[1] - made.coord[4]
    for any_direction in (False, True):
        check(replace(made, any_direction=any_direction))


def test_nothing_to_see():
    alone = random_structure(5, 50.0 * np.eye(3), n_atoms=1, scale=0.0)
    assert check(alone) == 1, "its own virtual atom"
    assert check(replace(alone, use_spin=(False, True))) == 0
    nothing, vectors = np.zeros(0), np.zeros((0, 3))
    frames = Frames(4.0, nothing, nothing, vectors, np.zeros((0, 3, 3)), vectors, vectors, np.ones((2, 4)))
    found = find_pairs(frames)
    assert found.start.tolist() == [0]
    assert found.counts.shape == (0, 4)
    assert found.closest.tolist() == [np.inf, np.inf]


@pytest.mark.parametrize("n_atoms", [300, 1200, 4000])
@pytest.mark.parametrize("pbc", [(True, True, True), (True, False, False)], ids=str)
def test_large_frames(n_atoms, pbc):
    """Many points are sorted into boxes."""
    edge = (10.0 * n_atoms) ** (1 / 3)
    box = edge * np.array([[1.0, 0, 0], [0.4, 0.9, 0], [-0.2, 0.3, 1.1]])
    made = random_structure(6, box, n_atoms=n_atoms, pbc=pbc)
    assert check(made, threads=2) > n_atoms
    check(replace(made, cutoff=0.3, any_direction=True))


def test_a_hundred_thousand_atoms():
    made = random_structure(7, 100.0 * np.eye(3), n_atoms=100_000, cutoff=1.2)
    assert check(made) > 100_000


@pytest.mark.parametrize("any_direction", [False, True])
@pytest.mark.parametrize("pbc", [(True, True, True), (False, True, False)], ids=str)
def test_a_list_of_atoms_that_move(pbc, any_direction):
    rng = np.random.default_rng(11)
    made, other = (
        random_structure(11, BOXES[box], n_atoms=9, pbc=pbc, any_direction=any_direction)
        for box in ("skewed", "flat")
    )
    kept = PairList(0.8)
    for _ in range(20):
        made.coord[:] += 0.03 * rng.normal(size=made.coord.shape)
        made.displacement[:] = np.roll(made.displacement, 1, axis=1) * rng.uniform(0.97, 1.03, (9, 1))
        check(made, other, pairs=kept)
    assert 2 <= kept.searches < 12
    before = kept.searches
    check(made, other, pairs=kept)
    assert kept.searches == before
    changes = {
        "box": made.box * 1.001,
        "pbc": (True, False, True),
        "types": 1 - made.types,
        "cutoff": 4.5,
        "excluded": ((0, 0),),
        "any_direction": not any_direction,
    }
    for number, (name, value) in enumerate(changes.items(), 1):
        check(*(replace(one, **{name: value}) for one in (made, other)), pairs=kept)
        assert kept.searches == before + number, name


def test_a_list_survives_what_is_refused():
    made = random_structure(12, BOXES["cubic"])
    kept = PairList(0.5)
    check(made, pairs=kept)
    for change in ({"coord": made.coord * np.nan}, {"box": made.box * 0.0}):
        with pytest.raises(RuntimeError, match="expected"):
            check(replace(made, **change), pairs=kept)
        check(made, pairs=kept)


def test_threads_change_nothing():
    made = random_structure(8, 20.0 * np.eye(3), n_atoms=700)
    one, other = (together([made, made], threads) for threads in (1, 3))
    for name, values in vars(one).items():
        np.testing.assert_array_equal(values, getattr(other, name), err_msg=name)


WRONG = {
    "a coordinate": (lambda s: s.coord.__setitem__((2, 1), np.nan), "finite coordinates, atom 2 of frame 1"),
    "infinity": (lambda s: s.coord.__setitem__((0, 0), -np.inf), "finite coordinates, atom 0 of frame 1"),
    "a moment": (
        lambda s: s.displacement.__setitem__((3, 2), np.nan),
        "finite displacement, atom 3 of frame 1",
    ),
    "a type": (lambda s: s.types.__setitem__(4, 2), "types from 0 to T − 1, atom 4 of frame 1"),
    "a negative type": (lambda s: s.types.__setitem__(4, -1), "types from 0 to T − 1, atom 4 of frame 1"),
    "a flat box": (
        lambda s: s.box.__setitem__(2, s.box[0] - s.box[1]),
        "independent lattice vectors in frame 1",
    ),
    "a box of nothing": (lambda s: s.box.__setitem__(0, 0.0), "independent lattice vectors in frame 1"),
    "no number in a box": (lambda s: s.box.__setitem__((0, 0), np.nan), "independent lattice vectors"),
    "a tiny box": (lambda s: s.box.__imul__(1e-6), "fewer images"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_is_refused(what):
    change, said = WRONG[what]
    right, wrong = random_structure(9, BOXES["skewed"]), random_structure(9, BOXES["skewed"])
    change(wrong)
    with pytest.raises(RuntimeError, match=said):
        together([right, wrong])
    check(right)


def test_shapes_and_numbers_that_do_not_fit_are_refused():
    made = random_structure(10, BOXES["cubic"])
    for cutoff in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(RuntimeError, match="a cutoff above 0"):
            check(replace(made, cutoff=cutoff))
    with pytest.raises(RuntimeError, match="shape"):
        check(replace(made, displacement=made.displacement[:-1]))
    for n_atoms in ([5], [7], [7, -1], [3, 4, -1], [2**62, 2**62]):
        box, pbc = np.tile(made.box, (len(n_atoms), 1, 1)), [made.pbc] * len(n_atoms)
        with pytest.raises(RuntimeError, match="as many atoms as the frames have"):
            find_pairs(Frames(4.0, n_atoms, made.types, made.coord, box, pbc, made.displacement, made.seen))
