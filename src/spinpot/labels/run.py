"""spinpot label: a structure and a recipe → labelled frames, each by a job that is done once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spinpot.core.console import print_line
from spinpot.core.errors import InputError
from spinpot.core.notes import shortened
from spinpot.labels.configuration import Configuration
from spinpot.labels.folder import FRAMES, JOBS, LabelFolder
from spinpot.labels.jobs import work
from spinpot.labels.label import Labeller
from spinpot.labels.page import write_summary
from spinpot.labels.recipe import Recipe, configurations
from spinpot.labels.structure import find_structure


def label(
    labeller: Labeller,
    recipe: Recipe,
    output: str | Path,
    structure: str | None = None,
    seed: int = 0,
    retry_failed: bool = False,
    report: bool = True,
) -> LabelFolder:
    """Label the configurations of a recipe into a folder, or those that it does not have yet.

    Raises InputError before the first calculation for what cannot be used, and at the end if all have failed.
    """
    atoms = find_structure(structure, recipe.structure)
    made = configurations(recipe, atoms, seed)
    settings = {
        "seed": seed,
        "recipe": {"systems": {name: asdict(own) for name, own in recipe.systems.items()}},
        "structure": {
            "symbols": atoms.get_chemical_symbols(),
            "cell": atoms.cell.array.tolist(),
            "positions": atoms.positions.tolist(),
            "moments": atoms.get_initial_magnetic_moments().tolist(),
        },
    }
    own = label_all(made, labeller, Path(output).expanduser(), settings, retry_failed, report)
    if own.jobs and len(own.failed()) == len(own.jobs):
        raise InputError(
            "no frame has a label: see the reasons above, and the files of the code in "
            f"{own.folder / JOBS}. Correct what is wrong, and add retry_failed=true to the command."
        )
    return own


def label_all(
    made: Sequence[Configuration],
    labeller: Labeller,
    folder: Path,
    settings: Mapping[str, Any],
    retry_failed: bool = False,
    report: bool = True,
) -> LabelFolder:
    """Label configurations into a folder. settings: plain data that tell them from others.

    Several processes may do so at once; each frame is labelled by one of them. Raises InputError before the
    first calculation for what cannot be used, and for a folder of other settings.
    """
    labeller.check(made)
    provenance = {"labeller": labeller.provenance(), **settings}
    own = LabelFolder(folder, made, provenance)
    own.open(provenance)
    own.check_labels()
    try:
        work(own.jobs, labeller, retry_failed, own.arrived)
    finally:
        own.write_frames()
    write_summary(own, report)
    say(own)
    return own


def say(own: LabelFolder) -> None:
    """What was labelled, what failed, what is left."""
    labelled = sum(len(own.labelled(system)) for system in own.systems)
    failed, left_out = own.failed(), own.left_out()
    print_line(f"{labelled:,} of {len(own.jobs):,} frames are labelled: {own.folder / FRAMES}")
    for name, why in [*failed.items()][:20]:
        print_line(f"  {name} has no label: {why}")
    if failed:
        print_line(f"{len(failed)} failed. retry_failed=true tries them again.")
    if left_out:
        print_line(
            f"Left out, by their energies: {shortened([f'{n} ({why})' for n, why in left_out.items()])}."
        )
    if waiting := len(own.jobs) - labelled - len(failed):
        print_line(f"{waiting} are with other processes, or wait for the same command again.")
