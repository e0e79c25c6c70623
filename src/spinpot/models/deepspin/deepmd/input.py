"""Converts deepmd-kit's input (.json, .yaml) to a Hydra experiment. A comment lists every key that is not
carried over, with the reason.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from rich.table import Column, Table

from spinpot.core.console import console, print_line
from spinpot.core.errors import InputError, require
from spinpot.core.files import write_atomically
from spinpot.models.deepspin.deepmd import input_training, sections
from spinpot.models.deepspin.deepmd.keys import InputKeys, check_keys
from spinpot.models.deepspin.sizes import one_per_type
from spinpot.models.deepspin.spec import DeepSpinSettings
from spinpot.models.elements import magnetic_types
from spinpot.models.spec import plain

Experiment = dict[str, Any]

YAML = (".yaml", ".yml")
_TRAINING = re.compile(r"""(?:^|[{,])\s*["']?training["']?\s*:""", re.MULTILINE)


def is_input(path: Path) -> bool:
    """Whether a file is an input of deepmd-kit: any .json, and a .yaml with a section `training`.

    Other .yaml files may be models of deepmd-kit.
    """
    if path.suffix not in YAML:
        return path.suffix == ".json"
    return bool(_TRAINING.search(path.read_text(encoding="utf-8", errors="replace")))


def write_experiment(source: Path, target: Path) -> None:
    """Write an input as an experiment, and print the keys that were not carried over.

    Raises InputError for an input that is damaged, needs features that spinpot lacks, or has a key unknown
    to deepmd-kit.
    """
    keys = InputKeys(read_input(source))
    try:
        experiment = experiment_of(keys, source)
        check_keys(keys.contents, str(source))
    except (TypeError, ValueError, AttributeError, LookupError, NotImplementedError) as error:
        where = f" near {keys.last}" if keys.last else " in the section model"
        raise InputError(
            f"{source}: a value of the wrong kind{where} ({error}). Expected what deepmd-kit takes there; "
            "correct it."
        ) from error
    left = keys.left()
    lines = ["# @package _global_", f"# From deepmd-kit's {source.name}."]
    if left:
        lines += ["# Not carried over:", *(f"#   {key}: {reason}" for key, reason in left.items())]
    text = yaml.safe_dump(experiment, sort_keys=False, default_flow_style=None, width=110, allow_unicode=True)
    write_atomically(target, "\n".join(lines) + "\n" + text)
    _tell(left, target)


def read_input(path: Path) -> dict[str, Any]:
    """The contents of an input. Raises InputError for any other file."""
    kind, load = ("YAML", yaml.safe_load) if path.suffix in YAML else ("JSON", json.loads)
    try:
        contents = load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        raise InputError(f"{path}: not readable as {kind}: {said}. Correct the file.") from error
    for section in ("model", "training"):
        if not isinstance(contents, dict) or not isinstance(contents.get(section), dict):
            raise InputError(f"{path}: not an input of deepmd-kit: it has no section {section!r}.")
    return cast(dict[str, Any], contents)


def experiment_of(keys: InputKeys, source: Path) -> Experiment:
    """The contents of the experiment's YAML file."""
    model = model_section(keys, source)
    data = input_training.data_section(keys, source)
    run = input_training.training(keys)
    steps = run["trainer"]["max_steps"]
    scheduler, schedule = input_training.learning_rate(keys, steps)
    optimizer_name, optimizer_settings = input_training.optimizer(keys)
    overrides: list[dict[str, Any]] = [
        {"override /data": "npy"},
        {"override /scheduler": scheduler},
        {"override /optimizer": optimizer_name},
        *run.pop("defaults"),
    ]
    return {
        "defaults": overrides,
        **run,
        "data": data,
        "model": model,
        "loss": input_training.loss_section(keys, source),
        "scheduler": schedule,
        "optimizer": optimizer_settings,
    }


def model_section(keys: InputKeys, source: Path) -> dict[str, Any]:
    """The section model; neither program's settings double the types."""
    section: Mapping[str, Any] = keys.contents["model"]
    type_map, settings = sections.read_sections(section, str(source))
    _check(type_map, settings, source)
    keys.carry("model.type_map", "model.pair_exclude_types", "model.spin", "model.descriptor.type")
    keys.carry(*(f"model.descriptor.{name}" for name in (*sections.DESCRIPTOR_DEFAULTS, "n_axis_neuron")))
    fitting_net = (*sections.FITTING_DEFAULTS, *sections.ABSENT, "type", "n_neuron")
    keys.carry(*(f"model.fitting_net.{name}" for name in fitting_net))
    kind = section.get("type", "standard")
    require(kind in ("standard", "spin_ener"), f"{source}: model.type", kind, "standard, as spinpot has it.")
    keys.carry("model.type")
    sel = (section.get("descriptor") or {}).get("sel", "auto")
    if isinstance(sel, str) and sel not in ("auto", "auto:1.1"):
        keys.leave("model.descriptor.sel", f"{sel}: `auto` here is 1.1 times the most neighbours, rounded up")
    return {
        "descriptor": plain(vars(settings.descriptor)),
        "fitting_net": plain(vars(settings.fitting_net)),
        "spin": plain(vars(settings.spin)),
    }


def _check(names: tuple[str, ...], settings: DeepSpinSettings, source: Path) -> None:
    """Raise InputError for a model that could not be built for any data."""
    once = all(isinstance(name, str) for name in names) and len(set(names)) == len(names)
    require(once, f"{source}: model.type_map", list(names), "a list of elements, each once, e.g. [Ni, O].")
    settings.check()
    settings.spec(names, magnetic_types(settings.spin.use_spin, names, []))
    if not isinstance(settings.descriptor.sel, str):
        one_per_type(settings.descriptor.sel, len(names))


def _tell(left: Mapping[str, str], target: Path) -> None:
    if left:
        table = Table(Column("key", no_wrap=True), "why", title="Not carried over", title_justify="left")
        for key, reason in left.items():
            table.add_row(key, reason)
        console.print(table)
    print_line(f"Written: {target}")
    folder = target.absolute().parent
    if folder.name == "experiment":
        command = f"spinpot train --config-dir {folder.parent} experiment={target.stem}"
    else:
        command = (
            f"put it into DIR/experiment/, then: spinpot train --config-dir DIR experiment={target.stem}"
        )
    print_line(f"To train: {command}")
