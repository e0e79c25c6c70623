"""The shipped configs, found in their folder, so that none is missed."""

from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from support.cli import PROJECT

CONFIGS = PROJECT / "configs"
OTHER_COMMANDS = ("task", "label", "recipe")
"""Groups of analyze.yaml and label.yaml."""


def options() -> list[tuple[str, str]]:
    """(group, option) of every file below a config group of train.yaml."""
    files = [file for file in sorted(CONFIGS.rglob("*.yaml")) if file.parent.name not in OTHER_COMMANDS]
    return [(str(file.parent.relative_to(CONFIGS)), file.stem) for file in files if file.parent != CONFIGS]


def options_of(group: str) -> list[str]:
    """The options of a group."""
    return sorted(file.stem for file in (CONFIGS / group).glob("*.yaml"))


def choosing(group: str, option: str) -> list[str]:
    """The overrides that choose an option."""
    # A group within a group is chosen by the file of the outer one.
    needs_plus = group not in _default_groups() and "/" not in group
    chosen = [f"{'+' * needs_plus}{group}={option}"]
    if (group, option) == ("data", "npy"):
        chosen += ["data.train=[a]", "data.validation=[b]"]
    return chosen


def composed(*overrides: str, name: str = "train") -> DictConfig:
    """A config as the script gets it."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose(name, overrides=list(overrides), return_hydra_config=True)
    OmegaConf.set_struct(config, False)
    del config["hydra"]
    OmegaConf.set_struct(config, True)
    return config


def _default_groups() -> set[str]:
    defaults = OmegaConf.load(Path(CONFIGS / "train.yaml")).defaults
    return {str(key) for entry in defaults if isinstance(entry, DictConfig) for key in entry}
