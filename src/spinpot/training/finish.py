"""The end of a run: the best checkpoint's errors, printed and written."""

import json
import math
from datetime import datetime
from typing import Any

from spinpot.core.console import print_line
from spinpot.core.errors import InputError
from spinpot.core.files import write_atomically
from spinpot.core.provenance import device_name, git_commit, versions
from spinpot.loss.label_scale import label_scale_of
from spinpot.loss.score import verdict
from spinpot.models.checkpoint import checkpoint_file, potential_from, read_checkpoint
from spinpot.report.page import REPORT
from spinpot.report.tables import print_errors, print_label_scale
from spinpot.runs.run_page import SETS, beside_baselines, write_run_report
from spinpot.training.checks import no_labels
from spinpot.training.outcome import errors_of, outcomes
from spinpot.training.stages import Checked, Ready


def finish(checked: Checked, run: Ready) -> dict[str, Any]:
    """The best checkpoint's errors beside the baselines, printed and written: summary, pictures and page."""
    folder, trainer, timer, graphs = checked.folder, checked.trainer, checked.timer, checked.graphs
    data, baseline, trained = run.data, run.baseline, checked.loss.active
    best = checkpoint_file(folder)
    checkpoint = read_checkpoint(best)
    potential = potential_from(checkpoint, best)
    scale = label_scale_of(checkpoint)
    by_element = scale.by_element(data.type_map) if scale else None
    found = outcomes(potential, data, baseline.fit, scale().detach() if scale else None)
    for name, broken in data.broken.items():
        if broken.frames:
            print_line(f"data.skip_broken left {len(broken.frames)} frames of data.{name} out.")
    for short, outcome in found.items():
        columns = beside_baselines(outcome.errors, outcome.baselines)
        print_errors(f"Errors on the {SETS[short]} set ({outcome.frames} frames)", columns, trained)
    print_line(baseline.words)
    print_label_scale(by_element)
    summary = {
        "steps": trainer.global_step,
        "seconds_per_step": timer.seconds_per_step,
        "train_seconds": timer.train_seconds,
        "finished": datetime.now().astimezone().isoformat(timespec="seconds"),
        "device": device_name(trainer.strategy.root_device, trainer.world_size),
        **({"evaluation": graphs.evaluation} if graphs.evaluation else {}),
        **({"cuda_graph": graphs.outcome} if graphs.outcome else {}),
        "checkpoint": {"file": best.name, "step": checkpoint["global_step"]},
        "loss_terms": trained,
        **errors_of(found, run.module.score),
        "heisenberg_fit": baseline.words,
        **({"label_scale_fm": by_element} if by_element else {}),
        "model": potential.describe(),
        **potential.approximation(data.samples["validation"].batch([0])),
        "data": data.described,
        "git_commit": git_commit(),
        "versions": versions(),
    }
    validation = data.samples["validation"].systems, found["val"].predictions
    drawn = checked.plain.get("report", True)
    try:
        if drawn:
            write_run_report(folder, *validation, summary, checked.plain)
    finally:
        # Last, since it says that the run is finished; but the numbers must not be lost with a picture.
        write_atomically(folder / "summary.json", json.dumps(summary, indent=2) + "\n")
    if useless := verdict(summary["val"]["score"], summary["score_terms"]):
        print_line(useless)
    written = folder / (REPORT if drawn else "summary.json")
    print_line(f"Written: {written}")
    return summary


def optimized_metric(name: str, summary: dict[str, Any]) -> float | None:
    """What a sweep minimises, from a run's summary: infinite where it is not a finite number.

    None on processes that have no summary. Raises InputError if the validation data have no labels for it.
    """
    if not summary:
        return None
    value = summary["val"].get(name)
    if value is not None:
        return float(value)
    spread = summary["baselines"]["val"]["labels_spread"]
    if name != "score" and spread.get(name) is None:
        raise InputError(no_labels(f"optimized_metric={name}", name.partition("_")[2], "validation"))
    return math.inf
