"""report.html and summary.json of a folder of labels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import yaml

from spinpot.audit.plots import lengths_figure
from spinpot.core.files import write_atomically
from spinpot.core.provenance import git_commit, versions
from spinpot.data.systems import System
from spinpot.labels.coverage import (
    Coverage,
    angles_figure,
    coverage_of,
    distances_figure,
    energies_figure,
)
from spinpot.labels.folder import LabelFolder, system_of
from spinpot.report.page import REPORT, in_words, render
from spinpot.report.panels import Panel, panel

SUMMARY = "summary.json"
MOST = 200  # largest number of failed frames that the page lists


def write_summary(own: LabelFolder, report: bool) -> None:
    """Write summary.json and, if `report`, the page, with the labels available now."""
    with own.alone():
        covered = {name: coverage_of(own, name) for name in own.systems}
        summary = summary_of(own, covered)
        write_atomically(own.folder / SUMMARY, json.dumps(summary, indent=2, allow_nan=False) + "\n")
        if report:
            write_atomically(own.folder / REPORT, page(own, covered, summary))


def summary_of(own: LabelFolder, covered: Mapping[str, Coverage]) -> dict[str, Any]:
    """The contents of summary.json."""
    systems = {name: _of_system(own, name, covered[name]) for name in own.systems}
    counts = {
        key: sum(one[key] for one in systems.values()) for key in ("asked", "labelled", "failed", "left_out")
    }
    return {
        **counts,
        "systems": systems,
        "failed_frames": own.failed(),
        "left_out_frames": own.left_out(),
        "provenance": own.provenance,
        "git_commit": git_commit(),
        "versions": versions(),
    }


def _of_system(own: LabelFolder, name: str, covered: Coverage) -> dict[str, Any]:
    jobs, labelled = own.systems[name], own.labelled(name)
    atoms = jobs[0].configuration.atoms
    seconds = [one.seconds for one in labelled]
    return {
        "formula": atoms.get_chemical_formula(mode="hill"),
        "atoms": len(atoms),
        "asked": len(jobs),
        "labelled": len(labelled),
        "failed": sum(job.failed for job in jobs),
        "left_out": len(labelled) - len(covered.energies),
        "median_seconds": float(np.median(seconds)) if seconds else None,
        "total_seconds": float(sum(seconds)),
        "largest_tilt": float(covered.tilts.max()) if len(covered.tilts) else None,
        "energy_range": float(np.ptp(covered.energies)) if len(covered.energies) else None,
    }


def page(own: LabelFolder, covered: Mapping[str, Coverage], summary: Mapping[str, Any]) -> str:
    """The page, with the present time."""
    elements = sorted({s for job in own.jobs for s in job.configuration.atoms.get_chemical_symbols()})
    drawn = {name: one for name, one in covered.items() if len(one.energies)}
    systems = [system_of(name, own.kept(name)) for name in drawn]
    return render(
        "labels.html",
        summary=summary,
        elements=in_words(elements),
        failed=list(summary["failed_frames"].items()),
        left_out=list(summary["left_out_frames"].items()),
        most=MOST,
        pictures=_pictures(drawn, systems) if drawn else [],
        labeller=own.provenance["labeller"],
        settings=yaml.safe_dump(dict(own.provenance), default_flow_style=None, sort_keys=False, width=100),
    )


def _pictures(covered: Mapping[str, Coverage], systems: list[System]) -> list[Panel]:
    lowest = _lowest(covered, systems)
    pictures = []
    if any(len(one.angles) for one in covered.values()):
        angles = "Histogram of the angles between neighbouring moments."
        pictures.append(panel("Angles between moments", "", angles, partial(angles_figure, covered)))
    lengths = "Histogram of the lengths of the moments, by element."
    distances = "Histogram of the distances between two atoms."
    energies = "Energy per atom of each frame against its largest tilt."
    return [
        *pictures,
        panel("Lengths of the moments", "", lengths, partial(lengths_figure, systems)),
        panel("Distances", "", distances, partial(distances_figure, covered)),
        panel(
            "Energies",
            "a colour per system" if len(covered) > 1 else "",
            energies,
            partial(energies_figure, covered, lowest),
        ),
    ]


def _lowest(covered: Mapping[str, Coverage], systems: list[System]) -> dict[str, float]:
    """For each system, the lowest energy per atom of all systems with the same composition."""
    shares = {
        one.name: tuple(sorted((e, one.elements.count(e) / one.n_atoms) for e in one.type_map))
        for one in systems
    }
    return {
        name: min(float(covered[other].energies.min()) for other in shares if shares[other] == shares[name])
        for name in shares
    }
