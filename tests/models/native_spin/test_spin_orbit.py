"""Only spin–orbit groups learn anisotropies and Dzyaloshinskii–Moriya terms."""

import pytest
import torch

from spinpot.data.hamiltonian import exchange, labelled, repulsion, total
from spinpot.data.systems import System
from spinpot.models.native_spin.groups import Products
from spinpot.models.native_spin.potential import NativeSpin
from spinpot.models.native_spin.rows import design
from spinpot.models.native_spin.settings import NetSettings, SumsSettings
from spinpot.models.native_spin.spec import NativeSpinSpec
from spinpot.models.native_spin.statistics import settle_invariants
from support.frames import batch_of
from support.hamiltonians import (
    amorphous,
    anisotropic_exchange,
    environment_dm,
    ligand_dm,
    single_ion,
)

CUTOFF = 4.0
NI, O = [0], [1]  # noqa: E741
DM = "dzyaloshinskii_moriya"
OTHER_GROUPS = ("density", "length", "exchange")
CASES = {
    "single-ion": (single_ion(NI, O, 0.5), "anisotropy"),
    "anisotropic exchange": (anisotropic_exchange(NI, 0.5), "anisotropic_exchange"),
    "DM of a ligand beside the bond": (ligand_dm(NI, O, 5.0), DM),
    "DM of an environment": (environment_dm(NI, 3.0), DM),
}


@pytest.mark.parametrize(("term", "group"), CASES.values(), ids=CASES)
def test_a_spin_orbit_group_learns_its_term(term, group):
    """To 2 % of the labels' spread, on other frames.

    Linear least squares on energies and all forces of some hundred invariants cost some seconds.
    """
    hamiltonian = total(repulsion(10.0, 0.5), exchange(NI, NI, 0.3, 1.0), term)
    training, held_out = (
        labelled(amorphous(seed, frames, {"Ni": 4, "O": 4}, {"Ni": 1.5}, 5.6), hamiltonian, CUTOFF)
        for seed, frames in ((1, 30), (2, 8))
    )
    model = linear_model(training, (*OTHER_GROUPS, group))
    known, asked = (rows_and_labels(model, frames) for frames in (training, held_out))
    with_group = errors(known, asked, slice(None))
    without = errors(known, asked, of_groups(model, OTHER_GROUPS))
    assert max(with_group.values()) < 0.02, with_group
    assert min(without.values()) > 0.1, without
    assert without["force_mag"] > 0.4


def linear_model(training: System, groups) -> NativeSpin:
    """Without nets, and with the statistics of the frames."""
    model = NativeSpin(
        NativeSpinSpec(
            type_map=training.type_map,
            use_spin=(True, False),
            descriptor=SumsSettings(CUTOFF, 10, 1.5, groups),
            fitting_net=NetSettings(()),
        )
    )
    settle_invariants(model.invariants, model.spec.geometry, [training], seed=0)
    return model


def of_groups(model: NativeSpin, groups) -> torch.Tensor:
    """The columns of some groups, and the energies' constant at the end."""
    products = Products.of_groups(groups, model.invariants.channels)
    names = 2 * model.invariants.products.names
    return torch.tensor([*(name in products.names for name in names), True])


def rows_and_labels(model: NativeSpin, made: System) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """By quantity the rows with a constant for the energy, and the labels."""
    rows = design(model.invariants, batch_of(model, made))
    found = {}
    for name in ("energy", "force", "force_mag"):
        values, labels = getattr(rows, name), torch.from_numpy(getattr(made, name)).flatten()
        constant = torch.full((len(labels), 1), float(name == "energy"))
        found[name] = torch.cat((values.flatten(0, -2), constant), dim=1), labels
    return found


def errors(known, asked, columns) -> dict[str, float]:
    """Of least squares by some columns, over the labels' spread."""
    weight = {name: 1.0 / (labels.std() * len(labels) ** 0.5) for name, (_, labels) in known.items()}
    X = torch.cat([weight[name] * rows[:, columns] for name, (rows, _) in known.items()])
    y = torch.cat([weight[name] * labels for name, (_, labels) in known.items()])
    square = X.T @ X
    ridge = 1e-7 * square.diagonal().max() * torch.eye(len(square))
    solution = torch.linalg.solve(square + ridge, X.T @ y)
    return {
        name: float((rows[:, columns] @ solution - labels).square().mean().sqrt() / labels.std())
        for name, (rows, labels) in asked.items()
    }
