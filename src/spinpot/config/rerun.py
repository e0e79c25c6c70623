"""A run's config as a file from which the run can be repeated."""

from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf, open_dict

from spinpot.core.console import print_line
from spinpot.core.errors import InputError

HEADER = """\
# All settings of a run. To repeat it in a new folder:
#   spinpot train --config-dir FOLDER_OF_THIS_FILE --config-name config
defaults:
- _self_
- override hydra/job_logging: stdout
- override hydra/hydra_logging: none
hydra:
  run:
    dir: runs/${now:%Y-%m-%d_%H-%M-%S}
  output_subdir: null
  job:
    chdir: false
  callbacks:
    sweep_page:
      _target_: spinpot.cli.configured.SweepPage
"""
"""The settings for Hydra in configs/train.yaml; the run's own settings follow."""

NO_LONGER_NEEDED = ("data.cache_gb", "data.cache_disk_gb")  # settings in configs of earlier versions


def without_old(config: DictConfig) -> DictConfig:
    """The config without these settings; prints those it removes."""
    found = [key for key in NO_LONGER_NEEDED if OmegaConf.select(config, key) is not None]
    with open_dict(config):
        for section, name in (key.split(".") for key in found):
            config[section].pop(name)
    if found:
        print_line(f"No longer needed, so ignored: {', '.join(found)}.")
    return config


def runnable(config: DictConfig) -> str:
    """The resolved config as YAML, with the header of a main config of Hydra."""
    return HEADER + OmegaConf.to_yaml(config, resolve=True)


def read_settings(file: Path) -> dict[str, Any]:
    """The settings in a run's config.yaml. Raises InputError if it is empty or damaged."""
    try:
        settings = settings_of(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        raise InputError(f"{file} is damaged ({said}). Expected the settings of a run.") from error
    if not settings:
        raise InputError(f"{file} is empty. Expected the settings of a run.")
    return settings


def settings_of(text: str) -> dict[str, Any]:
    """The settings in the text of such a file, by section. Raises ValueError for any other text."""
    settings = OmegaConf.to_container(OmegaConf.create(text))
    if not isinstance(settings, dict):
        raise ValueError("Expected the settings of a run.")
    return {str(key): value for key, value in settings.items() if key not in ("defaults", "hydra")}
