"""Converts the model section of deepmd-kit's input.json to settings, with deepmd-kit's defaults."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from spinpot.core.errors import InputError
from spinpot.models.deepspin.settings import (
    DescriptorSettings,
    FittingSettings,
    VirtualAtomSettings,
    is_smooth,
)
from spinpot.models.deepspin.spec import DeepSpinSettings
from spinpot.models.elements import magnetic_types

DESCRIPTOR_DEFAULTS: dict[str, Any] = {
    "sel": "auto",
    "rcut": 6.0,
    "rcut_smth": 0.5,
    "neuron": [10, 20, 40],
    "axis_neuron": 4,
    "activation_function": "tanh",
    "resnet_dt": False,
    "type_one_side": False,
    "set_davg_zero": False,
    "env_protection": 0.01,
}
FITTING_DEFAULTS: dict[str, Any] = {
    "neuron": [120, 120, 120],
    "activation_function": "tanh",
    "resnet_dt": True,
}
ABSENT = ("numb_fparam", "numb_aparam", "dim_case_embd")  # settings of the fitting net that spinpot lacks
PROTECTION = 0.01  # Å; deepmd-kit's spin models use it in place of env_protection 0


def read_sections(model: Mapping[str, Any], where: str) -> tuple[tuple[str, ...], DeepSpinSettings]:
    """The type map and the settings of a model section, completed by deepmd-kit's defaults.

    Raises InputError unless it is a spin model with se_e2_a.
    """
    for key in ("model_dict", "models"):
        if key in model:
            raise InputError(
                f"{where}: {key} describes several models at once. Give one, e.g. what `dp freeze --head "
                "NAME` writes for it."
            )
    spin = model.get("spin")
    if not isinstance(spin, Mapping):
        raise InputError(
            f"{where}: a model without spin: there is no section `spin`. spinpot trains spin models only."
        )
    type_map = model.get("type_map")
    if not isinstance(type_map, list | tuple) or not type_map:
        raise InputError(f"{where}: no type_map, so nothing says which elements the types are. Add it.")
    fitting = model.get("fitting_net") or {}
    if fitting.get("type", "ener") != "ener":
        raise InputError(f"{where}: fitting_net.type={fitting['type']!r}; expected ener, the energy.")
    for key in ABSENT:
        if fitting.get(key):
            raise InputError(
                f"{where}: model.fitting_net.{key}={fitting[key]}: spinpot has no parameters of frames or "
                "atoms beside positions and spins. Take it out, or keep this model in deepmd-kit."
            )
    return tuple(type_map), DeepSpinSettings(
        descriptor=_descriptor(model.get("descriptor") or {}, model, where),
        fitting_net=fitting_settings(fitting),
        spin=spin_settings(spin, where),
    )


def undoubled(model: Mapping[str, Any]) -> dict[str, Any]:
    """Reverse what `dp freeze` adds to a model section: doubled types and the exclusions of spin models."""
    section = copy.deepcopy(dict(model))
    names = list(section.get("type_map") or [])
    n_types = len(names) // 2
    if not names or names != doubled(names[:n_types]) or not isinstance(section.get("spin"), Mapping):
        return section
    use_spin = magnetic_types(section["spin"]["use_spin"], names[:n_types], [])
    own = placeholder_pairs(use_spin)
    excluded = [list(pair) for pair in section.get("pair_exclude_types") or []]
    section["type_map"] = names[:n_types]
    section["pair_exclude_types"] = [pair for pair in excluded if pair not in own]
    section["atom_exclude_types"] = [t for t in section.get("atom_exclude_types") or [] if t < n_types]
    descriptor = section["descriptor"]
    descriptor["exclude_types"] = []
    if isinstance(descriptor.get("sel"), list):
        descriptor["sel"] = descriptor["sel"][:n_types]
    return section


def doubled(type_map: Sequence[str]) -> list[str]:
    """[Ni, O] → [Ni, O, Ni_spin, O_spin]."""
    return [*type_map, *(f"{name}_spin" for name in type_map)]


def placeholder_pairs(use_spin: Sequence[bool]) -> list[list[int]]:
    """The pairs that deepmd-kit always excludes: virtual types of elements without spin, with all types."""
    n_types = len(use_spin)
    without = [n_types + t for t in range(n_types) if not use_spin[t]]
    return [[a, b] for a in without for b in range(2 * n_types)]


def spin_settings(spin: Mapping[str, Any], where: str) -> VirtualAtomSettings:
    """Settings of the virtual atoms: virtual_scale (PyTorch), or virtual_len and spin_norm (TensorFlow)."""
    if spin.get("scheme", "deepspin") != "deepspin":
        raise InputError(
            f"{where}: spin.scheme={spin['scheme']!r}; spinpot has virtual atoms (deepspin) only."
        )
    if "use_spin" not in spin:
        raise InputError(f"{where}: spin.use_spin is missing. Expected one bool per element.")
    numbers: dict[str, Any] = {key: spin.get(key) for key in ("virtual_len", "spin_norm", "virtual_scale")}
    return VirtualAtomSettings(spin["use_spin"], **numbers)


def fitting_settings(fitting: Mapping[str, Any]) -> FittingSettings:
    """The fitting net's settings, from a section or a serialised model."""
    values = {key: fitting.get(key, value) for key, value in FITTING_DEFAULTS.items()}
    if "n_neuron" in fitting:
        values["neuron"] = fitting["n_neuron"]
    return FittingSettings(**values | {"activation_function": activation_name(values["activation_function"])})


def other_descriptor(kind: object, where: object) -> InputError:
    """The error for a model with another descriptor."""
    return InputError(
        f"{where}: its descriptor is {kind!r}; spinpot has se_e2_a only. Train a model with se_e2_a, or keep "
        "this one in deepmd-kit."
    )


def _descriptor(descriptor: Mapping[str, Any], model: Mapping[str, Any], where: str) -> DescriptorSettings:
    kind = descriptor.get("type", "se_e2_a")
    if kind not in ("se_e2_a", "se_a"):
        raise other_descriptor(kind, where)
    values = {key: descriptor.get(key, default) for key, default in DESCRIPTOR_DEFAULTS.items()}
    if "n_axis_neuron" in descriptor:
        values["axis_neuron"] = descriptor["n_axis_neuron"]
    if isinstance(values["sel"], str):
        values["sel"] = "auto"
    values["env_protection"] = values["env_protection"] or PROTECTION
    excluded = [tuple(pair) for pair in model.get("pair_exclude_types") or []]
    values["activation_function"] = activation_name(values["activation_function"])
    values["radial"] = "collocated" if is_smooth(values["activation_function"]) else "direct"
    return DescriptorSettings(**values, exclude_types=excluded)


def activation_name(name: str | None) -> str:
    """Spinpot's name of one of deepmd-kit's activation functions."""
    lower = str(name).lower()
    kind, mark, threshold = lower.partition(":")
    return {"gelu_tf": "gelu", "none": "linear", "custom_silu": "silut"}.get(kind, kind) + mark + threshold
