"""docs/tutorial.md as a list of steps: files to save and commands to run, section by section."""

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from support.cli import PROJECT

PAGE = PROJECT / "docs" / "tutorial.md"
ADDED = r"(?:<!-- the test adds: (?P<more>.*) -->\n\n?)?"
BLOCK = re.compile(ADDED + r"```(?P<kind>.*)\n(?P<text>(?:.*\n)*?)```\n")
MADE = r"<!-- made by the command above: (?P<made>\S+) -->\n"
PICTURE = re.compile(r"!\[(?P<text>.+)\]\((?P<file>\S+)\)\n" + MADE)
INSTALLATION = "Install"


@dataclass(frozen=True)
class Step:
    """A file of the page (its first line, `# NAME`, says where it is saved) or a command, in words."""

    section: str
    file: str = ""
    text: str = ""
    command: tuple[str, ...] = ()


def sections() -> dict[str, str]:
    """The page's text by its headings."""
    _, *parts = re.split(r"^## ", PAGE.read_text(), flags=re.M)
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}


def steps() -> list[Step]:
    """All of them but the installation."""
    texts = sections()
    texts.pop(INSTALLATION)
    return [step for section, text in texts.items() for step in _steps(section, text)]


def _steps(section: str, text: str) -> Iterator[Step]:
    for block in BLOCK.finditer(text):
        if block["kind"] == "bash":
            for line in block["text"].replace("\\\n", " ").splitlines():
                yield Step(section, command=(*shlex.split(line), *shlex.split(block["more"] or "")))
        else:
            named = re.match(r"# (\S+)\n", block["text"])
            assert named, f"This block does not say where it is saved:\n{block['text']}"
            yield Step(section, file=named[1], text=block["text"])


def follow(steps: list[Step], folder: Path, run: Callable[[tuple[str, ...]], str]) -> dict[str, str]:
    """Save the files in the folder and run the commands; what each command printed.

    run: runs a command in the folder and returns what it prints.
    """
    said = {}
    for step in steps:
        if step.file:
            (folder / step.file).write_text(step.text)
        else:
            said[shlex.join(step.command)] = run(step.command)
    return said
