"""The least-squares initialisation of the exchange term."""

import numpy as np
import pytest
import torch

from spinpot.core.split import split_along
from spinpot.data import nio
from spinpot.data.nio_frames import SHAPES, sample
from spinpot.models.exchange import fit
from spinpot.models.exchange.fit import FORCE_MAG_PARTS, fit_systems
from spinpot.models.exchange.settings import EXCHANGE_TERMS
from support.frames import batch_of, evaluate, network, random_system, small_potential, system
from support.labels import labelled, labels_for


def without_network(**settings):
    potential = small_potential(**settings)
    torch.nn.init.zeros_(network(potential).fitting_nets.weight)
    torch.nn.init.zeros_(network(potential).fitting_nets.bias)
    return potential


@pytest.mark.parametrize("lacking", ["energy", "force", "force_mag", "virial"])
def test_what_a_term_made_is_found_again(lacking):
    truth = without_network(exchange=("bilinear", "biquadratic", "landau"))
    train = labelled(truth, frames=20, **{lacking: None})
    potential = small_potential(exchange=("bilinear", "biquadratic", "landau"), seed=5)
    potential.start(labels_for(potential, train))
    unseen = random_system(seed=9)
    wanted, found = evaluate(truth, unseen), evaluate(potential, unseen)
    for name in ("force", "force_mag"):
        spread = np.abs(wanted[name]).max()
        np.testing.assert_allclose(found[name], wanted[name], atol=0.02 * spread)


def test_amplitudes_change_the_labels_alike():
    """A step of one size in any amplitude is a step of about one size in what the labels leave."""
    truth = small_potential(exchange=EXCHANGE_TERMS)
    train = labelled(truth, frames=20)
    potential = small_potential(exchange=EXCHANGE_TERMS, seed=5)
    potential.start(labels_for(potential, train))
    term = potential.exchange
    structure = term.structure(batch_of(potential, train))
    used = term.whitening.abs().sum(0).nonzero().squeeze(-1)
    sizes = [
        term.evaluate(structure, term.whitening[:, k]).force_mag.square().mean().sqrt().item() for k in used
    ]
    assert max(sizes) < 1.0, "no amplitude makes magnetic forces beyond those of the labels"


def test_nothing_labelled_is_no_fit():
    made = random_system(seed=3, n_frames=2)
    fit = fit_systems(small_potential(exchange=("bilinear",)).exchange, [made])
    assert not fit.coefficients.any()


def test_the_exchange_of_the_built_in_nickel_oxide():
    """J2 within 2 % and J1 within 0.2 meV of the Hamiltonian's, from magnetic forces of disordered frames."""
    rng = np.random.default_rng(0)
    frames = [sample("tetragonal_32", rng) for _ in range(12)]
    labels = [nio.labels(frame) for frame in frames]
    train = system(
        nio.TYPE_NAMES,
        frames[0].types,
        *(np.array([getattr(frame, name) for frame in frames]) for name in ("box", "coord", "spin")),
        **{name: np.array([one[name] for one in labels]) for name in labels[0]},
    )
    assert "tetragonal_32" in SHAPES
    potential = small_potential(exchange=("bilinear", "landau"), rcut=5.0)
    fit = fit_systems(potential.exchange, [train])
    r = torch.tensor([nio.LATTICE_CONSTANT / 2**0.5, nio.LATTICE_CONSTANT], dtype=torch.float64)
    bilinear = potential.exchange.named(fit.coefficients)["bilinear"][0]
    J1, J2 = (-potential.exchange.basis(r)[0] @ bilinear * nio.MOMENT**2).tolist()
    assert pytest.approx(nio.J2, rel=0.05) == J2
    assert pytest.approx(nio.J1, abs=0.5e-3) == J1


def test_a_single_frame_keeps_its_energy():
    train = labelled(small_potential(), frames=1, energy=np.array([-5000.0]))
    potential = small_potential(exchange=("bilinear",))
    potential.start(labels_for(potential, train))
    assert evaluate(potential, train)["energy"] == pytest.approx([-5000.0], abs=1.0)


def test_every_system_is_looked_at():
    """An element in one frame of hundreds has its energy and its moment too."""
    common = labelled(small_potential(), frames=230)
    common.types[:] = 0
    rare = system(
        ("Ni", "O"),
        [0, 1],
        9.0 * np.eye(3),
        [[0.0, 0, 0], [2.5, 0, 0]],
        [[1.0, 0, 0], [0, 0.5, 0]],
        energy=-77.0,
        force=np.zeros((2, 3)),
        force_mag=np.zeros((2, 3)),
        virial=np.zeros((3, 3)),
    )
    potential = small_potential(exchange=("bilinear", "landau"), use_spin=(True, True))
    potential.start(labels_for(potential, common, rare))
    assert potential.exchange.moment_squared[1] == pytest.approx(0.25)
    assert evaluate(potential, rare)["energy"] == pytest.approx([-77.0], abs=1.0)


def test_labels_that_are_a_multiple_of_the_derivative():
    truth = without_network(exchange=("bilinear", "landau"))
    exact = labelled(truth, frames=20)
    half = system(
        *(exact.type_map, exact.types, exact.box, exact.coord, exact.spin),
        **{name: getattr(exact, name) for name in ("energy", "force", "virial")},
        force_mag=0.5 * exact.force_mag,
    )
    term = small_potential(exchange=("bilinear", "landau"), seed=5).exchange
    wanted = fit_systems(term, [exact]).coefficients
    found = fit_systems(term, [half], scale=torch.tensor([0.5, 1.0], dtype=torch.float64)).coefficients
    torch.testing.assert_close(found, wanted)


def test_labels_that_are_not_trained_do_not_count():
    truth = without_network(exchange=("bilinear",))
    wrong = labelled(truth, frames=10, virial=np.full((10, 3, 3), 1e3))
    right = labelled(truth, frames=10, virial=None)
    term = small_potential(exchange=("bilinear",), seed=5).exchange
    found = fit_systems(term, [wrong], ("energy", "force", "force_mag")).coefficients
    torch.testing.assert_close(found, fit_systems(term, [right]).coefficients)


@pytest.mark.parametrize(("part", "other"), [(0, 1), (1, 0)])
def test_one_part_of_the_magnetic_force_alone(part, other):
    """Wrong labels across the moments do not matter to what is fitted along them, and the other way round."""
    truth = without_network(exchange=("bilinear", "landau"))
    right = labelled(truth, frames=20)
    spin, force_mag = torch.from_numpy(right.spin), torch.from_numpy(right.force_mag)
    across, _ = split_along(force_mag, spin)
    parts = [across, force_mag - across]
    parts[other] = 5.0 * parts[other]
    wrong = labelled(truth, frames=20, force_mag=sum(parts).numpy())
    term = small_potential(exchange=("bilinear", "landau"), seed=5).exchange
    labels = ("energy", "force", FORCE_MAG_PARTS[part])
    found, wanted = (fit_systems(term, [frames], labels).coefficients for frames in (wrong, right))
    torch.testing.assert_close(found, wanted)
    spoilt = fit_systems(term, [wrong], ("energy", "force", FORCE_MAG_PARTS[other])).coefficients
    assert not torch.allclose(spoilt, wanted, rtol=1e-3)


def test_of_very_many_systems_some_are_looked_at(monkeypatch):
    monkeypatch.setattr(fit, "MOST_FRAMES", 5)
    term = small_potential(exchange=("bilinear",)).exchange
    one = labelled(small_potential(), frames=1)
    assert len(fit.chosen_frames([one] * 23, term)) == 5
    many = labelled(small_potential(), frames=20)
    assert len(fit.chosen_frames([many, one, one], term)) == 4 + 2


def test_lengths_that_never_vary_are_not_fitted_to_their_rounding():
    """As with a code that constrains directions alone: no label says what a longer moment would cost."""
    truth = without_network(exchange=("bilinear",))
    made = random_system(seed=3, n_frames=20)
    carries = made.types == 0
    made.spin[:, carries] *= 2.0 / np.linalg.norm(made.spin[:, carries], axis=-1, keepdims=True)
    values = evaluate(truth, made)
    across = split_along(
        torch.from_numpy(values["force_mag"]).reshape(made.spin.shape), torch.from_numpy(made.spin)
    )[0].numpy()
    labels = {"energy": values["energy"], "force_mag": across}
    train = system(made.type_map, made.types, made.box, made.coord, made.spin, **labels)
    potential = small_potential(exchange=("bilinear", "landau"), seed=5)
    potential.start(labels_for(potential, train))
    found = evaluate(potential, made)["force_mag"]
    assert np.abs(found).max() < 10 * np.abs(values["force_mag"]).max()
