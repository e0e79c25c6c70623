"""Saves a workspace to a wandb project: one page with the charts of spinpot's runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spinpot.core.errors import InputError, require_package
from spinpot.core.quantities import MAIN, QUANTITIES, WHOLE, Quantity
from spinpot.models.registry import BUILT_IN, model_class

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2 import ParallelCoordinatesPlot
    from wandb_workspaces.workspaces import Section, Workspace

NAME = "spinpot"
SWEPT = (
    "scheduler.start_lr",
    *(f"loss.{end}_{quantity.pref}" for quantity in MAIN for end in ("start", "limit")),
    "seed",
)
"""Axes of the comparison of a sweep's runs, in addition to the settings of the model."""
COMPARED = ("best/val/score", *(f"best/val/{quantity.rmse}" for quantity in MAIN), "seconds_per_step")


def save_dashboard(entity: str | None, project: str) -> str:
    """Save the workspace and return its URL.

    Raises InputError if the package or an account is missing, or saving fails.
    """
    require_package("The dashboard", "wandb-workspaces", "wandb")
    import wandb

    wandb.setup(wandb.Settings(silent=True))
    try:
        if wandb.login(prompt=False, verify=False):
            owner = entity or wandb.Api().default_entity
            return str(dashboard(str(owner), project).save().url)
    except Exception as error:  # errors of servers and networks have no common class
        raise InputError(
            f"The dashboard could not be saved to the wandb project {project}: {str(error).rstrip('.')}. "
            "Nothing was changed. With --dry-run it is printed instead."
        ) from error
    raise InputError(
        "There is no wandb account here. Log in with `wandb login`, or print the dashboard with --dry-run."
    )


def dashboard(entity: str, project: str) -> Workspace:
    """Build the workspace without saving it. Raises InputError without the package wandb-workspaces."""
    require_package("The dashboard", "wandb-workspaces", "wandb")
    from wandb_workspaces import workspaces as ws

    settings = ws.WorkspaceSettings(x_axis="step", max_runs=20)
    return ws.Workspace(entity=entity, project=project, name=NAME, sections=_sections(), settings=settings)


def specification(workspace: Workspace) -> str:
    """The whole workspace as JSON text."""
    from pydantic import TypeAdapter
    from wandb_workspaces import workspaces as ws

    return TypeAdapter(ws.Workspace).dump_json(workspace, indent=2, exclude_none=True).decode()


def _sections() -> list[Section]:
    import wandb_workspaces.reports.v2 as wr
    from wandb_workspaces import workspaces as ws

    keys = {"predictions and references": "pictures/parity", "errors": "pictures/error_histogram"}
    pictures = [wr.MediaBrowser(title=title, media_keys=[key], num_columns=1) for title, key in keys.items()]
    panels = {
        "errors": [
            _lines("score (rmse over the labels' own spread)", ["val/score"], log_y=True),
            *(_errors(quantity) for quantity in QUANTITIES.values()),
            _lines("loss", ["train/loss", "val/loss"], log_y=True),
        ],
        "prefactors and learning rate": [
            _lines("prefactors", [quantity.pref for quantity in WHOLE], log_y=True),
            _lines("learning rate", ["lr"], log_y=True),
        ],
        "parity": pictures,
        "throughput": [
            _lines("seconds per step", ["throughput/seconds_per_step"]),
            _lines("frames per second", ["throughput/frames_per_second"]),
        ],
        "sweep comparison": [_comparison(kind) for kind in BUILT_IN],
    }
    by_step = ws.SectionPanelSettings(x_axis="step")
    return [
        ws.Section(name=name, panels=made, is_open=True, panel_settings=by_step)
        for name, made in panels.items()
    ]


def _errors(quantity: Quantity) -> Any:
    logged = [f"{part}/{quantity.rmse}" for part in ("train", "val")]
    return _lines(f"{quantity.title} rmse ({quantity.unit})", logged, log_y=True)


def _comparison(kind: str) -> ParallelCoordinatesPlot:
    """A comparison of the runs of one kind of model; runs of other kinds lack some of its settings."""
    import wandb_workspaces.reports.v2 as wr

    swept = (*SWEPT, *(f"model.{key}" for key in model_class(kind).spec_type.compared))
    column = wr.ParallelCoordinatesPlotColumn
    axes = [column(metric=wr.Config(key), display_name=key) for key in swept]
    axes += [column(metric=wr.SummaryMetric(key), display_name=key) for key in COMPARED]
    return wr.ParallelCoordinatesPlot(title=f"settings and best errors: {kind}", columns=axes)


def _lines(title: str, metrics: list[Any], **how: Any) -> Any:
    import wandb_workspaces.reports.v2 as wr

    return wr.LinePlot(title=title, x="step", y=metrics, **how)
