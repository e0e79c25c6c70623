"""Limits of exchange constants: small training cells, the cutoff of the model, and broken symmetry."""

import io
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from spinpot.analysis.cells import magnetic_cell
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
from support.nio_calculator import PRIMITIVE, NiOCalculator, ferromagnetic, nio_atoms

FAR = (
    "The training data do not determine J in 2 of 2 shells (marked †; the nearest is Ni–Ni at 2.949 Å). In "
    "the training cells these pairs coincide with periodic images at other distances, so the labels give "
    "only the sum of their J. The model extrapolates each J, and the spin waves. The ordering temperature "
    "depends only on a sum of J that the training data determine. Train on larger cells."
)
SMALL = {"Ni2O2": [nio.LATTICE_CONSTANT * np.array(PRIMITIVE)]}
"""The magnetic cell itself: parallel pairs are images of an atom itself, antiparallel ones of each other."""
CUBE = {
    "Ni32O32": [
        2.0 * nio.LATTICE_CONSTANT * (np.eye(3) + 0.01 * np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1]]))
    ]
}
"""Its lattice vectors are twice the second distance of Ni."""
OTHER = {"Fe54": [3.0 * nio.LATTICE_CONSTANT * np.eye(3)]}


class TrainedOn(NiOCalculator):
    """As if models had been trained on these crystals."""

    def __init__(self, *crystals):
        super().__init__()
        self.crystals = list(crystals)

    def training_crystals(self):
        return self.crystals


def of_training(*crystals):
    found = exchange(TrainedOn(*crystals), nio_atoms(), Settings(cutoff=4.5))
    return [shell["determined_by_training"] for shell in found.numbers["shells"]]


@pytest.fixture(scope="module")
def state():
    """The exchange of NiO, whose two shells each have one J."""
    return state_of(nio_atoms())


def state_of(atoms):
    model, cell = NiOCalculator(), magnetic_cell(atoms, 0.01)
    return exchange_tensors(model, cell, 4.5, model.reach(cell), 0.02, full=False)


@pytest.fixture(scope="module")
def far():
    return exchange(TrainedOn(SMALL), nio_atoms(), Settings(cutoff=4.5))


def test_shells_that_small_cells_do_not_determine_are_marked(far):
    assert FAR in far.paragraphs
    assert far.numbers["mean_field_temperature_determined_by_training"] is True
    assert any(" K; multiply by (S+1)/S for quantum spins" in text for text in far.paragraphs)
    assert [row[1] for row in far.tables[0].rows] == ["2.949 †", "4.170 †"]
    assert "†: not determined by the training data." in far.tables[0].note
    assert [shell["determined_by_training"] for shell in far.numbers["shells"]] == [False, False]
    line = "The training data do not determine all J; the nearest such pair is 2.95 Å apart."
    assert line in far.files["exchange.out"].splitlines()[0]
    assert far.files["vampire.ucf"].startswith(f"# {line}\n# Unit cell")
    assert far.files["vampire.mat"].startswith(f"# {line}\n")
    figure = far.pictures[0].draw()
    assert figure.get_suptitle() == "grey: not determined by the training data"
    determined = exchange(NiOCalculator(), nio_atoms(), Settings(cutoff=4.5)).pictures[0].draw()
    assert colours(figure).isdisjoint(colours(determined))
    figure.savefig(io.BytesIO())


def colours(figure):
    return {line.get_color() for line in figure.axes[0].lines if line.get_marker() == "o"}


def test_a_temperature_that_is_not_determined_is_marked():
    """In a ferromagnet of one Ni, all pairs are images of the atom itself in the cell of training."""
    atoms = ferromagnetic()
    limits = limits_of(TrainedOn({"NiO": [magnetic_cell(atoms, 0.01).cell.array]}), state_of(atoms), 0.01)
    assert limits.sum_known is False
    assert limits.temperature_marks() == " †"
    assert (
        "They do not determine the ordering temperature, either." in limits.said(shells_of(limits.found))[0]
    )


def test_a_model_of_large_cells_marks_nothing():
    found = exchange(NiOCalculator(), nio_atoms(), Settings(cutoff=4.5))
    assert not any("do not determine" in text for text in found.paragraphs)
    assert [row[1] for row in found.tables[0].rows] == ["2.949", "4.170"]
    assert [shell["determined_by_training"] for shell in found.numbers["shells"]] == [True, True]
    assert "determine" not in found.files["exchange.out"].splitlines()[0]
    assert found.files["vampire.ucf"].startswith("# Unit cell")
    assert found.pictures[0].draw().get_suptitle() == ""


def test_images_that_are_equal_by_symmetry_are_determined():
    """A second neighbour and the opposite one are images of each other."""
    assert of_training(CUBE) == [True, True]


def test_cells_of_other_materials_are_no_evidence():
    assert of_training(SMALL | OTHER) == of_training(SMALL) == [False, False]
    found = exchange(TrainedOn(OTHER), nio_atoms(), Settings(cutoff=4.5))
    assert [shell["determined_by_training"] for shell in found.numbers["shells"]] == [None, None]
    assert found.numbers["mean_field_temperature_determined_by_training"] is None
    assert any(
        text.startswith("No training cell is a supercell of the magnetic cell Ni2O2")
        for text in found.paragraphs
    )
    assert [row[1] for row in found.tables[0].rows] == ["2.949", "4.170"]


def test_several_models_determine_what_each_of_them_determines():
    assert of_training(CUBE, CUBE) == [True, True]
    assert of_training(CUBE, SMALL) == [False, False]
    assert of_training(CUBE, OTHER) == of_training(CUBE, {}) == [None, None]


def test_small_constants_have_the_same_rule(state):
    """A shell of small J is not marked, but the training cells do not determine it, either."""
    tensor = np.where((state.distance < 3.5)[:, None, None], 1e-4 * state.tensor, state.tensor)
    tensor += 1e-6 * np.eye(3)
    limits = limits_of(TrainedOn(SMALL), replace(state, tensor=tensor), 0.01)
    near = limits.found.distance < 3.5
    assert not limits.known[near].all()
    assert limits.marks(near) == ""


def test_the_cutoff_makes_distant_constants_zero():
    found = exchange(NiOCalculator(), nio_atoms(), Settings())
    assert [round(shell["distance_A"], 2) for shell in found.numbers["shells"]] == [2.95, 4.17]
    assert found.numbers["model_cutoff_A"] == 3.2
    (said,) = [text for text in found.paragraphs if "The cutoff, not the training data" in text]
    assert said.startswith("The model has no direct exchange beyond its cutoff, 3.20 Å.")
    assert "(the nearest is Ni–Ni at 5.107 Å)" in said
    distances = np.concatenate([line.get_xdata() for line in found.pictures[0].draw().axes[0].lines[:-1]])
    assert distances.max() < 4.2


def test_the_calculator_knows_the_crystals_from_the_files():
    crystals, models = {"NiO": [np.eye(3).tolist()]}, []
    for facts in (TrainingFacts({}, crystals), None):
        potential = small_potential()
        potential.facts = facts
        models.append(Predictor(potential))
    assert SpinCalculator(models).training_crystals() == [crystals, {}]


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
    assert limits.said(shells) == [
        f"Pairs that are equal by symmetry differ in J by up to {np.ptp(J):.3g} meV "
        f"(Ni–Ni at 4.170 Å: {ends}; such shells are marked ‡). This difference is an error of the model, "
        "not exchange; but with spin–orbit coupling it may be real, because a single state gives only a part "
        "of each tensor. task.exchange.full_tensor=true gives the whole."
    ]
    assert [limits.marks(shell.pairs) for shell in shells] == ["", " ‡"]
    assert limits.in_short() == "Pairs that are equal by symmetry differ, an error of the model."


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
