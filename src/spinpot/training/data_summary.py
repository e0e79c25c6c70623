"""The summary of the data that a run prints before its first step."""

from collections.abc import Collection

from spinpot.core.console import console
from spinpot.core.conventions import LABELS
from spinpot.core.notes import shortened
from spinpot.data.datamodule import SpinDataModule
from spinpot.models.spec import Spec
from spinpot.report.systems_table import print_systems


def print_data_summary(data: SpinDataModule, spec: Spec, wanted: Collection[str]) -> None:
    """Print systems, frames, atoms, labels, moments and the numbers of neighbours in the training frames.

    wanted: the labels that the loss needs.
    """
    print_systems("Data", {name: own["systems"] for name, own in data.described.items()})
    for name, systems in data.systems.items():
        for label in (label for label in LABELS if label in wanted):
            lacking = [system.name for system in systems if label not in system.labels]
            if lacking:
                console.print(f"No {label} in {name}: {shortened(lacking)}. This loss term skips them.")
    with_moments = data.elements_with_moments()
    most, cutoff = data.samples["train"].neighbours.most_of_elements, spec.geometry.cutoff
    for kind, (element, spin) in enumerate(zip(spec.type_map, spec.use_spin, strict=True)):
        role = "magnetic" if spin else "without spin"
        if spin != (element in with_moments):
            role += ", although its spins are all zero" if spin else ", its moments are not used"
        own = [f"{title} {fact}" for title, fact in spec.facts_of(kind).items()]
        found = ", ".join([f"at most {most[kind]} neighbours within {cutoff} Å", *own])
        console.print(f"{element}: {role}; {found}.")
