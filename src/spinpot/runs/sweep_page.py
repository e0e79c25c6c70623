"""report.html of a sweep."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

import numpy as np

from spinpot.core.quantities import ERRORS, FORCE, FORCE_MAG, MAIN, PARTS, Quantity
from spinpot.report.page import REPORT, in_words, render
from spinpot.report.panels import Panel, panel
from spinpot.report.tables import in_loss
from spinpot.runs.runs import Run, short
from spinpot.runs.sweep_plots import rank_colours, trade_off_figure, validation_curves


def sweep_page(name: str, runs: Sequence[Run], swept: Sequence[str]) -> str:
    """The page of a sweep. runs: best first, the unfinished last. swept: the keys that differ."""
    colours = rank_colours(runs)
    finished = [run for run in runs if run.summary]
    quantities = [q for q in ERRORS.values() if any(run.errors.get(q.rmse) is not None for run in finished)]
    shown = [column for q in quantities for column in (q.name, *_of_several_elements(q, finished))]
    metrics = {run.name: columns for run in runs if (columns := run.metrics())}
    known = [quantity.name for quantity in MAIN]
    trained = {term for run in finished for term in run.summary.get("loss_terms", known)}
    common = {key: value for key, value in runs[0].settings.items() if key not in swept}
    return render(
        "sweep.html",
        name=name,
        swept=[key.rpartition(".") for key in swept],
        title=_title(swept),
        finished=len(finished),
        failed=sum(run.state == "failed" for run in runs),
        rows=[_row(run, swept, shown, colours[run.name], metrics) for run in runs],
        quantities=[_head(quantity, trained) for quantity in shown],
        lowest=_lowest(finished, quantities),
        validation_sets=_validation_sets(finished),
        trade_off=_trade_off(finished),
        curves=_curves(metrics, colours),
        common="\n".join(f"{key}: {value}" for key, value in common.items()),
    )


def _of_several_elements(quantity: Quantity, finished: Sequence[Run]) -> list[str]:
    """`fm_transverse/Ni`, … for the parts of the magnetic force, unless one element says it all."""
    head = f"{quantity.rmse}/"
    names = (name for run in finished for name in run.errors if name.startswith(head))
    found = [name.removeprefix("rmse_") for name in dict.fromkeys(names)]
    return found if quantity in PARTS and len(found) > 1 else []


def _head(quantity: str, trained: Collection[str]) -> tuple[str, str, bool]:
    """Label, unit and whether the loss had it; of one element's error too."""
    whole, _, element = quantity.partition("/")
    own = ERRORS[whole]
    return f"{own.words} {element}".strip(), own.meV, in_loss(whole, trained)


def _title(swept: Sequence[str]) -> str:
    names = [key.rpartition(".")[2] for key in swept]
    if len(names) > 3:
        return f"Sweep over {len(names)} settings"
    return f"Sweep over {in_words(names)}" if names else "Runs with equal settings"


def _row(
    run: Run,
    swept: Sequence[str],
    quantities: Sequence[str],
    colour: str,
    metrics: Mapping[str, dict[str, np.ndarray]],
) -> dict[str, Any]:
    steps: Sequence[float] | np.ndarray = metrics[run.name]["step"] if run.name in metrics else ()
    return {
        "name": run.name,
        "href": f"{quote(run.name)}/{REPORT}" if (run.folder / REPORT).exists() else None,
        "colour": colour,
        "state": run.state,
        "failure": run.failure,
        "last_step": int(steps[-1]) if len(steps) else 0,
        "max_steps": run.settings.get("trainer.max_steps"),
        "settings": [short(run.settings.get(key)) for key in swept],
        "score": run.errors.get("score"),
        "errors": [run.errors.get(f"rmse_{quantity}") for quantity in quantities],
        "seconds": run.summary.get("train_seconds"),
    }


def _lowest(finished: Sequence[Run], quantities: Sequence[Quantity]) -> list[dict[str, Any]]:
    """The best run by its score, and by each of the main errors."""
    found = []
    heads = {"score": ("score", "")} | {q.rmse: (q.title, q.meV) for q in MAIN if q in quantities}
    for name, (label, unit) in heads.items():
        errors = {run.name: error for run in finished if (error := run.errors.get(name)) is not None}
        if errors:
            best = min(errors, key=errors.__getitem__)
            found.append({"label": label, "unit": unit, "value": errors[best], "run": best})
    return found


def _validation_sets(finished: Sequence[Run]) -> list[str]:
    """The fingerprints of the frames the errors are of; one, if the runs can be compared."""
    sets = [run.summary.get("data", {}).get("validation", {}) for run in finished]
    return sorted({found["fingerprint"] for found in sets if found})


def _trade_off(finished: Sequence[Run]) -> Panel | None:
    errors = [(run.errors.get(FORCE.rmse), run.errors.get(FORCE_MAG.rmse)) for run in finished]
    if not any(fr is not None and fm is not None for fr, fm in errors):
        return None
    alt = "Each run’s error of the magnetic force against that of the force, coloured by that of the energy."
    return panel("Force against magnetic force", "colour: energy", alt, partial(trade_off_figure, finished))


def _has_a_curve(columns: Mapping[str, np.ndarray], column: str) -> bool:
    """Whether a value was written at a step after the first; those of step 0 have no place on a log axis."""
    return column in columns and bool(np.any(np.isfinite(columns[column]) & (columns["step"] > 0)))


def _curves(metrics: Mapping[str, dict[str, np.ndarray]], colours: Mapping[str, str]) -> list[Panel]:
    panels = []
    columns_of = {"score": "val/score"} | {name: f"val/{q.rmse}" for name, q in ERRORS.items()}
    for quantity, column in columns_of.items():
        if not any(_has_a_curve(columns, column) for columns in metrics.values()):
            continue
        title = "score" if quantity == "score" else ERRORS[quantity].title
        alt = f"The {title} on the validation set against the training step, one line per run."
        panels.append(panel(title, "", alt, partial(validation_curves, metrics, quantity, colours)))
    return panels
