"""`spinpot analyze`: runs tasks for a checkpoint and a structure; writes tables, pictures and a page."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ase import Atoms

from spinpot.analysis.result import Result, shown
from spinpot.analysis.structure import magnetic, read_structure
from spinpot.analysis.tasks import TASKS, check_periodic
from spinpot.ase import SpinCalculator
from spinpot.core.console import console, print_line, print_table
from spinpot.core.output_folder import all_or_nothing, refuse_existing
from spinpot.core.provenance import git_commit, versions
from spinpot.evaluation.predictor import load
from spinpot.models.registry import facts_of
from spinpot.report.page import REPORT, render
from spinpot.report.panels import panel
from spinpot.report.style import LIGHT, save_figure, themed

ANALYSIS = "analysis.json"


def analyze(
    checkpoint: str | Path,
    structure: str,
    output: str | Path,
    tasks: Mapping[str, Any],
    moments: str | None = None,
    moment_unit: str | None = None,
) -> dict[str, Any]:
    """Run tasks on a structure and write their results: analysis.json, report.html, pictures and files.

    tasks: settings by name of the task, see spinpot.analysis.tasks. moments, moment_unit: as in
    read_structure. Returns the contents of analysis.json. Raises InputError before the first calculation if
    an input cannot be used or the output folder already holds one of the files. If a task fails, the results
    of the earlier tasks are written and its error is raised.
    """
    folder = Path(output).expanduser()
    refuse_existing(folder, [ANALYSIS, REPORT, *(file for name in tasks for file in TASKS[name].files)])
    predictor = load(checkpoint)
    given = read_structure(structure, predictor.spec.type_map, moments, moment_unit)
    remarks = [f"look: {line}" for line in predictor.watch.new(predictor.systems([given]))]
    atoms = magnetic(given, predictor.spec.magnetic_elements)
    check_periodic(tasks, atoms)
    for name, settings in tasks.items():
        TASKS[name].check(atoms.copy(), settings)
    for line in remarks:
        print_line(line)
    # Create the folder before the calculation, so that a write error appears at once.
    with all_or_nothing(folder, last=ANALYSIS) as place:
        results, failure = _results(SpinCalculator(predictor), atoms, tasks, folder)
        if failure and not results:
            raise failure
        contents = {
            "checkpoint": str(checkpoint),
            "structure": structure,
            **_facts(atoms),
            "remarks": [*remarks, *_not_done(tasks, results, failure)],
            "settings": {name: asdict(tasks[name]) for name in results},
            "results": {name: result.numbers for name, result in results.items()},
            "model": predictor.potential.describe(),
            "git_commit": git_commit(),
            "versions": versions(),
        }
        write(place, contents, results)
    names = [name for result in results.values() for name in files_of(result)]
    console.print(f"Written to {folder}: {', '.join([REPORT, *names, ANALYSIS])}.", markup=False)
    if failure:
        raise failure
    return contents


def _facts(atoms: Atoms) -> dict[str, Any]:
    return {
        "formula": atoms.get_chemical_formula(mode="hill", empirical=True),
        "atoms": len(atoms),
        "magnetic_atoms": int(atoms.get_initial_magnetic_moments().any(axis=1).sum()),
    }


def _results(
    calculator: SpinCalculator, atoms: Atoms, tasks: Mapping[str, Any], folder: Path
) -> tuple[dict[str, Result], BaseException | None]:
    """The results of all tasks up to the first that fails, and its error."""
    results: dict[str, Result] = {}
    for name, settings in tasks.items():
        try:
            found = TASKS[name].work(calculator, atoms.copy(), settings)
            show(found)
            refuse_existing(folder, files_of(found))  # another process may have written one meanwhile
        except BaseException as error:  # also after Ctrl-C, keep the finished results
            return results, error
        results[name] = found
    return results, None


def _not_done(
    tasks: Mapping[str, Any], results: Mapping[str, Result], failure: BaseException | None
) -> list[str]:
    """A line about the tasks that were not finished."""
    if failure is None:
        return []
    left = [name for name in tasks if name not in results]
    return [f"Not done: {', '.join(left)}. {left[0]} stopped: {str(failure) or type(failure).__name__}"]


def files_of(result: Result) -> list[str]:
    """Names of the files and pictures of a result."""
    return [*result.files, *(f"{picture.name}.png" for picture in result.pictures)]


def show(result: Result) -> None:
    """Print a result's text and tables."""
    console.print(f"\n[bold]{result.title}[/bold]")
    for paragraph in result.paragraphs:
        console.print(paragraph, markup=False)
    for table in result.tables:
        words = [
            column
            for number, column in enumerate(table.columns)
            if not all(isinstance(row[number], int | float | None) for row in table.rows)
        ]
        print_table(table.title, table.columns, (map(shown, row) for row in table.rows), words, table.note)
    for paragraph in result.method:
        console.print(paragraph, markup=False)


def write(folder: Path, contents: dict[str, Any], results: Mapping[str, Result]) -> None:
    """Write the files and pictures of all results, the page and the JSON file."""
    for result in results.values():
        for name, data in result.files.items():
            (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
        with themed(LIGHT):
            for picture in result.pictures:
                save_figure(picture.draw(), folder / f"{picture.name}.png")
    (folder / REPORT).write_text(_page(contents, results), encoding="utf-8")
    (folder / ANALYSIS).write_text(json.dumps(contents, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _page(contents: dict[str, Any], results: Mapping[str, Result]) -> str:
    """The text of report.html, one section per task."""
    panels = {
        name: [panel(one.title, "", one.alt, one.draw) for one in result.pictures]
        for name, result in results.items()
    }
    model = facts_of(contents["model"])
    return render(
        "analysis.html", contents=contents, results=results, panels=panels, shown=shown, model=model
    )
