"""`spinpot train --help`: every setting with its value and the comment from its config file."""

import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any, cast

import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from omegaconf import OmegaConf

from spinpot.config.suggest import CONFIGS, options_of
from spinpot.core.errors import InputError
from spinpot.core.spelling import nearest
from spinpot.runs.runs import flat

KEY = re.compile(r"( *)(\w+):(?: .*?)??(?: +# (.*))?$")
FLAGS = """\
Options, to be used without --help:
  --cfg job --resolve   print the config and exit
  -m KEY=A,B …          sweep: one run for each combination of values (sweep=RECIPE needs no -m)
  --config-dir DIR      add your own configs, in folders by group, e.g. DIR/experiment/mine.yaml"""


def describe(command: str) -> None:
    """Print the settings of a command. KEY=VALUE arguments set values, SECTION arguments select sections."""
    given = get_args_parser().parse_args()
    sections = [word for word in given.overrides if "=" not in word]
    overrides = [word for word in given.overrides if "=" in word]
    if given.config_dir:
        overrides.append(f"hydra.searchpath=[{Path(given.config_dir).absolute()}]")
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        given_groups = [word.partition("=")[0] for word in overrides]
        overrides += [
            f"{group}={one}" for group, one in shown_of(command).items() if group not in given_groups
        ]
        config = cast(
            dict[str, Any], OmegaConf.to_container(compose(command, overrides, return_hydra_config=True))
        )
        choices = config.pop("hydra")["runtime"]["choices"]
        recipes = [group for group in choices if group not in config and not group.startswith("hydra/")]
        lines = _lines(config, sections, meanings(command, choices), recipes)
        if sections:
            print(*lines, sep="\n")
        else:
            hint = f"`spinpot {command} --help SECTION …` shows only these sections"
            hint += f"; {', '.join(recipes)}: what each option is for." if recipes else "."
            print(_head(command), *_choices(choices), "", *lines, "", hint, FLAGS, sep="\n")


def shown_of(command: str) -> dict[str, str]:
    """The options to show for groups that a command requires: all tasks, or one option of each group."""
    if command in ("label", "learn"):
        return {"label": "hamiltonian", "recipe": "default"}
    return {"task": f"[{','.join(options_of('task'))}]"} if command == "analyze" else {}


def _lines(
    config: dict[str, Any], sections: list[str], said: dict[str, str], recipes: list[str]
) -> Iterator[str]:
    """One line per option of each recipe, and per setting of the other sections; else per setting of all.

    recipes: groups whose options set other sections. Raises InputError for an unknown section.
    """
    settings = {f"{key}.": value for key, value in flat(config).items() if "._" not in key}
    known = dict.fromkeys(key[:end] for key in settings for end in range(len(key)) if key[end] == ".")
    for section in sections:
        if section in recipes:
            yield from _options(section)
        elif section not in known:
            raise InputError(f"There is no setting {section}.{nearest(section, [*known, *recipes])}")
    for key, value in settings.items():
        if not sections or key.startswith(tuple(f"{section}." for section in sections)):
            yield f"{f'{key[:-1]}={in_yaml(value)}':44}  {said.get(key[:-1], '')}".rstrip()


def _options(group: str) -> Iterator[str]:
    """One line per option of a group: the first sentence of its file."""
    for option in options_of(group):
        yield f"{f'{group}={option}':44}  {_purpose(CONFIGS / group / f'{option}.yaml')}".rstrip()


def _purpose(file: Path) -> str:
    if not file.is_file():  # an option of the user
        return ""
    head = takewhile(lambda line: line.startswith("#"), file.read_text(encoding="utf-8").splitlines())
    text = " ".join(line.lstrip("# ") for line in head if "@package" not in line)
    return re.split(r"\.(?= |$)|: `spinpot|; `make", text)[0]


def in_yaml(value: Any) -> str:
    """A value as on the command line."""
    return str(yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000)).split("\n")[0]


def meanings(command: str, choices: dict[str, Any]) -> dict[str, str]:
    """The comment of each setting by its dotted key. The command's own files take precedence over others."""
    chosen = [CONFIGS / group / f"{option}.yaml" for group, option in choices.items()]
    chosen.append(CONFIGS / f"{command}.yaml")
    files = [*(file for file in CONFIGS.rglob("*.yaml") if file not in chosen), *chosen]
    return {key: said for file in files if file.is_file() for key, said in comments(file) if said}


def comments(file: Path) -> Iterator[tuple[str, str]]:
    """The settings of a shipped config file: (dotted key in the whole config, comment)."""
    text = file.read_text(encoding="utf-8")
    group = file.parent.relative_to(CONFIGS)
    path = [] if "@package _global_" in text else [(-1, part) for part in group.parts]
    for line in text.splitlines():
        if found := KEY.match(line):
            indent = len(found[1])
            path = [part for part in path if part[0] < indent]
            path.append((indent, found[2]))
            yield ".".join(name for _, name in path), found[3] or ""


def _head(command: str) -> str:
    text = (CONFIGS / f"{command}.yaml").read_text(encoding="utf-8")
    return re.sub("^# ?", "", text.partition("\ndefaults:")[0], flags=re.MULTILINE) + "\n"


def _choices(choices: dict[str, Any]) -> Iterator[str]:
    """The options of each of spinpot's groups, the chosen one first."""
    for group, chosen in choices.items():
        options = [option for option in options_of(group) if option != chosen]
        if not group.startswith("hydra/") and options and not isinstance(chosen, list):
            yield f"{f'{group}={chosen}':24}or {', '.join(options)}".replace("=None", "=null")
