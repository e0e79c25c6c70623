"""Tables in the terminal: the data at the start, the errors at the end."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from rich.table import Table

from spinpot.console import console
from spinpot.data.datamodule import SpinDataModule
from spinpot.data.description import formula, moments
from spinpot.model.settings import ModelSpec
from spinpot.model.sizes import most_neighbours

SHORT_LABELS = {"energy": "E", "force": "F", "force_mag": "Fm", "virial": "V"}

ERROR_ROWS = {
    "e": ("energy", "meV/atom"),
    "fr": ("force", "meV/Å"),
    "fm": ("magnetic force", "meV/μ_B"),
    "fm_transverse": ("  transverse", "meV/μ_B"),
    "fm_longitudinal": ("  longitudinal", "meV/μ_B"),
    "v": ("virial", "meV/atom"),
}


def print_data_summary(data: SpinDataModule, spec: ModelSpec) -> None:
    """Systems, frames, atoms, labels, moments, and neighbours against sel."""
    table = Table(title="Data", title_justify="left")
    for column in ("set", "system", "frames", "atoms", "labels", "|S| (μ_B)"):
        table.add_column(column, justify="right" if column == "frames" else "left", no_wrap=True)
    for name, systems in data.systems.items():
        for system in systems:
            table.add_row(
                name,
                system.name,
                str(len(system)),
                formula(system),
                " ".join(SHORT_LABELS[label] for label in system.labels) or "none",
                ", ".join(f"{name} {low:.3f}–{high:.3f}" for name, (low, high) in moments(system).items()),
            )
    console.print(table)
    for name, systems in data.systems.items():
        for label in SHORT_LABELS:
            lacking = [system.name for system in systems if label not in system.labels]
            if lacking:
                console.print(f"No {label} in {name}: {', '.join(lacking)}; left out of that loss term.")
    with_moments = data.elements_with_moments()
    most = np.max([most_neighbours(dataset) for dataset in data.datasets.values()], axis=0)
    for element, found, sel, spin, scale in zip(
        spec.type_map, most, spec.sel_doubled, spec.use_spin, spec.virtual_scale, strict=False
    ):
        role = f"magnetic, virtual atoms at {scale:.4f} Å/μ_B" if spin else "without spin"
        if spin != (element in with_moments):
            role += ", although its spins are all zero" if spin else ", its moments are not used"
        console.print(
            f"{element}: {role}; at most {found} neighbours within {spec.descriptor.rcut} Å, sel {sel}."
        )


def print_errors(
    title: str, columns: Mapping[str, Mapping[str, float]], trained: Collection[str] | None = None
) -> None:
    """A table of rmse, quantities down and predictors across; quantities without labels are left out.

    trained: the loss terms that were on, by their short names; the others' rows say so.
    """
    table = Table(title=f"{title}, rmse", title_justify="left")
    table.add_column("quantity")
    for name in columns:
        table.add_column(name, justify="right")
    table.add_column("unit")
    for quantity, (label, unit) in ERROR_ROWS.items():
        values = [errors[f"rmse_{quantity}"] for errors in columns.values()]
        if not math.isnan(values[0]):
            if trained is not None and quantity.split("_")[0] not in trained:
                label += " (not in the loss)"
            table.add_row(label, *(f"{1000 * value:.3f}" for value in values), unit)
    console.print(table)


def print_config_changes(changes: list[tuple[str, Any, Any]]) -> None:
    """What differs from the config of the run that is resumed; nothing where nothing does."""
    if not changes:
        return
    table = Table(title="Resuming with a changed config", title_justify="left")
    for column in ("key", "then", "now"):
        table.add_column(column)
    for key, then, now in changes:
        table.add_row(key, str(then), str(now))
    console.print(table)
