"""Maps a potential's arrays to their places in deepmd-kit's serialised model, and builds that model empty.

deepmd-kit has a net and a row of statistics for each of the 2T types as centres, also for virtual atoms,
whose energies it does not use. spinpot lacks these arrays: they come from the file the model was read from,
or are zero.
"""

from collections.abc import Iterator
from itertools import pairwise, product
from typing import Any

import numpy as np
from torch import Tensor

from spinpot.models.deepspin.deepmd.dp_file import Tree
from spinpot.models.deepspin.deepmd.sections import ABSENT, doubled, placeholder_pairs
from spinpot.models.deepspin.networks import ResidualNet
from spinpot.models.deepspin.potential import DeepSpin
from spinpot.models.deepspin.settings import DescriptorSettings, FittingSettings
from spinpot.models.deepspin.spec import DeepSpinSpec

Place = tuple[str | int, ...]

BACKBONE: Place = ("model", "backbone_model")
DESCRIPTOR: Place = (*BACKBONE, "descriptor")
FITTING: Place = (*BACKBONE, "fitting")
OUT_BIAS: Place = (*BACKBONE, "@variables", "out_bias")
BIAS_ATOM_E: Place = (*FITTING, "@variables", "bias_atom_e")
STATISTICS = {name: (*DESCRIPTOR, "@variables", name) for name in ("davg", "dstd")}

VERSIONS = {
    "Model": 2,
    "Descriptor": 2,
    "Fitting": 4,
    "NetworkCollection": 1,
    "EmbeddingNetwork": 2,
    "FittingNetwork": 1,
    "Layer": 2,
}
"""The version that deepmd-kit 3.2.0 writes for each class."""


def at(tree: Any, place: Place) -> Any:
    """The value at a place of a tree. Raises KeyError or IndexError if there is none."""
    for key in place:
        tree = tree[key]
    return tree


def put(tree: Any, place: Place, value: Any) -> None:
    """Set the value at a place of a tree."""
    at(tree, place[:-1])[place[-1]] = value


def weights(potential: DeepSpin) -> Iterator[tuple[Place, Tensor | None]]:
    """(place, weight) for every weight of a potential; None for the time step of a layer without one."""
    n_types, one_side = len(potential.spec.type_map), potential.spec.descriptor.type_one_side
    for centre, neighbour in product(range(1 if one_side else n_types), range(2 * n_types)):
        index = neighbour if one_side else centre + neighbour * 2 * n_types
        net = potential.descriptor.embedding_net(centre, neighbour)
        yield from _layers(net, (*DESCRIPTOR, "embeddings", "networks", index))
    for t in range(n_types):
        fitting = potential.fitting_nets.one_of(t)
        place: Place = (*FITTING, "nets", "networks", t)
        yield from _layers(fitting.hidden, place)
        last: Place = (*place, "layers", len(fitting.hidden), "@variables")
        yield (*last, "w"), fitting.weight
        yield (*last, "b"), fitting.bias


def _layers(net: ResidualNet, place: Place) -> Iterator[tuple[Place, Tensor | None]]:
    for k, layer in enumerate(net.layers):
        variables: Place = (*place, "layers", k, "@variables")
        yield (*variables, "w"), layer.weight
        yield (*variables, "b"), layer.bias
        yield (*variables, "idt"), layer.idt


def empty_tree(spec: DeepSpinSpec, precision: tuple[str, str] = ("float64", "float64")) -> Tree:
    """A spec as deepmd-kit 3.2.0 serialises it, with zero weights.

    precision: of descriptor and fitting net.
    """
    n_types = len(spec.type_map)
    excluded = [*placeholder_pairs(spec.use_spin), *map(list, spec.descriptor.exclude_types)]
    virtual = list(range(n_types, 2 * n_types))
    backbone = {
        "type_map": doubled(spec.type_map),
        "atom_exclude_types": virtual,
        "pair_exclude_types": excluded,
        "rcond": None,
        "preset_out_bias": None,
        "@variables": {"out_bias": np.zeros((1, 2 * n_types, 1)), "out_std": np.ones((1, 2 * n_types, 1))},
        **_class("Model"),
        "type": "standard",
        "descriptor": _descriptor(spec, excluded, precision[0]),
        "fitting": _fitting(spec, virtual, precision[1]),
    }
    spin = {"use_spin": list(spec.use_spin), "virtual_scale": list(spec.virtual_scale)}
    return {
        "backend": "PyTorch",
        "model": {"type": "spin_ener", "backbone_model": backbone, "spin": spin},
        "model_def_script": model_section(spec, precision),
        "@variables": {},
    }


def model_section(spec: DeepSpinSpec, precision: tuple[str, str] = ("float64", "float64")) -> dict[str, Any]:
    """The section `model` of an input.json that describes a spec."""
    plain = spec.as_dict()
    descriptor, fitting = plain["descriptor"], plain["fitting_net"]
    del descriptor["radial"]
    excluded = descriptor.pop("exclude_types")
    return {
        "type_map": plain["type_map"],
        "descriptor": {"type": "se_e2_a", **descriptor, "precision": precision[0]},
        "fitting_net": {"type": "ener", **fitting, "precision": precision[1]},
        "spin": {"use_spin": plain["use_spin"], "virtual_scale": plain["virtual_scale"]},
        **({"pair_exclude_types": excluded} if excluded else {}),
    }


def _descriptor(spec: DeepSpinSpec, excluded: list[list[int]], precision: str) -> Tree:
    settings, n_types = spec.descriptor, len(spec.type_map)
    n_sel = sum(spec.sel_doubled)
    shape = (2 * n_types, n_sel, 4)
    return {
        **_class("Descriptor"),
        "type": "se_e2_a",
        **_of(
            settings, "rcut", "rcut_smth", "axis_neuron", "set_davg_zero", "env_protection", "type_one_side"
        ),
        "sel": list(spec.sel_doubled),
        "precision": precision,
        "embeddings": _collection(
            "embedding_network",
            2 * n_types,
            1 if settings.type_one_side else 2,
            lambda: {**_net("EmbeddingNetwork", 1, settings, precision), "bias": True},
        ),
        "env_mat": {
            "rcut": settings.rcut,
            "rcut_smth": settings.rcut_smth,
            "protection": settings.env_protection,
            "use_exp_switch": False,
        },
        "exclude_types": excluded,
        "@variables": {"davg": np.zeros(shape, precision), "dstd": np.ones(shape, precision)},
        "type_map": doubled(spec.type_map),
        "trainable": True,
        "spin": None,
    }


def _fitting(spec: DeepSpinSpec, virtual: list[int], precision: str) -> Tree:
    settings, n_types = spec.fitting_net, len(spec.type_map)
    width = spec.descriptor.neuron[-1] * spec.descriptor.axis_neuron
    inputs = ("case_embd", "fparam_avg", "fparam_inv_std", "aparam_avg", "aparam_inv_std")

    def net() -> Tree:
        made = _net("FittingNetwork", width, settings, precision)
        made["layers"].append(_layer(settings.neuron[-1], 1, "none", False, False, precision))
        return {**made, "out_dim": 1, "bias_out": True}

    return {
        **_class("Fitting"),
        "var_name": "energy",
        "ntypes": 2 * n_types,
        "dim_descrpt": width,
        **_of(settings),
        **dict.fromkeys(ABSENT, 0),
        **dict.fromkeys(("default_fparam", "rcond", "layer_name", "spin", "atom_ener")),
        "precision": precision,
        "mixed_types": False,
        "nets": _collection("fitting_network", 2 * n_types, 1, net),
        "exclude_types": virtual,
        "@variables": {"bias_atom_e": np.zeros((2 * n_types, 1)), **dict.fromkeys(inputs)},
        "type_map": doubled(spec.type_map),
        "tot_ener_zero": False,
        "trainable": [True] * (len(settings.neuron) + 1),
        "use_aparam_as_mask": False,
        "type": "ener",
        "dim_out": 1,
    }


def _collection(kind: str, n_types: int, ndim: int, net: Any) -> Tree:
    return {
        **_class("NetworkCollection"),
        "ndim": ndim,
        "ntypes": n_types,
        "network_type": kind,
        "networks": [net() for _ in range(n_types**ndim)],
    }


def _net(kind: str, n_in: int, settings: DescriptorSettings | FittingSettings, precision: str) -> Tree:
    """A net of hidden layers."""
    name, resnet_dt = settings.activation_function, settings.resnet_dt
    widths = pairwise((n_in, *settings.neuron))
    return {
        **_class(kind),
        "in_dim": n_in,
        **_of(settings),
        "precision": precision,
        "layers": [_layer(*width, name, resnet_dt, True, precision) for width in widths],
    }


def _of(settings: DescriptorSettings | FittingSettings, *names: str) -> Tree:
    """The settings of all nets, and others by their names."""
    own = {name: getattr(settings, name) for name in ("activation_function", "resnet_dt", *names)}
    return {"neuron": list(settings.neuron), **own}


def _class(name: str) -> Tree:
    return {"@class": name, "@version": VERSIONS[name]}


def _layer(n_in: int, n_out: int, name: str, resnet_dt: bool, resnet: bool, precision: str) -> Tree:
    """One layer; with resnet_dt it has a time step if it has a skip."""
    timestep = resnet_dt and n_out in (n_in, 2 * n_in)
    return {
        **_class("Layer"),
        "bias": True,
        "use_timestep": timestep,
        "activation_function": name,
        "resnet": resnet,
        "precision": precision,
        "trainable": True,
        "@variables": {
            "w": np.zeros((n_in, n_out), precision),
            "b": np.zeros(n_out, precision),
            "idt": np.zeros(n_out, precision) if timestep else None,
        },
    }
