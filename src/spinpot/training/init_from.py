"""`init_from=FILE`: start training from the weights of another run or of a deepmd-kit model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from spinpot.config.suggest import options_of
from spinpot.config.targets import find_target
from spinpot.core.console import print_line
from spinpot.core.differences import differences
from spinpot.core.errors import InputError
from spinpot.data.datamodule import SpinDataModule
from spinpot.models.energy_bias import composition, composition_fit
from spinpot.models.files import read_model
from spinpot.models.potential import Potential
from spinpot.models.registry import build_potential
from spinpot.models.settings import ModelSettings
from spinpot.models.spec import Spec
from spinpot.report.tables import print_model_of_file
from spinpot.training.resume import Resumed, without

MOST_FRAMES = 100
"""Number of training frames used to detect a different energy zero."""
SMALLEST_SHIFT = 1e-3
"""eV/atom. Training soon removes a smaller shift."""


def model_to_begin_with(config: DictConfig, resumed: Resumed | None) -> Potential | None:
    """The potential in the file `init_from`, its elements in the order of data.type_map; else None.

    The file's model settings and type map replace `model` and data.type_map in the config, so that
    config.yaml describes the trained model; the changes are printed. A resumed run takes them from its
    checkpoint instead and gets None. Raises InputError if the file cannot be used or lacks an element of the
    data.
    """
    if config.init_from is None:
        return None
    if resumed:
        _take_over(config, resumed.spec, resumed.path)
        return None
    path = Path(config.init_from).expanduser()
    potential = read_model(path).potential
    _check_kind(config, potential.spec, path)
    potential = potential.reordered(_type_map(config.data.get("type_map"), potential.spec, path))
    _take_over(config, potential.spec, path)
    return potential


def begin_with(pretrained: Potential, spec: Spec, data: SpinDataModule, refit_bias: bool) -> Potential:
    """A potential with the weights and statistics of `pretrained`; refit_bias refits its energy bias."""
    potential = build_potential(spec)
    potential.load_state_dict(pretrained.state_dict())
    if refit_bias:
        shift = bias_shift(pretrained, data)
        potential.energy_bias.add_(torch.from_numpy(shift))
        elements = zip(spec.type_map, shift, strict=True)
        said = ", ".join(f"{name} {value:+.4f}" for name, value in elements)
        print_line(f"Energy bias refitted to the training data (eV/atom): {said}.")
    elif said := other_zero(pretrained, data):
        print_line(f"look: {said}")
    return potential


def other_zero(potential: Potential, data: SpinDataModule) -> str:
    """A warning if the training energies seem to have another zero than the model's; else "".

    The test: does a linear fit on the composition remove most of the model's energy error? At most
    MOST_FRAMES frames are used.
    """
    composition, residual = energy_residuals(potential, data, MOST_FRAMES)
    if not len(residual):
        return ""
    n_atoms = composition.sum(axis=1)
    left = residual - composition @ composition_fit(composition, residual)
    before, after = (float(np.sqrt(np.square(part / n_atoms).mean())) for part in (residual, left))
    if before <= max(2.0 * after, SMALLEST_SHIFT):
        return ""
    mean = float((residual / n_atoms).mean())
    return (
        f"init_from: the energies of the training data are on average {abs(mean):.4g} eV/atom "
        f"{'above' if mean > 0.0 else 'below'} the model's (rmse {1000 * before:.4g} meV/atom; after a fit "
        f"by composition {1000 * after:.4g}). If they have another zero, init_from_bias=refit fits the "
        "model's energy bias to them."
    )


def bias_shift(potential: Potential, data: SpinDataModule) -> np.ndarray:
    """The shift of each element's energy bias (T,), eV, that removes the mean energy errors.

    It is the minimum-norm least-squares fit of E − E_predicted on the composition, over the training frames
    with energies. Raises InputError if there are none.
    """
    composition, residual = energy_residuals(potential, data)
    if not len(residual):
        raise InputError(
            "init_from_bias=refit: no training frame has an energy, so the bias cannot be refitted. Use "
            "init_from_bias=keep."
        )
    if np.linalg.matrix_rank(composition) < np.count_nonzero(composition.any(axis=0)):
        print_line(
            "The training compositions are linearly dependent, so the energy bias per element is not unique; "
            "the minimum-norm solution was used (total energies are unaffected)."
        )
    return composition_fit(composition, residual)


def energy_residuals(
    potential: Potential, data: SpinDataModule, most: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Composition (F, T) and E − E_predicted (F,), eV, of the training frames with energies.

    most: use at most this many frames, evenly spaced; None uses all.
    """
    dataset = data.samples["train"]
    step = 1 if most is None else -(-len(dataset) // most)
    numbers = range(0, len(dataset), step)
    size = data.validation_batch_size
    residuals, compositions = [], []
    for batch in (dataset.batch(numbers[k : k + size]) for k in range(0, len(numbers), size)):
        known = ~batch.energy.isnan()
        residuals.append((batch.energy - potential(batch)["energy"])[known])
        compositions.append(composition(batch)[known])
    return torch.cat(compositions).double().numpy(), torch.cat(residuals).numpy()


def _check_kind(config: DictConfig, spec: Spec, path: Path) -> None:
    """Raise InputError if the config's section `model` describes another kind of model."""
    settings = cast(type[ModelSettings], find_target("model", config.model._target_))
    if spec.kind != settings.spec_type.kind:
        raise InputError(
            f"init_from={path}: the file holds a model of kind {spec.kind}, but the config asks for kind "
            f"{settings.spec_type.kind}. Both must be the same: choose the file's kind with "
            f"model={'|'.join(options_of('model'))}, or give another file."
        )


def _type_map(wanted: Sequence[str] | None, spec: Spec, path: Path) -> list[str]:
    """The model's type map, reordered so that the elements of data.type_map come first."""
    if wanted is None:
        return list(spec.type_map)
    unknown = [name for name in wanted if name not in spec.type_map]
    if unknown:
        raise InputError(
            f"init_from={path}: the model has no element {' '.join(unknown)}, which "
            f"data.type_map={list(wanted)} lists; it was trained for {' '.join(spec.type_map)}. Leave out "
            "the data with these elements, or train a new model with all elements."
        )
    return [*wanted, *(name for name in spec.type_map if name not in wanted)]


def _take_over(config: DictConfig, spec: Spec, path: Path) -> None:
    """Write the file's model settings to the config and print the changes.

    Raises InputError if the config requests a feature that the file's model lacks.
    """
    before = OmegaConf.to_container(config.model, resolve=True)
    exact = config.model.spin.time_reversal == "exact"
    for asked, has, setting, other in (
        (config.model.exchange.terms, spec.exchange.terms, "model.exchange.terms", "model/exchange=none"),
        (exact, spec.time_reversal, "model.spin.time_reversal=exact", "model.spin.time_reversal=augment"),
    ):
        if asked and not has:
            raise InputError(
                f"init_from={path}: the config sets {setting}, which the model in the file does not have. "
                f"Use {other}, or train a new model."
            )
    for name, value in spec.config(cast(dict[str, Any], before)).items():
        OmegaConf.update(config, f"model.{name}", value, merge=True, force_add=True)
    OmegaConf.update(config, "data.type_map", list(spec.type_map), merge=False, force_add=True)
    now = OmegaConf.to_container(config.model, resolve=True)
    print_model_of_file(path, differences(before, now, without(())))
