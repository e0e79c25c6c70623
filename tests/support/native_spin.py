"""Small native-spin potentials whose every part matters."""

from dataclasses import replace
from functools import cache

import numpy as np
import torch

from spinpot.data.systems import System
from spinpot.models.native_spin.groups import GROUPS, KINDS
from spinpot.models.native_spin.potential import NativeSpin
from spinpot.models.native_spin.settings import NetSettings, SumsSettings
from spinpot.models.native_spin.spec import NativeSpinSpec
from spinpot.models.native_spin.statistics import settle_invariants
from spinpot.models.potential import Potential
from spinpot.models.registry import build_potential
from spinpot.models.wrapper import Wrapper
from support.frames import ELEMENTS, exchange_settings, random_exchange, random_system

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
