"""Lists the keys of a config, finds keys without a value, and suggests the nearest key."""

import difflib
from collections.abc import Iterable, Iterator

from omegaconf import DictConfig, OmegaConf


def nearest(word: str, choices: Iterable[str]) -> str:
    """' Did you mean …?' or an empty text.

    For dotted keys, the search order is: keys of the same section, similar paths, the same name elsewhere.
    """
    path, _, name = word.rpartition(".")
    split = [choice.rpartition(".") for choice in choices]
    beside = {last: f"{first}{dot}{last}" for first, dot, last in split if first == path}
    elsewhere = {f"{first}{dot}{last}": last for first, dot, last in split if first != path}
    names = {last: key for key, last in reversed(elsewhere.items())}
    for close, meant in (
        (difflib.get_close_matches(name, beside, n=1, cutoff=0.6), beside),
        (difflib.get_close_matches(word, elsewhere, n=1, cutoff=0.85), None),
        (difflib.get_close_matches(name, names, n=1, cutoff=0.75), names),
    ):
        if close:
            return f" Did you mean {meant[close[0]] if meant else close[0]}?"
    return ""


def dotted_keys(config: DictConfig, prefix: str = "", without: str = "") -> Iterator[str]:
    """Every key of a config except `without`, including sections, as `data.batch_size`."""
    for key in config:
        name = prefix + str(key)
        if name == without:
            continue
        yield name
        if OmegaConf.is_missing(config, key) or OmegaConf.is_interpolation(config, str(key)):
            continue
        if isinstance(config[key], DictConfig):
            yield from dotted_keys(config[key], f"{name}.", without)


def missing_keys(config: DictConfig) -> list[str]:
    """The keys whose value is `???`. OmegaConf's own function stops at references to unknown keys."""
    return [key for key in dotted_keys(config) if OmegaConf.is_missing(*_parent(config, key))]


def _parent(config: DictConfig, key: str) -> tuple[DictConfig, str]:
    path, _, name = key.rpartition(".")
    return (OmegaConf.select(config, path) if path else config), name
