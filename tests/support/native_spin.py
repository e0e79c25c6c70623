"""Small native-spin potentials in which every part affects the result."""

from dataclasses import replace
from functools import cache
from unittest.mock import patch

import numpy as np
import torch

from spinpot.core.quantities import QUANTITIES
from spinpot.data import nio, nio_frames
from spinpot.data.dataset import FrameDataset
from spinpot.data.systems import System
from spinpot.loss.ener_spin import EnerSpinLoss
from spinpot.models.native_spin.groups import GROUPS, KINDS
from spinpot.models.native_spin.potential import NativeSpin
from spinpot.models.native_spin.settings import NetSettings, SumsSettings
from spinpot.models.native_spin.spec import NativeSpinSpec
from spinpot.models.native_spin.statistics import settle_invariants
from spinpot.models.potential import Potential
from spinpot.models.registry import build_potential
from spinpot.models.start import TrainingLabels
from spinpot.models.wrapper import Wrapper
from support.frames import ELEMENTS, exchange_settings, random_exchange, random_system, system

CHANNELS = dict.fromkeys(KINDS, 3)


def small_native(
    seed=1, exchange=(), use_spin=(True, False), time_reversal=False, neuron=(8, 8), **descriptor
) -> Potential:
    """Ni magnetic, O not, with statistics of random frames, random weights, and a net whose bounds matter.

    exchange, use_spin: as of small_potential. neuron: of the nets. descriptor: more of its settings;
    groups: `all`, or some.
    """
    settings = {"cutoff": 4.0, "n_radial": 4, "closest": 1.5, "channels": CHANNELS} | descriptor
    if settings.get("groups") == "all":
        settings["groups"] = tuple(GROUPS)
    spec = NativeSpinSpec(
        type_map=ELEMENTS[: len(use_spin)],
        use_spin=tuple(use_spin),
        descriptor=SumsSettings(**settings),
        fitting_net=NetSettings(neuron),
        exchange=exchange_settings(exchange),
        time_reversal=time_reversal,
    )
    potential = build_potential(spec, seed)
    random_exchange(potential, seed)
    inner = native_under(potential)
    settle_invariants(inner.invariants, spec.geometry, [frames_of(spec.use_spin)], seed)
    generator = torch.Generator().manual_seed(seed)
    inner.energy_scale.fill_(0.1)
    inner.nearness.fill_(0.2)
    for values in (inner.linear.data, inner.centre):
        values.normal_(generator=generator)
    if inner.nets is not None:
        inner.nets.weight.data.normal_(generator=generator)
    potential.energy_bias[:] = torch.arange(-2.0, -2.0 + 0.5 * len(use_spin), 0.5)
    return potential


def native_under(potential: Potential) -> NativeSpin:
    """The model under any wrappers."""
    while isinstance(potential, Wrapper):
        potential = potential.inner
    assert isinstance(potential, NativeSpin)
    return potential


@cache
def frames_of(use_spin: tuple[bool, ...], n_frames: int = 8) -> System:
    """Random frames with atoms of all elements."""
    made = random_system(2, n_frames, n_ni=6, n_o=0)
    types = np.arange(6) % len(use_spin)
    spin = made.spin * np.array(use_spin)[types][:, None]
    return replace(made, type_map=ELEMENTS[: len(use_spin)], types=types, spin=spin)


def nio_system(frames: int, displacement, tilt, seed: int, shape="primitive_16") -> System:
    """Frames like the built-in ones, with labels.

    displacement: Å, tilt: degrees, as in spinpot.data.nio_frames: each frame draws its own between them.
    """
    rng = np.random.default_rng(seed)
    with patch.multiple(nio_frames, DISPLACEMENT=displacement, TILT=tilt):
        made = [nio_frames.sample(shape, rng) for _ in range(frames)]
    found = [nio.labels(one) for one in made]
    labels = {name: np.stack([one[name] for one in found]) for name in found[0]}
    box, coord, spin = (np.stack([getattr(one, name) for one in made]) for name in ("box", "coord", "spin"))
    return system(nio.TYPE_NAMES, made[0].types, box, coord, spin, name=shape, **labels)


def fitted_native(training: System, prefactors, neuron=(), **descriptor) -> NativeSpin:
    """The least squares of a system of NiO, and nets of those widths that give zero."""
    settings = {"closest": 1.67} | descriptor
    spec = NativeSpinSpec(
        type_map=nio.TYPE_NAMES,
        use_spin=(True, False),
        descriptor=SumsSettings(**settings),
        fitting_net=NetSettings(neuron),
    )
    potential = native_under(build_potential(spec))
    potential.set_statistics(FrameDataset([training], spec.geometry).batches(), [training])
    potential.start(training_labels(potential, training, prefactors))
    return potential


def training_labels(potential: NativeSpin, training: System, prefactors) -> TrainingLabels:
    """Those of a system, with the loss's prefactors."""
    magnetic = torch.tensor(potential.spec.use_spin)
    return TrainingLabels([training], potential.spec.geometry, prefactors, 0.5, magnetic)


def train(potential: NativeSpin, training: System, prefactors, steps: int) -> None:
    """By Adam with batches of three frames, the rate falling towards the end."""
    ends = (f"{end}_{QUANTITIES[name].pref}" for name in QUANTITIES for end in ("start", "limit"))
    given = {f"{end}_pref_{name}": p for name, p in prefactors.items() for end in ("start", "limit")}
    loss = EnerSpinLoss(**(dict.fromkeys(ends, 0.0) | given))
    dataset = FrameDataset([training], potential.spec.geometry)
    adam = torch.optim.Adam([p for p in potential.parameters() if p.requires_grad], betas=(0.9, 0.9))
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda n: min(1.0, 2.5 * (1.0 - n / steps)))
    magnetic, rng = torch.tensor(potential.spec.use_spin), np.random.default_rng(0)
    weights = torch.tensor(loss.active_prefactors(1.0), dtype=torch.float64)
    for _ in range(steps):
        batch = dataset.batch(rng.choice(len(dataset), 3, replace=False))
        adam.zero_grad()
        totals, counts = loss.sums(potential(batch, differentiable=True), batch, magnetic)
        loss.combine(totals, counts, weights).backward()
        adam.step()
        schedule.step()
    potential.end(training_labels(potential, training, prefactors))


def calibrated_native(**settings) -> Potential:
    """A small_native that expects errors, though of no least squares."""
    potential = small_native(**settings)
    errors = native_under(potential).expected_errors
    rows = torch.randn(
        2 * len(errors.whitening), len(errors.whitening), generator=torch.Generator().manual_seed(1)
    )
    errors.settle((rows.T @ rows).double())
    errors.usual.copy_(torch.tensor([0.1, 0.2, 0.3]))
    errors.noise.copy_(torch.tensor([0.001, 0.02, 0.03]))
    return potential
