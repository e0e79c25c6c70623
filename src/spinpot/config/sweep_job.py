"""What a job of a sweep is called, by Hydra's own records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from spinpot.config.app import in_sweep


@dataclass(frozen=True)
class SweepJob:
    """The sweep's folder, and what this job sets differently from others, e.g. ("seed=1",)."""

    folder: Path
    swept: tuple[str, ...]


def sweep_job() -> SweepJob | None:
    """The job of a multirun that this is; None for a single run."""
    if not HydraConfig.initialized() or not in_sweep():
        return None
    folder = Path(HydraConfig.get().sweep.dir)
    record = folder / "multirun.yaml"
    overrides = HydraConfig.get().overrides.task
    if record.exists():
        # What the job says in the sweep's own words is the same for all jobs.
        common = OmegaConf.load(record).hydra.overrides.task
        return SweepJob(folder, tuple(one for one in overrides if one not in common))
    chosen = HydraConfig.get().sweeper.get("params") or {}  # by Optuna, which leaves no record
    return SweepJob(folder, tuple(one for one in overrides if one.split("=")[0] in chosen))
