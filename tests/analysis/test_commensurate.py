"""Wave vectors, and the supercells that are commensurate with them."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from ase import Atoms

from spinpot.analysis.commensurate import as_fractions, cells_of, in_words, repeated, supercell_for
from spinpot.core.errors import InputError

WAVES = [
    tuple(Fraction(k, n) for k, n in zip(ks, ns, strict=True))
    for ks, ns in [
        ((0, 0, 0), (1, 1, 1)),
        ((1, 0, 0), (2, 1, 1)),
        ((1, 1, 1), (16, 16, 16)),
        ((1, 3, -1), (2, 7, 3)),
        ((0, 5, 2), (1, 6, 9)),
        ((-1, 1, 3), (4, 4, 8)),
    ]
]


@pytest.mark.parametrize("wave", WAVES, ids=in_words)
def test_the_supercell_is_the_smallest_that_fits(wave):
    """It has every lattice vector T with whole q·T, and no others."""
    matrix = supercell_for(wave)
    for row in matrix:
        assert sum(q * int(t) for q, t in zip(wave, row, strict=True)).denominator == 1
    assert round(np.linalg.det(matrix)) == cells_of(wave)
    for T in product(range(-3, 4), repeat=3):
        fits = sum(q * t for q, t in zip(wave, T, strict=True)).denominator == 1
        inside = np.linalg.solve(matrix.T, T)
        assert fits == bool(np.allclose(inside, np.round(inside), atol=1e-9))


def test_repeated_atoms():
    atoms = Atoms("NiO", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=[2, 3, 4], pbc=True)
    atoms.set_initial_magnetic_moments([[0, 0, 1.5], [0, 0, 0]])
    cells = repeated(atoms, WAVES[2])
    assert len(cells) == 32
    assert cells.get_volume() == pytest.approx(16 * atoms.get_volume())
    np.testing.assert_array_equal(
        cells.get_initial_magnetic_moments()[cells.numbers == 28], [[0, 0, 1.5]] * 16
    )
    # Compact: its edges are hardly oblique, which those of the matrix itself are.
    assert np.prod(cells.cell.lengths()) < 1.5 * cells.get_volume()
    assert (
        np.prod(np.linalg.norm(supercell_for(WAVES[2]) @ atoms.cell.array, axis=1)) > 10 * cells.get_volume()
    )


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ([0.3333, 0, 0], "1/3, 0, 0"),
        ([0.5, -0.25, 1.0], "1/2, −1/4, 1"),
        ([0.1, 0.2, 0.3], "1/10, 1/5, 3/10"),
    ],
)
def test_numbers_stand_for_fractions(q, expected):
    assert in_words(as_fractions(q, 60)) == expected


def test_what_does_not_fit_is_told_with_what_does():
    with pytest.raises(
        InputError, match=r"at most 5 cells. The nearest commensurate one is \(1/4, 0, 0\), with 4"
    ):
        as_fractions([0.26, 0.0, 0.0], 5)
