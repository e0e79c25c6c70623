"""The page of all settings, from the files in configs/ and their comments."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import getitem
from pathlib import Path

import yaml

from spinpot.cli.describe import comments, in_yaml
from spinpot.config.suggest import CONFIGS

COMMANDS = {
    "train": [
        "data",
        "model",
        "model/exchange",
        "loss",
        "optimizer",
        "scheduler",
        "trainer",
        "callbacks",
        "logger",
        "paths",
        "experiment",
        "sweep",
        "debug",
    ],
    "evaluate": [],
    "audit": [],
    "analyze": ["task"],
    "label": ["label", "recipe"],
    "learn": [],
}
"""The config groups of each command, in the order of the page."""
FIRST = ("npy", "NiO", "default", "spin", "none", "adam", "exp", "csv")
"""Options that stand first in their group; the others are compared with the first."""
UNIT = r"(?:Å|Å⁻¹|Å/μ_B|μ_B|eV|eV/Å|eV/μ_B|eV/μ_B²|Ha|Bohr|K|s|fs|1/fs|ps|rad|degrees|tesla)"
HEAD = "# Settings\n\n" + (
    "Every setting of every command, with default, unit and meaning, as `spinpot COMMAND --help` prints it.\n"
    "Set one on the command line as `KEY=VALUE`, choose an option of a group as `GROUP=OPTION`:\n\n"
    "```bash\nspinpot train model=native_spin loss.start_pref_e=1.0 trainer.max_steps=500\n```\n\n"
    "`???` must be given. `null` means not set. `${…}` takes the value of another setting.\n"
)


@dataclass(frozen=True)
class Row:
    """A setting, by its dotted key on the command line."""

    key: str
    default: str
    meaning: str

    @property
    def unit_and_meaning(self) -> tuple[str, str]:
        """The unit that its meaning begins or ends with, and the rest of the meaning."""
        if found := re.match(rf"({UNIT}(?: and {UNIT})?), (.*)", self.meaning):
            return found[1], found[2]
        found = re.search(rf"(?:^|, )({UNIT})$", self.meaning)
        return (found[1] if found else ""), self.meaning


def settings_page() -> str:
    """The page, as Markdown."""
    return "\n".join([HEAD, *(line for command in COMMANDS for line in _command(command))])


def rows(file: Path) -> list[Row]:
    """The settings of a config file, but for what Hydra reads."""
    own, values = dict(comments(file)), yaml.safe_load(file.read_text(encoding="utf-8"))
    start = 0 if _is_recipe(file) else len(file.parent.relative_to(CONFIGS).parts)
    found = []
    for key in own:
        path = key.split(".")
        hidden = path[start] in ("defaults", "hydra") or any(part.startswith("_") for part in path)
        if not hidden and not any(other.startswith(f"{key}.") for other in own):
            found.append(Row(key, in_yaml(reduce(getitem, path[start:], values)), _meaning(key, file)))
    return found


def _meaning(key: str, file: Path) -> str:
    """The comment of a setting in its file or in another option of the group, or that of its section."""
    others = sorted(file.parent.glob("*.yaml"), key=_order) if file.parent != CONFIGS else []
    said = [dict(comments(one)) for one in (file, *others)]
    while key:
        if found := next((one[key] for one in said if one.get(key)), ""):
            return found
        key = key.rpartition(".")[0]
    return ""


def _command(command: str) -> Iterator[str]:
    file = CONFIGS / f"{command}.yaml"
    yield f"\n## spinpot {command}\n\n{_about(file)}\n"
    yield from _table(rows(file))
    for group in COMMANDS[command]:
        yield f"\n### {group}\n"
        yield from _group(group)


def _group(group: str) -> Iterator[str]:
    first: list[Row] = []
    files = sorted((CONFIGS / group).glob("*.yaml"), key=_order)
    for file in files:
        yield f"\n#### {group}={file.stem}\n\n{_about(file)}\n"
        if _is_recipe(file):
            yield f"```yaml\n{_head_and_body(file)[1]}```\n"
            continue
        found = rows(file)
        first = first or found
        new = [row for row in found if row not in first or found is first]
        yield from _table(new)
        if len(new) < len(found):
            yield f"\nAll else as in `{group}={files[0].stem}`.\n"


def _table(found: list[Row]) -> Iterator[str]:
    if found:
        yield "| setting | default | unit | meaning |\n|---|---|---|---|"
    for row in found:
        unit, meaning = row.unit_and_meaning
        yield f"| `{row.key}` | `{row.default}` | {unit} | {_text(meaning)} |"


def _text(said: str) -> str:
    """A comment as Markdown."""
    return re.sub(r"([|*])", r"\\\1", said).replace("<", "&lt;")


def _is_recipe(file: Path) -> bool:
    return "@package _global_" in file.read_text(encoding="utf-8")


def _order(file: Path) -> tuple[int, str]:
    return (FIRST.index(file.stem) if file.stem in FIRST else len(FIRST)), file.stem


def _head_and_body(file: Path) -> tuple[list[str], str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate([*lines, ""]) if not line.startswith("#"))
    return lines[:start], "\n".join(lines[start:]) + "\n"


def _about(file: Path) -> str:
    """The comment at the head of a file."""
    said = "\n".join(line.lstrip("# ") for line in _head_and_body(file)[0] if "@package" not in line)
    return _text(said)
