"""The Landau energy of the length of a moment."""

import numpy as np
import torch

from spinpot.models.exchange.landau import symmetric
from spinpot.models.exchange.settings import EXCHANGE_TERMS
from support.frames import batch_of, evaluate, network, random_system, small_potential, system


def test_the_matrix_of_a_quadratic_form():
    upper = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], dtype=torch.float64)
    x = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64)
    pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    wanted = sum(c * x[k] * x[m] for c, (k, m) in zip(upper, pairs, strict=True))
    torch.testing.assert_close(x @ symmetric(upper, 3) @ x, wanted)


def test_at_its_mean_length_a_moment_feels_the_field_only_along_itself():
    """(S² − S_0²) g has no energy at S_0, and its magnetic force is −2 S g."""
    made = random_system(seed=2)
    spin = made.spin[0]
    lengths = np.linalg.norm(spin, axis=1, keepdims=True)
    spin = 1.5 * np.divide(spin, lengths, out=np.zeros_like(spin), where=lengths > 0)
    made = system(made.type_map, made.types, made.box[0], made.coord[0], spin)
    outputs = []
    for terms in (("bilinear",), ("bilinear", "landau_field")):
        potential = small_potential(exchange=terms)
        potential.exchange.moment_squared.fill_(1.5**2)
        potential.exchange.named(potential.exchange.start)["bilinear"].zero_()
        outputs.append(evaluate(potential, made))
    without, with_field = outputs
    np.testing.assert_allclose(with_field["energy"], without["energy"], atol=1e-12)
    np.testing.assert_allclose(with_field["force"], without["force"], atol=1e-12)
    added = (with_field["force_mag"] - without["force_mag"])[made.types == 0]
    own = spin[made.types == 0]
    np.testing.assert_allclose(np.cross(added, own), 0.0, atol=1e-12)
    assert np.abs(added).max() > 0.1


def test_reversed_spins_have_the_same_energy():
    made = random_system(seed=2)
    potential = small_potential(exchange=EXCHANGE_TERMS)
    torch.nn.init.zeros_(network(potential).fitting_nets.weight)
    reversed_ = system(made.type_map, made.types, made.box[0], made.coord[0], -made.spin[0])
    before, after = evaluate(potential, made), evaluate(potential, reversed_)
    np.testing.assert_allclose(after["energy"], before["energy"], atol=1e-12)
    np.testing.assert_allclose(after["force_mag"], -before["force_mag"], atol=1e-12)


def test_a_batch_without_frames():
    """One process of several may have nothing to do."""
    potential = small_potential(exchange=EXCHANGE_TERMS)
    output = potential(batch_of(potential))
    assert output["energy"].shape == (0,)
    assert output["force_mag"].shape == (0, 3)
