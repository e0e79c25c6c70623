"""Task exchange: shells, ordering temperature, checks and messages."""

import numpy as np
import pytest

from spinpot.analysis.exchange import Settings, exchange
from spinpot.ase import SpinCalculator
from spinpot.core.errors import InputError
from spinpot.data import nio
from spinpot.evaluation.predictor import Predictor
from support.native_spin import calibrated_native
from support.nio_calculator import NiOCalculator, ferromagnetic, nio_atoms


@pytest.fixture(scope="module")
def result():
    return exchange(NiOCalculator(), nio_atoms(), Settings())


def test_the_shells_of_nio(result):
    first, second = result.numbers["shells"][:2]
    assert (first["neighbours"], second["neighbours"]) == (12, 6)
    assert first["distance_A"] == pytest.approx(4.17 / 2**0.5)
    # From one state, in which the dipole interaction adds a little.
    assert first["J_meV"] == pytest.approx(-1000 * nio.J1, abs=0.01)
    assert second["J_meV"] == pytest.approx(-1000 * nio.J2, rel=1e-3)
    rows = result.tables[0].rows
    assert [row[:3] for row in rows] == [["Ni–Ni", "2.949", "12"], ["Ni–Ni", "4.170", "6"]]
    assert rows[1][5] is None  # no parallel pair at this distance
    assert rows[1][6] == pytest.approx(second["J_meV"])


def test_the_temperature_is_that_of_mean_field(result):
    # J1 is the same for as many parallel as antiparallel pairs: 6 J2 are left.
    assert result.numbers["mean_field_temperature_K"] == pytest.approx(6 * nio.J2 / 3 / 8.617333e-5, rel=2e-3)


def test_conventions(result):
    J = result.numbers["shells"][1]["J_meV"]
    assert [row[3] for row in result.tables[1].rows[:3]] == pytest.approx([J, J / 2, -J])


def test_the_uncertainty_is_the_spread_of_drawn_models():
    model = SpinCalculator(Predictor(calibrated_native()))
    given = [exchange(one, nio_atoms(), Settings(cutoff=3.5, draws=0)) for one in (model, *model.drawn(3))]
    own, *others = (one.numbers["shells"][0]["J_meV"] for one in given)
    _, *temperatures = (one.numbers["mean_field_temperature_K"] for one in given)
    found = exchange(model, nio_atoms(), Settings(cutoff=3.5, draws=3))
    (shell,) = found.numbers["shells"]
    assert shell["J_meV"] == own
    assert shell["sigma_meV"] == pytest.approx(np.std(others, ddof=1), rel=1e-9)
    assert found.numbers["mean_field_temperature_sigma_K"] == pytest.approx(np.std(temperatures, ddof=1))
    assert found.tables[0].columns[3:5] == ["J (meV)", "σ (meV)"]
    assert found.tables[0].rows[0][3:5] == [own, shell["sigma_meV"]]
    assert "σ (meV)" not in given[0].tables[0].columns


def test_what_is_left_out_is_said():
    near = exchange(NiOCalculator(), nio_atoms(), Settings(cutoff=4.0))
    assert [shell["neighbours"] for shell in near.numbers["shells"]] == [12]
    assert (
        "Pairs beyond 4.00 Å are left out, although the model's interaction range is 6.40 Å"
        in near.paragraphs[1]
    )
    assert "of the model is 6.40 Å: farther pairs are left out" in " ".join(near.method)
    far = exchange(NiOCalculator(), nio_atoms(), Settings(cutoff=50.0))
    assert far.numbers["shells"] == exchange(NiOCalculator(), nio_atoms(), Settings()).numbers["shells"]
    assert "Beyond it J is zero, so that pairs up to 50.00 Å are not listed" in " ".join(far.method)


def test_a_state_that_is_not_stable_is_said():
    """A ferromagnet of NiO: no order with this period, in place of a temperature of the oxygens' zero."""
    found = exchange(NiOCalculator(), ferromagnetic(), Settings(cutoff=4.5))
    assert found.numbers["mean_field_temperature_K"] < 0.0
    assert found.paragraphs[0].endswith("No order with the period of this cell is stable in mean field.")
    said = [text for text in found.paragraphs if text.startswith("The state is not stable")]
    assert len(said) == 1


def test_a_state_that_is_not_stationary_is_said():
    atoms = nio_atoms()
    spin = atoms.get_initial_magnetic_moments()
    first = np.flatnonzero(spin.any(axis=1))[0]
    across = np.cross(spin[first], [0.3, -0.5, 0.8])
    spin[first] += 0.6 * np.linalg.norm(spin[first]) * across / np.linalg.norm(across)
    atoms.set_initial_magnetic_moments(spin)
    found = exchange(NiOCalculator(), atoms, Settings(cutoff=4.5))
    assert any(text.startswith("The state is not stationary: its torques") for text in found.paragraphs)
    perfect = exchange(NiOCalculator(), nio_atoms(), Settings(cutoff=4.5))
    assert not any(text.startswith("The state") for text in perfect.paragraphs)


def test_pictures_and_files(result):
    (picture,) = result.pictures
    linear, logarithmic = picture.draw().axes
    assert linear.get_ylabel() == "J (meV)"
    assert logarithmic.get_yscale() == "log"
    assert set(result.files) == {"exchange.out", "TB2J.pickle", "vampire.ucf", "vampire.mat"}


def test_no_pair_is_refused():
    with pytest.raises(InputError, match=r"cutoff=2.0: expected more: no two magnetic atoms are that close"):
        exchange(NiOCalculator(), nio_atoms(), Settings(cutoff=2.0))


@pytest.mark.parametrize("wrong", [{"cutoff": 0.0}, {"step": 0.5}, {"tolerance": 0.0}, {"draws": 1}])
def test_numbers_that_mean_nothing_are_refused(wrong):
    with pytest.raises(InputError, match=f"task.exchange.{next(iter(wrong))}"):
        Settings(**wrong)
