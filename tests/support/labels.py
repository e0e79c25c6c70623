"""Frames whose labels are a potential's predictions, and training labels for least squares."""

from collections.abc import Mapping
from dataclasses import replace

import torch

from spinpot.data.systems import System
from spinpot.models.potential import Potential
from spinpot.models.start import TrainingLabels
from support.frames import evaluate, random_system

ALL = {"e": 1.0, "fr": 1.0, "fm": 1.0, "v": 1.0}


def labelled(potential: Potential, frames: int = 6, seed: int = 3, **kept) -> System:
    """Random frames with these labels, but for those that are given."""
    return labelled_by(potential, random_system(seed=seed, n_frames=frames), **kept)


def labelled_by(potential: Potential, made: System, **kept) -> System:
    """The frames with these labels, but for those that are given."""
    values = evaluate(potential, made)
    shapes = {"energy": (-1,), "force": made.coord.shape, "force_mag": made.coord.shape, "virial": (-1, 3, 3)}
    labels = {name: values[name].reshape(shape) for name, shape in shapes.items()}
    return replace(made, **(labels | kept))


def labels_for(
    potential: Potential, *systems: System, prefactors: Mapping[str, float] = ALL, power: float = 0.5, **more
) -> TrainingLabels:
    """What a potential starts from."""
    spec = potential.spec
    magnetic = torch.tensor(spec.use_spin)
    return TrainingLabels(systems, spec.geometry, prefactors, power, magnetic, **more)
