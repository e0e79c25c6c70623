"""Every command on the pages of the documentation exists, and its settings compose and are valid."""

import re
import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from spinpot.cli import COMMANDS, CONFIGURED
from spinpot.cli.configured import replacing
from spinpot.config.validate import validate
from support.cli import PROJECT
from support.configs import composed

PAGES = [PROJECT / "BENCHMARKS.md", *sorted((PROJECT / "docs").glob("*.md"))]
CODE = re.compile(r"^```(?:bash)?\n.*?^```|^    [^\n]*$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?:    |srun |torchrun .*-m )?spinpot (.*)$", re.MULTILINE)


def commands_of(text):
    """The words of each command in a block of code."""
    blocks = (re.sub(r"\\\n\s*", "", block) for block in CODE.findall(text))
    return [shlex.split(line, comments=True) for block in blocks for line in COMMAND.findall(block)]


def first_of_sweep(argument):
    """The first of several values."""
    override = OverridesParser.create().parse_override(argument)
    if not override.is_sweep_override():
        return argument
    return f"{override.get_key_element()}={next(override.sweep_string_iterator())}"


def test_commands_are_found():
    text = "```\nspinpot train a=1 \\\n    b=2  # so\n```\n\n    spinpot audit c=3\n\nspinpot is a program.\n"
    assert commands_of(text) == [["train", "a=1", "b=2"], ["audit", "c=3"]]
    assert sum(len(commands_of(page.read_text(encoding="utf-8"))) for page in PAGES) > 100


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_a_page(page):
    for name, *words in commands_of(page.read_text(encoding="utf-8")):
        assert name in COMMANDS, name
        if name not in CONFIGURED or any(word.startswith(("--config", "--help")) for word in words):
            continue
        given = [first_of_sweep(word) for word in replacing(word for word in words if "=" in word)]
        config = composed(*given, name=name)
        if name == "train":
            validate(config)
