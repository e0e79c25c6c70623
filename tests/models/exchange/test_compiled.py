"""The compiled exchange term agrees with torch's operations."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from spinpot import kernels
from spinpot.data.batch import collate
from spinpot.data.dataset import make_frames
from spinpot.models.exchange.settings import EXCHANGE_TERMS, ExchangeSettings
from spinpot.models.exchange.term import ExchangeTerm
from support.frames import batch_of, evaluate, random_system, small_potential
from support.native_spin import frames_of

pytestmark = pytest.mark.usefixtures("compiled")


def term_of(potential, terms, n_radial=4, n_field=3, seed=0):
    """Some terms alone, with random coefficients, for the elements of a potential."""
    others = tuple(name for name in terms if name != "bilinear")
    settings = ExchangeSettings(("bilinear", *others), n_radial, n_field)
    term, generator = ExchangeTerm(potential.spec, settings), torch.Generator().manual_seed(seed)
    term.start.normal_(0.0, 0.1, generator=generator)
    term.whitening.normal_(0.0, 0.1, generator=generator)
    term.amplitudes.data.normal_(generator=generator)
    term.moment_squared.uniform_(1.0, 2.0, generator=generator)
    if "bilinear" not in terms:  # it comes first
        size = term.named(term.start)["bilinear"].numel()
        term.start[:size] = term.whitening[:size] = 0.0
    return term


def compared(term, batch, tolerance=1e-12):
    """Both evaluations, within that part of the largest component."""
    with torch.no_grad():
        ours = term(batch)
        with kernels.without():
            theirs = term(batch)
    for name, expected in vars(theirs).items():
        found = getattr(ours, name)
        assert found.dtype == expected.dtype
        largest = float(expected.abs().max()) if expected.numel() else 0.0
        torch.testing.assert_close(found, expected, rtol=0.0, atol=tolerance * largest)
    return ours


@pytest.mark.parametrize("terms", [*((name,) for name in EXCHANGE_TERMS), EXCHANGE_TERMS], ids=",".join)
@pytest.mark.parametrize(
    "use_spin", [(True,), (True, False), (True, True), (False, True, True, False, True)], ids=str
)
def test_equal_to_torch(terms, use_spin):
    potential = small_potential(use_spin=use_spin)
    term = term_of(potential, terms)
    batch = batch_of(potential, frames_of(use_spin, 3))
    assert (batch.pair_type >= len(use_spin)).any()
    made = compared(term, batch)
    assert made.atom_energy.abs().max() > 1e-3


@pytest.mark.parametrize(("n_radial", "n_field"), [(1, 1), (10, 4), (13, 12), (40, 30)])
def test_any_number_of_radial_functions(n_radial, n_field):
    potential = small_potential(use_spin=(True, True), rcut=6.0, sel=(200, 200))
    term = term_of(potential, EXCHANGE_TERMS, n_radial, n_field)
    compared(term, batch_of(potential, frames_of((True, True), 2)))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_many_atoms_on_threads(threads):
    potential = small_potential(use_spin=(True, True))
    batch = batch_of(potential, frames_of((True, True), 11), random_system(1, n_ni=1))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    compared(term_of(potential, EXCHANGE_TERMS), batch)
    torch.set_num_threads(before)


def test_pairs_that_are_excluded():
    potential = small_potential(use_spin=(True, True), exclude_types=((0, 1),))
    assert potential.spec.geometry.excluded
    whole = small_potential(use_spin=(True, True))
    frames = frames_of((True, True), 2)
    term = term_of(potential, EXCHANGE_TERMS)
    found, all_pairs = (compared(term, batch_of(seen, frames)) for seen in (potential, whole))
    assert not torch.allclose(found.force, all_pairs.force)


def test_pairs_of_any_direction():
    """As exact time reversal needs them: virtual atoms further away than the cutoff among them."""
    potential = small_potential(exchange=EXCHANGE_TERMS, time_reversal=True)
    compared(potential.exchange, batch_of(potential, random_system(1, n_frames=2)))


def test_one_atom_and_none():
    potential = small_potential(rcut=4.0)
    term = term_of(potential, EXCHANGE_TERMS)
    lone = random_system(4, n_ni=1, n_o=0, edge=30.0)
    assert compared(term, batch_of(potential, lone)).atom_energy.abs().max() > 0.0
    compared(term, batch_of(potential, random_system(4, n_ni=0, n_o=1, edge=30.0)))
    compared(term, batch_of(potential))


def test_moments_that_are_zero():
    potential = small_potential(use_spin=(True, True))
    made = frames_of((True, True), 2)
    spin = made.spin.copy()
    spin[:, ::2] = 0.0
    compared(term_of(potential, EXCHANGE_TERMS), batch_of(potential, replace(made, spin=spin)))


def test_moments_of_elements_without_spin_are_not_seen():
    potential = small_potential()
    made = random_system(6)
    term = term_of(potential, EXCHANGE_TERMS)
    compared(term, batch_of(potential, replace(made, spin=made.spin + 1.0)))


def test_float32_frames():
    potential = small_potential()
    batch = batch_of(potential, random_system(1))
    small = replace(batch, spin=batch.spin.float(), pair_vector=batch.pair_vector.float())
    compared(term_of(potential, EXCHANGE_TERMS), small)


def test_a_potential_with_it_uses_it(compiled, monkeypatch):
    """Also in an evaluation of the whole potential; training differentiates torch's operations."""
    potential = small_potential(exchange=EXCHANGE_TERMS)
    made, called = random_system(1), []
    function = compiled.spinpot_exchange_forward
    monkeypatch.setattr(
        compiled, "spinpot_exchange_forward", lambda *given: (called.append(1), function(*given))[1]
    )
    found = evaluate(potential, made)
    assert called
    trained = potential(batch_of(potential, made), differentiable=True)
    assert len(called) == 1
    for name, values in trained.items():
        np.testing.assert_allclose(found[name], values.detach().numpy(), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", ["pair_type", "pair_neighbour", "pair_start", "atom_order", "frame"])
@pytest.mark.parametrize("number", [-1, 99_999])
def test_indices_out_of_range_are_refused(name, number):
    potential = small_potential(exchange=EXCHANGE_TERMS)
    batch = collate(list(make_frames([random_system(1)])), potential.spec.geometry)
    getattr(batch, name)[0] = number
    with torch.no_grad(), pytest.raises(RuntimeError, match="expected"):
        potential.exchange(batch)
