"""deepmd-kit's models ↔ potentials: `.dp`, `.yaml`, training checkpoints `.pt` and frozen models `.pth`."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spinpot.core.errors import InputError
from spinpot.core.files import refuse_placeholder
from spinpot.models.deepspin.deepmd import sections
from spinpot.models.deepspin.deepmd.dp_file import Tree, read_dp, read_yaml
from spinpot.models.deepspin.deepmd.model_tree import (
    BIAS_ATOM_E,
    DESCRIPTOR,
    OUT_BIAS,
    STATISTICS,
    VERSIONS,
    at,
    empty_tree,
    put,
    weights,
)
from spinpot.models.deepspin.deepmd.state import tree_of_pt, tree_of_pth
from spinpot.models.deepspin.potential import DeepSpin
from spinpot.models.deepspin.spec import DeepSpinSpec
from spinpot.models.elements import magnetic_types
from spinpot.models.potential import ModelFile

READERS: dict[str, Callable[[Path], Tree]] = {
    ".dp": read_dp,
    ".yaml": read_yaml,
    ".yml": read_yaml,
    ".pt": tree_of_pt,
    ".pth": tree_of_pth,
}
"""Readers by the file's suffix."""
PRECISIONS = ("default", "float64", "float32")  # deepmd-kit's names of the precisions that spinpot has


def read_deepmd(path: Path) -> ModelFile:
    """A model of deepmd-kit. Its embedding is evaluated directly, so that results equal deepmd-kit's.

    Also returns the rest of the file: the tree without the potential's weights, plain data and tensors.

    Raises InputError for a file that is damaged or of an unknown version, and for a model that spinpot does
    not have. No code in the file is run.
    """
    refuse_placeholder(path)
    try:
        tree = READERS[path.suffix](path)
        _check_versions(tree["model"], path)
        potential = DeepSpin(_spec(tree["model"], path))
        with torch.no_grad():
            _fill(potential, tree, path)
        rest = _without_weights(tree, potential)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path}: an incomplete or unknown kind of model ({type(error).__name__}: {error}). Expected a "
            "spin model (se_e2_a) as deepmd-kit 3.2 writes it. Write it again by `dp convert-backend`."
        ) from error
    return ModelFile(potential.eval(), rest)


def tree_of(potential: DeepSpin, rest: Tree | None = None) -> Tree:
    """A potential as deepmd-kit's serialised model, in float64 or in the precision of the original file.

    rest: as read_deepmd returns it.
    """
    tree = empty_tree(potential.spec) if rest is None else _map_arrays(rest, lambda tensor: tensor.numpy())
    n_types = len(potential.spec.type_map)
    for place, tensor in weights(potential):
        of_part = at(tree, (*place[: len(DESCRIPTOR)], "precision"))
        put(tree, place, None if tensor is None else _array(tensor, of_part))
    for name, place in STATISTICS.items():
        values = at(tree, place).copy()
        values[:n_types] = _array(getattr(potential.descriptor, name), "float64")[:, None]
        put(tree, place, values)
    bias = at(tree, OUT_BIAS).copy()
    bias[0, :n_types, 0] = _array(potential.energy_bias, "float64") - at(tree, BIAS_ATOM_E)[:n_types].reshape(
        -1
    )
    put(tree, OUT_BIAS, bias)
    return tree


def _array(tensor: torch.Tensor, precision: str) -> np.ndarray:
    dtype = {"default": "float64"}.get(precision, precision)
    return tensor.detach().cpu().double().numpy().astype(dtype)


def _fill(potential: DeepSpin, tree: Tree, path: Path) -> None:
    n_types = len(potential.spec.type_map)
    for place, tensor in weights(potential):
        array = at(tree, place)
        if (array is None) != (tensor is None):
            raise InputError(
                f"{path}: {_named(place)}: a time step where there is no skip, or the other way round."
            )
        if tensor is not None:
            if array.shape != tuple(tensor.shape):
                raise InputError(
                    f"{path}: {_named(place)} has shape {array.shape}; its settings ask for "
                    f"{tuple(tensor.shape)}."
                )
            tensor.copy_(torch.from_numpy(array))
    for name, place in STATISTICS.items():
        rows = at(tree, place)[:n_types]
        if not np.array_equal(rows, np.broadcast_to(rows[:, :1], rows.shape)):
            raise InputError(
                f"{path}: {name} differs between the slots of one type; spinpot has one per type."
            )
        getattr(potential.descriptor, name).copy_(torch.from_numpy(rows[:, 0].astype(np.float64)))
    bias = at(tree, OUT_BIAS)[0, :n_types, 0] + at(tree, BIAS_ATOM_E)[:n_types].reshape(-1)
    potential.energy_bias.copy_(torch.from_numpy(bias.astype(np.float64)))


def _named(place: tuple[str | int, ...]) -> str:
    return ".".join(map(str, place[2:]))


def _check_versions(node: Any, path: Path) -> None:
    """Raise InputError if a class has a newer version than spinpot knows."""
    if isinstance(node, list):
        for item in node:
            _check_versions(item, path)
    if not isinstance(node, dict):
        return
    kind, version = node.get("@class"), node.get("@version")
    if kind in VERSIONS and version is not None and not version <= VERSIONS[kind]:
        raise InputError(
            f"{path}: {kind} has version {version}; spinpot knows it up to {VERSIONS[kind]}, which "
            "deepmd-kit 3.2.0 writes. Convert the model with deepmd-kit 3.2.0, or use a newer spinpot."
        )
    for item in node.values():
        _check_versions(item, path)


def _spec(model: Tree, path: Path) -> DeepSpinSpec:
    """The spec of a serialised model. Raises InputError for features that spinpot does not have."""
    kind = model.get("type", "standard")
    if kind != "spin_ener" or not isinstance(model.get("spin"), dict):
        raise InputError(
            f"{path}: a model without spin (its type is {kind!r}). spinpot has spin models (spin_ener) only; "
            "use deepmd-kit for this one."
        )
    backbone = model["backbone_model"]
    _check_backbone(backbone, path)
    use_spin, n_types = model["spin"]["use_spin"], len(backbone["type_map"]) // 2
    elements = list(dict.fromkeys(backbone["type_map"][:n_types]))
    if len(use_spin) != n_types or list(backbone["type_map"]) != sections.doubled(elements):
        raise InputError(
            f"{path}: type_map={backbone['type_map']} with use_spin={use_spin}: expected each element once, "
            "then the same with _spin, and one bool per element."
        )
    fitting_net = (*sections.FITTING_DEFAULTS, *sections.ABSENT)
    section = {
        "type_map": backbone["type_map"],
        "descriptor": {name: backbone["descriptor"][name] for name in sections.DESCRIPTOR_DEFAULTS},
        "fitting_net": {name: backbone["fitting"][name] for name in fitting_net},
        "pair_exclude_types": backbone["pair_exclude_types"],
        "spin": model["spin"],
    }
    type_map, settings = sections.read_sections(sections.undoubled(section), str(path))
    try:
        settings = replace(settings, descriptor=replace(settings.descriptor, radial="direct"))
        settings.check()
        return settings.spec(type_map, magnetic_types(use_spin, type_map, []))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _check_backbone(backbone: Tree, path: Path) -> None:
    descriptor, fitting = backbone["descriptor"], backbone["fitting"]
    if descriptor.get("type") != "se_e2_a":
        raise sections.other_descriptor(descriptor.get("type"), path)
    n_types = len(backbone["type_map"]) // 2
    excluded = set(backbone["atom_exclude_types"])
    precisions = [str(part.get("precision", "default")) for part in (descriptor, fitting)]
    absent = {
        "backbone_model.type": backbone.get("type", "standard") != "standard",
        "fitting.type": fitting.get("type") != "ener",
        "mixed_types": bool(fitting["mixed_types"]),
        "use_exp_switch": bool(descriptor["env_mat"].get("use_exp_switch")),
        "sel, which differs between real and virtual types": (
            list(descriptor["sel"][:n_types]) != list(descriptor["sel"][n_types:])
        ),
        "atom_exclude_types, which names real types": excluded != set(range(n_types, 2 * n_types)),
        **{f"precision {name}": name not in PRECISIONS for name in precisions},
    }
    for what, found in absent.items():
        if found:
            raise InputError(
                f"{path}: the model uses {what}: spinpot does not have that. Keep it in deepmd-kit."
            )


def _without_weights(tree: Tree, potential: DeepSpin) -> Tree:
    """The tree with tensors instead of arrays, and None instead of the potential's weights."""
    rest: Tree = _map_arrays(tree, lambda array: torch.from_numpy(np.array(array)))
    for place, _ in weights(potential):
        put(rest, place, None)
    for key in ("software", "version", "time"):
        rest.pop(key, None)
    return rest


def _map_arrays(node: Any, convert: Callable[[Any], Any]) -> Any:
    """A copy of the tree with its arrays or tensors converted."""
    if isinstance(node, list):
        return [_map_arrays(item, convert) for item in node]
    if isinstance(node, dict):
        return {key: _map_arrays(item, convert) for key, item in node.items()}
    if isinstance(node, (np.ndarray, np.generic, torch.Tensor)):
        return convert(node)
    return copy.copy(node)
