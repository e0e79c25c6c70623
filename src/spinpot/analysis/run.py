"""scripts/analyze.py: a checkpoint and a structure → tables, pictures, analysis.json and a page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ase import Atoms
from rich.table import Table

from spinpot.analysis.result import Result, shown
from spinpot.analysis.structure import MomentChoice, read_structure
from spinpot.analysis.tasks import TASKS, check_periodic
from spinpot.ase import SpinCalculator
from spinpot.console import console
from spinpot.output_folder import all_or_nothing, refuse_existing
from spinpot.predictor import load
from spinpot.provenance import git_commit, versions
from spinpot.report.analysis_page import analysis_page
from spinpot.report.page import REPORT
from spinpot.report.pictures import save_figure
from spinpot.report.style import LIGHT, themed

ANALYSIS = "analysis.json"


def analyze(
    checkpoint: str | Path,
    structure: str,
    output: str | Path,
    tasks: Mapping[str, Any],
    moments: str | None = None,
    moment_unit: str | None = None,
) -> dict[str, Any]:
    """Do some tasks on a structure and write what they found: analysis.json, report.html, pictures, files.

    tasks: settings by the name of the task, see spinpot.analysis.tasks. moments, moment_unit: as
    spinpot.analysis.structure.MomentChoice has them. Returns what analysis.json holds.
    Raises InputError before anything is written for what cannot be used, and for an output folder that holds
    one of the files already.
    """
    folder = Path(output).expanduser()
    refuse_existing(folder, [ANALYSIS, REPORT])
    predictor = load(checkpoint)
    atoms = read_structure(structure, predictor.spec.type_map, MomentChoice(moments, moment_unit))
    check_periodic(tasks, atoms)
    for line in predictor.watch.new(predictor.systems([atoms])):
        console.print(f"look: {line}", markup=False, soft_wrap=True)
    # The folder is made first, so that nobody waits for results that cannot be written.
    with all_or_nothing(folder, last=ANALYSIS) as place:
        results = {}
        for name, settings in tasks.items():
            results[name] = TASKS[name].work(SpinCalculator(predictor), atoms.copy(), settings)
            show(results[name])
            refuse_existing(folder, files_of(results[name]))
        contents = {
            "checkpoint": str(checkpoint),
            "structure": structure,
            **described(atoms),
            "settings": {name: asdict(settings) for name, settings in tasks.items()},
            "results": {name: result.numbers for name, result in results.items()},
            "model": predictor.potential.describe(),
            "git_commit": git_commit(),
            "versions": versions(),
        }
        write(place, contents, results)
    names = [name for result in results.values() for name in files_of(result)]
    console.print(f"Written to {folder}: {', '.join([REPORT, *names, ANALYSIS])}.", markup=False)
    return contents


def files_of(result: Result) -> list[str]:
    """Names of what is written of a result beside the page."""
    return [*result.files, *(f"{picture.name}.png" for picture in result.pictures)]


def described(atoms: Atoms) -> dict[str, Any]:
    """What the structure is, as analysis.json has it."""
    return {
        "formula": atoms.get_chemical_formula(mode="hill", empirical=True),
        "atoms": len(atoms),
        "magnetic_atoms": int(atoms.get_initial_magnetic_moments().any(axis=1).sum()),
    }


def show(result: Result) -> None:
    """Print a result's text and tables."""
    console.print(f"\n[bold]{result.title}[/bold]")
    for paragraph in result.paragraphs:
        console.print(paragraph, markup=False)
    for table in result.tables:
        printed = Table(title=table.title, title_justify="left", caption=table.note or None)
        for number, column in enumerate(table.columns):
            printed.add_column(column, justify="right" if _is_numeric(table.rows, number) else "left")
        for row in table.rows:
            printed.add_row(*map(shown, row))
        console.print(printed)


def write(folder: Path, contents: dict[str, Any], results: Mapping[str, Result]) -> None:
    """The files and pictures of all results, the page and the numbers."""
    for result in results.values():
        for name, data in result.files.items():
            (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
        with themed(LIGHT):
            for picture in result.pictures:
                save_figure(picture.draw(), folder / f"{picture.name}.png")
    (folder / REPORT).write_text(analysis_page(contents, results), encoding="utf-8")
    (folder / ANALYSIS).write_text(json.dumps(contents, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _is_numeric(rows: Any, column: int) -> bool:
    return all(isinstance(row[column], int | float | None) for row in rows)
