"""`spinpot audit`: checks labelled frames, prints the findings, and writes a page and a JSON file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.text import Text

from spinpot.audit.audited import Audited, labels_of, works_of, worst_of
from spinpot.audit.factors import in_brief
from spinpot.audit.findings import Group, grouped, of_duplicates, of_few, of_precision
from spinpot.audit.page import audit_page
from spinpot.audit.work import TooFew, Work, short_label
from spinpot.core.console import console, print_line, print_table
from spinpot.core.output_folder import all_or_nothing, refuse_existing
from spinpot.core.provenance import git_commit, versions
from spinpot.data.description import describe
from spinpot.data.duplicates import duplicates
from spinpot.data.systems import read_systems
from spinpot.report.page import REPORT

AUDIT = "audit.json"
MOST = 20  # systems printed per finding and in the table; the files list all
COLOURS = {"wrong": "bold red", "look": "yellow", "note": ""}


def audit(systems: Sequence[str], output: str | Path | None = None) -> dict[str, Any]:
    """Audit every system and print the findings; with `output`, write audit.json and report.html there.

    Returns the contents of audit.json. Raises InputError if frames cannot be read, and at the start if the
    output folder already holds one of the files.
    """
    if output is None:
        return _audit(systems)[0]
    folder = Path(output).expanduser()
    refuse_existing(folder, [AUDIT, REPORT])
    with all_or_nothing(folder, last=AUDIT) as place:
        result, audited = _audit(systems)
        (place / REPORT).write_text(audit_page(result, audited), encoding="utf-8")
        (place / AUDIT).write_text(json.dumps(result, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    print_line(f"Written to {folder}: report.html and audit.json.")
    return result


def wrong(result: Mapping[str, Any]) -> int:
    """The number of findings that are wrong. result: the contents of audit.json."""
    return sum(len(group["statements"]) for group in result["findings"] if group["severity"] == "wrong")


def _audit(systems: Sequence[str]) -> tuple[dict[str, Any], list[Audited]]:
    """Audit and print. Returns the contents of audit.json and the audited systems."""
    found = read_systems(list(systems))
    audited = [Audited(system) for system in found]
    twice = duplicates(found)
    every = [finding for one in audited for finding in one.findings()]
    few = of_few([one.system for one in audited if isinstance(one.work, TooFew)])
    groups = grouped([*every, *few, *of_precision(found), *of_duplicates(twice, found)])
    _print(audited, groups)
    result = {
        "data": describe(found),
        "findings": [asdict(group) for group in groups],
        "systems": {one.system.name: one.numbers() for one in audited},
        "duplicates": [asdict(one) for one in twice],
        "git_commit": git_commit(),
        "versions": versions(),
    }
    return result, audited


def _print(audited: Sequence[Audited], groups: Sequence[Group]) -> None:
    """Print the factors of all systems, then all findings that are not ok."""
    works = works_of(audited)
    if works:
        _print_factors(works)
        console.print("In parentheses: the standard error, in units of the last digit.")
    for group in groups:
        if group.severity == "ok":
            continue
        console.print(Text(f"{group.severity}: {group.topic}", COLOURS[group.severity]))
        for system, text in group.statements[:MOST]:
            print_line(f"  {system}: {text}")
        if len(group.statements) > MOST:
            console.print(f"  and {len(group.statements) - MOST:,} more (audit.json with output=DIR).")
        print_line(f"  → {group.advice}")
    fine = dict.fromkeys(group.topic for group in groups if group.severity == "ok")
    if fine:
        console.print(Text("ok: ", "green") + Text(", ".join(fine) + "."), soft_wrap=True)


def _print_factors(works: Mapping[str, Work]) -> None:
    labels = labels_of(works)
    left = f" (the {MOST} of {len(works)} systems with the lowest R²)" if len(works) > MOST else ""
    title = f"Labels divided by the derivatives of the energy: 1 is right{left}"
    rows = [
        (name, *(in_brief(work.factors.get(label)) for label in labels), f"{work.r2:.5f}")
        for name, work in worst_of(works, MOST).items()
    ]
    print_table(title, ("system", *map(short_label, labels), "R²"), rows, ("system",))
