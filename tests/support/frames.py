"""Small systems and batches made in memory."""

from pathlib import Path

import numpy as np
import torch
from ase import Atoms

from spinpot.data.batch import Batch, collate
from spinpot.data.dataset import make_frames
from spinpot.data.geometry import Geometry
from spinpot.data.systems import System
from spinpot.models.deepspin.potential import DeepSpin
from spinpot.models.deepspin.settings import DescriptorSettings, FittingSettings
from spinpot.models.deepspin.spec import DeepSpinSpec
from spinpot.models.exchange.settings import ExchangeSettings
from spinpot.models.exchange.wrapper import WithExchange
from spinpot.models.potential import Potential
from spinpot.models.registry import build_potential
from spinpot.models.spec import Spec
from spinpot.models.wrapper import Wrapper

ELEMENTS = ("Ni", "O", "Fe", "Mn", "H")


def system(type_map, types, box, coord, spin, name="made", **labels) -> System:
    """A System from arrays of one frame or of many."""
    box, coord, spin = (np.asarray(value, dtype=np.float64) for value in (box, coord, spin))
    if coord.ndim == 2:
        box, coord, spin = box[None], coord[None], spin[None]
        labels = {key: np.asarray(value)[None] for key, value in labels.items()}
    every = {key: labels.get(key) for key in ("energy", "force", "force_mag", "virial")}
    return System(
        name=name,
        path=Path(name),
        type_map=tuple(type_map),
        types=np.asarray(types, dtype=np.int64),
        box=box,
        coord=coord,
        spin=spin,
        **every,
    )


def random_system(seed=0, n_frames=1, n_ni=3, n_o=2, edge=4.6, **labels) -> System:
    """Ni and O atoms at jittered grid sites of a skewed cell smaller than most cutoffs."""
    rng = np.random.default_rng(seed)
    n = n_ni + n_o
    box = np.array([[edge, 0.3, 0.0], [0.4, edge, -0.2], [-0.3, 0.5, edge]])
    grid = np.array([(i, j, k) for i in range(2) for j in range(2) for k in range(2)])[:n] / 2
    coord = (grid @ box) + rng.uniform(-0.25, 0.25, (n_frames, n, 3))
    types = np.array([0] * n_ni + [1] * n_o)
    spin = rng.normal(size=(n_frames, n, 3)) * (types == 0)[:, None]
    return system(
        ("Ni", "O"), types, np.tile(box, (n_frames, 1, 1)), coord, spin, name=f"random{seed}", **labels
    )


def atoms_of(made: System) -> Atoms:
    """The first frame as ase.Atoms, with its moments."""
    atoms = Atoms([made.type_map[t] for t in made.types], positions=made.coord[0], cell=made.box[0], pbc=True)
    atoms.set_initial_magnetic_moments(made.spin[0])
    return atoms


def with_random_labels(made: System, seed=0, only=("energy", "force", "force_mag", "virial")) -> System:
    """The same frames with labels that mean nothing."""
    rng = np.random.default_rng(seed)
    frames, atoms = made.coord.shape[:2]
    shapes = {
        "energy": (frames,),
        "force": (frames, atoms, 3),
        "force_mag": (frames, atoms, 3),
        "virial": (frames, 3, 3),
    }
    labels = {name: rng.normal(size=shapes[name]) for name in only}
    return system(made.type_map, made.types, made.box, made.coord, made.spin, name=made.name, **labels)


def small_potential(
    seed=1, exchange=(), use_spin=(True, False), time_reversal=False, fitting_net=(), **descriptor
) -> Potential:
    """Ni magnetic, O not, with small networks and statistics that matter.

    exchange: the terms of model.exchange, their coefficients random. use_spin: of the elements, which may be
    fewer or more. fitting_net: more of its settings.
    """
    settings = {
        "rcut": 4.0,
        "rcut_smth": 1.0,
        "sel": (60,) * len(use_spin),
        "neuron": (4, 8),
        "axis_neuron": 3,
    } | descriptor
    spec = DeepSpinSpec(
        type_map=ELEMENTS[: len(use_spin)],
        descriptor=DescriptorSettings(**settings),
        fitting_net=FittingSettings(**{"neuron": (8, 8), **dict(fitting_net)}),
        use_spin=tuple(use_spin),
        virtual_scale=tuple(0.3 if magnetic else 0.0 for magnetic in use_spin),
        exchange=exchange_settings(exchange),
        time_reversal=time_reversal,
    )
    potential = build_potential(spec, seed)
    random_exchange(potential, seed)
    descriptor = network(potential).descriptor
    descriptor.davg[:, 0] = 0.02
    descriptor.dstd[:] = 0.08
    potential.energy_bias[:] = torch.arange(-2.0, -2.0 + 0.5 * len(use_spin), 0.5)
    return potential


def exchange_settings(terms=()) -> ExchangeSettings:
    """Some terms with few coefficients."""
    return ExchangeSettings(terms, n_radial=4, n_field=3) if terms else ExchangeSettings()


def random_exchange(potential: Potential, seed: int) -> None:
    """Random coefficients of the exchange term, where there is one."""
    if isinstance(potential, WithExchange):
        term, generator = potential.exchange, torch.Generator().manual_seed(seed)
        term.start.normal_(0.0, 0.1, generator=generator)
        term.moment_squared.uniform_(1.0, 2.0, generator=generator)


def geometry(spec: Spec) -> Geometry:
    """The pairs a model needs."""
    return spec.geometry


def network(potential: Potential) -> DeepSpin:
    """The model under any wrappers."""
    while isinstance(potential, Wrapper):
        potential = potential.inner
    assert isinstance(potential, DeepSpin)
    return potential


def batch_of(potential: DeepSpin, *systems: System) -> Batch:
    """All frames of some systems as one batch for a potential."""
    return collate(list(make_frames(systems)), geometry(potential.spec))


def evaluate(potential: DeepSpin, *systems: System) -> dict[str, np.ndarray]:
    """The potential's outputs, in the order of the batch."""
    return {key: value.numpy() for key, value in potential(batch_of(potential, *systems)).items()}
