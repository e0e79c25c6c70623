"""The page of all settings, from the files in configs/ and their comments."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

CONFIGS = Path(__file__).parents[1] / "configs"
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
    """The settings of a config file; a meaning comes from the file, else from another option of the group."""
    own = list(_rows(_read(file), _prefix(file)))
    others = sorted(file.parent.glob("*.yaml"), key=_order) if file.parent != CONFIGS else []
    said = {row.key: row.meaning for other in reversed(others) for row in _rows(_read(other), _prefix(other))}
    return [Row(row.key, row.default, row.meaning or said[row.key]) for row in own]


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
    return re.sub(r"([|*<])", r"\\\1", said)


def _rows(values: CommentedMap, prefix: str, section: str = "") -> Iterator[Row]:
    """The settings below a mapping; section: what the comment of the mapping itself says."""
    for key, value in values.items():
        if key.startswith("_") or key in ("defaults", "hydra"):
            continue
        meaning = _comment(values, key) or section
        if isinstance(value, CommentedMap) and value and not value.fa.flow_style():
            yield from _rows(value, f"{prefix}{key}.", meaning)
        else:
            yield Row(f"{prefix}{key}", _default(value), meaning)


def _comment(values: CommentedMap, key: str) -> str:
    """The comment in the line of a key."""
    tokens = values.ca.items.get(key) or []
    nested = getattr(values[key], "ca", None)
    of_value = nested.comment[:1] if nested is not None and nested.comment else []
    for token in [*tokens, *of_value]:
        if token is not None and not isinstance(token, list) and not token.value.startswith("\n"):
            return str(token.value.splitlines()[0].lstrip("# "))
    return ""


def _default(value: Any) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_default(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_default(one) for one in value) + "]"
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def _read(file: Path) -> CommentedMap:
    return YAML().load(file) or CommentedMap()


def _prefix(file: Path) -> str:
    """What precedes the file's keys on the command line; nothing for a recipe and a command."""
    return "" if _is_recipe(file) else "".join(f"{part}." for part in file.parent.relative_to(CONFIGS).parts)


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
