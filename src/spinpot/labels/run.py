"""`spinpot label`: makes configurations from a structure and a recipe, and labels them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ase import Atoms

from spinpot.core.console import print_line
from spinpot.core.errors import InputError
from spinpot.core.notes import shortened
from spinpot.labels.configuration import Configuration
from spinpot.labels.folder import FRAMES, JOBS, SETTINGS, LabelFolder
from spinpot.labels.jobs import work
from spinpot.labels.label import Labeller
from spinpot.labels.page import write_summary
from spinpot.labels.recipe import Recipe, configurations
from spinpot.labels.structure import structure_of
from spinpot.labels.trajectory import TRAJECTORIES, frames_in_files


def label(
    labeller: Labeller,
    recipe: Recipe,
    output: str | Path,
    structure: str | None = None,
    seed: int = 0,
    retry_failed: bool = False,
    report: bool = True,
) -> LabelFolder:
    """Label the configurations of a recipe that have no label in the folder yet.

    Raises InputError before the first calculation if an input cannot be used, and at the end if all frames
    have failed.
    """
    atoms = structure_of(recipe, structure)
    made = configurations(recipe, atoms, seed)
    folder = Path(output).expanduser()
    settings = {
        "seed": seed,
        "recipe": {"systems": {name: asdict(own) for name, own in recipe.systems.items()}},
        "structure": None if atoms is None else _as_plain(atoms),
        TRAJECTORIES: frames_in_files(made, folder / SETTINGS),
    }
    own = label_all(made, labeller, folder, settings, retry_failed, report)
    if own.jobs and len(own.failed()) == len(own.jobs):
        raise InputError(
            f"All frames failed. See the reasons above, and the files of the code in {own.folder / JOBS}. "
            "Correct the cause, and add retry_failed=true to the command."
        )
    return own


def _as_plain(atoms: Atoms) -> dict[str, Any]:
    return {
        "symbols": atoms.get_chemical_symbols(),
        "cell": atoms.cell.array.tolist(),
        "positions": atoms.positions.tolist(),
        "moments": atoms.get_initial_magnetic_moments().tolist(),
    }


def label_all(
    made: Sequence[Configuration],
    labeller: Labeller,
    folder: Path,
    settings: Mapping[str, Any],
    retry_failed: bool = False,
    report: bool = True,
) -> LabelFolder:
    """Label configurations into a folder. settings: plain data that identify the set of configurations.

    Several processes may work on one folder; each frame is labelled by one of them. Raises InputError before
    the first calculation if an input cannot be used, or the folder has other settings.
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
    """Print how many frames are labelled, have failed and are left."""
    labelled = sum(len(own.labelled(system)) for system in own.systems)
    failed, left_out = own.failed(), own.left_out()
    print_line(f"{labelled:,} of {len(own.jobs):,} frames are labelled: {own.folder / FRAMES}")
    for name, why in [*failed.items()][:20]:
        print_line(f"  {name} failed: {why}")
    if failed:
        print_line(f"{len(failed)} failed. Try them again with retry_failed=true.")
    if left_out:
        print_line(
            "Left out because of their energies: "
            f"{shortened([f'{n} ({why})' for n, why in left_out.items()])}."
        )
    if waiting := len(own.jobs) - labelled - len(failed):
        print_line(f"{waiting} are not labelled yet: other processes work on them, or repeat this command.")
