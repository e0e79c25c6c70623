"""Converts deepmd-kit's PyTorch files, checkpoints `.pt` and frozen models `.pth`, to serialised models.

Both hold the section `model` of the input, and the modules' arrays by name. No code in them is run.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from spinpot.core.errors import InputError
from spinpot.models.checkpoint import read_archive
from spinpot.models.deepspin.deepmd.dp_file import Tree
from spinpot.models.deepspin.deepmd.model_tree import (
    BIAS_ATOM_E,
    DESCRIPTOR,
    FITTING,
    OUT_BIAS,
    STATISTICS,
    Place,
    at,
    empty_tree,
    put,
)
from spinpot.models.deepspin.deepmd.sections import read_sections, undoubled
from spinpot.models.deepspin.deepmd.torchscript import attribute, read_script, tensors_of
from spinpot.models.deepspin.spec import DeepSpinSpec
from spinpot.models.elements import magnetic_types

PREFIX = "backbone_model.atomic_model."
NAMES: dict[str, Place] = {
    "out_bias": OUT_BIAS,
    "out_std": (*OUT_BIAS[:-1], "out_std"),
    "descriptor.sea.mean": STATISTICS["davg"],
    "descriptor.sea.stddev": STATISTICS["dstd"],
    "fitting_net.bias_atom_e": BIAS_ATOM_E,
}
NETWORKS: dict[str, Place] = {
    "descriptor.sea.filter_layers.networks.": (*DESCRIPTOR, "embeddings", "networks"),
    "fitting_net.filter_layers.networks.": (*FITTING, "nets", "networks"),
}
VARIABLES = {"matrix": "w", "bias": "b", "idt": "idt"}


def tree_of_pt(path: Path) -> Tree:
    """A training checkpoint. Raises InputError for other files, and for pickles of more than tensors."""
    contents = read_archive(path, "training checkpoint of deepmd-kit", "Copy the file again.")
    contents = contents.get("model", contents) if isinstance(contents, Mapping) else {}
    extra = contents.get("_extra_state")
    section = extra.get("model_params") if isinstance(extra, Mapping) else None
    if not isinstance(section, Mapping):
        raise InputError(f"{path}: not a training checkpoint of deepmd-kit (it has no model_params).")
    prefix = "model.Default."
    state = {name.removeprefix(prefix): value for name, value in contents.items() if name.startswith(prefix)}
    return tree_of_state(dict(section), state, path)


def tree_of_pth(path: Path) -> Tree:
    """A frozen model. Raises InputError for other files, and for pickles of more than tensors and data."""
    module = read_script(path)
    try:
        section = json.loads(attribute(module, "model_def_script") or "")
    except ValueError as error:
        raise InputError(f"{path}: a TorchScript file, but not a frozen model of deepmd-kit.") from error
    if attribute(module, "compress"):
        raise InputError(
            f"{path}: a compressed model: its embedding is a table of numbers. Give the model it was "
            "compressed from."
        )
    return tree_of_state(section, dict(tensors_of(module)), path)


def tree_of_state(section: dict[str, Any], state: Mapping[str, Tensor], path: Path) -> Tree:
    """The serialised model of an input section and named tensors. Raises InputError if they do not fit."""
    section = undoubled(section)
    tree = empty_tree(_spec(section, path), _precision(section))
    places = dict(_places(tree))
    layers = tuple(PREFIX + prefix for prefix in NETWORKS)
    for name in state:
        if name.startswith(layers) and name not in places:
            raise InputError(f"{path}: {name} is not in the model it describes.")
    if lacking := [name for name in places if name not in state]:
        raise InputError(f"{path}: incomplete: it lacks {lacking[0]} and {len(lacking) - 1} more arrays.")
    for name, place in places.items():
        if at(tree, place).shape != tuple(state[name].shape):
            raise InputError(
                f"{path}: {name} of shape {tuple(state[name].shape)} does not fit the model it describes."
            )
        put(tree, place, state[name].contiguous().numpy())
    distance = state.get("backbone_model.min_nbor_dist")
    if distance is not None and float(distance) >= 0.0:
        tree["@variables"]["min_nbor_dist"] = np.asarray(distance)
    tree["model_def_script"] = section
    return tree


def _spec(section: Mapping[str, Any], path: Path) -> DeepSpinSpec:
    type_map, settings = read_sections(section, str(path))
    if section.get("atom_exclude_types"):
        raise InputError(f"{path}: the model uses atom_exclude_types: spinpot does not have that.")
    if settings.descriptor.sel == "auto":
        raise InputError(
            f"{path}: its sel is still `auto`; expected numbers. Freeze a checkpoint of the training."
        )
    return settings.spec(type_map, magnetic_types(settings.spin.use_spin, type_map, []))


def _precision(section: Mapping[str, Any]) -> tuple[str, str]:
    found = [(section.get(key) or {}).get("precision", "default") for key in ("descriptor", "fitting_net")]
    first, second = ("float64" if name == "default" else name for name in found)
    return first, second


def _places(tree: Tree) -> Iterator[tuple[str, Place]]:
    """(name in the PyTorch module, place in the serialised model) for every array of the module."""
    for name, place in NAMES.items():
        yield PREFIX + name, place
    for prefix, networks in NETWORKS.items():
        for n, net in enumerate(at(tree, networks)):
            for k, layer in enumerate(net["layers"]):
                place = (*networks, n, "layers", k, "@variables")
                for name, variable in VARIABLES.items():
                    if layer["@variables"][variable] is not None:
                        yield f"{PREFIX}{prefix}{n}.layers.{k}.{name}", (*place, variable)
