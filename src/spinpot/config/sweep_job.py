"""The name of a sweep's job, from Hydra's records."""

from dataclasses import dataclass
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from spinpot.config.app import in_sweep


@dataclass(frozen=True)
class SweepJob:
    """The sweep's folder, and the settings by which this job differs from others, e.g. ("seed=1",)."""

    folder: Path
    swept: tuple[str, ...]


def sweep_job() -> SweepJob | None:
    """The present job of a multirun; None for a single run."""
    if not HydraConfig.initialized() or not in_sweep():
        return None
    folder = Path(HydraConfig.get().sweep.dir)
    record = folder / "multirun.yaml"
    overrides = HydraConfig.get().overrides.task
    if record.exists():
        # Hydra rewrites the settings that all jobs share: report=False for report=false.
        given = OverridesParser.create().parse_overrides(list(OmegaConf.load(record).hydra.overrides.task))
        fixed = [one for one in given if not one.is_sweep_override()]
        common = [f"{one.get_key_element()}={one.get_value_element_as_str()}" for one in fixed]
        return SweepJob(folder, tuple(one for one in overrides if one not in common))
    chosen = HydraConfig.get().sweeper.get("params") or {}  # Optuna's parameters, which are not recorded
    return SweepJob(folder, tuple(one for one in overrides if one.split("=")[0] in chosen))
