"""Explains Hydra's errors, and suggests the nearest valid key or option."""

import re
from collections.abc import Sequence
from pathlib import Path

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from spinpot.config.targets import find_target, parameters
from spinpot.core.errors import InputError
from spinpot.core.spelling import dotted_keys, nearest

CONFIGS = (Path(__file__).parents[1] / "configs").resolve()
"""In a checkout, a link to the top-level configs; in an installed package, a copy."""

UNWRAPPED = ("experiment", "sweep", "debug")
"""Groups whose options change the whole config instead of a section of their name."""

PLUGINS = ("hydra/launcher", "hydra/sweeper")
PLUGINS_HINT = " More of them come with: pip install -c constraints.txt -e '.[sweeps]'."

PATHS = {
    "audit": ("systems={}",),
    "evaluate": ("checkpoint={}", "systems={}"),
    "analyze": ("checkpoint={}", "structure={}"),
    "train": ("data=npy data.train={}",),
}
"""How the arguments of a command give a path."""

UNKNOWN_KEY = re.compile(
    r"Could not override '([^']+)'|Key '([^']+)' is not in struct|Could not delete from config\. '([^']+)'"
)
UNKNOWN_OPTION = re.compile(r"Could not (?:find|load) '([^']+)'")
OPTIONS = re.compile(r"Available options in '[^']+':\n((?:\t.+\n?)+)")


def explain_composition(error: BaseException, arguments: Sequence[str], config_name: str) -> str:
    """A message on the error in the command line or a config file, with a suggestion."""
    text = str(error).strip()
    place = re.search(r"In '([^']+)': ", text)
    where = f" (in {place[1]})" if place and place[1] not in (config_name, "hydra/config") else ""
    unknown_key = UNKNOWN_KEY.search(text)
    if unknown_key:
        key = next(filter(None, unknown_key.groups()))
        if (CONFIGS / key).is_dir():
            return (
                f"{key}: this config holds the settings themselves, so that you cannot choose an option of "
                f"the group. Change single settings, {key}.KEY=VALUE, or start from the default config."
            )
        config = compose_without(key, arguments, config_name)
        if known_to_target(key, config):
            return f"{key} is not in the config yet: write +{key}=VALUE to add it."
        return f"Unknown setting {key}{where}.{setting_of(key) or nearest(key, dotted_keys(config))}"
    unknown_option = UNKNOWN_OPTION.search(text)
    if unknown_option:
        group, _, option = unknown_option[1].rpartition("/")
        listed = OPTIONS.search(text)
        choices = listed[1].split() if listed else options_of(group)
        if not any(option in argument for argument in arguments):
            where = " (requested by the defaults of a config file)"
        if choices:
            hint = nearest(option, choices) + PLUGINS_HINT * (group in PLUGINS)
            return f"There is no {group}={option}{where}; choose from {', '.join(choices)}.{hint}"
    if isinstance(error, OverrideParseException):
        return (
            f"Cannot read the argument {error.override}. Expected key=value, group=option or +key=value; "
            f"quote lists and blanks, as in 'data.train=[a,b]'.{_path_hint(error.override, config_name)}"
        )
    if isinstance(error, yaml.YAMLError):
        return f"A config file is not YAML: {' '.join(text.split())}."
    return " ".join(text.split("\n\nConfig search path")[0].split())


def _path_hint(argument: str, config_name: str) -> str:
    """How to give a path that was given without its key; empty if the argument is no path."""
    if "=" in argument or config_name not in PATHS:
        return ""
    return f" If it is a path, write {' or '.join(PATHS[config_name]).format(argument, argument)}."


def compose_without(unknown: str, arguments: Sequence[str], config_name: str) -> DictConfig:
    """The config that the command line composes without the unknown key, or without any argument."""
    settings = [argument for argument in arguments if not argument.startswith("-")]
    overrides = [setting for setting in settings if setting.split("=")[0].lstrip("+~") != unknown]
    for attempt in (overrides, []):
        try:
            GlobalHydra.instance().clear()
            with initialize_config_dir(str(CONFIGS), version_base="1.3"):
                return compose(config_name, overrides=attempt)
        except (HydraException, OmegaConfBaseException):
            continue
    return OmegaConf.create({})


def known_to_target(key: str, config: DictConfig) -> bool:
    """Whether a key that the config lacks is an argument of its section's _target_."""
    path, _, name = key.rpartition(".")
    section = OmegaConf.select(config, path) if path else None
    if not isinstance(section, DictConfig) or "_target_" not in section:
        return False
    try:
        return name in (parameters(find_target(path, section["_target_"])) or {})
    except InputError:
        return False


def options_of(group: str) -> list[str]:
    """The options of a config group, including those in the user's config folders."""
    if GlobalHydra.instance().is_initialized():
        loader = GlobalHydra.instance().config_loader()
        return list(loader.get_group_options(group, results_filter=ObjectType.CONFIG))
    return sorted(file.stem for file in (CONFIGS / group).glob("*.yaml"))


def setting_of(key: str) -> str:
    """The options of a key's group that have the key: ' It is a setting of model=spin.'; else empty."""
    group = key.partition(".")[0]
    files = {option: CONFIGS / group / f"{option}.yaml" for option in options_of(group)}
    found = [option for option, file in files.items() if file.is_file() and _holds(file, group, key)]
    return f" It is a setting of {group}={'|'.join(found)}." if found else ""


def file_with(key: str) -> str:
    """' (in FILE)' if a key comes from one of the chosen config files; else empty."""
    if not HydraConfig.initialized():
        return ""
    hydra = HydraConfig.get()
    chosen = [("", hydra.job.config_name), *hydra.runtime.choices.items()]
    for group, option in sorted(chosen, key=lambda choice: choice[0] not in UNWRAPPED):
        for source in hydra.runtime.config_sources:
            file = Path(source.path) / group / f"{option}.yaml"
            if source.schema == "file" and file.is_file() and _holds(file, group, key):
                return f" (in {file})"
    return ""


def _holds(file: Path, group: str, key: str) -> bool:
    """Whether a config file sets a key, as part of its group's section or of the whole config."""
    contents = OmegaConf.load(file)
    own = key.removeprefix(group.replace("/", ".") + ".")
    return isinstance(contents, DictConfig) and not {key, own}.isdisjoint(dotted_keys(contents))
