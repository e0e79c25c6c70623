"""Rebuild report.html and the pictures of a finished run from the files of its folder."""

import sys
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from spinpot.config.rerun import read_settings
from spinpot.core.console import print_line
from spinpot.core.errors import InputError
from spinpot.core.files import alone_in, read_object
from spinpot.core.notes import shortened
from spinpot.data.broken import Broken
from spinpot.data.description import fingerprint
from spinpot.data.exclude import Exclude
from spinpot.data.sample import sample_of
from spinpot.data.systems import System, read_systems
from spinpot.evaluation.predictor import Predictor
from spinpot.models.checkpoint import BEST, potential_from, read_checkpoint
from spinpot.report.page import REPORT
from spinpot.runs.run_page import write_run_report

PICTURES = ("parity.png", "learning_curve.png")
NEEDED = (
    *("baselines", "checkpoint", "data", "device", "finished", "git_commit", "loss_terms", "model"),
    *("seconds_per_step", "steps", "train_seconds", "val", "versions"),
)
"""Entries of summary.json that the page needs."""


def make_run_report_again(folder: Path) -> None:
    """Rebuild the page and the pictures of a finished run.

    Raises InputError if the folder holds no finished run, if the checkpoint named in its summary is missing,
    if the validation data are missing or have changed, or while a process trains in the folder.
    """
    summary, config = _finished(folder)
    with alone_in(folder):
        _make(folder, summary, config)


def make_missing_report(folder: Path) -> None:
    """Rebuild missing page or pictures of a finished run, or print why not. The caller locks the folder."""
    logged = (folder / "metrics.csv").exists()
    expected = (REPORT, *PICTURES) if logged else (REPORT, PICTURES[0])
    missing = [name for name in expected if not (folder / name).exists()]
    if not missing:
        return
    try:
        _make(folder, *_finished(folder))
        said = f"Missing and rebuilt: {', '.join(missing)}."
    except InputError as error:
        said = f"Missing: {', '.join(missing)}. {error}"
    print_line(said)


def _finished(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Summary and config of a run. Raises InputError if the run is not finished or its files are damaged."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder. Expected the folder of a finished run.")
    if not (folder / "config.yaml").is_file() and any(folder.glob("*/config.yaml")):
        raise InputError(
            f"{folder} is the folder of a sweep, not of one run. Rebuild the sweep's page with spinpot "
            f"sweep-table {folder}, or give the folder of one of its runs."
        )
    for name in ("config.yaml", "summary.json"):
        if not (folder / name).is_file():
            raise InputError(
                f"{folder} holds no finished run: it has no {name}. Expected a run folder; resume=auto "
                "finishes an interrupted run."
            )
    summary = read_object(folder / "summary.json")
    if lacking := [name for name in NEEDED if name not in summary]:
        _refuse(
            folder,
            f"summary.json is damaged or from another version: it lacks {shortened(lacking)}. Use the "
            "version of spinpot that wrote it, or remove it and let resume=auto write it again.",
        )
    return summary, read_settings(folder / "config.yaml")


def _make(folder: Path, summary: dict[str, Any], config: dict[str, Any]) -> None:
    """Write the page and the pictures. Raises InputError like make_run_report_again."""
    checkpoint, step = folder / BEST.parent / summary["checkpoint"]["file"], summary["checkpoint"]["step"]
    contents = read_checkpoint(checkpoint)
    if contents["global_step"] != step:
        _refuse(
            folder,
            f"{checkpoint.name} is from step {contents['global_step']}, but summary.json names step {step}. "
            "Restore the checkpoint of that step.",
        )
    predictor = Predictor(potential_from(contents, checkpoint))
    systems = _validation_set(folder, summary, config)
    write_run_report(folder, systems, predictor.predict(systems, progress=True), summary, config)


def _validation_set(folder: Path, summary: dict[str, Any], config: dict[str, Any]) -> list[System]:
    """The validation frames shown in the pictures. Raises InputError if they are missing or have changed."""
    data = config["data"]
    folders = data["validation"]
    folders = [folders] if isinstance(folders, str) else list(folders)
    try:
        leave_out = partial(Exclude(data.get("exclude")).of, set_name="validation")
        type_map, broken = tuple(summary["model"]["type_map"]), Broken(data.get("skip_broken", False))
        most = data.get("sample", sys.maxsize)  # older runs drew all frames
        systems = read_systems(folders, type_map, leave_out=leave_out, at_once=most, check=broken.without)
        sampled = sample_of(systems, most, data.get("seed", 0), broken)
    except InputError as error:
        _refuse(folder, f"the validation data cannot be read: {error}")
    then, now = summary["data"]["validation"]["fingerprint"], fingerprint(systems, sampled)
    if then != now:
        _refuse(
            folder,
            f"the validation data ({', '.join(folders)}) have changed since the run: fingerprint "
            f"{then} then, {now} now. Restore the old data, or evaluate the checkpoint on the new data with "
            "spinpot evaluate.",
        )
    return sampled


def _refuse(folder: Path, why: str) -> NoReturn:
    raise InputError(f"{folder}: the page cannot be rebuilt: {why}")
