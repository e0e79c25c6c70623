"""report.html of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spinpot.core.quantities import ERRORS, MAIN, QUANTITIES
from spinpot.evaluation.residuals import symmetries_of
from spinpot.loss.heisenberg import NAME as HEISENBERG_FIT
from spinpot.models.registry import facts_of, spec_of
from spinpot.report.page import data_sets, error_table, headline, in_words, render, worst_systems
from spinpot.report.panels import Panel
from spinpot.report.tables import Errors, label_scale_in_words


def evaluation_page(
    result: Mapping[str, Any],
    errors: Errors,
    config: Mapping[str, Any],
    parity: Sequence[Panel],
    expected: Sequence[Panel] = (),
) -> str:
    """The page of a checkpoint's errors, which says that it was made now.

    result: what evaluation.json holds. errors: over all frames, with those per element, as ErrorMetric gives
    them. config: the checkpoint's, empty if it has none. parity: empty where nothing is labelled.
    expected: of models that know their errors, these against those that they make.
    """
    spread, trained = result["labels_spread"], trained_terms(config)
    symmetries = symmetries_of(spec_of(result["model"]))
    quantities = [quantity for quantity in ERRORS.values() if result.get(quantity.rmse) is not None]
    return render(
        "evaluation.html",
        result=result,
        elements=in_words(result["model"]["type_map"]),
        tiles=headline(errors, spread, trained),
        table=error_table(
            f"All systems, {result['frames']:,} frames",
            {
                "checkpoint": errors,
                "labels' own spread": spread,
                **({HEISENBERG_FIT: result["heisenberg"]} if "heisenberg" in result else {}),
            },
            trained,
        ),
        label_scale=label_scale_in_words(result.get("label_scale_fm")),
        systems=worst_systems(result["systems"], quantities[0].rmse) if quantities else {},
        quantities=quantities,
        residuals=[(symmetries[name], changes) for name, changes in result["symmetry"].items()],
        main=MAIN,
        parity=parity,
        expected=expected,
        uncertainty=[(QUANTITIES[name], own) for name, own in result.get("uncertainty", {}).items()],
        data=data_sets({"evaluated": result["data"]}, trained),
        model=facts_of(result["model"], config.get("model")),
    )


def trained_terms(config: Mapping[str, Any]) -> list[str] | None:
    """The loss terms a checkpoint was trained with, by their short names; None if its config does not say."""
    if (loss := config.get("loss")) is None:
        return None
    return [
        quantity.name
        for quantity in QUANTITIES.values()
        if any(loss.get(f"{end}_{quantity.pref}") for end in ("start", "limit"))
    ]
