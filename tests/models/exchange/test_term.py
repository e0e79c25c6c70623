"""The exchange term as a part of the potential."""

import numpy as np
import pytest
import torch

from spinpot.core.errors import InputError
from spinpot.evaluation.convert import convert
from spinpot.models.checkpoint import save_potential
from spinpot.models.exchange.settings import EXCHANGE_TERMS, ExchangeSettings
from support.checkpoints import load_potential
from support.frames import batch_of, evaluate, random_system, small_potential, system

BOTH = (True, True)


def test_it_is_linear_in_its_coefficients():
    term = small_potential(exchange=EXCHANGE_TERMS).exchange
    structure = term.structure(batch_of(small_potential(), random_system(seed=1)))
    a, b = torch.randn(2, len(term.start), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for name in ("atom_energy", "force", "force_mag", "virial"):
        apart = getattr(term.evaluate(structure, a), name) + 2 * getattr(term.evaluate(structure, b), name)
        torch.testing.assert_close(getattr(term.evaluate(structure, a + 2 * b), name), apart)


def test_gradients_of_the_amplitudes():
    potential = small_potential(exchange=EXCHANGE_TERMS)
    term = potential.exchange
    term.whitening.normal_(0.0, 0.1, generator=torch.Generator().manual_seed(1))
    batch = batch_of(potential, random_system(seed=1))

    def outputs(amplitudes):
        made = term.evaluate(term.structure(batch), term.start + term.whitening @ amplitudes)
        return made.atom_energy, made.force, made.force_mag, made.virial

    amplitudes = torch.zeros_like(term.amplitudes).requires_grad_()
    assert torch.autograd.gradcheck(outputs, (amplitudes,), eps=1e-4)


@pytest.mark.parametrize("use_spin", [(True, False), BOTH])
def test_all_pairs_give_what_those_that_count_do(use_spin):
    """As a GPU takes them, which need not be told how many there are; with a moment that is zero."""
    potential = small_potential(exchange=EXCHANGE_TERMS, use_spin=use_spin)
    term, made = potential.exchange, random_system(seed=1)
    made.spin[0, 1] = 0.0
    batch = batch_of(potential, made)
    picked, all_pairs = term.structure(batch), term.structure(batch)
    all_pairs.pick = False
    weights = torch.randn(len(term.start), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected, found = term.evaluate(picked, weights), term.evaluate(all_pairs, weights)
    assert len(all_pairs.spins.r) == len(batch.pair_type) > len(picked.spins.r)
    for name in ("atom_energy", "force", "force_mag", "virial"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name), rtol=1e-12, atol=1e-12)


def test_two_magnetic_elements_in_another_order():
    made = random_system(seed=1)
    made.spin[0, made.types == 1] = [[0.5, -0.2, 1.0], [0.3, 0.9, 0.1]]
    potential = small_potential(exchange=EXCHANGE_TERMS, use_spin=BOTH)
    other = potential.reordered(("O", "Ni"))
    swapped = system(("O", "Ni"), 1 - made.types, made.box[0], made.coord[0], made.spin[0])
    before, after = evaluate(potential, made), evaluate(other, swapped)
    for name in before:
        np.testing.assert_allclose(after[name], before[name], rtol=0, atol=1e-11)


def test_checkpoints_carry_it(tmp_path):
    potential = small_potential(exchange=EXCHANGE_TERMS)
    save_potential(tmp_path / "x.ckpt", potential)
    made = random_system(seed=1)
    loaded = load_potential(tmp_path / "x.ckpt")
    np.testing.assert_array_equal(evaluate(loaded, made)["force_mag"], evaluate(potential, made)["force_mag"])


def test_export_is_refused_unless_the_network_alone_is_asked_for(tmp_path):
    potential = small_potential(exchange=EXCHANGE_TERMS)
    save_potential(tmp_path / "x.ckpt", potential)
    with pytest.raises(InputError, match=r"x\.dp: this model has an exchange term.*--network-only"):
        convert(tmp_path / "x.ckpt", tmp_path / "x.dp")
    assert not (tmp_path / "x.dp").exists()
    convert(tmp_path / "x.ckpt", tmp_path / "x.dp", network_only=True)
    convert(tmp_path / "x.dp", tmp_path / "y.ckpt")
    made = random_system(seed=1)
    potential = potential.without_exchange()
    np.testing.assert_allclose(
        evaluate(load_potential(tmp_path / "y.ckpt"), made)["energy"], evaluate(potential, made)["energy"]
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"terms": ["bilinear", "dzyaloshinskii"]}, "expected some of bilinear, biquadratic"),
        ({"terms": ["bilinear", "bilinear"]}, "each once"),
        ({"terms": ["landau"]}, "expected bilinear among them"),
        ({"n_radial": 0}, "model.exchange.n_radial=0: expected at least 1"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(InputError, match=message):
        ExchangeSettings(**settings).check()
