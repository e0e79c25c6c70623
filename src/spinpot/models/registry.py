"""The known kinds of models, and how a model is built with its wrappers."""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from spinpot.core.errors import InputError
from spinpot.models.exchange.wrapper import WithExchange
from spinpot.models.potential import Potential
from spinpot.models.spec import Spec
from spinpot.models.time_reversal import TimeReversed

ENTRY_POINTS = "spinpot.models"
"""Entry-point group in which installed packages register models, each as `kind = "module:Class"`."""
BUILT_IN = {
    "deepspin": "spinpot.models.deepspin.potential:DeepSpin",
    "native_spin": "spinpot.models.native_spin.potential:NativeSpin",
}
"""Models by their names in checkpoints. A file names only these and installed ones, never a module."""


def model_class(kind: str, where: object = "model") -> type[Potential]:
    """The class of a kind of model. Raises InputError for an unknown kind; where: the file, for messages."""
    known = dict(BUILT_IN)
    if kind not in known:
        known |= {entry.name: entry.value for entry in entry_points(group=ENTRY_POINTS)}
    if kind not in known:
        raise InputError(
            f"{where}: unknown kind of model {kind!r}; known are {', '.join(known)}. Install the package "
            "that provides it, or use a newer version of spinpot."
        )
    module, _, name = known[kind].partition(":")
    found: type[Potential] = getattr(import_module(module), name)
    return found


def spec_of(stored: Mapping[str, Any]) -> Spec:
    """The spec in a checkpoint or a summary.json; the oldest ones name no kind."""
    return model_class(stored.get("kind", "deepspin")).spec_type.from_dict(stored)


def facts_of(stored: Mapping[str, Any], settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Facts on a model for pages. stored: from Potential.describe; settings: the config's `model`."""
    spec = spec_of(stored)
    own = [spec.facts_of(kind) for kind in range(len(spec.type_map))]
    columns = list(dict.fromkeys(title for facts in own for title in facts))
    return {
        "facts": {**spec.facts(settings or {}), "Parameters": f"{stored['parameters']:,}"},
        "columns": columns,
        "elements": [
            {"name": name, "magnetic": magnetic, "cells": [facts.get(title, "–") for title in columns]}
            for name, magnetic, facts in zip(spec.type_map, spec.use_spin, own, strict=True)
        ],
    }


def build_potential(spec: Spec, seed: int = 0) -> Potential:
    """A potential with random initial weights, drawn with `seed`."""
    potential = model_class(spec.kind)(spec, seed)
    if spec.time_reversal:
        potential = TimeReversed(potential)
    if spec.exchange.terms:
        potential = WithExchange(potential)
    return potential
