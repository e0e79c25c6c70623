"""`init_from=FILE`: a run that begins with the weights of another, or of a model of deepmd-kit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from spinpot.config.suggest import options_of
from spinpot.config.targets import find_target
from spinpot.core.console import print_line
from spinpot.core.errors import InputError
from spinpot.data.datamodule import SpinDataModule
from spinpot.models.energy_bias import composition, composition_fit
from spinpot.models.files import read_model
from spinpot.models.potential import Potential
from spinpot.models.registry import build_potential
from spinpot.models.settings import ModelSettings
from spinpot.models.spec import Spec
from spinpot.report.tables import print_model_of_file
from spinpot.training.resume import Resumed, differences

MOST_FRAMES = 100
"""Frames that are compared for the zero of the energy."""
SMALLEST_SHIFT = 1e-3
"""eV/atom: less is soon trained away."""


def model_to_begin_with(config: DictConfig, resumed: Resumed | None) -> Potential | None:
    """The potential that `init_from` names, in the order of data.type_map; None without `init_from`.

    The config's section `model` and data.type_map become those of the file, so that the run's config.yaml
    says what was trained; what they were before is printed. In a resumed run the checkpoint stands for the
    file. Raises InputError for a file that cannot be used, and for elements that it does not know.
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
    """A potential with the weights and statistics of another; the energy bias refitted if asked for."""
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
    """A line if the energies of the training data seem to have another zero than the model's; else empty.

    They do if a fit by composition takes away most of the model's errors. Some frames are looked at.
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
    """What must be added to each element's energy (T,), eV, so that the mean errors vanish.

    The least-squares solution of minimum norm of E − E_predicted on the composition, over the training frames
    with energies. Raises InputError if there are none.
    """
    composition, residual = energy_residuals(potential, data)
    if not len(residual):
        raise InputError(
            "init_from_bias=refit: no training frame has an energy to fit it to. Use init_from_bias=keep."
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
    """Atoms of each element (F, T) and E − E_predicted (F,), eV, of the training frames with energies.

    most: of so many frames, evenly spaced, or all.
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
            f"init_from={path}: the model in the file is of the kind {spec.kind}, that of the config of the "
            f"kind {settings.spec_type.kind}. Expected the same kind: choose the file's by "
            f"model={'|'.join(options_of('model'))}, or give another file."
        )


def _type_map(wanted: Sequence[str] | None, spec: Spec, path: Path) -> list[str]:
    """The model's elements, those of the data first."""
    if wanted is None:
        return list(spec.type_map)
    unknown = [name for name in wanted if name not in spec.type_map]
    if unknown:
        raise InputError(
            f"init_from={path}: the model does not know {' '.join(unknown)} of data.type_map={list(wanted)}; "
            f"it was trained for {' '.join(spec.type_map)}. Leave these data out, or train a model with all "
            "elements."
        )
    return [*wanted, *(name for name in spec.type_map if name not in wanted)]


def _take_over(config: DictConfig, spec: Spec, path: Path) -> None:
    """Put a model into the config; print what was there. Raises InputError where that cannot be."""
    before = OmegaConf.to_container(config.model, resolve=True)
    exact = config.model.spin.time_reversal == "exact"
    for asked, has, setting, other in (
        (config.model.exchange.terms, spec.exchange.terms, "model.exchange.terms", "model/exchange=none"),
        (exact, spec.time_reversal, "model.spin.time_reversal=exact", "model.spin.time_reversal=augment"),
    ):
        if asked and not has:
            raise InputError(
                f"init_from={path}: {setting} asks for another model than the file's. Use {other}, or train "
                "anew."
            )
    for name, value in spec.config(cast(dict[str, Any], before)).items():
        OmegaConf.update(config, f"model.{name}", value, merge=True, force_add=True)
    OmegaConf.update(config, "data.type_map", list(spec.type_map), merge=False, force_add=True)
    print_model_of_file(path, differences(before, OmegaConf.to_container(config.model, resolve=True)))
