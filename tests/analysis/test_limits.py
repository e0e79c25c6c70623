"""Limits of exchange constants: distant pairs are marked, and equivalent pairs that differ are reported."""

import io
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from spinpot.analysis.exchange import Settings, exchange
from spinpot.analysis.exchange_tensors import exchange_tensors
from spinpot.analysis.limits import equal_pairs, limits_of
from spinpot.analysis.result import shown
from spinpot.analysis.shells import shells_of
from spinpot.ase import SpinCalculator
from spinpot.data import nio
from spinpot.evaluation.predictor import Predictor
from spinpot.models.training_facts import TrainingFacts
from support.frames import small_potential
from support.nio_calculator import NiOCalculator, nio_atoms

FAR = (
    "The training data do not determine J in 1 of 2 shells (marked †; the nearest is Ni–Ni at 4.170 Å). In "
    "the training cells these pairs coincide with periodic images at other distances, so the labels give "
    "only the sum of their J. The model extrapolates each J, and what depends on it (ordering temperature, "
    "spin waves). Train on larger cells."
)


class OfSmallCells(NiOCalculator):
    """As if it had been trained on cells of 6 Å."""

    def tells_apart(self):
        return 3.0


@pytest.fixture(scope="module")
def state():
    """The exchange of NiO, whose two shells each have one J."""
    model, cell = NiOCalculator(), nio_atoms()
    return exchange_tensors(model, cell, 4.5, model.reach(cell), 0.02, full=False)


@pytest.fixture(scope="module")
def far():
    return exchange(OfSmallCells(), nio_atoms(), Settings(cutoff=4.5))


def test_shells_beyond_half_of_the_training_cells_are_marked(far):
    assert FAR in far.paragraphs
    assert any(" K †; multiply by (S+1)/S for quantum spins" in text for text in far.paragraphs)
    assert [row[1] for row in far.tables[0].rows] == ["2.949", "4.170 †"]
    assert "†: not determined by the training data." in far.tables[0].note
    assert [shell["determined_by_training"] for shell in far.numbers["shells"]] == [True, False]
    assert far.numbers["told_apart_A"] == 3.0
    line = "The training data do not determine all J; the nearest such pair is 4.17 Å apart."
    assert line in far.files["exchange.out"].splitlines()[0]
    assert far.files["vampire.ucf"].startswith(f"# {line}\n# Unit cell")
    assert far.files["vampire.mat"].startswith(f"# {line}\n")
    figure = far.pictures[0].draw()
    assert figure.get_suptitle() == "grey: not determined by the training data"
    points = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    colours = {max(line.get_xdata()) > 4.0: line.get_color() for line in points}
    assert colours[False] != colours[True]
    figure.savefig(io.BytesIO())


def test_a_model_of_large_cells_marks_nothing():
    found = exchange(NiOCalculator(), nio_atoms(), Settings(cutoff=4.5))
    assert not any("do not determine all J" in text for text in found.paragraphs)
    assert [row[1] for row in found.tables[0].rows] == ["2.949", "4.170"]
    assert [shell["determined_by_training"] for shell in found.numbers["shells"]] == [True, True]
    assert found.numbers["told_apart_A"] is None
    assert "determine" not in found.files["exchange.out"].splitlines()[0]
    assert found.files["vampire.ucf"].startswith("# Unit cell")
    assert found.pictures[0].draw().get_suptitle() == ""


class OfTwoCubes(NiOCalculator):
    """As if it had been trained on 32 atoms, whose lattice vectors are twice the second distance of Ni."""

    strain = np.eye(3) + 0.01 * np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1]])

    def tells_apart(self):
        return 0.99 * nio.LATTICE_CONSTANT

    def training_cells(self):
        return [2.0 * nio.LATTICE_CONSTANT * self.strain]


def test_images_that_are_equal_by_symmetry_are_determined():
    """A second neighbour and the opposite one are images of each other."""
    found = exchange(OfTwoCubes(), nio_atoms(), Settings(cutoff=4.5))
    assert [shell["determined_by_training"] for shell in found.numbers["shells"]] == [True, True]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([TrainingFacts({}, 5.0)], 2.5),
        ([TrainingFacts({}, 5.0), TrainingFacts({}, 4.0)], 2.0),
        ([TrainingFacts({}, 5.0), None], None),
    ],
)
def test_the_calculator_knows_it_from_the_files(facts, expected):
    models = []
    for one in facts:
        potential = small_potential()
        potential.facts = one
        models.append(Predictor(potential))
    assert SpinCalculator(models).tells_apart() == expected


def test_pairs_of_nickel_oxide_that_are_equal(state):
    """Of the 12 nearest, those along and across the ordering; so parallel and antiparallel ones."""
    equal = equal_pairs(state, 0.01)
    e = state.directions
    aligned = np.sign((e[state.i] * e[state.j]).sum(axis=1))
    near = state.distance < 3.5
    assert len(set(equal)) == 3
    assert {(number, sign) for number, sign in zip(equal[near], aligned[near], strict=True)} == {
        (equal[near & (aligned > 0)][0], 1.0),
        (equal[near & (aligned < 0)][0], -1.0),
    }
    assert len(set(equal[~near])) == 1


def test_without_symmetry_no_pair_equals_another(state):
    """But for its reverse."""
    cell = state.cell.copy()
    cell.positions += np.random.default_rng(0).uniform(-0.2, 0.2, (len(cell), 3))
    cell.set_cell(cell.cell.array + np.random.default_rng(1).uniform(-0.2, 0.2, (3, 3)))
    equal = equal_pairs(replace(state, cell=cell), 0.01)
    assert len(set(equal)) == len(equal) / 2


def test_a_spread_over_equal_pairs_is_named(state):
    shells = shells_of(state)
    far = np.flatnonzero(state.distance > 3.5)
    tensor = state.tensor.copy()
    back = next(
        p
        for p in far
        if state.i[p] == state.j[far[0]] and np.allclose(state.vector[p], -state.vector[far[0]])
    )
    tensor[[far[0], back]] *= 0.2
    wrong = replace(state, tensor=tensor)
    limits = limits_of(NiOCalculator(), wrong, 0.01)
    J = 1000.0 * wrong.isotropic[far]
    ends = f"{shown(float(J.min()))} to {shown(float(J.max()))} meV"
    assert limits.said(wrong, shells) == [
        f"Pairs that are equal by symmetry differ in J by up to {np.ptp(J):.3g} meV "
        f"(Ni–Ni at 4.170 Å: {ends}; such shells are marked ‡). This difference is an error of the model, "
        "not exchange; but with spin–orbit coupling it may be real, because a single state gives only a part "
        "of each tensor. task.exchange.full_tensor=true gives the whole."
    ]
    assert [limits.marks(wrong, shell.pairs) for shell in shells] == ["", " ‡"]
    assert limits.in_short(wrong) == "Pairs that are equal by symmetry differ, an error of the model."


def test_one_atom_in_a_cell_of_high_symmetry():
    """Iron, one atom: each shell of bcc is one set of pairs."""

    class Iron(NiOCalculator):
        def calculate(self, atoms=None, properties=("energy",), system_changes=()):
            super(NiOCalculator, self).calculate(atoms, properties, system_changes)
            zero = np.zeros((len(self.atoms), 3))
            self.results = {"energy": 0.0, "forces": zero, "magnetic_forces": zero}

        def reach(self, atoms):
            return 4.2

    a = 2.87
    cell = Atoms("Fe", cell=0.5 * a * (np.ones((3, 3)) - 2 * np.eye(3)), pbc=True)
    cell.set_initial_magnetic_moments([[0.3, 0.4, 2.0]])
    found = exchange_tensors(Iron(), cell, 4.2, 4.2, 0.02, full=False)
    equal = equal_pairs(found, 0.01)
    assert [len(found.i[equal == one]) for one in dict.fromkeys(equal)] == [8, 6, 12]
