"""Hydra's errors in our words, with the nearest valid key or option."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

CONFIGS = Path(__file__).parents[3] / "configs"


def explain_override(error: BaseException, arguments: Sequence[str], config_name: str) -> str:
    """What is wrong with the command line or a config file, and what was probably meant."""
    text = str(error).strip()
    unknown_key = re.search(r"Could not override '([^']+)'|Key '([^']+)' is not in struct", text)
    if unknown_key:
        key = unknown_key[1] or unknown_key[2]
        return f"Unknown setting {key}.{nearest(key, valid_keys(key, arguments, config_name))}"
    unknown_option = re.search(
        r"Could not find '([^']+)'\s*\n\s*Available options in '([^']+)':\s*(.*)", text, re.S
    )
    if unknown_option:
        option = unknown_option[1].split("/")[-1]
        choices = unknown_option[3].split()
        return (
            f"There is no {unknown_option[2]}={option}; choose from {', '.join(choices)}."
            f"{nearest(option, choices)}"
        )
    return text


def nearest(word: str, choices: Iterable[str]) -> str:
    """' Did you mean …?' or nothing; dotted keys are compared whole, then by their last part."""
    choices = list(choices)
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.7)
    if not close:
        last = word.rsplit(".", 1)[-1]
        by_last = {choice.rsplit(".", 1)[-1]: choice for choice in choices}
        close = [by_last[name] for name in difflib.get_close_matches(last, by_last, n=1, cutoff=0.6)]
    return f" Did you mean {close[0]}?" if close else ""


def valid_keys(unknown: str, arguments: Sequence[str], config_name: str) -> list[str]:
    """Every key of the config that the command line composes without the unknown one."""
    overrides = [
        argument
        for argument in arguments
        if not argument.startswith("-") and argument.split("=")[0].lstrip("+~") != unknown
    ]
    for attempt in (overrides, []):
        try:
            GlobalHydra.instance().clear()
            with initialize_config_dir(str(CONFIGS), version_base="1.3"):
                return list(dotted_keys(compose(config_name, overrides=attempt)))
        except (HydraException, OmegaConfBaseException):
            continue
    return []


def dotted_keys(config: DictConfig, prefix: str = "") -> Iterable[str]:
    """Every key of a config, sections included, as `model.spin.virtual_len`."""
    for key in config:
        name = prefix + str(key)
        yield name
        if OmegaConf.is_missing(config, key) or OmegaConf.is_interpolation(config, str(key)):
            continue
        if isinstance(config[key], DictConfig):
            yield from dotted_keys(config[key], f"{name}.")
